"""Which classes the receiver of an access may be of, by the methods that the way to it leads through.

A method is reached on instances of its class and of those subclasses that do not define it themselves: where a
synchronous class and its asynchronous twin share a base, the ways through ``close`` and through ``aclose`` are to
different objects. Source: class-hierarchy analysis, Dean, Grove and Chambers (ECOOP 1995).
"""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.effects import touched
from racelint.analysis.walk import Reached, State
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f


class Receivers:
    """Tells instances apart by their classes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._classes: dict[tuple[State, Obj], frozenset[str]] = {}
        self._kinds: dict[tuple[str, str], frozenset[str]] = {}

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses are to instances of different classes, or to what such instances have."""
        x, y = a.touch.base, b.touch.base
        if x is None or y is None or x.whole.kind != "inst" or y.whole.kind != "inst" or x.whole is y.whole:
            return False
        return self._of(a, x.whole).isdisjoint(self._of(b, y.whole))

    def _of(self, access: Reached, whole: Obj) -> frozenset[str]:
        """The classes that the instance an access is to (or to a part of) may be of."""
        key = (access.state, whole)
        if key not in self._classes:
            made = self.world.made_by(whole)
            if made is not None and made[1].func >= 0 and self._constructs(whole):
                found = frozenset((whole.name,))
            else:
                found = frozenset((whole.name, *self.world.class_of(whole.name).subclasses))
            if self._is_receiver(access):
                for fid in self._methods(access.state):
                    found &= self._reached_on(fid)
            self._classes[key] = found
        return self._classes[key]

    def _constructs(self, obj: Obj) -> bool:
        """Whether an object is made by calling its class."""
        assert obj.site is not None
        return any(
            callee.kind == "class" and callee.name == obj.name for callee in self.world.callees.get(obj.site, ())
        )

    def _is_receiver(self, access: Reached) -> bool:
        """Whether what is touched is the receiver of the function, or in its attributes."""
        facts = self.world.symbols.functions[access.touch.fid].facts
        node = touched(facts, access.touch)
        obj = access.touch.base
        while node >= 0 and obj is not None:
            value = facts.nodes[node]
            if isinstance(value, f.Attr) and obj.owner is not None:
                node, obj = value.base, obj.owner
                continue
            return obj.owner is None and self._me(access.state, value)
        return False

    def _me(self, state: State, value: f.Node) -> bool:
        info = self.world.symbols.functions[state.fid]
        return info.is_method and bool(info.facts.params) and value == f.Param(info.facts.params[0].name)

    def _methods(self, state: State) -> Iterator[str]:
        """The methods that were called on the receiver one by the other, by name: the innermost first."""
        while True:
            yield state.fid
            parent = state.parent
            if parent is None:
                return
            facts = self.world.symbols.functions[parent.fid].facts
            call = facts.events[state.event]
            func = facts.nodes[call.func] if isinstance(call, f.Call) else None
            if not isinstance(func, f.Attr) or not self._me(parent, facts.nodes[func.base]):
                return
            state = parent

    def _reached_on(self, fid: str) -> frozenset[str]:
        """The classes on whose instances a method is found by its name, and used."""
        info = self.world.symbols.functions[fid]
        cid, name = info.cls, info.facts.name
        assert cid is not None
        key = (cid, name)
        if key not in self._kinds:
            classes = (cid, *self.world.class_of(cid).subclasses)
            if self.world.method(cid, name) == fid:
                found = (one for one in classes if self.world.method(one, name) == fid)
                classes = tuple(one for one in found if not self._has_twin(one, cid, info.facts))
            self._kinds[key] = frozenset(classes)
        return self._kinds[key]

    def _has_twin(self, cid: str, base: str, facts: f.Function) -> bool:
        """Whether a subclass has a coroutine that takes the place of a method: ``__aexit__``, ``aclose``."""
        if facts.is_async:
            return False
        for parent in self.world.class_of(cid).mro:
            if parent == base:
                return False
            methods = self.world.class_of(parent).methods
            for name in _twins(facts.name):
                fid = methods.get(name)
                if fid is not None and self.world.symbols.functions[fid].facts.is_async:
                    return True
        return False


def _twins(name: str) -> tuple[str, ...]:
    """What the asynchronous form of a method is called."""
    if name.startswith("__"):
        return (f"__a{name[2:]}",)
    bare = name.lstrip("_")
    mark = name[: len(name) - len(bare)]
    return f"{name}_async", f"{mark}a{bare}", f"{mark}async_{bare}"
