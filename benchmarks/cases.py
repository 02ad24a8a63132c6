"""The cases of the comparison: small programs with a race whose lines are known, and programs without one.

They were chosen by rule before any tool had been run on them: every project in ``fixtures``; of every rule its example,
the repair of that, and what racelint is known to miss; and the bugs of ``racebench`` in releases of few lines.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.adoption import lines_in
from benchmarks.racebench.run import load
from benchmarks.releases import fetch
from benchmarks.tool import ROOT, ToolError, execute
from racelint.rules import all_rules
from racelint.testing import Case as Example
from racelint.testing import parse

FIXTURES = ROOT / "fixtures"
FEW_LINES = 5000
# What is in a fixture besides its program; the configuration is for racelint and says that this is a project.
NOT_CODE = ("README.md", "expect.txt")
RACE = re.compile(r"(?P<first>\S+:\d+) [\w-]+ \S+(?: \| (?P<second>\S+:\d+))?")
MARK = re.compile(r"\s*# (?:expect|peer|missed|false-alarm|ok):.*$", re.MULTILINE)

Origin = Literal["fixture", "repaired fixture", "example", "repaired example", "known miss", "released package"]


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a race, with the first and last line of the innermost function around it."""

    path: str
    line: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Case:
    """A program in ``folder``; ``places`` are the lines of its race on either side, none when it has no race.

    ``library``: nothing in it runs concurrently by itself.
    """

    name: str
    origin: Origin
    folder: Path
    places: tuple[Place, ...]
    library: bool = False


def write(scratch: Path, cache: Path, command: Sequence[str]) -> Iterator[Case]:
    """All cases, below ``scratch``, as far as they are not in ``cache``.

    ``command`` is the racelint that repairs fixtures. Raises FetchError and ToolError.
    """
    for number, fixture in enumerate(sorted(path.parent for path in FIXTURES.glob("*/expect.txt"))):
        yield from _fixture(fixture, scratch / f"fixture{number}", command)
    for number, (name, origin, example) in enumerate(examples()):
        yield _example(name, origin, example, scratch / f"example{number}")
    for bug in load():
        folder = fetch(bug["package"], bug["buggy_version"], cache)
        if lines_in(folder) < FEW_LINES:
            yield _release(bug, folder)


def _fixture(fixture: Path, scratch: Path, command: Sequence[str]) -> Iterator[Case]:
    broken, repaired = scratch / "broken", scratch / "repaired"
    shutil.copytree(fixture, broken, ignore=shutil.ignore_patterns(*NOT_CODE, "__pycache__"))
    races = (fixture / "expect.txt").read_text("utf-8")
    yield Case(fixture.name, "fixture", broken, places(broken, lines_of(races)))
    if lines_of(races):
        shutil.copytree(broken, repaired)
        done = execute([*command, "check", "--project", str(repaired), "--fix", "--unsafe-fixes"])
        if done.status not in (0, 1):
            raise done.refused()
        if done.status == 0:
            yield Case(fixture.name, "repaired fixture", repaired, ())


def examples() -> Iterator[tuple[str, Origin, Example]]:
    """The examples of the rules that are cases."""
    for rule in all_rules():
        for example in parse(rule.documentation()):
            _, section, *rest = example.name.split(" / ")
            if any(mark.kind == "missed" for mark in example.marks):
                yield f"{rule.name}: {rest[-1]}", "known miss", example
            elif section == "Example":
                yield rule.name, "example", example
            elif section == "Fix":
                yield rule.name, "repaired example", example


def _example(name: str, origin: Origin, example: Example, folder: Path) -> Case:
    for file in example.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MARK.sub("", file.text), encoding="utf-8")
    marked = [(mark.path, mark.line) for mark in example.marks if mark.kind in ("expect", "peer", "missed")]
    return Case(name, origin, folder, places(folder, marked), example.library)


def _release(bug: dict[str, Any], folder: Path) -> Case:
    lines = [(bug["file"], line) for line in bug["lines"]]
    lines += [(side["file"], side["line"]) for side in bug["other_side"]]
    return Case(bug["id"], "released package", folder, places(folder, lines), not bug["internally_threaded"])


def lines_of(races: str) -> list[tuple[str, int]]:
    """The lines that an ``expect.txt`` names, on either side."""
    found = []
    for line in races.splitlines():
        if line.strip() and not line.startswith("#"):
            match = RACE.fullmatch(line.strip())
            if match is None:
                raise ToolError(f"not a line of an expect.txt: {line!r}")
            for side in filter(None, (match["first"], match["second"])):
                path, _, number = side.rpartition(":")
                found.append((path, int(number)))
    return found


def places(folder: Path, lines: Iterable[tuple[str, int]]) -> tuple[Place, ...]:
    """The lines as places, each once. A release may have its packages below ``src/``."""
    found = []
    for path, line in sorted(set(lines)):
        inside = next(name for name in (path, f"src/{path}") if (folder / name).is_file())
        found.append(Place(inside, line, *around((folder / inside).read_bytes(), line)))
    return tuple(found)


def around(source: bytes, line: int) -> tuple[int, int]:
    """The first and last line of the innermost function around a line; the line where there is none."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return line, line
    functions = [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    return max((each for each in functions if each[0] <= line <= each[1]), default=(line, line))
