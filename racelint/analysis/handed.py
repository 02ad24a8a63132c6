"""Objects that are made for one start and given to what is started, and to nobody else.

``create_task(run(Cause()))`` in a loop starts many tasks, each with a cause of its own: two runs of one entry point
never meet in one. Source: the ownership of arguments in Blackshear et al., "RacerD" (OOPSLA 2018), 4.2.
"""

from __future__ import annotations

from racelint.analysis.sharing import Sharing
from racelint.analysis.walk import Reached
from racelint.link.call_sites import in_loop
from racelint.link.world import World


class Handed:
    """Knows whether what an access is to belongs to one run of its entry point."""

    def __init__(self, world: World, sharing: Sharing) -> None:
        self.world = world
        self.sharing = sharing

    def alone(self, access: Reached) -> bool:
        """Whether an access is to an object (or a part of one) that was made where its entry point was started."""
        obj, entry = access.touch.base, access.state.entry
        while obj is not None and obj.owner is not None:
            obj = obj.owner
        if obj is None or obj.kind != "inst" or not entry.once or len(entry.begins) != 1:
            return False
        ((fid, index),) = entry.begins
        made = self.world.made_by(obj)
        if made is None or made[0].id != fid:
            return False
        facts = made[0].facts
        if facts.kind == "module":
            return False
        if in_loop(facts, facts.events[index].block) and not in_loop(facts, made[1].block):
            return False
        return self.world.heap.plain(obj) not in self.sharing.beside(entry).objects
