"""From findings to changed files that are proved: analysed again with the edits in, the races are gone, none is new."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from racelint import select
from racelint.analysis import enforce, lock_order
from racelint.analysis.program import Program
from racelint.analysis.walk import Reached
from racelint.config import Settings
from racelint.files import leads_outside
from racelint.fix.edit import edit, holds
from racelint.fix.plan import Plan, Planner
from racelint.fix.regions import NotPlaced
from racelint.fix.safety import Doubt, Safety, Verdict
from racelint.fix.tasks import TaskPlanner
from racelint.fix.write import OUTSIDE, Change, replacements
from racelint.model.findings import Edit, Fix, Result
from racelint.pipeline import Loaded, judge, load
from racelint.reading import Extracted, Progress, Read, parse, read_all
from racelint.select import Narrow, Wanted
from racelint.stack import with_deep_stack

_T = TypeVar("_T")
# A plan that did not go with the others may go once they are in; each round mends a place or is the last.
ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan that can be applied: ``doubts`` are why a reader has to look at it first (none: it is safe).

    ``otherwise`` is offered when this one does not hold.
    """

    plan: Plan
    doubts: tuple[Doubt, ...]
    otherwise: Offer | None = None

    @property
    def applicability(self) -> Literal["safe", "unsafe"]:
        """Whether ``--fix`` alone applies it."""
        return "unsafe" if self.doubts else "safe"

    @property
    def title(self) -> str:
        """What is done, and what a reader has to look at."""
        return "; but ".join((self.plan.title, *map(str, self.doubts[:1])))


