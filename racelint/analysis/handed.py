"""Objects that each run of an entry point is given for itself: two runs of it never meet in one.

``create_task(run(Cause()))`` in a loop starts many tasks, each with a cause of its own. ``pool.submit(handle,
connection)`` hands over a connection that was accepted, taken out of a queue or met in a loop; another run is given
another one. Source: the ownership of arguments in Blackshear et al., "RacerD" (OOPSLA 2018), 4.2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import networkx as nx

from racelint.analysis.flow import declared
from racelint.analysis.sharing import Sharing
from racelint.analysis.walk import Reached
from racelint.contexts import EntryPoint
from racelint.link.call_sites import Event, in_loop
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import Cell, World
from racelint.model import facts as f

# Callers of callers that are asked where they have an argument from.
FAR = 3
# Objects that are looked at for what one is kept in.
MANY = 200
# Cells of attributes, class and module variables, captured variables, elements and values of containers.
KEEPING = frozenset(("a", "k", "g", "x", "e", "m", "o"))


class Handed:
    """Knows whether what an access is to belongs to one run of its entry point."""

    def __init__(
        self, world: World, sharing: Sharing, callers: Mapping[str, Sequence[Event]], calls: nx.DiGraph[str]
    ) -> None:
        self.world = world
        self.calls = calls
        self.sharing = sharing
        self.callers = callers
        self._led_to: dict[str, frozenset[str]] = {}
        self._own: dict[tuple[str, Obj], bool] = {}

    def given(self, access: Reached) -> bool:
        """Whether an access is to what each run of its entry point has for itself: an argument, or what is in one."""
        obj, entry = access.touch.base, access.state.entry
        while obj is not None and obj.owner is not None:
            obj = obj.owner
        if obj is None or obj.site is None or not entry.begins or not entry.exact:
            return False
        key = (entry.target.name, self.world.heap.plain(obj))
        if key not in self._own:
            self._own[key] = self._belongs(entry, key[1])
        return self._own[key]

    def _belongs(self, entry: EntryPoint, obj: Obj) -> bool:
        """Whether an object is an argument that each run has for itself, or was made for one and is kept in it."""
        given, seen, work = False, {obj}, [obj]
        while work:
            one = work.pop()
            if self._is_given(entry, one):
                given = True
                continue
            inside = one.site is not None and one.site[0] in self._made_by(entry)
            if one is obj and not inside:
                return False
            for cell in self._cells.get(one, ()):
                holders = self._holders(cell)
                if holders is None or len(seen) > MANY:
                    return False
                if not inside and any(self._is_given(entry, holder) for holder in holders):
                    return False
                work.extend(holder for holder in holders if holder not in seen)
                seen.update(holders)
        return given

    def _made_by(self, entry: EntryPoint) -> frozenset[str]:
        """The functions that an entry point leads to, and those that make what it is given."""
        fid = entry.target.name
        if fid not in self._led_to:
            makers = {
                method
                for begin in entry.begins
                for obj in self._passed_on(begin, coroutines=self._is_coroutine(entry))
                if obj.kind == "inst" and (method := self.world.method(obj.name, "__init__"))
            }
            found = {fid, *makers}
            for start in (fid, *makers):
                found |= nx.descendants(self.calls, start) if start in self.calls else set()
            self._led_to[fid] = frozenset(found)
        return self._led_to[fid]

    def _is_coroutine(self, entry: EntryPoint) -> bool:
        return self.world.symbols.functions[entry.target.name].facts.is_async

    def _passed_on(self, begin: Event, *, coroutines: bool) -> Iterator[Obj]:
        """The objects that a start passes on."""
        info = self.world.symbols.functions[begin[0]]
        call = info.facts.events[begin[1]]
        evaluator = Evaluator(self.world, info)
        for node in _arguments(info.facts, call, coroutines=coroutines) if isinstance(call, f.Call) else ():
            yield from evaluator.eval(node)

    def _is_given(self, entry: EntryPoint, obj: Obj) -> bool:
        receiver = entry.target.owner
        if obj.kind != "inst" or (receiver is not None and self.world.heap.plain(receiver) is obj):
            return False
        return all(
            self._handed_over(begin, obj, coroutines=self._is_coroutine(entry)) for begin in sorted(entry.begins)
        )

    def _holders(self, cell: Cell) -> tuple[Obj, ...] | None:
        """The objects that a place is in; none for a variable of a call, None for what everybody gets at."""
        holder = cell[1]
        if cell[0] == "x":
            return ()
        if isinstance(holder, Obj):
            return (self.world.heap.plain(holder),)
        return self._instances.get(str(holder)) if cell[0] == "a" else None

    @cached_property
    def _cells(self) -> dict[Obj, tuple[Cell, ...]]:
        """The places that objects are kept in: attributes, variables of modules and closures, containers."""
        found: dict[Obj, dict[Cell, None]] = defaultdict(dict)
        for cell, objs in self.world.cells.items():
            if cell[0] in KEEPING:
                for obj in objs:
                    found[self.world.heap.plain(obj)][cell] = None
        return {obj: tuple(cells) for obj, cells in found.items()}

    @cached_property
    def _instances(self) -> dict[str, tuple[Obj, ...]]:
        """Class -> the instances of it, or of a class under it, that are met anywhere."""
        found: dict[str, dict[Obj, None]] = defaultdict(dict)
        for objs in self.world.cells.values():
            for obj in objs:
                if obj.kind == "inst" and obj.site is not None:
                    for parent in self.world.class_of(obj.name).mro:
                        found[parent][self.world.heap.plain(obj)] = None
        return {cid: tuple(objs) for cid, objs in found.items()}

    def _handed_over(self, begin: Event, obj: Obj, *, coroutines: bool) -> bool:
        """Whether a start passes an object on that it does not pass on a second time."""
        fid, index = begin
        info = self.world.symbols.functions[fid]
        call = info.facts.events[index]
        if not isinstance(call, f.Call):
            return False
        evaluator = Evaluator(self.world, info)
        passed = [
            node
            for node in _arguments(info.facts, call, coroutines=coroutines)
            if any(self.world.heap.plain(found) is obj for found in evaluator.eval(node))
        ]
        return bool(passed) and all(self._changes(fid, call, node, 0) for node in passed)

    def _changes(self, fid: str, call: f.Call, node: int, far: int) -> bool:
        """Whether a node is another object each time a call is made."""
        facts = self.world.symbols.functions[fid].facts
        value = facts.nodes[node]
        again = in_loop(facts, call.block)
        match value:
            case f.Elem(base) | f.Part(base):
                return not declared(facts.nodes[base]) and not isinstance(facts.nodes[base], f.Attr)
            case f.Result(event):
                made = facts.events[event]
                assert isinstance(made, f.Call)
                return (not again or in_loop(facts, made.block)) and not self._kept_result(facts, node, call)
            case f.Awaited(base):
                return self._changes(fid, call, base, far)
            case f.Phi(options):
                return bool(options) and all(self._changes(fid, call, option, far) for option in options)
            case f.Param(name) if not again:
                return far < FAR and all(self._passed(site, fid, name, far) for site in self.callers.get(fid, ()))
            case _:
                return False

    def _kept_result(self, facts: f.Function, node: int, call: f.Call) -> bool:
        """Whether what a call has made is passed on by more than one start of this function."""
        return any(
            isinstance(other, f.Call) and other is not call and node in other.args and other.func == call.func
            for other in facts.events
        )

    def _passed(self, site: Event, fid: str, name: str, far: int) -> bool:
        """Whether a call gives a parameter another object each time it is made."""
        caller = self.world.symbols.functions[site[0]].facts
        call = caller.events[site[1]]
        if not isinstance(call, f.Call):
            return True
        params = [param.name for param in self.world.symbols.functions[fid].facts.params]
        offset = int(self.world.symbols.functions[fid].is_method and not self.world.is_static(fid))
        position = params.index(name) - offset
        node = dict(call.kwargs).get(name, call.args[position] if 0 <= position < len(call.args) else -1)
        return node < 0 or self._changes(site[0], call, node, far + 1)

    def alone(self, access: Reached) -> bool:
        """Whether an access is to an object (or a part of one) that was made where its entry point was started."""
        obj, entry = access.touch.base, access.state.entry
        while obj is not None and obj.owner is not None:
            obj = obj.owner
        if obj is None or obj.kind != "inst" or not entry.once or len(entry.begins) != 1:
            return False
        ((fid, index),) = entry.begins
        made = self.world.made_by(obj)
        if made is None or made[0].id != fid:
            return False
        facts = made[0].facts
        if facts.kind == "module":
            return False
        if in_loop(facts, facts.events[index].block) and not in_loop(facts, made[1].block):
            return False
        return self.world.heap.plain(obj) not in self.sharing.beside(entry).objects


def _arguments(facts: f.Function, call: f.Call, *, coroutines: bool) -> Iterator[int]:
    """The nodes that a start passes on: its arguments, those in a tuple of them, those of the coroutine it is given."""
    for node in (*call.args, *(value for _, value in call.kwargs)):
        yield node
        match facts.nodes[node]:
            case f.New(kind, items, _, _) if kind in ("tuple", "list"):
                yield from items
            case f.Result(event):
                inner = facts.events[event]
                if isinstance(inner, f.Call) and coroutines:
                    yield from (*inner.args, *(value for _, value in inner.kwargs))
