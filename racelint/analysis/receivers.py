"""Which classes the receiver of an access may be of, by the methods that the way to it leads through.

A method is reached on instances of its class and of those subclasses that do not define it themselves: where a
synchronous class and its asynchronous twin share a base, the ways through ``close`` and through ``aclose`` are to
different objects. Source: class-hierarchy analysis, Dean, Grove and Chambers (ECOOP 1995).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from racelint.analysis.effects import touched
from racelint.analysis.origins import Provenance
from racelint.analysis.walk import Reached, State
from racelint.contexts.entry_points import SELF_SITE
from racelint.link.classes import related
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f


class Receivers:
    """Tells instances apart by their classes."""

    def __init__(self, world: World, provenance: Provenance) -> None:
        self.world = world
        self.provenance = provenance
        self._possible: dict[State, bool] = {}
        self._classes: dict[tuple[State, Obj], frozenset[str]] = {}
        self._kinds: dict[str, frozenset[str]] = {}

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses are to instances of different classes, or to what such instances have."""
        if not self._leads_here(a.state) or not self._leads_here(b.state):
            return True
        x, y = a.touch.base, b.touch.base
        if (
            x is None
            or y is None
            or x.depth != y.depth
            or x.whole.kind != "inst"
            or y.whole.kind != "inst"
            or x.whole is y.whole
        ):
            return False
        return self._of(a, x.whole).isdisjoint(self._of(b, y.whole))

    def _of(self, access: Reached, whole: Obj) -> frozenset[str]:
        """The classes that the instance an access is to (or to a part of) may be of."""
        key = (access.state, whole)
        if key not in self._classes:
            if self._exact(whole):
                found = frozenset((whole.name,))
            else:
                found = frozenset((whole.name, *self.world.class_of(whole.name).subclasses))
            if self._is_receiver(access):
                for fid in self._methods(access.state):
                    found &= self._reached_on(fid)
            self._classes[key] = found
        return self._classes[key]

    def _exact(self, obj: Obj) -> bool:
        """Whether an object is made by calling its class, or is a thread: its class is known as well."""
        if obj.site is None or obj.site[0] == SELF_SITE:
            return obj.site is not None
        callees = self.world.callees.get(obj.site, ())
        return any(callee.kind == "class" and callee.name == obj.name for callee in callees)

    def _leads_here(self, state: State) -> bool:
        """Whether each attribute that a way leads through can hold what a method is called on next.

        What a subclass stores in an inherited attribute is not in the attribute of its base class.
        """
        found = self._possible.get(state)
        if found is None:
            found = self._holds(state) and (state.parent is None or self._leads_here(state.parent))
            self._possible[state] = found
        return found

    def _holds(self, state: State) -> bool:
        """Whether the attribute ``self.name`` that a method is called on may hold its receiver."""
        parent, receiver = state.parent, self._receiver(state)
        if parent is None or receiver is None:
            return True
        facts = self.world.symbols.functions[parent.fid].facts
        call = facts.events[state.event]
        func = facts.nodes[call.func] if type(call) is f.Call else None
        holder = facts.nodes[func.base] if type(func) is f.Attr else None
        if type(holder) is not f.Attr or not self._me(parent, facts.nodes[holder.base]):
            return True
        owner = self._receiver(parent)
        if owner is None:
            return True
        classes = frozenset((owner.name, *self.world.class_of(owner.name).subclasses))
        for fid in self._methods(parent):
            classes &= self._reached_on(fid)
        return self._stored(classes, holder.name, receiver.name)

    def _receiver(self, state: State) -> Obj | None:
        """The instance a method was called on."""
        info = self.world.symbols.functions[state.fid]
        if not info.is_method or not info.facts.params:
            return None
        objs = dict(state.params).get(info.facts.params[0].name, ())
        return objs[0] if len(objs) == 1 and objs[0].kind == "inst" else None

    def _stored(self, classes: frozenset[str], name: str, cid: str) -> bool:
        """Whether instances of some classes may hold one of class ``cid`` in an attribute."""
        for fid, owner, value in self.provenance.stores.get(name, ()):
            info = self.world.symbols.functions[fid]
            own = info.is_method and info.facts.params and info.facts.nodes[owner] == f.Param(info.facts.params[0].name)
            if own and self._reached_on(fid).isdisjoint(classes):
                continue
            stored = self.provenance.evaluator(fid).eval(value)
            made = [obj for obj in stored if obj.kind != "const"]
            if not own or any(obj.kind != "inst" or related(self.world.symbols, obj.name, cid) for obj in made):
                return True
            if not made and type(info.facts.nodes[value]) is not f.Const:
                return True
        return not self.provenance.stores.get(name)

    def _is_receiver(self, access: Reached) -> bool:
        """Whether what is touched is the receiver of the function, or in its attributes."""
        facts = self.world.symbols.functions[access.touch.fid].facts
        node = touched(facts, access.touch)
        obj = access.touch.base
        while node >= 0 and obj is not None:
            value = facts.nodes[node]
            if type(value) is f.Attr and obj.owner is not None:
                node, obj = value.base, obj.owner
                continue
            return obj.owner is None and self._me(access.state, value)
        return False

    def _me(self, state: State, value: f.Node) -> bool:
        info = self.world.symbols.functions[state.fid]
        return info.is_method and bool(info.facts.params) and value == f.Param(info.facts.params[0].name)

    def _methods(self, state: State) -> Iterator[str]:
        """The methods that were called on the receiver one by the other: the innermost first."""
        while True:
            yield state.fid
            parent = state.parent
            if parent is None or not self._goes_on(parent, state):
                return
            state = parent

    def _goes_on(self, state: State, inner: State) -> bool:
        """Whether a method calls another one on its own receiver: ``self.m()``, ``super().m()``, ``Base.m(self)``."""
        functions = self.world.symbols.functions
        facts = functions[state.fid].facts
        call = facts.events[inner.event]
        func = facts.nodes[call.func] if type(call) is f.Call else None
        if type(func) is not f.Attr or type(call) is not f.Call:
            return False
        if functions[inner.fid].facts.name != func.name:
            return False  # what is kept under that name has a receiver of its own
        base = facts.nodes[func.base]
        if self._is_super(state.fid, base):
            return functions[state.fid].is_method
        return self._me(state, base) or (bool(call.args) and self._me(state, facts.nodes[call.args[0]]))

    def _reached_on(self, fid: str) -> frozenset[str]:
        """The classes on whose instances a method is run: found by its name, or by ``super()``."""
        found = self._kinds.get(fid)
        if found is None:
            info = self.world.symbols.functions[fid]
            cid, name = info.cls, info.facts.name
            assert cid is not None
            classes = (cid, *self.world.class_of(cid).subclasses)
            self._kinds[fid] = frozenset(classes)
            if self.world.method(cid, name) == fid and fid not in self._by_class:
                by_name = (one for one in classes if self.world.method(one, name) == fid)
                own = {one for one in by_name if not self._has_twin(one, cid, info.facts)}
                for caller in self._by_super.get(fid, ()):
                    own |= self._reached_on(caller)
                self._kinds[fid] = frozenset(own)
            found = self._kinds[fid]
        return found

    @cached_property
    def _by_super(self) -> dict[str, set[str]]:
        """Method -> the methods that call it by ``super()``."""
        found: dict[str, set[str]] = defaultdict(set)
        for caller, target, base in self._calls:
            method = self._method_around(caller) if self._is_super(caller, base) else None
            if method is not None:
                found[target].add(method)
        return found

    def _method_around(self, fid: str) -> str | None:
        """A method itself, or the one in which a function is nested."""
        functions = self.world.symbols.functions
        current: str | None = fid
        while current is not None and not functions[current].is_method:
            current = functions[current].parent
        return current

    def _is_super(self, fid: str, node: f.Node) -> bool:
        """Whether a node is ``super()`` or ``super(Class, self)``."""
        if type(node) is f.Result:
            return any(callee.name == "super" for callee in self.world.callees.get((fid, node.event), ()))
        return type(node) is f.SuperOf

    @cached_property
    def _by_class(self) -> frozenset[str]:
        """The methods that are called as functions of their class: ``Base.method(x)``."""
        return frozenset(
            target
            for caller, target, base in self._calls
            if isinstance(base, f.Global | f.Imported)
            or (self._is_super(caller, base) and self._method_around(caller) is None)
        )

    @cached_property
    def _calls(self) -> list[tuple[str, str, f.Node]]:
        """Calls of methods by an attribute: the caller, the method, and what it is an attribute of."""
        found: list[tuple[str, str, f.Node]] = []
        for (fid, event), callees in self.world.callees.items():
            facts = self.world.symbols.functions[fid].facts
            call = facts.events[event]
            func = facts.nodes[call.func] if type(call) is f.Call else None
            if type(func) is f.Attr:
                base = facts.nodes[func.base]
                kinds = ("func",) if isinstance(base, f.Global | f.Imported) else ("bound",)
                found.extend((fid, callee.name, base) for callee in callees if callee.kind in kinds)
        return found

    def _has_twin(self, cid: str, base: str, facts: f.Function) -> bool:
        """Whether a subclass has a coroutine that takes the place of a method (``__aexit__``, ``aclose``).

        One whose class uses the method itself only adds to it: ``await to_thread(self.close)``.
        """
        if facts.is_async:
            return False
        for parent in self.world.class_of(cid).mro:
            if parent == base:
                return False
            methods = self.world.class_of(parent).methods
            for name in _twins(facts.name):
                fid = methods.get(name)
                if fid is not None and self.world.symbols.functions[fid].facts.is_async:
                    return not any(self._uses(method, facts.name) for method in methods.values())
        return False

    def _uses(self, fid: str, name: str) -> bool:
        """Whether a method names another one of its receiver: ``self.name``, ``super().name``."""
        facts = self.world.symbols.functions[fid].facts
        me = f.Param(facts.params[0].name) if facts.params else None
        return any(
            type(node) is f.Attr
            and node.name == name
            and (facts.nodes[node.base] == me or self._is_super(fid, facts.nodes[node.base]))
            for node in facts.nodes
        )


def _twins(name: str) -> tuple[str, ...]:
    """What the asynchronous form of a method is called."""
    if name.startswith("__"):
        return (f"__a{name[2:]}",)
    bare = name.lstrip("_")
    mark = name[: len(name) - len(bare)]
    return f"{name}_async", f"{mark}a{bare}", f"{mark}async_{bare}"
