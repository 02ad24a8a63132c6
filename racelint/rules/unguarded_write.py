"""A shared container is changed from contexts that overlap, with no common lock; each single step is atomic."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import VERBS, Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Changes that may come in any order."""
    for race in program.races:
        if race.pattern == "write":
            yield _finding(race, phrasing)


def _finding(race: Race, phrasing: Phrasing) -> Finding:
    place = phrasing.short(race.name)
    verb = VERBS[race.first.touch.effect]
    message = f"{place}: {verb} {phrasing.locks_text(race.first)} shared with its other writer; {phrasing.meets(race)}"
    if race.first.touch.atomic:
        consequence = "each step is atomic, their order is not: the last writer wins, readers see halves of an update"
    else:
        consequence = "this container is Python code: two operations at once can corrupt it or raise"
    return phrasing.finding(
        race,
        RULE.name,
        RULE.code,
        "error" if race.severe else "note" if race.mild else "warning",
        message,
        first=phrasing.side(race.first),
        second=phrasing.side(phrasing.other(race)),
        consequence=consequence,
        advice=phrasing.lock_advice(race),
    )


RULE = Rule(
    "unguarded-write",
    "RL101",
    "a shared container is changed from overlapping contexts without a common lock",
    "warning",
    (362, 820),
    "0.1",
    check,
)
