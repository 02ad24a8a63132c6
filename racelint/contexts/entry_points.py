"""Entry points: what is known of a function that runs beside other code, from all the places that say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from racelint.frameworks.schema import ContextKind
from racelint.link.awaited import over_beside
from racelint.link.call_sites import Event, either
from racelint.link.objects import Obj
from racelint.link.world import Feed, World

SELF_SITE = "<self>"


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """One way a project function comes to run beside other code.

    ``target`` is the function (bound when it has a receiver). ``begins``/``ends``: the call events that start it and
    wait for it; without ``begins`` it may run at any time. ``distinct_self``: each run has a receiver of its own.
    ``serialised_by``: parameters that identify the object whose runs are serialised, ``one_run_for``: the object whose
    runs of this very function are. ``lane``/``exclusive``: see ``frameworks.schema.Entry``. ``path``/``line``: where it
    becomes concurrent. ``exact``: ``begins`` are the very calls that start it, not merely calls before which it cannot
    have started. ``once``: each of these calls starts one run and no more. ``passes``: the calls that say what each run
    is given; empty when not all are known. ``made_in``: the function that makes what is started. ``kept``: the
    attribute of its receiver that a task is kept in (see ``link.kept``). ``row`` is the name by which a row of
    ``table`` matched. ``server`` is the kind of server that calls it, ``serves`` the calls that run it (see
    ``serving``).
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
    one_run_for: tuple[tuple[str, ...], ...] = ()
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


class EntryPoints:
    """The entry points that have been found so far: one for each target, kind and row.

    ``alone``: functions that run in a process of their own before anything else does there.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.found: dict[tuple[object, ...], EntryPoint] = {}
        self.alone: set[str] = set()

    def add(self, entry: EntryPoint) -> None:
        """Note one, together with what is known of the same already."""
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
        perhaps = known.perhaps and entry.perhaps and not again
        # Of tasks this is known where one coroutine starts both.
        again = again and (known.kind in ("thread", "pool") or self._in_one_run(known.begins, entry.begins))
        self.found[key] = replace(
            known,
            self_overlap=known.self_overlap or entry.self_overlap or again,
            begins=begins,
            ends=ends,
            perhaps=perhaps,
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
