"""Races between tasks of one event loop: they take turns at every await, and only there.

A check and its act, or a read and its write, that have a suspension between them are one compound that others can fall
into. When such a gap is harmless is told in asyncio's documentation of synchronisation primitives, and has been
measured: most gaps are, because the fact is claimed before the first await, or looked at again after the last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from racelint.analysis.done_twice import DoneTwice
from racelint.analysis.effects import MUTATING
from racelint.analysis.flow import Flow
from racelint.analysis.forgotten import Forgotten
from racelint.analysis.guards import Guards
from racelint.analysis.lazily import Lazily
from racelint.analysis.locks import Lock
from racelint.analysis.overlap import LIBRARY, Overlap, reason
from racelint.analysis.races import ADDING, REBIND, REPLACING, WRITES, Pattern, Race, Races
from racelint.analysis.suspension import Suspension
from racelint.analysis.values import Values
from racelint.analysis.walk import Reached, State
from racelint.contexts.entry_points import EntryPoint
from racelint.link.call_sites import either
from racelint.link.calls import targets
from racelint.link.classes import owner_of, related
from racelint.link.world import Cell, World
from racelint.model import facts as f

PATTERNS: Mapping[Pattern, Pattern] = {
    "check-then-act": "await-check-then-act",
    "lazy-singleton": "await-check-then-act",
    "read-modify-write": "await-read-modify-write",
    "iterate": "await-while-iterating",
}


# Comparisons of numbers.
ORDERING = frozenset(("LessThan", "LessThanEqual", "GreaterThan", "GreaterThanEqual"))


class Turns(Overlap):
    """Decides which tasks can run while another one is suspended."""

    @cached_property
    def set_ups(self) -> frozenset[str]:
        """The functions that start tasks which are kept in an attribute."""
        return frozenset(
            fid for group in self.groups for entry in group.entries if entry.kept for fid, _ in entry.begins
        )

    def why(self, a: Reached, b: Reached) -> str | None:
        """The reason that ``b`` can have its turn in the middle of the task of ``a``, or None."""
        first, second = a.state.entry, b.state.entry
        if a.group.api == LIBRARY and b.group.api == LIBRARY:
            return "public functions of a library may be called by several tasks of its user"
        if first.kind != "event-loop" or second.kind != "event-loop":
            return None
        if a.group.api or b.group.api:
            return self._of_callers(a, b)
        if self.at_startup(a, b) or self.at_startup(b, a):
            return None
        if first.kept and self._cancels(b.state, first.kept):
            return None  # the task does not go on after that
        if first is second:
            return first.why if self._several(first, frozenset()) and not self._apart(first, a, b) else None
        if first.exclusive and second.exclusive and first.lane == second.lane and first.lane:
            return None
        if self.loops.apart(first, second) or self.before(a, second) or self.before(b, first):
            return None
        return reason(first, second)

    def _cancels(self, state: State | None, kept: str) -> bool:
        """Whether whoever makes an access cancels the task that is kept in an attribute."""
        while state is not None:
            facts = self.symbols.functions[state.fid].facts
            funcs = (facts.nodes[event.func] for event in facts.events if type(event) is f.Call)
            for func in funcs:
                base = facts.nodes[func.base] if type(func) is f.Attr and func.name == "cancel" else None
                if type(base) is f.Attr and base.name == kept:
                    return True
            state = state.parent
        return False

    def _of_callers(self, a: Reached, b: Reached) -> str | None:
        """The reason when a public function is on one side: a class that counts on several callers, or its own task."""
        owner = a.group.api or b.group.api
        first, second = a.state.entry, b.state.entry
        if not (self._own_code(a, owner) and self._own_code(b, owner)):
            return None
        if a.group is b.group:
            if not a.group.self_overlap or self._sets_up(first) or self._sets_up(second):
                return None
            meant = self._meant(a, owner) and self._meant(b, owner)
            return f"{owner.replace(':', '.')} counts on being awaited by several tasks" if meant else None
        if a.group.api and b.group.api:
            return None
        called, other = (a, b) if a.group.api else (b, a)
        task = other.state.entry
        if task.target.name not in self.api_threads.get(owner, frozenset()) or self.before(called, task):
            return None
        if called.state.entry.target.name in {fid for fid, _ in task.begins} and task.begins.isdisjoint(called.started):
            return None  # it goes on to start the task
        return task.why

    def _own_code(self, access: Reached, owner: str) -> bool:
        """Whether a class itself touches its state: of what others do with it nothing is known."""
        own = owner_of(self.symbols, access.touch.fid)
        return own is not None and related(self.symbols, own, owner) and self._of_owner(access, owner)

    def _sets_up(self, entry: EntryPoint) -> bool:
        """Whether a public function starts the task that its object keeps: it comes before the others, and once."""
        return entry.target.name in self.set_ups

    def _several(self, entry: EntryPoint, asked: frozenset[int]) -> bool:
        """Whether two tasks may run one coroutine at a time: it is begun again, or by several that run at a time."""
        if entry.self_overlap:
            return True
        hosts = {group for site in entry.begins for group in self.sites.get(site, ())} - asked
        # The interfaces of related classes are one.
        callers = {index if not self.groups[index].api else -1 for index in hosts}
        return len(callers) > 1 or any(
            group.self_overlap or any(self._several(other, asked | {index}) for other in group.entries)
            for index in hosts
            for group in (self.groups[index],)
        )


class LoopGuards(Guards):
    """Locks that keep other tasks out: those of asyncio too."""

    def excludes(self, lock: Lock, access: Reached) -> bool:
        """Every lock that is held over an await, but those that let in whoever runs in the thread of their holder.

        A green thread is taken for a thread by the locks of threads, when these are green as well.
        """
        return lock.tasks or (access.state.entry.green and lock.threads)


class TaskRaces(Races):
    """Finds compounds of tasks with a suspension inside."""

    def __init__(self, world: World, overlap: Turns, singletons: frozenset[str]) -> None:
        super().__init__(world, overlap, singletons)
        self.guards = LoopGuards(world, singletons)
        self.suspension = Suspension(world)
        self.lazily = Lazily(world, self.suspension)
        self._identities = frozenset(
            name for row in world.tables.thread_identity if row.who == "task" for name in row.name
        )
        self.forgotten = Forgotten(world, self.flows)
        # What is done to the content of each container.
        self._changes: dict[Cell, list[Reached]] = {}

    def find(self, reached: Iterable[Reached]) -> Iterator[Race]:
        """Races of all places, places in order of their names."""
        reached = tuple(reached)
        self._changes = defaultdict(list)
        for access in reached:
            if access.touch.content and access.touch.effect in MUTATING and _on_loop(access):
                self._changes[access.touch.place].append(access)
        entries = tuple(entry for group in self.overlap.groups for entry in group.entries)
        self.done_twice = DoneTwice(self.world, self.flows, Values(self.world), entries)
        yield from super().find(reached)

    def _place(self, name: str, accesses: list[Reached]) -> Iterator[Race]:
        tasks = [access for access in accesses if _on_loop(access)]
        if not any(access.touch.effect in MUTATING for access in tasks):
            return
        self.collisions.at(tasks)
        done: set[str] = set()
        for race in (*self._compounds(name, tasks, None), *self._iterations(name, tasks)):
            if race.first.touch.fid not in done:
                done.add(race.first.touch.fid)
                severe = race.severe and not self._overwrites(race)
                yield replace(race, pattern=PATTERNS[race.pattern], gap=self._gap(race), severe=severe)

    def _calls(self, accesses: list[Reached]) -> Iterable[Reached]:
        return ()

    def _overwrites(self, race: Race) -> bool:
        """Whether nothing worse happens than that the later of two tasks has the last word on an attribute.

        Tasks that set one attribute after an await are mostly those of one owner, one after the other.
        """
        act = race.first if race.act is None else race.act
        touch, nodes = act.touch, self.flows[act.touch.fid].facts.nodes
        if touch.effect != "rebind" or touch.content or touch.aug:
            return False
        return type(nodes[touch.value]) is not f.Derived  # what is counted or added up is lost

    def _gap(self, race: Race) -> int:
        """The line where the task of the first side gives way."""
        flow, start = self.flows[race.first.touch.fid], race.first.touch.event
        events = flow.facts.events
        end = len(events) if race.act is None else race.act.touch.event
        gaps = (index for index in range(start + 1, end) if self._suspends(flow, race.first, index))
        waits = (f.Suspend, f.Call, f.Yield)
        return next((event.line for event in (events[index] for index in gaps) if isinstance(event, waits)), 0)

    def _breakable(self, flow: Flow, first: Reached, last: Reached, parts: list[Reached]) -> bool:
        """Whether the compound is left open over an await, without a claim before it or a second look after it."""
        gaps = self._open(flow, first, last, parts)
        if not gaps or self._asks_again(flow, gaps[-1], last) or self._asks_for_itself(flow, first, last):
            return False
        return not any(self._looks_again(flow, part, gaps[-1], last) for part in parts)

    def _breakers(self, flow: Flow, check: Reached, act: Reached) -> tuple[Reached, ...]:
        """Besides what breaks a compound of threads: who takes a guarded step once more, or has filled a slot."""
        found = super()._breakers(flow, check, act)
        if found or not _of_one_slot(check, act):
            return found
        rivals: Iterable[Reached] = ()
        if self.done_twice.guards(check, act):
            rivals = (other for other in self.collisions.others(act, REBIND) if _same_store(other, act))
        elif self.forgotten.empties(check, act):
            lasting = self.collisions.others(act, REBIND, "lasting")
            rivals = (other for other in lasting if self.forgotten.fills(act, other))
        # Of such stores most are to an object that one task alone has.
        return tuple(other for other in rivals if self.overlap.rooted(act, other))

    def _asks_for_itself(self, flow: Flow, check: Reached, act: Reached) -> bool:
        """Whether a test asks if this very task is noted somewhere: what others note does not change the answer."""
        fid, deps = act.touch.fid, flow.deps
        tests = (flow.facts.blocks[block].test for block in flow.ancestors(flow.facts.events[act.touch.event].block))
        return any(
            callee.kind == "symbol" and callee.name in self._identities
            for test in tests
            if test >= 0 and check.touch.event in deps(test)
            for index in deps(test)
            for callee in self.world.callees.get((fid, index), ())
        )

    def _content_breakers(self, flow: Flow, check: Reached, act: Reached) -> tuple[Reached, ...]:
        """What others add as well while a task waits that has found that there is room for one more."""
        found = super()._content_breakers(flow, check, act)
        if found or act.touch.effect != "insert" or check.touch.place != act.touch.place:
            return found
        return self.collisions.others(act, ADDING) if self._counted(flow, check) else ()

    def _counted(self, flow: Flow, check: Reached) -> bool:
        """Whether it is compared how many elements a container has."""
        asked = flow.facts.events[check.touch.event]
        return isinstance(asked, f.Call) and any(
            isinstance(node, f.Derived) and node.op in ORDERING and asked.result in node.parts
            for node in flow.facts.nodes
        )

    def _asks_again(self, flow: Flow, after: int, act: Reached) -> bool:
        """Whether a method that reads the same attribute is asked after an event: ``if self.is_closed(): return``."""
        attribute = act.touch.place[-1]
        return any(
            type(flow.facts.events[index]) is f.Call
            and flow.controls(index, act.touch.event)
            and any(
                isinstance(node, f.Attr | f.Global) and node.name == attribute
                for callee in self.world.callees.get((act.touch.fid, index), ())
                for target in targets(self.world, callee)
                for node in self.flows[target.name].facts.nodes
            )
            for index in range(after + 1, act.touch.event)
        )

    def _losing(self, flow: Flow, read: Reached, act: Reached, parts: list[Reached]) -> frozenset[str]:
        """A second look shows that what was read is still there; that it is the same only when it is compared."""
        gaps = self._open(flow, read, act, parts)
        looks = [part for part in parts if gaps and self._looks_again(flow, part, gaps[-1], act)]
        if not gaps or any(flow.compared(read.touch.event, look.touch.event, act.touch.event) for look in looks):
            return frozenset()
        return REPLACING if looks else WRITES

    def _rivals_of(self, act: Reached, effects: frozenset[str]) -> tuple[Reached, ...]:
        lasting = super()._rivals_of(act, effects)
        return (*(other for other in lasting if not self._names_constant(other)), *self._inside(act))

    def _names_constant(self, access: Reached) -> bool:
        """Whether a constant with a name is stored (``self.id = Request.NO_ID``): it overwrites on purpose, too."""
        touch, nodes = access.touch, self.flows[access.touch.fid].facts.nodes
        value = nodes[touch.value] if touch.value >= 0 else None
        return touch.effect == "rebind" and isinstance(value, (f.Attr, f.Global, f.Imported)) and _in_capitals(value)

    def _inside(self, act: Reached) -> tuple[Reached, ...]:
        """Elements that are changed in place, whatever name their container goes by there."""
        base = act.touch.base
        if not act.touch.content or base is None:
            return ()
        elements = self.world.get(self.world.element_cell(base))
        changes = [change for obj in elements for change in self._changes.get(("e", self.world.heap.plain(obj)), ())]
        # What is done to an element counts as done to the container that it is in.
        return tuple(replace(change, touch=change.touch.on(base)) for change in changes)

    def _open(self, flow: Flow, first: Reached, last: Reached, parts: list[Reached]) -> list[int]:
        """Where others have their turn in a compound; none when it has claimed its place by then."""
        start, end = first.touch.event, last.touch.event
        gaps = [
            index
            for index in range(start + 1, end)
            if self._suspends(flow, last, index) and not either(flow.facts, index, end)
        ]
        claimed = gaps and any(start < part.touch.event < gaps[0] and part.touch.effect in MUTATING for part in parts)
        return [] if claimed else gaps

    def _looks_again(self, flow: Flow, part: Reached, gap: int, act: Reached) -> bool:
        event, end = part.touch.event, act.touch.event
        return gap < event < end and part.touch.effect not in MUTATING and flow.controls(event, end)

    def _walks_on(self, flow: Flow, access: Reached) -> bool:
        """Whether the body of a loop over a container is suspended while the loop is under way."""
        facts = flow.facts
        event = facts.events[access.touch.event]
        if type(event) is not f.Access:
            return False
        fid = access.touch.fid
        if self.lazily.handed_on(fid, event.target) and self.lazily.resumed((access.state, *access.alike)):
            return True
        loops = self.lazily.loops(fid, event.target)
        return any(
            self._suspends(flow, access, index) and loops.intersection(flow.ancestors(facts.events[index].block))
            for index in range(access.touch.event + 1, len(facts.events))
        )

    def _suspends(self, flow: Flow, access: Reached, index: int) -> bool:
        """Whether an event is a point where other tasks really may run."""
        event = flow.facts.events[index]
        if type(event) is f.Call:
            return access.state.entry.green and self.suspension.blocks(access.touch.fid, index)
        if type(event) is f.Yield or (type(event) is f.Suspend and event.how == "yield"):
            return self.lazily.resumed((access.state, *access.alike))
        return type(event) is f.Suspend and self.suspension.really(access.touch.fid, event)


def _in_capitals(node: f.Attr | f.Global | f.Imported) -> bool:
    """Whether a name is that of a constant, by PEP 8."""
    return bool(node.name) and str(node.name).isupper()


def _of_one_slot(check: Reached, act: Reached) -> bool:
    """Whether an attribute is looked at and then assigned."""
    a, c = act.touch, check.touch
    return a.effect == "rebind" and c.effect == "read" and not a.aug and not a.content and c.place == a.place


def _same_store(a: Reached, b: Reached) -> bool:
    return (a.touch.fid, a.touch.event) == (b.touch.fid, b.touch.event)


def _on_loop(access: Reached) -> bool:
    return access.state.entry.kind == "event-loop" or access.group.api == LIBRARY
