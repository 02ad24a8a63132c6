"""Fills the cells: values flow along assignments, calls, returns and container operations until nothing changes."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from racelint.link import classes as hierarchy
from racelint.link.again import Parts
from racelint.link.decorated import Decorated
from racelint.link.evaluate import Evaluator
from racelint.link.handed_back import returned_otherwise
from racelint.link.injected import injected
from racelint.link.objects import Obj
from racelint.link.passing import Passing
from racelint.link.stores import Stores
from racelint.link.symbols import ClassInfo, FunctionInfo
from racelint.link.world import CELL_LIMIT, Cell, World
from racelint.model import facts as f

# A function is looked at again when something it reads has grown; more often than this it is left as it is.
VISIT_LIMIT = 40


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
        # What is being looked at: a function, its nodes, and which part of it.
        self.current = ""
        self.looking: Evaluator | None = None
        self.part = 0
        # What of the function has to be evaluated anew.
        self.anew = -1
        self.stores = Stores(world, self._add)
        self.passing = Passing(world, self._add, self.stores)
        self.decorated = Decorated(world, self._add, self._look_again)
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
                self.stores.display(evaluator, index, made)
        self.looking = None

    def _event(self, evaluator: Evaluator, event: f.Event, index: int) -> None:
        if type(event) is f.Access:
            self.stores.access(evaluator, event)
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

    def _call(self, evaluator: Evaluator, call: f.Call, index: int) -> None:
        world = self.world
        info = evaluator.info
        callees = dict(evaluator.eval(call.func))  # what it passes on may be called here as well
        known = world.callees.get((info.id, index), ())
        world.callees[info.id, index] = tuple(callees)
        if call.decorates:
            self.decorated.decorate(evaluator, call, index, f"{info.module}:{call.decorates}", callees)
            return
        self.passing.handed_over = False
        # Callees have been handed these very arguments before, but for those who are new.
        again = self.anew != -1 and not self.anew & self.parts[info.id].hands_over[index]
        done = frozenset(known) if again else frozenset()
        for callee in callees:
            if callee not in done:
                self.passing.invoke(evaluator, call, index, callee, ())
            for cell, objs in tuple(injected(world, evaluator, call, callee)):
                self._add(cell, objs)
