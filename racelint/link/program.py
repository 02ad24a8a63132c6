"""Links all modules' facts into one program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from racelint.frameworks.schema import Tables
from racelint.link import carried, classes, fed, symbols
from racelint.link.evaluate import Evaluator
from racelint.link.solve import Solver
from racelint.link.symbols import ClassInfo
from racelint.link.world import World
from racelint.model import facts as f


def link(modules: Iterable[tuple[f.ModuleFacts, str]], aliases: Mapping[str, str], tables: Tables) -> World:
    """The linked program. ``modules`` pairs facts with display paths; ``aliases`` maps alternative module names."""
    world = World(symbols.build(modules, aliases), tables)
    _definitions(world)
    _decorator_names(world)
    classes.linearise(world.symbols, lambda info: _bases(world, info))
    classes.collect_attributes(world.symbols)
    world.forget_methods()
    world.feeds = fed.hand_out(world)
    carried.hand_out(world)
    Solver(world).solve()
    return world


def _definitions(world: World) -> None:
    """Names bound to functions and classes by definition hold them before anything is solved."""
    for info in world.symbols.functions.values():
        if info.facts.kind == "function":
            continue
        for event in info.facts.events:
            if not isinstance(event, f.Access) or event.kind != "store" or event.value < 0:
                continue
            target, value = info.facts.nodes[event.target], info.facts.nodes[event.value]
            if isinstance(value, f.Cls):
                made = world.heap.make("class", f"{info.module}:{value.qualname}")
            else:
                continue
            if isinstance(target, f.Global):
                world.cells.setdefault(("g", info.module, target.name), {})[made] = None
            elif isinstance(target, f.ClassVar):
                world.cells.setdefault(("k", f"{info.module}:{target.owner}", target.name), {})[made] = None


def _scope(world: World, module: str, qualname: str) -> Evaluator:
    return Evaluator(world, world.symbols.functions[f"{module}:{qualname}"])


def _bases(world: World, info: ClassInfo) -> list[str]:
    """Ids or dotted names of a class's direct bases; its metaclass is noted on the way."""
    evaluator = _scope(world, info.module, info.facts.scope)
    found: list[str] = []
    for node in info.facts.bases:
        value = evaluator.nodes[node]
        if isinstance(value, f.Item):  # Generic[T], Mapping[K, V]
            node = value.base
        for obj in evaluator.eval(node):
            if obj.kind in ("class", "symbol"):
                found.append(obj.name)
                break
            if obj.kind == "ext":  # a class made by a call: NamedTuple("P", ...), with_metaclass(Meta, Base)
                found.append(obj.name)
                break
    for keyword, node in info.facts.keywords:
        if keyword == "metaclass":
            for obj in evaluator.eval(node):
                if obj.kind == "class":
                    info.metaclass = obj.name
    return [name for name in found if name != info.id and name != "object"]


def _decorator_names(world: World) -> None:
    """Dotted names of decorators, for those that change how a function is looked up."""
    by_scope: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for info in world.symbols.functions.values():
        if not info.facts.decorators:
            continue
        by_scope.setdefault(world.scope_of(info), []).append((info.id, info.facts.decorators))
    for scope, functions in by_scope.items():
        evaluator = Evaluator(world, world.symbols.functions[scope])
        for fid, decorators in functions:
            world.decorator_names[fid] = tuple(_decorator_name(evaluator, node) for node in decorators)


def _decorator_name(evaluator: Evaluator, index: int) -> str:
    node = evaluator.nodes[index]
    if isinstance(node, f.Result):
        call = evaluator.info.facts.events[node.event]
        assert isinstance(call, f.Call)
        return _decorator_name(evaluator, call.func)
    for obj in evaluator.eval(index):
        if obj.kind == "symbol":
            return obj.name
    match node:
        case f.Attr(base, name):
            return f"{_decorator_name(evaluator, base)}.{name}"
        case f.Global(name) | f.Param(name) | f.Captured(_, name):
            return name
        case _:
            return ""
