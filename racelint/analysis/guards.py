"""Which locks guard a place: those that can, those that do by custom, and those held over the whole of a compound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from racelint.analysis.effects import MUTATING
from racelint.analysis.locks import Lock, same_lock
from racelint.analysis.walk import Reached
from racelint.link.world import Cell, World
from racelint.model import facts as f

# A lock is the guard of a place when at least two accesses and two thirds of them hold it.
GUARD_MIN = 2
GUARD_SHARE = 2 / 3


@dataclass(frozen=True, slots=True)
class GuardUse:
    """How consistently a lock guards a place: ``held`` of ``total`` accesses hold ``lock``."""

    lock: Lock
    held: int
    total: int


class Guards:
    """Judges locks by the places they are held for. ``singletons``: classes of which there is one instance."""

    def __init__(self, world: World, singletons: frozenset[str]) -> None:
        self.world = world
        self.singletons = singletons

    def guard(self, accesses: list[Reached]) -> GuardUse | None:
        """The lock that guards a place by custom."""
        sites: dict[tuple[str, int], list[Reached]] = defaultdict(list)
        for access in accesses:
            sites[access.touch.fid, access.touch.line].append(access)
        best: GuardUse | None = None
        counted: dict[object, Lock] = {}
        for access in accesses:
            for lock in access.locks:
                if lock.threads and not lock.unasked:  # that others held it was nobody's rule
                    counted.setdefault(lock.slot or lock.objs, lock)
        for lock in counted.values():
            held = [
                group
                for group in sites.values()
                if all(any(same_lock(lock, other) for other in access.locks) for access in group)
            ]
            writes = any(access.touch.effect in MUTATING for group in held for access in group)
            if len(held) >= GUARD_MIN and len(held) >= GUARD_SHARE * len(sites) and writes:
                if not self.effective(lock, held[0][0]) or not self._taken_for(lock, held):
                    continue
                if best is None or len(held) > best.held:
                    best = GuardUse(lock, len(held), len(sites))
        return best

    def _taken_for(self, lock: Lock, groups: list[list[Reached]]) -> bool:
        """Whether a lock is there for a place: of its module, or taken in a function that touches it.

        One that some caller far away holds for reasons of its own guards what it happens to lead to by accident.
        """
        if lock.slot is not None and any(_home(lock.slot) == _home(group[0].touch.place) for group in groups):
            return True
        return any(
            region >= 0 and same_lock(lock, other)
            for group in groups
            for access in group
            for other, region in access.held
        )

    def excludes(self, lock: Lock, access: Reached) -> bool:
        """Whether a lock keeps others out at all: those of asyncio do not keep out threads."""
        return lock.threads

    def effective(self, lock: Lock, access: Reached) -> bool:
        """Whether a lock can guard this place: a lock of each instance does not guard what all instances share."""
        if not self.excludes(lock, access):
            return False
        touch = access.touch
        if lock.keyed and (touch.effect == "iterate" or touch.key < 0 or self._of_all_keys(lock, access)):
            return False
        if lock.base is None or lock.base.kind != "inst" or lock.base.name in self.singletons:
            return True
        root = touch.base
        while root is not None:
            if root.kind == "inst":
                return True
            if root.owner is None:
                break
            root = root.owner
        home = str(touch.place[1]) if touch.place[0] == "k" else ""
        if touch.place[0] == "e":
            # The container's own holder: class-level or module-level containers have no owner.
            return not self._held_by_class_or_module(access)
        return not (touch.place[0] in ("k", "g") or home)

    def _of_all_keys(self, lock: Lock, access: Reached) -> bool:
        """Whether an entry is the same one whatever the key of the lock: ``totals["all"]`` under ``locks[name]``."""
        facts = self.world.symbols.functions[access.touch.fid].facts
        event = facts.events[access.touch.event]
        if lock.key or not isinstance(facts.nodes[access.touch.key], f.Const):
            return False
        node = facts.nodes[event.target] if isinstance(event, f.Access) else None
        if isinstance(event, f.Call) and isinstance(func := facts.nodes[event.func], f.Attr):
            node = facts.nodes[func.base]
        if isinstance(node, f.Attr):  # of the object that has the locks, and not of one of those that they are for
            holder = facts.nodes[node.base]
            return isinstance(holder, f.Param) and bool(facts.params) and holder.name == facts.params[0].name == "self"
        return isinstance(node, (f.Global, f.Imported, f.Captured, f.ClassVar))

    def _held_by_class_or_module(self, access: Reached) -> bool:
        touch = access.touch
        obj = touch.base
        if obj is None:
            return True
        plain = self.world.heap.plain(obj)
        if plain.site is None:
            return False
        maker = self.world.symbols.functions.get(plain.site[0])
        return maker is not None and maker.facts.kind in ("module", "class")

    def common(self, a: Iterable[Lock], b: Iterable[Lock], access: Reached) -> bool:
        """Whether one lock that can guard the place is held on both sides."""
        others = list(b)
        return any(self.effective(lock, access) and any(same_lock(lock, other) for other in others) for lock in a)

    def covering(self, *parts: Reached) -> list[Lock]:
        """Locks held without a break over all parts of one compound."""
        first = parts[0].held
        return [
            lock
            for lock, region in first
            if all(
                any(region == other_region and same_lock(lock, other) for other, other_region in part.held)
                for part in parts[1:]
            )
        ]


def _home(cell: Cell) -> str:
    """The module of a storage slot."""
    return str(cell[1]).partition(":")[0]
