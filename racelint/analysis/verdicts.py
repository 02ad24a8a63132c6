"""Why two accesses to one place are no race: what keeps them apart, or why it does no harm when they meet.

``races`` only says what collides. Here each pair that does not is asked the same questions in the same order, so that
silence has a reason too; those that ``harmless`` gives while races are sought are remembered by ``Witness``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from racelint.analysis.effects import MUTATING
from racelint.analysis.first_use import FirstUse
from racelint.analysis.flow import Flows
from racelint.analysis.guards import Guards
from racelint.analysis.harmless import Harmless
from racelint.analysis.locks import same_lock
from racelint.analysis.program import Program
from racelint.analysis.races import Judges
from racelint.analysis.walk import Reached
from racelint.link.world import World

Kind = Literal["object", "order", "turns", "lock", "harmless"]
# From what surely keeps two accesses apart to what lets them meet: of several ways to a pair the last one counts.
KINDS: tuple[Kind, ...] = ("object", "order", "turns", "lock", "harmless")
CONSTANT = "a constant is assigned: done twice it is done once"
# Ways to one access that are compared with those to another one.
WAYS = 6
Site = tuple[str, int]


@dataclass(slots=True)
class Record:
    """What the search for races found harmless: for each place and access (or pair of them) the reason."""

    reasons: dict[str, dict[frozenset[Site], str]] = field(default_factory=lambda: defaultdict(dict))

    def note(self, text: str, *accesses: Reached) -> None:
        """Remember why accesses do no harm."""
        sites = frozenset(map(site, accesses))
        self.reasons[accesses[-1].touch.name].setdefault(sites, text)

    def about(self, name: str, a: Reached, b: Reached) -> str:
        """The reason noted for two accesses, or for one of them."""
        known = self.reasons.get(name, {})
        pair = frozenset((site(a), site(b)))
        return known.get(pair) or next((known[one] for one in map(_alone, (a, b)) if one in known), "")

    @property
    def judges(self) -> Judges:
        """What is asked whether a collision does harm, and remembers its answers here."""
        return Judges(partial(Witness, self), partial(FirstWitness, self))


class Witness(Harmless):
    """Remembers what it found harmless, and why."""

    def __init__(self, record: Record, world: World, flows: Flows, reached: Iterable[Reached]) -> None:
        super().__init__(world, flows, reached)
        self.record = record

    def _noted(self, found: bool, text: str, *accesses: Reached) -> bool:
        if found:
            self.record.note(text, *accesses)
        return found

    def resets(self, access: Reached) -> bool:
        return self._noted(super().resets(access), CONSTANT, access)

    def told(self, check: Reached, act: Reached) -> bool:
        text = "it notes when something was last told: told once more is a line too many"
        return self._noted(super().told(check, act), text, act)

    def same_either_way(self, check: Reached, act: Reached) -> bool:
        return self._noted(super().same_either_way(check, act), "whoever fills it in stores an equal value", act)

    def other_key(self, a: Reached, b: Reached) -> bool:
        return self._noted(super().other_key(a, b), "they are to entries with different constant keys", a, b)

    def commute(self, a: Reached, b: Reached) -> bool:
        return self._noted(super().commute(a, b), "each only adds to it, and in whichever order none is lost", a, b)

    def fills_first(self, fill: Reached, walk: Reached) -> bool:
        text = "the loop comes after an update that adds the same keys every time"
        return self._noted(super().fills_first(fill, walk), text, fill, walk)


class FirstWitness(FirstUse):
    """Remembers which compounds are no first use, and what belongs to another one."""

    def __init__(self, record: Record, world: World, flows: Flows, reached: Iterable[Reached]) -> None:
        super().__init__(world, flows, reached)
        self.record = record

    def by_import(self, check: Reached, act: Reached, other: Reached) -> bool:
        found = super().by_import(check, act, other)
        if found:
            self.record.note("the first use is by an import, before anything else runs", act)
        return found

    def follows(self, changes: Iterable[Reached]) -> bool:
        changes = tuple(changes)
        found = super().follows(changes)
        for access in changes if found else ():
            self.record.note("it is part of a set-up on first use: what guards the check before it guards it", access)
        return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why two accesses (of which one changes the place) are no race."""

    kind: Kind
    text: str
    first: Reached
    second: Reached


