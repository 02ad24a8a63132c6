"""Annotations of GitHub Actions: workflow commands, one a line, within what the runner shows.

The form is that of https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands; the escapes are
those that the runner takes back (actions/runner, src/Runner.Common/ActionCommand.cs).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from racelint.model.findings import Finding, Result, Severity
from racelint.model.source import Problem
from racelint.report.text import Sources, context_words, deed, location, message, problem_severity, safe, short, summary
from racelint.select import gravest_first

# Of each kind one step shows the first ten: https://github.com/orgs/community/discussions/26680.
SHOWN_OF_A_KIND = 10
KINDS: dict[Severity, str] = {"error": "error", "warning": "warning", "note": "notice"}


@dataclass(frozen=True, slots=True)
class _Annotation:
    kind: str
    properties: dict[str, str]
    message: str

    def __str__(self) -> str:
        properties = ",".join(f"{name}={_property(value)}" for name, value in self.properties.items())
        return f"::{self.kind} {properties}::{_data(self.message)}"


def render(result: Result, sources: Sources | None = None) -> str:
    """The gravest and surest findings of each kind as annotations, then problems while there is room, then a summary.

    ``sources`` are not needed.
    """
    wanted = [
        *(_finding(finding) for finding in gravest_first(result.findings)),
        *(_problem(problem) for problem in result.problems),
    ]
    seen: Counter[str] = Counter()
    shown = []
    for annotation in wanted:
        seen[annotation.kind] += 1
        if seen[annotation.kind] <= SHOWN_OF_A_KIND:
            shown.append(annotation)
    rest = len(wanted) - len(shown)
    left = f"; {rest} not annotated, as a step shows {SHOWN_OF_A_KIND} of each kind" if rest else ""
    return "".join(f"{line}\n" for line in (*shown, f"{summary(result)}{left}"))


def _finding(finding: Finding) -> _Annotation:
    side = finding.sides[0]
    properties = {"file": safe(side.path), "line": str(side.line), "endLine": str(side.end_line)}
    if side.line == side.end_line:  # columns of several lines are refused
        properties |= {"col": str(side.column), "endColumn": str(side.end_column)}
    properties["title"] = f"racelint {safe(finding.rule)} ({safe(finding.code)})"
    return _Annotation(KINDS[finding.severity], properties, "\n".join(_lines(finding)))


def _lines(finding: Finding) -> Iterator[str]:
    yield safe(message(finding))
    for side in finding.sides:
        entry = f"{context_words(side)}: {safe(short(side.context.entry))}"
        yield f"{location(side.path, side.line)}: {deed(side)}, in {entry}"
    if finding.consequence:
        yield f"In production: {safe(finding.consequence)}"
    if finding.help:
        yield f"Help: {safe(finding.help)}"


def _problem(problem: Problem) -> _Annotation:
    line = {"line": str(problem.line)} if problem.line else {}
    properties = {"file": safe(problem.path), **line, "title": f"racelint {safe(problem.rule)}"}
    return _Annotation(KINDS[problem_severity(problem)], properties, safe(problem.message))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
