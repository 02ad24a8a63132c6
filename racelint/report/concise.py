"""One line per finding, and the summary. Each line suffices alone: both sides, what is wrong, who runs beside whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from racelint.model.findings import Finding, Result
from racelint.report.text import SEVERITY_STYLES, headline, other_side, render_lines, summary
from racelint.select import reported


def render(result: Result, sources: Mapping[str, Sequence[str]] | None = None, *, color: bool = False) -> str:
    """The findings that are not suppressed, one line each, and the summary line. ``sources`` are not needed."""
    lines = [_line(finding) for finding in reported(result.findings)]
    return render_lines([*lines, Text(summary(result))], color)


def _line(finding: Finding) -> Text:
    where, kind, message = headline(finding)
    return Text.assemble(
        (where, "bold"), ": ", (kind, SEVERITY_STYLES[finding.severity]), f" {message}", (other_side(finding), "dim")
    )
