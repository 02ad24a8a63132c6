"""From each entry point along the calls: every access that is reached, with the locks held there and the way to it.

A *state* is a function with what its parameters hold and the locks its callers hold. States are visited breadth first,
sure ways before doubtful ones, so the first way found to an access is a shortest of the surest. What the caller holds
is held in the callee; a function reached with and without a lock has two states.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from racelint.analysis.arguments import Params
from racelint.analysis.bodies import NONE, Body, Called, Held, Step
from racelint.analysis.branches import dead
from racelint.analysis.callees import Callees
from racelint.analysis.coroutines import run_above
from racelint.analysis.effects import Effects, Touch
from racelint.analysis.freshness import Freshness, current
from racelint.analysis.given import Given
from racelint.analysis.identity import Identity
from racelint.analysis.lazy import Lazy
from racelint.analysis.locks import Lock, Locks, attempt
from racelint.analysis.regions import Regions
from racelint.analysis.sharing import Sharing
from racelint.analysis.starts import Starts, around
from racelint.contexts.entry_points import EntryPoint
from racelint.link.binding import INDIRECT
from racelint.link.call_sites import Event
from racelint.link.calls import targets
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Bindings, Obj
from racelint.link.symbols import FunctionInfo
from racelint.link.world import World
from racelint.model import facts as f

# Different argument combinations one function is followed with in one group; further ones are merged.
STATES_PER_FUNCTION = 6
ENTRIES_PER_STATE = 2
# Calls that are remembered as alike.
CALLERS = 16
LOCK_VARIANTS = 4
MAX_DEPTH = 60
# Ways with more doubtful steps than this are not followed; those with this many give findings of low confidence.
MAX_DOUBT = 2
DOUBTS: Mapping[str, int] = {"high": 0, "medium": 1, "low": 2}
FAR = 8
# How far calls are followed from a public method that nobody in the project is known to call.
API_DEPTH = 6
# How far calls are followed from a signal handler: what it does itself. It interrupts the main thread and ends before
# that goes on, so the services it ends up in (logging, configuration) meet themselves half-way at worst.
SIGNAL_DEPTH = 2
# The kinds of entry points of which each run may have an event loop of its own.
THREADS = ("thread", "pool")
ON_LOOP = "<loop>"
Wrapped: TypeAlias = tuple[Obj, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Entry points that are walked together because they overlap each other and themselves alike.

    ``api`` is the class or module whose public functions these are (called from threads of the user), or "".
    ``main`` marks code that runs in the main thread, ``application`` that it starts in plain functions or modules.
    """

    index: int
    entries: tuple[EntryPoint, ...]
    kind: str
    self_overlap: bool
    api: str = ""
    main: bool = False
    application: bool = False
    initially: Mapping[str, frozenset[Event]] = field(default_factory=dict, hash=False)


class State(msgspec.Struct, eq=False):
    """A function being walked: arguments, locks held by callers, and where it was called from.

    ``doubt`` counts the steps on the way that were not resolved by name or exact type. ``also``: further calls of the
    same, with the states that make them; not all of them when they are more than ``CALLERS``. ``on_loop``: it runs on
    an event loop of the thread (or pool worker) that this is walked for. What tasks do is found by walking the
    coroutines as entry points of their own; here it is of interest that every run of the thread has another loop.
    """

    fid: str
    params: Params
    bindings: Bindings
    held: tuple[Lock, ...]
    entry: EntryPoint
    parent: State | None
    event: int
    depth: int
    doubt: int
    started: frozenset[Event]
    also: list[tuple[State | None, int]] = []
    on_loop: bool = False

    def called(self, fid: str, event: int) -> State:
        """A function as one of this state's events calls it, whatever it is given."""
        return State(fid, (), (), self.held, self.entry, self, event, self.depth + 1, self.doubt, self.started)


class Inside(dict[tuple[State, str, int], State]):
    """Functions as an event of a state calls them (``State.called``): however often it is asked for, one state each."""

    def __missing__(self, call: tuple[State, str, int]) -> State:
        """The first time: ``call`` is the state, the function, and the event."""
        state, fid, event = call
        found = self[call] = state.called(fid, event)
        return found


