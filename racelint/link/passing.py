"""What a call hands over: arguments to parameters, and what library functions pass on or keep of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from racelint.link.evaluate import CROWD, Evaluator
from racelint.link.gives import Gives
from racelint.link.objects import Obj, Objs
from racelint.link.partials import unwrapped
from racelint.link.passed import Passed, by_custom, by_row
from racelint.link.stores import Add, Stores
from racelint.link.world import ELSEWHERE, FACTORY, KEYWORDS, Cell, World, const_text
from racelint.model import facts as f

# In the place of the node in the site of a tuple: what ``*args`` of a function collects.
STAR = -3
STORE_METHODS = {
    "append": (0,),
    "appendleft": (0,),
    "add": (0,),
    "insert": (1,),
    "setdefault": (1,),
    "put": (0,),
    "put_nowait": (0,),
    "push": (0,),
    "__setitem__": (1,),
}
KEYED_METHODS = {"setdefault", "__setitem__"}
EXTEND_METHODS = {"extend", "update", "extendleft", "union", "__ior__", "__iadd__"}


class Passing:
    """Lets the arguments of calls flow into callees."""

    def __init__(self, world: World, add: Add, stores: Stores) -> None:
        self.world = world
        self.add = add
        self.stores = stores
        self.gives = Gives(world)
        # Whether what this call hands to a library function has been passed on already.
        self.handed_over = False

    def invoke(self, evaluator: Evaluator, call: f.Call, index: int, callee: Obj, bound: tuple[Objs, ...]) -> None:
        """Let the arguments of a call flow into one callee; ``bound`` are arguments a partial already holds."""
        world = self.world
        match callee.kind:
            case "func":
                self._arguments(evaluator, call, callee.name, None, bound)
                self._forward(evaluator, call, index, callee, bound)
            case "bound":
                self._arguments(evaluator, call, callee.name, callee.owner, bound)
                self._forward(evaluator, call, index, callee, bound)
            case "class":
                self._instantiate(evaluator, call, index, callee)
            case "inst":
                method = world.method(callee.name, "__call__")
                if method is not None:
                    self._arguments(evaluator, call, method, callee, bound)
            case "partial":
                for target, way in tuple(unwrapped(callee, evaluator.cell)):
                    held = tuple(objs for partial in reversed(way) for objs in self._held(evaluator, partial))
                    self.invoke(evaluator, call, index, target, (*held, *bound))
            case "symbol":
                self._external(evaluator, call, index, callee.name)
                self._handed_over(evaluator, call, index)
            case "member":
                self._handed_over(evaluator, call, index)
                if callee.owner is not None:
                    self._method_call(evaluator, call, index, callee, callee.owner)

    def _held(self, evaluator: Evaluator, partial: Obj) -> Iterator[Objs]:
        """The positional arguments that a partial holds."""
        position = 0
        while ("pa", partial.site, position) in self.world.cells:
            yield evaluator.cell(("pa", partial.site, position))
            position += 1

    def _forward(self, evaluator: Evaluator, call: f.Call, index: int, callee: Obj, bound: tuple[Objs, ...]) -> None:
        """A wrapper that passes ``*args`` on to the function it was made for: that one gets these very arguments."""
        heap = self.world.heap
        held = {(fid, name): objs for fid, name, objs in callee.bindings}
        if not held:
            return
        info = self.world.symbols.functions[callee.name]
        for event in info.facts.events:
            node = info.facts.nodes[event.func] if type(event) is f.Call and event.star else None
            if type(node) is not f.Captured:
                continue
            for target in held.get((f"{info.module}:{node.owner}", node.name), ()):
                if target.kind == "func" and callee.kind == "bound":
                    target = heap.make("bound", target.name, owner=callee.owner, func=target, bindings=target.bindings)
                if target.kind in ("func", "bound") and target.name != callee.name:
                    self.invoke(evaluator, call, index, target, bound)

    def _arguments(
        self, evaluator: Evaluator, call: f.Call, fid: str, receiver: Obj | None, bound: tuple[Objs, ...] = ()
    ) -> None:
        """Arguments to parameters."""
        signature = self.world.symbols.functions[fid].signature
        positional, names, star = signature.positional, signature.names, signature.star
        values: list[Objs] = [evaluator.eval(arg) for arg in call.args]
        values = [*bound, *values]
        nodes = [*(ELSEWHERE for _ in bound), *call.args]
        if receiver is not None:
            nodes.insert(0, ELSEWHERE)
            if receiver.kind == "inst" and receiver.unknown:
                values.insert(0, {})
            else:
                values.insert(0, {receiver: None})
        for position, (value, node) in enumerate(zip(values, nodes, strict=True)):
            if position < len(positional):
                if value:
                    self.add(("p", fid, positional[position]), value)
            elif star is not None:
                made = self.world.heap.make("ext", "tuple", (fid, STAR))
                self.add(("p", fid, star), {made: None})
                self.stores.hold(made, value, (evaluator.info.id, node))
                self.add(("i", made, position - len(positional)), value)
        for name, node in call.kwargs:
            if name == "*":
                spread = evaluator.eval(node)
                for position, param in enumerate(positional[len(values) :]):
                    value = self._at(evaluator, spread, position)
                    if 0 < len(value) <= CROWD:
                        self.add(("p", fid, param), value)
            elif name == "**":
                for obj in tuple(evaluator.eval(node)):
                    if obj.name == KEYWORDS:
                        self._pass_keywords(evaluator, obj, fid)
            elif name in names:
                value = evaluator.eval(node)
                if value:
                    self.add(("p", fid, name), value)

    def _at(self, evaluator: Evaluator, several: Iterable[Obj], position: int) -> Objs:
        """What is in a place of some sequences; of what ``*args`` collects nothing else is meant."""
        found: Objs = {}
        for obj in several:
            collected = obj.kind == "ext" and obj.site is not None and obj.site[1] == STAR
            cell: Cell = ("i", self.world.heap.plain(obj), position)
            found.update(evaluator.cell(cell) if collected else evaluator.elements_of({obj: None}))
        return found

    def _pass_keywords(self, evaluator: Evaluator, record: Obj, fid: str) -> None:
        """What ``**kwargs`` has collected, passed on: by name, and the rest to what collects it there."""
        for param in self.world.symbols.functions[fid].facts.params:
            if param.kind == "starstar":
                self.add(("p", fid, param.name), {record: None})
            elif param.kind in ("positional", "keyword"):
                self.add(("p", fid, param.name), evaluator.value(record, repr(param.name)))

    def _instantiate(self, evaluator: Evaluator, call: f.Call, index: int, callee: Obj) -> None:
        world = self.world
        for made in evaluator.call_result(callee, call, index):
            if made.kind != "inst" or made.name != callee.name:
                continue
            method = world.method(callee.name, "__init__")
            if method is not None:
                self._arguments(evaluator, call, method, made)
            else:
                self._fields(evaluator, call, callee.name)
        creator = world.method(callee.name, "__new__")
        if creator is not None:
            self._arguments(evaluator, call, creator, callee)
        meta = world.class_of(callee.name).metaclass
        if meta is not None:
            method = world.method(meta, "__call__")
            if method is not None:
                self._arguments(evaluator, call, method, callee)

    def _fields(self, evaluator: Evaluator, call: f.Call, cid: str) -> None:
        """A class without ``__init__`` that takes arguments declares its fields (dataclass, attrs, NamedTuple)."""
        world = self.world
        if not call.args and not call.kwargs:
            return
        names = [
            name for parent in reversed(world.class_of(cid).mro) for name, _ in world.class_of(parent).facts.annotations
        ]
        for name, arg in zip(dict.fromkeys(names), call.args, strict=False):
            self.add(world.own_slot(cid, name), evaluator.eval(arg))
        for name, node in call.kwargs:
            if name in names:
                self.add(world.own_slot(cid, name), evaluator.eval(node))

    def _external(self, evaluator: Evaluator, call: f.Call, index: int, dotted: str) -> None:
        world = self.world
        site = (evaluator.info.id, index)
        if dotted in ("functools.partial", "functools.partialmethod") and call.args:
            self.add(("pf", site), evaluator.eval(call.args[0]))
            for position, arg in enumerate(call.args[1:]):
                self.add(("pa", site, position), evaluator.eval(arg))
            return
        if dotted == "setattr" and len(call.args) == 3:
            name = const_text(evaluator.nodes[call.args[1]])
            if name is not None:
                for obj in tuple(evaluator.eval(call.args[0])):
                    self.stores.set_attribute(obj, name, evaluator.eval(call.args[2]))
            return
        for made in evaluator.call_result(world.heap.make("symbol", dotted), call, index):
            passes_on = world.container_row(made.name) or world.consumers.first(dotted)
            if made.kind == "ext" and made.site == site and passes_on:
                self._fill(evaluator, call, made)
        row = world.calls.first(dotted)
        if row is not None:
            for obj in evaluator.argument(call, row.function.position, row.function.keyword):
                if row.arguments is not None:
                    self._pass(evaluator, by_row(world, evaluator, call, obj, row))
                else:
                    self._callback(evaluator, call, obj)

    def _fill(self, evaluator: Evaluator, call: f.Call, made: Obj) -> None:
        """A container made from other containers holds their elements; one with a factory, what the factory makes."""
        world = self.world
        elsewhere = (evaluator.info.id, ELSEWHERE)
        row = world.container_row(made.name)
        if row is not None and row.factory is not None:
            factories = evaluator.argument(call, row.factory.position, row.factory.keyword)
            site = made.site
            assert site is not None
            self.stores.hold(made, evaluator._made_by(factories, (site[0], -100 - site[1])), (site[0], FACTORY))
        for arg in call.args:
            for obj in tuple(evaluator.eval(arg)):
                if obj.kind in ("ext", "member", "opaque"):
                    self.stores.hold(made, evaluator.elements_of({obj: None}), elsewhere)
        for name, node in call.kwargs:
            if row is not None and row.mapping:
                put = (evaluator.info.id, node) if name != "*" else elsewhere
                self.stores.hold(made, evaluator.eval(node), put, repr(name) if name != "*" else None)

    def _handed_over(self, evaluator: Evaluator, call: f.Call, index: int) -> None:
        """A library call that is given a function and values for it will pass them: ``Thread(target=f, args=(x,))``,
        ``submit(f, x)``, ``call_later(1, f, x)``. It makes no difference which of its callees is meant."""
        if self.handed_over:
            return
        self.handed_over = True
        self._pass(evaluator, by_custom(self.world, evaluator, call))
        for callee in tuple(evaluator.eval(call.func)):
            for cell, obj in self.gives.handed(evaluator, call, index, callee):
                self.add(cell, {obj: None})

    def _pass(self, evaluator: Evaluator, passed: Passed) -> None:
        for cell, node in passed:
            self.add(cell, evaluator.eval(node))

    def _callback(self, evaluator: Evaluator, call: f.Call, obj: Obj) -> None:
        """A function handed to a library call that runs it at once gets elements of the other arguments."""
        if obj.kind not in ("func", "bound"):
            return
        spread: Objs = {}
        for arg in call.args:
            spread.update(evaluator.elements_of(evaluator.eval(arg)))
        params = self.world.symbols.functions[obj.name].signature.positional
        for param in params[1 if obj.kind == "bound" else 0 :]:
            self.add(("p", obj.name, param), spread)

    def _method_call(self, evaluator: Evaluator, call: f.Call, index: int, callee: Obj, receiver: Obj) -> None:
        """Container methods move elements; other library methods may keep what they are given."""
        method = callee.name.rpartition(".")[2]
        elsewhere = (evaluator.info.id, ELSEWHERE)
        if receiver.kind in ("ext", "opaque", "member") and method in STORE_METHODS:
            key = evaluator.key(call.args[0]) if method in KEYED_METHODS and call.args else None
            for position in STORE_METHODS[method]:
                put = (evaluator.info.id, call.args[position]) if position < len(call.args) else elsewhere
                self.stores.hold(receiver, evaluator.argument(call, position, None), put, key)
        elif receiver.kind in ("ext", "opaque") and method in EXTEND_METHODS:
            for arg in call.args:
                self.stores.hold(receiver, evaluator.elements_of(evaluator.eval(arg)), elsewhere)
                if method == "update":
                    for obj in tuple(evaluator.eval(arg)):
                        if obj.kind == "ext":
                            self.stores.hold(receiver, evaluator.elements(obj), elsewhere)
        for made in evaluator.call_result(callee, call, index):
            if made.kind == "ext" and method == "copy":
                self.stores.hold(made, evaluator.elements(receiver), elsewhere)
