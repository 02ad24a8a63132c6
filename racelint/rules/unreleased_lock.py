"""A lock is acquired, and some way out of the function does not release it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from msgspec import structs

from racelint.analysis.program import Program
from racelint.analysis.unreleased import Releases, Unreleased
from racelint.model import facts as f
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules import lock_words as words
from racelint.rules.phrasing import Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Acquisitions without a sure release."""
    for found in Releases(program).find():
        yield _finding(found, phrasing)


def _finding(found: Unreleased, phrasing: Phrasing) -> Finding:
    take = found.take
    info = phrasing.function(take.at)
    lock, function = phrasing.short(take.at.touch.name), phrasing.short(info.display)
    sides = [words.taking(phrasing, take)]
    advice = f"use `with {lock.rpartition('.')[2]}:`, or release it in a `finally`"
    taken = f"{lock}: {function}() acquires it at line {phrasing.line(take.at)} and"
    if found.left_at < 0:
        message = f"{taken} nothing in the project ever releases it"
    else:
        event = info.facts.events[found.left_at]
        at = replace(take.at, touch=structs.replace(take.at.touch, event=found.left_at, line=event.line, name=""))
        leaves = "returns" if isinstance(event, f.Return) else "may be left by an exception"
        sides.append(
            replace(phrasing.side(at, access="read", detail=leaves), locks=(*words.names(take), take.at.touch.name))
        )
        release = phrasing.line(at, found.release)
        message = f"{taken} {leaves} at line {phrasing.line(at)} without the release at line {release}"
    return words.finding(
        phrasing,
        RULE.name,
        RULE.code,
        RULE.severity,
        message,
        sure=words.confidence(take.at.state.doubt, assumed=take.lock.assumed),
        place=take.at.touch.name,
        sides=sides,
        why="a lock stays held until somebody releases it",
        consequence="everybody who wants the lock waits for ever",
        advice=advice,
    )


RULE = Rule(
    "unreleased-lock",
    "RL303",
    "a lock is acquired, and some way out of the function does not release it",
    "warning",
    (667,),
    "0.1",
    check,
)
