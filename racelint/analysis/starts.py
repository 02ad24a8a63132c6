"""Which calls start something that runs beside what follows, and which wait for its end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import networkx as nx

from racelint.analysis.ended import ended_by_calls
from racelint.contexts.entry_points import EntryPoint
from racelint.link.awaited import over_beside
from racelint.link.call_sites import Event
from racelint.link.calls import targets
from racelint.link.objects import Obj
from racelint.link.symbols import FunctionInfo
from racelint.link.world import World
from racelint.model import facts as f

Sites: TypeAlias = frozenset[Event]
# Callees of one call that may be told apart by a class hierarchy or a few stored callbacks; more are a guess.
FEW = 3


@dataclass(frozen=True)
class Starts:
    """The call events that begin something, and what ends it.

    ``ends``: a call event that waits, to the begin events of what has ended then. ``executors``: the same for objects
    that wait when their ``with`` is left. ``reach``: a function to the begin events in it or in what it surely calls.
    ``waited``: what is over when the call that begins it returns, or the block that this call stands in is left.
    ``on_loop``: calls that have coroutines run by an event loop of the thread that makes the call.
    """

    begins: frozenset[Event]
    ends: Mapping[Event, frozenset[Event]]
    executors: Mapping[Obj, frozenset[Event]]
    reach: Mapping[str, frozenset[Event]]
    waited: frozenset[Event]
    on_loop: frozenset[Event] = frozenset()
    _unions: dict[tuple[Sites, Sites], Sites] = field(default_factory=dict, repr=False, compare=False)
    _looping: dict[str, dict[int, frozenset[Event]]] = field(default_factory=dict, repr=False, compare=False)

    def union(self, one: Sites, other: Sites) -> Sites:
        """Both together; a walk meets few such sets, and these over and over."""
        if one is other or not other:
            return one
        key = (one, other)
        found = self._unions.get(key)
        if found is None:
            found = self._unions[key] = one if other <= one else one | other
        return found

    def run_by(self, info: FunctionInfo, call: f.Call, index: int) -> f.Call | None:
        """The call that has an event loop of this thread run the coroutine which a call of a function makes."""
        facts = info.facts
        if (info.id, index) in self.on_loop:
            return call
        carrying = {call.result}
        for node, value in enumerate(facts.nodes) if info.id in self._with_loops else ():
            inside = value.options if type(value) is f.Phi else value.items if type(value) is f.New else ()
            if not carrying.isdisjoint(inside):
                carrying.add(node)
        for at, event in enumerate(facts.events) if info.id in self._with_loops else ():
            if type(event) is f.Call and (info.id, at) in self.on_loop:
                if not carrying.isdisjoint((*event.args, *(value for _, value in event.kwargs))):
                    return event
        return None

    @cached_property
    def _with_loops(self) -> frozenset[str]:
        return frozenset(fid for fid, _ in self.on_loop)

    def in_loops(self, world: World, fid: str) -> dict[int, frozenset[Event]]:
        """Per loop block of a function: what may have been started by an earlier round."""
        if not self.begins:
            return {}
        found = self._looping.get(fid)
        if found is None:
            found = self._looping[fid] = self._in_loops(world, fid)
        return found

    def _in_loops(self, world: World, fid: str) -> dict[int, frozenset[Event]]:
        facts = world.symbols.functions[fid].facts
        found: dict[int, set[Event]] = defaultdict(set)
        for index, event in enumerate(facts.events):
            if type(event) is not f.Call or not event.block:
                continue
            gained: set[Event] = set()
            if (fid, index) in self.begins:
                gained.add((fid, index))
            for callee in world.callees.get((fid, index), ()):
                for target in targets(world, callee):
                    gained |= self.reach.get(target.name, frozenset())
            gained -= self.waited
            block = event.block
            while gained and block > 0:
                if facts.blocks[block].kind == "loop":
                    found[block] |= gained
                block = facts.blocks[block].parent
        return {block: frozenset(sites) for block, sites in found.items()}


def starts(
    world: World,
    graph: nx.MultiDiGraph[str],
    entries: Collection[EntryPoint],
    background: frozenset[Event],
) -> Starts:
    """What the entry points of a program say about it. ``background``: calls that begin servers beside the caller."""
    begins = background
    on_loop = frozenset(site for entry in entries for site in entry.on_loop_of)
    ends: dict[Event, frozenset[Event]] = defaultdict(frozenset)
    executors: dict[Obj, frozenset[Event]] = defaultdict(frozenset)
    for entry in entries:
        begins |= entry.begins
        for site in entry.ends:
            ends[site] |= entry.begins
        if entry.executor is not None:
            executors[entry.executor] |= entry.begins
    reach = _reach(graph, begins)
    over = ended_by_calls(world, begins, ends, reach)
    return Starts(begins, over, dict(executors), reach, _waited(world, ends), on_loop)


def _waited(world: World, ends: Mapping[Event, frozenset[Event]]) -> frozenset[Event]:
    ended: dict[Event, set[Event]] = defaultdict(set)
    for end, sites in ends.items():
        for site in sites:
            ended[site].add(end)
    functions = world.symbols.functions
    return frozenset(
        site for site, found in ended.items() if site in found or over_beside(functions[site[0]].facts, site, found)
    )


def around(facts: f.Function, block: int, loops: Mapping[int, frozenset[Event]]) -> frozenset[Event]:
    """What earlier rounds of the loops around a block may have started."""
    found: frozenset[Event] = frozenset()
    while block > 0:
        found |= loops.get(block, frozenset())
        block = facts.blocks[block].parent
    return found


def _reach(graph: nx.MultiDiGraph[str], begins: frozenset[Event]) -> dict[str, frozenset[Event]]:
    direct: dict[str, set[Event]] = defaultdict(set)
    for site in begins:
        direct[site[0]].add(site)
    if not direct:
        return {}
    found: dict[str, frozenset[Event]] = {}
    condensed = nx.condensation(_likely_calls(graph))
    for component in reversed(list(nx.topological_sort(condensed))):
        gained: set[Event] = set()
        members = condensed.nodes[component]["members"]
        for fid in members:
            gained |= direct.get(fid, set())
        for successor in condensed.successors(component):
            for fid in condensed.nodes[successor]["members"]:
                gained |= found.get(fid, frozenset())
                break
        if gained:
            for fid in members:
                found[fid] = frozenset(gained)
    return found


def _likely_calls(graph: nx.MultiDiGraph[str]) -> nx.DiGraph[str]:
    """The call graph without calls that may go to many functions: following those, everything starts everything."""
    count: dict[tuple[str, int], int] = defaultdict(int)
    edges: list[tuple[str, str, int]] = list(graph.edges(data="event"))
    for caller, _, event in edges:
        count[caller, event] += 1
    likely: nx.DiGraph[str] = nx.DiGraph()
    likely.add_nodes_from(graph)
    likely.add_edges_from((caller, callee) for caller, callee, event in edges if count[caller, event] <= FEW)
    return likely
