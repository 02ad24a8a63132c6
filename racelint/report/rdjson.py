"""Reviewdog's diagnostic format: https://github.com/reviewdog/reviewdog/tree/master/proto/rdf."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from racelint.model.findings import Edit, Finding, Fix, Result, Severity, Side
from racelint.model.source import Problem
from racelint.report.json import dumps
from racelint.report.markdown import prose
from racelint.report.text import Sources, deed, problem_severity, safe, statement
from racelint.select import reported

SEVERITIES: dict[Severity, str] = {"error": "ERROR", "warning": "WARNING", "note": "INFO"}


def render(result: Result, sources: Sources) -> str:
    """The findings that are not suppressed, and the problems. Messages become comments, so they are Markdown."""
    diagnostics = [
        *(_finding(finding, sources) for finding in reported(result.findings)),
        *(_problem(problem) for problem in result.problems),
    ]
    return dumps({"source": {"name": "racelint"}, "diagnostics": diagnostics})


def _finding(finding: Finding, sources: Sources) -> dict[str, Any]:
    first, *others = finding.sides
    return {
        "message": prose(statement(finding)),
        "location": _location(first, sources),
        "severity": SEVERITIES[finding.severity],
        "code": {"value": safe(finding.rule)},
        "suggestions": _suggestions(finding.fix, first.path, sources.get(first.path, ())),
        "related_locations": [{"message": prose(deed(side)), "location": _location(side, sources)} for side in others],
    }


def _location(side: Side, sources: Sources) -> dict[str, Any]:
    lines = sources.get(side.path, ())
    start, end = _position(side.line, side.column, lines), _position(side.end_line, side.end_column, lines)
    return {"path": safe(side.path), "range": {"start": start, "end": end}}


def _position(line: int, column: int, lines: Sequence[str]) -> dict[str, int]:
    """Columns count bytes of UTF-8 here."""
    before = lines[line - 1][: column - 1] if 0 < line <= len(lines) else ""
    wider = len(before.encode("utf-8", "surrogatepass")) - len(before)
    return {"line": line, "column": column + wider}


def _suggestions(fix: Fix | None, path: str, lines: Sequence[str]) -> list[dict[str, Any]]:
    """The fix as one replacement of whole lines.

    The format has no way to say "these together" or "in another file", and half a fix is none; such fixes are left to
    ``racelint check --fix``. So are those around code with hidden characters: somebody reads a suggestion and takes it.
    """
    edits = sorted(fix.edits, key=lambda edit: (edit.start_line, edit.start_column)) if fix else []
    if not edits or any(edit.path != path for edit in edits):
        return []
    first, last = edits[0].start_line, max(edits[0].start_line, _last_line(edits[-1]))
    if last > len(lines):
        return []
    newline = "\r\n" if any("\r\n" in edit.text for edit in edits) else "\n"
    source = [f"{line}{newline}" for line in lines]
    text, done = "", (first, 1)
    for edit in edits:
        text += _between(source, done, (edit.start_line, edit.start_column)) + edit.text
        done = (edit.end_line, edit.end_column)
    text += _between(source, done, (last + 1, 1))
    text = text.removesuffix("\n").removesuffix("\r")
    visible = re.sub(r"\t|\r?\n", "", text)
    if visible != safe(visible):
        return []
    return [{"range": {"start": {"line": first}, "end": {"line": last}}, "text": text}]


def _last_line(edit: Edit) -> int:
    """The last line that an edit changes: it may end before the first column of the next one."""
    return edit.end_line - 1 if edit.end_column == 1 and edit.end_line > edit.start_line else edit.end_line


def _between(source: Sequence[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """What stands between two positions (line and column, from 1) of lines with their ends."""
    if start >= end:
        return ""
    (line, column), (end_line, end_column) = start, end
    whole = "".join(source[line - 1 : end_line - 1])
    rest = source[end_line - 1][: end_column - 1] if end_line <= len(source) else ""
    return (whole + rest)[column - 1 :]


def _problem(problem: Problem) -> dict[str, Any]:
    where = {"range": {"start": {"line": problem.line}}} if problem.line else {}
    return {
        "message": prose(problem.message),
        "location": {"path": safe(problem.path), **where},
        "severity": SEVERITIES[problem_severity(problem)],
        "code": {"value": safe(problem.rule)},
    }
