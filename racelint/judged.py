"""What the analysis of a program comes to, before comments silence any of it: what is kept from run to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from racelint import suppress
from racelint.model.findings import EntryPointInfo, Finding, Result, Side
from racelint.model.source import Problem
from racelint.model.spots import Renumber, columns, moved, plain
from racelint.reading import Extracted


@dataclass(frozen=True, slots=True)
class Judged:
    """Findings and problems with the lines in their texts marked (``model/spots.py``), and the entry points.

    ``rules`` are the names and codes of all rules, ``ran`` those of the rules that were asked.
    """

    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    entry_points: tuple[EntryPointInfo, ...]
    rules: tuple[str, ...]
    ran: tuple[str, ...]

    def result(self, extracted: Sequence[Extracted], problems: Iterable[Problem]) -> Result:
        """The result of a run that has read these files, and has come upon ``problems`` by then."""
        commented = [item for item in extracted if item.outline.comments]
        findings, of_comments = suppress.apply(
            plain(self.findings),
            {item.file.display: item.outline.comments for item in commented},
            frozenset(self.rules),
            sources={item.file.display: item.text for item in commented},
            active=self.ran,
        )
        return Result(
            findings=tuple(findings),
            problems=tuple(sorted({*problems, *of_comments, *plain(self.problems)})),
            files=len(extracted),
            lines=sum(item.outline.length for item in extracted),
            functions=sum(item.outline.functions for item in extracted),
            entry_points=self.entry_points,
            elapsed_s=0,
            from_cache=sum(item.cached for item in extracted),
        )

    def moved(self, number: Renumber) -> Judged:
        """The same on other lines; columns are those of before."""
        return Judged(
            moved(self.findings, number),
            moved(self.problems, number),
            moved(self.entry_points, number),
            self.rules,
            self.ran,
        )

    def pointed(self, sources: Mapping[str, Extracted]) -> Judged:
        """The same with the columns that the files have now."""

        def side(old: Side) -> Side:
            column, end = columns(sources[old.path].text, old.line, old.end_line, old.name)
            return replace(old, column=column, end_column=end)

        found = tuple(replace(finding, sides=tuple(map(side, finding.sides))) for finding in self.findings)
        return replace(self, findings=found)
