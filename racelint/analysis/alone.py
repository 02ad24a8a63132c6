"""What one context alone has: it took it out of where others look, or its key says that it is this one's."""

from __future__ import annotations

from collections.abc import Callable

from racelint.analysis.detached import Detached
from racelint.analysis.identified import Identified
from racelint.analysis.own_entries import OwnEntries
from racelint.analysis.serialised import Serialised
from racelint.analysis.taken import Taken
from racelint.analysis.walk import Reached
from racelint.link.call_sites import CallSites
from racelint.link.evaluate import Evaluator
from racelint.link.world import World


class Alone:
    """Knows pairs of accesses of which one is to what its context alone has, whoever else runs meanwhile."""

    def __init__(self, world: World, sites: CallSites, evaluator: Callable[[str], Evaluator]) -> None:
        self.identified = Identified(world, sites, evaluator)
        self.taken = Taken(world, evaluator)
        self.detached = Detached(world, sites)
        self.serialised = Serialised(world)
        self.own_entries = OwnEntries(world, evaluator)

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses are to different objects or entries for one of these reasons."""
        return self.identified.apart(a, b) or self.taken.apart(a, b) or self.detached.apart(a, b)
