"""Locks for threads that a coroutine holds while it waits: the next task that wants one stops the whole loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from racelint.analysis.deadlocks import patient
from racelint.analysis.locks import Lock, same_lock
from racelint.analysis.program import Program
from racelint.analysis.suspension import Suspension
from racelint.analysis.watch import Take
from racelint.link.world import World
from racelint.model import facts as f


@dataclass(frozen=True, slots=True)
class HeldAwait:
    """``take`` is held at event ``gap``, where its coroutine waits; ``other`` takes the same lock elsewhere.

    ``loop``: the other one runs on the loop too. ``reentrant``: the lock lets every task of its thread in.
    """

    take: Take
    gap: int
    other: Take | None
    loop: bool
    reentrant: bool


def held_awaits(program: Program) -> Iterator[HeldAwait]:
    """Each coroutine and lock once, the surest and shortest way to it."""
    world, suspension = program.world, Suspension(program.world)
    takes = sorted(program.watched.takes, key=lambda take: (take.at.state.doubt, take.at.state.depth))
    seen: set[tuple[str, int]] = set()
    for take in takes:
        facts = world.symbols.functions[take.at.state.fid].facts
        region = facts.regions[take.region]
        site = (take.at.state.fid, take.region)
        if not facts.is_async or region.is_async or site in seen or not _of_threads(world, take, region, facts):
            continue
        gap = next((index for index, event in enumerate(facts.events) if _waits(suspension, take, facts, event)), -1)
        if gap < 0:
            continue
        others = [other for other in takes if same_lock(take.lock, other.lock) and patient(world, other)]
        if not others:
            continue  # only tried for, never waited for: a flag
        seen.add(site)
        loop = [other for other in others if _on_loop(world, other)]
        again = [other for other in (*loop, *others) if other.at.state.fid != take.at.state.fid]
        yield HeldAwait(take, gap, next(iter(again), None), bool(loop), take.lock.reentrant)


def _waits(suspension: Suspension, take: Take, facts: f.Function, event: f.Event) -> bool:
    if isinstance(event, f.Release) or take.region not in facts.held[event.held]:
        return False
    if isinstance(event, f.Suspend):
        return suspension.really(take.at.state.fid, event)
    return isinstance(event, f.Yield)


def _of_threads(world: World, take: Take, region: f.Region, facts: f.Function) -> bool:
    """Whether waiting for a lock stops the thread: not one of asyncio, of green threads, or between processes."""
    lock: Lock = take.lock
    call = facts.events[region.call] if region.call >= 0 else None
    if not lock.threads or lock.reading or (isinstance(call, f.Call) and call.awaited):
        return False
    rows = [world.guards.first(obj.name) if obj.kind == "ext" else None for obj in lock.objs]
    if lock.assumed:
        return region.how == "with"
    return bool(rows) and all(row is not None and not row.tasks and row.keyed_by is None for row in rows)


def _on_loop(world: World, take: Take) -> bool:
    state = take.at.state
    return state.entry.kind == "event-loop" or world.symbols.functions[state.entry.target.name].facts.is_async
