"""A function requires its callers to hold a lock, and is called without it."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.enforce import Breach
from racelint.analysis.program import Program
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules.phrasing import CONTEXT_WORDS, Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Calls that the contract of the function called forbids."""
    for breach in program.breaches:
        if breach.contract.kind == "requires":
            yield _finding(breach, phrasing)


def _finding(breach: Breach, phrasing: Phrasing) -> Finding:
    contract, call = breach.contract, breach.reached
    assert contract.named is not None
    callee, lock = phrasing.short(call.touch.name), phrasing.short(contract.named.lock.name)
    if call.touch.event < 0:
        message = f"{callee}() begins to run ({CONTEXT_WORDS[call.state.entry.kind]}) where nobody holds `{lock}`"
    else:
        kept = f" ({breach.held} of {breach.total} calls hold it)" if breach.held else ""
        message = f"{callee}() is called without `{lock}`, which it requires{kept}"
    return phrasing.breach(
        breach,
        RULE.name,
        RULE.code,
        RULE.severity,
        message,
        side=phrasing.side(call, access="acquire", detail=f"call of {callee}()"),
        consequence="what the function does under the lock of its caller is done under none",
        advice=f"hold `{lock}` over the call, or declare that this function requires it as well",
    )


RULE = Rule(
    "requires",
    "RL402",
    "a function that requires a lock is called without it",
    "error",
    (362, 820),
    "0.1",
    check,
)
