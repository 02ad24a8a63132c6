"""GitLab's Code Quality report: a JSON array of issues.

The form is that of https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format, with what the
specification it comes from adds (codeclimate/platform, spec/analyzers/SPEC.md): the other sides and a text.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from racelint.model.findings import Finding, Result, Severity, Side
from racelint.model.source import Problem
from racelint.report.json import dumps
from racelint.report.markdown import render_finding_section
from racelint.report.text import Sources, problem_severity, safe, statement
from racelint.select import reported

SEVERITIES: dict[Severity, str] = {"error": "critical", "warning": "major", "note": "info"}


def render(result: Result, sources: Sources) -> str:
    """The findings that are not suppressed, and the problems. ASCII only."""
    issues = [
        *(_finding(finding, sources) for finding in reported(result.findings)),
        *(_problem(problem) for problem in result.problems),
    ]
    return dumps(issues)


def _finding(finding: Finding, sources: Sources) -> dict[str, Any]:
    first, *others = finding.sides
    return {
        "type": "issue",
        "check_name": safe(finding.rule),
        "description": statement(finding),
        "content": {"body": render_finding_section(finding, sources).strip()},
        "categories": ["Bug Risk"],
        "severity": SEVERITIES[finding.severity],
        "fingerprint": safe(finding.fingerprint),
        "location": _location(first),
        "other_locations": [_location(side) for side in others],
    }


def _location(side: Side) -> dict[str, Any]:
    return {"path": safe(side.path), "lines": {"begin": side.line, "end": side.end_line}}


def _problem(problem: Problem) -> dict[str, Any]:
    text = safe(problem.message)
    named = "\0".join((problem.path, problem.rule, str(problem.line), problem.message))
    return {
        "type": "issue",
        "check_name": safe(problem.rule),
        "description": text,
        "categories": ["Bug Risk"],
        "severity": SEVERITIES[problem_severity(problem)],
        # GitLab shows one issue for each, so two must not be alike.
        "fingerprint": sha256(named.encode("utf-8", "backslashreplace")).hexdigest(),
        "location": {"path": safe(problem.path), "lines": {"begin": max(problem.line, 1)}},
    }
