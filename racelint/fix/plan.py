"""One guard plan per place: which lock, where it is made, and which lines it has to cover in every file.

A plan is about a place, not about a finding: a lock that is held in half of the accesses guards nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import networkx as nx

from racelint.analysis.effects import MUTATING, Touch
from racelint.analysis.flow import Flow, Flows
from racelint.analysis.guards import Guards
from racelint.analysis.locks import Lock, Locks, same_lock
from racelint.analysis.overlap import Overlap
from racelint.analysis.program import Program
from racelint.analysis.races import Race
from racelint.analysis.walk import Reached
from racelint.fix.spelling import Spelling
from racelint.link.classes import related
from racelint.link.evaluate import Evaluator
from racelint.link.symbols import FunctionInfo
from racelint.link.world import Cell
from racelint.model import facts as f

# Accesses to one place that are compared pair by pair.
MAX_COMPARED = 500
# Methods of classes that decide themselves how an instance is copied, pickled or given attributes.
PICKLED = frozenset(
    ("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__", "__copy__", "__deepcopy__", "__setattr__")
)
HoldKind = Literal["compound", "walk", "copy", "first", "read", "look", "write"]
# What keeps a container's live view, and is best walked over a copy.
WALKING = ("iterate",)


@dataclass(frozen=True, slots=True)
class Hold:
    """Lines of one function that one lock has to cover: a compound, or one access.

    One access walks over the container (``copy``: a copy will do, without the lock), reads the reference, looks at the
    content, or writes (``first``: what is awaited for it can be awaited before, which makes it one step).
    """

    path: str
    fid: str
    line: int
    end_line: int
    lock: str
    kind: HoldKind


@dataclass(frozen=True, slots=True)
class NewLock:
    """A lock to be made beside the place: ``scope`` is g (module), a (instance), k (class) or x (closure).

    ``owner`` is the qualified name of the class or function in its file, ``variable`` what it stands beside. ``early``:
    the constructor calls what takes the lock before it binds the variable, so the lock has to come first.
    """

    path: str
    scope: str
    owner: str
    variable: str
    name: str
    reentrant: bool = False
    early: bool = False
    module: str = "threading"


@dataclass(frozen=True, slots=True)
class LockImport:
    """A file that imports ``variable`` from ``module`` needs ``name`` from there as well."""

    path: str
    module: str
    variable: str
    name: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How one place is guarded. ``refused`` says why no edit is offered; then there are no holds.

    ``variable`` is the last name of the place. ``lazy``: it is only ever filled in on first use. ``slow`` are lines
    (with their path) whose calls are better made before the lock is taken. ``twice``: test without the lock first.
    ``awaited``: the lock is one of asyncio. ``container``: the type of a built-in container whose compounds may be
    written as single operations; a plan without a lock does that.
    """

    place: str
    lock: str
    races: tuple[Race, ...]
    holds: tuple[Hold, ...] = ()
    made: NewLock | None = None
    existing: Lock | None = None
    imports: tuple[LockImport, ...] = ()
    variable: str = ""
    lazy: bool = False
    slow: frozenset[tuple[str, int]] = frozenset()
    twice: bool = False
    awaited: bool = False
    container: str = ""
    refused: str = ""

    @property
    def title(self) -> str:
        """What is done, in a few words."""
        files = sorted({hold.path for hold in self.holds})
        if not self.lock:
            if self.container:
                return f"one atomic operation takes the place of a test and a step in {', '.join(files)}"
            walks = any(hold.kind == "copy" for hold in self.holds)
            return f"{'a loop runs over a copy' if walks else 'what is awaited comes first'} in {', '.join(files)}"
        how = f"a new lock, {self.lock}," if self.made is not None else f"{self.lock}"
        what = "where it is made on first use," if self.twice else "over every access"
        if self.awaited:
            what = "over what spans an await"
        return f"{how} is held {what} in {', '.join(files)}"

    @property
    def paths(self) -> frozenset[str]:
        """The files it changes."""
        made = {self.made.path} if self.made is not None else set()
        return frozenset({*made, *(hold.path for hold in self.holds), *(wanted.path for wanted in self.imports)})