@dataclass(slots=True, eq=False)
class Reached:
    """An access reached in some state.

    ``started``: the begin sites (see ``EntryPoint.begins``) that may have run before it in this context. ``late``: its
    object was still being made by this function when others got to see it. ``alike``: all states that it was reached
    in, or the first of them when they are more than ``CALLERS``. ``inside``: this is the call that makes that access
    (see ``sections``).
    """

    touch: Touch
    state: State
    group: Group
    held: Held
    started: frozenset[Event]
    other: State | None = None
    late: bool = False
    locks: tuple[Lock, ...] = ()
    alike: list[State] = field(default_factory=list)
    inside: Reached | None = None

    @property
    def itself(self) -> Reached:
        """The access, also when a call stands for it."""
        return self if self.inside is None else self.inside.itself

    def __post_init__(self) -> None:
        """``locks`` are the locks held, without regions."""
        if self.held and not self.locks:
            self.locks = tuple(dict.fromkeys(lock for lock, _ in self.held))


class Watch:
    """What is told of a walk: each subclass overrides what it wants to know."""

    def event(
        self, walker: Walker, evaluator: Evaluator, state: State, step: Step, held: Held, started: frozenset[Event]
    ) -> bool:
        """An event is reached in some state, with what is held and may have been started by then.

        Whether to be told of it again, in whatever state: otherwise that is done where locks are taken, and where the
        event does something else.
        """
        return False

    def touched(
        self,
        walker: Walker,
        touch: Touch,
        state: State,
        held: Held,
        started: frozenset[Event],
        published: Collection[Obj],
    ) -> None:
        """A place is touched. ``published``: the fresh objects that others can see by now."""

    def entered(self, walker: Walker, state: State, held: Held) -> None:
        """A function is called (or an entry point begun), with what is held there."""


