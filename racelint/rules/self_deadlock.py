"""A lock that does not let its own holder in is taken again while it is held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from msgspec import structs

from racelint.analysis.deadlocks import Deadlocks, Twice
from racelint.analysis.interrupts import Interrupt, Interrupts
from racelint.analysis.program import Program
from racelint.analysis.walk import Reached
from racelint.model.findings import Finding
from racelint.rules import Rule
from racelint.rules import lock_words as words
from racelint.rules.phrasing import Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Locks that wait for themselves."""
    deadlocks = Deadlocks(program.world, program.watched.takes)
    for twice in deadlocks.twice():
        yield _finding(twice, phrasing)
    for interrupt in Interrupts(deadlocks, program.overlap).find():
        yield _interrupted(interrupt, phrasing)


def _finding(twice: Twice, phrasing: Phrasing) -> Finding:
    outer, inner = twice.outer, twice.inner
    place = outer.at.touch.name
    lock = phrasing.short(place)
    holder = phrasing.short(phrasing.function(outer.at).display)
    taker = phrasing.short(phrasing.function(inner.at).display)
    called = _call_under(phrasing, twice)
    way = f"and calls {called[1]}() at line {phrasing.line(called[0])}" if called is not None else "and"
    again = f"{taker}() takes it again" if called is None or called[1] != taker else "which takes it again"
    ahead = ", and " if called is not None and called[1] != taker else (", " if called is not None else " ")
    at_line = phrasing.line(inner.at)
    tasks = not inner.lock.threads
    at = called[0] if called is not None else inner.at
    first = phrasing.side(at, access="acquire", detail=f"holds `{lock}`")
    return words.finding(
        phrasing,
        RULE.name,
        RULE.code,
        RULE.severity,
        f"{lock}: {holder}() holds it from line {phrasing.line(outer.at)} {way}{ahead}{again} at line {at_line}",
        sure=words.confidence(twice.doubt),
        place=place,
        sides=(replace(first, locks=(place,)), words.taking(phrasing, inner)),
        why="this lock does not let its own holder in a second time",
        consequence="the task waits for itself for ever" if tasks else "the thread waits for itself for ever",
        advice=f"call a helper that expects `{lock}` to be held"
        + ("" if tasks else f", or make `{lock}` a threading.RLock where its holder may come in again"),
    )


def _interrupted(interrupt: Interrupt, phrasing: Phrasing) -> Finding:
    held, take = interrupt.held, interrupt.take
    place = held.at.touch.name
    lock = phrasing.short(place)
    holder, taker = (phrasing.short(phrasing.function(side.at).display) for side in (held, take))
    handler = phrasing.entry_name(take.at)
    inside = "" if take.at.state.parent is None else f" in {taker}()"
    first = phrasing.side(held.at, access="acquire", detail=f"holds `{lock}`")
    return words.finding(
        phrasing,
        RULE.name,
        RULE.code,
        RULE.severity,
        f"{lock}: {holder}() holds it from line {phrasing.line(held.at)} in the main thread, and the signal handler "
        f"{handler}, which may interrupt it there, takes it{inside} at line {phrasing.line(take.at)}",
        sure=words.confidence(interrupt.doubt),
        place=place,
        sides=(replace(first, locks=(place,)), words.taking(phrasing, take)),
        why=take.at.state.entry.why,
        consequence="the handler waits for ever for what it has interrupted, and with it the main thread",
        advice=f"let the handler only set a flag or start a thread, or take `{lock}` with blocking=False; a "
        "threading.RLock lets it in, in the middle of what its holder does",
    )


def _call_under(phrasing: Phrasing, twice: Twice) -> tuple[Reached, str] | None:
    """The call by which the holder of a lock comes to the place where it is taken again."""
    outer, state = twice.outer.at.state, twice.inner.at.state
    if state is outer:
        return None
    while state.parent is not None and state.parent is not outer:
        state = state.parent
    facts = phrasing.world.symbols.functions[outer.fid].facts
    line = facts.events[state.event].line
    called = phrasing.short(phrasing.world.symbols.functions[state.fid].display)
    touch = structs.replace(twice.outer.at.touch, line=line, event=state.event, name=called)
    return replace(twice.outer.at, touch=touch), called


RULE = Rule(
    "self-deadlock",
    "RL305",
    "a lock is taken again by who holds it, and does not let its holder in",
    "error",
    (833,),
    "0.1",
    check,
)
