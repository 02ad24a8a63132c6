"""Pairs of accesses that can collide: compounds another context breaks into, loops whose container changes, and writes
that forget the lock the others hold.

What counts is described per pattern below; every decision about harm is here, so that the rules only phrase it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from racelint.analysis.class_slots import other_slot
from racelint.analysis.collisions import Collisions
from racelint.analysis.effects import MUTATING, RESIZING
from racelint.analysis.first_use import FirstUse
from racelint.analysis.flow import Flow, Flows
from racelint.analysis.guards import Guards, GuardUse
from racelint.analysis.harmless import Harmless
from racelint.analysis.locks import same_lock
from racelint.analysis.overlap import Overlap
from racelint.analysis.sections import Sections, of_one
from racelint.analysis.walk import Reached, State
from racelint.frameworks.schema import Fed
from racelint.link.call_sites import either, in_loop
from racelint.link.world import World
from racelint.model import facts as f

Pattern = Literal[
    "check-then-act",
    "lazy-singleton",
    "late-init",
    "read-modify-write",
    "iterate",
    "write",
    "guard",
    "await-check-then-act",
    "await-read-modify-write",
    "await-while-iterating",
]

# Calls from an entry point. Of the errors that were judged (`benchmarks/judged`) one in four was right beyond these.
FAR = 4
INTOLERANT = frozenset(("item", "delete", "unbind"))
EMPTYING = frozenset(("discard", "clear"))
REMOVING = frozenset(("delete", "discard", "clear", "unbind"))
ADDING = frozenset(("insert", "update", "claim"))
SHRINKING = frozenset(("delete", "discard", "clear"))
REPLACING = frozenset(("rebind", "insert", "update"))
WRITES = REPLACING | {"delete", "clear", "discard"}
REBIND = frozenset(("rebind",))
READING = frozenset(("look", "item", "iterate", "snapshot"))
# What may grow while somebody iterates over it.
SEQUENCES = ("list", "bytearray", "array.array")
REORDERING = RESIZING | {"order"}


@dataclass(frozen=True, slots=True)
class Judges:
    """What is asked whether a collision does harm; others may remember what they answered (see ``verdicts``)."""

    harmless: Callable[[World, Flows, Iterable[Reached]], Harmless] = Harmless
    first_use: Callable[[World, Flows, Iterable[Reached]], FirstUse] = FirstUse


@dataclass(frozen=True, slots=True)
class Race:
    """Two accesses that can collide. ``first`` is where to act; for compounds ``act`` is its second step.

    ``split``: check and act hold one lock, but not throughout. ``gap``: the line where a task gives way in between.
    ``mild``: one adds an entry, the other takes one out, and nothing says that their order matters; or a single read of
    a slot, which sees what was there before a change or after it, and of which nothing is looked into. ``supposed`` and
    ``rooted``: see ``Overlap``.
    """

    pattern: Pattern
    name: str
    first: Reached
    act: Reached | None
    second: Reached
    why: str
    guard: GuardUse | None = None
    split: bool = False
    latent: bool = False
    severe: bool = True
    mild: bool = False
    guess: int = 0
    gap: int = 0
    supposed: bool = False
    rooted: bool = True

    @property
    def doubt(self) -> int:
        """How many steps of the ways to both sides, and from one object to the other, were not resolved exactly."""
        return max(access.itself.state.doubt for access in self.reached) + self.guess

    @property
    def drains(self) -> bool:
        """Whether a container is copied and then emptied."""
        copied = self.first.touch.effect in ("snapshot", "iterate")
        return copied and self.act is not None and self.act.touch.effect in ("clear", "rebind")

    @property
    def in_calls(self) -> bool:
        """Whether a call makes one of the steps, under a lock that it takes itself."""
        return self.first.inside is not None or (self.act is not None and self.act.inside is not None)

    @property
    def far(self) -> bool:
        """Whether one of the ways is a long one: each call on it stands under conditions that nobody has looked at."""
        return any(access.state.depth > FAR and not access.group.api for access in self.reached)

    @property
    def fed(self) -> Fed | None:
        """The row of the framework that is the other side, when no code of the project is."""
        feed = self.second.state.entry.feed
        return None if feed is None else feed.row

    @property
    def reached(self) -> tuple[Reached, ...]:
        """Every access that takes part."""
        return (self.first, self.second) if self.act is None else (self.first, self.act, self.second)


class Races:
    """Finds the races among reached accesses."""

    harmless: Harmless
    first_use: FirstUse
    collisions: Collisions

    def __init__(self, world: World, overlap: Overlap, singletons: frozenset[str]) -> None:
        self.world = world
        self.overlap = overlap
        self.judges = Judges()
        self.guards = Guards(world, singletons)
        self.flows = Flows(world.symbols.functions)
        self.sections = Sections(world, self.flows)
        self._late_ones: dict[str, list[Reached]] = {}
        # Stores that give an equal value whoever does them.
        self._filled_in: set[tuple[str, int]] = set()

    def find(self, reached: Iterable[Reached]) -> Iterator[Race]:
        """Races of all places, places in order of their names."""
        by_name: dict[str, list[Reached]] = defaultdict(list)
        late: dict[str, list[Reached]] = defaultdict(list)
        reached = tuple(reached)
        self.harmless = self.judges.harmless(self.world, self.flows, reached)
        self.first_use = self.judges.first_use(self.world, self.flows, reached)
        self.collisions = Collisions(self.world, self.overlap, self.guards, self.flows, self.harmless)
        self.collisions.keep(reached)
        for access in reached:
            # A constructor goes on after something was started: that matters for what it sets too late, and only there.
            if access.late:
                late[access.touch.name].append(access)
            elif not self.flows[access.touch.fid].constructs(access.touch.event):
                by_name[access.touch.name].append(access)
        self._late_ones = late
        found = [race for name in sorted(by_name) for race in self._place(name, by_name[name])]
        for race in found:
            changes = [access for access in race.reached if access.touch.effect in MUTATING]
            if not self.first_use.follows(changes):
                a, b = race.first.itself, race.second
                guess, supposed = self.overlap.guess(a, b), self.overlap.supposed(a, b)
                yield replace(
                    race,
                    guess=guess,
                    supposed=supposed,
                    rooted=race.pattern == "late-init" or self.overlap.rooted(a, b),
                )

    # -- one place ----------------------------------------------------------------------------------------------------

    def _place(self, name: str, accesses: list[Reached]) -> Iterator[Race]:
        late = self._late_ones.get(name, [])
        if not late and not self.collisions.changed(accesses):
            return
        self.collisions.at(accesses, everywhere=True)
        # What a framework does is no place to act, and takes no lock of the project.
        accesses = [access for access in accesses if access.state.entry.feed is None]
        guard = self.guards.guard(accesses)
        done: set[tuple[str, int]] = set()
        for race in self._compounds(name, [*accesses, *self._calls(accesses)], guard):
            done.add((race.first.touch.fid, race.first.touch.event))
            if race.act is not None:
                done.add((race.act.touch.fid, race.act.touch.event))
            yield race
        for race in self._late(name, late):
            done.add((race.first.touch.fid, race.first.touch.event))
            yield race
        for race in self._iterations(name, accesses):
            done.add((race.first.touch.fid, race.first.touch.event))
            yield race
        if guard is not None:
            for race in self._unguarded(name, accesses, guard, done):
                done.add((race.first.touch.fid, race.first.touch.event))
                yield race
        yield from self._writes(name, accesses, done)

    def _calls(self, accesses: list[Reached]) -> Iterable[Reached]:
        """Calls that make one of these accesses, each in a critical section of its own."""
        return self.sections.of(accesses)

    def _breakable(self, flow: Flow, first: Reached, last: Reached, parts: list[Reached]) -> bool:
        """Whether others can fall into the compound from ``first`` to ``last``: threads can, anywhere."""
        return True

    def _losing(self, flow: Flow, read: Reached, act: Reached, parts: list[Reached]) -> frozenset[str]:
        """What others may do between a read and the write that is computed from it so that one of the two is lost."""
        return WRITES

    def _rivals_of(self, act: Reached, effects: frozenset[str]) -> tuple[Reached, ...]:
        """What others do that is lost when the act overwrites it."""
        return self.collisions.others(act, effects, "lasting")

    def _walks_on(self, flow: Flow, access: Reached) -> bool:
        """Whether others can run while a loop over a container is under way."""
        return True

    # -- compounds ----------------------------------------------------------------------------------------------------

    def _compounds(self, name: str, accesses: list[Reached], guard: GuardUse | None) -> Iterator[Race]:
        by_state: dict[tuple[str, int, object], list[Reached]] = defaultdict(list)
        for access in accesses:
            by_state[access.touch.fid, access.group.index, access.state.held].append(access)
        found: dict[tuple[str, str], Race] = {}
        settled: set[tuple[str, int]] = set()
        for (fid, _, _), parts in by_state.items():
            for race in self._function_compounds(name, fid, parts, guard, settled):
                key = (race.pattern, fid)
                if key not in found or self._weight(race) > self._weight(found[key]):
                    found[key] = race
        yield from found.values()

    def _weight(self, race: Race) -> tuple[bool, bool, bool, bool, int]:
        """Which of several ways to one race is shown."""
        first, second = race.first.itself, race.second
        doubt = race.doubt + self.overlap.guess(first, second)
        supposed = self.overlap.supposed(first, second)
        return race.severe, doubt <= 1, not supposed, self.overlap.rooted(first, second), -doubt

    def _function_compounds(
        self, name: str, fid: str, parts: list[Reached], guard: GuardUse | None, settled: set[tuple[str, int]]
    ) -> Iterator[Race]:
        flow = self.flows[fid]
        parts = sorted(parts, key=lambda a: a.touch.event)
        for act in parts:
            if act.touch.effect not in MUTATING and act.touch.effect not in ("item", "read"):
                continue
            if (fid, act.touch.event) in settled:
                continue
            race = (
                self._modify(name, flow, parts, act)
                or self._drain(name, flow, parts, act)
                or self._check(name, flow, parts, act)
            )
            if race is None:
                continue
            if not self.overlap.supposed(race.first.itself, race.second):  # else another way may leave less doubt
                settled.add((fid, act.touch.event))
            if guard is not None and not any(same_lock(guard.lock, lock) for lock in race.first.locks):
                if any(same_lock(guard.lock, lock) for lock in race.second.locks):
                    yield Race("guard", name, race.first, race.act, race.second, race.why, guard)
                    continue
            yield race

    def _modify(self, name: str, flow: Flow, parts: list[Reached], act: Reached) -> Race | None:
        """Read-modify-write: what is written was computed from what was read."""
        touch = act.touch
        if touch.value < 0 or touch.effect not in ("rebind", "insert", "update"):
            return None
        deps = flow.deps(touch.value)
        for read in parts:
            other = read.touch
            if other.event not in deps or other.content != touch.content or other.place != touch.place:
                continue
            if other.effect not in ("read", "item", "look", "snapshot") or other.event >= touch.event:
                continue
            if self.harmless.other_closure(read, act):
                continue
            if touch.content and flow.same_value(other.key, touch.key) is not True and other.effect != "snapshot":
                continue
            if self._apart(flow, read, act):
                continue
            wanted = self._losing(flow, read, act, parts)
            candidates = self._rivals_of(act, wanted) or (act,) if wanted else ()
            candidates = tuple(other for other in candidates if not self.harmless.other_key(act, other))
            if not any(access.touch.effect in REPLACING or access.touch.place != touch.place for access in candidates):
                continue
            covering = self.guards.covering(read, act)
            hit = self.collisions.first(covering, act, candidates)
            if hit is None:
                continue
            split = bool(self._split(read, act))
            latent = touch.aug and not self._calls_between(flow, other.event, touch.event)
            return Race("read-modify-write", name, read, act, hit[0], hit[1], split=split, latent=latent)
        return None

    def _drain(self, name: str, flow: Flow, parts: list[Reached], act: Reached) -> Race | None:
        """A container is copied and then emptied: what others add in between is thrown away unread."""
        touch = act.touch
        empties = touch.effect == "clear" if touch.content else touch.effect == "rebind" and flow.is_empty(touch.value)
        for copy in parts if empties else ():
            other = copy.touch
            walked = other.effect == "iterate" and other.type in SEQUENCES
            if not other.content or not (walked or other.effect == "snapshot") or other.event >= touch.event:
                continue
            if (touch.content and other.place != touch.place) or either(flow.facts, other.event, touch.event):
                continue
            if (touch.content and self._apart(flow, copy, act)) or not self._losing(flow, copy, act, parts):
                continue
            hit = self.collisions.first(self.guards.covering(copy, act), copy, self.collisions.others(copy, ADDING))
            if hit is not None:
                split = bool(self._split(copy, act))
                return Race("read-modify-write", name, copy, act, hit[0], hit[1], split=split)
        return None

    def _apart(self, flow: Flow, a: Reached, b: Reached) -> bool:
        """Whether two accesses of one call are to different objects, or calls that no common lock puts together."""
        if (a.inside or b.inside) and not self._split(a, b):
            return True
        x, y = a.touch.base, b.touch.base
        if x is None or y is None:
            return other_slot(self.world, a, b)
        if x is not y and not self.overlap.same_object(a, b):
            return True
        if a.inside or b.inside:
            return not of_one(flow, a, b)
        return not flow.same_receiver(a.touch.event, b.touch.event)

    def _calls_between(self, flow: Flow, start: int, end: int) -> bool:
        return any(isinstance(event, f.Call) for event in flow.facts.events[start + 1 : end])

    def _split(self, a: Reached, b: Reached) -> bool:
        """Both hold one lock, but in two regions."""
        return any(
            same_lock(lock, other) and region != other_region
            for lock, region in a.held
            for other, other_region in b.held
        )

    def _check(self, name: str, flow: Flow, parts: list[Reached], act: Reached) -> Race | None:
        """Check-then-act: a test on the place decides over a later step that relies on it."""
        checks = [
            check
            for check in parts
            if check.touch.event < act.touch.event
            and check.touch.effect in ("read", "look", "item", "snapshot", "iterate")
            and flow.controls(check.touch.event, act.touch.event)
            and not self._apart(flow, check, act)
            and not self.harmless.other_closure(check, act)
            and self._breakable(flow, check, act, parts)
            and not self._asked_under_lock(flow, check, act)
        ]
        if not checks:
            return None
        judged = [(check, candidates) for check in checks if (candidates := self._breakers(flow, check, act))]
        if not judged:
            return None
        # Of a check before the lock and one repeated under it (double-checked locking) the one under it decides.
        strongest = max(len(self.guards.covering(check, act)) for check in checks) if act.held else 0
        for check, candidates in judged:
            covering = self.guards.covering(check, act)
            if len(covering) < strongest:
                continue
            if self.harmless.same_either_way(check, act):
                self._filled_in.add((act.touch.fid, act.touch.event))
                candidates = tuple(
                    other for other in _without(act, candidates) if not self.harmless.as_good(act, other)
                )
            # Whoever has looked how many entries there are relies on others than the one that it adds.
            counted = act.touch.effect in ADDING and check.touch.content and check.touch.key < 0
            hit = self.collisions.first(covering, check if counted else act, candidates)
            if hit is None:
                continue
            self.first_use.note(check, act)
            if self.first_use.by_import(check, act, hit[0]):
                continue
            singleton = (
                not act.touch.content
                and act.touch.effect == "rebind"
                and act.touch.place[0] in ("g", "k")
                and flow.asks_only(check.touch.event, act.touch.event)
                and not flow.is_constant(act.touch.value)
            )
            pattern: Pattern = "lazy-singleton" if singleton else "check-then-act"
            if not act.touch.content and act.touch.effect == "rebind" and act.locks and not check.locks:
                pattern = "lazy-singleton"
            # Who looked for an entry that a framework takes out meanwhile is late: what the entry stood for is gone.
            raises = act.touch.effect in INTOLERANT or act.touch.effect == "read"
            if raises:  # with another exception, where the code itself raises one
                tolerated = flow.caught(act.touch.event) or flow.refused(check.touch.event, act.touch.event)
            else:
                tolerated = self.harmless.spare(act)
            severe = hit[0].state.entry.feed is None and not tolerated
            return Race(pattern, name, check, act, hit[0], hit[1], split=self._split(check, act), severe=severe)
        return None

    def _asked_under_lock(self, flow: Flow, check: Reached, act: Reached) -> bool:
        """Whether a container was only named before the lock, and is asked whether it is empty under it.

        ``queue = self.queue`` in front of ``with lock: if queue: queue.pop()``.
        """
        if check.touch.content or not act.touch.content:
            return False
        regions = flow.asked_in(check.touch.event, act.touch.event) - {region for _, region in check.held}
        return any(region in regions for _, region in act.held)

    def _breakers(self, flow: Flow, check: Reached, act: Reached) -> tuple[Reached, ...]:
        """Accesses of other contexts that can make the check's answer wrong before the act."""
        c, a = check.touch, act.touch
        if a.content:
            return self._content_breakers(flow, check, act)
        if c.content or c.place != a.place or c.effect != "read":
            return ()
        if a.effect == "rebind":
            if a.aug and not self._split(check, act):
                return ()
            if flow.is_constant(a.value):
                return self._rivals(flow, act) if self.harmless.claims(act) else ()
            if flow.is_empty(a.value) and not flow.asks_only(c.event, a.event):
                # A cache that has grown too large is dropped: dropping it twice is dropping it.
                return ()
            if self.harmless.told(check, act):
                return ()
            return self.collisions.others(act, REBIND, "lasting")
        if a.effect == "read" and flow.dereferenced(a.event) and not flow.dereferenced(c.event):
            return self.collisions.others(act, REBIND | {"unbind"}, "none")
        return ()

    def _rivals(self, flow: Flow, act: Reached) -> tuple[Reached, ...]:
        """Accesses that claim the same: whoever sets the flag the other way only asks for it to be done again."""
        wanted = flow.nodes_text(act.touch.value)
        return tuple(
            other
            for other in self.collisions.others(act, REBIND, "claims")
            if self.flows[other.touch.fid].nodes_text(other.touch.value) == wanted
        )

    def _content_breakers(self, flow: Flow, check: Reached, act: Reached) -> tuple[Reached, ...]:
        c, a = check.touch, act.touch
        if c.content:
            if c.place != a.place:
                return ()
            if c.key >= 0 and a.key >= 0 and flow.same_value(c.key, a.key) is not True:
                return ()
            keyless = c.key < 0
        else:
            # `if self.queue: self.queue.pop()`: the slot is read for its truth.
            if c.effect != "read" or c.name != a.name:
                return ()
            keyless = True
        if a.effect in INTOLERANT:
            if a.effect == "item" and c.effect == "item":
                return ()
            wanted = REMOVING
        elif a.effect in ADDING:
            if keyless or c.effect in ("iterate", "snapshot"):
                return ()
            if a.effect == "claim":
                return ()
            wanted = ADDING
        else:
            return ()
        return tuple(other for other in self.collisions.others(act, wanted) if not self.harmless.other_key(act, other))

    # -- constructors -------------------------------------------------------------------------------------------------

    def _late(self, name: str, accesses: list[Reached]) -> Iterator[Race]:
        """An attribute that a constructor sets for the first time after it has started what reads it."""
        found: dict[str, Race] = {}
        for access in accesses:
            touch = access.touch
            if touch.effect != "rebind" or touch.content or touch.fid in found:
                continue
            if self._set_before(access):
                continue
            readers = [
                other
                for other in self.collisions.others(access, frozenset(("read",)))
                if other.state.entry.exact
                and other.state.entry.begins & access.started
                and not other.late
                and not self._made_later(access, other)
                and not self.harmless.after_message(other)
            ]
            hit = self.collisions.first(list(access.locks), access, readers)
            if hit is not None:
                found[touch.fid] = Race("late-init", name, access, None, hit[0], hit[1])
        yield from found.values()

    def _made_later(self, access: Reached, reader: Reached) -> bool:
        """Whether the way to a reader leads through a function that the constructor defines only further down."""
        functions = self.world.symbols.functions
        if in_loop(
            functions[access.touch.fid].facts, functions[access.touch.fid].facts.events[access.touch.event].block
        ):
            return False
        state: State | None = reader.state
        while state is not None:
            info = functions[state.fid]
            if info.parent == access.touch.fid and info.facts.line > access.touch.line:
                return True
            state = state.parent
        return False

    def _set_before(self, access: Reached) -> bool:
        """Whether the attribute has a value already: assigned earlier in this constructor, or on the class."""
        touch = access.touch
        info = self.world.symbols.functions[touch.fid]
        attribute = str(touch.place[2])
        base = touch.base
        if base is not None and base.kind == "inst":
            for parent in self.world.class_of(base.name).mro:
                if attribute in self.world.class_of(parent).class_attrs:
                    return True
                init = self.world.class_of(parent).methods.get("__init__")
                if init is not None and init != touch.fid and self._assigns(init, attribute, None):
                    return parent != info.cls or not _inside(access.state, init)
        return self._assigns(touch.fid, attribute, touch.event)

    def _assigns(self, fid: str, attribute: str, before: int | None) -> bool:
        facts = self.world.symbols.functions[fid].facts
        for event in facts.events[:before]:
            if isinstance(event, f.Access) and event.kind == "store":
                node = facts.nodes[event.target]
                if isinstance(node, f.Attr) and node.name == attribute:
                    return True
        return False

    # -- loops --------------------------------------------------------------------------------------------------------

    def _iterations(self, name: str, accesses: list[Reached]) -> Iterator[Race]:
        found: dict[str, Race] = {}
        for access in accesses:
            touch = access.touch
            known = found.get(touch.fid)
            if touch.effect != "iterate" or not self._walks_on(self.flows[touch.fid], access):
                continue
            if known is not None and (not known.guess or access.state.doubt >= known.doubt):
                continue
            wanted = SHRINKING if touch.type in SEQUENCES else RESIZING
            candidates = tuple(
                other
                for other in self.collisions.others(access, wanted, "resizing")
                if not self.harmless.fills_first(other, access)
            )
            hit = self.collisions.first(list(access.locks), access, candidates)
            if hit is not None:
                # Which object it is may be a guess on one way and be known on the next.
                guess = self.overlap.guess(access, hit[0])
                race = Race("iterate", name, access, None, hit[0], hit[1], guess=guess)
                if known is None or race.doubt < known.doubt:
                    found[touch.fid] = race
        yield from found.values()

    # -- plain accesses -----------------------------------------------------------------------------------------------

    def _unguarded(
        self, name: str, accesses: list[Reached], guard: GuardUse, done: set[tuple[str, int]]
    ) -> Iterator[Race]:
        found: dict[str, Race] = {}
        holders = [access for access in accesses if any(same_lock(guard.lock, lock) for lock in access.locks)]
        holders.sort(key=lambda access: access.touch.effect not in MUTATING)
        for access in accesses:
            touch = access.touch
            if (touch.fid, touch.event) in done or (touch.fid in found and found[touch.fid].severe):
                continue
            if any(same_lock(guard.lock, lock) for lock in access.locks):
                continue
            if touch.effect in ("snapshot", "iterate"):
                continue
            writes = touch.effect in MUTATING
            if writes and self.harmless.resets(access):
                continue
            test = touch.effect == "read" and self.flows[touch.fid].tested(touch.event)
            if not writes and (self._prechecks(access, holders) or self._made_sure(access, holders)):
                continue
            candidates = [
                other
                for other in holders
                if (writes or other.touch.effect in MUTATING)
                and (other.touch.place == touch.place or (test and other.touch.content))
                and not (other.touch.effect == "rebind" and self.harmless.resets(other) and not writes)
            ]
            hit = self.collisions.first(list(access.locks), access, candidates)
            if hit is None:
                continue
            mild = touch.effect == "read" and not touch.content and not hit[0].touch.content
            mild = mild and not any(other.touch.fid == touch.fid and other.touch.content for other in accesses)
            race = Race("guard", name, access, None, hit[0], hit[1], guard, severe=writes, mild=mild)
            known = found.get(touch.fid)
            if known is None or (race.severe, known.mild) > (known.severe, race.mild):
                found[touch.fid] = race
        yield from found.values()

    def _prechecks(self, access: Reached, holders: list[Reached]) -> bool:
        """An unlocked read that is repeated under the lock in the same function (double-checked locking)."""
        return any(
            other.touch.fid == access.touch.fid
            and other.touch.event > access.touch.event
            and other.touch.effect == access.touch.effect
            and self.flows[other.touch.fid].tested(other.touch.event)
            for other in holders
        )

    def _same_memo(self, a: Reached, b: Reached) -> bool:
        """Both store answers, and one of them is seen to be asked for first."""
        sites = {(access.touch.fid, access.touch.event) for access in (a, b)}
        return not sites.isdisjoint(self._filled_in) and self.harmless.as_good(a, b)

    def _made_sure(self, access: Reached, holders: list[Reached]) -> bool:
        """An unlocked read of what the same function has just tested and, if need be, made under the lock.

        Nobody else assigns it, so it stays what it is.
        """
        fid, event = access.touch.fid, access.touch.event
        writers = self.collisions.others(access, MUTATING)
        if access.touch.content:
            return (
                access.touch.effect in ("item", "look")
                and all(other.touch.effect == "insert" for other in writers)
                and any(self._same_entry(other, access) for other in holders)
            )
        if access.touch.effect != "read":
            return False
        tested = any(
            other.touch.fid == fid
            and other.touch.event < event
            and other.touch.effect == "read"
            and self.flows[fid].tested(other.touch.event)
            for other in holders
        )
        return tested and all(
            other.touch.fid == fid and not self.flows[fid].is_none(other.touch.value) for other in writers
        )

    def _same_entry(self, test: Reached, read: Reached) -> bool:
        """Whether the entry that is read has been asked for before by the same function."""
        first, second = test.touch, read.touch
        return (
            first.fid == second.fid
            and first.event < second.event
            and first.effect == "look"
            and first.key >= 0
            and self.flows[first.fid].tested(first.event)
            and self.flows[first.fid].same_value(first.key, second.key) is True
        )

    def _writes(self, name: str, accesses: list[Reached], done: set[tuple[str, int]]) -> Iterator[Race]:
        """Mutations of one container from overlapping contexts, each atomic by itself."""
        found: dict[str, Race] = {}
        covered = {fid for fid, _ in done}
        for access in accesses:
            touch = access.touch
            if not touch.content or touch.effect not in RESIZING | {"order"} or touch.harmless:
                continue
            if touch.fid in found or touch.fid in covered or touch.effect == "claim":
                continue
            if touch.atomic:
                candidates = tuple(
                    other
                    for other in self.collisions.others(access, REORDERING, "harmful")
                    if not self.harmless.other_key(access, other)
                    and not self._same_memo(access, other)
                    and not self.harmless.commute(access, other)
                    and not self.overlap.alone.own_entries.apart(access, other)
                )
            else:
                candidates = tuple(other for other in accesses if other.touch.place == touch.place)
            if touch.effect in EMPTYING:  # in which order they are done makes no difference
                candidates = tuple(other for other in candidates if other.touch.effect not in EMPTYING)
            if (touch.fid, touch.event) in self._filled_in or (
                touch.effect == "update" and self.flows[touch.fid].same_always(touch.key)
            ):
                candidates = _without(access, candidates)
            if access.state.entry.kind == "signal":  # a handler runs to its end before what it has interrupted goes on
                candidates = tuple(other for other in candidates if other.state.entry.kind != "signal")
            # An entry is lost to another one that takes its place; who takes it out usually comes for this very entry.
            # Where each holds a lock, somebody wanted an order.
            storing = tuple(
                other
                for other in candidates
                if not touch.atomic or (access.locks and other.locks) or self._overwrite(access, other, accesses)
            )
            # Who reads between the emptying and the filling finds nothing.
            if touch.effect == "clear" and self._refills(access, accesses):
                storing += self.collisions.others(access, READING)
            locks = list(access.locks)
            hit = self.collisions.first(locks, access, storing) or self.collisions.first(locks, access, candidates)
            if hit is not None and (hit[0].touch.fid, hit[0].touch.event) not in done:
                mild = hit[0] not in storing
                found[touch.fid] = Race("write", name, access, None, hit[0], hit[1], severe=not touch.atomic, mild=mild)
        yield from found.values()

    def _overwrite(self, a: Reached, b: Reached, accesses: Iterable[Reached]) -> bool:
        """Whether both store something, or one of them empties a container that it fills again."""
        return all(
            access.touch.effect not in REMOVING or (access.touch.effect == "clear" and self._refills(access, accesses))
            for access in (a, b)
        )

    def _refills(self, access: Reached, accesses: Iterable[Reached]) -> bool:
        """Whether the function that empties a container puts something into it."""
        return any(other.touch.fid == access.touch.fid and other.touch.effect in ADDING for other in accesses)


def _without(access: Reached, candidates: Iterable[Reached]) -> tuple[Reached, ...]:
    """The candidates that are not the same store as ``access``."""
    again = (access.itself.touch.fid, access.itself.touch.event)
    return tuple(other for other in candidates if (other.touch.fid, other.touch.event) != again)


def _inside(state: State, fid: str) -> bool:
    """Whether a function is on the way to a state: what it does may be before or after."""
    current: State | None = state
    while current is not None and current.fid != fid:
        current = current.parent
    return current is not None
