"""Attributes: what ``obj.name`` may be, for each kind of object."""

from __future__ import annotations

from abc import ABC, abstractmethod

from racelint.link.adopted import adopt
from racelint.link.copies import shallow_copy
from racelint.link.objects import Obj, Objs
from racelint.link.world import EMPTY, Cell, World

# The base of every class that names no other.
OBJECT = ("object",)


class Attributes(ABC):
    """Looks up the attributes of objects; a part of ``Evaluator``."""

    world: World
    owners: bool

    @abstractmethod
    def cell(self, cell: Cell) -> Objs:
        """What may be in a cell."""

    @abstractmethod
    def function_objects(self, fid: str) -> Objs:
        """The function, or what project decorators made of it."""

    @abstractmethod
    def _called(self, fid: str, obj: Obj) -> Objs:
        """What a method that Python itself calls without arguments returns."""

    def attribute(self, obj: Obj, name: str) -> Objs:
        """``obj.name``."""
        world = self.world
        heap = world.heap
        match obj.kind:
            case "inst":
                return self._instance_attribute(obj, name)
            case "class":
                return self._class_attribute(obj, name)
            case "module":
                objs, cell = world.resolve(obj.name, name)
                if not objs and cell is None and obj.name not in world.symbols.modules:
                    child = f"{obj.name}.{name}"
                    target = world.symbols.find_module(child)
                    if target is not None or child in world.symbols.packages:
                        return {heap.make("module", target or child): None}
                return {**objs, **self.cell(cell)} if cell is not None else objs
            case "symbol":
                return {heap.make("symbol", f"{obj.name}.{name}"): None}
            case "ext":
                carried, cell, member = world.member(obj, name)
                if carried is not None or member is None:
                    return {carried: None} if carried is not None else EMPTY
                found = self.cell(cell)
                return {**found, member: None} if found else {member: None}
            case "member" if (carried := world.carried(f"{obj.name}.{name}")) is not None:
                return {carried: None}
            case "member":
                return {heap.make("member", f"{obj.name}.{name}", owner=obj): None}
            case "super":
                return self._super_attribute(obj, name)
            case "opaque":
                found = self.cell(world.attr_cell(obj, name))
                return found if found else self._opaque(obj, name)
            case "func":
                return self.cell(world.attr_cell(obj, name))
            case "bound":
                if name == "__self__" and obj.owner is not None:
                    return {obj.owner: None}
                return EMPTY
            case _:
                return EMPTY

    def _instance_attribute(self, obj: Obj, name: str) -> Objs:
        world = self.world
        found = self._methods(obj, name)
        stored = self.cell(world.own_slot(obj.name, name))
        if stored:
            as_it_is = not self.owners or shallow_copy(world, obj, name)
            found.update(stored if as_it_is else adopt(world, stored, obj))
        default = self.cell(world.class_slot(obj.name, name))
        if default:
            found.update(default)
        if found:
            return found
        if name in ("__dict__", "__doc__", "__name__"):
            return EMPTY
        if name == "__class__":
            return {world.heap.make("class", obj.name): None}
        info = world.class_of(obj.name)
        if info.external:
            # An attribute or method of an external base: named after it, so that tables can know it.
            return {
                world.heap.make("member", f"{base}.{name}", owner=obj): None for base in info.external
            } | self._slot_opaque(obj, name)
        return self._slot_opaque(obj, name)

    def _slot_opaque(self, obj: Obj, name: str) -> Objs:
        home, _ = self.world.home(obj.name, name)
        return {self.world.heap.make("opaque", f"{home}\0{name}", owner=obj if self.owners else None): None}

    def _methods(self, obj: Obj, name: str) -> Objs:
        """Methods and properties called ``name``: of the class, and of subclasses the object may belong to."""
        found: Objs = {}
        for fid, receiver in self.world.receivers(obj, name):
            if self.world.is_property(fid):
                found.update(self._called(fid, receiver))
            else:
                for target in self.function_objects(fid):
                    found[self._bind(target, fid, receiver)] = None
        return found

    def _bind(self, target: Obj, fid: str, obj: Obj) -> Obj:
        """A function found on an object: bound, unless it is static."""
        world = self.world
        key = (target, fid, obj)
        found = world.bound.get(key)
        if found is None:
            found = target
            if target.kind == "func" and not world.is_static(fid):
                of_class = world.is_classmethod(fid) and obj.kind == "inst"
                receiver = world.heap.make("class", obj.name) if of_class else obj
                found = world.heap.make("bound", target.name, owner=receiver, func=target, bindings=target.bindings)
            world.bound[key] = found
        return found

    def _class_attribute(self, obj: Obj, name: str) -> Objs:
        world = self.world
        fid = world.method(obj.name, name)
        found: Objs = {}
        if fid is not None:
            for target in self.function_objects(fid):
                found[self._bind(target, fid, obj) if world.is_classmethod(fid) else target] = None
        stored = self.cell(world.class_slot(obj.name, name))
        if stored:
            found.update(stored)
        if not found:
            info = world.class_of(obj.name)
            if name in ("__name__", "__dict__", "__doc__", "__module__", "__mro__"):
                return EMPTY
            if info.metaclass is not None:
                method = world.method(info.metaclass, name)
                if method is not None:
                    return {world.heap.make("bound", method, owner=obj, func=world.heap.make("func", method)): None}
            bases = info.external or (OBJECT if name == "__new__" else ())
            for base in bases:
                found[world.heap.make("symbol", f"{base}.{name}")] = None
            if not bases:
                found[world.heap.make("opaque", f"{obj.name}\0{name}")] = None
        return found

    def _super_attribute(self, obj: Obj, name: str) -> Objs:
        """``super().name``: the next definition after the class in the receiver's linearised bases."""
        world = self.world
        receiver = obj.owner
        if receiver is None:
            return EMPTY
        cid = receiver.name if receiver.kind in ("inst", "class") else obj.name
        mro = world.class_of(cid).mro if cid in world.symbols.classes else ()
        start = mro.index(obj.name) + 1 if obj.name in mro else 0
        for parent in mro[start:]:
            fid = world.class_of(parent).methods.get(name)
            if fid is not None:
                return {self._bind(target, fid, receiver): None for target in self.function_objects(fid)}
        info = world.class_of(cid) if cid in world.symbols.classes else None
        if info is not None:
            bases = info.external or (OBJECT if name == "__new__" else ())
            return {world.heap.make("member", f"{base}.{name}", owner=receiver): None for base in bases}
        return EMPTY

    def _opaque(self, obj: Obj, step: str) -> Objs:
        if obj.name.count("\0") >= 3:
            return EMPTY
        return {self.world.heap.make("opaque", f"{obj.name}\0{step}", owner=obj.owner): None}
