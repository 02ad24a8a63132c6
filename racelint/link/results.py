"""Calls to objects: what calling a project function, a class or a library function may return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping

from racelint.link.objects import Bindings, Obj, Objs
from racelint.link.partials import unwrapped
from racelint.link.symbols import FunctionInfo
from racelint.link.texts import text_of
from racelint.link.views import VIEWS
from racelint.link.world import EMPTY, Cell, World, literal_key
from racelint.model import facts as f

SNAPSHOT_TYPES = {
    "list": "list",
    "sorted": "list",
    "tuple": "tuple",
    "set": "set",
    "frozenset": "frozenset",
    "dict": "dict",
    "copy.copy": "list",
}
PASS_THROUGH = {"iter", "reversed", "typing.cast", "weakref.proxy", "asyncio.shield", "asyncio.ensure_future"}


class CallResults(ABC):
    """The half of an evaluator that knows what calls return; the other half evaluates nodes."""

    world: World
    info: FunctionInfo
    nodes: tuple[f.Node, ...]
    owners: bool
    params: Mapping[str, tuple[Obj, ...]]
    raw_bindings: Bindings
    returns: Callable[[Obj, CallResults, f.Call], Objs | None] | None

    @abstractmethod
    def cell(self, cell: Cell) -> Objs:
        """What may be in a cell."""

    @abstractmethod
    def eval(self, index: int) -> Objs:
        """The objects a node may be."""

    @abstractmethod
    def attribute(self, obj: Obj, name: str) -> Objs:
        """``obj.name``."""

    @abstractmethod
    def elements(self, obj: Obj) -> Objs:
        """What a container holds."""

    @abstractmethod
    def value(self, obj: Obj, key: str | None) -> Objs:
        """What a container holds under a literal key."""

    @abstractmethod
    def elements_of(self, objs: Iterable[Obj]) -> Objs:
        """What iterating over any of these yields."""

    @abstractmethod
    def elsewhere(self, info: FunctionInfo, params: Mapping[str, tuple[Obj, ...]], bindings: Bindings) -> CallResults:
        """An evaluator of another function, for as long as this one is asked."""

    def key(self, index: int) -> str | None:
        """The key of an item access when it is known: a literal, or the one library object made for it in a module."""
        text = literal_key(self.nodes, index)
        objs = self.eval(index) if text is None else EMPTY
        if len(objs) != 1:
            return text
        (obj,) = objs
        made = self.world.made_by(obj) if obj.kind == "ext" else None
        return repr(obj) if made is not None and made[0].facts.kind == "module" else None

    def attribute_got(self, node: f.Node) -> f.Node:
        """``getattr(x, "name")`` as ``x.name``; any other node as it is."""
        call = self.info.facts.events[node.event] if type(node) is f.Result else None
        if type(call) is not f.Call or len(call.args) < 2 or not isinstance(self.nodes[call.func], f.Global):
            return node
        if not any(obj.kind == "symbol" and obj.name == "getattr" for obj in self.eval(call.func)):
            return node
        name = text_of(self, call.args[1])
        return f.Attr(call.args[0], name) if name is not None else node

    def callees(self, event: int) -> Objs:
        """The objects a call event may call."""
        call = self.info.facts.events[event]
        assert isinstance(call, f.Call)
        return self.eval(call.func)

    def result(self, event: int) -> Objs:
        """What a call event may return."""
        call = self.info.facts.events[event]
        assert isinstance(call, f.Call)
        found: Objs = {}
        for callee in self.eval(call.func):
            found.update(self.call_result(callee, call, event))
        return found

    @abstractmethod
    def closure_result(self, callee: Obj) -> Objs:
        """What a closure returns, given what its enclosing function held when it was made."""

    def call_result(self, callee: Obj, call: f.Call, event: int) -> Objs:
        """What calling one object returns."""
        world = self.world
        match callee.kind:
            case "func" | "bound":
                if self.returns is not None:
                    precise = self.returns(callee, self, call)
                    if precise is not None:
                        return precise
                if callee.bindings:
                    return self.closure_result(callee)
                passed = self._passed_back(callee, call)
                return self.function_result(callee.name) if passed is None else passed
            case "class":
                return self._instantiated(callee, event)
            case "symbol":
                return self.external_result(callee.name, None, call, event)
            case "member":
                return self.external_result(callee.name, callee.owner, call, event)
            case "partial":
                found: Objs = {}
                for target, _ in unwrapped(callee, self.cell):
                    # What the partial holds comes before the arguments of the call: these are not by themselves all.
                    known = target.kind in ("func", "bound") and not target.bindings
                    found.update(self.function_result(target.name) if known else self.call_result(target, call, event))
                return found
            case "inst":
                method = world.method(callee.name, "__call__")
                if method is not None:
                    return self.cell(("r", method))
                return {callee: None}
            case _:
                return EMPTY

    def function_result(self, fid: str) -> Objs:
        """What a project function returns, from any call."""
        facts = self.world.symbols.functions[fid].facts
        if facts.is_generator:
            return {self.world.heap.make("ext", "generator", (fid, -1)): None}
        return self.cell(("r", fid))

    def _passed_back(self, callee: Obj, call: f.Call) -> Objs | None:
        """What a function that returns its own arguments gives this call, and not what it gives others.

        None when it returns none of them, or when it is not seen which it was given.
        """
        names = self.world.passed_back(callee.name)
        if not names or call.star:
            return None
        info = self.world.symbols.functions[callee.name]
        bound = callee.kind == "bound" and callee.owner is not None and not self.world.is_static(callee.name)
        handed = info.signature.handed(call, bound=bound)
        found = dict(self.cell(("s", callee.name)))
        if bound and callee.owner is not None and info.facts.params[0].name in names:
            found[callee.owner] = None
        for name in names:
            if name in handed:
                found.update(self.eval(handed[name]))
        return found

    def _instantiated(self, callee: Obj, event: int) -> Objs:
        world = self.world
        made: Obj = world.heap.make("inst", callee.name, (self.info.id, event), fresh=self.owners)
        maker = world.method(callee.name, "__new__")
        if maker is not None:
            found = {obj: None for obj in self.cell(("r", maker)) if obj.kind == "inst" and obj.name == callee.name}
            if self._hands_out(maker):
                return found or {world.heap.make("inst", callee.name, (maker, -1)): None}
        meta = world.class_of(callee.name).metaclass
        if meta is not None:
            method = world.method(meta, "__call__")
            if method is not None:
                # A metaclass that controls instantiation: every call may return the same instance.
                return {world.heap.make("inst", callee.name, (method, -1)): None}
        return {made: None}

    def _hands_out(self, maker: str) -> bool:
        """Whether a ``__new__`` may return what it has found somewhere, and not only what it has just made."""
        facts = self.world.symbols.functions[maker].facts
        returned = [facts.nodes[event.value] for event in facts.events if type(event) is f.Return]
        return not all(type(node) is f.Result for node in returned)

    def external_result(self, dotted: str, receiver: Obj | None, call: f.Call, event: int) -> Objs:
        """What a library call returns: by the tables, else an instance named after what was called."""
        world = self.world
        heap = world.heap
        site = (self.info.id, event)
        if receiver is None:
            special = self._builtin_result(dotted, call, site)
            if special is not None:
                return special
        if dotted.endswith(".__new__"):
            classes = [obj for obj in self.argument(call, 0, None) if obj.kind == "class"]
            if classes:
                if self.info.facts.name == "__new__" and self._hands_out(self.info.id):
                    site = (self.info.id, -1)
                return {heap.make("inst", cls.name, site, fresh=self.owners): None for cls in classes}
        row = world.results.first(dotted)
        if row is not None:
            if row.same_as is not None:
                return self.argument(call, row.same_as.position, row.same_as.keyword)
            if row.factory is not None:
                return self._made_by(self.argument(call, row.factory.position, row.factory.keyword), site)
            if row.type:
                return {heap.make("ext", row.type, site, fresh=self.owners): None}
        if receiver is not None:
            contained = self._container_result(dotted, receiver, call, site)
            if contained is not None:
                return contained
            if receiver.kind == "inst":
                return {heap.make("ext", f"{dotted}()", site): None}
            return {heap.make("ext", f"{dotted}()", site, owner=None): None}
        return {heap.make("ext", SNAPSHOT_TYPES.get(dotted, dotted), site, fresh=self.owners): None}

    def _made_by(self, factories: Objs, site: tuple[str, int]) -> Objs:
        """Objects a factory argument will make: ``default_factory=dict``, ``default_factory=lambda: Foo()``."""
        heap = self.world.heap
        found: Objs = {}
        for obj in factories:
            if obj.kind == "symbol":
                found[heap.make("ext", obj.name, site)] = None
            elif obj.kind == "class":
                found[heap.make("inst", obj.name, site)] = None
            elif obj.kind in ("func", "bound"):
                found.update(self.function_result(obj.name))
        return found

    def argument(self, call: f.Call, position: int | None, keyword: str | None) -> Objs:
        """The value of one argument of a call."""
        if keyword is not None:
            for name, value in call.kwargs:
                if name == keyword:
                    return self.eval(value)
        if position is not None and 0 <= position < len(call.args):
            return self.eval(call.args[position])
        return EMPTY

    def _builtin_result(self, dotted: str, call: f.Call, site: tuple[str, int]) -> Objs | None:
        heap = self.world.heap
        if dotted in PASS_THROUGH:
            return self.argument(call, 1 if dotted == "typing.cast" else 0, None)
        if dotted == "getattr" and len(call.args) >= 2:
            name = text_of(self, call.args[1])
            found: Objs = {}
            if name is not None:
                for obj in self.eval(call.args[0]):
                    found.update(self.attribute(obj, name))
            if len(call.args) > 2:
                found.update(self.eval(call.args[2]))
            return found
        if dotted == "next" and call.args:
            return self.elements_of(self.eval(call.args[0]))
        if dotted == "super":
            if len(call.args) >= 2:
                return {
                    heap.make("super", cls.name, owner=obj): None
                    for cls in self.eval(call.args[0])
                    if cls.kind == "class"
                    for obj in self.eval(call.args[1])
                }
            return {}
        if dotted == "type" and len(call.args) == 1:
            return {heap.make("class", obj.name): None for obj in self.eval(call.args[0]) if obj.kind == "inst"}
        if dotted in ("functools.partial", "functools.partialmethod"):
            return {heap.make("partial", "functools.partial", site): None}
        if dotted in ("max", "min") and len(call.args) == 1:
            return self.elements_of(self.eval(call.args[0]))
        if dotted in ("copy.copy", "copy.deepcopy"):
            return {
                heap.make("ext" if obj.kind == "ext" else "inst", obj.name, site, fresh=self.owners): None
                for obj in self.argument(call, 0, None)
                if obj.kind in ("ext", "inst")
            }
        if dotted == "globals":
            return {}
        return None

    def _container_result(self, dotted: str, receiver: Obj, call: f.Call, site: tuple[str, int]) -> Objs | None:
        world = self.world
        if receiver.kind not in ("ext", "opaque", "member"):
            return None
        method = dotted.rpartition(".")[2]
        row = world.container_row(receiver.name) if receiver.kind == "ext" else None
        if row is None:
            return None
        if method in VIEWS:
            return {world.heap.make("member", f"{receiver.name}()" + method, owner=receiver): None}
        if method == "copy":
            return {world.heap.make("ext", receiver.name, site, fresh=self.owners): None}
        effect = row.methods.get(method)
        if effect == "self":
            return {receiver: None}
        if method in ("get", "pop", "popleft", "setdefault", "get_nowait", "popitem", "__getitem__", "peek"):
            key = self.key(call.args[0]) if row.mapping and call.args else None
            found = dict(self.value(receiver, key))
            if method in ("get", "setdefault", "pop") and len(call.args) > 1:
                found.update(self.eval(call.args[1]))
            return found
        if effect is not None:
            return EMPTY
        return None
