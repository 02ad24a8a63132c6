"""What the tool says: a finding with its sides, the calls that lead to each, and the edits that would mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from racelint.model.source import Problem

Severity = Literal["error", "warning", "note"]
Confidence = Literal["high", "medium", "low"]
Applicability = Literal["safe", "unsafe", "display"]
# How ``racelint check`` reports; ``auto`` is one of the others, chosen by where the run takes place.
OutputFormat = Literal[
    "full", "concise", "json", "sarif", "github", "gitlab", "junit", "azure", "rdjson", "markdown", "auto"
]
SEVERITIES: tuple[Severity, ...] = ("note", "warning", "error")
CONFIDENCES: tuple[Confidence, ...] = ("low", "medium", "high")
OUTPUT_FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)


@dataclass(frozen=True, slots=True)
class Step:
    """One call on the way from an entry point to an access: ``function`` calls ``call`` at ``path``:``line``."""

    path: str
    line: int
    function: str
    call: str


@dataclass(frozen=True, slots=True)
class Context:
    """Where a side runs: the entry point, what kind of context it is, where it becomes concurrent, and why."""

    entry: str
    kind: str
    path: str
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a race: the access, the locks held there, and how execution gets there.

    Lines and columns are 1-based; ``end_column`` is one past the last character. ``detail`` is a short phrase for
    people (``insert``, ``check of `key in registry```), ``name`` what the columns point at.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    function: str
    access: str
    locks: tuple[str, ...]
    context: Context
    trace: tuple[Step, ...]
    detail: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace a stretch of a file (1-based lines and columns, end exclusive) by ``text``."""

    path: str
    start_line: int
    start_column: int
    end_line: int
    end_column: int
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A set of edits that belong together and how far they can be trusted."""

    applicability: Applicability
    title: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A race (or broken locking rule). ``sides[0]`` is where the programmer should act.

    ``why`` says why the sides can overlap, ``consequence`` what happens in production, ``help`` what to do,
    ``notes`` whatever else helps to judge it. ``suppressed`` is the reason given in a comment, or None.
    ``fingerprint`` is made of dotted names, ``local_fingerprint`` of the same names without their modules: it stays
    when a file is moved, and is shared by what is called alike in several files.
    """

    rule: str
    code: str
    severity: Severity
    confidence: Confidence
    message: str
    place: str
    fingerprint: str
    sides: tuple[Side, ...]
    why: str = ""
    consequence: str = ""
    help: str = ""
    notes: tuple[str, ...] = ()
    suppressed: str | None = None
    fix: Fix | None = None
    local_fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class EntryPointInfo:
    """One line of ``racelint entrypoints``: what runs concurrently, where that is said, and why.

    ``row`` is the name that a row of the framework tables has for it; ``table`` the file of that row, or
    ``configuration``.
    """

    function: str
    kind: str
    overlaps_itself: bool
    path: str
    line: int
    why: str
    row: str
    table: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """Everything a run produced; renderers are pure functions of it."""

    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    files: int
    lines: int
    functions: int
    entry_points: tuple[EntryPointInfo, ...]
    elapsed_s: float
    from_cache: int = 0