@dataclass(slots=True)
class Sites:
    """The accesses to one place by function."""

    name: str
    races: list[Race] = field(default_factory=list)
    accesses: dict[str, list[Reached]] = field(default_factory=lambda: defaultdict(list))


class Refused(Exception):
    """No edit is known for a place; the message says why."""


class Planner:
    """Makes the plans of a program. ``sources``: the text of each file by its display path."""

    module = "threading"
    awaited = False

    def __init__(self, program: Program, sources: Mapping[str, str]) -> None:
        self.program = program
        self.world = program.world
        self.spelling = Spelling(program.world, sources)
        self.guards: Guards = Guards(program.world, frozenset())
        self.overlap: Overlap = program.overlap
        self.flows = Flows(program.world.symbols.functions)
        self.locks = Locks(program.world)
        self._calls: nx.DiGraph[str] = nx.DiGraph(program.graph)

    def plans(self, races: Iterable[Race]) -> Iterator[Plan]:
        """One plan for each place that some of ``races`` are about, in order of their names."""
        places: dict[str, Sites] = {}
        for race in races:
            places.setdefault(race.name, Sites(race.name)).races.append(race)
        for access in (*self.program.reached, *self.program.declared):
            if access.touch.name in places:
                places[access.touch.name].accesses[access.touch.fid].append(access)
        for name in sorted(places):
            sites = places[name]
            try:
                self._one_kind(sites)
                self._look_at(sites)
                sites.accesses = self._racing(sites)
                yield self._plan(sites)
            except Refused as refusal:
                yield Plan(name, "", tuple(sites.races), refused=str(refusal))

    def _look_at(self, sites: Sites) -> None:
        """Makes ready for the races of one place."""

    def _one_kind(self, sites: Sites) -> None:
        """Raises Refused for places of threads and tasks alike, of signal handlers, and of frameworks."""
        every = [access for accesses in sites.accesses.values() for access in accesses]
        for access in every:
            if access.state.entry.feed is not None:
                raise Refused(f"no lock of the project keeps {access.state.entry.row} from changing it")
            if "signal" in (access.state.entry.kind, access.group.kind):
                name = self.world.symbols.functions[access.touch.fid].display
                raise Refused(
                    f"{name} uses it in a signal handler, which may interrupt who holds the lock and then wait for it "
                    "for ever: only set a flag there"
                )
        if any(race.in_calls for race in sites.races):
            raise Refused("its steps are calls that take the lock themselves: they need helpers that expect it held")
        kinds = {part.state.entry.kind == "event-loop" for race in sites.races for part in race.reached}
        if len(kinds) > 1:
            raise Refused(
                "threads and tasks of an event loop both use it, and no one lock serves both: let the loop own it, and "
                "have threads hand their changes over with loop.call_soon_threadsafe()"
            )

    def _racing(self, sites: Sites) -> dict[str, list[Reached]]:
        """The accesses of functions that another one can meet: what is done before the threads start needs no lock."""
        every = [access for accesses in sites.accesses.values() for access in accesses]
        if len(every) > MAX_COMPARED:
            return sites.accesses
        racing = {access.touch.fid for race in sites.races for access in race.reached}
        for access in every:
            if access.touch.fid not in racing:
                if self._is_api(access) or any(self._meet(access, other) for other in every):
                    racing.add(access.touch.fid)
        return defaultdict(list, {fid: accesses for fid, accesses in sites.accesses.items() if fid in racing})

    def _is_api(self, access: Reached) -> bool:
        """Whether an access is made by the owner of the place, for anybody: once it has a lock, all of it is safe."""
        info, (kind, owner, *_) = self.world.symbols.functions[access.touch.fid], access.touch.place
        if access.group.application or info.facts.kind != "function":
            return False
        if kind == "a" and info.cls is not None:
            return related(self.world.symbols, info.cls, str(owner))
        return kind != "x" and info.module == str(owner).partition(":")[0]

    def _meet(self, a: Reached, b: Reached) -> bool:
        writes = a.touch.effect in MUTATING or b.touch.effect in MUTATING
        overlap = self.overlap
        if not writes or not overlap.same_object(a, b):
            return False
        return overlap.why(a, b) is not None or overlap.why(b, a) is not None

    def _plan(self, sites: Sites) -> Plan:
        if all(race.pattern == "late-init" for race in sites.races):
            raise Refused("no lock helps: what reads it has to be started after it is bound")
        cell, path = self._home(sites)
        existing = self._existing(sites, cell)
        made = None
        if existing is None:
            paths = {path, *(self.world.symbols.functions[fid].path for fid in sites.accesses)}
            name = self.spelling.lock_name(str(cell[2]), paths, cell[0] == "x")
            owner = str(cell[1]).partition(":")[2]
            made = NewLock(path, str(cell[0]), owner, str(cell[2]), name, module=self.module)
        else:
            assert existing.slot is not None
            name = str(existing.slot[2])
        holds: list[Hold] = []
        imports: dict[LockImport, None] = {}
        rebound = sites.name in self.program.contracts.guarded or any(
            access.touch.effect in ("rebind", "unbind") for found in sites.accesses.values() for access in found
        )
        for fid, accesses in sorted(sites.accesses.items()):
            holds.extend(self._holds(sites.name, fid, accesses, cell, existing, name, imports, rebound))
        if made is not None and cell[0] == "a":
            self._can_hold_a_lock(str(cell[1]))
            made = replace(made, early=self._taken_early(str(cell[1]), made.variable, {hold.fid for hold in holds}))
        if holds and all(hold.kind in ("copy", "first") for hold in holds):
            name, made, existing, imports = "", None, None, {}
        if not holds and sites.name in self.program.contracts.guarded:
            raise Refused("the lock of its contract has to be taken by a caller, or is that of another object")
        if not holds:
            raise Refused("every access holds the lock already, in sections that are too short")
        return Plan(
            sites.name,
            name,
            tuple(sites.races),
            tuple(holds),
            made,
            existing,
            tuple(imports),
            variable=str(cell[2]),
            lazy=self._lazy(sites),
            awaited=self.awaited,
            container=self._container(sites) if existing is None and not self.awaited else "",
        )

    def _container(self, sites: Sites) -> str:
        """The type of a container whose races are all between a test and one step on it."""
        if any(race.pattern != "check-then-act" or race.act is None for race in sites.races):
            return ""
        every = [access.touch for accesses in sites.accesses.values() for access in accesses]
        kinds = {touch.type for touch in every if touch.content}
        if any(not touch.atomic or touch.effect == "unbind" for touch in every) or len(kinds) != 1:
            return ""
        return kinds.pop()

    def _lazy(self, sites: Sites) -> bool:
        """Whether a place is only filled in, each time after a look at it: what is there once stays."""
        filled = False
        for fid, accesses in sites.accesses.items():
            flow = self.flows[fid]
            for access in accesses:
                touch = access.touch
                if touch.effect not in MUTATING or flow.facts.name == "__init__":
                    continue
                checked = any(flow.controls(other.touch.event, touch.event) for other in accesses)
                if touch.effect not in ("rebind", "insert") or not checked or flow.is_none(touch.value):
                    return False
                filled = True
        return filled

    # -- where the place is -------------------------------------------------------------------------------------------

    def _home(self, sites: Sites) -> tuple[Cell, str]:
        """The slot that holds the place, and the file it is defined in."""
        cells: Counter[Cell] = Counter()
        for accesses in sites.accesses.values():
            for access in accesses:
                for place, name in self.spelling.slots(access):
                    if name == sites.name:
                        cells[place] += 1
        if not cells:
            raise Refused("it has no name of its own: it is only reached through other objects")
        if len(cells) > 1:
            raise Refused("more than one slot holds it")
        ((cell, _),) = cells.items()
        kind, owner = str(cell[0]), str(cell[1])
        symbols = self.world.symbols
        if kind == "g" and owner in symbols.modules:
            return cell, symbols.modules[owner].path
        if kind in ("a", "k") and owner in symbols.classes:
            return cell, symbols.modules[symbols.classes[owner].module].path
        if kind == "x" and owner in symbols.functions:
            return cell, symbols.functions[owner].path
        raise Refused("where it is defined is not known")

    # -- the lock -----------------------------------------------------------------------------------------------------

    def _existing(self, sites: Sites, cell: Cell) -> Lock | None:
        """The lock of the same scope that a contract names, or that most accesses hold already."""
        contract = self.program.contracts.guarded.get(sites.name)
        if contract is not None and contract.named is not None:
            declared = contract.named.lock
            if declared.slot is None or declared.reading or not self._same_scope(declared.slot, cell):
                raise Refused("the lock of its contract belongs to something else: it has to be taken by hand")
            if declared.threads is self.awaited:
                raise Refused("the lock of its contract is one of asyncio, and it takes an await to take it")
            return declared
        held: Counter[Cell] = Counter()
        locks: dict[Cell, Lock] = {}
        for accesses in sites.accesses.values():
            for access in accesses:
                for lock in access.locks:
                    usable = lock.threads is not self.awaited and not lock.futile
                    usable = usable and not (lock.reading or lock.keyed or lock.assumed)
                    if usable and lock.slot is not None and self._same_scope(lock.slot, cell):
                        if self.guards.effective(lock, access):
                            held[lock.slot] += 1
                            locks[lock.slot] = lock
        if not held:
            return None
        return locks[min(held, key=lambda slot: (-held[slot], str(slot)))]

    def _same_scope(self, lock: Cell, place: Cell) -> bool:
        return lock[0] == place[0] and (
            lock[1] == place[1]
            or (
                lock[0] in ("a", "k")
                and str(lock[1]) in self.world.symbols.classes
                and str(lock[1]) in self.world.class_of(str(place[1])).mro
            )
        )

    def _can_hold_a_lock(self, cid: str) -> None:
        """Raises Refused for classes whose instances cannot just be given one more attribute."""
        for parent in self.world.class_of(cid).mro:
            info = self.world.class_of(parent)
            special = sorted(PICKLED.intersection(info.methods))
            if special:
                raise Refused(f"{info.display} defines {special[0]}: a lock can be neither copied nor pickled")

    def _taken_early(self, cid: str, variable: str, takers: set[str]) -> bool:
        """Whether a constructor calls a function that takes the new lock before it binds the variable."""
        init = self.world.class_of(cid).methods.get("__init__")
        if init is None:
            return False
        facts = self.world.symbols.functions[init].facts
        for index, event in enumerate(facts.events):
            target = facts.nodes[event.target] if isinstance(event, f.Access) and event.kind == "store" else None
            if isinstance(target, f.Attr) and target.name == variable:
                return False
            for callee in self.world.callees.get((init, index), ()) if isinstance(event, f.Call) else ():
                name = self.world.method(callee.name, "__init__") if callee.kind == "class" else callee.name
                if name is not None and name in self._calls and takers & {name, *nx.descendants(self._calls, name)}:
                    return True
        return False

    # -- what it covers -----------------------------------------------------------------------------------------------

    def _holds(
        self,
        place: str,
        fid: str,
        accesses: list[Reached],
        cell: Cell,
        existing: Lock | None,
        name: str,
        imports: dict[LockImport, None],
        rebound: bool,
    ) -> Iterator[Hold]:
        info = self.world.symbols.functions[fid]
        if cell[0] == "a" and info.facts.name == "__init__" and info.cls is not None:
            if str(cell[1]) in self.world.class_of(info.cls).mro:
                return  # an object that is being made is its maker's alone, or published too early
        bare: list[Reached] = []
        covered: set[int] = set()
        for access in accesses:
            if existing is not None and any(same_lock(existing, lock) for lock in access.locks):
                covered.add(access.touch.event)
            else:
                bare.append(access)
        spans = list(self._spans(info, accesses, covered, rebound, self._under(info, existing)))
        if not spans:
            return
        if existing is not None and covered & {access.touch.event for access in bare}:
            raise Refused(f"{info.display} is called with {existing.name} held and without it")
        if info.facts.name == "<lambda>":
            raise Refused(f"{info.path}:{info.facts.line} reaches it in a lambda")
        lock = self.spelling.lock_in(info, place, accesses, cell, name)
        if not lock:
            raise Refused(f"{info.path}:{accesses[0].touch.line} reaches it under another name")
        if lock == name and cell[0] == "g" and cell[1] != info.module:
            imports[LockImport(info.path, str(cell[1]), str(cell[2]), name)] = None
        for line, end, kind in spans:
            yield Hold(info.path, fid, line, end, lock, kind)

    def _spans(
        self, info: FunctionInfo, accesses: list[Reached], covered: set[int], rebound: bool, under: list[int]
    ) -> Iterator[tuple[int, int, HoldKind]]:
        """First line, last line and kind of what has to be under the lock at once."""
        fid, flow = info.id, self.flows[info.id]
        touches = sorted({a.touch.event: a.touch for a in accesses}.items())
        for position, (index, touch) in enumerate(touches):
            # What is bound once and for all can be read at any time.
            needed = rebound or touch.effect != "read" or flow.tested(index)
            if index not in covered and needed:
                # What a test outside the lock sends into the lock, a wait for instance, belongs to the test.
                last = max((info.facts.events[e].line for e in under if flow.controls(index, e)), default=0)
                if last:
                    yield touch.line, max(last, touch.line), "compound"
                yield touch.line, touch.line, _kind(touch)
            for earlier, other in touches[:position]:
                if {index, earlier} <= covered and self._one_region(fid, accesses, earlier, index):
                    continue
                if self._belong(flow, earlier, touch, rebound):
                    yield min(other.line, touch.line), max(other.line, touch.line), "compound"

    def _under(self, info: FunctionInfo, lock: Lock | None) -> list[int]:
        """The events of a function that stand in its own regions of a lock."""
        if lock is None:
            return []
        evaluator = Evaluator(self.world, info)
        regions = {
            index
            for index, region in enumerate(info.facts.regions)
            if any(same_lock(lock, found) for found in self.locks.of_region(evaluator, region))
        }
        held = info.facts.held
        return [index for index, event in enumerate(info.facts.events) if regions.intersection(held[event.held])]

    def _one_region(self, fid: str, accesses: list[Reached], a: int, b: int) -> bool:
        """Whether two events stand in one lock region, or the callers hold the lock over both."""
        facts = self.flows[fid].facts
        first, second = (facts.held[facts.events[index].held] for index in (a, b))
        return first == second or bool(set(first) & set(second))

    def _belong(self, flow: Flow, check: int, act: Touch, rebound: bool) -> bool:
        """Whether a later step relies on what an earlier one saw."""
        if act.value >= 0 and act.effect in MUTATING and check in flow.deps(act.value):
            return True
        if act.effect == "read":
            # `if self.conn: self.conn.send()`: it may be gone when somebody binds it anew.
            used = rebound and flow.dereferenced(act.event) and not flow.dereferenced(check)
            return used and flow.controls(check, act.event)
        return (act.effect in MUTATING or act.effect == "item") and flow.controls(check, act.event)


def _kind(touch: Touch) -> HoldKind:
    """What one access does, as far as it matters for how it is held."""
    if touch.effect in WALKING:
        return "walk"
    if touch.effect in MUTATING:
        return "write"
    return "read" if touch.effect == "read" else "look"
