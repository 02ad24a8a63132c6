"""Other tools: each in an environment of its own, run as its users would, its report read as rules and places."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from benchmarks.own_tests import environment

TOOLS = Path(__file__).parent / "comparison.toml"
# Seconds for one tool on one case.
PATIENCE = 180


class NoReport(Exception):
    """A tool that could not be installed, or did not come to its end; the message says which."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report of a tool: its rule, and the lines it names, by the path from the case's folder."""

    rule: str
    places: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A row of ``comparison.toml``, which says what the fields are."""

    name: str
    version: str
    command: tuple[str, ...]
    form: str
    statuses: tuple[int, ...]
    about: re.Pattern[str]
    pattern: re.Pattern[str] | None = None
    needs: tuple[str, ...] = ()

    def is_about_state(self, report: Report) -> bool:
        """Whether the rule of the report is on shared state."""
        return self.about.fullmatch(report.rule) is not None

    def install(self, cache: Path, python: str) -> Path:
        """The folder with the tool's programs; made once. Raises NoReport."""
        package = {"name": self.name, "version": self.version, "needs": self.needs}
        version = subprocess.run(
            [python, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True
        )
        try:
            return environment(package, cache / f"{self.name}-{self.version}-3.{version.stdout.strip()}", python).parent
        except subprocess.CalledProcessError as error:
            raise NoReport("not installed") from error

    def run(self, programs: Path, folder: Path, scratch: Path) -> list[Report]:
        """What the tool reports on the Python files in a folder. ``scratch`` is for its files. Raises NoReport."""
        report, empty = scratch / "report", scratch / "empty"
        empty.touch()
        words = [word.format(report=report, empty=empty, kept=programs.parent / "kept") for word in self.command]
        try:
            done = subprocess.run(
                [str(programs / words[0]), *words[1:]],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired as error:
            raise NoReport(f"no end after {PATIENCE} s") from error
        if done.returncode not in self.statuses:
            raise NoReport(f"exit status {done.returncode}: {(done.stderr or done.stdout).strip()[-200:]}")
        try:
            text = done.stdout if self.pattern else report.read_text("utf-8")
            return [_below(folder, each) for each in FORMS[self.form](self, text)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NoReport(f"no report: {error!r}") from error


def load(path: Path = TOOLS) -> tuple[Tool, ...]:
    """The tools of ``comparison.toml``."""
    return tuple(map(_tool, tomllib.loads(path.read_text("utf-8"))["tool"]))


def _tool(row: dict[str, Any]) -> Tool:
    if row["form"] not in FORMS:
        raise ValueError(f"{row['name']}: there is no form {row['form']!r}")
    return Tool(
        row["name"],
        row["version"],
        tuple(row["command"]),
        row["form"],
        tuple(row["statuses"]),
        re.compile(row["about"]),
        re.compile(row["pattern"]) if "pattern" in row else None,
        tuple(row.get("needs", ())),
    )


def lines(tool: Tool, text: str) -> Iterator[Report]:
    """A report with a finding a line; other lines are prose."""
    assert tool.pattern is not None
    for match in map(tool.pattern.fullmatch, text.splitlines()):
        if match:
            yield Report(match["rule"], ((match["path"], int(match["line"])),))


def sarif(tool: Tool, text: str) -> Iterator[Report]:
    """SARIF 2.1.0; related locations are places, too."""
    for run in json.loads(text)["runs"]:
        for result in run["results"]:
            found = [each["physicalLocation"] for each in (*result["locations"], *result.get("relatedLocations", ()))]
            places = ((unquote(each["artifactLocation"]["uri"]), each["region"]["startLine"]) for each in found)
            yield Report(result["ruleId"], tuple(places))


def thread_safety(tool: Tool, text: str) -> Iterator[Report]:
    """The JSON of thread-safety."""
    for finding in json.loads(text, strict=False)["findings"]:
        found = [finding["location"], *finding["related_locations"]]
        yield Report(finding["rule_id"], tuple((each["file"], each["line"]) for each in found))


FORMS: Mapping[str, Callable[[Tool, str], Iterator[Report]]] = MappingProxyType(
    {"lines": lines, "sarif": sarif, "thread-safety": thread_safety}
)


def _below(folder: Path, report: Report) -> Report:
    return Report(report.rule, tuple((relative(folder, path), line) for path, line in report.places))


def relative(folder: Path, path: str) -> str:
    """A path of a report, counted from the folder of the case."""
    whole = folder.resolve() / path.removeprefix("file://")
    return whole.relative_to(folder.resolve()).as_posix() if whole.is_relative_to(folder.resolve()) else path
