"""A shared object is created on first use without a lock, or seen before it is complete."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Lazy initialisation that two contexts can enter at once."""
    for race in program.races:
        if race.pattern == "lazy-singleton":
            yield _finding(race, phrasing)
        elif race.pattern == "late-init":
            yield _late(race, phrasing)


def _finding(race: Race, phrasing: Phrasing) -> Finding:
    act = race.act
    assert act is not None
    place = phrasing.short(race.name)
    if act.locks and not race.first.locks:
        lock = phrasing.short(act.locks[0].name)
        what = f"checked here without `{lock}` and not checked again before the assignment at line {phrasing.line(act)}"
    else:
        what = f"created on first use, with no lock from the check to the assignment at line {phrasing.line(act)}"
    return phrasing.finding(
        race,
        RULE.name,
        RULE.code,
        RULE.severity if race.severe else "warning",
        f"{place}: {what}; {phrasing.meets(race)}",
        first=phrasing.side(race.first, until=act, access="check", detail="check, then create"),
        second=phrasing.side(phrasing.other(race)),
        consequence="two instances are created, and users of the first keep working with an object nobody else knows",
        advice=phrasing.lock_advice(race) + ", and check again under it",
    )


def _late(race: Race, phrasing: Phrasing) -> Finding:
    place = phrasing.short(race.name)
    entry = phrasing.entry_name(race.second)
    message = f"{place}: set here after {entry}, which reads it at {phrasing.where(race.second)}, has been started"
    return phrasing.finding(
        race,
        RULE.name,
        RULE.code,
        RULE.severity if not race.second.state.depth else "warning",  # it has to get there first
        message,
        first=phrasing.side(race.first),
        second=phrasing.side(race.second),
        consequence="the thread may run first: AttributeError, or it works with an object that is not complete",
        advice="set the attribute before the start",
    )


RULE = Rule(
    "unsafe-publication",
    "RL106",
    "a shared object is created on first use, or published before it is complete, without a lock",
    "error",
    (362, 543),
    "0.1",
    check,
)
