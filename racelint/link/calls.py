"""The call graph: who calls whom, at which call, how that was found out and how sure it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import networkx as nx

from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.partials import unwrapped
from racelint.link.world import World
from racelint.model import facts as f
from racelint.model.findings import Confidence

Resolution = Literal["name", "type", "hierarchy", "callback", "property", "decorator"]
CONFIDENCE: dict[Resolution, Confidence] = {
    "name": "high",
    "type": "high",
    "property": "high",
    "decorator": "high",
    "hierarchy": "medium",
    "callback": "medium",
}


def targets(world: World, callee: Obj) -> tuple[Obj, ...]:
    """The project functions (as ``func`` or ``bound`` objects) that calling an object runs."""
    heap = world.heap
    match callee.kind:
        case "func" | "bound":
            return (callee,)
        case "class":
            found = []
            info = world.class_of(callee.name)
            if info.metaclass is not None:
                method = world.method(info.metaclass, "__call__")
                if method is not None:
                    found.append(heap.make("bound", method, owner=callee, func=heap.make("func", method)))
            for name in ("__new__", "__init__", "__post_init__"):
                method = world.method(callee.name, name)
                if method is not None:
                    owner = callee if name == "__new__" else heap.make("inst", callee.name)
                    found.append(heap.make("bound", method, owner=owner, func=heap.make("func", method)))
            return tuple(found)
        case "inst":
            method = world.method(callee.name, "__call__")
            if method is not None:
                return (heap.make("bound", method, owner=callee, func=heap.make("func", method)),)
            return ()
        case "member" if callee.owner is not None and callee.owner.kind == "inst":
            return tuple(_overridden(world, callee.name, callee.owner))
        case "partial":
            return tuple(target for inner, _ in unwrapped(callee, world.get) for target in targets(world, inner))
        case _:
            return ()


def _overridden(world: World, dotted: str, receiver: Obj) -> Iterator[Obj]:
    """The project's own methods that a method of a library class calls on its object."""
    row = world.hooks.first(dotted)
    for name in row.methods if row is not None else ():
        method = world.method(receiver.name, name)
        if method is not None:
            yield world.heap.make("bound", method, owner=receiver, func=world.heap.make("func", method))


def resolution(world: World, evaluator: Evaluator, call: f.Call, callee: Obj, count: int) -> Resolution:
    """How a callee was found: by name, by the receiver's type, by class hierarchy, or as a stored callback."""
    node = evaluator.nodes[call.func]
    if callee.bindings and callee.kind in ("func", "bound"):
        return "decorator"
    if isinstance(node, (f.Global, f.Imported, f.Func, f.Cls, f.SuperOf)):
        return "name"
    if type(node) is f.Attr:
        if callee.kind in ("bound", "member"):
            return "type" if count == 1 else "hierarchy"
        if callee.kind in ("func", "class"):
            bases = evaluator.eval(node.base)
            if any(base.kind in ("module", "class") for base in bases):
                return "name"
        return "callback"
    return "callback"


def call_graph(world: World) -> nx.MultiDiGraph[str]:
    """Nodes are function ids; each edge carries ``event``, ``line``, ``resolution`` and ``confidence``."""
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_nodes_from(world.symbols.functions)
    evaluators: dict[str, Evaluator] = {}
    for (fid, index), callees in world.callees.items():
        evaluator = evaluators.get(fid)
        if evaluator is None:
            evaluator = evaluators[fid] = Evaluator(world, world.symbols.functions[fid])
        call = evaluator.info.facts.events[index]
        assert isinstance(call, f.Call)
        found = [(callee, target) for callee in callees for target in targets(world, callee)]
        for callee, target in found:
            how = resolution(world, evaluator, call, callee, len(found))
            graph.add_edge(fid, target.name, event=index, line=call.line, resolution=how, confidence=CONFIDENCE[how])
    return graph


def led_to(calls: nx.DiGraph[str], functions: Iterable[str]) -> frozenset[str]:
    """Some functions and all that they lead to."""
    found = set(functions)
    work = [fid for fid in found if fid in calls]
    while work:
        for callee in calls.adj[work.pop()]:
            if callee not in found:
                found.add(callee)
                work.append(callee)
    return frozenset(found)
