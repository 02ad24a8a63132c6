"""Objects that nobody changes once others can see them: two made alike are as good as one.

A registry that is read from a file on first use may be read twice; each thread looks into an equal one. Source: the
immutable objects of Goetz et al., "Java Concurrency in Practice" (2006), 3.4, as the program treats them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from racelint.analysis.effects import GENERIC_TYPES, MUTATING
from racelint.analysis.values import Values
from racelint.analysis.walk import Reached
from racelint.link.calls import targets
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f

MAX_DEPTH = 4


class Frozen:
    """Knows which objects of a program stay as their constructor left them."""

    def __init__(self, world: World, values: Values, reached: Iterable[Reached]) -> None:
        self.world = world
        self.values = values
        self._slots: set[tuple[str, str]] = set()
        self._contents: set[object] = set()
        self._changing: set[str] = set()
        for access in reached:
            kind, owner, *rest = access.touch.place
            if access.touch.effect not in MUTATING:
                continue
            self._changing.add(access.touch.fid)
            if kind == "a":
                self._slots.add((str(owner), str(rest[0])))
            elif isinstance(owner, Obj):
                self._contents.add(owner.site)
        self._classes: dict[str, bool] = {}
        self._called: dict[str, set[str]] = defaultdict(set)
        for (fid, _), callees in world.callees.items():
            self._called[fid].update(target.name for callee in callees for target in targets(world, callee))
        self._reach: dict[str, frozenset[str]] = {}

    def stays(self, fid: str, node: int) -> bool:
        """Whether a value is an object, or a built-in container, that is only looked into once it is made."""
        objs = self.values.objects(fid, node)
        return bool(objs) and all(self._object(obj, 0) for obj in objs)

    def _object(self, obj: Obj, depth: int) -> bool:
        if depth > MAX_DEPTH:
            return False
        if obj.kind == "inst":
            return self._class(obj.name, depth)
        if obj.kind in ("ext", "member") and self.values.calls.first(obj.name.partition("()")[0]) is not None:
            return True
        if obj.kind == "ext":
            if obj.name not in GENERIC_TYPES or obj.site in self._contents or not self._filled(obj):
                return False
            return all(
                self._object(inner, depth + 1)
                for inner in self.world.get(self.world.element_cell(obj))
                if self._made_along(inner, obj)
            )
        return obj.kind in ("const", "func", "class", "symbol", "module")

    def _made_along(self, inner: Obj, container: Obj) -> bool:
        """Whether an element may be made when its container is: what was there before is in the other one as well."""
        if inner.site is None or container.site is None:
            return False
        return inner.site[0] in self._led_to(container.site[0])

    def _led_to(self, fid: str) -> frozenset[str]:
        """A function and what it calls, and so on."""
        if fid not in self._reach:
            found, work = {fid}, [fid]
            while work:
                for callee in self._called.get(work.pop(), ()):
                    if callee not in found:
                        found.add(callee)
                        work.append(callee)
            self._reach[fid] = frozenset(found)
        return self._reach[fid]

    def _filled(self, obj: Obj, depth: int = 0) -> bool:
        """Whether a container is made with something in it; one made empty is there for somebody to fill."""
        info = self.world.symbols.functions.get(obj.site[0]) if obj.site is not None else None
        if info is None or obj.site is None or depth > MAX_DEPTH:
            return False
        nodes, events, index = info.facts.nodes, info.facts.events, obj.site[1]
        made = nodes[index] if 0 <= index < len(nodes) else None
        if type(made) is f.New:
            return bool(made.items)
        call = events[index] if 0 <= index < len(events) else None
        func = nodes[call.func] if type(call) is f.Call else None
        if type(func) is not f.Attr or func.name != "copy":
            return False
        originals = self.values.objects(info.id, func.base)
        return bool(originals) and all(self._filled(original, depth + 1) for original in originals)

    def _class(self, cid: str, depth: int) -> bool:
        """Whether instances of a class and its bases hold nothing but data that stays as it is."""
        if cid not in self._classes:
            self._classes[cid] = False  # an object that holds itself is not plain data
            self._classes[cid] = self._judged(cid, depth)
        return self._classes[cid]

    def _judged(self, cid: str, depth: int) -> bool:
        info = self.world.class_of(cid)
        if not self.values.stateless.issuperset(info.external) or self._noticed(cid):
            return False
        for parent in info.mro:
            for name in sorted(self.world.class_of(parent).own_attrs):
                if (parent, name) in self._slots:
                    return False
                objs = self.world.get(("a", parent, name))
                if not objs and not self.values.stored_plain(parent, name):
                    return False
                if not all(self._object(obj, depth + 1) for obj in objs):
                    return False
        return True

    def _noticed(self, cid: str) -> bool:
        """Whether making an instance changes something that others see: a list of all of them, a counter."""
        init = self.world.method(cid, "__init__")
        work, seen = [init] if init is not None else [], set()
        while work:
            fid = work.pop()
            if fid in seen:
                continue
            seen.add(fid)
            if fid in self._changing:
                return True
            for index, event in enumerate(self.world.symbols.functions[fid].facts.events):
                if type(event) is f.Call:
                    callees = self.world.callees.get((fid, index), ())
                    work.extend(callee.name for callee in callees if callee.kind in ("func", "bound"))
        return False
