"""A value is computed from shared state, the task waits, and what it writes back undoes what others wrote."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import Phrasing

# What is lost when a value is written back, and when what was copied is thrown away.
LOST = (
    "what other tasks wrote meanwhile is overwritten with a value computed from the old one",
    "what other tasks add after the copy is thrown away unread",
)


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Updates of a task that another task's update can fall into."""
    for race in program.races:
        if race.pattern == "await-read-modify-write":
            yield _finding(race, phrasing)


def _finding(race: Race, phrasing: Phrasing) -> Finding:
    act = race.act
    assert act is not None
    place = phrasing.short(race.name)
    gap = phrasing.line(race.first, race.gap)
    reads, writes = ("copied", "emptied") if race.drains else ("read", "written back")
    message = (
        f"{place}: it is {reads}, the task waits at line {gap}, and it is {writes} at line {phrasing.line(act)}; "
        f"{phrasing.turns(race)}"
    )
    return phrasing.finding(
        race,
        RULE.name,
        RULE.code,
        RULE.severity if race.severe else "warning",
        message,
        first=phrasing.side(race.first, until=act, access="update", detail=f"{reads}, await, {writes}"),
        second=phrasing.side(phrasing.other(race)),
        consequence=LOST[race.drains],
        advice="wait first, then read and write without an await between, or " + phrasing.task_advice(race),
    )


RULE = Rule(
    "await-read-modify-write",
    "RL202",
    "a task reads shared state, waits, and writes back a value computed from what it read",
    "error",
    (362, 366),
    "0.1",
    check,
)
