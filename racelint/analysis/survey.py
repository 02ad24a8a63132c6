"""All code, whether something runs beside it or not: every access to some places, with the locks held there.

What a context reaches is seen by ``walk`` from the entry points. A survey begins as well in every module body and in
every function that nobody calls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import networkx as nx

from racelint.analysis.effects import Touch
from racelint.analysis.locks import Lock
from racelint.analysis.sharing import Sharing
from racelint.analysis.walk import LOCK_VARIANTS, Group, Reached, State, Walker
from racelint.contexts import Event
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
    """Walks everything, and keeps the accesses to some places."""

    places: Collection[str] = ()

    def look(self, places: Collection[str], groups: Iterable[Group]) -> tuple[Reached, ...]:
        """Every access to ``places``."""
        self.places = places
        return tuple(access for group in groups for access in self.walk(group))

    def _no_more_than(self, variants: Collection[frozenset[Lock]], held: frozenset[Lock]) -> frozenset[Lock] | None:
        """A way with a lock counts beside one without: a fix must not take a lock that some callers hold."""
        if len(variants) < LOCK_VARIANTS // 2:
            return held if held in variants else None
        return super()._no_more_than(variants, held)

    def _record(
        self,
        touch: Touch,
        state: State,
        held: tuple[tuple[Lock, int], ...],
        started: frozenset[Event],
        published: set[Obj],
    ) -> None:
        if touch.name in self.places:
            super()._record(touch, state, held, started, published)


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
