"""Which functions of a program run concurrently: what its calls, decorators, base classes and assignments say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property

from racelint.contexts.callables import Callables
from racelint.contexts.calls import Calls, asked, lane
from racelint.contexts.entry_points import SELF_SITE, EntryPoint, EntryPoints
from racelint.frameworks.schema import ContextKind, Entry, Matcher, table_of
from racelint.link.call_sites import CallSites, Event
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f

# Groups of commands in groups of commands: a decorator that is a method of what a decorator has made, and so on.
MAX_NESTED = 4


class Discovery:
    """Finds the entry points of a linked program."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rows = {
            form: Matcher.of(row for row in world.tables.entry if row.form == form)
            for form in ("decorator", "base", "assign")
        }
        self.sites = CallSites(world)
        self.callables = Callables(world, self.sites)
        self.entries = EntryPoints(world)
        self.calls = Calls(world, self.callables, self.entries)

    def run(self) -> tuple[EntryPoint, ...]:
        """All entry points, in a stable order."""
        for (fid, index), callees in self.world.callees.items():
            call = self.world.symbols.functions[fid].facts.events[index]
            assert isinstance(call, f.Call)
            if call.decorates:
                self._decorator(fid, call)
            else:
                self.calls.starting(fid, index, call, callees)
        self._bases()
        self._assignments()
        return tuple(self.entries.found.values())

    def _where(self, fid: str, line: int) -> tuple[str, int]:
        return self.world.symbols.functions[fid].path, line

    def _decorator(self, fid: str, call: f.Call) -> None:
        world = self.world
        module = world.symbols.functions[fid].module
        function = f"{module}:{call.decorates}"
        evaluator = self.callables.evaluator(fid)
        facts = world.symbols.functions[function].facts
        for name in self._names(fid, call):
            for row in self.rows["decorator"].all(name):
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
                    self.entries.add(self._table_entry(target, kind, row, name, path, line))

    def _names(self, fid: str, call: f.Call, depth: int = 0) -> tuple[str, ...]:
        """Dotted names of a decorator. A library's may have made a function into something with decorators of its own.

        Of ``@group.command()`` below ``@bot.group() async def group`` it is a name like ``Bot.group.command``.
        """
        evaluator = self.callables.evaluator(fid)
        objs = dict(evaluator.eval(call.func))
        made = _arguments_of(evaluator, call)
        func = made.func if made is not None else call.func
        objs.update(evaluator.eval(func))
        names = [obj.name for obj in objs if obj.kind in ("symbol", "member")]
        node = evaluator.nodes[func]
        if type(node) is f.Attr and depth < MAX_NESTED:
            for obj in evaluator.eval(node.base):
                for where, below in self._decorating.get(obj.name, ()) if obj.kind == "func" else ():
                    names.extend(f"{name}.{node.name}" for name in self._names(where, below, depth + 1))
        return tuple(dict.fromkeys(names))

    @cached_property
    def _decorating(self) -> dict[str, list[tuple[str, f.Call]]]:
        """Function -> the calls that decorate it, and where they are made."""
        found: dict[str, list[tuple[str, f.Call]]] = {}
        for fid, index in self.world.callees:
            info = self.world.symbols.functions[fid]
            call = info.facts.events[index]
            if type(call) is f.Call and call.decorates:
                found.setdefault(f"{info.module}:{call.decorates}", []).append((fid, call))
        return found

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
            one_run_for=tuple(tuple(names) for names in row.one_run_for),
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
                self.entries.add(
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
            info, evaluator = self.world.symbols.functions[fid], self.callables.evaluator(fid)
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
                evaluator = self.callables.evaluator(fid)
                for obj in evaluator.eval(node.base):
                    names = [obj.name] if obj.kind in ("ext", "symbol") else []
                    if obj.kind == "inst":
                        names = list(world.class_of(obj.name).external)
                    for name in names:
                        for row in self.rows["assign"].all(name):
                            if node.name not in row.attributes:
                                continue
                            for target in self.callables.of(evaluator, event.value):
                                facts = world.symbols.functions[target.name].facts
                                kind = row.async_context if facts.is_async else row.context
                                path, line = self._where(fid, event.line)
                                made = self._table_entry(target, kind, row, f"{name}.{node.name}", path, line)
                                serial = row.self_overlap == "no" and not row.lane
                                self.entries.add(
                                    replace(
                                        made,
                                        begins=frozenset({(fid, index)}),
                                        exact=False,
                                        lane=lane(world, row, obj),
                                        exclusive=row.exclusive or serial,
                                    )
                                )


def _arguments_of(evaluator: Evaluator, call: f.Call) -> f.Call | None:
    """The call that makes a decorator, in ``@decorator(...)``."""
    node = evaluator.nodes[call.func]
    inner = evaluator.info.facts.events[node.event] if type(node) is f.Result else None
    return inner if type(inner) is f.Call else None


def _builtin(callees: Iterable[Obj]) -> bool:
    """Whether a call goes to a builtin: ``super(C, self)`` and ``isinstance(x, C)`` start nothing."""
    return any(callee.kind == "symbol" and "." not in callee.name for callee in callees)
