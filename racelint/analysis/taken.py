"""Objects taken out of a shared container: whoever has got one there has it alone.

``job = self.jobs.pop(key)``, ``queue.get()``: what one call has taken out, another one does not find. Two contexts that
both have an object from there have two, however often it is put back. Source: the transfer of ownership through
queues in Blackshear et al., "RacerD" (OOPSLA 2018), and in Clarke and Wrigstad, "External Uniqueness" (ECOOP 2003).
"""

from __future__ import annotations

from collections.abc import Callable

from racelint.analysis.effects import touched
from racelint.analysis.walk import Inside, Reached, State
from racelint.link.binding import handed
from racelint.link.calls import targets
from racelint.link.evaluate import Evaluator
from racelint.link.world import World
from racelint.model import facts as f

# Steps on the way back from an access to where its object was taken.
FAR = 12


class Taken:
    """Knows accesses to what their own context has taken out of a container."""

    def __init__(self, world: World, evaluator: Callable[[str], Evaluator]) -> None:
        self.world = world
        self.evaluator = evaluator
        self._found: dict[tuple[State, int], bool] = {}
        # Values in the functions they are in, and these as they are called: each is looked at once.
        self._values: dict[tuple[State, int], bool] = {}
        self._inside = Inside()

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses are each to an object, or a part of one, that nobody else can have taken."""
        if a.touch.base is None or b.touch.base is None:
            return False
        return self._owns(a) and self._owns(b)

    def _owns(self, access: Reached) -> bool:
        key = (access.state, access.touch.event)
        found = self._found.get(key)
        if found is None:
            node = touched(self.world.symbols.functions[access.touch.fid].facts, access.touch)
            found = self._found[key] = self._taken(access.state, node, 0)
        return found

    def _taken(self, state: State, node: int, steps: int) -> bool:
        """Whether a value is, on every way, what has just been taken out of something, or in it."""
        key = (state, node)
        known = self._values.get(key)
        if known is None:
            self._values[key] = False  # what leads back to itself has not been taken
            known = self._values[key] = self._looked(state, node, steps)
        return known

    def _looked(self, state: State, node: int, steps: int) -> bool:
        info = self.world.symbols.functions[state.fid]
        facts = info.facts
        if node < 0 or steps > FAR:
            return False
        match facts.nodes[node]:
            case f.Attr(base) | f.Item(base) | f.Elem(base) | f.Part(base) | f.Awaited(base):
                return self._taken(state, base, steps + 1)
            case f.Phi(options):
                ways = [option for option in options if not isinstance(facts.nodes[option], f.Const)]
                return bool(ways) and all(self._taken(state, option, steps + 1) for option in ways)
            case f.Result(event):
                call = facts.events[event]
                assert isinstance(call, f.Call)
                return self._takes(state.fid, call) or self._returns(state, event, steps)
            case f.Param(name) if state.parent is not None:
                return self._given(state, name, steps)
            case _:
                return False

    def _takes(self, fid: str, call: f.Call) -> bool:
        """Whether a call takes something out of a container: ``pop``, ``popleft``, ``get`` of a queue."""
        func = self.world.symbols.functions[fid].facts.nodes[call.func]
        if not isinstance(func, f.Attr):
            return False
        holders = self.evaluator(fid).eval(func.base)
        rows = [self.world.container_row(obj.name) if obj.kind == "ext" else None for obj in holders]
        return bool(rows) and all(row is not None and row.methods.get(func.name) == "delete" for row in rows)

    def _returns(self, state: State, event: int, steps: int) -> bool:
        """Whether a function of the project returns what it has taken."""
        callees = [
            target.name
            for callee in self.world.callees.get((state.fid, event), ())
            if callee.kind in ("func", "bound")
            for target in targets(self.world, callee)
        ]
        if len(callees) != 1:
            return False
        (fid,) = callees
        values = self._returned(fid)
        return bool(values) and all(
            self._taken(self._inside[state, fid, event], value.value, steps + 1) for value in values
        )

    def _returned(self, fid: str) -> list[f.Return]:
        facts = self.world.symbols.functions[fid].facts
        found = [event for event in facts.events if isinstance(event, f.Return) and event.value >= 0]
        return [event for event in found if not isinstance(facts.nodes[event.value], f.Const)]

    def _given(self, state: State, name: str, steps: int) -> bool:
        """Whether whoever calls hands over what it has taken; of several callers all of them."""
        calls = [(state.parent, state.event), *state.also]
        return all(
            parent is not None
            and self._taken(parent, handed(self.world, (parent.fid, event), state.fid, name), steps + 1)
            for parent, event in calls
        )
