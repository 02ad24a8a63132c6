"""Threads that an object has started and waited for: what comes after is alone with the object.

A constructor starts the one thread of the object and keeps it; a method that has waited for it looks at what it has
left behind, wherever else other objects of the class are made.
"""

from __future__ import annotations

from racelint.analysis.effects import touched
from racelint.analysis.walk import Reached
from racelint.contexts import EntryPoint
from racelint.link.call_sites import in_loop
from racelint.link.symbols import FunctionInfo
from racelint.link.world import World
from racelint.model import facts as f


class Joined:
    """Knows accesses that come after the end of the thread of the object they are to."""

    def __init__(self, world: World) -> None:
        self.world = world

    def after(self, late: Reached, early: Reached) -> bool:
        """Whether ``late`` is to an object whose own thread it has waited for, and ``early`` is made by that thread."""
        entry = early.state.entry
        maker = self._maker(entry)
        if maker is None or not self._of_maker(early, maker):
            return False
        info = self.world.symbols.functions[late.touch.fid]
        facts = info.facts
        if info.cls is None or maker.cls is None or not facts.params or facts.kind != "function":
            return False
        me = f.Param(facts.params[0].name)
        node = touched(facts, late.touch)
        if node < 0 or facts.nodes[node] != me or maker.cls not in self.world.class_of(info.cls).mro:
            return False
        return any(
            self._keeps(facts, call, me, maker)
            for index, call in enumerate(facts.events[: late.touch.event])
            if isinstance(call, f.Call)
            and (info.id, index) in entry.ends
            and _on_the_way(facts, call.block, facts.events[late.touch.event].block)
        )

    def _maker(self, entry: EntryPoint) -> FunctionInfo | None:
        """The constructor that starts a thread, once for each object."""
        if len(entry.begins) != 1:
            return None
        ((fid, index),) = entry.begins
        info = self.world.symbols.functions[fid]
        facts = info.facts
        once = facts.name == "__init__" and info.cls is not None and not in_loop(facts, facts.events[index].block)
        return info if once and facts.params else None

    def _of_maker(self, access: Reached, maker: FunctionInfo) -> bool:
        """Whether a thread's access is to the object that has started it."""
        facts = self.world.symbols.functions[access.touch.fid].facts
        node = touched(facts, access.touch)
        if node < 0 or access.state.parent is not None:
            return False
        me = maker.facts.params[0].name
        if facts.nodes[node] == f.Captured(maker.facts.qualname, me):
            return True
        bound = access.state.entry.target.kind == "bound" and bool(facts.params)
        return bound and facts.nodes[node] == f.Param(facts.params[0].name)

    def _keeps(self, facts: f.Function, call: f.Call, me: f.Param, maker: FunctionInfo) -> bool:
        """Whether what is waited for is in an attribute that only ever has what the constructor has made."""
        func = facts.nodes[call.func]
        kept = facts.nodes[func.base] if isinstance(func, f.Attr) else None
        if not isinstance(kept, f.Attr) or facts.nodes[kept.base] != me or maker.cls is None:
            return False
        objs = self.world.get(self.world.own_slot(maker.cls, kept.name))
        return bool(objs) and all(obj.site is not None and obj.site[0] == maker.id for obj in objs)


def _on_the_way(facts: f.Function, block: int, later: int) -> bool:
    """Whether a block is one that a later one is inside of, so that it is passed before."""
    while later > 0 and later != block:
        later = facts.blocks[later].parent
    return later == block
