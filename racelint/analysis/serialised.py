"""What belongs to the object that a handler was called for, where handlers of one object take turns.

An operator keeps something for each object that it looks after, in a dictionary with a key that identifies the object:
``TRACKERS[uid]``. Two handlers that work on the entries of their own objects never work on one entry at a time, nor on
what is kept there.
"""

from __future__ import annotations

from racelint.analysis.traced import Traced
from racelint.analysis.walk import Reached, State
from racelint.link.again import children
from racelint.model import facts as f


class Serialised(Traced):
    """Knows accesses to what is kept for the handled object alone."""

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether each of two accesses is to what its own run of a handler has to itself while it runs."""
        first, second = a.state.entry, b.state.entry
        return bool(first.serialised_by and second.serialised_by) and self._own(a) and self._own(b)

    def _own(self, access: Reached) -> bool:
        return (access.touch.key >= 0 and self._identifies(access.state, access.touch.key)) or self.has(access)

    def origin(self, state: State, node: int, event: int) -> bool:
        """Whether a value is an entry with a key that identifies the handled object."""
        info = self.world.symbols.functions[state.fid]
        value = info.facts.nodes[node]
        if isinstance(value, f.Item):
            return self._identifies(state, value.key)
        if not isinstance(value, f.Result):
            return False
        call = info.facts.events[value.event]
        assert isinstance(call, f.Call)
        looked_up = any(callee.kind == "member" for callee in self.world.callees.get((state.fid, value.event), ()))
        return looked_up and bool(call.args) and self._identifies(state, call.args[0])

    def beside(self, state: State, node: int) -> bool:
        """What is made for a new object goes where its entry is looked for."""
        info = self.world.symbols.functions[state.fid]
        value = info.facts.nodes[node]
        made = isinstance(value, f.Result) and any(
            callee.kind == "class" for callee in self.world.callees.get((state.fid, value.event), ())
        )
        return made or isinstance(value, f.New) or super().beside(state, node)

    def _identifies(self, state: State, key: int) -> bool:
        told = self._names(state, key, frozenset())
        return any(told.issuperset(group) for group in state.entry.serialised_by)

    def _names(self, state: State, node: int, seen: frozenset[tuple[str, int]]) -> frozenset[str]:
        """The parameters of the handler, and the constant steps on them, that a key is made of."""
        if node < 0 or (state.fid, node) in seen:
            return frozenset()
        seen |= {(state.fid, node)}
        facts = self.world.symbols.functions[state.fid].facts
        value = facts.nodes[node]
        if isinstance(value, f.Param):
            if state.parent is None:
                return frozenset((value.name,))
            return frozenset.intersection(
                *(self._names(caller, it, seen) for caller, it, _ in self.given(state, value.name))
            )
        found: frozenset[str] = frozenset()
        if isinstance(value, f.Item):
            step = facts.nodes[value.key] if value.key >= 0 else None
            return self._names(state, value.base, seen) | (
                frozenset((step.text.strip("'\""),)) if isinstance(step, f.Const) else found
            )
        if isinstance(value, f.Attr):
            return self._names(state, value.base, seen) | {value.name}
        for part in children(facts, value):
            found |= self._names(state, part, seen)
        return found
