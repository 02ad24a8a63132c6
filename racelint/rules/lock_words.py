"""Words for what goes wrong with locks: findings made of locks being taken, with the ways that lead there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from racelint.analysis.watch import Take
from racelint.model.findings import Confidence, Finding, Severity, Side
from racelint.rules.phrasing import Phrasing, fingerprint


def taking(phrasing: Phrasing, take: Take, access: str = "acquire", detail: str = "") -> Side:
    """The side of a finding on which a lock is taken, with what is held by then."""
    side = phrasing.side(take.at, access=access, detail=detail or f"takes `{phrasing.short(take.lock.name)}`")
    return replace(side, locks=names(take))


def names(take: Take) -> tuple[str, ...]:
    """The locks held when one is taken."""
    return tuple(dict.fromkeys(held.at.touch.name for held in take.before))


def where(phrasing: Phrasing, take: Take) -> str:
    """``path:line`` of a lock being taken."""
    return phrasing.where(take.at)


def confidence(doubt: int, *, assumed: bool = False) -> Confidence:
    """How sure something is that rests on so many doubtful steps."""
    if doubt > 1:
        return "low"
    return "medium" if doubt or assumed else "high"


def finding(
    phrasing: Phrasing,
    rule: str,
    code: str,
    severity: Severity,
    message: str,
    *,
    sure: Confidence,
    place: str,
    sides: Sequence[Side],
    consequence: str,
    advice: str,
    why: str = "",
    notes: Sequence[str] = (),
) -> Finding:
    """The finished finding, known again by its place and the functions of its sides."""
    parts = (place, *(side.function for side in sides))
    return Finding(
        rule=rule,
        code=code,
        severity=severity,
        confidence=sure,
        message=message,
        place=place,
        fingerprint=fingerprint(rule, *parts),
        local_fingerprint=fingerprint(rule, *map(phrasing.local, parts)),
        sides=tuple(sides),
        why=why,
        consequence=consequence,
        help=advice,
        notes=tuple(notes),
    )
