"""Which of the findings are shown, which of them fail the run, and how many there are of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import pathspec

from racelint.config import Settings
from racelint.model.findings import CONFIDENCES, SEVERITIES, EntryPointInfo, Finding, Fix, Result, Severity

Wanted = Callable[[Finding], bool]
Narrow = Callable[[Result], Result]


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How many findings of one rule and severity there are, suppressed ones not counted."""

    rule: str
    code: str
    severity: Severity
    count: int


def narrow(result: Result, settings: Settings, paths: Collection[str] = ()) -> Result:
    """The result with only the findings that are to be shown; suppressed ones stay in, marked.

    ``paths`` are files or folders relative to the project (``""`` is the project); none means all.
    """
    return replace(
        result,
        findings=tuple(finding for finding in result.findings if is_asked_for(finding, settings, paths)),
    )


def left_out(before: Result, narrow: Narrow) -> frozenset[str]:
    """The fingerprints of what was found before any edit and is not what the run is about.

    They are said by fingerprints because what narrows may go by lines, and edits move those.
    """
    kept = {finding.fingerprint for finding in narrow(before).findings}
    return frozenset(finding.fingerprint for finding in before.findings) - kept


def offered(found: Result, fixes: Mapping[str, Fix]) -> Result:
    """What is found, with the fixes of the places."""
    return replace(found, findings=tuple(replace(finding, fix=fixes.get(finding.place)) for finding in found.findings))


def is_asked_for(finding: Finding, settings: Settings, paths: Collection[str] = ()) -> bool:
    """Whether the finding's rule, its gravity and its files are what the run is about."""
    return is_selected(finding, settings) and is_grave(finding, settings) and touches(finding, paths)


def is_selected(finding: Finding, settings: Settings) -> bool:
    """Whether the finding's rule is wanted, in general and in the file where to act."""
    names = {finding.rule, finding.code}
    wanted = (not settings.select or not names.isdisjoint(settings.select)) and names.isdisjoint(settings.ignore)
    return wanted and not any(
        matches(finding.sides[0].path, pattern)
        for pattern, rules in settings.per_file_ignores
        if not names.isdisjoint(rules)
    )


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern of ``per-file-ignores`` is about a file."""
    return _spec(pattern.removeprefix("!")).match_file(path) != pattern.startswith("!")


@lru_cache
def _spec(pattern: str) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines([pattern])


def is_grave(finding: Finding, settings: Settings) -> bool:
    """Whether severity and confidence are high enough to be shown."""
    return at_least(finding.severity, settings.min_severity, SEVERITIES) and at_least(
        finding.confidence, settings.min_confidence, CONFIDENCES
    )


def at_least(value: str, bound: str, order: Sequence[str]) -> bool:
    """Whether ``value`` stands at or after ``bound`` in ``order``."""
    return order.index(value) >= order.index(bound)


def touches(finding: Finding, paths: Collection[str]) -> bool:
    """Whether a side, a call on the way to it, or the start of its context lies in one of ``paths``."""
    return not paths or any(
        inside(path, paths)
        for side in finding.sides
        for path in (side.path, side.context.path, *(step.path for step in side.trace))
    )


def inside(path: str, paths: Collection[str]) -> bool:
    """Whether ``path`` is one of ``paths`` or below one of them."""
    return any(not folder or path == folder or path.startswith(f"{folder}/") for folder in paths)


def entry_points(result: Result, paths: Collection[str] = ()) -> tuple[EntryPointInfo, ...]:
    """The entry points that become concurrent in one of ``paths``; none means all."""
    return tuple(info for info in result.entry_points if not paths or inside(info.path, paths))


def reported(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that no comment silences."""
    return tuple(finding for finding in findings if finding.suppressed is None)


def gravest_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that no comment silences, the gravest first, and of one severity the surest first."""

    def rank(finding: Finding) -> tuple[int, int]:
        return -SEVERITIES.index(finding.severity), -CONFIDENCES.index(finding.confidence)

    return tuple(sorted(reported(findings), key=rank))


def failing(findings: Iterable[Finding], settings: Settings) -> tuple[Finding, ...]:
    """The findings that make the run fail."""
    return tuple(finding for finding in reported(findings) if at_least(finding.severity, settings.fail_on, SEVERITIES))


def by_severity(findings: Iterable[Finding]) -> dict[str, int]:
    """The number of findings per severity, gravest first; severities without any are left out."""
    counts = Counter(finding.severity for finding in reported(findings))
    return {severity: counts[severity] for severity in reversed(SEVERITIES) if counts[severity]}


def by_rule(findings: Iterable[Finding]) -> dict[str, int]:
    """The number of findings per rule name, in order of the name."""
    return dict(sorted(Counter(finding.rule for finding in reported(findings)).items()))


def statistics(findings: Iterable[Finding]) -> tuple[RuleCount, ...]:
    """Findings counted by rule and severity, the most frequent first."""
    counts = Counter((finding.rule, finding.code, finding.severity) for finding in reported(findings))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(RuleCount(rule, code, severity, count) for (rule, code, severity), count in ordered)
