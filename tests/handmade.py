"""Findings and results built by hand, for tests of what comes after the analysis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from racelint.cli import check, inform
from racelint.model.findings import Context, EntryPointInfo, Finding, Result, Side, Step
from racelint.model.source import Problem

THREAD_WHY = "threading.Thread runs its target in a thread of its own"
POOL_WHY = "kopf runs sync handlers in a thread pool"


def side(path: str = "op/registry.py", line: int = 3, column: int = 12, **changes: Any) -> Side:
    """A side on one line, five characters wide, reached from a kopf handler; ``changes`` replace parts of it."""
    values: dict[str, Any] = {
        "end_line": line,
        "end_column": column + 5,
        "function": "op.registry.Registry.sync",
        "access": "check",
        "locks": (),
        "context": Context("op.handlers.on_create", "pool", "op/handlers.py", 38, POOL_WHY),
        "trace": (Step("op/handlers.py", 40, "op.handlers.on_create", "sync"),),
        "detail": "",
        **changes,
    }
    return Side(path=path, line=line, column=column, **values)


# The two sides of the race that most tests report.
SWEEP = side(
    "op/gc.py",
    2,
    19,
    end_column=27,
    function="op.gc.sweep",
    access="delete",
    locks=("op.registry.Registry._lock",),
    context=Context("op.gc.sweep", "thread", "op/main.py", 10, THREAD_WHY),
    trace=(),
)
CHECK = side(line=3, column=24, end_line=4, end_column=35, detail="check, then insert")


def finding(*sides: Side, **changes: Any) -> Finding:
    """A check-then-act on ``Registry.pods``; ``changes`` replace parts of it."""
    values: dict[str, Any] = {
        "rule": "check-then-act",
        "code": "RL102",
        "severity": "error",
        "confidence": "high",
        "message": "Registry.pods: the check and the insert at line 4 are not atomic",
        "place": "op.registry.Registry.pods",
        "fingerprint": "0123456789abcdef",
        "why": "sync handlers of different objects run at once",
        "consequence": "both add the entry: the work is done twice",
        "help": "hold one lock over the check and the insert",
        **changes,
    }
    return Finding(sides=sides or (side(),), **values)


def hostile(text: str) -> Finding:
    """A finding with ``text`` in everything that comes from a project."""
    bad = side(
        f"op/{text}.py",
        1,
        1,
        end_column=200,
        function=f"op.{text}",
        locks=(f"op.{text}.lock",),
        context=Context(f"op.{text}", "thread", f"{text}.py", 1, f"because {text}"),
        trace=(Step(f"{text}.py", 3, f"f{text}", f"g{text}"),),
        detail=f"insert {text}",
    )
    return finding(
        bad,
        replace(bad, line=2, end_line=2),
        message=f"message {text}",
        place=f"op.{text}",
        why=f"why {text}",
        consequence=f"then {text}",
        help=f"help {text}",
        notes=(f"note {text}",),
    )


def result(*findings: Finding, problems: tuple[Problem, ...] = (), files: int = 2, **changes: Any) -> Result:
    """A result of a short run."""
    values: dict[str, Any] = {"lines": 120, "functions": 9, "entry_points": (), "elapsed_s": 0.25, **changes}
    return Result(findings=findings, problems=problems, files=files, **values)


def entry_point(**changes: Any) -> EntryPointInfo:
    """A kopf handler."""
    values: dict[str, Any] = {
        "function": "op.handlers.on_create",
        "path": "op/handlers.py",
        "kind": "pool",
        "overlaps_itself": True,
        "line": 38,
        "why": POOL_WHY,
        "row": "kopf.on.create",
        "table": "kopf",
        **changes,
    }
    return EntryPointInfo(**values)


def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands ask for nothing that an earlier run has kept: the analysis is replaced."""
    for module in (check, inform):
        monkeypatch.setattr(module, "cache_folder", lambda *_: None)
