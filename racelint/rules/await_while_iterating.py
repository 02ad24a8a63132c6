"""A task waits inside a loop over a shared container, and another task adds or removes elements."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import VERBS, Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Loops of a task over containers that other tasks change."""
    for race in program.races:
        if race.pattern == "await-while-iterating":
            yield _finding(race, phrasing)


def _finding(race: Race, phrasing: Phrasing) -> Finding:
    place = phrasing.short(race.name)
    change = f"the {VERBS[race.second.touch.effect]} at {phrasing.where(race.second)}"
    gap = phrasing.line(race.first, race.gap)
    message = f"{place}: the task waits at line {gap} while it iterates; {phrasing.turns(race)}, with {change}"
    if race.first.touch.type == "list":
        consequence = "elements are skipped or seen twice, without an exception"
    else:
        consequence = "RuntimeError: the container changed size during iteration"
    return phrasing.finding(
        race,
        RULE.name,
        RULE.code,
        RULE.severity,
        message,
        first=phrasing.side(race.first, access="iterate"),
        second=phrasing.side(race.second),
        consequence=consequence,
        advice=f"iterate over a copy, such as `list({place.rpartition('.')[2]})`",
    )


RULE = Rule(
    "await-while-iterating",
    "RL203",
    "a task waits inside a loop over a container that another task can change",
    "error",
    (362,),
    "0.1",
    check,
)
