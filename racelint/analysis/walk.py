"""From each entry point along the calls: every access that is reached, with the locks held there and the way to it.

A *state* is a function with what its parameters hold and the locks its callers hold. States are visited breadth first,
sure ways before doubtful ones, so the first way found to an access is a shortest of the surest. What the caller holds
is held in the callee; a function reached with and without a lock has two states.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from racelint.analysis.arguments import Arguments, Params
from racelint.analysis.branches import dead
from racelint.analysis.effects import Effects, Touch
from racelint.analysis.freshness import Freshness, current, root
from racelint.analysis.locks import Lock, Locks
from racelint.analysis.sharing import Sharing
from racelint.contexts import EntryPoint, Event
from racelint.link.calls import targets
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Bindings, Obj, Objs
from racelint.link.results import CallResults
from racelint.link.symbols import FunctionInfo
from racelint.link.world import World
from racelint.model import facts as f

# Different argument combinations one function is followed with in one group; further ones are merged.
STATES_PER_FUNCTION = 6
ENTRIES_PER_STATE = 2
# Sets of locks one function is followed with for the same arguments.
LOCK_VARIANTS = 4
# One access on more objects than this (under the same locks) teaches nothing new.
BASES_PER_ACCESS = 4
MAX_DEPTH = 60
# Ways with more doubtful steps than this are not followed; those with this many give findings of low confidence.
MAX_DOUBT = 2
# Callees of one call that may be told apart by a class hierarchy or a few stored callbacks; more are a guess.
FEW = 3
FAR = 8
# How far calls are followed from a public method that nobody in the project is known to call.
API_DEPTH = 6
# How far calls are followed from a signal handler: what it does itself. It interrupts the main thread and ends before
# that goes on, so the services it ends up in (logging, configuration) meet themselves half-way at worst.
SIGNAL_DEPTH = 2
RETURN_DEPTH = 3
# Callees whose call does not list the arguments of the function that runs.
INDIRECT = ("partial", "symbol", "member")


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


@dataclass(slots=True, eq=False)
class State:
    """A function being walked: arguments, locks held by callers, and where it was called from.

    ``doubt`` counts the steps on the way that were not resolved by name or exact type.
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


@dataclass(slots=True, eq=False)
class Reached:
    """An access reached in some state. ``held`` pairs locks with the region that holds them (-1: the caller).

    ``started``: the begin sites (see ``EntryPoint.begins``) that may have run before it in this context. ``late``: its
    object was still being made by this function when others got to see it.
    """

    touch: Touch
    state: State
    group: Group
    held: tuple[tuple[Lock, int], ...]
    started: frozenset[Event]
    other: State | None = None
    late: bool = False
    locks: tuple[Lock, ...] = ()

    def __post_init__(self) -> None:
        """``locks`` are the locks held, without regions."""
        if self.held and not self.locks:
            self.locks = tuple(dict.fromkeys(lock for lock, _ in self.held))


class Watch(Protocol):
    """Told of every event that is reached: which event in which state, with what is held and has been started."""

    def see(
        self,
        walker: Walker,
        evaluator: Evaluator,
        state: State,
        index: int,
        held: tuple[tuple[Lock, int], ...],
        started: frozenset[Event],
    ) -> None:
        """An event is reached."""


