"""From findings to changed files that are proved: analysed again with the edits in, the races are gone, none is new."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from racelint.config import Settings
from racelint.fix.edit import Held, NotPlaced, edit
from racelint.fix.plan import Plan, Planner
from racelint.fix.safety import Safety
from racelint.fix.write import Change
from racelint.model.findings import Finding, Result
from racelint.pipeline import Loaded, Progress, judge, load, parse, with_deep_stack

Wanted = Callable[[Finding], bool]


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan that can be applied: ``doubts`` are why a reader has to look at it first (none: it is safe)."""

    plan: Plan
    doubts: tuple[str, ...]

    @property
    def applicability(self) -> Literal["safe", "unsafe"]:
        """Whether ``--fix`` alone applies it."""
        return "unsafe" if self.doubts else "safe"


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
    project: Path, settings: Settings, wanted: Wanted, *, unsafe: bool = False, progress: Progress | None = None
) -> Mended:
    """Plan, edit and prove the fixes for the findings that ``wanted`` picks."""
    return with_deep_stack(lambda: _mend(load(project, settings, progress), settings, wanted, unsafe, progress))


def _mend(loaded: Loaded, settings: Settings, wanted: Wanted, unsafe: bool, progress: Progress | None) -> Mended:
    program, before = judge(loaded, settings, progress)
    sources = {item.file.display: item.source for item in loaded.extracted}
    places = {finding.place for finding in before.findings if finding.suppressed is None and wanted(finding)}
    planner = Planner(program, {item.file.display: "\n".join(item.text) for item in loaded.extracted})
    safety = Safety(program)
    offers: list[Offer] = []
    left: list[Left] = []
    for plan in planner.plans(race for race in program.races if race.name in places):
        offer = _offer(plan, sources, safety)
        if isinstance(offer, Left):
            left.append(offer)
        elif offer.doubts and not unsafe:
            left.append(Left(plan.place, f"needs --unsafe-fixes: {offer.doubts[0]}"))
        else:
            offers.append(offer)
    proof = _Proof(loaded, settings, wanted, sources, before)
    done, refused = proof.largest(offers)
    new, after = proof.state(done)
    left.extend(refused)
    paths = {item.file.display: item.file.path for item in loaded.extracted}
    changes = tuple(Change(paths[path], path, sources[path], text) for path, text in sorted(new.items()))
    return Mended(changes, tuple(done), tuple(sorted(left, key=lambda item: item.place)), before, after)


def _offer(plan: Plan, sources: Mapping[str, bytes], safety: Safety) -> Offer | Left:
    """A plan that has been tried on the files it touches, or why it cannot be."""
    if plan.refused:
        return Left(plan.place, plan.refused)
    try:
        held = _held(plan, sources)
    except NotPlaced as error:
        return Left(plan.place, str(error))
    verdict = safety.judge(plan, held)
    if verdict.refused:
        return Left(plan.place, verdict.refused)
    if verdict.reentrant and plan.made is not None:
        plan = replace(plan, made=replace(plan.made, reentrant=True))
    return Offer(plan, verdict.doubts)


def _held(plan: Plan, sources: Mapping[str, bytes]) -> list[Held]:
    return [held for path in sorted(plan.paths) for held in edit(sources[path], path, [plan])[1]]


class _Proof:
    """Analyses the project with edits in it."""

    def __init__(
        self, loaded: Loaded, settings: Settings, wanted: Wanted, sources: Mapping[str, bytes], before: Result
    ) -> None:
        self.loaded = loaded
        self.settings = settings
        self.wanted = wanted
        self.sources = sources
        self.before = before
        self.known = {finding.fingerprint for finding in before.findings}
        self._states: dict[tuple[str, ...], tuple[dict[str, bytes], Result]] = {(): ({}, before)}

    def largest(self, offers: Sequence[Offer]) -> tuple[list[Offer], list[Left]]:
        """The offers that hold together: all of them, or those that do when they are added one by one."""
        if not offers or not self._trouble(offers, offers):
            return list(offers), []
        kept: list[Offer] = []
        refused: list[Left] = []
        for offer in offers:
            trouble = self._trouble([*kept, offer], [offer])
            if trouble:
                refused.append(Left(offer.plan.place, trouble))
            else:
                kept.append(offer)
        return kept, refused

    def _trouble(self, offers: Sequence[Offer], proved: Sequence[Offer]) -> str:
        """What is wrong once ``offers`` are applied: a finding of a mended place that stays, or a new one."""
        try:
            _, after = self.state(offers)
        except NotPlaced as error:
            return str(error)
        mended = {offer.plan.place for offer in proved}
        for finding in after.findings:
            if finding.suppressed is not None or not self.wanted(finding):
                continue
            where = f"{finding.sides[0].path}:{finding.sides[0].line}"
            if finding.place in mended:
                return f"with the lock in, {finding.rule} at {where} would still be there"
            if finding.fingerprint not in self.known:
                return f"with the lock in, there would be a new {finding.rule} at {where}"
        if len(after.problems) > len(self.before.problems):
            problem = next(problem for problem in after.problems if problem not in self.before.problems)
            return f"with the lock in, {problem.path}:{problem.line} would have a problem: {problem.message}"
        return ""

    def state(self, offers: Iterable[Offer]) -> tuple[dict[str, bytes], Result]:
        """The changed files and the findings once ``offers`` are applied. Raises NotPlaced."""
        plans = [offer.plan for offer in offers]
        key = tuple(plan.place for plan in plans)
        if key not in self._states:
            paths = sorted({path for plan in plans for path in plan.paths})
            new = {path: edit(self.sources[path], path, plans)[0] for path in paths}
            extracted = tuple(
                parse(item.file, new[item.file.display]) if item.file.display in new else item
                for item in self.loaded.extracted
            )
            problems = {item.problem for item in extracted if item.problem is not None}
            loaded = replace(self.loaded, extracted=extracted, problems=tuple({*self.loaded.problems, *problems}))
            self._states[key] = (new, judge(loaded, self.settings)[1])
        return self._states[key]
