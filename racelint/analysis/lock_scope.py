"""Locks that guard nothing, because those who should exclude each other hold different ones.

A lock made anew for each call is known to nobody else. One in each instance does not guard what all instances share,
one of asyncio keeps out neither threads nor the tasks of a loop in another one, one of a file system no thread of this
process, and two locks for one place keep their holders apart only from their own kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from racelint.analysis.guards import Guards
from racelint.analysis.locks import Lock, same_lock
from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.analysis.walk import THREADS, Reached
from racelint.link.classes import related
from racelint.link.evaluate import Evaluator
from racelint.link.symbols import FunctionInfo
from racelint.link.world import World
from racelint.model import facts as f

Why = Literal["per-call", "per-instance", "tasks-only", "loops", "futile", "two-locks"]


@dataclass(frozen=True, slots=True)
class Misguided:
    """A race in which ``first`` holds ``lock`` and ``second`` holds ``other`` (or none), and why that does not help."""

    why: Why
    race: Race
    first: Reached
    second: Reached
    lock: Lock
    other: Lock | None


@dataclass(frozen=True, slots=True)
class PerCall:
    """Region ``region`` of a function holds a lock that the same call has made, at line ``made``."""

    info: FunctionInfo
    region: int
    name: str
    made: int


def misguided(program: Program) -> Iterator[Misguided]:
    """Races between sides that each hold a lock, one for each place, function and reason."""
    guards = Guards(program.world, program.singletons)
    seen: set[tuple[object, ...]] = set()
    for race in program.races:
        if race.gap or race.split:
            continue
        found = _pair(guards, race)
        if found is None:
            continue
        locks = (found.lock,) if found.other is None else (found.lock, found.other)
        key = (race.name, found.why, frozenset(lock.slot or lock.name for lock in locks))
        if key not in seen:
            seen.add(key)
            yield found


def _pair(guards: Guards, race: Race) -> Misguided | None:
    first, second = race.first, race.second
    for side, away in ((first, second), (second, first)):
        for lock, region in side.held:
            if lock.futile and (region >= 0 or lock.slot == ("d", side.touch.fid)):
                return Misguided("futile", race, side, away, lock, None)
    for lock in _own(first):
        for other in _own(second):
            if lock.threads and not lock.keyed and same_lock(lock, other) and not guards.effective(lock, first):
                return Misguided("per-instance", race, first, second, lock, other)
    if all(_on_own_loop(guards.world, side) for side in (first, second)):
        for lock in _own(first):
            if lock.tasks and not lock.threads and any(same_lock(lock, other) for other in _own(second)):
                return Misguided("loops", race, first, second, lock, None)
    for task, thread in ((first, second), (second, first)):
        if task.state.entry.kind == "event-loop" and thread.state.entry.kind in ("thread", "pool"):
            for lock in _own(task):
                if not lock.threads and _meant(guards.world, lock, task):
                    return Misguided("tasks-only", race, task, thread, lock, None)
    if race.pattern == "guard" or any(same_lock(x, y) for x in first.locks for y in second.locks):
        return None  # that the wrong lock is held is said where most hold the right one
    for lock in _for_it(guards, first):
        for other in _for_it(guards, second):
            return Misguided("two-locks", race, first, second, lock, other)
    return None


def _on_own_loop(world: World, side: Reached) -> bool:
    """Whether a coroutine runs on a loop that belongs to one run of a thread."""
    return side.state.entry.kind in THREADS and world.symbols.functions[side.touch.fid].facts.is_async


def _for_it(guards: Guards, side: Reached) -> list[Lock]:
    """The locks of an access that can guard its place and belong to it."""
    return [lock for lock in _own(side) if _meant(guards.world, lock, side) and guards.effective(lock, side)]


def _own(side: Reached) -> list[Lock]:
    """The locks taken in the function of an access itself, for it."""
    return [lock for lock, region in side.held if region >= 0 and not lock.reading]


def _meant(world: World, lock: Lock, side: Reached) -> bool:
    """Whether a lock and a place belong together: both of one class, or both of one module."""
    if lock.slot is None or lock.keyed:
        return False
    owner = str(lock.slot[1])
    base = side.touch.base
    while base is not None and base.kind != "inst":
        base = base.owner
    if base is not None and owner in world.symbols.classes:
        return related(world.symbols, owner, base.name)
    return owner.replace(":", ".") == side.touch.name.rpartition(".")[0]


# -- made for one call -------------------------------------------------------------------------------------------------


def per_call(world: World) -> Iterator[PerCall]:
    """Locks that are made, held and forgotten in one call."""
    for fid in sorted(world.symbols.functions):
        info = world.symbols.functions[fid]
        if info.facts.kind != "function" or not info.facts.regions:
            continue
        evaluator = Evaluator(world, info)
        for index, region in enumerate(info.facts.regions):
            call = _made_here(world, evaluator, region.lock)
            if call is not None and not _gets_away(info.facts, region, call):
                yield PerCall(info, index, next(iter(evaluator.eval(region.lock))).name, call.line)


def _made_here(world: World, evaluator: Evaluator, node: int) -> f.Call | None:
    """The call of this function that makes the lock, when that is all it may be."""
    value = evaluator.nodes[node]
    if not isinstance(value, f.Result):
        return None
    call = evaluator.info.facts.events[value.event]
    assert isinstance(call, f.Call)
    callees = evaluator.eval(call.func)
    for callee in callees:
        row = world.guards.first(callee.name) if callee.kind == "symbol" else None
        if row is None or row.process_only or row.keyed_by or row.wraps is not None or row.mutex_when is not None:
            return None
    return call if callees else None


def _gets_away(facts: f.Function, region: f.Region, call: f.Call) -> bool:
    """Whether others may get to know a lock: it is stored, passed on, captured or returned."""
    made = call.result
    nodes = facts.nodes
    held = {made}
    for index, node in enumerate(nodes):
        parts: tuple[int, ...] = ()
        if isinstance(node, f.New):
            parts = (*node.items, *node.keys)
        elif isinstance(node, f.Phi):
            parts = node.options
        elif isinstance(node, f.Derived) and node.op != "entered":
            parts = node.parts
        if held.intersection(parts):
            held.add(index)
    if any(held.intersection(values) for _, values in facts.exports):
        return True
    for event in facts.events:
        given: tuple[int, ...] = ()
        if isinstance(event, f.Call):
            given = (*event.args, *(value for _, value in event.kwargs))
        elif isinstance(event, (f.Return, f.Yield)) or (isinstance(event, f.Access) and event.kind != "has"):
            given = (event.value,)
        if held.intersection(given):
            return True
    return False
