"""Deadlocks: locks taken in a circle by contexts that overlap, and locks that wait for their own holder.

A circle is harmless where one context cannot run beside the other, where a lock held by both keeps them apart, or where
the locks are of different objects. Sources: Havelund, "Using runtime analysis to guide model checking" (2000), for the
graph and its gate locks; Coffman et al., "System deadlocks" (1971), for the circular wait.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

import networkx as nx

from racelint.analysis.flow import Flows
from racelint.analysis.locks import Lock, same_lock
from racelint.analysis.overlap import Overlap
from racelint.analysis.paths import Path, path
from racelint.analysis.turns import Turns
from racelint.analysis.walk import State
from racelint.analysis.watch import Take
from racelint.link.world import World
from racelint.model import facts as f

# Circles of more locks than this are not looked for; ways kept of one lock taken under another; circles looked at.
LONGEST = 4
WAYS = 12
CIRCLES = 500
# Calls under a lock from which on a doubtful way is taken for a guess.
FAR = 4
# Arguments of acquire() that make it give up.
IMPATIENT = ("blocking", "block", "timeout")


@dataclass(frozen=True, slots=True)
class Circle:
    """Locks that are waited for in a circle. Each of ``takes`` waits under the lock that the next one waits for."""

    takes: tuple[Take, ...]
    held: tuple[Take, ...]
    why: str

    @property
    def doubt(self) -> int:
        """How doubtful the ways are on which the locks are taken under one another."""
        return max(doubt(held, take) for held, take in zip(self.held, self.takes, strict=True))


@dataclass(frozen=True, slots=True)
class Twice:
    """A lock is taken while the same call chain holds it."""

    outer: Take
    inner: Take

    @property
    def doubt(self) -> int:
        """How doubtful the way from the one to the other is."""
        return doubt(self.outer, self.inner)


def doubt(outer: Take, inner: Take) -> int:
    """How many steps on the way to ``inner`` were not resolved exactly; one more where a doubtful way is long, too.

    Every call on the way under a lock may stand under conditions that nobody has looked at.
    """
    found = inner.at.state.doubt
    return found + int(found > 0 and inner.at.state.depth - outer.at.state.depth > FAR)


def patient(world: World, take: Take) -> bool:
    """Whether a lock is waited for without end: not ``acquire(False)``, not with a timeout."""
    facts = world.symbols.functions[take.at.state.fid].facts
    call = facts.regions[take.region].call
    event = facts.events[call] if call >= 0 else None
    return not isinstance(event, f.Call) or not (event.args or any(name in IMPATIENT for name, _ in event.kwargs))


class Deadlocks:
    """Looks for both kinds among the locks that walks have seen being taken."""

    def __init__(self, world: World, takes: Iterable[Take]) -> None:
        self.world = world
        self.takes = tuple(takes)
        self.flows = Flows(world.symbols.functions)

    # -- one lock, twice ----------------------------------------------------------------------------------------------

    def twice(self) -> Iterator[Twice]:
        """Locks that wait for their own holder, the nearest holder for each place, surest and shortest ways first."""
        seen: set[tuple[object, ...]] = set()
        for take in sorted(self.takes, key=nearest):
            if not take.before or not self.plain(take.lock) or not patient(self.world, take):
                continue
            outer = next((held for held in reversed(take.before) if self._surely_same(held, take)), None)
            if outer is None or not self._possible(take) or self._settled(outer, take) or self._told(outer, take):
                continue
            key = (outer.at.state.fid, outer.region, take.at.state.fid, take.region)
            if key not in seen:
                seen.add(key)
                yield Twice(outer, take)

    def plain(self, lock: Lock) -> bool:
        """Whether a lock is known not to let its own holder in again."""
        rows = [self.world.guards.first(obj.name) if obj.kind == "ext" else None for obj in lock.objs]
        return bool(rows) and all(
            row is not None and not (row.reentrant or row.read_side or row.write_side or row.acquire_read)
            for row in rows
        )

    def _surely_same(self, a: Take, b: Take) -> bool:
        if a.lock.keyed or b.lock.keyed or a.lock.reading or b.lock.reading or not same_lock(a.lock, b.lock):
            return a.lock.keyed and b.lock.keyed and same_lock(a.lock, b.lock) and self._spelled_alike(a, b)
        if a.lock.slot is not None and a.lock.slot == b.lock.slot and a.lock.slot[0] in ("g", "k"):
            return True
        return self._spelled_alike(a, b)

    def _spelled_alike(self, a: Take, b: Take) -> bool:
        return not self.paths(a).isdisjoint(self.paths(b))

    def paths(self, take: Take) -> frozenset[Path]:
        """What a lock is called: by its access path, and as the one lock made for the object at such a path."""
        state = take.at.state
        facts = self.world.symbols.functions[state.fid].facts
        node = facts.regions[take.region].lock
        found = {path(self.world, state, node)}
        value = facts.nodes[node]
        if isinstance(value, f.Result):
            call = facts.events[value.event]
            assert isinstance(call, f.Call)
            value = facts.nodes[call.func]
        site = take.lock.objs[0].site if len(take.lock.objs) == 1 else None
        if site is not None and isinstance(value, f.Attr):
            base = path(self.world, state, value.base)
            found.add((*base, site) if base is not None else None)
        return frozenset(known for known in found if known is not None)

    # -- ways that cannot be ------------------------------------------------------------------------------------------

    def _possible(self, take: Take) -> bool:
        """Whether the way to a lock passes no test that says that a lock held by then is free."""
        if not take.before:
            return True
        held = [(known, self.paths(known)) for known in take.before]
        return not any(
            tested in paths and known.at.state.depth <= state.depth
            for state, event in frames(take)
            for tested in self.free(state, event)
            for known, paths in held
        )

    def free(self, state: State, event: int) -> Iterator[Path]:
        """The locks that must be free for an event to be reached: ``if lock.acquire(False)``, ``not locked()``."""
        facts = self.world.symbols.functions[state.fid].facts
        block = facts.events[event].block
        while block > 0:
            entry = facts.blocks[block]
            block = entry.parent
            if entry.test < 0 or entry.kind not in ("then", "else"):
                continue
            node, truth = facts.nodes[entry.test], entry.kind == "then"
            if isinstance(node, f.Derived) and node.op == "Not":
                node, truth = facts.nodes[node.parts[0]], not truth
            call = facts.events[node.event] if isinstance(node, f.Result) else None
            func = facts.nodes[call.func] if isinstance(call, f.Call) else None
            if isinstance(func, f.Attr) and (func.name, truth) in (("acquire", True), ("locked", False)):
                tested = path(self.world, state, func.base)
                if tested is not None:
                    yield tested

    def _settled(self, outer: Take, take: Take) -> bool:
        """Whether the holder of a lock sets, before it goes on, what a test on the way to taking it again asks for.

        ``if self.engine is not None: return`` before the lock is one half of double-checked locking; a holder that has
        stored the engine gets no further than that, and neither does one that has asked the same and goes on if so.
        """
        holder = outer.at.state
        facts = self.world.symbols.functions[holder.fid].facts
        asked: set[Path] = set()
        known: set[tuple[Path, bool]] = set()
        end = take.at.touch.event
        for state, event in frames(take):
            if state is holder:
                end = event
                break
            asked.update(self._asked(state, event))
            known.update(self._truths(state, event))
        if any((slot, not truth) in known for slot, truth in self._truths(holder, end)):
            return True
        return any(
            isinstance(event, f.Access)
            and event.kind == "store"
            and outer.region in facts.held[event.held]
            and path(self.world, holder, event.target) in asked
            for event in facts.events[:end]
        )

    def _told(self, outer: Take, take: Take) -> bool:
        """Whether the holder passes an option on, through ``**kwargs``, that a test on the way to the lock asks for."""
        asked: set[str] = set()
        for state, event in frames(take):
            call = self.flows[state.fid].facts.events[event]
            if isinstance(call, f.Call) and any(repr(name) in asked for name, _ in call.kwargs):
                return True
            if state is outer.at.state:
                return False
            asked.update(self._options(state, event))
        return False

    def _options(self, state: State, event: int) -> Iterator[str]:
        """The literal keys of ``kwargs.pop("force", False)`` in tests that decide whether an event is reached."""
        flow = self.flows[state.fid]
        nodes = flow.facts.nodes
        for block in flow.ancestors(flow.facts.events[event].block):
            for index in flow.deps(flow.facts.blocks[block].test):
                call = flow.facts.events[index]
                func = nodes[call.func] if isinstance(call, f.Call) and call.args else None
                key = nodes[call.args[0]] if isinstance(call, f.Call) and call.args else None
                if isinstance(func, f.Attr) and func.name in ("pop", "get") and isinstance(key, f.Const):
                    yield key.text

    def _asked(self, state: State, event: int) -> Iterator[Path]:
        """The slots that tests look at which decide whether an event is reached."""
        flow = self.flows[state.fid]
        for block in flow.ancestors(flow.facts.events[event].block):
            entry = flow.facts.blocks[block]
            if entry.kind not in ("then", "else") or entry.test < 0:
                continue
            for index in flow.deps(entry.test):
                read = flow.facts.events[index]
                found = path(self.world, state, read.target) if isinstance(read, f.Access) else None
                if found is not None:
                    yield found

    def _truths(self, state: State, event: int) -> Iterator[tuple[Path, bool]]:
        """The slots that are surely set, and those that are surely not, when an event is reached."""
        flow = self.flows[state.fid]
        for block in flow.ancestors(flow.facts.events[event].block):
            entry = flow.facts.blocks[block]
            if entry.kind not in ("then", "else") or entry.test < 0:
                continue
            node, truth, slot = flow.facts.nodes[entry.test], entry.kind == "then", entry.test
            if isinstance(node, f.Derived) and node.op == "Not":
                truth, slot = not truth, node.parts[0]
            elif isinstance(node, f.Derived) and node.op in ("Is", "IsNot") and flow.is_none(node.parts[1]):
                truth, slot = truth == (node.op == "IsNot"), node.parts[0]
            found = path(self.world, state, slot)
            if found is not None:
                yield found, truth

    # -- circles ------------------------------------------------------------------------------------------------------

    def circles(self, overlap: Overlap, turns: Turns) -> Iterator[Circle]:
        """Circles of locks, one for each set of functions that close it."""
        names = self._names()
        edges: dict[tuple[object, object], list[tuple[Take, Take]]] = defaultdict(list)
        for take in sorted(self.takes, key=nearest):
            if not take.before or take.lock.keyed or take.lock.assumed or not patient(self.world, take):
                continue
            if any(same_lock(held.lock, take.lock) for held in take.before) or fresh(take) or not self._possible(take):
                continue
            for held in take.before:
                if held.lock.keyed or held.lock.assumed or fresh(held):
                    continue
                first, second = names[_key(held.lock)], names[_key(take.lock)]
                ways = edges[first, second]
                if first != second and len(ways) < WAYS:
                    ways.append((held, take))
        order = sorted((edge for edge, ways in edges.items() if ways), key=repr)
        # The circles of a graph come in the order of sets of its nodes: that of numbers is the same in every run.
        nodes = list(dict.fromkeys(node for edge in order for node in edge))
        numbers = {node: number for number, node in enumerate(nodes)}
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_edges_from((numbers[first], numbers[second]) for first, second in order)
        seen: set[frozenset[tuple[str, int]]] = set()
        for circle in islice(nx.simple_cycles(graph, length_bound=LONGEST), CIRCLES):
            cycle = [nodes[number] for number in circle]
            if len(cycle) > 1:
                steps = [edges[edge] for edge in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
                found = self._closed(steps, overlap, turns)
                if found is None:
                    continue
                places = frozenset((take.at.state.fid, take.region) for take in found.takes)
                if places not in seen:
                    seen.add(places)
                    yield found

    def _closed(self, steps: Sequence[Sequence[tuple[Take, Take]]], overlap: Overlap, turns: Turns) -> Circle | None:
        """The surest way round a circle in which all wait at the same time."""
        best: Circle | None = None
        for ways in islice(product(*steps), WAYS**2):
            why = self._all_wait(ways, overlap, turns)
            if why is None:
                continue
            found = Circle(tuple(take for _, take in ways), tuple(held for held, _ in ways), why)
            if best is None or _rank(found) < _rank(best):
                best = found
        return best

    def _all_wait(self, ways: Sequence[tuple[Take, Take]], overlap: Overlap, turns: Turns) -> str | None:
        threads = all(take.lock.threads for way in ways for take in way)
        judge = overlap if threads else turns
        for (_, waits), (held, _) in zip(ways, [*ways[1:], ways[0]], strict=True):
            # The lock one waits for is the very one that the next holds.
            if not overlap.same_object(waits.at, held.at):
                return None
        why = None
        for (_, a), (_, b) in combinations(ways, 2):
            gate = any(same_lock(x.lock, y.lock) for x in a.before for y in b.before)
            why = None if gate else judge.why(a.at, b.at)
            if why is None:
                return None
        return why

    def _names(self) -> dict[object, object]:
        """One name for all slots that one lock object is kept in."""
        graph: nx.Graph[object] = nx.Graph()
        for take in self.takes:
            for each in (take, *take.before):
                key = _key(each.lock)
                graph.add_node(key)
                if len(each.lock.objs) == 1 and each.lock.objs[0].site is not None:
                    graph.add_edge(key, ("object", each.lock.objs[0].site))
        found: dict[object, object] = {}
        for group in nx.connected_components(graph):
            name = min(group, key=repr)
            found.update((key, name) for key in group)
        return found


def frames(take: Take) -> Iterator[tuple[State, int]]:
    """The functions on the way to a lock, the nearest first, each with the event by which the way goes on."""
    state, event = take.at.state, take.at.touch.event
    yield state, event
    while state.parent is not None:
        state, event = state.parent, state.event
        yield state, event


def _key(lock: Lock) -> object:
    return lock.slot or (lock.objs[0].site if lock.objs and lock.objs[0].site is not None else lock.name)


def fresh(take: Take) -> bool:
    """Whether a lock belongs to an object that nobody else knows yet."""
    base = take.at.touch.base
    return base is not None and base.fresh


def nearest(take: Take) -> tuple[object, ...]:
    """Sure ways first, then short ones."""
    at = take.at
    return at.state.doubt, at.state.depth, at.touch.fid, at.touch.line, take.region, at.group.index


def _rank(circle: Circle) -> tuple[object, ...]:
    return circle.doubt, sum(take.at.state.depth for take in circle.takes)
