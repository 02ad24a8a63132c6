"""Compares a report with what is known about a bug. Pure functions of JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.tool import shown

Json = dict[str, Any]
NEAR = 3
_SPLIT = re.compile(r"/|,|;|\band\b|\bvs\b")
_MANGLED = re.compile(r"_+[A-Za-z0-9][A-Za-z0-9_]*?__(?P<name>[A-Za-z0-9_]+)")


@dataclass(frozen=True, slots=True)
class Score:
    """What a pair of reports shows for one bug; ``quiet`` is None when nothing was named."""

    hit: bool
    named: bool
    quiet: bool | None
    rules: tuple[str, ...] = ()


def variable_names(variable: str) -> frozenset[str]:
    """The bare names in the description of a bug's variable: ``Client._last_mid (int) / x`` gives last_mid and x."""
    found = set()
    for part in _SPLIT.split(re.sub(r"\([^)]*\)", " ", variable)):
        words = re.sub(r"\[[^\]]*\]", " ", part).split()
        if words:
            found.add(bare(words[-1].rpartition(".")[2]))
    return frozenset(found - {""})


def bare(name: str) -> str:
    """A name without leading underscores."""
    return name.lstrip("_")


def place_names(place: str) -> frozenset[str]:
    """The names a place may answer to: its last component, also with name mangling taken back."""
    last = re.sub(r"\[[^\]]*\]", "", place).rpartition(".")[2]
    mangled = _MANGLED.fullmatch(last)
    return frozenset({bare(last)} | ({bare(mangled["name"])} if mangled else set()))


def is_about(finding: Json, names: Iterable[str]) -> bool:
    """True if the finding's place ends in one of the names."""
    return not place_names(finding["place"]).isdisjoint(names)


def in_file(side: Json, file: str) -> bool:
    """True if a side lies in the file; a release may have its packages below ``src/``."""
    return str(side["path"]).removeprefix("src/") == file.removeprefix("src/")


def is_hit(finding: Json, bug: Json) -> bool:
    """True if a side of the finding is in the bug's file, near a listed line."""
    return any(
        in_file(side, bug["file"]) and abs(side["line"] - line) <= NEAR
        for side in finding["sides"]
        for line in bug["lines"]
    )


def score(bug: Json, buggy: Json, fixed: Json) -> Score:
    """Judge the reports on the buggy and the fixed release of a bug."""
    names = variable_names(bug["variable"])
    hits = [finding for finding in shown(buggy) if is_hit(finding, bug)]
    named = [finding for finding in hits if is_about(finding, names)]
    rules = {finding["rule"] for finding in named}
    left = [
        finding
        for finding in shown(fixed)
        if finding["rule"] in rules
        and is_about(finding, names)
        and any(in_file(side, bug["file"]) for side in finding["sides"])
    ]
    return Score(
        hit=bool(hits),
        named=bool(named),
        quiet=not left if named else None,
        rules=tuple(sorted(rules or {finding["rule"] for finding in hits})),
    )


def share(part: int, whole: int) -> str:
    """``18/30 (60 %)``."""
    return f"{part}/{whole} ({round(100 * part / whole)} %)" if whole else "0/0"


def totals(scores: Iterable[Score]) -> str:
    """One line over many scores; quiet counts among the named."""
    all_scores = list(scores)
    named = [one for one in all_scores if one.named]
    return ", ".join(
        (
            f"hit {share(sum(one.hit for one in all_scores), len(all_scores))}",
            f"named {share(len(named), len(all_scores))}",
            f"quiet {share(sum(one.quiet is True for one in named), len(named))} of those named",
        )
    )
