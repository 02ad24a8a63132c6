"""SARIF 2.1.0, for code scanning and editors: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.

Where GitHub asks for more, its page says so:
https://docs.github.com/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from racelint import __version__
from racelint.model.findings import Confidence, Edit, Finding, Fix, Result, Severity, Side
from racelint.model.source import Problem
from racelint.report.json import dumps
from racelint.report.text import INTERNAL_ERROR, Sources, context_words, deed, message, problem_severity, safe, short
from racelint.rules import Rule, all_rules

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "SRCROOT"
FINGERPRINT = "racelint/v1"
RANKS: dict[Confidence, float] = {"high": 90.0, "medium": 60.0, "low": 30.0}
# GitHub's words, in properties that it reads.
GITHUB_SEVERITIES: dict[Severity, str] = {"error": "error", "warning": "warning", "note": "recommendation"}
GITHUB_PRECISION = "medium"

Object = dict[str, Any]


def render(result: Result, sources: Sources | None = None) -> str:
    """The whole result; suppressed findings are in, marked. ASCII only. ``sources`` are not needed."""
    return dumps(document(result))


def document(result: Result) -> Object:
    """The result as plain data."""
    reported = {finding.code for finding in result.findings}
    # Only rules with results: the texts of all would outweigh the results of most runs.
    rules = [rule for rule in all_rules() if rule.code in reported]
    indexes = {rule.code: index for index, rule in enumerate(rules)}
    problems = sorted({problem.rule for problem in result.problems})
    run = {
        "tool": {
            "driver": {
                "name": "racelint",
                "version": __version__,
                "rules": [_rule(rule) for rule in rules],
                "notifications": [{"id": safe(name)} for name in problems],
            }
        },
        "invocations": [
            {
                "executionSuccessful": INTERNAL_ERROR not in problems,
                "toolExecutionNotifications": [_notification(problem) for problem in result.problems],
            }
        ],
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the checkout."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, indexes[finding.code]) for finding in result.findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> Object:
    """What a viewer needs beside a result.

    There is no ``helpUri``: it must be an absolute address (GitHub refuses others), and the pages have none yet.
    """
    text = rule.documentation()
    what = _first_paragraph(text, "What it does") or _sentence(rule.summary)
    more = f"racelint explain {rule.name}"
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": _sentence(rule.summary)},
        "fullDescription": {"text": what},
        "help": {
            "text": f"{what} {_first_paragraph(text, 'Fix')} More: {more}",
            "markdown": f"{_without_examples(text)}\nMore examples: `{more}`.\n",
        },
        "defaultConfiguration": {"level": rule.severity},
        "properties": {
            "tags": ["concurrency", *(f"external/cwe/cwe-{number}" for number in rule.cwe)],
            "precision": GITHUB_PRECISION,
            "problem.severity": GITHUB_SEVERITIES[rule.severity],
        },
    }


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _first_paragraph(documentation: str, section: str) -> str:
    """The first paragraph of a section, on one line."""
    found = re.search(rf"^## {section}\n+(.+?)(?:\n\n|\Z)", documentation, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _without_examples(documentation: str) -> str:
    """The text up to the long sections of examples, which are the tests of the rule."""
    return documentation.partition("## Harmful\n")[0]


def _result(finding: Finding, index: int) -> Object:
    first, *others = finding.sides
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": finding.severity,
        "rank": RANKS[finding.confidence],
        "message": {"text": _linked(finding)},
        "locations": [_located(first)],
        "relatedLocations": [
            {"id": number, **_located(side), "message": _message(deed(side))}
            for number, side in enumerate(others, start=1)
        ],
        "codeFlows": [
            {
                "message": {"text": "How each side is reached."},
                "threadFlows": [
                    _thread(chr(ord("A") + number % 26), side) for number, side in enumerate(finding.sides)
                ],
            }
        ],
        "partialFingerprints": {FINGERPRINT: safe(finding.fingerprint)},
        "fixes": _fixes(finding.fix),
        "suppressions": _suppressions(finding.suppressed),
        "properties": {"confidence": finding.confidence, "place": safe(finding.place)},
    }


def _linked(finding: Finding) -> str:
    """The message, with a link to each of the other sides."""
    parts = [_text(message(finding))]
    for number, side in enumerate(finding.sides[1:], start=1):
        name = "the other side" if len(finding.sides) == 2 else f"another side ({number})"
        parts.append(f"[{name}]({number}): {_text(deed(side))}")
    if finding.consequence:
        parts.append(f"In production: {_text(finding.consequence)}")
    if finding.help:
        parts.append(f"Help: {_text(finding.help)}")
    return "\n".join(parts)


def _text(text: str) -> str:
    """Text in which no consumer finds a link or a placeholder (sections 3.11.5 and 3.11.6)."""
    return safe(text).replace("](", "] (").replace("{", "{{").replace("}", "}}")


def _message(text: str) -> Object:
    return {"text": _text(text)}


def _thread(label: str, side: Side) -> Object:
    return {
        "id": label,
        "message": _message(f"{short(side.context.entry)}, {context_words(side)}"),
        "locations": [{"location": location, "kinds": kinds} for location, kinds in _steps(side)],
    }


def _steps(side: Side) -> Iterator[tuple[Object, list[str]]]:
    """Where a side becomes concurrent, the calls on its way, and the access."""
    context = side.context
    entry = f"{short(context.entry)} runs in: {context_words(side)}; {context.why}"
    yield {**_physical(context.path, context.line), "message": _message(entry)}, ["enter", "function"]
    for step in side.trace:
        call = f"{short(step.function)} calls {step.call}"
        yield {**_physical(step.path, step.line), "message": _message(call)}, ["call", "function"]
    yield {**_located(side), "message": _message(deed(side))}, ["memory"]


def _located(side: Side) -> Object:
    return {
        **_physical(side.path, side.line, side.column, side.end_line, side.end_column),
        "logicalLocations": [{"fullyQualifiedName": safe(side.function), "kind": "function"}],
    }


def _physical(path: str, line: int, column: int = 0, end_line: int = 0, end_column: int = 0) -> Object:
    region = _region(line, column, end_line, end_column)
    return {"physicalLocation": {"artifactLocation": _artifact(path), **({"region": region} if line else {})}}


def _artifact(path: str) -> Object:
    return {"uri": quote(path, errors="surrogatepass"), "uriBaseId": ROOT}


def _region(line: int, column: int, end_line: int, end_column: int) -> Object:
    numbers = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
    return {name: number for name, number in numbers.items() if number}


def _fixes(fix: Fix | None) -> list[Object]:
    if fix is None or not fix.edits:
        return []
    changes = [
        {
            "artifactLocation": _artifact(path),
            "replacements": [_replacement(edit) for edit in fix.edits if edit.path == path],
        }
        for path in _distinct(edit.path for edit in fix.edits)
    ]
    return [{"description": _message(f"{fix.title} ({fix.applicability})"), "artifactChanges": changes}]


def _distinct(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))


def _replacement(edit: Edit) -> Object:
    return {
        "deletedRegion": _region(edit.start_line, edit.start_column, edit.end_line, edit.end_column),
        "insertedContent": {"text": edit.text},
    }


def _suppressions(reason: str | None) -> list[Object]:
    """Given for every result or for none (section 3.27.23); an empty array says "not suppressed"."""
    return [] if reason is None else [{"kind": "inSource", "justification": safe(reason)}]


def _notification(problem: Problem) -> Object:
    return {
        "descriptor": {"id": safe(problem.rule)},
        "level": problem_severity(problem),
        "message": _message(problem.message),
        "locations": [_physical(problem.path, problem.line)],
    }
