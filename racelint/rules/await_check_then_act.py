"""A test on shared state decides over a step after an await, and another task can change the state meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.effects import Touch
from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.model import facts as f
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import VERBS, Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Compounds of a task whose check another task can make wrong."""
    for race in program.races:
        if race.pattern == "await-check-then-act":
            yield _finding(program, race, phrasing)


def _finding(program: Program, race: Race, phrasing: Phrasing) -> Finding:
    act = race.act
    assert act is not None
    place = phrasing.short(race.name)
    step = f"the {VERBS[act.touch.effect]} at line {phrasing.line(act)}"
    gap = phrasing.line(race.first, race.gap)
    message = f"{place}: the task waits at line {gap} between the check and {step}; {phrasing.turns(race)}"
    consequence = _consequence(program, act.touch)
    return phrasing.finding(
        race,
        RULE.name,
        RULE.code,
        "error" if race.severe else "warning",
        message,
        first=phrasing.side(race.first, until=act, access="check", detail=f"check, await, {VERBS[act.touch.effect]}"),
        second=phrasing.side(phrasing.other(race)),
        consequence=consequence,
        advice=phrasing.task_advice(race) + ", or keep the task itself (a future) under the key before the first await",
    )


def _consequence(program: Program, touch: Touch) -> str:
    if touch.effect in ("item", "delete"):
        return "the entry is gone when the task goes on: KeyError or IndexError in production"
    if touch.effect == "read":
        return "the value is None when the task goes on: AttributeError or TypeError in production"
    value = program.world.symbols.functions[touch.fid].facts.nodes[touch.value] if touch.value >= 0 else None
    stored = value.text if type(value) is f.Const and touch.effect == "rebind" else ""
    if stored == "None":
        return "what another task puts there meanwhile is lost: it stays open, and nobody uses it"
    if stored in ("True", "False"):
        return "every task that comes before the flag is set takes the guarded step as well: it is done twice"
    return "several tasks see nothing there and all create it: work is done twice, and all but one are lost"


RULE = Rule(
    "await-check-then-act",
    "RL201",
    "a task waits between a check and the step that relies on it, and another task can run there",
    "error",
    (362, 367),
    "0.1",
    check,
)
