"""What the renderers for people share: safe text, counted words, the summary line, and coloured lines as a string.

Names and source lines come from the analysed project, which may be hostile: every piece of it passes ``safe`` before it
reaches a terminal.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from racelint.model.findings import Finding, Result, Side
from racelint.model.source import Problem
from racelint.select import by_severity, reported
from racelint.suppress import COMMENT_PROBLEMS

SEVERITY_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
CONTEXT_WORDS = {
    "main": "main thread",
    "thread": "thread",
    "pool": "thread pool",
    "event-loop": "event loop",
    "signal": "signal handler",
    "any": "caller's thread",
}
TAB = 4
# The rule of a problem that says racelint itself failed on a file; the rest was analysed.
INTERNAL_ERROR = "internal-error"
# Problems that keep the run from being complete, by what could not be done; any other rule counts as not analysed.
_MISSING = {
    "read or parsed": frozenset({"parse-error", "unreadable-file", "huge-file"}),
    "analysed": frozenset({INTERNAL_ERROR}),
    "searched": frozenset({"unreadable-folder", "symlink-loop", "symlink-outside"}),
}
_HARMLESS = COMMENT_PROBLEMS | {"bad-ignore-file"}
# What may steer a terminal, reorder a line, or hide in it.
_DANGEROUS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str) -> str:
    """``text`` on one line, with control, formatting and unassigned characters written as escapes."""
    if text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _DANGEROUS else char for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return {"\t": " " * TAB, "\n": "\\n", "\r": "\\r"}.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def location(path: str, line: int, column: int = 0) -> str:
    """``path:line:column``, safe to print; a line or column of 0 is left out."""
    return ":".join([safe(path), *(str(number) for number in (line, column) if number)])


def plural(count: int, word: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def headline(finding: Finding) -> tuple[str, str, str]:
    """The one line that must suffice alone, in three parts: where, what kind, and the message."""
    side = finding.sides[0]
    where = location(side.path, side.line, side.column)
    return where, f"{finding.severity}[{finding.rule}]", safe(message(finding))


def message(finding: Finding) -> str:
    """The finding's message, with the place in front when it does not name it."""
    last = finding.place.rpartition(".")[2]
    named = re.search(rf"(?<!\w){re.escape(last)}(?!\w)", finding.message)
    return finding.message if named else f"{short(finding.place)}: {finding.message}"


def short(name: str) -> str:
    """The last two parts of a dotted name: ``Registry.pods``."""
    return ".".join(name.split(".")[-2:])


def context_words(side: Side) -> str:
    """The kind of context a side runs in, in words."""
    return CONTEXT_WORDS.get(side.context.kind, side.context.kind)


def summary(result: Result) -> str:
    """The last line: how many findings in how many files, what is silenced, and what keeps the run incomplete."""
    findings = reported(result.findings)
    counts = ", ".join(plural(count, severity) for severity, count in by_severity(findings).items())
    parts = [plural(len(findings), "finding") + f" ({counts})" if findings else "no findings"]
    if len(findings) < len(result.findings):
        parts.append(f"{len(result.findings) - len(findings)} suppressed")
    line = f"{', '.join(parts)} in {plural(result.files, 'file')}"
    missing = incomplete(result)
    return f"{line}; incomplete: {missing}" if missing else line


def incomplete(result: Result) -> str:
    """What could not be analysed, in words; empty when everything was."""
    paths: dict[str, set[str]] = {kind: set() for kind in _MISSING}
    for problem in result.problems:
        if problem.rule not in _HARMLESS:
            kind = next((kind for kind, rules in _MISSING.items() if problem.rule in rules), "analysed")
            paths[kind].add(problem.path)
    words = {"searched": "folder"}
    return ", ".join(
        f"{plural(len(found), words.get(kind, 'file'))} could not be {kind}" for kind, found in paths.items() if found
    )


def problem_line(problem: Problem) -> str:
    """A problem on one line: ``path:line: warning[parse-error]: message``."""
    severity = "error" if problem.rule == INTERNAL_ERROR else "warning"
    where = location(problem.path, problem.line)
    return f"{where}: {severity}[{safe(problem.rule)}]: {safe(problem.message)}"


def render_lines(lines: Iterable[Text], color: bool) -> str:
    """Lines as one string, each ended by a newline, with terminal styles when ``color``."""
    if not color:
        return "".join(f"{line.plain}\n" for line in lines)
    console = Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system="standard",
        width=10_000,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as captured:
        for line in lines:
            console.print(line, soft_wrap=True)
    return captured.get()
