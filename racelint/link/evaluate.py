"""Nodes to objects: what a symbolic value of one function may be, given what its parameters hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

from racelint.link.adopted import adopt
from racelint.link.annotations import Annotations
from racelint.link.attributes import Attributes
from racelint.link.objects import Bindings, Obj, Objs
from racelint.link.results import CallResults
from racelint.link.symbols import FunctionInfo
from racelint.link.world import EMPTY, Cell, World
from racelint.model import facts as f

CROWD = 6
# Wrappers around wrappers that are looked through for what a call returns.
CLOSURE_DEPTH = 3
# Cells of places: what is found in one is there for everybody who gets to the place.
FOUND = ("a", "k", "g", "e", "m", "x", "o")


class Evaluator(Annotations, Attributes, CallResults):
    """Evaluates the nodes of one function.

    ``params`` overrides what parameters hold (otherwise their cells); ``bindings`` says what enclosing functions'
    parameters hold for this closure. ``owners`` turns on heap cloning (see ``objects``). ``on_read`` is told about
    every cell that was looked at, so that a solver can come back when it grows.
    """

    def __init__(
        self,
        world: World,
        info: FunctionInfo,
        params: Mapping[str, tuple[Obj, ...]] | None = None,
        bindings: Bindings = (),
        *,
        owners: bool = False,
        on_read: Callable[[Cell], None] | None = None,
        returns: Callable[[Obj, CallResults, f.Call], Objs | None] | None = None,
    ) -> None:
        self.world = world
        self.info = info
        self.nodes = info.facts.nodes
        self.params = params or {}
        self.bindings = {(fid, name): objs for fid, name, objs in bindings}
        self.raw_bindings = bindings
        self.owners = owners
        self.on_read = on_read
        self.returns = returns
        self._memo: dict[int, Objs] = {}
        # Nodes that are being evaluated, the innermost last.
        self.active: dict[int, None] = {}
        self.depth = 0
        # Nodes whose truth is known here for another reason than their operands.
        self.truths: Mapping[int, bool] = {}

    # -- cells --------------------------------------------------------------------------------------------------------

    def cell(self, cell: Cell, *, handed: bool = False) -> Objs:
        """What may be in a cell, noted as read. What is found there is somewhere, unless the holder was handed in.

        While contexts are told apart, a place where very many containers meet (a parameter of a helper that everybody
        calls) is no evidence that any two of them are one, so containers are left out of it.
        """
        if self.on_read is not None:
            self.on_read(cell)
        if not self.owners:
            return self.world.cells.get(cell, EMPTY)
        key = (cell, handed)
        found = self.world.found.get(key)
        if found is None:
            found = self.world.get(cell)
            if len(found) > CROWD and cell[0] in ("p", "r", "e", "m", "x", "y", "i", "o"):
                found = {obj: None for obj in found if obj.kind not in ("ext", "opaque")}
            if not handed and cell[0] in FOUND and any(obj.promised for obj in found):
                found = {self.world.heap.anyone(obj): None for obj in found}
            self.world.found[key] = found
        return found

    def function_objects(self, fid: str) -> Objs:
        """The function, or what project decorators made of it."""
        if self.on_read is not None:
            self.on_read(("d", fid))
        return self.world.function_objects(fid)

    # -- nodes --------------------------------------------------------------------------------------------------------

    def eval(self, index: int) -> Objs:
        """The objects node ``index`` may be."""
        if index < 0:
            return EMPTY
        found = self._memo.get(index)
        if found is not None:
            return found
        if index in self.active:
            return EMPTY
        node = self.nodes[index]
        read = READERS.get(type(node))
        if read is None:
            return EMPTY
        self.active[index] = None
        found = read(self, node, index)
        del self.active[index]
        self._memo[index] = found
        return found

    def _param(self, node: f.Param, index: int) -> Objs:
        if node.name in self.params:
            return {obj: None for obj in self.params[node.name] if obj.kind != "const"}
        return self.cell(("p", self.info.id, node.name))

    def _attr(self, node: f.Attr, index: int) -> Objs:
        found: Objs = {}
        for obj in self.eval(node.base):
            found.update(self.attribute(obj, node.name))
        return found

    def _global(self, node: f.Global, index: int) -> Objs:
        objs, cell = self.world.resolve(self.info.module, node.name)
        return objs if cell is None else {**objs, **self.cell(cell)}

    def _imported(self, node: f.Imported, index: int) -> Objs:
        objs, cell = self.world.imported(node.module, node.name)
        return objs if cell is None else {**objs, **self.cell(cell)}

    def _captured(self, node: f.Captured, index: int) -> Objs:
        fid = f"{self.info.module}:{node.owner}"
        bound = self.bindings.get((fid, node.name))
        if bound is not None:
            return {obj: None for obj in bound if obj.kind != "const"}
        return self._siblings(self.cell(("x", fid, node.name)), fid)

    def _class_var(self, node: f.ClassVar, index: int) -> Objs:
        return self.cell(("k", f"{self.info.module}:{node.owner}", node.name))

    def _new(self, node: f.New, index: int) -> Objs:
        return {self.world.heap.make("ext", node.kind, (self.info.id, index), fresh=self.owners): None}

    def _class(self, node: f.Cls, index: int) -> Objs:
        return {self.world.heap.make("class", f"{self.info.module}:{node.qualname}"): None}

    def _super(self, node: f.SuperOf, index: int) -> Objs:
        make, name = self.world.heap.make, f"{self.info.module}:{node.owner}"
        return {make("super", name, owner=obj): None for obj in self.first_param()}

    def first_param(self) -> Objs:
        """What ``self`` (or ``cls``) holds: this function's first parameter, or the enclosing method's."""
        params = self.info.facts.params
        if self.info.cls is not None and params:
            name = params[0].name
            if name in self.params:
                return dict.fromkeys(self.params[name])
            return self.cell(("p", self.info.id, name))
        return EMPTY

    def _phi(self, phi: f.Phi, index: int) -> Objs:
        found: Objs = {}
        declared: list[int] = []
        for option in phi.options:
            node = self.nodes[option]
            if type(node) is f.Derived and node.op == "instance":
                declared.append(option)
            else:
                found.update(self.eval(option))
        if not found:
            for option in declared:
                found.update(self.eval(option))
        return found

    def _function(self, node: f.Func, index: int) -> Objs:
        fid = f"{self.info.module}:{node.qualname}"
        objs = self.function_objects(fid)
        bindings = self.closure_bindings(fid)
        if not bindings:
            return objs
        heap = self.world.heap
        return {
            heap.make("func", obj.name, bindings=(*obj.bindings, *bindings)) if obj.kind == "func" else obj: None
            for obj in objs
        }

    def _siblings(self, objs: Objs, outer: str) -> Objs:
        """Functions of the enclosing function ``outer``: made by the same call, they remember the same."""
        bindings = tuple(entry for entry in self.raw_bindings if f"{outer}.".startswith(f"{entry[0]}."))
        if not bindings:
            return objs
        functions = self.world.symbols.functions
        return {
            self.world.heap.make("func", obj.name, bindings=bindings)
            if obj.kind == "func" and not obj.bindings and functions[obj.name].parent == outer
            else obj: None
            for obj in objs
        }

    def closure_bindings(self, fid: str) -> Bindings:
        """What a closure made now remembers of this call: its parameters, and new objects in captured variables."""
        if not self.info.facts.exports:
            return self.raw_bindings
        exported = {name for name, _ in self.info.facts.exports}
        own = {**self.new_locals, **{name: objs for name, objs in self.params.items() if name in exported and objs}}
        return (*self.raw_bindings, *((self.info.id, name, objs) for name, objs in sorted(own.items())))

    @cached_property
    def new_locals(self) -> dict[str, tuple[Obj, ...]]:
        """Captured variables that are assigned once, to an object which this call makes."""
        if not self.owners:
            return {}
        inner = Evaluator(self.world, self.info, self.params, self.raw_bindings, owners=True, returns=self.returns)
        inner.depth = self.depth
        inner.__dict__["new_locals"] = {}  # what one of them is made with, it does not remember
        found: dict[str, tuple[Obj, ...]] = {}
        for name, nodes in self.info.facts.exports:
            if len(nodes) == 1 and isinstance(self.nodes[nodes[0]], (f.New, f.Result)) and name not in self.params:
                objs = inner.eval(nodes[0])
                if len(objs) == 1 and all(obj.fresh and obj.kind in ("inst", "ext") for obj in objs):
                    found[name] = tuple(objs)
        return found

    def _part(self, node: f.Part, index: int) -> Objs:
        found: Objs = {}
        for obj in self.eval(node.base):
            if obj.kind == "pair" and obj.owner is not None:
                if node.index == 1:
                    found.update(self.elements(obj.owner))
            elif obj.kind == "ext" and obj.name == "tuple" and obj.site is not None:
                found.update(self._tuple_part(obj, node.index))
            else:
                found.update(self.elements(obj))
        return found

    def _tuple_part(self, obj: Obj, position: int) -> Objs:
        cell = self.cell(("i", self.world.heap.plain(obj), position))
        return cell if cell else self.elements(obj)

    def item(self, base: int, key: int) -> Objs:
        """``base[key]``."""
        found: Objs = {}
        key_node = self.nodes[key] if key >= 0 else None
        position = int(key_node.text) if type(key_node) is f.Const and key_node.text.isdigit() else None
        for obj in self.eval(base):
            if obj.kind == "pair" and obj.owner is not None:
                if position == 1:
                    found.update(self.elements(obj.owner))
            elif obj.kind == "ext" and obj.name == "tuple" and position is not None:
                found.update(self._tuple_part(obj, position))
            elif obj.kind == "inst":
                method = self.world.method(obj.name, "__getitem__")
                if method is not None:
                    found.update(self.cell(("r", method)))
            elif obj.kind == "class":
                found[obj] = None  # Generic[T]
            else:
                found.update(self.value(obj, self.key(key)))
        return found

    def elements_of(self, objs: Iterable[Obj]) -> Objs:
        """What iterating over any of these yields."""
        found: Objs = {}
        for obj in objs:
            if obj.kind == "member" and obj.owner is not None and obj.name.endswith("()items"):
                found[self.world.heap.make("pair", "", owner=obj.owner)] = None
            elif obj.kind == "member" and obj.name.endswith("()keys"):
                continue
            elif obj.kind == "member" and obj.owner is not None and obj.name.endswith("()values"):
                found.update(self.elements(obj.owner))
            elif obj.kind == "ext" and obj.name == "enumerate":
                found[self.world.heap.make("pair", "", owner=obj)] = None
            elif obj.kind == "ext" and obj.name in self.world.mappings:
                continue
            elif obj.kind == "inst":
                found.update(self._iterated(obj))
            else:
                found.update(self.elements(obj))
        return found

    def _iterated(self, obj: Obj) -> Objs:
        """What iterating over an instance of a project class yields, by ``__next__`` or ``__iter__``."""
        following = self.world.method(obj.name, "__next__")
        if following is not None:
            return self.cell(("r", following))
        method = self.world.method(obj.name, "__iter__")
        if method is None:
            return EMPTY
        found: Objs = {}
        for iterator in self.function_result(method):
            if iterator.kind == "inst":
                following = self.world.method(iterator.name, "__next__")
                if following is not None:
                    found.update(self.cell(("r", following)))
            else:
                found.update(self.elements(iterator))
        return found

    def elements(self, obj: Obj) -> Objs:
        """What container ``obj`` holds."""
        if obj.kind not in ("ext", "opaque", "member"):
            return EMPTY
        if obj.bindings and obj.name == "generator" and self.depth < CLOSURE_DEPTH:
            return self._yielded(obj)
        found = self.cell(self.world.element_cell(obj), handed=obj.promised)
        if found:
            return adopt(self.world, found, obj) if self.owners else found
        if obj.kind == "opaque":
            return self._opaque(obj, "[]")
        return EMPTY

    def value(self, obj: Obj, key: str | None) -> Objs:
        """What container ``obj`` holds under a literal ``key`` (None: under any)."""
        if key is None or obj.kind not in ("ext", "opaque", "member"):
            return self.elements(obj)
        under_key = self.cell(self.world.value_cell(obj, key), handed=obj.promised)
        found = {**under_key, **self.cell(self.world.value_cell(obj, None), handed=obj.promised)}
        if found:
            return adopt(self.world, found, obj) if self.owners else found
        return self._opaque(obj, f"[{key}]") if obj.kind == "opaque" else EMPTY

    # -- calls --------------------------------------------------------------------------------------------------------

    def closure_result(self, callee: Obj) -> Objs:
        """What a closure returns: the wrapper a decorator made returns what *its* function does, not what all do."""
        info = self.world.symbols.functions[callee.name]
        if info.facts.is_generator:
            return {self.world.heap.make("ext", "generator", (info.id, -1), bindings=callee.bindings): None}
        if self.depth >= CLOSURE_DEPTH:
            return self.function_result(callee.name)
        return self.inside(info, bindings=callee.bindings).returned()

    def returned(self, unreachable: Collection[int] = ()) -> Objs:
        """What this function's ``return`` statements outside the ``unreachable`` blocks give."""
        found: Objs = {}
        for event in self.info.returns:
            if event.block not in unreachable:
                found.update(self.eval(event.value))
        return found

    def _yielded(self, generator: Obj) -> Objs:
        """What a generator that is a closure yields."""
        assert generator.site is not None
        info = self.world.symbols.functions[generator.site[0]]
        inner = self.inside(info, bindings=generator.bindings)
        found: Objs = {}
        for event in info.facts.events:
            if type(event) is f.Yield:
                value = inner.eval(event.value)
                found.update(inner.elements_of(value) if event.delegated else value)
        return found

    def inside(
        self, info: FunctionInfo, params: Mapping[str, tuple[Obj, ...]] | None = None, bindings: Bindings = ()
    ) -> Evaluator:
        """One of a function that this one calls, one call deeper, with what its parameters hold."""
        inner = self.elsewhere(info, params or {}, bindings)
        inner.depth = self.depth + 1
        return inner

    def elsewhere(self, info: FunctionInfo, params: Mapping[str, tuple[Obj, ...]], bindings: Bindings) -> Evaluator:
        """An evaluator of another function, for as long as this one is asked."""
        return Evaluator(
            self.world, info, params, bindings, owners=self.owners, on_read=self.on_read, returns=self.returns
        )

    def _called(self, fid: str, obj: Obj) -> Objs:
        """What a method that Python itself calls without arguments (a property, ``__enter__``) returns."""
        if self.returns is not None:
            func = self._bind(self.world.heap.make("func", fid), fid, obj)
            precise = self.returns(func, self, f.Call(-1, (), (), 0, 0, 0, -1))
            if precise is not None:
                return dict(precise)
        return dict(self.cell(("r", fid)))

    # -- derived values -----------------------------------------------------------------------------------------------

    def _derived(self, node: f.Derived, index: int) -> Objs:
        world, parts, op = self.world, node.parts, node.op
        if op == "instance":
            return self.instances(parts[0])
        if op == "entered":
            found: Objs = {}
            for obj in self.eval(parts[0]):
                if obj.kind == "inst":
                    method = world.method(obj.name, "__enter__") or world.method(obj.name, "__aenter__")
                    found.update(self._called(method, obj) if method is not None else {obj: None})
                elif obj.kind == "ext" and obj.name == "generator":
                    found.update(self.elements(obj))
                else:
                    found[obj] = None
            return found
        if op == "and":
            return self.eval(parts[-1])
        if op in ("BitOr", "Add", "BitOrAssign", "AddAssign"):
            kinds = {obj.name for part in parts for obj in self.eval(part) if obj.kind == "ext"}
            made = [kind for kind in ("dict", "list", "set", "tuple") if kind in kinds]
            return {world.heap.make("ext", kind, (self.info.id, index)): None for kind in made}
        return EMPTY


# How a node is evaluated, by its type; others may be anything. A table, since programs have very many nodes.
READERS: dict[type[Any], Callable[[Evaluator, Any, int], Objs]] = {
    f.Param: Evaluator._param,
    f.Attr: Evaluator._attr,
    f.Global: Evaluator._global,
    f.Result: lambda evaluator, node, _: evaluator.result(node.event),
    f.New: Evaluator._new,
    f.Func: Evaluator._function,
    f.Cls: Evaluator._class,
    f.Phi: Evaluator._phi,
    f.Item: lambda evaluator, node, _: evaluator.item(node.base, node.key),
    f.Elem: lambda evaluator, node, _: evaluator.elements_of(evaluator.eval(node.base)),
    f.Part: Evaluator._part,
    f.Awaited: lambda evaluator, node, _: evaluator.eval(node.base),
    f.Captured: Evaluator._captured,
    f.Imported: Evaluator._imported,
    f.ClassVar: Evaluator._class_var,
    f.Derived: Evaluator._derived,
    f.SuperOf: Evaluator._super,
}
