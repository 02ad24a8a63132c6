"""Plans for places of one event loop: an ``asyncio.Lock`` over what spans an await, a copy for a loop that waits.

Between two awaits nothing else runs, so single steps need no lock: only compounds with an await inside hold it, and the
steps of other tasks that would break them. Every ``async with`` is a new place to give way; that is why the others are
left as they are. Source: docs.python.org/3/library/asyncio-sync.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from racelint.analysis.effects import MUTATING
from racelint.analysis.flow import Flow
from racelint.analysis.program import Program
from racelint.analysis.turns import LoopGuards
from racelint.analysis.walk import Reached
from racelint.fix.plan import HoldKind, Planner, Refused, Sites
from racelint.link.symbols import FunctionInfo
from racelint.model import facts as f


class TaskPlanner(Planner):
    """Makes the plans for places whose races are all between tasks of one loop."""

    module = "asyncio"
    awaited = True

    def __init__(self, program: Program, sources: Mapping[str, str]) -> None:
        super().__init__(program, sources)
        self.guards = LoopGuards(program.world, frozenset())
        self.overlap = program.turns
        self._breaking: set[tuple[str, int]] = set()
        self._walked: set[tuple[str, int]] = set()

    def _look_at(self, sites: Sites) -> None:
        ends = [(race, part.touch) for race in sites.races for part in race.reached]
        self._breaking = {(touch.fid, touch.event) for race, touch in ends if race.pattern != "await-while-iterating"}
        self._walked = {
            (race.first.touch.fid, race.first.touch.event)
            for race in sites.races
            if race.pattern == "await-while-iterating"
        }

    def _spans(
        self, info: FunctionInfo, accesses: list[Reached], covered: set[int], rebound: bool, under: list[int]
    ) -> Iterator[tuple[int, int, HoldKind]]:
        flow = self.flows[info.id]
        touches = sorted({access.touch.event: access.touch for access in accesses}.items())
        found: list[tuple[int, int, HoldKind]] = []
        for position, (index, touch) in enumerate(touches):
            if (info.id, index) in self._walked:
                yield touch.line, touch.line, "copy"
            for earlier, other in touches[:position]:
                if {index, earlier} <= covered and self._one_region(info.id, accesses, earlier, index):
                    continue
                if not self._belong(flow, earlier, touch, rebound) or not _waits(flow, earlier, index):
                    continue
                if touch.aug and other.line == touch.line:
                    yield touch.line, touch.line, "first"
                else:
                    found.append((min(other.line, touch.line), max(other.line, touch.line), "compound"))
            if (
                (info.id, index) in self._breaking
                and not touch.aug
                and touch.effect in MUTATING
                and index not in covered
            ):
                found.append((touch.line, touch.line, "write"))
        if found and not info.facts.is_async:
            raise Refused(f"{info.display} changes it and is no coroutine: it cannot wait for the lock")
        yield from found


def _waits(flow: Flow, start: int, end: int) -> bool:
    return any(isinstance(event, f.Suspend) for event in flow.facts.events[start + 1 : end])
