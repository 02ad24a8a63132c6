"""A shared container is walked while another context adds or removes elements."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import VERBS, Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Loops over containers that change under them."""
    for race in program.races:
        if race.pattern == "iterate":
            yield _finding(race, phrasing)


def _finding(race: Race, phrasing: Phrasing) -> Finding:
    place = phrasing.short(race.name)
    change = VERBS[race.second.touch.effect]
    handed_out = phrasing.hands_out(race.first)
    done = "a live view is returned, and walked" if handed_out else "iterated"
    message = (
        f"{place}: {done} while the {change} at {phrasing.where(race.second)} may change it; {phrasing.meets(race)}"
    )
    kind = race.first.touch.type
    if kind == "list":
        consequence = "elements are skipped or seen twice, without an exception"
    elif kind == "collections.deque":
        consequence = "RuntimeError: deque mutated during iteration"
    elif kind == "set":
        consequence = "RuntimeError: Set changed size during iteration"
    else:
        consequence = "RuntimeError: dictionary changed size during iteration"
    others = sorted({phrasing.short(lock.name) for lock in race.second.locks})
    if race.fed is not None:
        advice = race.fed.instead
    elif handed_out:
        advice = "return a copy, such as `list(...)` of the view"
    elif steps := _steps(phrasing, kind):
        advice = steps
    elif others:
        advice = f"iterate over a copy taken under `{others[0]}`, which the other side holds"
    else:
        advice = f"iterate over a copy, such as `list({place.rpartition('.')[2]})`"
    return phrasing.finding(
        race,
        RULE.name,
        RULE.code,
        RULE.severity,
        message,
        first=phrasing.side(race.first, access="iterate"),
        second=phrasing.side(race.second),
        consequence=consequence,
        advice=advice,
    )


def _steps(phrasing: Phrasing, kind: str) -> str:
    """What to do where even a copy of the container walks it step by step; empty where a copy helps."""
    row = phrasing.world.container_row(kind)
    if row is None or row.snapshot_safe:
        return ""
    whole = [f"`{name}()`" for name, effect in row.methods.items() if effect == "snapshot"]
    other = f", or walk what {' or '.join(whole)} gives" if whole else ""
    return f"hold one lock over the walk and over every change{other}: a copy is taken step by step, too"


RULE = Rule(
    "mutate-while-iterating",
    "RL104",
    "a container is iterated while another context adds or removes elements",
    "error",
    (362,),
    "0.1",
    check,
)
