"""Calls that are a critical section each: methods that take a lock for what they read or change, and let it go again.

``if self.used(key) < limit: self.charge(key)`` holds the lock twice, and not in between. What such a call reads and
hands back, and what it changes, is an access of its caller as well: at the call, in a section of its own. Two of them
that belong together are found as those in two ``with`` blocks of one function are. Known as the atomicity violation of
composed operations: Shacham et al., "Testing atomicity of composed concurrent operations" (OOPSLA 2011).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from msgspec import structs

from racelint.analysis.bodies import Held
from racelint.analysis.effects import MUTATING, Touch, touched
from racelint.analysis.flow import Flow, Flows
from racelint.analysis.locks import same_lock
from racelint.analysis.walk import CALLERS, Reached, State
from racelint.link.again import within
from racelint.link.binding import handed
from racelint.link.symbols import FunctionInfo
from racelint.link.world import World
from racelint.model import facts as f

# Calls between a compound and the access.
STEPS = 2
READS = frozenset(("read", "look", "item", "snapshot", "iterate"))


class Sections:
    """Finds them among the accesses of one place."""

    def __init__(self, world: World, flows: Flows) -> None:
        self.world = world
        self.flows = flows

    def of(self, accesses: Iterable[Reached]) -> Iterator[Reached]:
        """The calls that make one of these accesses under a lock which their callers do not hold."""
        made = tuple(accesses)
        for _ in range(STEPS):
            made = tuple(self._calls(made))
            yield from (call for call in made if any(region < -1 for _, region in call.held))

    def _calls(self, accesses: Iterable[Reached]) -> Iterator[Reached]:
        """The calls of the functions that make these accesses, where they stand for them."""
        together: dict[tuple[str, int, object], list[Reached]] = defaultdict(list)
        for access in accesses:
            if access.state.parent is not None or access.state.also:
                together[access.touch.fid, access.group.index, access.state.held].append(access)
        for (fid, _, _), parts in together.items():
            info = self.world.symbols.functions[fid]
            if info.facts.kind == "function" and not info.facts.is_async and not info.facts.is_generator:
                for access in parts:
                    if self._stands_out(self.flows[fid], access, parts) and self._of_receiver(info, access):
                        yield from self._by_callers(info, access, parts)

    def _stands_out(self, flow: Flow, access: Reached, parts: Sequence[Reached]) -> bool:
        """Whether callers get to know what is read, or rely on what is done: it is not tolerant, and asks nothing."""
        touch = access.touch
        if touch.effect in READS:
            if any(part.touch.effect in MUTATING for part in parts):
                return False  # who asks has claimed it by then
            within = any(part.touch.content and _returned(flow, part.touch.event) for part in parts)
            return _returned(flow, touch.event) and (touch.content or not within)
        if touch.effect not in MUTATING or flow.caught(touch.event):
            return False
        if not touch.content and (flow.is_constant(touch.value) or _handed_back(flow, touch.value)):
            return False  # it overwrites on purpose, and with what its caller gets in any case
        return not any(
            part.touch.effect in READS
            and part.touch.event < touch.event
            and flow.controls(part.touch.event, touch.event)
            for part in parts
        )

    def _of_receiver(self, info: FunctionInfo, access: Reached) -> bool:
        """Whether a method touches what its own object has, or a function what is there once."""
        *_, root = (None, *(info.facts.nodes[node] for node in _spelled(info.facts, access)))
        own = info.is_method and bool(info.facts.params) and root == f.Param(info.facts.params[0].name)
        return own or root is None or isinstance(root, f.Global | f.Imported | f.Captured | f.ClassVar)

    def _by_callers(self, info: FunctionInfo, access: Reached, parts: Sequence[Reached]) -> Iterator[Reached]:
        ways = [
            (state, parent, event)
            for state in dict.fromkeys((access.state, *access.alike))
            for parent, event in ((state.parent, state.event), *state.also)
            if parent is not None and state.doubt <= parent.doubt
        ]
        for state, parent, event in ways[:CALLERS]:
            touch = self._touch(info, access, parts, parent, event)
            if touch is None:
                continue
            taken = [
                (lock, -2 - event)
                for lock in access.locks
                if lock.threads and not any(same_lock(lock, other) for other in state.held)
            ]
            held = (*self._held(state, parent, event), *dict.fromkeys(taken))
            way = structs.replace(state, parent=parent, event=event, entry=parent.entry, also=[])
            inside = replace(access, state=way, alike=[way], inside=access.inside)
            yield Reached(touch, parent, access.group, held, state.started, alike=[parent], inside=inside)

    def _held(self, state: State, parent: State, event: int) -> Held:
        """The caller's locks at a call: those of its own callers, and those that it has taken itself."""
        facts = self.flows[parent.fid].facts
        regions = facts.held[facts.events[event].held]
        own = regions[0] if regions else -1
        return tuple((lock, -1 if lock in parent.held else own) for lock in state.held)

    def _touch(
        self, info: FunctionInfo, access: Reached, parts: Sequence[Reached], parent: State, event: int
    ) -> Touch | None:
        """An access as its caller makes it, with the caller's nodes; None when none of these is the key."""
        touch, flow, caller = access.touch, self.flows[info.id], self.flows[parent.fid].facts
        key = self._in_caller(info, touch.key, parent, event)
        if touch.content and touch.key >= 0 and key < 0:
            return None
        reads = {part.touch.event for part in parts if part.touch.effect in READS}
        given = flow.given(touch.value) if touch.value >= 0 and flow.deps(touch.value).isdisjoint(reads) else ()
        value = handed(self.world, (parent.fid, event), info.id, next(iter(given))) if len(given) == 1 else -1
        line = caller.events[event].line
        return structs.replace(touch, fid=parent.fid, event=event, line=line, key=key, value=value)

    def _in_caller(self, info: FunctionInfo, node: int, parent: State, event: int) -> int:
        """The caller's node of what a function uses as a key: an argument, or the same constant."""
        value = info.facts.nodes[node] if node >= 0 else None
        if isinstance(value, f.Param):
            return handed(self.world, (parent.fid, event), info.id, value.name)
        nodes = self.flows[parent.fid].facts.nodes
        return nodes.index(value) if isinstance(value, f.Const) and value in nodes else -1


