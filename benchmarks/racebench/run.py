"""Scores racelint on the bugs of ``bugs.json``; see README.md beside this file.

python -m benchmarks.racebench.run [--model threads|asyncio|all] [--only ID] [--jobs N] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.racebench.scoring import Score, score, totals
from benchmarks.releases import DEFAULT_CACHE, FetchError, fetch
from benchmarks.tool import Run, ToolError, command_of, run

BUGS = Path(__file__).parent / "bugs.json"
Json = dict[str, Any]
HEADER = f"{'bug':<36} {'hit':<4} {'named':<6} {'quiet':<6} {'err/kl':>7} {'all/kl':>7} {'s':>6} {'s fixed':>8}  rules"


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured for one bug; densities are of the buggy release, ``problem`` says why there is no score."""

    id: str
    model: str
    score: Score
    lines: int = 0
    errors_per_1000: float = 0.0
    findings_per_1000: float = 0.0
    seconds: float = 0.0
    seconds_fixed: float = 0.0
    problem: str = ""


def load(path: Path = BUGS) -> list[Json]:
    """The bugs."""
    bugs: list[Json] = json.loads(path.read_text(encoding="utf-8"))
    return bugs


def measure(bug: Json, command: Sequence[str], cache: Path) -> Row:
    """Fetch both releases of a bug, check them and judge the reports."""
    try:
        buggy = check(bug, bug["buggy_version"], command, cache)
        fixed = check(bug, bug["fixed_version"], command, cache)
    except (FetchError, ToolError) as error:
        return Row(bug["id"], bug["model"], Score(hit=False, named=False, quiet=None), problem=str(error))
    return Row(
        bug["id"],
        bug["model"],
        score(bug, buggy.report, fixed.report),
        lines=buggy.lines,
        errors_per_1000=round(buggy.density(errors_only=True), 2),
        findings_per_1000=round(buggy.density(), 2),
        seconds=round(buggy.seconds, 2),
        seconds_fixed=round(fixed.seconds, 2),
    )


def check(bug: Json, version: str, command: Sequence[str], cache: Path) -> Run:
    """Run racelint on one release of a bug's package, in library mode where only users' threads make it concurrent."""
    with tree_of(bug, version, cache) as tree:
        return run(command, tree, library=not bug["internally_threaded"])


@contextmanager
def tree_of(bug: Json, version: str, cache: Path) -> Iterator[Path]:
    """The folder to check: the release, or what the bug's ``include`` and ``beside`` make of it. Raises FetchError."""
    release = fetch(bug["package"], version, cache)
    others = [fetch(other["package"], other["version"], cache) for other in bug.get("beside", ())]
    if not others and "include" not in bug:
        yield release
        return
    with tempfile.TemporaryDirectory(prefix="racebench-") as scratch:
        copy_python_files(release, Path(scratch), bug.get("include", ("",)))
        for other in others:
            copy_python_files(other, Path(scratch))
        yield Path(scratch)


def copy_python_files(source: Path, target: Path, prefixes: Sequence[str] = ("",)) -> None:
    """Copy the files whose path relative to ``source`` starts with one of the prefixes."""
    for path in sorted(source.rglob("*.py")):
        relative = path.relative_to(source)
        if relative.as_posix().startswith(tuple(prefixes)):
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / relative)


def line_of(row: Row) -> str:
    """One row of the table."""
    if row.problem:
        return f"{row.id:<36} not measured: {row.problem}"
    words = {True: "yes", False: "no", None: "-"}
    return (
        f"{row.id:<36} {words[row.score.hit]:<4} {words[row.score.named]:<6} {words[row.score.quiet]:<6} "
        f"{row.errors_per_1000:>7.2f} {row.findings_per_1000:>7.2f} {row.seconds:>6.1f} {row.seconds_fixed:>8.1f}"
        f"  {', '.join(row.score.rules)}"
    ).rstrip()


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """The totals per model; a bug that could not be measured counts as missed."""
    for model in ("threads", "asyncio"):
        of_model = [row for row in rows if row.model == model]
        if of_model:
            lines = sum(row.lines for row in of_model)
            found = sum(row.findings_per_1000 * row.lines for row in of_model) / lines if lines else 0.0
            seconds = sum(row.seconds + row.seconds_fixed for row in of_model)
            yield f"{model}: {totals(row.score for row in of_model)}; {found:.2f} per 1,000 lines, {seconds:.0f} s"
    missing = [row for row in rows if row.problem]
    if missing:
        yield f"not measured: {len(missing)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit status 1 when a bug could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.racebench.run", description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("threads", "asyncio", "all"), default="all")
    parser.add_argument("--only", action="append", metavar="ID", help="this bug (may be repeated)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="bugs at a time (default: 2)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the rows to this file")
    parser.add_argument("--racelint", metavar="CMD", help="the command to run (default: python -m racelint)")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR", help="where releases are kept")
    options = parser.parse_args(arguments)
    bugs = [bug for bug in load() if options.model in (bug["model"], "all")]
    if options.only:
        unknown = sorted(set(options.only) - {bug["id"] for bug in bugs})
        if unknown:
            parser.error(f"no such bug: {', '.join(unknown)}")
        bugs = [bug for bug in bugs if bug["id"] in options.only]
    command, rows = command_of(options.racelint), []
    print(HEADER)
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:  # threads: the work is done in processes they wait for
        for row in pool.map(lambda bug: measure(bug, command, options.cache), bugs):
            print(line_of(row), flush=True)
            rows.append(row)
    print("\n".join(summary(rows)))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    return 1 if any(row.problem for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
