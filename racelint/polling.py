"""Callbacks that are called by whoever runs what they were registered with: ``scheduler.run()`` calls its jobs.

Nothing runs beside anything because of them. They run in the thread, and with the locks, of the call that runs them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import networkx as nx

from racelint.contexts.callables import named_calls
from racelint.contexts.discovery import Discovery
from racelint.frameworks.schema import Matcher, Polled
from racelint.link.call_sites import Event
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f

# A function, with the library object it was registered with where that is known.
Registration: TypeAlias = tuple[Obj | None, Obj]


def find(discovery: Discovery) -> dict[Event, tuple[Obj, ...]]:
    """The calls that run registered functions, with these."""
    rows = discovery.world.tables.polled
    if not rows:
        return {}
    registered: dict[int, list[Registration]] = defaultdict(list)
    runs: dict[Event, list[tuple[int, Obj | None]]] = defaultdict(list)
    registering, running = Matcher.of(row for row in rows if row.function is not None), _runners(rows)
    for row in rows:
        registered[id(row)].extend((None, target) for target in _of_bases(discovery, row))
    for event, call, name, receiver in named_calls(discovery.world):
        for row in registering.all(name):
            evaluator = discovery.callables.evaluator(event[0])
            for node in _arguments(call, row):
                registered[id(row)].extend((receiver, target) for target in discovery.callables.of(evaluator, node))
        for row in running.get(name, ()):
            runs[event].append((id(row), receiver))
    found: dict[Event, tuple[Obj, ...]] = {}
    for event, asked in runs.items():
        targets = {target: None for row, runner in asked for holder, target in registered[row] if _same(runner, holder)}
        if targets:
            found[event] = tuple(targets)
    return found


def methods(world: World, row: Polled) -> Iterator[tuple[str, str]]:
    """Classes of the project with the methods of theirs that a row is about."""
    for cid, info in world.symbols.classes.items():
        if not set(row.name).isdisjoint(info.external):
            for name in row.methods:
                fid = world.method(cid, name)
                if fid is not None:
                    yield cid, fid


def connect(world: World, graph: nx.MultiDiGraph[str], polled: Mapping[Event, tuple[Obj, ...]]) -> None:
    """Add them to the call graph."""
    for (fid, index), targets in polled.items():
        call = world.symbols.functions[fid].facts.events[index]
        line = call.line if isinstance(call, f.Call) else 0
        for target in targets:
            graph.add_edge(fid, target.name, event=index, line=line, resolution="callback", confidence="medium")


def _runners(rows: list[Polled]) -> dict[str, list[Polled]]:
    found: dict[str, list[Polled]] = defaultdict(list)
    for row in rows:
        for name in row.runs:
            found[name].append(row)
    return found


def _of_bases(discovery: Discovery, row: Polled) -> Iterator[Obj]:
    heap = discovery.world.heap
    for cid, fid in methods(discovery.world, row):
        yield heap.make("bound", fid, owner=heap.make("inst", cid), func=heap.make("func", fid))


def _arguments(call: f.Call, row: Polled) -> Iterator[int]:
    assert row.function is not None
    position, keyword = row.function.position, row.function.keyword
    if position is not None and position < len(call.args):
        yield call.args[position]
    yield from (value for key, value in call.kwargs if keyword in (key, "*"))


def _same(runner: Obj | None, holder: Obj | None) -> bool:
    """Whether what is run may be what a function was registered with: not where both are known, and differ."""
    if runner is None or holder is None or runner.site is None or holder.site is None:
        return True
    return runner.name != holder.name or runner.site == holder.site