class Walker:
    """Walks one group of entry points after the other, and tells ``watches`` what is reached.

    ``active``: classes whose instances are meant to be used by several contexts. ``required``: locks that are held in
    functions, whoever calls (see ``contracts`` and ``lock_decorators``). ``polled``: what calls run besides (see
    ``polling``).
    """

    # Sets of locks one function is followed with for the same arguments.
    lock_variants = LOCK_VARIANTS

    def __init__(
        self,
        world: World,
        locks: Locks,
        effects: Effects,
        sharing: Sharing,
        starts: Starts,
        active: frozenset[str],
        required: Mapping[str, tuple[Lock, ...]],
        polled: Mapping[Event, tuple[Obj, ...]],
        identity: Identity,
        given: Given,
        watches: Sequence[Watch],
    ) -> None:
        self.world = world
        self.locks = locks
        self.effects = effects
        self.sharing = sharing
        self.given = given
        self.arguments = given.arguments
        self.lazy = Lazy(world)
        self.regions = Regions(world, locks, given.arguments, given.evaluator)
        self.freshness = Freshness(world, sharing)
        self.starts = starts
        self.active = active
        self.required = required
        self.polled = polled
        self.callees = Callees(world, active, polled, starts, self.lazy)
        self.identity = identity
        self.watches = tuple(watches)
        self._hearing = tuple(watch for watch in watches if type(watch).event is not Watch.event)
        self._touching = tuple(watch for watch in watches if type(watch).touched is not Watch.touched)
        self._entering = tuple(watch for watch in watches if type(watch).entered is not Watch.entered)
        self._bodies: dict[tuple[object, ...], Body] = {}
        self._attempting: dict[str, bool] = {}
        self._silences: dict[str, frozenset[int]] = {}
        self.visited_sites: dict[Event, set[int]] = defaultdict(set)

    def walk(self, group: Group) -> None:
        """Walk everything that the entry points of a group reach."""
        self._begin(group)
        for entry in group.entries:
            self._push_entry(entry)
        self._run()

    def _begin(self, group: Group) -> None:
        self.group = group
        # States left out because the function was walked with fewer locks.
        self.covered: list[State] = []
        self.seen: dict[tuple[object, ...], list[State]] = {}
        self.variants: dict[tuple[object, ...], dict[frozenset[Lock], tuple[Lock, ...]]] = defaultdict(dict)
        self.per_function: dict[tuple[str, Wrapped], int] = defaultdict(int)
        self.queues: tuple[deque[State], ...] = tuple(deque() for _ in range(MAX_DOUBT + 1))

    def _run(self) -> None:
        while (queue := next(filter(None, self.queues), None)) is not None:
            self._visit(queue.popleft())

    # -- states -------------------------------------------------------------------------------------------------------

    def _push_entry(self, entry: EntryPoint) -> None:
        target = entry.target
        params: Params = ()
        facts = self.world.symbols.functions[target.name].facts
        if target.kind == "bound" and target.owner is not None and facts.params:
            params = ((facts.params[0].name, (target.owner,)),)
        started = self.group.initially.get(target.name, frozenset())
        doubt = DOUBTS[entry.confidence]
        self._enter(State(target.name, params, target.bindings, (), entry, None, -1, 0, doubt, started), ())

    def _enter(self, state: State, held: Held) -> None:
        for watch in self._entering if not state.on_loop else ():
            watch.entered(self, state, held)
        self._push(state)

    def _push(self, state: State) -> None:
        if state.depth > MAX_DEPTH or state.doubt > MAX_DOUBT:
            return
        if state.fid in self.required:
            state.held = tuple(dict.fromkeys((*state.held, *self.required[state.fid])))
        # What the main thread has started depends on where it began, so its roots are kept apart.
        start = state.entry.target.name if self.group.application else ON_LOOP if state.on_loop else ""
        key: tuple[object, ...] = (start, state.fid, state.params, state.bindings, state.held)
        known = self.seen.get(key)
        if known is None:
            if self.per_function[state.fid, wrapped(state)] >= STATES_PER_FUNCTION and (state.params or state.bindings):
                state.params, state.bindings = self._merged(state), ()
                key = (start, state.fid, state.params, (), state.held)
                known = self.seen.get(key)
        if known is None:
            variants = self.variants[start, state.fid, state.params, state.bindings]
            held = frozenset(state.held)
            smaller = self._no_more_than(variants, held)
            if smaller is not None:
                known = self.seen[start, state.fid, state.params, state.bindings, variants[smaller]]
            elif len(variants) < self.lock_variants:
                variants[held] = state.held
            else:
                self.covered.append(state)
                return
        if known is None:
            self.per_function[state.fid, wrapped(state)] += 1
            self.seen[key] = [state]
            self.queues[state.doubt].append(state)
            return
        if len(state.held) > len(known[0].held):
            self.covered.append(state)
            return
        # Each of them has all that those before it have started.
        started = known[-1].started
        if self._adds_entry(state, known) or not state.started <= started:
            if len(known) < 3 * ENTRIES_PER_STATE:
                state.started = self.starts.union(started, state.started)
                known.append(state)
                self.queues[state.doubt].append(state)
                return
        if len(known[0].also) <= CALLERS and (state.parent, state.event) != (known[0].parent, known[0].event):
            known[0].also.append((state.parent, state.event))

    def _no_more_than(self, variants: Collection[frozenset[Lock]], held: frozenset[Lock]) -> frozenset[Lock] | None:
        """A set of locks seen before with which a state shows all that it does with these: one without the others."""
        return next((other for other in variants if other <= held), None)

    def _merged(self, state: State) -> Params:
        """What is still told apart when a function was followed with very many arguments.

        The receiver, for a while, and constants, on which branches depend. What a constructor makes stays the
        constructor's own, however many callers there are.
        """
        info = self.world.symbols.functions[state.fid]
        if info.cls is not None and info.facts.name == "__init__" and info.facts.params:
            made = self.world.heap.make("inst", info.cls, (state.fid, -9), fresh=True)
            return ((info.facts.params[0].name, (made,)),)
        receiver = info.facts.params[0].name if info.facts.params else ""
        few = self.per_function[state.fid, wrapped(state)] < 2 * STATES_PER_FUNCTION
        return tuple(
            (name, objs)
            for name, objs in state.params
            if (few and name == receiver) or (objs and all(obj.kind == "const" for obj in objs))
        )

    def _adds_entry(self, state: State, known: list[State]) -> bool:
        """Whether a state shows another way in: a second entry point, and one of another module as well."""
        if any(other.entry is state.entry for other in known):
            return False
        if len(known) < ENTRIES_PER_STATE:
            return True
        return len(known) < 2 * ENTRIES_PER_STATE and module(state) not in {module(other) for other in known}

    @property
    def _reach_limit(self) -> int:
        if self.group.kind == "signal":
            return SIGNAL_DEPTH
        return API_DEPTH if self.group.api in self.world.symbols.classes else MAX_DEPTH

    # -- one function -------------------------------------------------------------------------------------------------

    def _body(self, state: State) -> Body:
        """The function of a state with what its parameters hold, and what is known of its tests here."""
        fid = state.fid
        key: tuple[object, ...] = (fid, state.params, state.bindings)
        evaluator = self.given.known(fid, state.params, state.bindings)
        truths = {**self.identity.truths(evaluator, self.group.entries)}
        if state.held and self._attempts(fid):
            truths.update(self.regions.refused(evaluator, state.held))
        if truths:
            key = (*key, tuple(sorted(truths.items())))
        body = self._bodies.get(key)
        if body is None:
            if truths:
                evaluator = self.given.evaluator(fid, state.params, state.bindings)
                evaluator.truths = truths
            body = self._bodies[key] = Body(evaluator, self._steps(evaluator))
        return body

    def _attempts(self, fid: str) -> bool:
        """Whether a function tries to take a lock, and goes on without it."""
        if fid not in self._attempting:
            facts = self.world.symbols.functions[fid].facts
            self._attempting[fid] = any(attempt(facts, region) >= 0 for region in facts.regions)
        return self._attempting[fid]

    def _steps(self, evaluator: Evaluator) -> Iterator[Step]:
        """The events of a function that can be reached, with the locks its own regions hold there."""
        info = evaluator.info
        facts = info.facts
        loops = self.starts.in_loops(self.world, info.id)
        silent = self._silent(info)
        unreachable = dead(facts, evaluator.params, evaluator.truths)
        of_region: dict[int, Held] = {}

        def locks(regions: Iterable[int]) -> Held:
            for region in regions:
                if region not in of_region:
                    found = self.regions.of(evaluator, facts.regions[region])
                    of_region[region] = tuple((lock, region) for lock in found)
            return tuple(held for region in regions for held in of_region[region])

        moved = self.lazy.moved(evaluator)
        seen: dict[int, Held] = {}
        for index, event in enumerate(facts.events):
            if event.block in unreachable:
                continue
            # Where a region ends is the only event in one without a body.
            last = locks((event.region,)) if type(event) is f.Release else ()
            first = event.held not in seen
            if first:
                seen[event.held] = locks(facts.held[event.held])
            elif index in silent:
                continue
            own = locks(moved[index]) if index in moved else seen[event.held]
            step = Step(index, event, (info.id, index), own, last)
            step.begins = step.site in self.starts.begins
            step.needed = first or step.begins
            if loops and event.block:
                step.around = around(facts, event.block, loops)
            if type(event) is f.Access:
                step.stores = event.value >= 0
            elif type(event) is f.Call or type(event) is f.Suspend:
                step.ends = self.starts.ends.get(step.site, NONE)
            yield step

    def _silent(self, info: FunctionInfo) -> frozenset[int]:
        """The events of a function that do nothing a walk has to know, whatever its parameters hold.

        They read names that are no variables, wait for nothing that was begun, or give something back to the project.
        """
        found = self._silences.get(info.id)
        if found is None:
            starts, public, ends = self.starts, self._public(info), self.starts.ends
            found = self._silences[info.id] = frozenset(
                index
                for index, event in enumerate(info.facts.events)
                if (type(event) is f.Access and event.kind == "load" and self.effects.no_variable(info, event.target))
                or (type(event) is f.Return and not public and not self.effects.lazy(info, event.value))
                or (type(event) is f.Suspend and (info.id, index) not in ends)
                or type(event) is f.Yield
                if (info.id, index) not in starts.begins
            )
        return found

    def _visit(self, state: State) -> None:
        body = self._body(state)
        evaluator = body.evaluator
        started = state.started
        published: set[Obj] = set()
        outer: Held = tuple([(lock, -1) for lock in state.held])
        for step in body.steps():
            event = step.event
            before = self.starts.union(started, step.around) if step.around else started
            locks = (*outer, *step.locks) if step.locks else outer
            held = (*locks, *step.last) if step.last else locks
            for watch in self._hearing if not state.on_loop else ():
                if watch.event(self, evaluator, state, step, held, before):
                    step.needed = True
            if step.begins:
                if not state.on_loop:
                    self.visited_sites[step.site].add(self.group.index)
                started = started | {step.site}
                if step.begun is None:
                    self._begins(evaluator, step)
                assert step.begun is not None
                if step.publishes:
                    published.update(step.begun)
            seen = (state, locks, before, published)
            if type(event) is f.Access:
                if step.touches is None:
                    step.touches = self._touched(self.effects.access(evaluator, event, step.index), *seen)
                elif step.touches:
                    self._touched(step.touches, *seen)
                if step.stores:
                    step.stores = self.freshness.publish(evaluator, event, published)
                if step.lets_go or (step.lets_go is None and event.value >= 0):
                    self._lets_go(evaluator, event, step, state, outer, before, published)
                if step.callees is None:
                    step.callees = tuple(self.callees.of_access(evaluator, event))
                for run in step.callees:
                    params = self._receiver(run, published)
                    self._call(state, step.index, run, params, run.bindings, locks, state.doubt, before)
            elif type(event) is f.Call:
                if step.touches is None:
                    step.touches = self._touched(self.effects.call(evaluator, event, step.index), *seen)
                elif step.touches:
                    self._touched(step.touches, *seen)
                self._follow(evaluator, event, step, state, locks, before, published)
                if step.ends:
                    started = started - step.ends
                if step.gained is None:
                    self._gains(evaluator, step, event)
                if step.gained:
                    started = self.starts.union(started, step.gained)
                if step.shown:
                    published.update(step.shown)
            elif type(event) is f.Return:
                self._lets_go(evaluator, event, step, state, outer, before, published)
                if self.group.kind in ("main", "any") and self._public(evaluator.info):
                    if step.handed_out is None:
                        step.handed_out = tuple(self.effects.handed_out(evaluator, event, step.index))
                    self._touched(step.handed_out, state, (), before, published)
            elif type(event) is f.Suspend:
                if step.ends:
                    started = started - step.ends
            elif type(event) is f.Release and self.starts.executors:
                if step.ends is None:
                    step.ends = self._ended(evaluator, event)
                if step.ends:
                    started = started - step.ends
            if step.begun:
                published.update(step.begun)

    def _begins(self, evaluator: Evaluator, step: Step) -> None:
        """What is handed to something that begins."""
        event = step.event
        callees = tuple(evaluator.eval(event.func)) if type(event) is f.Call else ()
        site = frozenset((step.site,))
        begun = self.freshness.params(evaluator, site) | self.freshness.made(evaluator, step.index, site)
        if type(event) is f.Call:
            for callee in callees:
                begun |= self.freshness.handed(evaluator, event, callee)
        step.begun = frozenset(begun)
        # Whoever calls methods of an object finds it made.
        step.publishes = not any(callee.kind == "class" for callee in callees)

    def _gains(self, evaluator: Evaluator, step: Step, call: f.Call) -> None:
        """What the callees of a call start, and which objects others can see by that."""
        gained, shown = set[Event](), set[Obj]()
        for callee in evaluator.eval(call.func) if self.starts.reach else ():
            for target in targets(self.world, callee):
                begun = self.starts.reach.get(target.name)
                if begun:
                    gained |= begun - self.starts.waited
                    shown |= self.freshness.params(evaluator, begun)
                    shown |= self.freshness.captured(evaluator, begun)
                    handed = self.freshness.handed(evaluator, call, callee)
                    shown.update(obj for obj in handed if self.freshness.seen(obj, begun))
        step.gained = frozenset(gained) if gained else NONE
        if shown:
            step.shown = frozenset(shown)

    def _ended(self, evaluator: Evaluator, event: f.Release) -> frozenset[Event]:
        """What has ended when the ``with`` of an executor is left."""
        ended: set[Event] = set()
        for obj in evaluator.eval(evaluator.info.facts.regions[event.region].lock):
            ended |= self.starts.executors.get(self.world.heap.plain(obj), NONE)
        return frozenset(ended)

    def _touched(
        self,
        touches: Iterable[Touch],
        state: State,
        held: Held,
        started: frozenset[Event],
        published: Collection[Obj],
    ) -> tuple[Touch, ...]:
        """Tell what is touched; all of it is given back."""
        touches = tuple(touches)
        for touch in touches:
            for watch in self._touching:
                watch.touched(self, touch, state, held, started, published)
        return touches

    def _lets_go(
        self,
        evaluator: Evaluator,
        event: f.Return | f.Access,
        step: Step,
        state: State,
        held: Held,
        started: frozenset[Event],
        published: Collection[Obj],
    ) -> None:
        """Tell what is walked later, with the locks of callers only: this function has given back its own."""
        if step.lets_go is None:
            step.lets_go = tuple(self.effects.lets_go(evaluator, event, step.index))
        if step.lets_go:
            self._touched(step.lets_go, state, held, started, published)

    def _public(self, info: FunctionInfo) -> bool:
        """Whether code outside of the project may call a function, as its documentation has it."""
        return info.parent is None and not info.facts.name.startswith("_")

    # -- calls --------------------------------------------------------------------------------------------------------

    def _follow(
        self,
        evaluator: Evaluator,
        call: f.Call,
        step: Step,
        state: State,
        held: Held,
        started: frozenset[Event],
        published: set[Obj],
    ) -> None:
        if step.callees is None:
            step.callees = () if call.decorates else tuple(self._callees(evaluator, call, step.index))
        if not step.callees or state.depth >= self._reach_limit:
            return
        doubt = state.doubt + self._far(state)
        for run in step.callees:
            if run.above and (self.group.api or not run_above(self.world, state)):
                continue
            if run.on_loop and self.group.kind not in THREADS:
                continue
            params = run.params
            if params is None or (run.fresh and published):
                params = self._given(run, evaluator, call, published)
            bindings = run.bindings
            if run.captures and published:
                bindings = self._captured(bindings, published)
            here = held if run.walked is None else (*((lock, -1) for lock in state.held), *run.walked)
            self._call(state, step.index, run, params, bindings, here, doubt + run.doubt, started)

    def _callees(self, evaluator: Evaluator, call: f.Call, index: int) -> Iterator[Called]:
        """The functions that a call runs, with the locks of the caller where they run later."""
        regions = evaluator.info.facts.regions
        for run in self.callees.of(evaluator, call, index):
            if run.regions is not None:
                locks = ((region, self.regions.of(evaluator, regions[region])) for region in run.regions)
                run.walked = tuple((lock, region) for region, found in locks for lock in found)
            yield run

    def _given(self, run: Called, evaluator: Evaluator, call: f.Call, published: Collection[Obj]) -> Params:
        """What a call gives to the parameters of a function, some objects having been published."""
        target = run.target
        indirect = run.callee is not None and run.callee.kind in INDIRECT

        def given(published: Collection[Obj]) -> Params:
            if indirect:
                return self.arguments.receiver(target, published)
            return self.arguments.bind(target, evaluator, call, published)

        if run.params is None:
            # As long as nothing fresh is handed over, it is the same however far the caller has come.
            run.params = given(())
            nodes = {} if indirect else self.arguments.handed(target, call)
            handed = any(obj.fresh for node in nodes.values() for obj in evaluator.eval(node))
            run.fresh = handed or (target.owner is not None and target.owner.fresh)
        return given(published) if run.fresh and published else run.params

    def _captured(self, bindings: Bindings, published: Collection[Obj]) -> Bindings:
        """What a closure remembers, some objects having been published."""
        return tuple(
            (fid, name, tuple(current(self.world, obj, published) for obj in objs)) for fid, name, objs in bindings
        )

    def _receiver(self, run: Called, published: Collection[Obj]) -> Params:
        """What the parameters of a property's function hold, some objects having been published."""
        assert run.params is not None
        if not run.fresh or not published:
            return run.params
        return tuple((name, tuple(current(self.world, obj, published) for obj in objs)) for name, objs in run.params)

    def _call(
        self,
        state: State,
        index: int,
        run: Called,
        params: Params,
        bindings: Bindings,
        held: Held,
        doubt: int,
        started: frozenset[Event],
    ) -> None:
        locks = tuple(dict.fromkeys(lock for lock, _ in held)) if held else ()
        depth = state.depth + 1
        callee = State(run.target.name, params, bindings, locks, state.entry, state, index, depth, doubt, started)
        callee.on_loop = state.on_loop or run.on_loop
        self._enter(callee, held)

    def _far(self, state: State) -> int:
        """A doubt for every so many calls: objects are told apart less and less the longer the way is."""
        return int(not self.group.main and (state.depth + 1) % FAR == 0)


def wrapped(state: State) -> Wrapped:
    """The functions a closure stands before: a decorator's wrapper is another one for each function it decorates."""
    return tuple(obj for _, _, objs in state.bindings for obj in objs if obj.kind in ("func", "bound"))


def module(state: State) -> str:
    """The module of the entry point a state was reached from."""
    return state.entry.target.name.partition(":")[0]
