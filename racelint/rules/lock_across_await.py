"""A coroutine holds a lock for threads while it waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from msgspec import structs

from racelint.analysis.held_awaits import HeldAwait, held_awaits
from racelint.analysis.program import Program
from racelint.model import facts as f
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules import lock_words as words
from racelint.rules.phrasing import Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Locks for threads that are held over an await."""
    for found in held_awaits(program):
        yield _finding(found, phrasing)


def _finding(found: HeldAwait, phrasing: Phrasing) -> Finding:
    take, other = found.take, found.other
    info = phrasing.function(take.at)
    event = info.facts.events[found.gap]
    lock, function = phrasing.short(take.at.touch.name), phrasing.short(info.display)
    what = "yields" if isinstance(event, f.Yield) else "awaits"
    at = replace(take.at, touch=structs.replace(take.at.touch, event=found.gap, line=event.line, name="await"))
    first = replace(
        phrasing.side(at, access="await", detail=f"{what} with `{lock}` held"),
        locks=(*words.names(take), take.at.touch.name),
    )
    sides = (first,) if other is None else (first, words.taking(phrasing, other))
    if found.reentrant:
        consequence = (
            "the tasks of a loop share a thread, so a lock of this kind lets all of them in: it guards nothing"
        )
    elif other is None or found.loop:
        consequence = "the next task that takes the lock stops the loop, which then never gets to release it: deadlock"
    else:
        consequence = "threads wait for as long as the task does, and for ever when it waits for one of them"
    message = (
        f"{lock}: {function}() {what} at line {phrasing.line(at)} while it holds this lock for threads, taken at line "
    )
    return words.finding(
        phrasing,
        RULE.name,
        RULE.code,
        RULE.severity,
        f"{message}{phrasing.line(take.at)}",
        sure=words.confidence(take.at.state.doubt, assumed=take.lock.assumed),
        place=take.at.touch.name,
        sides=sides,
        why="tasks of one loop take turns at every await, all of them in one thread",
        consequence=consequence,
        advice=f"release `{lock}` before the await, or make it an asyncio.Lock (`async with`) when only tasks take it",
    )


RULE = Rule(
    "lock-across-await",
    "RL301",
    "a coroutine holds a lock for threads while it waits",
    "error",
    (833, 667),
    "0.1",
    check,
)
