"""What the comparison measured: kept as JSON, shown as the tables of ``docs/comparison.md``. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.tool import ROOT

MEASURED = Path(__file__).parent / "comparison.json"
PAGE = ROOT / "docs" / "comparison.md"
BEGIN = "<!-- The tables are made by `python -m benchmarks.comparison --write`: do not edit. -->"
END = "<!-- The end of the tables. -->"
# In this order; the second half of each name is a heading.
RACY = {
    "fixture": "Projects in `fixtures/`",
    "example": "The first example of each rule",
    "known miss": "Races that racelint is known to miss",
    "released package": "Bugs of released packages",
}
CLEAN = {
    "fixture": "Projects in `fixtures/` without a race",
    "repaired fixture": "Projects in `fixtures/`, repaired by `racelint check --fix --unsafe-fixes`",
    "repaired example": "Examples of the rules, repaired by hand",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many reports there are: on a line of the race, else in a function of it, else elsewhere; ``other`` counts
    those of rules that are not on shared state. ``problem`` says why there is none."""

    at_line: int = 0
    in_function: int = 0
    elsewhere: int = 0
    other: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A case and the outcome of each tool on it. ``racy``: whether it has a race."""

    name: str
    origin: str
    racy: bool
    outcomes: Mapping[str, Outcome]

    def cells(self) -> Iterator[tuple[str, str]]:
        """Each tool, and what the table says."""
        for tool, outcome in self.outcomes.items():
            yield tool, (racy_cell if self.racy else clean_cell)(outcome)


@dataclass(frozen=True, slots=True)
class Measured:
    """All rows, the versions of the tools in them, and why others are not."""

    versions: Mapping[str, str]
    missing: Mapping[str, str]
    rows: tuple[Row, ...]


def racy_cell(outcome: Outcome) -> str:
    """What a tool says of a race: found, near, a number of reports of anything else, or nothing."""
    if outcome.problem:
        return "failed"
    if outcome.at_line:
        return "**found**"
    return "near" if outcome.in_function else _number(outcome.elsewhere + outcome.other)


def clean_cell(outcome: Outcome) -> str:
    """How many reports on shared state there are where there is no race."""
    return "failed" if outcome.problem else _number(alarms(outcome))


def alarms(outcome: Outcome) -> int:
    """Reports by rules on shared state."""
    return outcome.at_line + outcome.in_function + outcome.elsewhere


def _number(count: int) -> str:
    return str(count) if count else "–"


def written(measured: Measured) -> str:
    """As JSON."""
    return json.dumps(asdict(measured), indent=1, ensure_ascii=False) + "\n"


def read(text: str) -> Measured:
    """Back from JSON."""
    whole = json.loads(text)
    rows = []
    for row in whole["rows"]:
        outcomes = {tool: Outcome(**outcome) for tool, outcome in row["outcomes"].items()}
        rows.append(Row(row["name"], row["origin"], row["racy"], outcomes))
    return Measured(whole["versions"], whole["missing"], tuple(rows))


def tables(measured: Measured) -> str:
    """All tables, with their headings: the sums first."""
    racy = [row for row in measured.rows if row.racy]
    clean = [row for row in measured.rows if not row.racy]
    parts = ["### Sums\n\n", *_sums(measured, racy, clean)]
    for rows, headings, word in ((racy, RACY, "race"), (clean, CLEAN, "no race")):
        for origin, heading in headings.items():
            group = [row for row in rows if row.origin == origin]
            if group:
                parts += [f"\n### {heading}\n\n", *_table(word, tuple(measured.versions), group)]
    return "".join(parts)


def _sums(measured: Measured, racy: Sequence[Row], clean: Sequence[Row]) -> Iterator[str]:
    yield _line(
        ("tool", "version", f"found (of {len(racy)})", "near", "failed", f"alarms without a race ({len(clean)})")
    )
    yield _line(("---",) * 6)
    for tool, version in measured.versions.items():
        answers = [row.outcomes[tool] for row in racy]
        cells = [racy_cell(answer) for answer in answers]
        rest = [row.outcomes[tool] for row in clean]
        failed = sum(bool(answer.problem) for answer in (*answers, *rest))
        loud = sum(alarms(answer) for answer in rest)
        yield _line((tool, version, *map(str, (cells.count("**found**"), cells.count("near"), failed, loud))))
    for tool, problem in measured.missing.items():
        yield _line((tool, problem, "", "", "", ""))


def _table(word: str, tools: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    yield _line((word, *tools))
    yield _line(("---",) * (len(tools) + 1))
    for row in rows:
        yield _line((row.name, *(cell for _, cell in row.cells())))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def inserted(page: str, text: str) -> str:
    """The page with the text between its marks. Raises ValueError when these are not there."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError("the page has no place for the tables")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def between(page: str) -> str:
    """What stands between the marks of the page."""
    return page.partition(BEGIN)[2].partition(END)[0].strip("\n") + "\n"
