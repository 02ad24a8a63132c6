"""Locks that libraries hold around functions: their decorators (``[[guard_decorator]]``), or what calls a method.

A project's own decorator needs no row: its wrapper is walked, and what that holds is seen. What calls a method with a
lock held is said by ``holds`` of ``[[polled]]`` rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import structs

from racelint.analysis.lock_names import LockNames, UnknownLock
from racelint.analysis.locks import Lock, Locks, argument, of_library
from racelint.frameworks.schema import GuardDecorator
from racelint.link.evaluate import Evaluator
from racelint.link.symbols import FunctionInfo
from racelint.link.world import Cell, World, const_text
from racelint.model import facts as f
from racelint.polling import methods


def held(world: World, locks: Locks) -> dict[str, tuple[Lock, ...]]:
    """The locks held in functions, by their ids."""
    found: dict[str, tuple[Lock, ...]] = {}
    for row in world.tables.polled:
        for cid, fid in methods(world, row) if row.holds else ():
            found[fid] = (of_library(world, cid, row.holds),)
    names = LockNames(world, locks)
    for info in list(world.symbols.functions.values()):
        if info.facts.decorators:
            own = tuple(dict.fromkeys(_of_function(world, locks, names, info)))
            if own:
                found[info.id] = (*found.get(info.id, ()), *own)
    return found


def together(*parts: Mapping[str, tuple[Lock, ...]]) -> dict[str, tuple[Lock, ...]]:
    """The locks of functions from several sources."""
    found: dict[str, tuple[Lock, ...]] = {}
    for part in parts:
        for fid, own in part.items():
            found[fid] = tuple(dict.fromkeys((*found.get(fid, ()), *own)))
    return found


def _of_function(world: World, locks: Locks, names: LockNames, info: FunctionInfo) -> Iterator[Lock]:
    scope = Evaluator(world, world.symbols.functions[world.scope_of(info)])
    for index in info.facts.decorators:
        node = scope.nodes[index]
        call = scope.info.facts.events[node.event] if isinstance(node, f.Result) else None
        given = call if isinstance(call, f.Call) else None
        for obj in scope.eval(given.func if given is not None else index):
            row = world.guard_decorators.first(obj.name) if obj.kind in ("symbol", "ext") else None
            if row is not None:
                lock = _lock(world, locks, names, info, scope, given, row)
                if lock is not None:
                    yield lock


def _lock(
    world: World,
    locks: Locks,
    names: LockNames,
    info: FunctionInfo,
    scope: Evaluator,
    call: f.Call | None,
    row: GuardDecorator,
) -> Lock | None:
    """The lock that one decorator holds around a function, or None when it holds none (or it is not known which)."""
    given = argument(call, row.lock) if call is not None else None
    if not row.threads:
        if row.lock is not None and given is None:
            return None
        return Lock(row.name[0], (), ("d", info.id), threads=False, tasks=False, why=row.why)
    if row.keyed_by is not None:
        return locks.named(row, scope, call, row.name[0]) if call is not None else None
    if row.attribute:
        text = const_text(scope.nodes[given]) if given is not None else row.attribute
        try:
            lock = names.find(f"self.{text}", info, info.cls).lock
        except UnknownLock:
            return None
        return structs.replace(lock, reading=row.reading)
    if call is not None and given is not None:
        return locks.of_node(scope, given)
    return _own(world, locks, info, row) if row.per_instance else None


def _own(world: World, locks: Locks, info: FunctionInfo, row: GuardDecorator) -> Lock:
    """The lock a decorator makes itself: for each instance, for each class with class methods, for each function."""
    if info.cls is None or world.is_static(info.id):
        slot: Cell = ("d", info.id)
    elif world.is_classmethod(info.id):
        slot = ("made", info.cls, row.name[0], "class")
    else:
        return locks.of_instance(row, world.heap.make("inst", info.cls))
    return Lock(f"{info.display}.{row.name[0]}", (), slot, reentrant=row.reentrant, tasks=not row.reentrant)