@dataclass(frozen=True, slots=True)
class Left:
    """A place that stays as it is, and why."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mended:
    """What a run of fixes comes to; nothing is written yet. ``after`` are the findings once it is."""

    changes: tuple[Change, ...]
    done: tuple[Offer, ...]
    left: tuple[Left, ...]
    before: Result
    after: Result


def mend(
    project: Path,
    settings: Settings,
    wanted: Wanted,
    *,
    unsafe: bool = False,
    progress: Progress | None = None,
    narrow: Narrow | None = None,
    read: Read = read_all,
) -> Mended:
    """Plan, edit and prove the fixes for the findings that ``wanted`` picks, of those that ``narrow`` leaves."""

    def work() -> Mended:
        loaded = load(project, settings, progress, read)
        program, before = judge(loaded, settings, progress)
        return mended(loaded, program, before, settings, wanted, unsafe=unsafe, progress=progress, narrow=narrow)

    return with_deep_stack(work)


def mended(
    loaded: Loaded,
    program: Program,
    before: Result,
    settings: Settings,
    wanted: Wanted,
    *,
    unsafe: bool = False,
    progress: Progress | None = None,
    narrow: Narrow | None = None,
    consulted: set[str] | None = None,
) -> Mended:
    """``mend`` for a program that has been judged; to be run by ``with_deep_stack``.

    ``consulted`` gets the paths of the files whose text had a part in it.
    """
    consulted = set() if consulted is None else consulted
    about = _among(before, wanted, narrow)
    original = {item.file.display: item for item in loaded.extracted}
    done: list[Offer] = []
    changed: set[str] = set()
    after = before
    left: tuple[Left, ...] = ()
    for _ in range(ROUNDS):
        attempt = _attempt(loaded, program, after, settings, about, unsafe, consulted)
        left = attempt.left
        if not attempt.done:
            break
        done.extend(attempt.done)
        changed.update(*(offer.plan.paths for offer in attempt.done))
        loaded, after = attempt.proof.state(attempt.done)
        if not attempt.left:
            break
        program, after = judge(loaded, settings, progress)
    now = {item.file.display: item for item in loaded.extracted}
    changes = tuple(
        Change(original[path].file.path, path, original[path].source, now[path].source) for path in sorted(changed)
    )
    return Mended(changes, tuple(done), left, before, after)


def _among(before: Result, wanted: Wanted, narrow: Narrow | None) -> Wanted:
    """``wanted``, without what ``narrow`` leaves out of the findings before any edit."""
    if narrow is None:
        return wanted
    out = select.left_out(before, narrow)
    return lambda finding: wanted(finding) and finding.fingerprint not in out


def with_fixes(
    project: Path,
    settings: Settings,
    wanted: Wanted,
    progress: Progress | None = None,
    *,
    narrow: Narrow | None = None,
    read: Read = read_all,
) -> Result:
    """What is found, each finding that ``wanted`` picks with the edits that would mend its place, or why none would.

    The edits of a finding stand alone; all of them together have been proved. Nothing is written. ``narrow`` leaves out
    findings by the whole of what was found.
    """

    def work() -> Result:
        started = time.monotonic()
        loaded = load(project, settings, progress, read)
        program, found = judge(loaded, settings, progress)
        fixed = select.offered(found, fixes(loaded, program, found, settings, wanted, narrow=narrow))
        return replace(fixed, elapsed_s=time.monotonic() - started)

    return with_deep_stack(work)


def fixes(
    loaded: Loaded,
    program: Program,
    found: Result,
    settings: Settings,
    wanted: Wanted,
    *,
    narrow: Narrow | None = None,
    consulted: set[str] | None = None,
) -> dict[str, Fix]:
    """What would mend each place, or why nothing does; to be run by ``with_deep_stack``, see ``mended``."""
    consulted = set() if consulted is None else consulted
    attempt = _attempt(loaded, program, found, settings, _among(found, wanted, narrow), True, consulted)
    known = {left.place: Fix("display", left.reason) for left in attempt.left}
    for offer in attempt.done:
        known[offer.plan.place] = Fix(offer.applicability, offer.title, attempt.proof.edits(offer))
    return known


@dataclass(frozen=True, slots=True)
class _Attempt:
    """The offers that hold together, what is left alone, and the proof."""

    done: tuple[Offer, ...]
    left: tuple[Left, ...]
    proof: _Proof


class _Noting(dict[str, _T]):
    """A dictionary that notes which of its keys are asked for."""

    def __init__(self, items: Iterable[tuple[str, _T]], asked: set[str]) -> None:
        super().__init__(items)
        self._asked = asked

    def __getitem__(self, key: str) -> _T:
        self._asked.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._asked.add(key)
        return super().get(key, default)


def _attempt(
    loaded: Loaded,
    program: Program,
    before: Result,
    settings: Settings,
    wanted: Wanted,
    unsafe: bool,
    consulted: set[str],
) -> _Attempt:
    """One round of plans for what is found ``before``, proved together."""
    sources = _Noting(((item.file.display, item.source) for item in loaded.extracted), consulted)
    places = {finding.place for finding in before.findings if finding.suppressed is None and wanted(finding)}
    texts = _Noting(((item.file.display, "\n".join(item.text)) for item in loaded.extracted), consulted)
    races = [race for race in (*program.races, *enforce.races(program.breaches)) if race.name in places]
    of_threads = {race.name for race in races if race.gap == 0}
    plans = [
        *Planner(program, texts).plans(race for race in races if race.name in of_threads),
        *TaskPlanner(program, texts).plans(race for race in races if race.name not in of_threads),
    ]
    safety = Safety(program)
    offers: list[Offer] = []
    left = _without_edit(before, places - {race.name for race in races}, wanted)
    files = {item.file.display: item.file for item in loaded.extracted}
    for plan in plans:
        away = next((path for path in sorted(plan.paths) if path in files and leads_outside(files[path])), None)
        offer = Left(plan.place, f"{away} {OUTSIDE}") if away else _offer(plan, sources, safety)
        if isinstance(offer, Left):
            left.append(offer)
        elif offer.doubts and not unsafe:
            left.append(Left(plan.place, f"needs --unsafe-fixes: {offer.doubts[0]}"))
        else:
            offers.append(offer)
    proof = _Proof(loaded, settings, wanted, sources, program, before)
    done, refused = proof.largest(offers)
    return _Attempt(tuple(done), tuple(sorted([*left, *refused], key=lambda item: item.place)), proof)


def _without_edit(found: Result, places: set[str], wanted: Wanted) -> list[Left]:
    """The places of findings for which no edit is known at all, with what to do instead."""
    reasons = {
        finding.place: f"no edit is known that keeps the meaning: {finding.help}"
        for finding in reversed(found.findings)
        if finding.place in places and finding.suppressed is None and wanted(finding)
    }
    return [Left(place, reason) for place, reason in reasons.items()]


def _offer(plan: Plan, sources: Mapping[str, bytes], safety: Safety) -> Offer | Left:
    """A plan that has been tried on the files it touches, or why it cannot be."""
    if plan.refused:
        return Left(plan.place, plan.refused)
    try:
        verdict = _tried(plan, sources, safety)
    except NotPlaced as error:
        return Left(plan.place, str(error))
    plan, verdict = _quicker(plan, verdict, sources, safety)
    if verdict.refused:
        return Left(plan.place, verdict.refused)
    if verdict.reentrant and plan.made is not None:
        plan = replace(plan, made=replace(plan.made, reentrant=True))
    offer = Offer(plan, verdict.doubts)
    if plan.container:
        single = replace(plan, lock="", made=None, imports=(), twice=False, slow=frozenset())
        try:
            return Offer(single, _tried(single, sources, safety).doubts, otherwise=offer)
        except NotPlaced:
            pass
    return offer


def _quicker(plan: Plan, verdict: Verdict, sources: Mapping[str, bytes], safety: Safety) -> tuple[Plan, Verdict]:
    """The plan, or one that keeps what is slow out of the lock, or out of the way of those who find the work done."""
    if not verdict.doubts:
        return plan, verdict
    apart = replace(plan, slow=frozenset((doubt.path, doubt.line) for doubt in verdict.doubts))
    for other in (replace(apart, twice=True), apart) if plan.lazy else (apart,):
        try:
            tried = _tried(other, sources, safety)
        except NotPlaced:
            continue
        if not tried.refused and (other.twice or len(tried.doubts) < len(verdict.doubts)):
            return other, tried
    return plan, verdict


def _tried(plan: Plan, sources: Mapping[str, bytes], safety: Safety) -> Verdict:
    """What the statements do that a plan holds. Raises NotPlaced."""
    return safety.judge(plan, [held for path in sorted(plan.paths) for held in holds(sources[path], path, [plan])])


class _Proof:
    """Analyses the project with edits in it."""

    def __init__(
        self,
        loaded: Loaded,
        settings: Settings,
        wanted: Wanted,
        sources: Mapping[str, bytes],
        program: Program,
        before: Result,
    ) -> None:
        self.loaded = loaded
        self.settings = settings
        self.wanted = wanted
        self.sources = sources
        self.before = before
        self.known = {finding.fingerprint for finding in before.findings}
        self._own_fault: set[str] = set()
        self._reached: dict[tuple[str, ...], tuple[Reached, ...]] = {(): (*program.reached, *program.declared)}
        self._states: dict[tuple[str, ...], tuple[Loaded, Result]] = {(): (loaded, before)}
        self._files: dict[tuple[object, ...], Extracted] = {}

    def largest(self, offers: Sequence[Offer]) -> tuple[list[Offer], list[Left]]:
        """The offers that hold together, and why each of the others does not.

        All are tried at once; those blamed for what goes wrong are taken out until nothing does. Where several share a
        blame, each gets a second chance by itself.
        """
        kept = list(offers)
        refused: dict[str, str] = {}
        shared: list[Offer] = []
        while kept:
            blame = self._blame(kept)
            if not blame:
                break
            second = [offer.otherwise for offer in kept if offer.plan.place in blame and offer.otherwise is not None]
            if second:
                kept = [offer if offer.plan.place not in blame else offer.otherwise or offer for offer in kept]
                continue
            refused.update(blame)
            out = [offer for offer in kept if offer.plan.place in blame]
            shared.extend(offer for offer in out if len(out) > 1 and offer.plan.place not in self._own_fault)
            kept = [offer for offer in kept if offer.plan.place not in blame]
        for offer in shared:
            if not self._blame([*kept, offer]):
                kept.append(offer)
                del refused[offer.plan.place]
        order = {offer.plan.place: position for position, offer in enumerate(offers)}
        kept.sort(key=lambda offer: order[offer.plan.place])
        return kept, [Left(place, refused[place]) for place in sorted(refused, key=order.__getitem__)]

    def _blame(self, offers: Sequence[Offer]) -> dict[str, str]:
        """What goes wrong once ``offers`` are applied, by the place whose plan is the likely cause."""
        try:
            _, after = self.state(offers)
        except NotPlaced:
            return self._unplaced(offers)
        blame: dict[str, str] = {}
        places = {offer.plan.place for offer in offers}
        for finding in after.findings:
            if finding.suppressed is not None or not self.wanted(finding):
                continue
            where = f"{finding.sides[0].path}:{finding.sides[0].line}"
            if finding.place in places:
                blame[finding.place] = f"with the lock in, {finding.rule} at {where} would still be there"
                self._own_fault.add(finding.place)
            elif finding.fingerprint not in self.known:
                causes = _causes(offers, {side.path for side in finding.sides})
                trouble = f"with the lock in, there would be a new {finding.rule} at {where}"
                blame.update((offer.plan.place, trouble) for offer in causes if offer.plan.place not in blame)
        for name in sorted(self._deadlocks(offers)):
            trouble = f"with the lock in, {name} could be waited for by who holds it"
            guilty = [offer for offer in offers if offer.plan.lock.rpartition(".")[2] == name] or offers
            blame.update((offer.plan.place, trouble) for offer in guilty if offer.plan.place not in blame)
        for problem in sorted(set(after.problems) - set(self.before.problems)):
            if len(after.problems) > len(self.before.problems):
                trouble = f"with the lock in, {problem.path}:{problem.line} would have a problem: {problem.message}"
                blame.update((offer.plan.place, trouble) for offer in _causes(offers, {problem.path}))
        return blame

    def _deadlocks(self, offers: Sequence[Offer]) -> set[str]:
        """The names of locks that wait for themselves or each other in another order, and did not before."""
        reached, earlier = self._reached[_key(offers)], self._reached[()]
        found = lock_order.taken_twice(reached) - lock_order.taken_twice(earlier)
        for group in lock_order.cycles(reached) - lock_order.cycles(earlier):
            found |= group
        return {str(slot[-1]) if isinstance(slot, tuple) else str(slot) for slot in found}

    def _unplaced(self, offers: Sequence[Offer]) -> dict[str, str]:
        """The offers that do not go into one file together with those before them."""
        fitting: list[Plan] = []
        blame: dict[str, str] = {}
        for offer in offers:
            try:
                for path in sorted(offer.plan.paths):
                    edit(self.sources[path], path, [*fitting, offer.plan])
                fitting.append(offer.plan)
            except NotPlaced as error:
                blame[offer.plan.place] = str(error)
        return blame

    def edits(self, offer: Offer) -> tuple[Edit, ...]:
        """What one offer by itself changes."""
        found: list[Edit] = []
        for path in sorted(offer.plan.paths):
            found.extend(replacements(path, self.sources[path], edit(self.sources[path], path, [offer.plan])))
        return tuple(found)

    def state(self, offers: Iterable[Offer]) -> tuple[Loaded, Result]:
        """The project and the findings once ``offers`` are applied. Raises NotPlaced."""
        offers = tuple(offers)
        plans = [offer.plan for offer in offers]
        key = _key(offers)
        if key not in self._states:
            paths = {path for plan in plans for path in plan.paths}
            extracted = tuple(
                self._edited(item, plans) if item.file.display in paths else item for item in self.loaded.extracted
            )
            problems = {item.problem for item in extracted if item.problem is not None}
            loaded = replace(self.loaded, extracted=extracted, problems=tuple({*self.loaded.problems, *problems}))
            gc.collect()  # the program of an earlier attempt
            program, result = judge(loaded, self.settings)
            self._states[key], self._reached[key] = (loaded, result), (*program.reached, *program.declared)
        return self._states[key]

    def _edited(self, item: Extracted, plans: Sequence[Plan]) -> Extracted:
        """A file with the plans in it that are about it, parsed again; what was asked before is not done again."""
        path = item.file.display
        plans = [plan for plan in plans if path in plan.paths]
        key = (path, tuple((plan.place, plan.lock) for plan in plans))
        if key not in self._files:
            self._files[key] = parse(item.file, edit(self.sources[path], path, plans))
        return self._files[key]


def _key(offers: Iterable[Offer]) -> tuple[str, ...]:
    return tuple(f"{offer.plan.place} {offer.plan.lock}" for offer in offers)


def _causes(offers: Sequence[Offer], paths: set[str]) -> Sequence[Offer]:
    """The offers that change one of these files; all of them when none does."""
    return [offer for offer in offers if paths & offer.plan.paths] or offers
