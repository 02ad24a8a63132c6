"""Whose an object is that was found inside another one: what an object's own class makes for it belongs to it.

One line in a base class makes a cache for each of its instances, and these are as many objects (heap cloning, see
``objects``).
"""

from __future__ import annotations

from racelint.link.objects import Obj, Objs
from racelint.link.world import World

MAX_OWNER_DEPTH = 3


def adopt(world: World, objs: Objs, owner: Obj) -> Objs:
    """Objects found inside ``owner``: those its own class makes belong to this very owner."""
    if owner.kind == "ext" and owner.fresh and owner.site is not None:
        # What a call makes, by a function inside it too, and keeps in a container of its own is its own.
        made_here = owner.site[0]
        return {
            world.heap.freshened(obj)
            if obj.kind in ("inst", "ext")
            and obj.site is not None
            and (obj.site[0] == made_here or obj.site[0].startswith(f"{made_here}."))
            else obj: None
            for obj in objs
        }
    adopted = world.adopted
    found: Objs = {}
    for obj in objs:
        own = adopted.get((obj, owner))
        if own is None:
            own = adopted[obj, owner] = _owned(world, obj, owner)
        found[own] = None
    return _as_made(world, found, owner) if owner.kind == "inst" and owner.fresh else found


def _as_made(world: World, objs: Objs, owner: Obj) -> Objs:
    """What a fresh object has: what it was made with, not what others put into others of its class.

    What the constructor is handed may be either, and so may what its own module has.
    """
    if len(objs) == 1 or not any(obj.kind == "ext" and obj.fresh for obj in objs):
        return objs
    module = world.class_of(owner.name).module
    init = world.method(owner.name, "__init__")
    params = world.symbols.functions[init].facts.params if init is not None else ()
    handed = {obj for param in params for obj in world.get(("p", init, param.name))}

    def near(obj: Obj) -> bool:
        maker = world.symbols.functions.get(obj.site[0]) if obj.site is not None else None
        return maker is not None and maker.module == module and maker.facts.kind == "module"

    foreign = ("ext", "opaque", "member")
    return {obj: None for obj in objs if obj.kind not in foreign or obj.fresh or obj in handed or near(obj)}


def _owned(world: World, obj: Obj, owner: Obj) -> Obj:
    if obj.kind not in ("inst", "ext") or obj.site is None or obj.owner is not None:
        return obj
    maker = world.symbols.functions.get(obj.site[0])
    if maker is None:
        return obj
    holder: Obj | None = owner
    while holder is not None and holder.kind != "inst":
        holder = holder.owner
    if holder is None or holder.depth >= MAX_OWNER_DEPTH:
        return obj
    if holder.fresh and _made_for(world, obj, holder, obj.site[0]):
        return world.heap.owned(obj, holder)
    cls = maker.cls
    if cls is None and maker.facts.kind == "class":
        cls = f"{maker.module}:{maker.facts.cls}"
    if cls is None or cls not in world.class_of(holder.name).mro:
        return obj
    return world.heap.owned(obj, holder)


def _made_for(world: World, obj: Obj, holder: Obj, maker: str) -> bool:
    """Whether a container in a slot of a fresh object is as fresh.

    It is when it is made where the object is, or by a helper that gives each caller another, or when some function
    made it for an object of this class and nobody else keeps it: not when the constructor was handed it.
    """
    if obj.kind != "ext" or holder.site is None:
        return False
    plain = world.heap.plain(obj)
    if maker == holder.site[0] or plain in world.get(("r", maker)):
        return True
    if world.symbols.functions[maker].facts.kind != "function":
        return False
    mro = world.class_of(holder.name).mro
    if not world.keepers.get(plain, frozenset()).issubset(mro):
        return False
    init = world.method(holder.name, "__init__")
    return init is None or not any(
        plain in world.get(("p", init, param.name)) for param in world.symbols.functions[init].facts.params
    )
