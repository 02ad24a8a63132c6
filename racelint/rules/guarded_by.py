"""A place is declared to be guarded by a lock, and is touched without it."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.enforce import Breach
from racelint.analysis.program import Program
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import VERBS, Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Accesses that the place's contract forbids."""
    for breach in program.breaches:
        if breach.contract.kind == "guarded-by":
            yield _finding(breach, phrasing)


def _finding(breach: Breach, phrasing: Phrasing) -> Finding:
    contract, access = breach.contract, breach.reached
    assert contract.named is not None
    place, lock = phrasing.short(contract.subject), phrasing.short(contract.named.lock.name)
    verb = "read" if access.touch.effect == "snapshot" else VERBS[access.touch.effect]
    reading = any(held.reading for held in access.locks)
    how = f"under the reader's half of `{lock}`" if reading else f"without `{lock}`"
    kept = f" ({breach.held} of {breach.total} accesses hold it)" if breach.held and not reading else ""
    message = f"{place}: {verb} {how}, which guards it by contract{kept}"
    return phrasing.breach(
        breach,
        RULE.name,
        RULE.code,
        RULE.severity,
        message,
        side=phrasing.side(access),
        consequence="this access can fall into the middle of what others do under the lock",
        advice=f"hold `{lock}` here, or declare `# racelint: requires({contract.named.text})` if every caller holds it",
    )


RULE = Rule(
    "guarded-by",
    "RL401",
    "a place that is declared to be guarded by a lock is touched without it",
    "error",
    (362, 820),
    "0.1",
    check,
)
