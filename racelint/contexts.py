"""Entry points and execution contexts: which functions run concurrently, where that begins, and why.

An entry point is a project function that something runs beside other code: a thread target, a framework handler, a
callback. Which library calls, decorators, base classes and assignments make one is said by the framework tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import pairwise

from msgspec.structs import replace as replace_fields

from racelint.frameworks.schema import ContextKind, Entry, Matcher, Serve, table_of
from racelint.link.awaited import awaits, over_beside
from racelint.link.call_sites import CallSites, Event, either, in_loop
from racelint.link.calls import targets
from racelint.link.classes import owner_of
from racelint.link.evaluate import Evaluator
from racelint.link.handed_back import by_parameter
from racelint.link.kept import Kept
from racelint.link.objects import Obj, Objs
from racelint.link.pools import Pools
from racelint.link.results import CallResults
from racelint.link.world import Feed, World
from racelint.model import facts as f

SELF_SITE = "<self>"
# What a row says of a keyword argument of which it only matters that it is there.
ANY = "*"
# Functions that hand a coroutine on to one another before a library is given it.
MAX_WRAPPERS = 3


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """One way a project function comes to run beside other code.

    ``target`` is the function (bound when it has a receiver). ``begins``/``ends``: the call events that start it and
    wait for it; without ``begins`` it may run at any time. ``distinct_self``: each run has a receiver of its own.
    ``serialised_by``: parameters that identify the object whose runs are serialised. ``lane``/``exclusive``: see
    ``frameworks.schema.Entry``. ``path``/``line``: where it becomes concurrent. ``exact``: ``begins`` are the very
    calls that start it, not merely calls before which it cannot have started. ``once``: each of these calls starts one
    run and no more. ``passes``: the calls that say what each run is given; empty when not all are known. ``made_in``:
    the function that makes what is started. ``kept``: the attribute of its receiver that a task is kept in (see
    ``link.kept``). ``row`` is the name by which a row of ``table`` matched. ``server`` is the kind of server that calls
    it, ``serves`` the calls that run it (see ``serving``).
    ``on_loop_of``: the calls made by threads whose event loops run it (see ``analysis.loops``); empty: not known.
    ``green``: others have their turn at its calls that block, not where it awaits.
    ``foreign_loop``: it runs on a loop in another thread than those that begin it.
    ``perhaps``: it overlaps itself only if the function that begins it does.
    ``confidence``: ``low`` where one call may begin it in different contexts.
    ``feed``: no code of the project runs here; the framework changes this container (see ``analysis.fed``).
    """

    target: Obj
    kind: ContextKind
    self_overlap: bool
    distinct_self: bool
    why: str
    row: str
    path: str
    line: int
    begins: frozenset[Event] = frozenset()
    ends: frozenset[Event] = frozenset()
    serialised_by: tuple[tuple[str, ...], ...] = ()
    lane: str = ""
    exclusive: bool = False
    before_all: bool = False
    executor: Obj | None = None
    confidence: str = "high"
    perhaps: bool = False
    exact: bool = True
    once: bool = False
    passes: frozenset[Event] = frozenset()
    kept: str = ""
    server: str = ""
    serves: frozenset[Event] = frozenset()
    made_in: str = ""
    on_loop_of: frozenset[Event] = frozenset()
    foreign_loop: bool = False
    green: bool = False
    table: str = ""
    feed: Feed | None = None

    @property
    def function(self) -> str:
        """Id of the function that runs."""
        return self.target.name


class Discovery:
    """Finds the entry points of a linked program."""

    def __init__(self, world: World) -> None:
        self.world = world
        rows: dict[str, list[Entry]] = {"call": [], "decorator": [], "base": [], "assign": []}
        for row in world.tables.entry:
            rows[row.form].append(row)
        self.rows = {form: Matcher.of(group) for form, group in rows.items()}
        self.loose = {name.rpartition(".")[2]: row for row in reversed(rows["call"]) if row.loose for name in row.name}
        self.sites = CallSites(world)
        self.kept = Kept(world)
        self.evaluators: dict[str, Evaluator] = {}
        self.pools = Pools(world, self.sites, self.evaluator)
        self.found: dict[tuple[object, ...], EntryPoint] = {}
        # Functions that run in a process of their own before anything else does there.
        self.alone: set[str] = set()

    def evaluator(self, fid: str) -> Evaluator:
        """A (cached) evaluator of a function without particular arguments."""
        found = self.evaluators.get(fid)
        if found is None:
            info = self.world.symbols.functions[fid]
            found = self.evaluators[fid] = Evaluator(self.world, info, returns=self._returns)
        return found

    def _returns(self, callee: Obj, caller: CallResults, call: f.Call) -> Objs | None:
        """What a function that returns functions of its own gives this call: they remember what it was given."""
        info = self.world.symbols.functions[callee.name]
        if (
            callee.bindings
            or not info.facts.exports
            or not isinstance(caller, Evaluator)
            or caller.depth >= MAX_WRAPPERS
        ):
            return None
        handed = by_parameter(info.facts, call, bound=callee.kind == "bound" and not self.world.is_static(callee.name))
        if handed is None:
            return None
        params = {name: tuple(_generic(list(caller.eval(node)))) for name, node in handed.items()}
        inner = Evaluator(
            self.world, info, {name: objs for name, objs in params.items() if objs}, returns=self._returns
        )
        inner.depth = caller.depth + 1
        return inner.returned()

    def run(self) -> tuple[EntryPoint, ...]:
        """All entry points, in a stable order."""
        for (fid, index), callees in self.world.callees.items():
            call = self.world.symbols.functions[fid].facts.events[index]
            assert isinstance(call, f.Call)
            if call.decorates:
                self._decorator(fid, call)
            else:
                self._call(fid, index, call, callees)
        self._bases()
        self._assignments()
        return tuple(self.found.values())

    def _where(self, fid: str, line: int) -> tuple[str, int]:
        return self.world.symbols.functions[fid].path, line

    # -- forms --------------------------------------------------------------------------------------------------------

    def _call(self, fid: str, index: int, call: f.Call, callees: Iterable[Obj]) -> None:
        world = self.world
        matched: list[tuple[Entry, str, Obj | None, f.Call]] = []
        contexts: list[frozenset[str]] = []
        for callee in callees:
            found = [
                (row, name, receiver, made)
                for called, made in self._as_method(fid, call, callee)
                for name, receiver in self.called_names(called)
                for row in self.rows["call"].all(name)
            ]
            matched.extend(found)
            contexts.extend([frozenset(row.context for row, *_ in found)] if found else [])
        # Of what may be one of several types (``Future | concurrent.futures.Future``) the context is not known.
        confidence = "high" if not contexts or frozenset.intersection(*contexts) else "low"
        for row, name, receiver, made in matched:
            self._call_entry(fid, index, made, row, name, receiver, confidence)
        for callee in callees:
            if callee.kind == "symbol":
                self._reconcilers(fid, index, call, callee.name)
        node = world.symbols.functions[fid].facts.nodes[call.func]
        if not matched and type(node) is f.Attr and node.name in self.loose:
            unknown = all(callee.kind in ("opaque", "member", "ext") for callee in callees)
            if unknown and not any(callee.kind in ("func", "bound", "class") for callee in callees):
                row = self.loose[node.name]
                sure = "low" if row.vague else "medium"
                self._call_entry(fid, index, call, row, f"*.{node.name}", None, confidence=sure)

    def _as_method(self, fid: str, call: f.Call, callee: Obj) -> Iterator[tuple[Obj, f.Call]]:
        """A call with its callee; ``Thread.__init__(self, target=f)`` is taken for ``super().__init__(target=f)``."""
        found: list[Obj] = []
        if callee.kind == "symbol" and callee.name.endswith(".__init__") and call.args:
            receivers = [obj for obj in self.evaluator(fid).eval(call.args[0]) if obj.kind == "inst"]
            found = [self.world.heap.make("member", callee.name, owner=obj) for obj in receivers]
        if not found:
            yield callee, call
        for member in found:
            yield member, replace_fields(call, args=call.args[1:])

    def called_names(self, callee: Obj) -> Iterator[tuple[str, Obj | None]]:
        """Dotted names under which tables may know a callee."""
        match callee.kind:
            case "symbol":
                yield callee.name, None
            case "member":
                yield callee.name, callee.owner
                if callee.name.endswith(".__init__"):
                    yield callee.name[: -len(".__init__")], callee.owner
            case "class":
                info = self.world.class_of(callee.name)
                if self.world.method(callee.name, "__init__") is None:
                    for base in info.external:
                        yield base, None

    def _call_entry(
        self,
        fid: str,
        index: int,
        call: f.Call,
        row: Entry,
        name: str,
        receiver: Obj | None,
        confidence: str = "high",
    ) -> None:
        world, evaluator = self.world, self.evaluator(fid)
        if row.function is None or not asked(row, evaluator, call):
            return
        nodes: list[int] = []
        if row.function.position == -1:
            nodes.extend(call.args)
            nodes.extend(value for key, value in call.kwargs if key == "*")
        elif row.function.position is not None and row.function.position < len(call.args):
            nodes.append(call.args[row.function.position])
        if row.function.keyword is not None:
            nodes.extend(value for key, value in call.kwargs if row.function.keyword in (key, "*"))
        one = row.function.position != -1 and not row.iterable
        for node in nodes:
            spread = row.iterable or row.function.position == -1
            found = (
                self._methods(evaluator, node, row) if row.methods else self.callables(evaluator, node, spread=spread)
            )
            for target in _generic(found):
                handed = self._handed_by(fid, node, target)
                once = one and (row.self_overlap == "per-start" or _is_coroutine(world, evaluator.nodes[node], target))
                each = once and _of_each(world.symbols.functions[fid].facts, call, node)
                self._spawned(fid, index, call, row, name, receiver, target, confidence, once, handed, each=each)
            for target in self._on_its_own_loop(evaluator, call, node):
                once = one and row.self_overlap == "per-start"
                self._spawned(fid, index, call, row, name, receiver, target, confidence, once, kind=row.context)
            for (where, at), target in self._coroutines(fid, node):
                started = world.symbols.functions[where].facts.events[at]
                assert isinstance(started, f.Call)
                self._spawned(where, at, started, row, name, receiver, target, confidence, one)

    def _handed_by(self, fid: str, node: int, target: Obj, depth: int = 0) -> frozenset[Event]:
        """The calls that hand a target to a function which starts what it is given: ``def spawn(f): Thread(target=f)``.

        Empty when it is not handed over, or when not every call of the function is known to hand something over.
        """
        value = self.world.symbols.functions[fid].facts.nodes[node]
        if type(value) is not f.Param or depth > MAX_WRAPPERS:
            return frozenset()
        found: set[Event] = set()
        for site, given in self.sites.given(fid, value.name):
            passed = self.callables(self.evaluator(site[0]), given)
            if any(one.name == target.name for one in passed):
                found |= self._handed_by(site[0], given, target, depth + 1) or {site}
            elif not passed:
                return frozenset()
        return frozenset(found)

    def _on_its_own_loop(self, evaluator: Evaluator, call: f.Call, node: int) -> list[Obj]:
        """Coroutines that get a loop of their own in what a call starts: ``Thread(target=asyncio.run, args=(main(),))``."""
        names = [obj.name for obj in evaluator.eval(node) if obj.kind in ("symbol", "member")]
        if not any(row.callers_loop for name in names for row in self.rows["call"].all(name)):
            return []
        found: list[Obj] = []
        for value in (*call.args, *(value for _, value in call.kwargs)):
            display = evaluator.nodes[value]
            for item in display.items if type(display) is f.New else (value,):
                made = evaluator.nodes[item]
                found.extend(one for one in self.callables(evaluator, item) if _is_coroutine(self.world, made, one))
        return _generic(found)

    def _coroutines(self, fid: str, node: int, depth: int = 0) -> Iterator[tuple[Event, Obj]]:
        """Coroutine objects that the callers of a function have made and hand to a parameter, with the calls.

        Only what calls the coroutine function knows of it: ``def start(coro): return create_task(coro)``.
        """
        world = self.world
        value = world.symbols.functions[fid].facts.nodes[node]
        if type(value) is not f.Param or depth > MAX_WRAPPERS:
            return
        for site, given in self.sites.given(fid, value.name):
            evaluator = self.evaluator(site[0])
            made = evaluator.nodes[given]
            for target in _generic(self.callables(evaluator, given)) if type(made) is f.Result else ():
                if _is_coroutine(world, made, target):
                    yield site, target
            yield from self._coroutines(site[0], given, depth + 1)

    def _methods(self, evaluator: Evaluator, node: int, row: Entry) -> list[Obj]:
        """The methods that a library calls of an object it is given, whatever its class."""
        world = self.world
        found: list[Obj] = []
        objs = evaluator.eval(node)
        for obj in (*objs, *evaluator.elements_of(objs)) if row.iterable else tuple(objs):
            if obj.kind == "inst":
                for name in row.methods:
                    fid = world.method(obj.name, name)
                    if fid is not None:
                        found.append(world.heap.make("bound", fid, owner=obj, func=world.heap.make("func", fid)))
        return found

    def callables(self, evaluator: Evaluator, node: int, *, spread: bool = False, depth: int = 0) -> list[Obj]:
        """Project functions a value may be: functions, bound methods, partials, callable instances, coroutines."""
        world = self.world
        found: dict[Obj, None] = {}
        objs = dict(evaluator.eval(node))
        if spread:
            objs.update(evaluator.elements_of(evaluator.eval(node)))
        for obj in objs:
            if obj.kind in ("func", "bound", "partial") or (obj.kind == "inst" and world.method(obj.name, "__call__")):
                found.update(dict.fromkeys(targets(world, obj)))
        inner = evaluator.nodes[node]
        if type(inner) is f.Result:
            for callee in evaluator.eval(evaluator.info.facts.events[inner.event].func):  # type: ignore[union-attr]
                for target in targets(world, callee):
                    if world.symbols.functions[target.name].facts.is_async:
                        found[target] = None
        elif isinstance(inner, (f.Phi, f.New)) and depth < 3:
            options = inner.options if isinstance(inner, f.Phi) else inner.items
            for option in options:
                found.update(dict.fromkeys(self.callables(evaluator, option, depth=depth + 1)))
        elif isinstance(inner, (f.Awaited, f.Elem)) and depth < 3:
            found.update(dict.fromkeys(self.callables(evaluator, inner.base, depth=depth + 1)))
        return list(dict.fromkeys(self._one_object(obj) for obj in found))

    def _one_object(self, target: Obj) -> Obj:
        """A target with what it runs on: a thread is given one object.

        What an annotation promises is then some instance that others may have as well. A closure that was made for a
        method (``wrap(self.loop)``) works on the object of that.
        """
        heap = self.world.heap
        owner = target.owner
        if target.kind == "bound" and owner is not None:
            return heap.make("bound", target.name, owner=heap.anyone(owner), func=target.func, bindings=target.bindings)
        if target.kind == "func" and owner is None:
            made_for = {obj.owner for *_, objs in target.bindings for obj in objs if obj.kind == "bound"}
            owner = made_for.pop() if len(made_for) == 1 else None
            if owner is not None and owner.kind == "inst":
                return heap.make("func", target.name, owner=owner, bindings=target.bindings)
        return target

    def _spawned(
        self,
        fid: str,
        index: int,
        call: f.Call,
        row: Entry,
        name: str,
        receiver: Obj | None,
        target: Obj,
        confidence: str,
        once: bool,
        handed: frozenset[Event] = frozenset(),
        *,
        each: bool = False,
        kind: ContextKind | None = None,
    ) -> None:
        """Note what a call starts. ``handed``: the calls that hand it to the function which makes this one.

        ``each``: it is a method of another object each time. ``kind``: where it runs, when the row does not say it.
        """
        world = self.world
        info = world.symbols.functions[fid]
        made = world.heap.make("ext", name, (fid, index))
        begins, exact = {(fid, index)}, True
        if row.begins:
            starts = {event for method in row.begins for event in self.sites.on(made, method)}
            if receiver is not None and receiver.kind == "inst":
                starts |= {event for method in row.begins for event in self.sites.on_class(receiver.name, method)}
            elif receiver is not None:
                holder = world.heap.plain(receiver)
                starts |= {event for method in row.begins for event in self.sites.on(holder, method)}
            if row.begun and not starts:
                return
            if receiver is not None and receiver.kind == "inst" and not starts:
                # Somebody starts the object once it has been made.
                made_at = (receiver.name, *world.class_of(receiver.name).subclasses)
                begins, exact = {event for cid in made_at for event in self.sites.instantiated.get(cid, ())}, False
            begins = starts or begins
        if handed and all(where == fid for where, _ in begins):
            begins = set(handed)
        ends = {event for method in row.joins for event in self.sites.on(made, method)}
        if "call" in row.joins:
            ends.add((fid, index))
        if begins == {(fid, index)}:
            ends |= {(fid, at) for at in awaits(world, fid, index)}
        executor = self.pools.of(fid, call, row, receiver, target)
        if executor is not None:
            if row.executor is not None and self._of_processes(executor):
                return
            for method in ("shutdown", "join"):
                ends |= set(self.sites.on(executor, method))
        repeated = any(
            in_loop(world.symbols.functions[where].facts, world.symbols.functions[where].facts.events[at].block)
            and not over_beside(world.symbols.functions[where].facts, (where, at), ends)
            for where, at in begins
        ) or (not handed and in_loop(info.facts, call.block) and begins != {(fid, index)})
        own_receiver = self._is_self(fid, target)
        outer = any(self.sites.often(where) for where in ({where for where, _ in handed} or {fid})) or len(handed) > 1
        overlap = {
            "yes": True,
            "no": False,
            "per-start": repeated or outer,
            "per-call": repeated or outer or (info.facts.kind != "module" and info.facts.name != "__init__"),
        }[row.self_overlap]
        # What a constructor starts on its own instance has that one, however many instances are made.
        again = overlap or info.facts.name == "__init__"
        distinct = again and not repeated and own_receiver and (once or row.self_overlap != "yes")
        fresh = self._fresh_receiver(fid, target, repeated)
        if fresh and (once or row.self_overlap != "yes"):
            distinct = True
        single = executor is not None and self.pools.single(executor)
        kept = self.kept.slot(fid, index) if once and own_receiver and not repeated else ""
        # So has a thread that runs a method of its own; and each is started once, wherever that is.
        own_thread = info.facts.name == "__init__" or (receiver is not None and receiver is target.owner)
        if kept or (once and own_receiver and own_thread and not in_loop(info.facts, call.block)):
            distinct = True
        distinct = distinct or each
        if kept:
            ends |= self.kept.awaited(fid, kept)
        path, line = self._where(fid, call.line)
        if kind is None:
            kind = row.async_context if world.symbols.functions[target.name].facts.is_async else row.context
        self._add(
            EntryPoint(
                target,
                kind,
                overlap and not single,
                distinct,
                row.why,
                name,
                path,
                line,
                begins=frozenset(begins),
                ends=frozenset(ends),
                lane=self._lane(row, receiver) if not single else f"{executor!r}",
                exclusive=single
                or row.exclusive
                or (row.self_overlap == "no" and receiver is not None and not row.lane),
                before_all=row.before_all,
                executor=executor,
                confidence=confidence,
                perhaps=overlap and row.self_overlap == "per-call" and not (repeated or outer),
                exact=exact,
                once=once,
                passes=frozenset({(fid, index)} if row.self_overlap.startswith("per-") else ()),
                kept=kept,
                made_in=fid,
                server=row.server,
                on_loop_of=frozenset({(fid, index)} if row.callers_loop and kind == "event-loop" else ()),
                foreign_loop=row.foreign_loop,
                green=row.green,
                table=table_of(row),
            )
        )

    def _lane(self, row: Entry, receiver: Obj | None) -> str:
        """Callbacks that one library object calls in turn never overlap each other."""
        if row.self_overlap == "no" and receiver is not None and not row.lane:
            return f"{self.world.heap.plain(receiver)!r}"
        return row.lane

    def _is_self(self, fid: str, target: Obj) -> bool:
        """Whether a bound target's receiver is the spawning method's own ``self``."""
        owner = target.owner
        method = owner_of(self.world.symbols, fid) is not None
        return owner is not None and owner.kind == "inst" and method and owner.unknown

    def _fresh_receiver(self, fid: str, target: Obj, repeated: bool) -> bool:
        """Whether the receiver is made in the spawning function, so that each start has one of its own."""
        owner = target.owner
        made = self.world.made_by(owner) if owner is not None and owner.kind == "inst" else None
        if made is None or made[0].id != fid:
            return False
        return not repeated or in_loop(made[0].facts, made[1].block)

    def _of_processes(self, pool: Obj) -> bool:
        """Whether what a pool is given runs in other processes, which share no objects."""
        return any(row.context == "process" for row in self.rows["call"].all(f"{pool.name}.submit"))

    def _decorator(self, fid: str, call: f.Call) -> None:
        world = self.world
        module = world.symbols.functions[fid].module
        function = f"{module}:{call.decorates}"
        evaluator = self.evaluator(fid)
        node = evaluator.nodes[call.func]
        objs = dict(evaluator.eval(call.func))
        if type(node) is f.Result:
            inner = evaluator.info.facts.events[node.event]
            assert isinstance(inner, f.Call)
            objs.update(evaluator.eval(inner.func))
        facts = world.symbols.functions[function].facts
        for obj in objs:
            if obj.kind not in ("symbol", "member"):
                continue
            for row in self.rows["decorator"].all(obj.name):
                if not asked(row, evaluator, _arguments_of(evaluator, call)):
                    continue
                kind = row.async_context if facts.is_async else row.context
                path, line = self._where(function, facts.line)
                for target in world.function_objects(function):
                    if target.kind != "func":
                        continue
                    owner = world.symbols.functions[function].cls
                    if owner is not None and not world.is_static(function):
                        receiver = world.heap.make("inst", owner)
                        target = world.heap.make(
                            "bound", target.name, owner=receiver, func=target, bindings=target.bindings
                        )
                    self._add(self._table_entry(target, kind, row, obj.name, path, line))

    def _table_entry(self, target: Obj, kind: ContextKind, row: Entry, name: str, path: str, line: int) -> EntryPoint:
        return EntryPoint(
            target,
            kind,
            row.self_overlap == "yes",
            False,
            row.why,
            name,
            path,
            line,
            serialised_by=tuple(tuple(names) for names in row.serialised_by),
            lane=row.lane,
            exclusive=row.exclusive,
            before_all=row.before_all,
            server=row.server,
            table=table_of(row),
        )

    def _bases(self) -> None:
        world = self.world
        for cid, info in world.symbols.classes.items():
            # Generated code (gRPC servicers) may lie inside the project: its classes count by name as well.
            inherited = [world.class_of(parent).display for parent in info.mro[1:]]
            for base in (*info.external, *inherited):
                for row in self.rows["base"].all(base):
                    if info.subclasses and not self.sites.instantiated.get(cid):
                        continue
                    self._base_entries(cid, base, row)

    def _base_entries(self, cid: str, base: str, row: Entry) -> None:
        world = self.world
        info = world.class_of(cid)
        names = sorted({name for parent in info.mro for name in world.class_of(parent).methods})
        for name in names:
            if not any(fnmatchcase(name, pattern) for pattern in row.methods):
                continue
            fid = world.method(cid, name)
            if fid is None:
                continue
            facts = world.symbols.functions[fid].facts
            receiver = world.heap.make("inst", cid, (SELF_SITE, 0), fresh=row.fresh_self)
            starts = {event for method in row.begins for event in self.sites.on_class(cid, method)}
            if not row.begins and not row.fresh_self:
                # Nothing says when the library begins to call; not before there is an instance to call.
                starts = set(self.sites.instantiated.get(cid, ()))
            if not row.begins:
                starts |= self._handed(cid)
            ends = {event for method in row.joins for event in self.sites.on_class(cid, method)}
            for target in world.function_objects(fid):
                if target.kind != "func":
                    continue
                bound = world.heap.make("bound", target.name, owner=receiver, func=target, bindings=target.bindings)
                path, line = self._where(fid, facts.line)
                kind = row.async_context if facts.is_async else row.context
                entry = self._table_entry(bound, kind, row, base, path, line)
                per_start = row.self_overlap == "per-start" and self.sites.several(cid)
                self._add(
                    replace(
                        entry,
                        self_overlap=entry.self_overlap or per_start,
                        distinct_self=row.self_overlap == "per-start" or row.fresh_self,
                        lane=row.lane or (cid if row.self_overlap == "no" else ""),
                        exclusive=row.exclusive or (row.self_overlap == "no" and not row.lane),
                        begins=frozenset(starts),
                        ends=frozenset(ends),
                        exact=bool(row.begins and starts),
                    )
                )

    @cached_property
    def _named(self) -> dict[str, dict[str, list[int]]]:
        """Name -> function -> nodes that are called so."""
        found: dict[str, dict[str, list[int]]] = {}
        for fid, info in self.world.symbols.functions.items():
            for index, node in enumerate(info.facts.nodes):
                if isinstance(node, (f.Global, f.Attr, f.Imported)) and node.name is not None:
                    found.setdefault(node.name, {}).setdefault(fid, []).append(index)
        return found

    def _handed(self, cid: str) -> set[Event]:
        """Calls that are given a class itself: a server that will make its instances."""
        found: set[Event] = set()
        name = self.world.class_of(cid).facts.name
        for fid, wanted in self._named.get(name, {}).items():
            info, evaluator = self.world.symbols.functions[fid], self.evaluator(fid)
            named = {index for index in wanted if any(obj.name == cid for obj in evaluator.eval(index))}
            for index, event in enumerate(info.facts.events):
                if type(event) is f.Call and not event.decorates:
                    if named & {*event.args, *(value for _, value in event.kwargs)} and not _builtin(
                        evaluator.eval(event.func)
                    ):
                        found.add((fid, index))
        return found

    def _assignments(self) -> None:
        world = self.world
        attributes = {name for row in world.tables.entry if row.form == "assign" for name in row.attributes}
        if not attributes:
            return
        for fid, info in world.symbols.functions.items():
            for index, event in enumerate(info.facts.events):
                if type(event) is not f.Access or event.kind != "store":
                    continue
                node = info.facts.nodes[event.target]
                if type(node) is not f.Attr or node.name not in attributes:
                    continue
                evaluator = self.evaluator(fid)
                for obj in evaluator.eval(node.base):
                    names = [obj.name] if obj.kind in ("ext", "symbol") else []
                    if obj.kind == "inst":
                        names = list(world.class_of(obj.name).external)
                    for name in names:
                        for row in self.rows["assign"].all(name):
                            if node.name not in row.attributes:
                                continue
                            for target in self.callables(evaluator, event.value):
                                facts = world.symbols.functions[target.name].facts
                                kind = row.async_context if facts.is_async else row.context
                                path, line = self._where(fid, event.line)
                                made = self._table_entry(target, kind, row, f"{name}.{node.name}", path, line)
                                serial = row.self_overlap == "no" and not row.lane
                                self._add(
                                    replace(
                                        made,
                                        begins=frozenset({(fid, index)}),
                                        exact=False,
                                        lane=self._lane(row, obj),
                                        exclusive=row.exclusive or serial,
                                    )
                                )

    def _reconcilers(self, fid: str, index: int, call: f.Call, dotted: str) -> None:
        """An object with a ``reconcile`` method handed to a library's controller is called back by its workers."""
        last = dotted.rpartition(".")[2].lower()
        if not any(word in last for word in ("controller", "manager", "reconcil", "operator")):
            return
        world = self.world
        evaluator = self.evaluator(fid)
        for node in (*call.args, *(value for _, value in call.kwargs)):
            for obj in evaluator.eval(node):
                if obj.kind != "inst":
                    continue
                method = world.method(obj.name, "reconcile")
                if method is None:
                    continue
                target = world.heap.make("bound", method, owner=obj, func=world.heap.make("func", method))
                path, line = self._where(fid, call.line)
                self._add(
                    EntryPoint(
                        target,
                        "pool",
                        True,
                        False,
                        f"{dotted} calls reconcile() from its workers, for several objects at once",
                        dotted,
                        path,
                        line,
                        confidence="medium",
                    )
                )

    def _add(self, entry: EntryPoint) -> None:
        if entry.kind in ("process", "main"):
            if entry.before_all:
                self.alone.add(entry.target.name)
            return
        key = (entry.target, entry.kind, entry.row)
        known = self.found.get(key)
        if known is None:
            self.found[key] = entry
            return
        begins, ends = known.begins | entry.begins, known.ends | entry.ends
        # Started at two places, it may run twice at once.
        again = known.begins != entry.begins and bool(known.begins) and not self._one_by_one(begins, ends)
        # Of tasks this is known where one coroutine starts both.
        again = again and (known.kind in ("thread", "pool") or self._in_one_run(known.begins, entry.begins))
        self.found[key] = replace(
            known,
            self_overlap=known.self_overlap or entry.self_overlap or again,
            begins=begins,
            ends=ends,
            perhaps=known.perhaps and entry.perhaps and not again,
            once=known.once and entry.once,
            passes=known.passes | entry.passes if known.passes and entry.passes else frozenset(),
            on_loop_of=_both_loops(known, entry),
            foreign_loop=known.foreign_loop and entry.foreign_loop,
            exclusive=known.exclusive and (known.kind != "pool" or known.lane == entry.lane),
            kept=known.kept if known.kept == entry.kept else "",
            distinct_self=known.distinct_self
            and (entry.distinct_self or not known.kept)
            and not (again and self._in_one_run(known.begins, entry.begins)),
        )

    def _in_one_run(self, some: frozenset[Event], others: frozenset[Event]) -> bool:
        """Whether one call of a function begins it at two places: both then have the object that it has."""
        functions = self.world.symbols.functions
        return any(
            fid == where and first != second and not either(functions[fid].facts, first, second)
            for fid, first in some
            for where, second in others
        )

    def _one_by_one(self, begins: frozenset[Event], ends: frozenset[Event]) -> bool:
        """Whether one function begins it at several places, and waits for its end after each."""
        places = {fid for fid, _ in begins}
        if len(places) != 1:
            return False
        (fid,) = places
        facts = self.world.symbols.functions[fid].facts
        order = [*sorted(index for _, index in begins), len(facts.events)]
        return all(
            over_beside(facts, (fid, index), {(where, at) for where, at in ends if at < following})
            for index, following in pairwise(order)
        )


