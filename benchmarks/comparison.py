"""Runs racelint and other tools on programs with known races and on repaired ones, and says what each reports.

    python -m benchmarks.comparison [--python PYTHON] [--cache DIR] [--racelint CMD] [--only TOOL] [--write]

Every other tool of ``comparison.toml`` gets an environment of its own in the cache, made with PYTHON. The programs are
those of ``cases.py``. ``--write`` keeps what was measured in ``comparison.json`` and puts its tables into
``docs/comparison.md``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import cases, others
from benchmarks.cases import Case, Place
from benchmarks.comparison_tables import MEASURED, PAGE, Measured, Outcome, Row, inserted, read, tables, written
from benchmarks.others import NoReport, Report, Tool
from benchmarks.releases import DEFAULT_CACHE, FetchError
from benchmarks.tool import ToolError, command_of, run
from racelint import __version__

Runner = Callable[[Case], list[Report]]
OWN = "racelint"


def judge(case: Case, reports: Iterable[Report], is_about_state: Callable[[Report], bool]) -> Outcome:
    """How many reports name a line of the race, how many the functions of it, and how many there are besides."""
    at_line = in_function = elsewhere = other = 0
    for report in reports:
        if not is_about_state(report):
            other += 1
        elif any(_at(place, *where) for place in case.places for where in report.places):
            at_line += 1
        elif any(_inside(place, *where) for place in case.places for where in report.places):
            in_function += 1
        else:
            elsewhere += 1
    return Outcome(at_line, in_function, elsewhere, other)


def _at(place: Place, path: str, line: int) -> bool:
    return (place.path, place.line) == (path, line)


def _inside(place: Place, path: str, line: int) -> bool:
    return place.path == path and place.first <= line <= place.last


def own(command: Sequence[str]) -> Runner:
    """racelint; all of its rules are on shared state. The runner raises NoReport."""

    def reports(case: Case) -> list[Report]:
        try:
            found = run(command, case.folder, library=case.library).findings
        except ToolError as error:
            raise NoReport(str(error)) from error
        return [Report(each["rule"], tuple((side["path"], side["line"]) for side in each["sides"])) for each in found]

    return reports


def other(tool: Tool, programs: Path) -> Runner:
    """A tool that is installed. The runner raises NoReport."""

    def reports(case: Case) -> list[Report]:
        with tempfile.TemporaryDirectory(prefix="comparison-") as scratch:
            return tool.run(programs, case.folder, Path(scratch))

    return reports


def measured(case: Case, runner: Runner, is_about_state: Callable[[Report], bool]) -> Outcome:
    """The outcome of one tool on one case, or why there is none."""
    try:
        return judge(case, runner(case), is_about_state)
    except NoReport as error:
        return Outcome(problem=str(error).replace(str(case.folder), "."))


def measure(options: argparse.Namespace) -> Measured:
    """Everything that is asked for. Raises FetchError and ToolError."""
    command = command_of(options.racelint)
    tools = [tool for tool in others.load() if not options.only or tool.name in options.only]
    runners: dict[str, tuple[Runner, Callable[[Report], bool]]] = {OWN: (own(command), lambda _: True)}
    versions, missing = {OWN: __version__}, {}
    for tool in tools:
        try:
            programs = tool.install(options.cache / "tools", options.python)
        except NoReport as error:
            missing[tool.name] = str(error)
            continue
        runners[tool.name], versions[tool.name] = (other(tool, programs), tool.is_about_state), tool.version
    with tempfile.TemporaryDirectory(prefix="comparison-") as scratch, ThreadPoolExecutor(2) as pool:
        rows = []
        for case in cases.write(Path(scratch), options.cache, command):
            answers = {name: pool.submit(measured, case, *runner) for name, runner in runners.items()}
            row = Row(
                case.name, case.origin, bool(case.places), {name: answer.result() for name, answer in answers.items()}
            )
            print(
                f"{row.origin}: {row.name}", *(f"{name} {cell}" for name, cell in row.cells()), sep="\n  ", flush=True
            )
            rows.append(row)
    return Measured(versions, missing, tuple(rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="runs the other tools (threadcheck needs 3.12)")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR", help="for releases and tools")
    parser.add_argument("--racelint", metavar="CMD", help="the command to run (default: python -m racelint)")
    parser.add_argument("--only", action="append", metavar="TOOL", help="besides racelint (may be repeated)")
    parser.add_argument("--write", action="store_true", help=f"keep the results in {MEASURED.name} and {PAGE.name}")
    options = parser.parse_args(arguments)
    try:
        found = measure(options)
    except (FetchError, ToolError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    print(tables(found))
    if options.write:
        MEASURED.write_text(written(found), encoding="utf-8")
        PAGE.write_text(inserted(PAGE.read_text("utf-8"), tables(read(written(found)))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
