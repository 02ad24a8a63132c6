"""A value is computed from shared state and written back; another context's write in between is lost."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import Phrasing

# What is lost when a value is written back, and when what was copied is thrown away.
LOST = (
    "two updates read the same old value and one of them is lost: counts are too low, entries vanish",
    "what is added after the copy and before the container is emptied is thrown away unread",
)


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Updates that another context's update can fall into."""
    for race in program.races:
        if race.pattern == "read-modify-write":
            yield _finding(race, phrasing)


def _finding(race: Race, phrasing: Phrasing) -> Finding:
    act = race.act
    assert act is not None
    place = phrasing.short(race.name)
    if act.touch.aug and act.touch.line == race.first.touch.line:
        what = "the update reads and writes back"
    elif race.drains:
        what = f"it is copied{phrasing.made_in(race.first)} here and emptied{phrasing.made_in(act)} at line"
        what = f"{what} {phrasing.line(act)}"
    else:
        what = f"it is read{phrasing.made_in(race.first)} here and written back{phrasing.made_in(act)} at line"
        what = f"{what} {phrasing.line(act)}"
    tail = ", in two critical sections" if race.split else " without a lock over both"
    message = f"{place}: {what}{tail}; {phrasing.meets(race)}"
    notes = []
    if race.latent:
        notes.append(
            "CPython 3.10 and later with the GIL happen not to switch threads inside this statement; nothing promises "
            "that, and free-threaded builds and other versions lose updates here"
        )
    return phrasing.finding(
        race,
        RULE.name,
        RULE.code,
        RULE.severity,
        message,
        first=phrasing.side(
            race.first,
            until=act,
            access="update",
            detail="copied, then emptied" if race.drains else "read, then written back",
        ),
        second=phrasing.side(phrasing.other(race)),
        consequence=LOST[race.drains],
        advice=phrasing.lock_advice(race) + ", over the read and the write",
        notes=notes,
    )


RULE = Rule(
    "read-modify-write",
    "RL103",
    "shared state is read, changed and written back while another context may do the same",
    "error",
    (362, 366),
    "0.1",
    check,
)
