"""Classes whose coroutines several tasks of the user may await at once, by what the class itself shows.

A library is seen without the program that uses it, so the tasks that call it are not seen either. A class counts on
several of them when it keeps something that only makes sense with several: a lock for tasks, or a container of futures,
events or locks, one for each task that waits (or for each key that somebody waits for). A class that starts tasks of
its own counts on one: its public functions run beside these tasks. Nothing is concluded from names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from racelint.contexts.entry_points import SELF_SITE, EntryPoint
from racelint.link.classes import owner_of, related
from racelint.link.objects import Obj
from racelint.link.world import World

# Containers in containers (``defaultdict(deque)``) are looked into as far as this.
NESTED = 2
# What one waits for, and another one sets. A lone one is for the class's own task; tasks are no sign of callers.
SIGNALS = frozenset(("asyncio.Future", "asyncio.futures.Future", "asyncio.Event", "asyncio.locks.Event"))
# A class, whether its public functions overlap each other, and the functions that run for its instances.
Family: TypeAlias = tuple[str, bool, frozenset[str]]
# Objects at a depth, with what is known of them.
Asked: TypeAlias = dict[tuple[Obj, int], bool]


def waited_for(world: World) -> dict[str, tuple[str, ...]]:
    """Classes that several tasks may use at once, with the attributes that show it; subclasses are not listed."""
    found: dict[str, tuple[str, ...]] = {}
    asked: Asked = {}
    for cell, objs in world.cells.items():
        if cell[0] in ("a", "k") and any(_for_tasks(world, obj, asked) for obj in objs):
            owner, name = str(cell[1]), str(cell[2])
            found[owner] = (*found.get(owner, ()), name)
    return found


def _for_tasks(world: World, obj: Obj, asked: Asked, depth: int = 0) -> bool:
    """Whether an object excludes tasks of each other, or is a container of what tasks wait for."""
    if obj.kind != "ext":
        return False
    if (obj, depth) not in asked:
        asked[obj, depth] = _shows_tasks(world, obj, asked, depth)
    return asked[obj, depth]


def _shows_tasks(world: World, obj: Obj, asked: Asked, depth: int) -> bool:
    row = world.guards.first(obj.name)
    if row is not None:
        return bool(row.tasks) and not row.threads
    if depth and obj.name in SIGNALS:
        return True
    inside = world.get(world.element_cell(obj)) if depth < NESTED and world.container_row(obj.name) else ()
    return any(_for_tasks(world, element, asked, depth + 1) for element in inside)


def own_tasks(world: World, entries: Iterable[EntryPoint]) -> dict[str, frozenset[str]]:
    """Class -> functions that run on the loop for its instances: tasks that it starts, callbacks of its protocol.

    What is awaited where it is started (``wait_for``) runs for its caller.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        receiver = entry.target.owner
        if entry.kind != "event-loop" or receiver is None or receiver.kind != "inst" or receiver.fresh:
            continue
        if _called_back(receiver) or any(_starts_own(world, fid, index, receiver) for fid, index in entry.begins):
            for name in (receiver.name, *world.class_of(receiver.name).subclasses):
                found[name].add(entry.target.name)
    return {owner: frozenset(functions) for owner, functions in found.items()}


def _called_back(receiver: Obj) -> bool:
    return receiver.site is not None and receiver.site[0] == SELF_SITE


def _starts_own(world: World, fid: str, index: int, receiver: Obj) -> bool:
    """Whether a method starts something of its own class, and goes on."""
    owner = owner_of(world.symbols, fid)
    event = world.symbols.functions[fid].facts.events[index]
    return owner is not None and related(world.symbols, owner, receiver.name) and not getattr(event, "awaited", False)


def families(
    world: World, waiters: Mapping[str, tuple[str, ...]], tasks: Mapping[str, frozenset[str]]
) -> Iterator[Family]:
    """The topmost classes that mean to be used by tasks."""
    classes = world.symbols.classes
    several = {name for owner in waiters if owner in classes for name in (owner, *world.class_of(owner).subclasses)}
    shown = dict.fromkeys((*(owner for owner in waiters if owner in classes), *tasks))
    for owner in shown:
        info = world.class_of(owner)
        if not any(parent in shown for parent in info.mro[1:]):
            mine = (tasks.get(name, frozenset()) for name in (owner, *info.subclasses))
            yield owner, owner in several, frozenset().union(*mine)
