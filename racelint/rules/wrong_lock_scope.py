"""A lock is held that is not the one others hold: made for one call, one instance, one loop, or simply another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from msgspec import structs

from racelint.analysis.effects import Touch
from racelint.analysis.lock_scope import Misguided, PerCall, misguided, per_call
from racelint.analysis.locks import Lock
from racelint.analysis.program import Program
from racelint.analysis.walk import Group, Reached, State
from racelint.contexts.entry_points import EntryPoint
from racelint.model.findings import Finding, Side
from racelint.rules import Rule
from racelint.rules import lock_words as words
from racelint.rules.phrasing import Phrasing


def check(program: Program, phrasing: Phrasing) -> Iterator[Finding]:
    """Locks that do not exclude those they are meant for."""
    for single in per_call(program.world):
        yield _made_anew(single, program, phrasing)
    for found in misguided(program):
        yield _apart(found, phrasing)


def _made_anew(found: PerCall, program: Program, phrasing: Phrasing) -> Finding:
    info = found.info
    region = info.facts.regions[found.region]
    function = phrasing.short(info.display)
    place = f"{info.display}.<lock>"
    state, group = program.watched.visited.get(info.id) or _unreached(program, info.id)
    kind = found.name.rpartition(".")[2]
    touch = Touch(("lock", info.id), None, kind, "read", False, info.id, max(region.call, 0), region.line)
    taken = Reached(touch, state, group, (), frozenset())
    side = phrasing.side(taken, access="acquire", detail="takes a lock of its own")
    made = phrasing.line(taken, found.made)
    return words.finding(
        phrasing,
        RULE.name,
        RULE.code,
        RULE.severity,
        f"{function}() holds a {found.name} that it has made itself at line {made}: every call has another one",
        sure="high",
        place=place,
        sides=(side,),
        why="a lock excludes only those who take the same lock object",
        consequence="nobody else can hold this lock, so nobody is kept out",
        advice="make the lock once, where what it guards is kept: in `__init__`, in the class, or in the module",
    )


def _unreached(program: Program, fid: str) -> tuple[State, Group]:
    """The state of a function of which it is not known who calls it."""
    info = program.world.symbols.functions[fid]
    target = program.world.heap.make("func", fid)
    entry = EntryPoint(target, "any", False, False, "whoever calls it", "any", info.path, info.facts.line)
    return State(fid, (), (), (), entry, None, -1, 0, 0, frozenset()), Group(-1, (entry,), "any", False)


def _apart(found: Misguided, phrasing: Phrasing) -> Finding:
    race, lock, other = found.race, found.lock, found.other
    place, name = phrasing.short(race.name), phrasing.short(lock.name)
    function = phrasing.short(phrasing.function(found.first).display)
    second = phrasing.short(phrasing.function(found.second).display)
    if found.why == "futile":
        message = f"{name}: {function}() holds this lock for {place}, and keeps no thread out of it: {lock.why}"
        advice = f"hold a threading.Lock as well, for every access of {place}"
        why = lock.why
    elif found.why == "loops":
        message = f"{name}: {function}() holds this asyncio lock for {place}, in the event loops of several threads"
        advice = "use a threading.Lock, never held over an await, or give each thread's loop what it works on"
        why = "an asyncio lock excludes other tasks of its loop, and not those of loops in other threads"
    elif other is None:
        message = f"{name}: {function}() holds this asyncio lock for {place}, which {second}() uses in another thread"
        advice = "use a threading.Lock on both sides, never held over an await, or leave the place to the loop's thread"
        why = "an asyncio lock excludes other tasks of its loop, and no thread"
    elif found.why == "per-instance":
        message = (
            f"{name}: each instance has a lock of its own, and {function}() holds it for {place}, which they share"
        )
        advice = f"keep the lock where {place} is kept, in the class or the module"
        why = "two instances hold two locks, which do not exclude each other"
    else:
        message = (
            f"{place}: {function}() holds `{name}` for it, and {second}() holds `{phrasing.short(other.name)}`: "
            "they do not exclude each other"
        )
        advice = f"hold one of them, `{name}` or `{phrasing.short(other.name)}`, for every access of {place}"
        why = "two locks do not exclude each other's holders"
    away = phrasing.other(race) if found.second is race.second else found.second
    return words.finding(
        phrasing,
        RULE.name,
        RULE.code,
        RULE.severity,
        message,
        sure=phrasing.confidence(race),
        place=lock.name,
        sides=(
            _taken(phrasing, found.first, lock),
            _taken(phrasing, away, other) if other is not None else phrasing.side(away),
        ),
        why=f"{why}; {race.why}",
        consequence=f"{place} is guarded by nothing here",
        advice=advice,
    )


def _taken(phrasing: Phrasing, reached: Reached, lock: Lock) -> Side:
    """The side of an access, at the line where the lock is taken for it."""
    facts = phrasing.function(reached).facts
    region = next((region for held, region in reached.held if held == lock and region >= 0), -1)
    line = facts.regions[region].line if region >= 0 else facts.line  # a decorator takes it
    touch = structs.replace(reached.touch, line=line, name=lock.name)
    side = phrasing.side(replace(reached, touch=touch), access="acquire", detail=f"takes `{phrasing.short(lock.name)}`")
    return replace(side, locks=())


RULE = Rule(
    "wrong-lock-scope",
    "RL302",
    "a lock is held that does not keep out those it is meant for",
    "error",
    (667, 820),
    "0.1",
    check,
)
