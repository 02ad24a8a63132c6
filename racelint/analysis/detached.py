"""Containers that a function has taken out of their place: ``items, self.items = self.items, []``.

Whoever comes now finds the new one in the place; the old one is left to the function that has put another there.
"""

from __future__ import annotations

from racelint.analysis.effects import touched
from racelint.analysis.flow import Flows
from racelint.analysis.walk import Reached
from racelint.link.world import World
from racelint.model import facts as f


class Detached:
    """Knows accesses to what its function has put something else in the place of."""

    def __init__(self, world: World) -> None:
        self.flows = Flows(world.symbols.functions)
        self._known: dict[tuple[str, int], bool] = {}

    def has(self, access: Reached) -> bool:
        """Whether an access is to the content of a container that is no longer where others would look for it."""
        touch = access.touch
        if not touch.content:
            return False
        key = (touch.fid, touch.event)
        found = self._known.get(key)
        if found is None:
            flow = self.flows[touch.fid]
            found = self._known[key] = self._replaced(touch.fid, touched(flow.facts, touch), touch.event)
        return found

    def _replaced(self, fid: str, node: int, event: int) -> bool:
        """Whether the slot that a value was read from is bound anew between the reading and an event."""
        flow = self.flows[fid]
        events = flow.facts.events
        read = next(
            (
                index
                for index, load in enumerate(events[:event])
                if isinstance(load, f.Access) and load.kind == "load" and load.result == node
            ),
            -1,
        )
        load = events[read] if read >= 0 else None
        if not isinstance(load, f.Access):
            return False
        around = flow.ancestors(events[event].block)
        return any(
            isinstance(store, f.Access)
            and store.kind == "store"
            and store.block in around
            and flow.same_path(store.target, load.target)
            and not flow.same_value(store.value, node)
            for store in events[read + 1 : event]
        )
