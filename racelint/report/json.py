"""JSON, version 1: what other tools read. ``schema_v1.json`` beside this module describes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from racelint import __version__
from racelint.model.findings import EntryPointInfo, Finding, Fix, Result, Side
from racelint.report.text import LOG_COMMAND
from racelint.select import by_rule, by_severity, reported

VERSION = 1


def render(result: Result, sources: Mapping[str, Sequence[str]] | None = None) -> str:
    """The whole result, suppressed findings included. ASCII only, so that no name can steer a terminal."""
    return dumps(document(result))


def render_entry_points(entry_points: Sequence[EntryPointInfo]) -> str:
    """The entry points of ``racelint entrypoints --output-format json``."""
    return dumps({"version": VERSION, "entry_points": [asdict(info) for info in entry_points]})


def dumps(data: object) -> str:
    """Plain data as JSON in ASCII, with no command for a build server in it; what is read back is the same."""
    return LOG_COMMAND.sub(r"#\\u0023", json.dumps(data, indent=2)) + "\n"


def document(result: Result) -> dict[str, Any]:
    """The result as plain data, in the shape and order of version 1."""
    return {
        "version": VERSION,
        "tool": {"name": "racelint", "version": __version__},
        "summary": {
            "files": result.files,
            "lines": result.lines,
            "functions": result.functions,
            "entry_points": len(result.entry_points),
            "findings": len(reported(result.findings)),
            "by_rule": by_rule(result.findings),
            "by_severity": by_severity(result.findings),
            "problems": len(result.problems),
            "elapsed_s": round(result.elapsed_s, 3),
            "from_cache": result.from_cache,
        },
        "findings": [finding(found) for found in result.findings],
        "problems": [asdict(problem) for problem in result.problems],
    }


def finding(found: Finding) -> dict[str, Any]:
    """A finding as plain data."""
    return {
        "rule": found.rule,
        "code": found.code,
        "severity": found.severity,
        "confidence": found.confidence,
        "message": found.message,
        "place": found.place,
        "fingerprint": found.fingerprint,
        "suppressed": found.suppressed,
        "sides": [_side(side) for side in found.sides],
        "fix": None if found.fix is None else _fix(found.fix),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "path": side.path,
        "line": side.line,
        "column": side.column,
        "end_line": side.end_line,
        "end_column": side.end_column,
        "function": side.function,
        "access": side.access,
        "locks": list(side.locks),
        "context": asdict(side.context),
        "trace": [asdict(step) for step in side.trace],
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {"applicability": fix.applicability, "title": fix.title, "edits": [asdict(edit) for edit in fix.edits]}
