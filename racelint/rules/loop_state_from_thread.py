"""An object that belongs to an event loop is used from another thread."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.loop_bound import Foreign, foreign
from racelint.analysis.program import Program
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules import lock_words as words
from racelint.rules.phrasing import CONTEXT_WORDS, Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Uses of a loop's objects from threads that are not the loop's."""
    for found in foreign(program):
        yield _finding(found, phrasing)


def _finding(found: Foreign, phrasing: Phrasing) -> Finding:
    use, other = found.use, found.other
    touch = use.at.touch
    function = phrasing.short(phrasing.function(use.at).display)
    kind = CONTEXT_WORDS[use.at.state.entry.kind]
    subject = phrasing.short(touch.name) if touch.name not in (touch.type, use.method) else ""
    method = use.method.rpartition(".")[2]
    bound = subject or "the loop"
    call = f"{subject}.{method}" if subject else use.method
    outside = "outside of its event loop's thread"
    todo, doing = "use", f"calls {method}()"
    if use.given is None:
        said = (
            f"{function}() calls `{method}()` of this {touch.type} {outside}, in {phrasing.entry_name(use.at)} ({kind})"
        )
    else:
        said = f"{function}() hands `{method}` of this {touch.type} to {use.given[1]}, which calls it {outside}"
        todo, doing = "hand over a function that calls", f"hands on {method}"
    sides = [phrasing.side(use.at, access="update", detail=doing)]
    if other is not None:
        doing = "runs the loop" if other.method in other.row.runs else f"calls {other.method}()"
        sides.append(
            phrasing.side(other.at, access="await" if other.method in other.row.awaited else "update", detail=doing)
        )
    return words.finding(
        phrasing,
        RULE.name,
        RULE.code,
        RULE.severity,
        f"{bound}: {said}",
        sure=words.confidence(use.at.state.doubt, assumed=other is None or use.kept),
        place=touch.name,
        sides=sides,
        why=found.why,
        consequence=f"{use.row.why}: lost wake-ups, and callbacks that run when something else wakes the loop",
        advice=f"{todo} `{use.row.instead.format(call=call)}`",
    )


RULE = Rule(
    "loop-state-from-thread",
    "RL204",
    "an object of an event loop is used from another thread",
    "error",
    (362, 820),
    "0.1",
    check,
)
