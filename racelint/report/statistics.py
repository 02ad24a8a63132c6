"""How many findings there are of each rule: ``--statistics``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from racelint.model.findings import Result
from racelint.report.text import SEVERITY_STYLES, render_lines, summary
from racelint.select import statistics


def render(result: Result, sources: Mapping[str, Sequence[str]] | None = None, *, color: bool = False) -> str:
    """One line per rule and severity with its number of findings, the most frequent first, and the summary line."""
    counts = statistics(result.findings)
    digits = max((len(str(item.count)) for item in counts), default=0)
    lines = [
        Text.assemble(
            (f"{item.count:>{digits}}", "bold"),
            f"  {item.code}  ",
            (f"{item.severity:<7}", SEVERITY_STYLES[item.severity]),
            f"  {item.rule}",
        )
        for item in counts
    ]
    return render_lines([*lines, Text(summary(result))], color)
