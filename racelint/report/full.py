"""The full report: for each finding both sides with their code, entry points, call paths and locks, and what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from racelint.model.findings import Finding, Result, Side, Step
from racelint.report.text import (
    SEVERITY_STYLES,
    TAB,
    Sources,
    context_words,
    deed,
    headline,
    location,
    plural,
    render_lines,
    safe,
    short,
    summary,
)
from racelint.select import reported

WIDTH = 120
MARGIN = "  "
INDENT = "     "
CONTEXT_LINES = 1
REGION_LINES = 6  # a longer region is shown by its first and last lines
CALLS_SHOWN = 3
LINE_LENGTH = 160  # of a longer source line only the part around the access is shown
GUTTER, DIM = "blue", "dim"
LABEL_WIDTH = 15


def render(
    result: Result, sources: Sources, *, color: bool = False, verbose: bool = False, width: int | None = None
) -> str:
    """Every finding that is not suppressed, each after an empty line, and the summary line.

    ``sources`` are the lines of the files that findings lie in; where a file is missing its frame is left out.
    ``verbose`` shows all calls and sides, and the suppressed findings with their reasons.
    """
    lines: list[Text] = []
    for finding in reported(result.findings):
        lines += _finding(finding, sources, verbose, max(width or WIDTH, 60))
        lines.append(Text())
    if verbose:
        for finding in result.findings:
            if finding.suppressed is not None:
                where, kind, message = headline(finding)
                lines.append(Text(f"{where}: suppressed {kind} {message} ({safe(finding.suppressed)})", DIM))
    lines.append(Text(summary(result), "bold"))
    return render_lines(lines, color)


def render_finding(finding: Finding, sources: Sources) -> str:
    """One finding with all its calls and sides, for reports that quote it."""
    return render_lines(_finding(finding, sources, True, WIDTH), False)


def _finding(finding: Finding, sources: Sources, verbose: bool, width: int) -> Iterator[Text]:
    style = SEVERITY_STYLES[finding.severity]
    where, kind, message = headline(finding)
    yield Text.assemble((where, "bold"), ": ", (kind, style), " ", (message, "bold"))
    shown = finding.sides if verbose else finding.sides[:2]
    for index, side in enumerate(shown):
        yield Text()
        yield from _side(side, chr(ord("A") + index % 26), finding.sides[:index], sources, verbose, style, width)
    if len(shown) < len(finding.sides):
        others = ", ".join(location(side.path, side.line) for side in finding.sides[len(shown) :])
        yield Text(f"{MARGIN}and {len(finding.sides) - len(shown)} more: {others}")
    yield Text()
    yield from _paragraph("why", finding.why, width)
    yield from _paragraph("in production", finding.consequence, width)
    yield from _paragraph("help", finding.help, width)
    for note in finding.notes:
        yield from _paragraph("note", note, width)
    yield from _paragraph("confidence", f"{finding.confidence} (more: racelint explain {finding.rule})", width)


def _paragraph(label: str, text: str, width: int, margin: str = MARGIN) -> Iterator[Text]:
    """A labelled paragraph, wrapped beside its label; nothing when there is no text."""
    room = width - len(margin) - LABEL_WIDTH
    wrapped = textwrap.wrap(safe(text), room, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(wrapped):
        yield Text.assemble(margin, (f"{label if number == 0 else '':<{LABEL_WIDTH}}", "bold cyan"), line)


def _side(
    side: Side, label: str, earlier: Sequence[Side], sources: Sources, verbose: bool, style: str, width: int
) -> Iterator[Text]:
    yield Text.assemble(MARGIN, (label, "bold"), f"  {deed(side)}")
    yield Text.assemble(INDENT, ("--> ", GUTTER), location(side.path, side.line, side.column))
    if any(_same_place(side, other) for other in earlier):
        yield Text(f"{INDENT}the same code as above", DIM)
    else:
        yield from _frame(side, sources.get(side.path, ()), style if label == "A" else GUTTER)
    entry = f"{safe(side.context.entry)} ({location(side.context.path, side.context.line)})"
    yield from _paragraph("runs in", f"{context_words(side)}: {entry}", width, INDENT)
    if side.context.why not in [other.context.why for other in earlier]:
        yield from _paragraph("", side.context.why, width, INDENT)
    for number, call in enumerate(_calls(side.trace, verbose)):
        yield Text.assemble(INDENT, (f"{'calls' if number == 0 else '':<{LABEL_WIDTH}}", "bold cyan"), call)


def _same_place(side: Side, other: Side) -> bool:
    return (side.path, side.line, side.column, side.end_line) == (other.path, other.line, other.column, other.end_line)


def _calls(trace: Sequence[Step], verbose: bool) -> Iterator[str]:
    """The calls on the way, one a line; of a long way the first and the last."""
    steps = [f"{location(step.path, step.line)}  {safe(short(step.function))} -> {safe(step.call)}" for step in trace]
    if verbose or len(steps) <= CALLS_SHOWN:
        yield from steps
    else:
        yield steps[0]
        yield f"... {plural(len(steps) - 2, 'call')} ..."
        yield steps[-1]


def _frame(side: Side, source: Sequence[str], style: str) -> Iterator[Text]:
    """The code of a side: its lines and one around them, the access underlined or its lines marked."""
    if not 0 < side.line <= len(source):
        return
    end = min(max(side.end_line, side.line), len(source))
    numbers = list(range(max(1, side.line - CONTEXT_LINES), min(len(source), end + CONTEXT_LINES) + 1))
    gutter = len(str(numbers[-1]))
    left = _left(source[side.line - 1], side.column)
    hidden = set()
    if end - side.line + 1 > REGION_LINES:
        hidden = set(range(side.line + REGION_LINES // 2, end - REGION_LINES // 2 + 1))
    for number in numbers:
        if number in hidden:
            if number - 1 not in hidden:
                yield Text.assemble(INDENT, (f"  {'':>{gutter}} | ", GUTTER), (f"... {len(hidden)} lines ...", DIM))
            continue
        marked = side.line <= number <= end
        code, before, span = _window(source[number - 1], side, left)
        if not code.strip() and not marked:
            continue
        mark = "> " if marked and end > side.line else "  "
        yield Text.assemble(INDENT, (mark, style), (f"{number:>{gutter}} | ", GUTTER), (code, "" if marked else DIM))
        if number == side.line == end:
            pointer = " " * before + "^" * max(1, span)
            yield Text.assemble(INDENT, (f"  {'':>{gutter}} | ", GUTTER), (pointer, style))


def _left(line: str, column: int) -> int:
    """How many characters to leave out on the left, so that the access can be seen in a very long line."""
    return max(0, column - 1 - LINE_LENGTH // 2) if len(line) > LINE_LENGTH else 0


def _window(line: str, side: Side, left: int) -> tuple[str, int, int]:
    """The part of a line that is shown, and in it the cells before the access and the cells it takes."""
    start = min(max(side.column - 1, 0), len(line))
    stop = min(max(side.end_column - 1, start), left + LINE_LENGTH, len(line))
    head = "..." if left and len(line) > left else ""
    tail = "..." if len(line) > left + LINE_LENGTH else ""
    before, span = _shown(line[left:start]), _shown(line[start:stop])
    after = _shown(line[max(stop, left) : left + LINE_LENGTH]) if stop >= start else ""
    return f"{head}{before}{span}{after}{tail}".rstrip(), cell_len(head + before), cell_len(span)


def _shown(code: str) -> str:
    return safe(code.replace("\t", " " * TAB))
