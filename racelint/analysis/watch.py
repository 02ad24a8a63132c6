"""What a walk sees besides shared places: locks being taken, with those held by then, and objects of a loop used.

Sources: the lock-order graph of Havelund, "Using runtime analysis to guide model checking" (2000); the notes on thread
safety at docs.python.org/3/library/asyncio-dev.html#concurrency-and-multithreading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from racelint.analysis.bodies import Held, Step
from racelint.analysis.effects import Touch
from racelint.analysis.locks import Lock, Locks
from racelint.analysis.walk import Group, Reached, State, Walker, Watch
from racelint.frameworks.schema import Entry, LoopBound
from racelint.link.call_sites import Event
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.partials import unwrapped
from racelint.link.world import Cell, World
from racelint.model import facts as f


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """A lock is taken in region ``region``. ``before``: what is held then, callers' locks first."""

    lock: Lock
    at: Reached
    region: int
    before: tuple[Take, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """A method of an object that belongs to an event loop (or a function that does) is called.

    ``made``: the object was made by the very call that uses it. ``kept``: the call is one of a callback, which was
    handed over before. ``given``: this call only hands the method to another thread, by a row and the name it matched.
    """

    at: Reached
    row: LoopBound
    method: str
    made: bool
    kept: bool = False
    given: tuple[Entry, str] | None = None


@dataclass(frozen=True, slots=True)
class _Used:
    """What is the same of a ``Use`` in all walks."""

    touch: Touch
    row: LoopBound
    method: str
    made: bool
    kept: bool = False
    given: tuple[Entry, str] | None = None


class Watcher(Watch):
    """Collects what walks see."""

    def __init__(
        self, world: World, locks: Locks, given: Mapping[Event, Sequence[tuple[Entry, str, Obj]]] = MappingProxyType({})
    ) -> None:
        self.world = world
        self.locks = locks
        self.given = given
        self.bound = {name: row for row in reversed(world.tables.loop_bound) for name in row.name}
        self.takes: list[Take] = []
        self.uses: list[Use] = []
        # Functions with the first state they were reached in.
        self.visited: dict[str, tuple[State, Group]] = {}
        # Entry points (by identity) that run an event loop of their own in their thread.
        self.hosts: set[int] = set()
        # States, and what the walk was told to hold in them, by region.
        self._regions: dict[tuple[State, int], tuple[Take, ...]] = {}
        self._inherited: dict[State, tuple[Take, ...]] = {}
        # What calls do with objects of a loop, by their steps.
        self._used: dict[Step, tuple[bool, tuple[_Used, ...]]] = {}

    def event(
        self, walker: Walker, evaluator: Evaluator, state: State, step: Step, held: Held, started: frozenset[Event]
    ) -> bool:
        """Note what an event shows."""
        if state.fid not in self.visited:
            self.visited[state.fid] = (state, walker.group)
        if held:
            self._hold(walker, evaluator, state, step.index, held, started)
        if type(step.event) is f.Call:
            return self._call(walker, evaluator, state, step, step.event, held, started)
        return False

    # -- locks --------------------------------------------------------------------------------------------------------

    def _hold(
        self, walker: Walker, evaluator: Evaluator, state: State, index: int, held: Held, started: frozenset[Event]
    ) -> None:
        if all(region < 0 or (state, region) in self._regions for _, region in held):
            return
        before = list(self.inherited(state))
        locks: dict[int, list[Lock]] = {}
        for lock, region in held:
            if region >= 0:
                locks.setdefault(region, []).append(lock)
        for region, taken in locks.items():
            known = self._regions.get((state, region))
            if known is None:
                line = evaluator.info.facts.regions[region].line
                outer = tuple((take.lock, take.region if take.at.state is state else -1) for take in before)
                known = tuple(
                    Take(
                        lock,
                        Reached(
                            self._touch(walker, lock, started, state.fid, index, line),
                            state,
                            walker.group,
                            outer,
                            started,
                        ),
                        region,
                        tuple(before),
                    )
                    for lock in taken
                )
                self._regions[state, region] = known
                self.takes.extend(known)
            before.extend(known)

    def inherited(self, state: State) -> tuple[Take, ...]:
        """What the callers of a state hold."""
        found = self._inherited.get(state)
        if found is None:
            parent = state.parent
            found = ()
            if parent is not None:
                facts = self.world.symbols.functions[parent.fid].facts
                regions = facts.held[facts.events[state.event].held]
                own = tuple(take for region in regions for take in self._regions.get((parent, region), ()))
                found = (*self.inherited(parent), *own)
            self._inherited[state] = found
        return found

    def _touch(self, walker: Walker, lock: Lock, started: frozenset[Event], fid: str, index: int, line: int) -> Touch:
        """The place a lock is kept in (its slot, or else the object itself), on the object it belongs to by now."""
        place: Cell = lock.slot if lock.slot is not None else ("e", *lock.objs[:1])
        name = lock.name or (lock.objs[0].name if lock.objs else "lock")
        base = lock.base
        if base is not None and base.fresh and walker.freshness.seen(base, started):
            base = self.world.heap.shared(base)
        return Touch(place, base, name, "read", False, fid, index, line)

    # -- objects of a loop --------------------------------------------------------------------------------------------

    def _call(
        self,
        walker: Walker,
        evaluator: Evaluator,
        state: State,
        step: Step,
        call: f.Call,
        held: Held,
        started: frozenset[Event],
    ) -> bool:
        known = self._used.get(step)
        if known is None:
            given = self._given(evaluator, state.fid, step.index, call)
            known = self._used[step] = (
                self._runs(evaluator, call),
                (*self._uses(evaluator, state.fid, step.index, call), *given),
            )
        runs, used = known
        if runs:
            self.hosts.add(id(state.entry))
        for one in used:
            at = Reached(one.touch, state, walker.group, held, started)
            self.uses.append(Use(at, one.row, one.method, one.made, one.kept, one.given))
        return runs or bool(used)

    def _runs(self, evaluator: Evaluator, call: f.Call) -> bool:
        """Whether a call runs a loop."""
        called = [self._of_loop(obj) for obj in evaluator.eval(call.func)]
        return any(found is not None and found[1] in found[0].runs for found in called)

    def _of_loop(self, obj: Obj) -> tuple[LoopBound, str, Obj] | None:
        """The row, the method and the owner, when what is called belongs to a loop."""
        if obj.kind == "member" and obj.owner is not None:
            row = self.bound.get(obj.owner.name) if obj.owner.kind == "ext" else None
            return (row, obj.name.rpartition(".")[2], obj.owner) if row is not None else None
        row = self.bound.get(obj.name) if obj.kind == "symbol" else None
        return (row, obj.name, obj) if row is not None else None

    def _uses(self, evaluator: Evaluator, fid: str, index: int, call: f.Call) -> Iterator[_Used]:
        """Which object of a loop a call uses how: the one in front of the method, or that of a callback."""
        func = evaluator.nodes[call.func]
        callees = self._plain(evaluator.eval(call.func))
        found = [self._of_loop(callee) for callee in callees]
        for callee, known in zip(callees, found, strict=True):
            if known is None or None in found or any(callee.kind != other.kind for other in callees):
                continue
            row, method, owner = known
            if method in row.methods or method in row.awaited or method in row.runs:
                kept = callee.kind == "member" and not (type(func) is f.Attr and func.name == method)
                receiver = func.base if type(func) is f.Attr and not kept else -1
                touch = self._use(evaluator, receiver, owner, fid, index, call.line)
                yield _Used(touch, row, method, owner.fresh, kept)
                return

    def _given(self, evaluator: Evaluator, fid: str, index: int, call: f.Call) -> Iterator[_Used]:
        """The methods of a loop's objects that a call hands to another thread."""
        for entry, name, given in self.given.get((fid, index), ()):
            for obj in self._plain((given,)):
                known = self._of_loop(obj)
                if known is not None and known[1] in known[0].methods:
                    row, method, owner = known
                    receivers = [
                        node.base
                        for node in evaluator.nodes
                        if type(node) is f.Attr and node.name == method and owner in evaluator.eval(node.base)
                    ]
                    touch = self._use(evaluator, receivers[0] if receivers else -1, owner, fid, index, call.line)
                    yield _Used(touch, row, method, False, given=(entry, name))

    def _plain(self, callees: Iterable[Obj]) -> tuple[Obj, ...]:
        """Callees, and in place of partial objects what these call."""
        found: dict[Obj, None] = {}
        for callee in callees:
            inner = [obj for obj, _ in unwrapped(callee, self.world.get)] if callee.kind == "partial" else [callee]
            found.update(dict.fromkeys(inner))
        return tuple(found)

    def _use(self, evaluator: Evaluator, receiver: int, owner: Obj, fid: str, index: int, line: int) -> Touch:
        """An object of a loop being used, under the name it has here or else where it is kept."""
        place, base, name = (
            self.locks.slot(evaluator, receiver)
            if receiver >= 0
            else self._slots.get(self.world.heap.plain(owner), (None, None, ""))
        )
        return Touch(
            place or ("e", owner),
            base if base is not None else owner,
            name or owner.name,
            "read",
            False,
            fid,
            index,
            line,
            type=owner.name,
        )

    @cached_property
    def _slots(self) -> dict[Obj, tuple[Cell | None, Obj | None, str]]:
        """Where objects of loops are kept: the first slot of each, with some instance that has it and its name."""
        found: dict[Obj, tuple[Cell | None, Obj | None, str]] = {}
        world = self.world
        for cell, objs in world.cells.items():
            for obj in objs if cell[0] in ("a", "k", "g", "x") else ():
                if obj.kind != "ext" or obj.name not in self.bound:
                    continue
                home, name = str(cell[1]), str(cell[2])
                shown = home
                if home in world.symbols.classes:
                    shown = world.class_of(home).display
                elif home in world.symbols.functions:
                    shown = world.symbols.functions[home].display
                base = world.heap.make("inst", home) if cell[0] == "a" else None
                found.setdefault(world.heap.plain(obj), (cell, base, f"{shown}.{name}"))
        return found
