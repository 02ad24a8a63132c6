"""Escape: which objects more than one context can reach.

Everything reachable from module globals, class attributes, the receivers and arguments of entry points, and variables
captured by functions that run elsewhere may be shared; an object that never gets there belongs to the call that made
it. Instances are told apart by where they are made: a class may have instances that everybody sees and others that
live and die in one call.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from racelint.contexts.entry_points import SELF_SITE, EntryPoint
from racelint.link.call_sites import Event
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import Cell, World


class Holders:
    """The cells of a solved world by the class or object whose content they are."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.by_class: dict[str, list[Cell]] = defaultdict(list)
        self.by_object: dict[Obj, list[Cell]] = defaultdict(list)
        for cell in world.cells:
            if cell[0] == "a":
                self.by_class[str(cell[1])].append(cell)
            elif cell[0] in ("e", "o", "i"):
                assert isinstance(cell[1], Obj)
                self.by_object[cell[1]].append(cell)

    @cached_property
    def everybodys(self) -> tuple[Obj, ...]:
        """What is in variables, and default values, which are made once and seen by every call."""
        world = self.world
        found = [obj for cell, objs in world.cells.items() if cell[0] in ("g", "k") for obj in objs]
        for info in world.symbols.functions.values():
            if any(param.default >= 0 for param in info.facts.params):
                outer = Evaluator(world, world.symbols.functions[world.scope_of(info)])
                for param in info.facts.params:
                    found.extend(obj for obj in outer.eval(param.default) if obj.kind in ("ext", "inst"))
        return tuple(found)


class Reach:
    """What can be reached from some objects through attributes, elements and captured variables.

    ``base`` is what can be reached from others, in addition to which ``roots`` are.
    """

    def __init__(self, world: World, holders: Holders, roots: Iterable[Obj], base: Reach | None = None) -> None:
        self.world = world
        self.holders = holders
        self.objects: set[Obj] = set() if base is None else set(base.objects)
        self._shared: dict[Obj, bool] = {}
        # Classes some instance of which is reached, and those of which any instance may be.
        self.classes: set[str] = set() if base is None else set(base.classes)
        self.anyone: set[str] = set() if base is None else set(base.anyone)
        self._done: set[Obj] = set() if base is None else set(base._done)
        work = list(roots)
        while work:
            obj = work.pop()
            if obj not in self._done:
                self._done.add(obj)
                self._reach(obj, work)

    def _reach(self, obj: Obj, work: list[Obj]) -> None:
        world = self.world
        if obj.kind == "inst":
            self.objects.add(world.heap.plain(obj))
            # A library calls methods of some instance it was given: it may be any of them. What only an annotation
            # promises says nothing about the others.
            some = obj.unknown and not obj.promised
            if (some or (obj.site and obj.site[0] == SELF_SITE)) and obj.name not in self.anyone:
                self.anyone.add(obj.name)
                work.extend(world.heap.make("inst", sub) for sub in world.class_of(obj.name).subclasses)
            if obj.name not in self.classes:
                self.classes.add(obj.name)
                for parent in world.class_of(obj.name).mro:
                    for cell in self.holders.by_class.get(parent, ()):
                        work.extend(world.cells[cell])
            return
        plain = world.heap.plain(obj) if obj.kind in ("ext", "opaque") else obj
        if plain in self.objects:
            return
        self.objects.add(plain)
        for cell in self.holders.by_object.get(plain, ()):
            work.extend(world.cells[cell])
        if obj.kind == "ext" and not obj.bindings:  # a closure's generator shares its cell with every other one
            work.extend(world.get(world.element_cell(obj)))
        elif obj.kind in ("func", "bound"):
            if obj.owner is not None:
                work.append(obj.owner)
            outer = world.symbols.functions[obj.name].parent
            while outer is not None:
                facts = world.symbols.functions[outer].facts
                for name, _ in facts.exports:
                    work.extend(world.get(("x", outer, name)))
                for _, _, objs in obj.bindings:
                    work.extend(objs)
                outer = world.symbols.functions[outer].parent
        elif obj.kind == "partial":
            work.extend(world.get(("pf", obj.site)))
            position = 0
            while ("pa", obj.site, position) in world.cells:
                work.extend(world.get(("pa", obj.site, position)))
                position += 1

    def shared(self, obj: Obj) -> bool:
        """Whether other contexts may see this object."""
        found = self._shared.get(obj)
        if found is None:
            found = self._shared[obj] = self._is_shared(obj)
        return found

    def _is_shared(self, obj: Obj) -> bool:
        if obj.fresh or obj.promised:
            return False
        if obj.owner is not None:
            return self.shared(obj.owner)
        if obj.kind == "inst":
            if obj.unknown:
                return obj.name in self.classes
            return obj.name in self.anyone or self.world.heap.plain(obj) in self.objects
        if obj.kind == "opaque":
            return True
        return obj in self.objects or self.world.heap.plain(obj) in self.objects


class Sharing(Reach):
    """The objects and classes that may be shared. ``kept``: callbacks that a library keeps for whoever runs it."""

    def __init__(
        self,
        world: World,
        entries: Iterable[EntryPoint],
        api_classes: Iterable[str],
        kept: Iterable[Obj] = (),
        *,
        holders: Holders,
    ) -> None:
        self.world = world
        self.starts: dict[Event, list[EntryPoint]] = defaultdict(list)
        self._seen: dict[Event, Reach] = {}
        self._reached: dict[tuple[Obj, ...], Reach] = {}
        roots = [*holders.everybodys, *kept]
        self._fixed = tuple(roots)
        self._entries = tuple(entries)
        self._beside: dict[int, Reach] = {}
        for entry in self._entries:
            roots.extend(self._entry_roots(entry))
            for site in entry.begins:
                self.starts[site].append(entry)
        roots.extend(world.heap.make("inst", cid) for cid in api_classes)
        super().__init__(world, holders, roots)

    def seen_from(self, site: Event) -> Reach:
        """What the entry points that begin at ``site`` can see of their own (globals aside); cached."""
        found = self._seen.get(site)
        if found is None:
            roots = tuple(dict.fromkeys(obj for entry in self.starts[site] for obj in self._entry_roots(entry)))
            if roots not in self._reached:
                self._reached[roots] = Reach(self.world, self.holders, roots)
            found = self._seen[site] = self._reached[roots]
        return found

    def beside(self, entry: EntryPoint) -> Reach:
        """What can be seen without being this entry point: from variables, and from all the others; cached."""
        found = self._beside.get(id(entry))
        if found is None:
            others = [obj for other in self._entries if other is not entry for obj in self._entry_roots(other)]
            found = self._beside[id(entry)] = Reach(self.world, self.holders, others, self._everybodys)
        return found

    @cached_property
    def _everybodys(self) -> Reach:
        """What can be seen from variables."""
        return Reach(self.world, self.holders, self._fixed)

    def _entry_roots(self, entry: EntryPoint) -> list[Obj]:
        """What an entry point is started with."""
        world = self.world
        found: list[Obj] = []
        target = entry.target
        if target.owner is not None and not target.owner.fresh:
            found.append(target.owner)
        facts = world.symbols.functions[target.name].facts
        first = facts.params[0].name if facts.params and target.kind == "bound" else None
        for param in facts.params:
            if param.name != first:
                found.extend(world.get(("p", target.name, param.name)))
        found.append(target)
        return found
