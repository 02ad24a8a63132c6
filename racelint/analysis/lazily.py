"""Generators that are walked step by step: between two steps runs the body of the loop that walks them.

A generator does nothing until it is asked for its next element, and stands still while that is worked on
(docs.python.org/3/reference/expressions.html, "Yield expressions"). When that work waits for something, the loop that
the generator is in the middle of is interrupted by whatever else runs then. So it is with the context manager that
``contextlib.asynccontextmanager`` makes of one, and the body of its ``async with``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from racelint.analysis.suspension import Suspension
from racelint.analysis.walk import State
from racelint.link.again import children
from racelint.link.world import World
from racelint.model import facts as f

# Generators that hand on the elements of one another.
HANDED_ON = 4


class Lazily:
    """Knows where a generator stands still while somebody waits."""

    def __init__(self, world: World, suspension: Suspension) -> None:
        self.world = world
        self.suspension = suspension
        self._found: dict[tuple[str, int], bool] = {}
        self._walked: dict[tuple[str, int], frozenset[int]] = {}

    def resumed(self, states: Iterable[State], depth: int = 0) -> bool:
        """Whether others may run between two steps of a generator in one of these states.

        Of an asynchronous generator that is handed to somebody else this is taken for granted: he is a coroutine.
        """
        return any(
            self._facts(state).is_async
            if parent is None
            else self._waits(parent, event, self._facts(state).is_async, depth)
            for state in states
            for parent, event in ((state.parent, state.event), *state.also)
        )

    def walked(self, fid: str, start: int) -> frozenset[int]:
        """A value and what takes it apart one by one: a generator expression over it, ``enumerate`` of it."""
        key = (fid, start)
        if key in self._walked:
            return self._walked[key]
        facts, found = self._facts_of(fid), {start}
        for index, node in enumerate(facts.nodes):  # what a node is made of comes before it
            if (type(node) is f.New and node.kind == "generator" and self._elements(facts, node, found)) or (
                type(node) is f.Result and self._view(fid, facts, node.event, found)
            ):
                found.add(index)
        self._walked[key] = frozenset(found)
        return self._walked[key]

    def loops(self, fid: str, start: int) -> frozenset[int]:
        """The blocks that are run once for each element of a value."""
        walked = self.walked(fid, start)
        blocks = enumerate(self._facts_of(fid).blocks)
        return frozenset(index for index, block in blocks if block.kind == "loop" and block.test in walked)

    def handed_on(self, fid: str, start: int) -> bool:
        """Whether a function gives the elements of a value on, one by one, to the loop that walks what it returns."""
        walked = self.walked(fid, start)
        return any(
            (type(event) is f.Yield and event.delegated and event.value in walked)
            or (type(event) is f.Return and event.value in walked - {start})
            for event in self._facts_of(fid).events
        )

    def _waits(self, state: State, event: int, unknown: bool, depth: int) -> bool:
        """Whether the caller of a generator waits for something between two steps, or whoever he hands them to does."""
        facts = self._facts(state)
        call = facts.events[event]
        if type(call) is not f.Call or depth > HANDED_ON:
            return False
        key = (state.fid, event)
        inside = list(_inside(facts, self.loops(state.fid, call.result), call.result))
        if key not in self._found:
            self._found[key] = any(
                type(one) is f.Suspend and one.how != "yield" and self.suspension.really(state.fid, one)
                for one in inside
            )
        if self._found[key]:
            return True
        if self.handed_on(state.fid, call.result) or _returned(facts, call.result) or any(map(_yields, inside)):
            return self.resumed((state,), depth + 1)
        return unknown and not inside and not self._used_here(facts, call.result)

    def _used_here(self, facts: f.Function, result: int) -> bool:
        """Whether a loop or an ``async with`` of this function takes a generator, be its body empty."""
        return any(type(event) is f.Suspend and event.value == result for event in facts.events)

    def _elements(self, facts: f.Function, made: f.New, walked: AbstractSet[int]) -> bool:
        """Whether a generator expression is made of the elements of one of these values."""
        stack, seen = list(made.items), set[int]()
        while stack:
            index = stack.pop()
            if index in seen or index < 0:
                continue
            seen.add(index)
            node = facts.nodes[index]
            if type(node) is f.Elem and node.base in walked:
                return True
            stack.extend(children(facts, node))
        return False

    def _view(self, fid: str, facts: f.Function, event: int, walked: AbstractSet[int]) -> bool:
        call = facts.events[event]
        if type(call) is not f.Call or walked.isdisjoint(call.args):
            return False
        rows = [self.world.consumers.first(callee.name) for callee in self.world.callees.get((fid, event), ())]
        return bool(rows) and all(row is not None and row.effect == "view" for row in rows)

    def _facts(self, state: State) -> f.Function:
        return self._facts_of(state.fid)

    def _facts_of(self, fid: str) -> f.Function:
        return self.world.symbols.functions[fid].facts


def _returned(facts: f.Function, result: int) -> bool:
    return any(type(event) is f.Return and event.value == result for event in facts.events)


def _yields(event: f.Event) -> bool:
    return type(event) is f.Yield or (type(event) is f.Suspend and event.how == "yield")


def _inside(facts: f.Function, loops: AbstractSet[int], result: int) -> Iterator[f.Event]:
    """The events in these loops, and in the ``async with`` that enters what a call gives."""
    regions = {index for index, region in enumerate(facts.regions) if region.lock == result}
    for event in facts.events if loops or regions else ():
        block = event.block
        while block >= 0 and block not in loops:
            block = facts.blocks[block].parent
        if block >= 0 or not regions.isdisjoint(facts.held[event.held]):
            yield event