def _both_loops(known: EntryPoint, entry: EntryPoint) -> frozenset[Event]:
    """On whose loops one function runs that is started at several places: known when it is of each of them.

    Of two rows for one call, the exact one comes first and knows it.
    """
    if entry.begins <= known.begins:
        return known.on_loop_of
    return known.on_loop_of | entry.on_loop_of if known.on_loop_of and entry.on_loop_of else frozenset()


def asked(row: Entry | Serve, evaluator: Evaluator, call: f.Call | None) -> bool:
    """Whether a call has the constant keyword arguments that a row is about, and none that it is not about."""
    if not row.when and not row.unless:
        return True
    nodes = {key: evaluator.nodes[value] for key, value in call.kwargs} if call is not None else {}
    given = {(key, node.text) for key, node in nodes.items() if type(node) is f.Const}
    given |= {(key, ANY) for key in nodes}
    return (not row.when or not given.isdisjoint(row.when.items())) and given.isdisjoint(row.unless.items())


def _arguments_of(evaluator: Evaluator, call: f.Call) -> f.Call | None:
    """The call that makes a decorator, in ``@decorator(...)``."""
    node = evaluator.nodes[call.func]
    inner = evaluator.info.facts.events[node.event] if type(node) is f.Result else None
    return inner if type(inner) is f.Call else None


