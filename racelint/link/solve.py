"""Fills the cells: values flow along assignments, calls, returns and container operations until nothing changes."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator

from racelint.link import classes as hierarchy
from racelint.link.again import Parts
from racelint.link.evaluate import CROWD, Evaluator
from racelint.link.handed_back import returned_otherwise
from racelint.link.injected import injected
from racelint.link.objects import Bindings, Obj, Objs, Site
from racelint.link.partials import unwrapped
from racelint.link.passed import Passed, by_custom, by_row
from racelint.link.symbols import ClassInfo, FunctionInfo
from racelint.link.texts import Reader, as_object, default_of, made_where, text_of
from racelint.link.world import CELL_LIMIT, ELSEWHERE, FACTORY, KEYWORDS, Cell, World, const_text
from racelint.model import facts as f

# In the place of the node in the site of a tuple: what ``*args`` of a function collects.
STAR = -3
# A function is looked at again when something it reads has grown; more often than this it is left as it is.
VISIT_LIMIT = 40
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


class Solver:
    """Worklist of functions over cells."""

    def __init__(self, world: World) -> None:
        self.world = world
        # Functions with the nodes and parts of them (see ``again``) that have read a cell.
        self.readers: dict[Cell, dict[str, int]] = defaultdict(dict)
        # Nodes and parts of functions that have read what has grown since.
        self.grown: dict[str, int] = {}
        self.parts: dict[str, Parts] = {}
        self.queue: deque[str] = deque()
        self.queued: set[str] = set()
        self.visits: dict[str, int] = {}
        self.chains: dict[str, dict[int, Objs]] = {}
        # What is being looked at: a function, its nodes, and which part of it.
        self.current = ""
        self.looking: Evaluator | None = None
        self.part = 0
        # What of the function has to be evaluated anew.
        self.anew = -1
        self.handed_over = False
        # Classes that the annotation of a parameter lets in; None: no limit.
        self.admits: dict[Cell, frozenset[str] | None] = {}

    def solve(self) -> None:
        """Run to the fixpoint: first from what the code assigns, then with annotations where nothing arrived."""
        world = self.world
        for fid, info in world.symbols.functions.items():
            self._receiver(info)
            self._enqueue(fid)
        self._drain()
        for info in world.symbols.functions.values():
            self._annotations(info)
        for cls in world.symbols.classes.values():
            self._fields_declared(cls)
        self._drain()

    def _receiver(self, info: FunctionInfo) -> None:
        """A method's first parameter holds some instance of its class (or the class itself)."""
        world = self.world
        if info.cls is None or not info.facts.params or world.is_static(info.id):
            return
        name = info.facts.params[0].name
        kind = world.class_of(info.cls)
        if info.facts.name == "__init_subclass__":
            # Python calls it for each subclass, when that is defined: this is how many registries are filled.
            for sub in kind.subclasses:
                self._add(("p", info.id, name), {world.heap.make("class", sub): None})
        elif world.is_classmethod(info.id) or kind.metaclass == "type":
            self._add(("p", info.id, name), {world.heap.make("class", info.cls): None})
        elif "type" in kind.external:
            return
        else:
            self._add(("p", info.id, name), {world.heap.make("inst", info.cls): None})

    def _defaults(self, info: FunctionInfo) -> None:
        """Defaults are made once, in the enclosing scope, and every call may see them."""
        outer: Evaluator | None = None
        for param in info.facts.params:
            if param.default >= 0:
                outer = outer or self._evaluator(self.world.symbols.functions[self.world.scope_of(info)])
                value = outer.eval(param.default)
                if value:
                    self._add(("p", info.id, param.name), value)

    def _annotations(self, info: FunctionInfo) -> None:
        evaluator = self._evaluator(info)
        for param in info.facts.params:
            if param.annotation >= 0 and param.kind in ("positional", "keyword"):
                if not self.world.get(("p", info.id, param.name)):
                    self._add(("p", info.id, param.name), evaluator.instances(param.annotation, param=True))
        if info.facts.returns >= 0 and not self.world.get(("r", info.id)):
            self._add(("r", info.id), evaluator.instances(info.facts.returns))

    def _fields_declared(self, cls: ClassInfo) -> None:
        """What a class body declares for its instances: ``engine: Engine``, ``engine: Engine | None = None``."""
        world = self.world
        if not cls.facts.annotations:
            return
        evaluator = self._evaluator(world.symbols.functions[f"{cls.module}:{cls.facts.body}"])
        for name, annotation in cls.facts.annotations:
            slot = world.own_slot(cls.id, name)
            if world.get(slot) or world.get(("k", cls.id, name)) or evaluator.for_class(annotation):
                continue
            promised = evaluator.instances(annotation)
            if promised:
                self._add(slot, promised)

    def _evaluator(self, info: FunctionInfo) -> Evaluator:
        return Evaluator(self.world, info, on_read=self._read)

    def _read(self, cell: Cell) -> None:
        readers = self.readers[cell]
        active = self.looking.active if self.looking is not None else None
        reader = 1 << next(reversed(active)) if active else self.part
        readers[self.current] = readers.get(self.current, 0) | reader

    def _enqueue(self, fid: str) -> None:
        if fid not in self.queued and self.visits.get(fid, 0) < VISIT_LIMIT:
            self.queued.add(fid)
            self.queue.append(fid)

    def _admitted(self, cell: Cell, objs: Iterable[Obj]) -> Iterable[Obj]:
        """What a parameter may hold by its annotation: helpers that pass ``*args`` on mix everybody's arguments."""
        world = self.world
        if cell not in self.admits:
            info = world.symbols.functions[str(cell[1])]
            declared = next((param.annotation for param in info.facts.params if param.name == cell[2]), -1)
            self.admits[cell] = Evaluator(world, info).admits(declared)
        admitted = self.admits[cell]
        if admitted is None:
            return objs
        if not admitted:
            return ()
        return [obj for obj in objs if self._fits(obj, admitted)]

    def _fits(self, obj: Obj, admitted: frozenset[str]) -> bool:
        """Whether an annotation with some classes lets an object in; it knows better what unknown functions return."""
        if obj.kind == "inst":
            return any(hierarchy.related(self.world.symbols, obj.name, cid) for cid in admitted)
        return obj.kind != "ext" or not obj.name.rpartition(".")[2][:1].islower() or "." not in obj.name

    def _add(self, cell: Cell, objs: Iterable[Obj]) -> None:
        if cell[0] == "p" and objs:
            objs = self._admitted(cell, objs)
        stored = self.world.cells.get(cell)
        if stored is None:
            stored = self.world.cells[cell] = {}
        before = len(stored)
        for obj in objs:
            if obj not in stored and len(stored) < CELL_LIMIT:
                stored[obj] = None
        if len(stored) != before:
            self._look_again(cell)

    def _look_again(self, cell: Cell) -> None:
        """Come back to those who have read a cell."""
        for fid, reader in self.readers.get(cell, {}).items():
            self.grown[fid] = self.grown.get(fid, 0) | reader
            self._enqueue(fid)

    def _drain(self) -> None:
        while self.queue:
            fid = self.queue.popleft()
            self.queued.discard(fid)
            self.visits[fid] = self.visits.get(fid, 0) + 1
            self.current = fid
            self._visit(self.world.symbols.functions[fid])

    # -- one function -------------------------------------------------------------------------------------------------

    def _visit(self, info: FunctionInfo) -> None:
        facts = info.facts
        parts = self.parts.get(info.id)
        if parts is None:
            parts = self.parts[info.id] = Parts(facts)
        everything = self.visits[info.id] == 1
        grown = self.grown.pop(info.id, 0)
        evaluator = self.looking = self._evaluator(info)
        passed = 0

        def concerned(part: int, looks: int) -> bool:
            """Whether a part has to be looked at (again): what has been evaluated already stays as it was."""
            nonlocal passed
            self.part = parts.bit(part)
            self.anew = -1 if everything else grown | (self.grown.get(info.id, 0) & ~passed)
            passed |= looks
            return bool(looks & self.anew)

        self.anew = -1
        if concerned(parts.defaults, parts.bit(parts.defaults)):
            self._defaults(info)
        for index, event in parts.flows if everything else enumerate(facts.events):
            if everything or concerned(index, parts.looks[index]):
                self.part = parts.bit(index)
                self._event(evaluator, event, index)
        if everything or concerned(parts.exports, parts.looks[parts.exports]):
            self.part = parts.bit(parts.exports)
            for name, nodes in facts.exports:
                for node in nodes:
                    self._add(("x", info.id, name), evaluator.eval(node))
        for index, made in parts.made:
            if everything or concerned(parts.shown, parts.displays[index]):
                self.part = parts.bit(parts.shown)
                self._display(evaluator, index, made)
        self.looking = None

    def _event(self, evaluator: Evaluator, event: f.Event, index: int) -> None:
        if type(event) is f.Access:
            if event.kind == "store":
                self._store(evaluator, event)
            elif event.kind == "set":
                value = evaluator.eval(event.value)
                if value:
                    key = evaluator.key(event.key)
                    for obj in tuple(evaluator.eval(event.target)):
                        self._put(obj, value, (evaluator.info.id, event.value), key)
            elif event.kind == "grow":
                value = evaluator.elements_of(evaluator.eval(event.value))
                for obj in tuple(evaluator.eval(event.target)):
                    self._put(obj, value, (evaluator.info.id, ELSEWHERE))
        elif type(event) is f.Call:
            self._call(evaluator, event, index)
        elif type(event) is f.Return:
            self._add(("r", evaluator.info.id), evaluator.eval(event.value))
            if self.world.passed_back(evaluator.info.id):
                for node in returned_otherwise(evaluator.info.facts, event.value):
                    self._add(("s", evaluator.info.id), evaluator.eval(node))
        elif type(event) is f.Yield:
            value = evaluator.eval(event.value)
            self._add(("y", evaluator.info.id), evaluator.elements_of(value) if event.delegated else value)

    def _display(self, evaluator: Evaluator, index: int, node: f.New) -> None:
        heap = self.world.heap
        made = heap.make("ext", node.kind, (evaluator.info.id, index))
        for position, item in enumerate(node.items):
            value = evaluator.eval(item)
            if value:
                key = node.keys[position] if position < len(node.keys) else -1
                self._hold(made, value, (evaluator.info.id, item), evaluator.key(key))
                if node.kind == "tuple":
                    self._add(("i", made, position), value)

    def _hold(self, container: Obj, value: Collection[Obj], put: Site, key: str | None = None) -> None:
        """Container holds value, under a literal key or under whatever it may be read by."""
        self._add(self.world.element_cell(container), value)
        self._add(self.world.value_cell(container, key), value)
        if value:
            self.world.puts.setdefault(self.world.heap.plain(container), {})[put] = None

    def _put(self, container: Obj, value: Collection[Obj], put: Site, key: str | None = None) -> None:
        if container.kind in ("ext", "opaque", "member"):
            self._hold(container, value, put, key)
        elif container.kind == "inst":
            method = self.world.method(container.name, "__setitem__")
            if method is not None:
                params = self.world.symbols.functions[method].facts.params
                if len(params) > 2:
                    self._add(("p", method, params[2].name), value)

    def _store(self, evaluator: Evaluator, event: f.Access) -> None:
        world = self.world
        node = evaluator.nodes[event.target]
        value = evaluator.eval(event.value)
        info = evaluator.info
        match node:
            case f.Attr(base, name):
                for obj in tuple(evaluator.eval(base)):
                    self._set_attribute(obj, name, value)
            case f.Global(name):
                self._add(("g", info.module, name), value)
            case f.Captured(owner, name):
                self._add(("x", f"{info.module}:{owner}", name), value)
            case f.ClassVar(owner, name):
                cid = f"{info.module}:{owner}"
                result = evaluator.nodes[event.value] if event.value >= 0 else None
                if type(result) is f.Phi and result.options:
                    result = evaluator.nodes[result.options[0]]
                if type(result) is f.Const:
                    # `engine: Engine | None = None` says what instances will have, not what the class has.
                    self._add(("k", cid, name), {})
                elif type(result) is f.Result and self._is_field(evaluator, result.event):
                    world.class_of(cid).factory_attrs.add(name)
                    self._add(("a", cid, name), value)
                else:
                    self._add(("k", cid, name), value)

    def _is_field(self, evaluator: Evaluator, event: int) -> bool:
        """Whether a class-body value declares something each instance gets for its own: ``field(default_factory=)``."""
        for callee in evaluator.callees(event):
            if callee.kind == "symbol":
                row = self.world.results.first(callee.name)
                if row is not None and row.factory is not None:
                    return True
        return False

    def _set_attribute(self, obj: Obj, name: str, value: Objs) -> None:
        world = self.world
        if obj.kind == "inst":
            setter = world.method(obj.name, f"{name}.setter")
            if setter is not None:
                params = world.symbols.functions[setter].facts.params
                if len(params) > 1:
                    self._add(("p", setter, params[1].name), value)
                return
            self._add(world.own_slot(obj.name, name), value)
        elif obj.kind == "class":
            slot = world.class_slot(obj.name, name)
            world.class_stores.add(slot)
            self._add(slot, value)
        elif obj.kind == "module":
            if obj.name in world.symbols.modules:
                self._add(("g", obj.name, name), value)
        elif obj.kind in ("ext", "opaque", "func", "member"):
            self._add(world.attr_cell(obj, name), value)

    # -- calls --------------------------------------------------------------------------------------------------------

    def _call(self, evaluator: Evaluator, call: f.Call, index: int) -> None:
        world = self.world
        info = evaluator.info
        callees = dict(evaluator.eval(call.func))  # what it passes on may be called here as well
        known = world.callees.get((info.id, index), ())
        world.callees[info.id, index] = tuple(callees)
        if call.decorates:
            self._decorate(evaluator, call, index, f"{info.module}:{call.decorates}", callees)
            return
        self.handed_over = False
        # Callees have been handed these very arguments before, but for those who are new.
        again = self.anew != -1 and not self.anew & self.parts[info.id].hands_over[index]
        done = frozenset(known) if again else frozenset()
        for callee in callees:
            if callee not in done:
                self._invoke(evaluator, call, index, callee, ())
            for cell, objs in tuple(injected(world, evaluator, call, callee)):
                self._add(cell, objs)

    def _invoke(self, evaluator: Evaluator, call: f.Call, index: int, callee: Obj, bound: tuple[Objs, ...]) -> None:
        """Let the arguments of a call flow into one callee; ``bound`` are arguments a partial already holds."""
        world = self.world
        match callee.kind:
            case "func":
                self.pass_arguments(evaluator, call, callee.name, None, bound)
                self._forward(evaluator, call, index, callee, bound)
            case "bound":
                self.pass_arguments(evaluator, call, callee.name, callee.owner, bound)
                self._forward(evaluator, call, index, callee, bound)
            case "class":
                self._instantiate(evaluator, call, index, callee)
            case "inst":
                method = world.method(callee.name, "__call__")
                if method is not None:
                    self.pass_arguments(evaluator, call, method, callee, bound)
            case "partial":
                for target, way in tuple(unwrapped(callee, evaluator.cell)):
                    held = tuple(objs for partial in reversed(way) for objs in self._held(evaluator, partial))
                    self._invoke(evaluator, call, index, target, (*held, *bound))
            case "symbol":
                self._external(evaluator, call, index, callee.name)
                self._handed_over(evaluator, call)
            case "member":
                self._handed_over(evaluator, call)
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
                    self._invoke(evaluator, call, index, target, bound)

    def pass_arguments(
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
                    self._add(("p", fid, positional[position]), value)
            elif star is not None:
                made = self.world.heap.make("ext", "tuple", (fid, STAR))
                self._add(("p", fid, star), {made: None})
                self._hold(made, value, (evaluator.info.id, node))
                self._add(("i", made, position - len(positional)), value)
        for name, node in call.kwargs:
            if name == "*":
                spread = evaluator.eval(node)
                for position, param in enumerate(positional[len(values) :]):
                    value = self._at(evaluator, spread, position)
                    if 0 < len(value) <= CROWD:
                        self._add(("p", fid, param), value)
            elif name == "**":
                for obj in tuple(evaluator.eval(node)):
                    if obj.name == KEYWORDS:
                        self._pass_keywords(evaluator, obj, fid)
            elif name in names:
                value = evaluator.eval(node)
                if value:
                    self._add(("p", fid, name), value)

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
                self._add(("p", fid, param.name), {record: None})
            elif param.kind in ("positional", "keyword"):
                self._add(("p", fid, param.name), evaluator.value(record, repr(param.name)))

    def _instantiate(self, evaluator: Evaluator, call: f.Call, index: int, callee: Obj) -> None:
        world = self.world
        for made in evaluator.call_result(callee, call, index):
            if made.kind != "inst" or made.name != callee.name:
                continue
            method = world.method(callee.name, "__init__")
            if method is not None:
                self.pass_arguments(evaluator, call, method, made)
            else:
                self._fields(evaluator, call, callee.name)
        creator = world.method(callee.name, "__new__")
        if creator is not None:
            self.pass_arguments(evaluator, call, creator, callee)
        meta = world.class_of(callee.name).metaclass
        if meta is not None:
            method = world.method(meta, "__call__")
            if method is not None:
                self.pass_arguments(evaluator, call, method, callee)

    def _fields(self, evaluator: Evaluator, call: f.Call, cid: str) -> None:
        """A class without ``__init__`` that takes arguments declares its fields (dataclass, attrs, NamedTuple)."""
        world = self.world
        if not call.args and not call.kwargs:
            return
        names = [
            name for parent in reversed(world.class_of(cid).mro) for name, _ in world.class_of(parent).facts.annotations
        ]
        for name, arg in zip(dict.fromkeys(names), call.args, strict=False):
            self._add(world.own_slot(cid, name), evaluator.eval(arg))
        for name, node in call.kwargs:
            if name in names:
                self._add(world.own_slot(cid, name), evaluator.eval(node))

    def _external(self, evaluator: Evaluator, call: f.Call, index: int, dotted: str) -> None:
        world = self.world
        site = (evaluator.info.id, index)
        if dotted in ("functools.partial", "functools.partialmethod") and call.args:
            self._add(("pf", site), evaluator.eval(call.args[0]))
            for position, arg in enumerate(call.args[1:]):
                self._add(("pa", site, position), evaluator.eval(arg))
            return
        if dotted == "setattr" and len(call.args) == 3:
            name = const_text(evaluator.nodes[call.args[1]])
            if name is not None:
                for obj in tuple(evaluator.eval(call.args[0])):
                    self._set_attribute(obj, name, evaluator.eval(call.args[2]))
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
            self._hold(made, evaluator._made_by(factories, (site[0], -100 - site[1])), (site[0], FACTORY))
        for arg in call.args:
            for obj in tuple(evaluator.eval(arg)):
                if obj.kind in ("ext", "member", "opaque"):
                    self._hold(made, evaluator.elements_of({obj: None}), elsewhere)
        for name, node in call.kwargs:
            if row is not None and row.mapping:
                put = (evaluator.info.id, node) if name != "*" else elsewhere
                self._hold(made, evaluator.eval(node), put, repr(name) if name != "*" else None)

    def _handed_over(self, evaluator: Evaluator, call: f.Call) -> None:
        """A library call that is given a function and values for it will pass them: ``Thread(target=f, args=(x,))``,
        ``submit(f, x)``, ``call_later(1, f, x)``. It makes no difference which of its callees is meant."""
        if self.handed_over:
            return
        self.handed_over = True
        self._pass(evaluator, by_custom(self.world, evaluator, call))

    def _pass(self, evaluator: Evaluator, passed: Passed) -> None:
        for cell, node in passed:
            self._add(cell, evaluator.eval(node))

    def _callback(self, evaluator: Evaluator, call: f.Call, obj: Obj) -> None:
        """A function handed to a library call that runs it at once gets elements of the other arguments."""
        if obj.kind not in ("func", "bound"):
            return
        spread: Objs = {}
        for arg in call.args:
            spread.update(evaluator.elements_of(evaluator.eval(arg)))
        params = self.world.symbols.functions[obj.name].signature.positional
        for param in params[1 if obj.kind == "bound" else 0 :]:
            self._add(("p", obj.name, param), spread)

    def _method_call(self, evaluator: Evaluator, call: f.Call, index: int, callee: Obj, receiver: Obj) -> None:
        """Container methods move elements; other library methods may keep what they are given."""
        method = callee.name.rpartition(".")[2]
        elsewhere = (evaluator.info.id, ELSEWHERE)
        if receiver.kind in ("ext", "opaque", "member") and method in STORE_METHODS:
            key = evaluator.key(call.args[0]) if method in KEYED_METHODS and call.args else None
            for position in STORE_METHODS[method]:
                put = (evaluator.info.id, call.args[position]) if position < len(call.args) else elsewhere
                self._hold(receiver, evaluator.argument(call, position, None), put, key)
        elif receiver.kind in ("ext", "opaque") and method in EXTEND_METHODS:
            for arg in call.args:
                self._hold(receiver, evaluator.elements_of(evaluator.eval(arg)), elsewhere)
                if method == "update":
                    for obj in tuple(evaluator.eval(arg)):
                        if obj.kind == "ext":
                            self._hold(receiver, evaluator.elements(obj), elsewhere)
        for made in evaluator.call_result(callee, call, index):
            if made.kind == "ext" and method == "copy":
                self._hold(made, evaluator.elements(receiver), elsewhere)

    # -- decorators ---------------------------------------------------------------------------------------------------

    def _decorate(self, evaluator: Evaluator, call: f.Call, index: int, fid: str, decorators: Objs) -> None:
        """A decorator of the project replaces the function by what it returns; others leave it as it is."""
        world = self.world
        chain = self.chains.setdefault(fid, {})
        plain: Objs = {world.heap.make("func", fid): None}
        inner = [position for position in chain if position < index]
        current = chain[max(inner)] if inner else plain
        replaced: Objs = {}
        for decorator in decorators:
            if decorator.kind == "inst":
                decorator = self._bound_call(decorator) or decorator
            if decorator.kind in ("func", "bound"):
                replaced.update(self._wrapped(evaluator, call, decorator, current, fid))
            elif decorator.kind == "class":
                for made in evaluator.call_result(decorator, call, index):
                    if made.kind == "inst" and world.method(made.name, "__call__") is not None:
                        init = world.method(made.name, "__init__")
                        params = world.symbols.functions[init].facts.params if init is not None else ()
                        if init is not None and len(params) > 1:
                            self._add(("p", init, params[1].name), current)
        chain[index] = replaced or current
        outcome = chain[max(chain)]
        if outcome != plain and world.get(("d", fid)) != outcome:
            world.cells["d", fid] = dict(outcome)
            self._look_again(("d", fid))

    def _bound_call(self, obj: Obj) -> Obj | None:
        """What calling an instance runs: ``@locked("_lock")`` where ``locked`` is a class."""
        method, heap = self.world.method(obj.name, "__call__"), self.world.heap
        return heap.make("bound", method, owner=obj, func=heap.make("func", method)) if method is not None else None

    def _wrapped(self, evaluator: Evaluator, call: f.Call, decorator: Obj, current: Objs, fid: str) -> Objs:
        world = self.world
        facts = world.symbols.functions[decorator.name].facts
        positional = [param.name for param in facts.params if param.kind == "positional"]
        receiver: Bindings = ()
        if decorator.kind == "bound" and positional:
            if decorator.owner is not None and not decorator.owner.unknown:
                receiver = ((decorator.name, positional[0], (decorator.owner,)),)
            positional = positional[1:]
        if not positional:
            return {}
        self._add(("p", decorator.name, positional[0]), current)
        factory = self._factory_bindings(evaluator, call)
        given = (decorator.name, positional[0], tuple(current))
        result: Objs = {}
        for obj in tuple(evaluator.cell(("r", decorator.name))):
            if obj.kind == "func" and world.symbols.functions[obj.name].parent == decorator.name:
                if obj.name == fid:
                    continue
                bindings = (*decorator.bindings, *receiver, *factory, given)
                result[world.heap.make("func", obj.name, bindings=bindings)] = None
            elif obj in current:
                result[obj] = None
        return result

    def _factory_bindings(self, evaluator: Evaluator, call: f.Call) -> Bindings:
        """What the arguments of a decorator factory (``@guarded(lock)``) mean inside the decorator it returned."""
        maker, made = made_where(evaluator, call.func)
        node = maker.nodes[made]
        if type(node) is not f.Result:
            return ()
        factory_call = maker.info.facts.events[node.event]
        assert isinstance(factory_call, f.Call)
        found: list[tuple[str, str, tuple[Obj, ...]]] = []
        for factory in tuple(maker.eval(factory_call.func)):
            if factory.kind not in ("func", "bound"):
                continue
            params = [p.name for p in self.world.symbols.functions[factory.name].facts.params]
            if factory.kind == "bound":
                params = params[1:]
            if not factory_call.star:
                given = {**dict(zip(params, factory_call.args, strict=False)), **dict(factory_call.kwargs)}
                found.extend((factory.name, name, self._held_by(maker, factory, name, given)) for name in params)
        return tuple(entry for entry in found if entry[2])

    def _held_by(self, maker: Reader, factory: Obj, name: str, given: dict[str, int]) -> tuple[Obj, ...]:
        """What a parameter of a decorator factory holds in one call: objects, or a text."""
        if name in given:
            text = text_of(maker, given[name])
            return (as_object(self.world, text),) if text is not None else tuple(maker.eval(given[name]))
        text = default_of(maker, self.world.symbols.functions[factory.name], name)
        return (as_object(self.world, text),) if text is not None else ()
