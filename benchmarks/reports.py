"""Reads racelint's reports back, strictly: in which file each finding of a report lies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from racelint.rules import all_rules

HEADLINE = re.compile(r"(?P<path>.+?):\d+:\d+: (?:error|warning|note)\[[a-z-]+\] .+")
ANNOTATION = re.compile(r"::(?:error|warning|notice) (?P<properties>[^:]+)::.+")
FINDING_TITLE = re.compile(r"racelint [a-z-]+ \(RL\d+\)")
SUMMARY = re.compile(r"(?:(?P<count>\d+) findings? \([^)]+\)|no findings)(?:, \d+ suppressed)? in \d+ files?\b.*")


class ReportError(ValueError):
    """A report that is not in the form it should be in; the message says where."""


def paths(form: str, text: str) -> list[str]:
    """The path of each finding's first side, in the order of the report. Raises ReportError.

    Problems and suppressed findings do not count.
    """
    try:
        return list(READERS[form](text))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ReportError(f"no {form} report: {error!r}") from error


def _full(text: str) -> Iterator[str]:
    lines, count = _before_summary(text)
    return _counted([_headline(line) for line in lines if line and not line.startswith(" ")], count)


def _concise(text: str) -> Iterator[str]:
    lines, count = _before_summary(text)
    return _counted([_headline(line) for line in lines], count)


def _github(text: str) -> Iterator[str]:
    lines, count = _before_summary(text)
    annotations = [_annotation(line) for line in lines]
    found = [each["file"] for each in annotations if FINDING_TITLE.fullmatch(each["title"])]
    return _counted(found, count)


def _json(text: str) -> Iterator[str]:
    report = json.loads(text)
    if report["version"] != 1:
        raise ValueError(f"version {report['version']!r}")
    for finding in report["findings"]:
        if finding["suppressed"] is None:
            yield finding["sides"][0]["path"]


def _sarif(text: str) -> Iterator[str]:
    log = json.loads(text)
    if log["version"] != "2.1.0":
        raise ValueError(f"version {log['version']!r}")
    (run,) = log["runs"]
    for result in run["results"]:
        if not result.get("suppressions"):
            yield unquote(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])


def _gitlab(text: str) -> Iterator[str]:
    rules = {rule.name for rule in all_rules()}
    issues = json.loads(text)
    prints = [issue["fingerprint"] for issue in issues]
    if len(set(prints)) < len(prints):
        raise ValueError("two issues have one fingerprint")
    for issue in issues:
        path = issue["location"]["path"]
        if issue["check_name"] in rules:
            yield path


READERS: Mapping[str, Callable[[str], Iterator[str]]] = MappingProxyType(
    {"full": _full, "concise": _concise, "github": _github, "sarif": _sarif, "gitlab": _gitlab, "json": _json}
)


def _before_summary(text: str) -> tuple[list[str], int]:
    """The lines before the summary, and how many findings that counts."""
    *lines, last, end = text.split("\n")
    summary = SUMMARY.fullmatch(last)
    if end or not summary:
        raise ValueError(f"the last line is no summary: {end or last!r}")
    return lines, int(summary["count"] or 0)


def _counted(found: list[str], count: int) -> Iterator[str]:
    if len(found) != count:
        raise ValueError(f"{len(found)} shown and {count} counted")
    return iter(found)


def _headline(line: str) -> str:
    match = HEADLINE.fullmatch(line)
    if not match:
        raise ValueError(f"no finding: {line!r}")
    return match["path"]


def _annotation(line: str) -> dict[str, Any]:
    match = ANNOTATION.fullmatch(line)
    if not match:
        raise ValueError(f"no annotation: {line!r}")
    return {name: unquote(value) for name, _, value in (pair.partition("=") for pair in match["properties"].split(","))}