def _is_coroutine(world: World, node: f.Node, target: Obj) -> bool:
    """Whether what is started is a coroutine object: it runs once, however often its function is called."""
    return type(node) is f.Result and world.symbols.functions[target.name].facts.is_async


def _builtin(callees: Iterable[Obj]) -> bool:
    """Whether a call goes to a builtin: ``super(C, self)`` and ``isinstance(x, C)`` start nothing."""
    return any(callee.kind == "symbol" and "." not in callee.name for callee in callees)


def _of_each(facts: f.Function, call: f.Call, node: int) -> bool:
    """Whether a value is a method of what the loop around a call meets: ``for w in workers: Thread(target=w.run)``."""
    method = facts.nodes[node]
    met = facts.nodes[method.base] if isinstance(method, f.Attr) else None
    if not isinstance(met, f.Elem) or isinstance(facts.nodes[met.base], f.Attr):
        return False  # what is kept in an attribute may be met once more when the function is called again
    block = call.block
    while block > 0 and facts.blocks[block].kind != "loop":
        block = facts.blocks[block].parent
    return block > 0 and facts.blocks[block].test == met.base


def _generic(found: list[Obj]) -> list[Obj]:
    """One target per method and class: an unknown instance stands for those made at known places."""
    unknown = {(obj.name, obj.owner.name) for obj in found if obj.owner is not None and obj.owner.unknown}
    return [obj for obj in found if obj.owner is None or obj.owner.unknown or (obj.name, obj.owner.name) not in unknown]


def project_entries(world: World, specs: Iterable[tuple[str, ContextKind, bool, str]]) -> list[EntryPoint]:
    """Entry points the project names itself: (dotted function, context, overlaps itself, why)."""
    by_display = {info.display: fid for fid, info in world.symbols.functions.items()}
    found = []
    for dotted, kind, overlap, why in specs:
        fid = by_display.get(dotted)
        if fid is None:
            continue
        info = world.symbols.functions[fid]
        target = world.heap.make("func", fid)
        if info.cls is not None and not world.is_static(fid):
            target = world.heap.make("bound", fid, owner=world.heap.make("inst", info.cls), func=target)
        found.append(EntryPoint(target, kind, overlap, False, why, "project", info.path, info.facts.line))
    return found