class Verdicts:
    """Judges pairs of accesses of one program."""

    def __init__(self, program: Program, record: Record) -> None:
        self.program = program
        self.record = record
        self.flows = Flows(program.world.symbols.functions)
        self.guards = Guards(program.world, program.singletons)

    def of(self, accesses: Iterable[Reached]) -> Iterator[Verdict]:
        """The verdict on each pair of accesses to one place, by where they stand."""
        sites: dict[Site, list[Reached]] = defaultdict(list)
        for access in accesses:
            sites[site(access)].append(access)
        ways = {where: sorted(_telling(found), key=_nearest)[:WAYS] for where, found in sites.items()}
        order = sorted(ways, key=lambda where: (self._path(ways[where][0]), where[1], where[0]))
        for position, one in enumerate(order):
            for other in order[position:]:
                verdict = self._pair(ways[one], ways[other])
                if verdict is not None:
                    yield verdict

    def _path(self, access: Reached) -> str:
        return self.program.world.symbols.functions[access.touch.fid].path

    def _pair(self, ones: list[Reached], others: list[Reached]) -> Verdict | None:
        best: Verdict | None = None
        for a in ones:
            for b in others:
                if a.touch.effect in MUTATING or b.touch.effect in MUTATING:
                    verdict = self._verdict(a, b)
                    if best is None or _weight(verdict) > _weight(best):
                        best = verdict
        return best

    def _verdict(self, a: Reached, b: Reached) -> Verdict:
        overlap = self.program.overlap
        if not overlap.same_object(a, b) or overlap.apart(a, b):
            return Verdict("object", "they are to different objects", a, b)
        if overlap.why(a, b) is None and overlap.why(b, a) is None:
            if self.program.turns.why(a, b) is not None:
                text = "tasks of one event loop take turns, and no await stands between steps that belong together"
                return Verdict("turns", text, a, b)
            return Verdict("order", self._order(a, b), a, b)
        if overlap.own_keys.exclude(a.locks, a, b):
            return Verdict("lock", "each holds the lock of the object that its entry belongs to", a, b)
        common = [lock for lock in a.locks if any(same_lock(lock, other) for other in b.locks)]
        effective = [lock for lock in common if self.guards.effective(lock, a)]
        if effective:
            return Verdict("lock", f"both hold `{_short(effective[0].name)}`", a, b)
        if overlap.alone.serialised.apart(a, b):
            text = "each is to the entry of the object that its handler was called for, and these calls take turns"
            return Verdict("order", text, a, b)
        return Verdict("harmless", self.record.about(a.touch.name, a, b) or self._harmless(a, b), a, b)

    def _order(self, a: Reached, b: Reached) -> str:
        """Why two accesses never happen at the same time."""
        overlap = self.program.overlap
        first, second = a.state.entry, b.state.entry
        if first is second:
            return f"{self._entry(a)} runs in one context, one run at a time"
        for access, other in ((a, b), (b, a)):
            if overlap.at_startup(access, other):
                return f"{self._entry(access)} runs before everything else"
        if first.exclusive and second.exclusive and first.lane == second.lane and first.lane:
            return f"{self._entry(a)} and {self._entry(b)} run one after the other"
        kinds = {first.kind, second.kind}
        if kinds == {"main"}:
            return "both run in the main thread"
        if "any" not in kinds:
            for access, other in ((a, b), (b, a)):
                if overlap.before(access, other.state.entry):
                    return f"one comes before {self._entry(other)} is started, or after it has ended"
        if kinds <= {"event-loop", "main"}:
            return "the event loop runs in the thread that the other one runs in"
        return "racelint sees nothing that lets them run at the same time"

    def _entry(self, access: Reached) -> str:
        return _short(self.program.world.symbols.functions[access.state.entry.target.name].display)

    def _harmless(self, a: Reached, b: Reached) -> str:
        """What is said of two accesses that may meet and make no pattern of a race."""
        writes = [access.touch for access in (a, b) if access.touch.effect in MUTATING]
        if all(touch.effect == "rebind" and self.flows[touch.fid].is_constant(touch.value) for touch in writes):
            return CONSTANT
        if not a.touch.content and not b.touch.content:
            return "a name is read or bound in one step: who reads it sees the old value or the new one"
        if a.touch.content != b.touch.content:
            return "one reads or binds the name, the other works on the object it holds: each is one step"
        if a.touch.effect in MUTATING and b.touch.effect in MUTATING:
            return "each is one step, and done in the other order it comes to the same"
        return "each is one step in CPython, and nothing done later relies on what was read"


def site(access: Reached) -> Site:
    """Where an access stands: its function and line."""
    return access.touch.fid, access.touch.line


def _telling(accesses: list[Reached]) -> list[Reached]:
    """The accesses of one line without the look at the name that what is done to the content begins with."""
    content = any(access.touch.content for access in accesses)
    return [access for access in accesses if not content or access.touch.content or access.touch.effect in MUTATING]


def _short(name: str) -> str:
    """The last two parts of a dotted name."""
    return ".".join(name.split(".")[-2:])


def _alone(access: Reached) -> frozenset[Site]:
    return frozenset((site(access),))


def _weight(verdict: Verdict) -> tuple[int, int]:
    """Which of several ways to a pair counts: the one that is least apart, and of these what is done to the content."""
    return KINDS.index(verdict.kind), verdict.first.touch.content + verdict.second.touch.content


def _nearest(access: Reached) -> tuple[int, int, int]:
    return (access.state.doubt, access.state.depth, access.touch.event)
