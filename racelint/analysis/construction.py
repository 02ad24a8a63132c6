"""What a constructor sets after it has started something that may read it (``Thread(target=self.run).start()``)."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from racelint.analysis.walk import Reached, State
from racelint.link.call_sites import Event, in_loop
from racelint.link.calls import targets
from racelint.link.world import World
from racelint.model import facts as f

# Calls from a constructor to what starts something.
FAR = 4


class Construction:
    """Knows attributes that an object has too late."""

    def __init__(self, world: World) -> None:
        self.world = world

    def sets(self, access: Reached) -> bool:
        """Whether an access gives an object under construction an attribute that it has not had before."""
        touch = access.touch
        return touch.effect == "rebind" and not touch.content and not self._set_before(access)

    def started(self, access: Reached, reader: Reached) -> bool:
        """Whether the constructor has started the reader by then, and this one may come first."""
        entry = reader.state.entry
        begun = entry.exact and self._begins(access.touch.fid, access.touch.event, entry.begins & access.started, FAR)
        return begun and not reader.late and not self._made_later(access, reader)

    def _begins(self, fid: str, end: int, sites: AbstractSet[Event], depth: int) -> bool:
        """Whether a function begins something at one of some calls before an event, itself or by what it calls.

        What others have begun runs on another object.
        """
        if any(where == fid and at < end for where, at in sites):
            return True
        if not sites or not depth:
            return False
        functions = self.world.symbols.functions
        called = {
            target.name
            for at in range(end)
            for callee in self.world.callees.get((fid, at), ())
            for target in targets(self.world, callee)
        }
        return any(
            self._begins(name, len(functions[name].facts.events), sites, depth - 1) for name in sorted(called - {fid})
        )

    def _made_later(self, access: Reached, reader: Reached) -> bool:
        """Whether the way to a reader leads through a function that the constructor defines only further down."""
        functions = self.world.symbols.functions
        facts = functions[access.touch.fid].facts
        if in_loop(facts, facts.events[access.touch.event].block):
            return False
        state: State | None = reader.state
        while state is not None:
            info = functions[state.fid]
            if info.parent == access.touch.fid and info.facts.line > access.touch.line:
                return True
            state = state.parent
        return False

    def _set_before(self, access: Reached) -> bool:
        """Whether the attribute has a value already: assigned earlier in this constructor, or on the class."""
        touch = access.touch
        info = self.world.symbols.functions[touch.fid]
        attribute = str(touch.place[2])
        base = touch.base
        if base is not None and base.kind == "inst":
            for parent in self.world.class_of(base.name).mro:
                if attribute in self.world.class_of(parent).class_attrs:
                    return True
                init = self.world.class_of(parent).methods.get("__init__")
                if init is not None and init != touch.fid and self._assigns(init, attribute, None):
                    return parent != info.cls or not _inside(access.state, init)
        return self._assigns(touch.fid, attribute, touch.event)

    def _assigns(self, fid: str, attribute: str, before: int | None) -> bool:
        facts = self.world.symbols.functions[fid].facts
        for event in facts.events[:before]:
            if isinstance(event, f.Access) and event.kind == "store":
                node = facts.nodes[event.target]
                if isinstance(node, f.Attr) and node.name == attribute:
                    return True
        return False


def _inside(state: State, fid: str) -> bool:
    """Whether a function is on the way to a state: what it does may be before or after."""
    current: State | None = state
    while current is not None and current.fid != fid:
        current = current.parent
    return current is not None
