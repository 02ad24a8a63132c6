"""Ownership: what a call has made itself stays its own until others are given it or may look where it is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeAlias

from racelint.analysis.sharing import Sharing
from racelint.link.call_sites import Event
from racelint.link.classes import related
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj, Objs
from racelint.link.world import World
from racelint.model import facts as f

Sites: TypeAlias = frozenset[Event]


def root(world: World, obj: Obj) -> Obj:
    """The object a fresh one belongs to: what is published as one."""
    while obj.owner is not None and obj.owner.fresh:
        obj = obj.owner
    return world.heap.plain(obj)


def current(world: World, obj: Obj, published: Collection[Obj]) -> Obj:
    """An object as it is now: fresh ones that have been published are shared."""
    if obj.fresh and published and root(world, obj) in published:
        return world.heap.shared(obj)
    return obj


class Freshness:
    """Decides when an object that a call has made stops being its own."""

    def __init__(self, world: World, sharing: Sharing) -> None:
        self.world = world
        self.sharing = sharing
        self._seen: dict[tuple[Obj, Sites], bool] = {}
        self._given: dict[tuple[Obj, Sites], bool] = {}

    def seen(self, obj: Obj, sites: Sites) -> bool:
        """Whether what begins at these sites can see a fresh object."""
        key = (obj, sites)
        found = self._seen.get(key)
        if found is None:
            shared = self.world.heap.shared(obj)
            found = self._seen[key] = any(self.sharing.seen_from(site).shared(shared) for site in sites)
        return found

    def given_away(self, obj: Obj, sites: Sites) -> bool:
        """Whether what began at these sites was given a part of a fresh object, and not the object it belongs to.

        What knows no object of the owner's class, or of a class under or over it, has the part from nowhere else.
        """
        owner = obj.owner
        if owner is None or owner.kind != "inst" or obj.kind != "ext":
            return False
        key = (obj, sites)
        found = self._given.get(key)
        if found is None:
            part, symbols = self.world.heap.plain(obj), self.world.symbols
            found = self._given[key] = any(
                part in seen.objects and not any(related(symbols, owner.name, cid) for cid in seen.classes)
                for seen in map(self.sharing.seen_from, sites)
            )
        return found

    def params(self, evaluator: Evaluator, sites: Sites) -> set[Obj]:
        """Fresh objects a function was given, once something was started that can see them."""
        return {
            root(self.world, obj)
            for objs in evaluator.params.values()
            for obj in objs
            if obj.fresh and obj.kind == "inst" and self.seen(obj, sites)
        }

    def captured(self, evaluator: Evaluator, sites: Sites) -> set[Obj]:
        """Fresh objects in variables, once something was started that can see them from inside this function."""
        made = [obj for objs in evaluator.new_locals.values() for obj in objs]
        return {root(self.world, obj) for obj in made if self.seen(obj, sites)}

    def made(self, evaluator: Evaluator, before: int, sites: Sites) -> set[Obj]:
        """What a function has made itself before an event at which something is started that can see it."""
        facts = evaluator.info.facts
        nodes = [
            node
            for node, value in enumerate(facts.nodes)
            if type(value) is f.New or (type(value) is f.Result and value.event < before)
        ]
        objs = {obj for node in nodes for obj in evaluator.eval(node) if obj.fresh and obj.kind in ("inst", "ext")}
        return {root(self.world, obj) for obj in objs if self.seen(obj, sites)}

    def handed(self, evaluator: Evaluator, call: f.Call, callee: Obj) -> set[Obj]:
        """Fresh objects that a call which starts something was given, was called on, or made."""
        objs = dict(evaluator.eval(call.result))
        for arg in (*call.args, *(value for _, value in call.kwargs)):
            objs.update(evaluator.eval(arg))
        if callee.owner is not None:
            objs[callee.owner] = None
        return {root(self.world, obj) for obj in objs if obj.fresh and self._may_be_shared(obj)}

    def publish(self, evaluator: Evaluator, event: f.Access, published: set[Obj]) -> bool:
        """Storing an object where others may look ends its being fresh; whether this access can ever do that."""
        if event.value < 0 or event.kind not in ("store", "set", "grow"):
            return False
        node = evaluator.nodes[event.target]
        if event.kind == "store" and type(node) is f.Attr:
            holders: Iterable[Obj] = self._known(evaluator, node.base)
        elif event.kind == "store":
            holders = ()
        else:
            holders = evaluator.eval(event.target)
        if any(holder.fresh and root(self.world, holder) not in published for holder in holders):
            return True
        if holders and not any(self._may_be_shared(holder) for holder in holders):
            return False
        stored = [obj for obj in evaluator.eval(event.value) if obj.fresh]
        published.update(root(self.world, obj) for obj in stored)
        return bool(stored)

    def _known(self, evaluator: Evaluator, index: int) -> Objs:
        """The objects a node may be; where none is known, those that it was found in."""
        found = evaluator.eval(index)
        node = evaluator.nodes[index]
        while not found and isinstance(node, (f.Attr, f.Item, f.Elem, f.Part)):
            found = evaluator.eval(node.base)
            node = evaluator.nodes[node.base]
        return found

    def _may_be_shared(self, obj: Obj) -> bool:
        return self.sharing.shared(self.world.heap.shared(obj))
