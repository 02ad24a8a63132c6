"""A value is computed from shared state, the task waits, and what it writes back undoes what others wrote."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Updates of a task that another task's update can fall into."""
    for race in program.races:
        if race.pattern == "await-read-modify-write":
            yield _finding(race, phrasing)


def _finding(race: Race, phrasing: Phrasing) -> Finding:
    act = race.act
    assert act is not None
    place = phrasing.short(race.name)
    message = (
        f"{place}: it is read, the task waits at line {race.gap}, and it is written back at line {act.touch.line}; "
        f"{phrasing.turns(race)}"
    )
    return phrasing.finding(
        race,
        RULE.name,
        RULE.code,
        RULE.severity if race.severe else "warning",
        message,
        first=phrasing.side(race.first, until=act, access="update", detail="read, await, written back"),
        second=phrasing.side(phrasing.other(race)),
        consequence="what other tasks wrote meanwhile is overwritten with a value computed from the old one",
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