class Walker:
    """Walks one group of entry points."""

    def __init__(
        self,
        world: World,
        locks: Locks,
        effects: Effects,
        sharing: Sharing,
        begins: frozenset[Event],
        ends: Mapping[Event, frozenset[Event]],
        executors: Mapping[Obj, frozenset[Event]],
        reach_begins: Mapping[str, frozenset[Event]],
        active: frozenset[str],
    ) -> None:
        self.world = world
        self.locks = locks
        self.effects = effects
        self.sharing = sharing
        self.arguments = Arguments(world)
        self.freshness = Freshness(world, sharing)
        self.begins = begins
        self.ends = ends
        self.executors = executors
        self.reach_begins = reach_begins
        self.active = active
        # Locks that functions require of their callers (see ``contracts``): held there, whoever calls.
        self.required: Mapping[str, tuple[Lock, ...]] = {}
        self.watch: Watch | None = None
        # States left out because the function was walked with fewer locks; for deadlocks the locks are the point.
        self.covered: list[State] = []
        self.returned: dict[tuple[str, Params, Bindings], Objs] = {}
        self.visited_sites: dict[Event, set[int]] = defaultdict(set)

    def walk(self, group: Group) -> list[Reached]:
        """Every shared access the group reaches."""
        self.group = group
        self.covered = []
        self.reached: dict[tuple[object, ...], Reached] = {}
        self.alike: dict[tuple[object, ...], int] = defaultdict(int)
        self.seen: dict[tuple[object, ...], list[State]] = {}
        self.variants: dict[tuple[object, ...], dict[frozenset[Lock], tuple[Lock, ...]]] = defaultdict(dict)
        self.per_function: dict[str, int] = defaultdict(int)
        self.queues: tuple[deque[State], ...] = tuple(deque() for _ in range(MAX_DOUBT + 1))
        for entry in group.entries:
            self._push_entry(entry)
        while (queue := next(filter(None, self.queues), None)) is not None:
            self._visit(queue.popleft())
        return list(self.reached.values())

    # -- states -------------------------------------------------------------------------------------------------------

    def _push_entry(self, entry: EntryPoint) -> None:
        target = entry.target
        params: Params = ()
        facts = self.world.symbols.functions[target.name].facts
        if target.kind == "bound" and target.owner is not None and facts.params:
            params = ((facts.params[0].name, (target.owner,)),)
        started = self.group.initially.get(target.name, frozenset())
        self._push(
            State(
                target.name, params, target.bindings, (), entry, None, -1, 0, int(entry.confidence != "high"), started
            )
        )

    def _push(self, state: State) -> None:
        if state.depth > MAX_DEPTH or state.doubt > MAX_DOUBT:
            return
        if state.fid in self.required:
            state.held = tuple(dict.fromkeys((*state.held, *self.required[state.fid])))
        # What the main thread has started depends on where it began, so its roots are kept apart.
        start = state.entry.target.name if self.group.application else ""
        key: tuple[object, ...] = (start, state.fid, state.params, state.bindings, state.held)
        known = self.seen.get(key)
        if known is None:
            if self.per_function[state.fid] >= STATES_PER_FUNCTION and (state.params or state.bindings):
                state.params, state.bindings = self._merged(state), ()
                key = (start, state.fid, state.params, (), state.held)
                known = self.seen.get(key)
        if known is None:
            variants = self.variants[start, state.fid, state.params, state.bindings]
            held = frozenset(state.held)
            smaller = self._no_more_than(variants, held)
            if smaller is not None:
                known = self.seen[start, state.fid, state.params, state.bindings, variants[smaller]]
            elif len(variants) < LOCK_VARIANTS:
                variants[held] = state.held
            else:
                self.covered.append(state)
                return
        if known is None:
            self.per_function[state.fid] += 1
            self.seen[key] = [state]
            self.queues[state.doubt].append(state)
            return
        if len(state.held) > len(known[0].held):
            self.covered.append(state)
            return
        started = frozenset().union(*(other.started for other in known))
        if self._adds_entry(state, known) or not state.started <= started:
            if len(known) < 3 * ENTRIES_PER_STATE:
                state.started |= started
                known.append(state)
                self.queues[state.doubt].append(state)

    def _no_more_than(self, variants: Collection[frozenset[Lock]], held: frozenset[Lock]) -> frozenset[Lock] | None:
        """A set of locks seen before with which a state shows all that it does with these: one without the others."""
        return next((other for other in variants if other <= held), None)

    def _merged(self, state: State) -> Params:
        """What is still told apart when a function was followed with very many arguments: the receiver, for a while.

        What a constructor makes stays the constructor's own, however many callers there are.
        """
        info = self.world.symbols.functions[state.fid]
        if info.cls is not None and info.facts.name == "__init__" and info.facts.params:
            made = self.world.heap.make("inst", info.cls, (state.fid, -9), fresh=True)
            return ((info.facts.params[0].name, (made,)),)
        return state.params[:1] if self.per_function[state.fid] < 2 * STATES_PER_FUNCTION else ()

    def _adds_entry(self, state: State, known: list[State]) -> bool:
        """Whether a state shows another way in: a second entry point, and one of another module as well."""
        if any(other.entry is state.entry for other in known):
            return False
        if len(known) < ENTRIES_PER_STATE:
            return True
        return len(known) < 2 * ENTRIES_PER_STATE and _module(state) not in {_module(other) for other in known}

    @property
    def _reach_limit(self) -> int:
        if self.group.kind == "signal":
            return SIGNAL_DEPTH
        return API_DEPTH if self.group.api in self.world.symbols.classes else MAX_DEPTH

    # -- one function -------------------------------------------------------------------------------------------------

    def evaluator(self, fid: str, params: Params, bindings: Bindings) -> Evaluator:
        """An evaluator with what this state knows."""
        return Evaluator(
            self.world,
            self.world.symbols.functions[fid],
            dict(params),
            bindings,
            owners=True,
            returns=self._returns,
        )

    def _returns(self, callee: Obj, caller: CallResults, call: f.Call) -> Objs | None:
        """What a call returns, given its arguments; None when the function is too large to look into."""
        assert isinstance(caller, Evaluator)
        depth = caller.depth
        facts = self.world.symbols.functions[callee.name].facts
        if depth >= RETURN_DEPTH or facts.is_generator or len(facts.nodes) > 250:
            return None
        params = self.arguments.bind(callee, caller, call)
        key = (callee.name, params, callee.bindings)
        known = self.returned.get(key)
        if known is not None:
            return known
        # Recursion meets what is known without arguments; the same question is not answered twice.
        self.returned[key] = self.world.get(("r", callee.name))
        inner = self.evaluator(callee.name, params, callee.bindings)
        inner.depth = depth + 1
        found = inner.returned(dead(facts, inner.params))
        if found:
            self.returned[key] = found
        return self.returned[key]

    def _visit(self, state: State) -> None:
        world = self.world
        info = world.symbols.functions[state.fid]
        evaluator = self.evaluator(state.fid, state.params, state.bindings)
        started = state.started
        loops = self._loop_begins(info.facts, state.fid)
        published: set[Obj] = set()
        region_locks: dict[int, tuple[Lock, ...]] = {}

        def held(index: int) -> tuple[tuple[Lock, int], ...]:
            found = [(lock, -1) for lock in state.held]
            for region in info.facts.held[index]:
                found.extend(of_region(region))
            return tuple(found)

        def of_region(region: int) -> tuple[tuple[Lock, int], ...]:
            if region not in region_locks:
                region_locks[region] = self._region(evaluator, info.facts.regions[region])
            return tuple((lock, region) for lock in region_locks[region])

        unreachable = dead(info.facts, evaluator.params)
        for index, event in enumerate(info.facts.events):
            if event.block in unreachable:
                continue
            before = started
            if loops and event.block:
                before = before | self._looping(info.facts, event.block, loops)
            if self.watch is not None:
                # Where a region ends is the only event in one without a body.
                last = of_region(event.region) if isinstance(event, f.Release) else ()
                self.watch.see(self, evaluator, state, index, (*held(event.held), *last), before)
            if (state.fid, index) in self.begins:
                self.visited_sites[state.fid, index].add(self.group.index)
                started = started | {(state.fid, index)}
                published.update(self.freshness.params(evaluator, ((state.fid, index),)))
                if isinstance(event, f.Call):
                    for callee in evaluator.eval(event.func):
                        published.update(self.freshness.handed(evaluator, event, callee))
            if isinstance(event, f.Access):
                for touch in self.effects.access(evaluator, event, index):
                    self._record(touch, state, held(event.held), before, published)
                self.freshness.publish(evaluator, event, published)
                if event.kind in ("load", "store"):
                    self._properties(evaluator, event, index, state, held(event.held), before, published)
            elif isinstance(event, f.Call):
                locks = held(event.held)
                for touch in self.effects.call(evaluator, event, index):
                    self._record(touch, state, locks, before, published)
                self._follow(evaluator, event, index, state, locks, before, published)
                site = (state.fid, index)
                if site in self.ends:
                    started = started - self.ends[site]
                for callee in evaluator.eval(event.func):
                    for target in targets(world, callee):
                        gained = self.reach_begins.get(target.name)
                        if gained:
                            started = started | gained
                            published.update(self.freshness.params(evaluator, gained))
                            handed = self.freshness.handed(evaluator, event, callee)
                            published.update(obj for obj in handed if self.freshness.seen(obj, gained))
            elif isinstance(event, f.Return):
                if self.group.kind in ("main", "any") and self._public(info):
                    for touch in self.effects.handed_out(evaluator, event, index):
                        self._record(touch, state, (), before, published)
            elif isinstance(event, f.Release) and self.executors:
                for obj in evaluator.eval(info.facts.regions[event.region].lock):
                    ended = self.executors.get(world.heap.plain(obj))
                    if ended:
                        started = started - ended

    def _public(self, info: FunctionInfo) -> bool:
        """Whether code outside of the project may call a function, as its documentation has it."""
        return info.parent is None and not info.facts.name.startswith("_")

    def _region(self, evaluator: Evaluator, region: f.Region) -> tuple[Lock, ...]:
        found = self.locks.of_region(evaluator, region)
        if found or region.how == "acquire":
            return found
        return self._manager_locks(evaluator, region.lock)

    def _manager_locks(self, evaluator: Evaluator, node: int) -> tuple[Lock, ...]:
        """Locks held by a project's own context manager: at its ``yield``, or acquired by its ``__enter__``."""
        world = self.world
        found: list[Lock] = []
        inner = evaluator.nodes[node]
        if isinstance(inner, f.Result):
            call = evaluator.info.facts.events[inner.event]
            assert isinstance(call, f.Call)
            for callee in evaluator.eval(call.func):
                for target in targets(world, callee):
                    facts = world.symbols.functions[target.name].facts
                    if facts.is_generator:
                        found.extend(self._held_at_yield(target, evaluator, call))
        for obj in evaluator.eval(node):
            if obj.kind == "inst":
                method = world.method(obj.name, "__enter__")
                if method is not None:
                    found.extend(self._left_open(method, obj))
        return tuple(dict.fromkeys(found))

    def _held_at_yield(self, target: Obj, caller: Evaluator, call: f.Call) -> Iterator[Lock]:
        evaluator = self.evaluator(target.name, self.arguments.bind(target, caller, call), target.bindings)
        facts = evaluator.info.facts
        for event in facts.events:
            if isinstance(event, f.Yield):
                for region in facts.held[event.held]:
                    yield from self.locks.of_region(evaluator, facts.regions[region])
                return

    def _left_open(self, method: str, obj: Obj) -> Iterator[Lock]:
        params = self.world.symbols.functions[method].facts.params
        evaluator = self.evaluator(method, ((params[0].name, (obj,)),) if params else (), ())
        for region in evaluator.info.facts.regions:
            if region.open and region.how == "acquire":
                yield from self.locks.of_region(evaluator, region)

    # -- start order --------------------------------------------------------------------------------------------------

    def _loop_begins(self, facts: f.Function, fid: str) -> dict[int, frozenset[Event]]:
        """Per loop block: what may have been started by an earlier round."""
        if not self.begins:
            return {}
        found: dict[int, set[Event]] = defaultdict(set)
        for index, event in enumerate(facts.events):
            if not isinstance(event, f.Call) or not event.block:
                continue
            gained: set[Event] = set()
            if (fid, index) in self.begins:
                gained.add((fid, index))
            for callee in self.world.callees.get((fid, index), ()):
                for target in targets(self.world, callee):
                    gained |= self.reach_begins.get(target.name, frozenset())
            block = event.block
            while gained and block > 0:
                if facts.blocks[block].kind == "loop":
                    found[block] |= gained
                block = facts.blocks[block].parent
        return {block: frozenset(sites) for block, sites in found.items()}

    def _looping(self, facts: f.Function, block: int, loops: dict[int, frozenset[Event]]) -> frozenset[Event]:
        found: frozenset[Event] = frozenset()
        while block > 0:
            found |= loops.get(block, frozenset())
            block = facts.blocks[block].parent
        return found

    # -- records ------------------------------------------------------------------------------------------------------

    def _record(
        self,
        touch: Touch,
        state: State,
        held: tuple[tuple[Lock, int], ...],
        started: frozenset[Event],
        published: set[Obj],
    ) -> None:
        base = touch.base
        late = False
        if base is not None:
            if base.fresh:
                root_object = root(self.world, base)
                if root_object in published:
                    late = any(
                        root(self.world, obj) is root_object for _, objs in state.params for obj in objs if obj.fresh
                    )
                    touch = touch.on(self.world.heap.shared(base))
                elif self.freshness.given_away(base, started):
                    touch = touch.on(self.world.heap.plain(base))
                else:
                    return
                base = touch.base
            assert base is not None
            if not self.sharing.shared(base):
                return
        start = state.entry.target.name if self.group.application else ""
        locks = tuple(lock for lock, _ in held)
        # Closures that use a key of their own are told apart.
        captured = touch.key >= 0 and isinstance(
            self.world.symbols.functions[touch.fid].facts.nodes[touch.key], f.Captured
        )
        closure = state.bindings if captured else ()
        key = (touch.event, touch.fid, touch.place, touch.effect, base, start, locks, closure)
        known = self.reached.get(key)
        if known is None:
            alike = (touch.event, touch.fid, touch.effect, start, locks, closure)
            self.alike[alike] += 1
            if self.alike[alike] > BASES_PER_ACCESS:
                return
            self.reached[key] = Reached(touch, state, self.group, held, started, late=late)
        else:
            if self.group.main and not started <= known.started:
                # Show the way that comes after more has been started: that is the one that can meet it.
                known.state = state
            known.started |= started
            if known.state.entry is not state.entry and (
                known.other is None or _module(known.other) == _module(known.state) != _module(state)
            ):
                known.other = state

    # -- calls --------------------------------------------------------------------------------------------------------

    def _follow(
        self,
        evaluator: Evaluator,
        call: f.Call,
        index: int,
        state: State,
        held: tuple[tuple[Lock, int], ...],
        started: frozenset[Event],
        published: set[Obj],
    ) -> None:
        world = self.world
        if call.decorates:
            return
        locks = tuple(dict.fromkeys(lock for lock, _ in held))
        callees = evaluator.eval(call.func)
        followed = [(callee, target) for callee in callees for target in self._targets(callee, evaluator, call, index)]
        meant = self._for_several(followed)
        for callee, target in followed:
            facts = world.symbols.functions[target.name].facts
            if facts.is_async and not call.awaited and not self._awaited_later(evaluator, call):
                continue
            if state.depth >= self._reach_limit:
                continue
            doubt = state.doubt + self._far(state)
            if len(followed) > 1 and callee.kind not in ("class", "symbol"):
                doubt += 1 if meant or len(followed) <= FEW else 2
            elif self._stored(evaluator, call, callee):
                doubt += 1
            if callee.kind in INDIRECT:
                params = self.arguments.receiver(target, published)
            else:
                params = self.arguments.bind(target, evaluator, call, published)
            self._push(
                State(
                    target.name,
                    params,
                    self._bindings(evaluator, call, target),
                    locks,
                    state.entry,
                    state,
                    index,
                    state.depth + 1,
                    doubt,
                    started,
                )
            )

    def _for_several(self, followed: list[tuple[Obj, Obj]]) -> bool:
        """Whether only the receiver of one method is in doubt, and its class is made to be used by several contexts.

        Plain data of many makers is another matter: the more there are, the less likely this is the one in question.
        """
        classes = self.world.symbols.classes
        return len({target.name for _, target in followed}) == 1 and all(
            callee.owner is not None
            and callee.owner.kind == "inst"
            and not self.active.isdisjoint(classes[callee.owner.name].mro)
            for callee, _ in followed
        )

    def _far(self, state: State) -> int:
        """A doubt for every so many calls: objects are told apart less and less the longer the way is."""
        return int(not self.group.main and (state.depth + 1) % FAR == 0)

    def _stored(self, evaluator: Evaluator, call: f.Call, callee: Obj) -> bool:
        """Whether a callee is a callback kept in an attribute: which of them an object has is not told apart."""
        node = evaluator.nodes[call.func]
        if not isinstance(node, f.Attr) or callee.kind not in ("func", "bound"):
            return False
        receivers = [obj for obj in evaluator.eval(node.base) if obj.kind == "inst"]
        return bool(receivers) and all(self.world.method(obj.name, node.name) is None for obj in receivers)

    def _bindings(self, evaluator: Evaluator, call: f.Call, target: Obj) -> Bindings:
        """A closure over a method's ``self`` that is kept in an attribute belongs to the object it is called on."""
        node = evaluator.nodes[call.func]
        parent = self.world.symbols.functions[target.name].parent
        outer = self.world.symbols.functions.get(parent or "")
        if outer is None or outer.cls is None or not outer.facts.params or not isinstance(node, f.Attr):
            return target.bindings
        name = outer.facts.params[0].name
        if any(fid == outer.id and variable == name for fid, variable, _ in target.bindings):
            return target.bindings
        receivers = tuple(
            obj
            for obj in evaluator.eval(node.base)
            if obj.kind == "inst" and outer.cls in self.world.class_of(obj.name).mro
        )
        return (*target.bindings, (outer.id, name, receivers)) if receivers else target.bindings

    def _awaited_later(self, evaluator: Evaluator, call: f.Call) -> bool:
        """A coroutine object kept in a local and awaited in the same function."""
        return any(isinstance(node, f.Awaited) and node.base == call.result for node in evaluator.nodes)

    def _targets(self, callee: Obj, evaluator: Evaluator, call: f.Call, index: int) -> Iterator[Obj]:
        world = self.world
        heap = world.heap
        if callee.kind == "class":
            for target in targets(world, callee):
                owner = target.owner
                if owner is not None and owner.kind == "inst":
                    made = heap.make("inst", callee.name, (evaluator.info.id, index), fresh=True)
                    yield heap.make("bound", target.name, owner=made, func=target.func)
                else:
                    yield target
            return
        yield from targets(world, callee)
        name = callee.name if callee.kind in ("symbol", "member") else ""
        if name:
            row = world.calls.first(name)
            if row is not None:
                for obj in evaluator.argument(call, row.function.position, row.function.keyword):
                    if obj.kind in ("func", "bound", "partial"):
                        yield from targets(world, obj)

    def _properties(
        self,
        evaluator: Evaluator,
        event: f.Access,
        index: int,
        state: State,
        held: tuple[tuple[Lock, int], ...],
        started: frozenset[Event],
        published: set[Obj],
    ) -> None:
        """Reading or writing a property runs its function."""
        node = evaluator.nodes[event.target]
        if not isinstance(node, f.Attr):
            return
        world = self.world
        name = node.name if event.kind == "load" else f"{node.name}.setter"
        for obj in evaluator.eval(node.base):
            if obj.kind != "inst":
                continue
            fid = world.method(obj.name, name)
            if fid is None or (event.kind == "load" and not world.is_property(fid)):
                continue
            locks = tuple(dict.fromkeys(lock for lock, _ in held))
            for target in evaluator.function_objects(fid):
                params = world.symbols.functions[target.name].facts.params
                given: Params = ((params[0].name, (current(world, obj, published),)),) if params else ()
                depth = state.depth + 1
                self._push(
                    State(
                        target.name,
                        given,
                        target.bindings,
                        locks,
                        state.entry,
                        state,
                        index,
                        depth,
                        state.doubt,
                        started,
                    )
                )


def _module(state: State) -> str:
    """The module of the entry point a state was reached from."""
    return state.entry.target.name.partition(":")[0]
