"""Copies of objects: ``copy.copy(table)`` makes a new table with the same rows."""

from __future__ import annotations

from racelint.link.objects import Obj
from racelint.link.world import World, const_text
from racelint.model import facts as f

SETTERS = frozenset(("setattr", "object.__setattr__"))


def shallow_copy(world: World, obj: Obj, name: str) -> bool:
    """Whether an instance has the very object in attribute ``name`` that the one it is a copy of has there.

    Where the function that makes the copy also binds the attribute anew, or any that a variable names, it has not.
    """
    made = world.made_by(obj)
    if made is None or obj.site is None or world.method(obj.name, "__copy__") is not None:
        return False
    if not any(callee.kind == "symbol" and callee.name == "copy.copy" for callee in world.callees.get(obj.site, ())):
        return False
    info, call = made
    nodes = info.facts.nodes
    for index, event in enumerate(info.facts.events):
        if isinstance(event, f.Access) and event.kind == "store" and event.target >= 0:
            target = nodes[event.target]
            if isinstance(target, f.Attr) and target.base == call.result and target.name == name:
                return False
        elif isinstance(event, f.Call) and len(event.args) == 3 and event.args[0] == call.result:
            callees = world.callees.get((info.id, index), ())
            text = const_text(nodes[event.args[1]])
            if text in (None, name) and any(callee.name in SETTERS for callee in callees):
                return False
    return True
