"""A test on shared state decides over a later step, and another context can change the state in between."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import VERBS, Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Compounds whose check another context can make wrong."""
    for race in program.races:
        if race.pattern == "check-then-act":
            yield _finding(race, phrasing)


def _finding(race: Race, phrasing: Phrasing) -> Finding:
    act = race.act
    assert act is not None
    place = phrasing.short(race.name)
    other = phrasing.other(race)
    check = f"the check{phrasing.made_in(race.first)}"
    step = f"the {VERBS[act.touch.effect]}{phrasing.made_in(act)} at line {phrasing.line(act)}"
    held = "are in two critical sections" if race.split else "are not atomic"
    message = f"{place}: {check} and {step} {held}; {phrasing.meets(race)}"
    return phrasing.finding(
        race,
        RULE.name,
        RULE.code,
        "error" if race.severe else "warning",
        message,
        first=phrasing.side(race.first, until=act, access="check", detail=f"check, then {VERBS[act.touch.effect]}"),
        second=phrasing.side(other),
        consequence=_consequence(race),
        advice=_advice(race, phrasing),
    )


def _advice(race: Race, phrasing: Phrasing) -> str:
    if race.fed is not None:
        return f"look it up once, and test what that gave: no lock keeps {race.second.state.entry.row} out"
    return phrasing.lock_advice(race) + ", from the check to the act"


def _consequence(race: Race) -> str:
    act = race.act
    assert act is not None
    if act.touch.effect in ("item", "delete"):
        return "the entry is gone when it is used: KeyError or IndexError in production"
    if act.touch.effect == "read":
        return "the value is None when it is used: AttributeError or TypeError in production"
    if act.touch.aug:
        return "both pass the check before either is counted: more is taken than there is"
    if act.touch.effect == "rebind":
        return "both see nothing there and both create it: one of the two is lost, or work is done twice"
    return "both find the entry missing and both add it: the work is done twice and one result is lost"


RULE = Rule(
    "check-then-act",
    "RL102",
    "a check and the step that relies on it can be separated by another context",
    "error",
    (362, 367),
    "0.1",
    check,
)
