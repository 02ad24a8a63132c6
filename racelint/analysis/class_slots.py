"""Attributes of classes: what is read from one class and written to another one is not written back.

``Special.limit`` reads what ``Special``, or a class over it, has; ``Other.limit = 3`` changes neither, though the class
over both declares the attribute.
"""

from __future__ import annotations

from racelint.analysis.walk import Reached
from racelint.link.evaluate import Evaluator
from racelint.link.world import World
from racelint.model import facts as f


def other_slot(world: World, read: Reached, write: Reached) -> bool:
    """Whether a write of a class attribute is on no class that a read of it may have it from."""
    if read.touch.place[0] != "k" or read.touch.content:
        return False
    readers, writers = _classes(world, read), _classes(world, write)
    return bool(readers) and bool(writers) and all(writers.isdisjoint(world.class_of(cid).mro) for cid in readers)


def _classes(world: World, access: Reached) -> set[str]:
    """The classes an access is on, or to whose instances; none when any of them is unknown."""
    info = world.symbols.functions[access.touch.fid]
    event = info.facts.events[access.touch.event]
    target = info.facts.nodes[event.target] if isinstance(event, f.Access) else None
    if not isinstance(target, f.Attr):
        return set()
    objs = Evaluator(world, info, dict(access.state.params), access.state.bindings).eval(target.base)
    if any(obj.kind not in ("class", "inst") for obj in objs):
        return set()
    under = {sub for obj in objs if obj.kind == "inst" and obj.unknown for sub in world.class_of(obj.name).subclasses}
    return {obj.name for obj in objs} | under
