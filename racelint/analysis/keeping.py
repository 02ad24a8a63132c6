"""What an object is kept in, followed upwards: attributes, containers, variables of modules.

Whatever is only kept in objects that one context has for itself is that context's own, too. Source: ownership types
(Clarke, Potter and Noble, "Ownership Types for Flexible Alias Protection", OOPSLA 1998), found here instead of written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cached_property

from racelint.link.objects import Obj
from racelint.link.world import Cell, World

# Objects that are looked at for what one is kept in.
MANY = 200
# Cells of attributes, class and module variables, captured variables, elements and values of containers.
KEEPING = frozenset(("a", "k", "g", "x", "e", "m", "o"))


class Keeping:
    """Knows the places that objects are kept in."""

    def __init__(self, world: World) -> None:
        self.world = world

    def only_in(self, obj: Obj, owner: Callable[[Obj], bool], made: frozenset[str]) -> bool:
        """Whether an object is an owner, or one of the functions ``made`` makes it and it is kept in owners only."""
        owned, seen, work = False, {obj}, [obj]
        while work:
            one = work.pop()
            if owner(one):
                owned = True
                continue
            inside = one.site is not None and one.site[0] in made
            if one is obj and not inside:
                return False
            for cell in self.cells(one):
                holders = self._holders(cell)
                if holders is None or len(seen) > MANY:
                    return False
                if not inside and any(owner(holder) for holder in holders):
                    return False  # what others have made and an owner was given, others may have as well
                work.extend(holder for holder in holders if holder not in seen)
                seen.update(holders)
        return owned

    def cells(self, obj: Obj) -> tuple[Cell, ...]:
        """The places that an object is kept in."""
        return self._cells.get(obj, ())

    def _holders(self, cell: Cell) -> tuple[Obj, ...] | None:
        """The objects that a place is in; none for a variable of a call, None for what everybody gets at."""
        holder = cell[1]
        if cell[0] == "x":
            return ()
        if isinstance(holder, Obj):
            return (self.world.heap.plain(holder),)
        return self._instances.get(str(holder)) if cell[0] == "a" else None

    @cached_property
    def _cells(self) -> dict[Obj, tuple[Cell, ...]]:
        """The places that objects are kept in: attributes, variables of modules and closures, containers."""
        found: dict[Obj, dict[Cell, None]] = defaultdict(dict)
        for cell, objs in self.world.cells.items():
            if cell[0] in KEEPING:
                for obj in objs:
                    found[self.world.heap.plain(obj)][cell] = None
        return {obj: tuple(cells) for obj, cells in found.items()}

    @cached_property
    def _instances(self) -> dict[str, tuple[Obj, ...]]:
        """Class -> the instances of it, or of a class under it, that are met anywhere."""
        found: dict[str, dict[Obj, None]] = defaultdict(dict)
        for objs in self.world.cells.values():
            for obj in objs:
                if obj.kind == "inst" and obj.site is not None:
                    for parent in self.world.class_of(obj.name).mro:
                        found[parent][self.world.heap.plain(obj)] = None
        return {cid: tuple(objs) for cid, objs in found.items()}
