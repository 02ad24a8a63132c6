"""Which text a value is, where that is written somewhere else: ``getattr(self, attribute)`` in a decorator's wrapper.

A closure remembers what its decorator was called with (``@locked("_mutex")``) or the default of that parameter, an
object what it was made with, or what its class says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from racelint.link.objects import Bindings, Obj, Objs
from racelint.link.symbols import FunctionInfo
from racelint.link.world import World, const_text
from racelint.model import facts as f

# Names of names that are followed.
FAR = 4


class Reader(Protocol):
    """An evaluator of a function."""

    world: World
    info: FunctionInfo
    nodes: tuple[f.Node, ...]
    params: Mapping[str, tuple[Obj, ...]]
    raw_bindings: Bindings

    def eval(self, index: int) -> Objs:
        """The objects a node may be."""

    def elsewhere(self, info: FunctionInfo, params: Mapping[str, tuple[Obj, ...]], bindings: Bindings) -> Reader:
        """An evaluator of another function."""


def as_object(world: World, text: str) -> Obj:
    """The object that a closure remembers a text by."""
    return world.heap.make("const", repr(text))


def text_of(evaluator: Reader, node: int, depth: int = 0) -> str | None:
    """The one text that a node is, or None."""
    if node < 0 or depth > FAR:
        return None
    value = evaluator.nodes[node]
    match value:
        case f.Const():
            return const_text(value)
        case f.Param(name):
            return _remembered(evaluator.params.get(name, ()))
        case f.Captured(owner, name):
            return _captured(evaluator, f"{evaluator.info.module}:{owner}", name, depth)
        case f.Global():
            where, stored = made_where(evaluator, node)
            return text_of(where, stored, depth + 1) if stored != node or where is not evaluator else None
        case f.Attr(base, name):
            found = {_attribute(evaluator, obj, name, depth) for obj in evaluator.eval(base)}
            return found.pop() if len(found) == 1 else None
        case _:
            return None


def default_of(evaluator: Reader, info: FunctionInfo, name: str) -> str | None:
    """The text that a parameter holds when a call leaves it out."""
    world = evaluator.world
    outer = evaluator.elsewhere(world.symbols.functions[world.scope_of(info)], {}, ())
    given = (param.default for param in info.facts.params if param.name == name)
    return text_of(outer, next(given, -1), 1)


def _remembered(objs: tuple[Obj, ...]) -> str | None:
    (obj,) = objs if len(objs) == 1 else (None,)
    return const_text(f.Const(obj.name)) if obj is not None and obj.kind == "const" else None


def _captured(evaluator: Reader, fid: str, name: str, depth: int) -> str | None:
    """What a variable of an enclosing function was when this closure was made."""
    world = evaluator.world
    info = world.symbols.functions[fid]
    params = {bound: objs for where, bound, objs in evaluator.raw_bindings if where == fid}
    outer = evaluator.elsewhere(info, params, evaluator.raw_bindings)
    nodes = [node for exported, values in info.facts.exports if exported == name for node in values]
    if all(info.facts.nodes[node] == f.Param(name) for node in nodes):
        return _remembered(params.get(name, ()))
    return text_of(outer, nodes[0], depth + 1) if len(nodes) == 1 else None


def _assigned(evaluator: Reader, body: str, slot: f.Node, depth: int) -> str | None:
    """What the body of a module or class assigns to a name, when it does so once."""
    info = evaluator.world.symbols.functions.get(body)
    stores = list(_stores(info, slot)) if info is not None else []
    if info is None or len(stores) != 1:
        return None
    return text_of(evaluator.elsewhere(info, {}, ()), stores[0], depth + 1)


def _stores(info: FunctionInfo, slot: f.Node) -> Iterator[int]:
    nodes = info.facts.nodes
    for event in info.facts.events:
        if type(event) is f.Access and event.kind == "store" and nodes[event.target] == slot:
            yield event.value


def _attribute(evaluator: Reader, obj: Obj, name: str, depth: int) -> str | None:
    """What an object has under a name from its constructor, or from its class."""
    if obj.kind not in ("inst", "class"):
        return None
    world = evaluator.world
    for cid in world.class_of(obj.name).mro:
        info = world.class_of(cid)
        init = world.symbols.functions.get(info.methods.get("__init__", ""))
        if obj.kind == "inst" and init is not None and init.facts.params:
            given = _made_with(evaluator, obj, init, name, depth)
            if given is not None:
                return given
        found = _assigned(evaluator, f"{info.module}:{info.facts.body}", f.ClassVar(info.facts.qualname, name), depth)
        if found is not None:
            return found
    return None


def _made_with(evaluator: Reader, obj: Obj, init: FunctionInfo, name: str, depth: int) -> str | None:
    """What a constructor stores under a name: what the call that made the object says, or the default."""
    stored = list(_set_by(init, name))
    if len(stored) != 1:
        return None
    value = init.facts.nodes[stored[0]]
    if type(value) is not f.Param:
        return text_of(evaluator.elsewhere(init, {}, ()), stored[0], depth + 1)
    made = evaluator.world.made_by(obj)
    if made is None or made[1].star:
        return None
    given = handed_in(evaluator, obj, name)
    return text_of(given[0], given[1], depth + 1) if given is not None else default_of(evaluator, init, value.name)


def handed_in(evaluator: Reader, obj: Obj, name: str) -> tuple[Reader, int] | None:
    """The argument that an object was made with and has under a name, as a node of the function that made it."""
    world = evaluator.world
    init = world.symbols.functions.get(world.method(obj.name, "__init__") or "") if obj.kind == "inst" else None
    stored = list(_set_by(init, name)) if init is not None else []
    made = world.made_by(obj)
    if init is None or made is None or made[1].star or len(stored) != 1:
        return None
    value = init.facts.nodes[stored[0]]
    node = init.signature.handed(made[1], bound=True).get(value.name) if type(value) is f.Param else None
    return (evaluator.elsewhere(made[0], {}, ()), node) if node is not None else None


def _set_by(init: FunctionInfo, name: str) -> Iterator[int]:
    """What a constructor stores under a name."""
    nodes, params = init.facts.nodes, init.facts.params
    for event in init.facts.events if params else ():
        target = nodes[event.target] if type(event) is f.Access and event.kind == "store" else None
        if type(target) is f.Attr and target.name == name and nodes[target.base] == f.Param(params[0].name):
            assert type(event) is f.Access
            yield event.value


def made_where(evaluator: Reader, node: int) -> tuple[Reader, int]:
    """Where a variable of a module gets its one value, or the node itself: ``in_turn = locked("_mutex")``."""
    value, world = evaluator.nodes[node], evaluator.world
    if type(value) is f.Global:
        _, cell = world.resolve(evaluator.info.module, value.name)
        info = world.symbols.functions.get(f"{cell[1]}:<module>") if cell is not None else None
        stores = list(_stores(info, f.Global(str(cell[2])))) if info is not None and cell is not None else []
        if info is not None and len(stores) == 1:
            return evaluator.elsewhere(info, {}, ()), stores[0]
    return evaluator, node
