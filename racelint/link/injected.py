"""Attributes that a framework sets on the objects it makes: the handler of a request finds its server in ``server``."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj, Objs
from racelint.link.world import Cell, World
from racelint.model import facts as f


def injected(world: World, evaluator: Evaluator, call: f.Call, callee: Obj) -> Iterator[tuple[Cell, Objs]]:
    """The attributes (and what they get) of the classes that a call gives to a framework.

    The call makes the object that they get, or is its ``super().__init__(...)``.
    """
    for dotted, objs in _made(world, evaluator, call, callee):
        row = world.injections.first(dotted)
        if row is None:
            continue
        for handler in evaluator.argument(call, row.function.position, row.function.keyword):
            if handler.kind == "class":
                yield world.own_slot(handler.name, row.attribute), objs


def _made(world: World, evaluator: Evaluator, call: f.Call, callee: Obj) -> Iterator[tuple[str, Objs]]:
    """The library types that an object is made as, and the object."""
    match callee.kind:
        case "symbol":
            yield callee.name, evaluator.eval(call.result)
        case "class":  # one with a constructor of its own mostly hands on what it is given
            for base in world.class_of(callee.name).external:
                yield base, evaluator.eval(call.result)
        case "member" if callee.owner is not None and callee.name.endswith(".__init__"):
            yield callee.name.removesuffix(".__init__"), {callee.owner: None}
