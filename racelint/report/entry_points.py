"""What runs concurrently, as a table: ``racelint entrypoints``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from racelint.model.findings import EntryPointInfo
from racelint.report.text import location, plural, render_lines, safe

COLUMNS = ("FUNCTION", "CONTEXT", "OVERLAPS ITSELF", "WHERE", "TABLE ROW", "WHY")


def render(entry_points: Sequence[EntryPointInfo], *, color: bool = False) -> str:
    """One line per entry point under a line of headings, and their number."""
    rows = [COLUMNS, *(_row(info) for info in entry_points)] if entry_points else []
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))] if rows else []
    lines = [
        Text("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()) for row in rows
    ]
    if lines:
        lines[0].stylize("bold")
    return render_lines([*lines, Text(plural(len(entry_points), "entry point"))], color)


def _row(info: EntryPointInfo) -> tuple[str, ...]:
    overlap = "yes" if info.overlaps_itself else "no"
    row = f"{info.table}: {info.row}" if info.table else info.row
    cells = (info.function, info.kind, overlap, location(info.path, info.line), row, info.why)
    return tuple(safe(cell) for cell in cells)
