"""What is put where: in variables, in attributes, in containers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj, Objs, Site
from racelint.link.world import ELSEWHERE, Cell, World
from racelint.model import facts as f

# Puts objects into a cell.
Add: TypeAlias = Callable[[Cell, Iterable[Obj]], None]


class Stores:
    """Lets values flow into what they are stored in."""

    def __init__(self, world: World, add: Add) -> None:
        self.world = world
        self.add = add

    def access(self, evaluator: Evaluator, event: f.Access) -> None:
        """``target = value``, ``target[key] = value``, ``target += value``."""
        if event.kind == "store":
            self._store(evaluator, event)
        elif event.kind == "set":
            value = evaluator.eval(event.value)
            if value:
                key = evaluator.key(event.key)
                for obj in tuple(evaluator.eval(event.target)):
                    self._put(obj, value, (evaluator.info.id, event.value), key)
        elif event.kind == "grow":
            value = evaluator.elements_of(evaluator.eval(event.value))
            for obj in tuple(evaluator.eval(event.target)):
                self._put(obj, value, (evaluator.info.id, ELSEWHERE))

    def display(self, evaluator: Evaluator, index: int, node: f.New) -> None:
        """``[a, b]``, ``{"a": b}``: a container with what is written in it."""
        heap = self.world.heap
        made = heap.make("ext", node.kind, (evaluator.info.id, index))
        for position, item in enumerate(node.items):
            value = evaluator.eval(item)
            if value:
                key = node.keys[position] if position < len(node.keys) else -1
                self.hold(made, value, (evaluator.info.id, item), evaluator.key(key))
                if node.kind == "tuple":
                    self.add(("i", made, position), value)

    def hold(self, container: Obj, value: Collection[Obj], put: Site, key: str | None = None) -> None:
        """Container holds value, under a literal key or under whatever it may be read by."""
        self.add(self.world.element_cell(container), value)
        self.add(self.world.value_cell(container, key), value)
        if value:
            self.world.puts.setdefault(self.world.heap.plain(container), {})[put] = None

    def _put(self, container: Obj, value: Collection[Obj], put: Site, key: str | None = None) -> None:
        if container.kind in ("ext", "opaque", "member"):
            self.hold(container, value, put, key)
        elif container.kind == "inst":
            method = self.world.method(container.name, "__setitem__")
            if method is not None:
                params = self.world.symbols.functions[method].facts.params
                if len(params) > 2:
                    self.add(("p", method, params[2].name), value)

    def _store(self, evaluator: Evaluator, event: f.Access) -> None:
        world = self.world
        node = evaluator.nodes[event.target]
        value = evaluator.eval(event.value)
        info = evaluator.info
        match node:
            case f.Attr(base, name):
                for obj in tuple(evaluator.eval(base)):
                    self.set_attribute(obj, name, value)
            case f.Global(name):
                self.add(("g", info.module, name), value)
            case f.Captured(owner, name):
                self.add(("x", f"{info.module}:{owner}", name), value)
            case f.ClassVar(owner, name):
                cid = f"{info.module}:{owner}"
                result = evaluator.nodes[event.value] if event.value >= 0 else None
                if type(result) is f.Phi and result.options:
                    result = evaluator.nodes[result.options[0]]
                if type(result) is f.Const:
                    # `engine: Engine | None = None` says what instances will have, not what the class has.
                    self.add(("k", cid, name), {})
                elif type(result) is f.Result and self._is_field(evaluator, result.event):
                    world.class_of(cid).factory_attrs.add(name)
                    self.add(("a", cid, name), value)
                else:
                    self.add(("k", cid, name), value)

    def _is_field(self, evaluator: Evaluator, event: int) -> bool:
        """Whether a class-body value declares something each instance gets for its own: ``field(default_factory=)``."""
        for callee in evaluator.callees(event):
            if callee.kind == "symbol":
                row = self.world.results.first(callee.name)
                if row is not None and row.factory is not None:
                    return True
        return False

    def set_attribute(self, obj: Obj, name: str, value: Objs) -> None:
        """``obj.name = value``."""
        world = self.world
        if obj.kind == "inst":
            setter = world.method(obj.name, f"{name}.setter")
            if setter is not None:
                params = world.symbols.functions[setter].facts.params
                if len(params) > 1:
                    self.add(("p", setter, params[1].name), value)
                return
            self.add(world.own_slot(obj.name, name), value)
        elif obj.kind == "class":
            slot = world.class_slot(obj.name, name)
            world.class_stores.add(slot)
            self.add(slot, value)
        elif obj.kind == "module":
            if obj.name in world.symbols.modules:
                self.add(("g", obj.name, name), value)
        elif obj.kind in ("ext", "opaque", "func", "member"):
            self.add(world.attr_cell(obj, name), value)