def _returned(flow: Flow, event: int) -> bool:
    """Whether a function hands back what it reads at an event, or one of several constants that it decides over."""
    return any(
        type(done) is f.Return
        and (event in _made_of(flow, done.value) or (flow.is_constant(done.value) and flow.controls(event, index)))
        for index, done in enumerate(flow.facts.events)
    )


def _handed_back(flow: Flow, value: int) -> bool:
    """Whether a function returns a value: who calls it goes on with that, whatever others store."""
    return value >= 0 and any(type(e) is f.Return and flow.same_path(e.value, value) for e in flow.facts.events)


def _made_of(flow: Flow, value: int) -> frozenset[int]:
    """The events that a value is made of, but for what other functions of the project have made of them."""
    nodes, events = flow.facts.nodes, flow.facts.events

    def parts(node: int) -> tuple[int, ...]:
        made = nodes[node]
        call = events[made.event] if type(made) is f.Result else None
        plain = type(call) is not f.Call or type(nodes[call.func]) is f.Global
        return flow.parts(node) if plain else ()

    found = set(within(value, parts)) if value >= 0 else set()
    return frozenset(
        index for index, event in enumerate(events) if isinstance(event, f.Access | f.Call) and event.result in found
    )


def of_one(flow: Flow, a: Reached, b: Reached) -> bool:
    """Whether two accesses of a function, of which a call makes one at least, are spelled as to one object.

    ``self.used()`` and ``self.rows[key]`` are, ``self.left.used()`` and ``self.right.charge()`` are not.
    """
    first, second = (list(_spelled(flow.facts, access)) for access in (a, b))
    if not first or not second:
        return True
    return any(flow.same_path(first[0], node) for node in second) or any(
        flow.same_path(second[0], node) for node in first
    )


def _spelled(facts: f.Function, access: Reached) -> Iterator[int]:
    """The node of the object that is touched, or whose method is called, and of what it is an attribute of."""
    node = touched(facts, access.touch) if access.inside is None else _receiver(facts, access.touch.event)
    while node >= 0:
        yield node
        value = facts.nodes[node]
        node = value.base if isinstance(value, f.Attr | f.Item) else -1


def _receiver(facts: f.Function, index: int) -> int:
    """The object whose method, or property, an event calls; -1 for a plain function."""
    event = facts.events[index]
    func = facts.nodes[event.func if type(event) is f.Call else event.target if type(event) is f.Access else -1]
    return func.base if isinstance(func, f.Attr) else -1
