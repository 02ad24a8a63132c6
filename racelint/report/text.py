"""What the renderers for people share: safe text, counted words, the summary line, and coloured lines as a string.

Names and source lines come from the analysed project, which may be hostile: every piece of it passes ``safe`` before it
reaches a terminal.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from racelint.model.findings import Finding, Result, Severity, Side
from racelint.model.source import Problem
from racelint.select import by_severity, reported
from racelint.suppress import COMMENT_PROBLEMS, UNKNOWN_LOCK

# The lines of files, without their ends, by the paths of the report.
Sources = Mapping[str, Sequence[str]]

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
_UNIMPORTANT = COMMENT_PROBLEMS | {"bad-ignore-file"}
# What may steer a terminal, reorder a line, or hide in it.
_DANGEROUS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


# What build servers take for a command wherever it stands in a line of the log: GitHub's runner (actions/runner,
# ActionCommand.cs: TryParse) and the agent of Azure Pipelines (azure-pipelines-agent, Command.cs: TryParse).
LOG_COMMAND = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)
# What GitHub's runner takes for one at the start of a line (ActionCommand.cs: TryParseV2).
_LINE_COMMAND = re.compile(r"^(\s*):(?=:)")


def safe(text: str) -> str:
    """``text`` on one line, with what may steer a terminal or a build server written as escapes.

    That is control, formatting and unassigned characters, and the beginnings of commands in logs.
    """
    text = LOG_COMMAND.sub(r"#\\x23", text)
    if text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _DANGEROUS else char for char in text)


def _inert(line: str) -> str:
    """A line of safe texts that no build server takes for a command."""
    return _LINE_COMMAND.sub(r"\1\\x3a", line)


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


def statement(finding: Finding) -> str:
    """The message and where the other side is, on one line and safe to print."""
    return f"{safe(message(finding))}{other_side(finding)}"


def other_side(finding: Finding) -> str:
    """Where the other side is and which entry points meet, as far as the message does not say it."""
    if len(finding.sides) < 2:
        return ""
    first, second = finding.sides[:2]
    entries = [safe(short(side.context.entry)) for side in (first, second)]
    where = location(second.path, second.line)
    more = f" and {len(finding.sides) - 2} more" if len(finding.sides) > 2 else ""
    return f" (other side: {safe(second.access)} at {where}{more}; {entries[0]} || {entries[1]})"


def deed(side: Side) -> str:
    """What a side does, in which function, and the locks it holds: ``insert in op.gc.sweep, no lock held``."""
    locks = ", ".join(f"`{safe(short(lock))}`" for lock in side.locks)
    held = f"holding {locks}" if locks else "no lock held"
    return f"{safe(side.detail or side.access)} in {safe(side.function)}, {held}"


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
        if keeps_incomplete(problem):
            kind = next((kind for kind, rules in _MISSING.items() if problem.rule in rules), "analysed")
            paths[kind].add(problem.path)
    words = {"searched": "folder"}
    return ", ".join(
        f"{plural(len(found), words.get(kind, 'file'))} could not be {kind}" for kind, found in paths.items() if found
    )


def keeps_incomplete(problem: Problem) -> bool:
    """Whether a problem means that something was not analysed."""
    return problem.rule not in _UNIMPORTANT


def problem_severity(problem: Problem) -> Severity:
    """How grave a problem is: an error when racelint failed, or something it was told cannot be checked."""
    return "error" if problem.rule in (INTERNAL_ERROR, UNKNOWN_LOCK) else "warning"


def problem_line(problem: Problem) -> str:
    """A problem on one line: ``path:line: warning[parse-error]: message``."""
    where = location(problem.path, problem.line)
    return _inert(f"{where}: {problem_severity(problem)}[{safe(problem.rule)}]: {safe(problem.message)}")


def render_lines(lines: Iterable[Text], color: bool) -> str:
    """Lines as one string, each ended by a newline, with terminal styles when ``color``."""
    if not color:
        return "".join(f"{_inert(line.plain)}\n" for line in lines)
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
