"""All code with all that is held: walks for which a caller with a lock counts beside one without it.

For races the caller without the lock is the one that counts, so the walks from the entry points leave the others out.
For deadlocks it is the other way round, and a contract is about all of them, whether something runs beside the code or
not: a survey of everything begins as well in every module body and in every function that nobody calls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import networkx as nx

from racelint.analysis.effects import Touch
from racelint.analysis.locks import Lock
from racelint.analysis.sharing import Sharing
from racelint.analysis.walk import LOCK_VARIANTS, Group, State, Walker, Watch
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f

# What makes or unmakes an object has it for itself, whoever calls it.
MAKERS = ("__init__", "__new__", "__post_init__", "__attrs_post_init__", "__setstate__", "__del__")


class Everyone(Sharing):
    """Any object that is not its maker's own may be seen by others."""

    def shared(self, obj: Obj) -> bool:
        return not obj.fresh


class Survey(Walker):
    """A walk in which a way with a lock counts beside one without it."""

    lock_variants = 2 * LOCK_VARIANTS

    def _no_more_than(self, variants: Collection[frozenset[Lock]], held: frozenset[Lock]) -> frozenset[Lock] | None:
        if len(variants) < self.lock_variants // 2:
            return held if held in variants else None
        return super()._no_more_than(variants, held)


class UnderLocks(Survey):
    """Goes on where another walk has left off because it had been there with fewer locks.

    Calls are followed only as long as a lock is held and something ahead, by the call graph, may take one.
    """

    def __init__(self, walk: Walker, graph: nx.DiGraph[str], watches: Sequence[Watch]) -> None:
        super().__init__(
            walk.world,
            walk.locks,
            walk.effects,
            walk.sharing,
            walk.starts,
            walk.active,
            walk.required,
            walk.polled,
            walk.identity,
            walk.given,
            watches,
        )
        self._bodies, self._silences, self.freshness = walk._bodies, walk._silences, walk.freshness
        functions = self.world.symbols.functions
        self.takers = frozenset(fid for fid, info in functions.items() if info.facts.regions and self._takes(fid))
        self.ahead = _leading(graph, self.takers)

    def follow(self, group: Group, states: Iterable[State]) -> None:
        """Walk on from states."""
        self._begin(group)
        for state in states:
            self._push(state)
        self._run()

    def _push(self, state: State) -> None:
        if state.fid in self.ahead and (state.held or state.parent is None):
            super()._push(state)

    def _touched(self, *_: object) -> tuple[Touch, ...]:
        """Places have been seen by the walk that was here before."""
        return ()

    def _takes(self, fid: str) -> bool:
        """Whether a function enters a lock."""
        evaluator = self.given.known(fid, (), ())
        return any(self.regions.of(evaluator, region) for region in evaluator.info.facts.regions)


def _leading(graph: nx.DiGraph[str], functions: frozenset[str]) -> frozenset[str]:
    """The functions from which some of these can be reached."""
    found: set[str] = set(functions)
    work = list(functions)
    while work:
        for caller in graph.predecessors(work.pop()):
            if caller not in found:
                found.add(caller)
                work.append(caller)
    return frozenset(found)


def roots(world: World, graph: nx.DiGraph[str], targets: Collection[str]) -> tuple[list[str], list[str]]:
    """The functions nobody in the project calls, and the module bodies; of a circle of calls, one.

    ``targets`` are functions that begin elsewhere. What is handed to unknown code as a lambda is left out: most of the
    time that is called at once, under the locks held there. The wrapper that a decorator made begins as the function it
    was made of.
    """
    functions = world.symbols.functions
    wrappers = {fid: world.cells[cell] for cell in world.cells if cell[0] == "d" for fid in [str(cell[1])]}
    called = {(callee.name, callee.bindings) for callees in world.callees.values() for callee in callees}
    begun = {
        fid for fid, made in wrappers.items() if not any((obj.name, obj.bindings) in called for obj in made)
    } - set(targets)
    apart = {obj.name for made in wrappers.values() for obj in made} | set(targets) | set(_called_back(world))
    condensed = nx.condensation(graph)
    for component in condensed:
        members = condensed.nodes[component]["members"]
        if not condensed.in_degree(component) and apart.isdisjoint(members):
            callables = [fid for fid in members if functions[fid].facts.kind == "function"]
            begun.update(sorted(callables, key=lambda fid: (functions[fid].path, functions[fid].facts.line))[:1])
    bodies = [fid for fid, info in functions.items() if info.facts.kind == "module"]
    return sorted(fid for fid in begun if functions[fid].facts.name != "<lambda>"), bodies


def _called_back(world: World) -> Iterator[str]:
    """Functions that are handed to what calls them at once: a walk gets to them there, with the locks held there."""
    for (fid, index), callees in world.callees.items():
        for callee in callees:
            row = world.calls.first(callee.name) if callee.kind in ("symbol", "member") else None
            call = world.symbols.functions[fid].facts.events[index]
            if row is not None and isinstance(call, f.Call):
                evaluator = Evaluator(world, world.symbols.functions[fid])
                for obj in evaluator.argument(call, row.function.position, row.function.keyword):
                    if obj.kind in ("func", "bound"):
                        yield obj.name
