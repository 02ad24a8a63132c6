"""Values traced back along the calls, from an access to where its object comes from.

Each way back is asked: of several callers, of the branches of a condition and of several returned values all must lead
to what is looked for. What that is, subclasses say.
"""

from __future__ import annotations

from racelint.analysis.effects import touched
from racelint.analysis.walk import Inside, Reached, State
from racelint.link.binding import handed
from racelint.link.calls import targets
from racelint.link.views import viewed
from racelint.link.world import World
from racelint.model import facts as f

# Steps on the way back from an access to where its object comes from.
FAR = 12


class Traced:
    """Tells of accesses whether their object comes from what a subclass looks for.

    ``steps``: what is found in such an object by these counts as well.
    """

    steps: tuple[type[f.Node], ...] = (f.Attr, f.Item, f.Elem, f.Part, f.Awaited)

    def __init__(self, world: World) -> None:
        self.world = world
        self._found: dict[tuple[State, int], bool] = {}
        # Values in the functions they are in, and these as they are called: each is looked at once.
        self._values: dict[tuple[State, int, int], bool] = {}
        self._inside = Inside()

    def origin(self, state: State, node: int, event: int) -> bool:
        """Whether a value is just what is looked for, as it is used at an event."""
        raise NotImplementedError

    def beside(self, state: State, node: int) -> bool:
        """Whether a value may be in place of another one that is what is looked for."""
        return isinstance(self.world.symbols.functions[state.fid].facts.nodes[node], f.Const)

    def has(self, access: Reached) -> bool:
        """Whether what is touched comes from there, on every way, or is a part of what does."""
        key = (access.state, access.touch.event)
        found = self._found.get(key)
        if found is None:
            node = touched(self.world.symbols.functions[access.touch.fid].facts, access.touch)
            found = self._found[key] = self.comes(access.state, node, access.touch.event)
        return found

    def comes(self, state: State, node: int, event: int) -> bool:
        """Whether a value comes from there, as it is used at an event."""
        return self._comes(state, node, event, 0)

    def _comes(self, state: State, node: int, event: int, steps: int) -> bool:
        key = (state, node, event)
        known = self._values.get(key)
        if known is None:
            self._values[key] = False  # what leads back to itself comes from nowhere
            known = self._values[key] = node >= 0 and steps <= FAR and self._looked(state, node, event, steps + 1)
        return known

    def _looked(self, state: State, node: int, event: int, steps: int) -> bool:
        if self.origin(state, node, event):
            return True
        facts = self.world.symbols.functions[state.fid].facts
        match facts.nodes[node]:
            case f.Attr(base) | f.Item(base) | f.Elem(base) | f.Part(base) | f.Awaited(base) as step:
                return isinstance(step, self.steps) and self._comes(state, base, event, steps)
            case f.Phi(options):
                ways = [option for option in options if not self.beside(state, option)]
                return bool(ways) and all(self._comes(state, option, event, steps) for option in ways)
            case f.Result(call):
                mapping = viewed(facts, node)
                if mapping != node:
                    return self._comes(state, mapping, event, steps)
                return self._returns(state, call, steps)
            case f.Param(name) if state.parent is not None:
                return all(self._comes(caller, node, at, steps) for caller, node, at in self.given(state, name))
            case _:
                return False

    def given(self, state: State, name: str) -> list[tuple[State, int, int]]:
        """What those who call a function hand to a parameter (-1 for what is not known), and in which call."""
        calls = [(state.parent, state.event), *state.also]
        return [
            (state, -1, -1)
            if caller is None
            else (caller, handed(self.world, (caller.fid, event), state.fid, name), event)
            for caller, event in calls
        ]

    def _returns(self, state: State, event: int, steps: int) -> bool:
        """Whether a function of the project returns what is looked for."""
        callees = [
            target.name
            for callee in self.world.callees.get((state.fid, event), ())
            if callee.kind in ("func", "bound")
            for target in targets(self.world, callee)
        ]
        if len(callees) != 1:
            return False
        (fid,) = callees
        inside = self._inside[state, fid, event]
        values = self._returned(fid)
        ways = [(value, at) for value, at in values if not self.beside(inside, value)]
        return bool(ways) and all(self._comes(inside, value, at, steps) for value, at in ways)

    def _returned(self, fid: str) -> list[tuple[int, int]]:
        events = enumerate(self.world.symbols.functions[fid].facts.events)
        return [(event.value, at) for at, event in events if isinstance(event, f.Return) and event.value >= 0]
