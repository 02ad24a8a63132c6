"""Most accesses of a place hold one lock; this one does not."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import VERBS, Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Accesses that break the rule the other accesses keep."""
    for race in program.races:
        if race.pattern == "guard":
            yield _finding(race, phrasing)


def _finding(race: Race, phrasing: Phrasing) -> Finding:
    guard = race.guard
    assert guard is not None
    place = phrasing.short(race.name)
    lock = phrasing.short(guard.lock.name)
    verb = VERBS[race.first.touch.effect] if race.act is None else "check and act"
    message = (
        f"{place}: {verb} without `{lock}`, which {guard.held} of {guard.total} accesses hold; {phrasing.meets(race)}"
    )
    return phrasing.finding(
        race,
        RULE.name,
        RULE.code,
        "error" if race.severe else "note" if race.mild else "warning",
        message,
        first=phrasing.side(race.first, until=race.act),
        second=phrasing.side(race.second),
        consequence="this access can fall into the middle of what the others do under the lock",
        advice=phrasing.lock_advice(race),
    )


RULE = Rule(
    "inconsistent-guard",
    "RL105",
    "most accesses hold a lock that this one does not",
    "error",
    (362, 820),
    "0.1",
    check,
)
