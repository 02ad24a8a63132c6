"""One line per finding, and the summary. Each line suffices alone: both sides, what is wrong, who runs beside whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from racelint.model.findings import Finding, Result
from racelint.report.text import SEVERITY_STYLES, headline, location, render_lines, safe, short, summary
from racelint.select import reported


def render(result: Result, sources: Mapping[str, Sequence[str]] | None = None, *, color: bool = False) -> str:
    """The findings that are not suppressed, one line each, and the summary line. ``sources`` are not needed."""
    lines = [_line(finding) for finding in reported(result.findings)]
    return render_lines([*lines, Text(summary(result))], color)


def _line(finding: Finding) -> Text:
    where, kind, message = headline(finding)
    return Text.assemble(
        (where, "bold"), ": ", (kind, SEVERITY_STYLES[finding.severity]), f" {message}", (_other(finding), "dim")
    )


def _other(finding: Finding) -> str:
    """Where the other side is and which entry points meet, as far as the message does not say it."""
    if len(finding.sides) < 2:
        return ""
    first, second = finding.sides[:2]
    entries = [safe(short(side.context.entry)) for side in (first, second)]
    where = location(second.path, second.line)
    more = f" and {len(finding.sides) - 2} more" if len(finding.sides) > 2 else ""
    return f" (other side: {safe(second.access)} at {where}{more}; {entries[0]} || {entries[1]})"
