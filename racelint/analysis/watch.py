"""What a walk sees besides shared places: locks being taken, with those held by then, and objects of a loop used.

Sources: the lock-order graph of Havelund, "Using runtime analysis to guide model checking" (2000); the notes on thread
safety at docs.python.org/3/library/asyncio-dev.html#concurrency-and-multithreading.
"""

from __future__ import annotations

from dataclasses import dataclass

from racelint.analysis.bodies import Held, Step
from racelint.analysis.effects import Touch
from racelint.analysis.locks import Lock, Locks
from racelint.analysis.walk import Group, Reached, State, Walker, Watch
from racelint.frameworks.schema import LoopBound
from racelint.link.call_sites import Event
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
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

    ``made``: the object was made by the very call that uses it.
    """

    at: Reached
    row: LoopBound
    method: str
    made: bool


class Watcher(Watch):
    """Collects what walks see."""

    def __init__(self, world: World, locks: Locks) -> None:
        self.world = world
        self.locks = locks
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
        self._used: dict[Step, tuple[bool, tuple[Touch, LoopBound, str, bool] | None]] = {}

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
            known = self._used[step] = self._uses(evaluator, state.fid, step.index, call)
        runs, used = known
        if runs:
            self.hosts.add(id(state.entry))
        if used is not None:
            touch, row, method, made = used
            self.uses.append(Use(Reached(touch, state, walker.group, held, started), row, method, made))
        return runs or used is not None

    def _uses(
        self, evaluator: Evaluator, fid: str, index: int, call: f.Call
    ) -> tuple[bool, tuple[Touch, LoopBound, str, bool] | None]:
        """Whether a call runs a loop, and which object of one it uses how."""
        func = evaluator.nodes[call.func]
        callees = evaluator.eval(call.func)
        runs = False
        for callee in callees:
            if callee.kind == "member" and callee.owner is not None and type(func) is f.Attr:
                owner = callee.owner
                row = self.bound.get(owner.name) if owner.kind == "ext" else None
                method = func.name
            elif callee.kind == "symbol":
                row, method, owner = self.bound.get(callee.name), callee.name, callee
            else:
                continue
            if row is None:
                continue
            runs = runs or method in row.runs
            every = all(other.kind == callee.kind and self._same_row(other, row) for other in callees)
            if not every or not (method in row.methods or method in row.awaited or method in row.runs):
                continue
            place, base, name = None, None, ""
            if type(func) is f.Attr:
                place, base, name = self.locks.slot(evaluator, func.base)
            touch = Touch(
                place or ("e", owner),
                base if base is not None else owner,
                name or owner.name,
                "read",
                False,
                fid,
                index,
                call.line,
                type=owner.name,
            )
            return runs, (touch, row, method, owner.fresh)
        return runs, None

    def _same_row(self, callee: Obj, row: LoopBound) -> bool:
        name = callee.owner.name if callee.kind == "member" and callee.owner is not None else callee.name
        return name in self.bound
