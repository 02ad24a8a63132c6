"""Tries racelint on the hardest Python there is: standard libraries, and the releases in ``robustness.toml``.

python -m benchmarks.robustness [--python EXE]... [--only NAME]... [--whole] [--no-faults]

Each file is read, and rendered without a change (see ``trial.py``). ``refused`` are files that are told of with a line
and a reason; ``valid`` are those among them that one of the interpreters compiles, and that LibCST does not read;
``altered`` is what LibCST reads and does not keep. With ``--whole`` each tree is
checked as a project, too. Last, the tests that ``docs/reliability.md`` names are run: the faults.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from benchmarks.releases import DEFAULT_CACHE, FetchError, fetch
from benchmarks.tool import ROOT, ToolError, default_command, run
from benchmarks.trial import Trial, Trials, tally

RELEASES = Path(__file__).parent / "robustness.toml"
PROMISES = ROOT / "docs" / "reliability.md"
# A test as the page names it: its file, and its function or class.
NAMED_TEST = re.compile(r"`(tests/\w+\.py::\w+(?:::\w+)?)`")
LIMIT_S = 600.0
COLUMNS = ("files", "lines", "read", "refused", "valid", "altered", "failures", "s", "longest")
HEADER = f"{'tree':<34}" + "".join(f"{column:>10}" for column in COLUMNS)
# Compiles files named on its input, prints the numbers of those that it takes, and runs none of them.
COMPILES = """
import sys
for number, name in enumerate(sys.stdin.read().split("\\0")):
    try:
        with open(name, "rb") as stream:
            compile(stream.read(), "module.py", "exec", dont_inherit=True)
    except Exception:
        continue
    print(number, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Release:
    """A release to be tried: ``why`` is what is hard about it, ``source`` that its source archive is meant."""

    name: str
    version: str
    why: str
    source: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one tree: the trial of each file, the valid ones among those refused, and what it took."""

    name: str
    trials: dict[str, Trial]
    valid: frozenset[str]
    seconds: float
    longest: float

    def failures(self) -> int:
        """Files on which racelint failed."""
        return tally(self.trials.values())["failed"]


def load(path: Path = RELEASES) -> tuple[Release, ...]:
    """The releases."""
    return tuple(Release(**row) for row in tomllib.loads(path.read_text("utf-8"))["release"])


def library(python: str) -> tuple[str, Path]:
    """Version and folder of the standard library of an interpreter."""
    script = "import platform, sysconfig; print(platform.python_version(), sysconfig.get_path('stdlib'))"
    shown = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=True)
    version, _, folder = shown.stdout.strip().partition(" ")
    return version, Path(folder)


def python_files(tree: Path) -> Iterator[Path]:
    """The files below ``tree``, without those of other distributions."""
    for path in sorted(tree.rglob("*.py")):
        if "site-packages" not in path.relative_to(tree).parts and path.is_file():
            yield path


def measure(name: str, tree: Path, trials: Trials, pythons: Sequence[str]) -> Row:
    """Try every file of a tree."""
    found: dict[str, Trial] = {}
    longest, started = 0.0, time.monotonic()
    for path in python_files(tree):
        begun = time.monotonic()
        found[path.relative_to(tree).as_posix()] = trials.run(path.read_bytes())
        longest = max(longest, time.monotonic() - begun)
    seconds = time.monotonic() - started
    refused = [path for path, item in found.items() if item.kind == "refused"]
    valid = frozenset(path for python in pythons for path in compiled(python, tree, refused))
    return Row(name, found, valid, seconds, longest)


def compiled(python: str, tree: Path, files: Sequence[str]) -> set[str]:
    """Those files that an interpreter compiles."""
    if not files:
        return set()
    names = "\0".join(str(tree / path) for path in files)
    command = [python, "-I", "-W", "ignore", "-c", COMPILES]
    shown = subprocess.run(command, input=names, capture_output=True, text=True, check=False)
    return {files[int(number)] for number in shown.stdout.split()}


def line_of(row: Row) -> str:
    """The row as it is printed."""
    counts = tally(row.trials.values())
    cells = (
        str(len(row.trials)),
        str(counts["lines"]),
        str(counts["read"]),
        str(counts["refused"]),
        str(len(row.valid)),
        str(counts["altered"]),
        str(counts["failed"]),
        f"{row.seconds:.0f}",
        f"{row.longest:.1f}",
    )
    return f"{row.name:<34}" + "".join(f"{cell:>10}" for cell in cells)


def details(row: Row) -> Iterator[str]:
    """What to look at: failures, and files that were refused although they are valid."""
    for path, item in row.trials.items():
        if item.kind in ("failed", "altered") or path in row.valid:
            said = {"failed": "FAILED", "altered": "altered"}.get(item.kind, "valid")
            yield f"  {said}: {path}:{item.line}: {item.message}"


def whole(name: str, tree: Path) -> tuple[str, bool]:
    """A line about checking a tree as a project, and whether that failed."""
    try:
        done = run(default_command(), tree)
    except ToolError as error:
        return f"  {name} as a whole: FAILED: {error}", True
    bugs = [problem for problem in done.report["problems"] if problem["rule"] == "internal-error"]
    said = f"{len(done.report['findings'])} findings in {done.seconds:.0f} s, {done.peak_mb:.0f} MB"
    return f"  {name} as a whole: {'FAILED' if bugs else 'done'}: {said}", bool(bugs)


def promised_tests(page: Path = PROMISES) -> tuple[str, ...]:
    """The tests that the page names, each once."""
    return tuple(dict.fromkeys(NAMED_TEST.findall(page.read_text("utf-8"))))


def faults(tests: Sequence[str]) -> tuple[int, int, int]:
    """How many tests there are, how many of them were skipped and how many failed."""
    with tempfile.TemporaryDirectory(prefix="racelint-") as scratch:
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *tests]
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if not report.exists():
            raise ToolError(f"the tests were not run: {shown.stdout[-1500:]}")
        cases = list(ElementTree.parse(report).iter("testcase"))
    skipped = sum(case.find("skipped") is not None for case in cases)
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    return len(cases), skipped, failed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit status 1 when anything failed or could not be tried."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--python",
        action="append",
        metavar="EXE",
        help="try the standard library of this interpreter (may be repeated) [default: the running one]",
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="this release or Python version (may be repeated)"
    )
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR", help="where releases are kept")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="S", help="seconds for a file [default: 600]")
    parser.add_argument("--whole", action="store_true", help="also check each tree as a project")
    parser.add_argument("--no-faults", action="store_true", help="leave the tests of docs/reliability.md out")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write what was not read to this file")
    options = parser.parse_args(arguments)
    pythons: list[str] = options.python or [sys.executable]
    rows: list[Row] = []
    missing = failed_wholes = failed_faults = 0
    trials = Trials(options.limit)
    print(HEADER)
    try:
        for name, tree in trees(pythons, options.only, options.cache):
            if isinstance(tree, FetchError):
                print(f"{name:<34} not tried: {tree}", flush=True)
                missing += 1
                continue
            row = measure(name, tree, trials, pythons)
            rows.append(row)
            print(line_of(row), *details(row), sep="\n", flush=True)
            if options.whole:
                said, failed = whole(name, tree)
                failed_wholes += failed
                print(said, flush=True)
    finally:
        trials.close()
    print(line_of(total(rows)))
    if not options.no_faults:
        tried, skipped, failed_faults = faults(promised_tests())
        print(f"faults: {tried} tried, {skipped} of them cannot be had here, {failed_faults} failures")
    if options.json:
        kept = {
            row.name: {
                path: [item.kind, item.line, item.message, path in row.valid]
                for path, item in row.trials.items()
                if item.kind != "read"
            }
            for row in rows
        }
        options.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 1 if missing or failed_wholes or failed_faults or any(row.failures() for row in rows) else 0


def trees(pythons: Sequence[str], only: Sequence[str] | None, cache: Path) -> Iterator[tuple[str, Path | FetchError]]:
    """Every tree that is wanted, by name; releases are fetched as they come."""
    for python in pythons:
        version, folder = library(python)
        if not only or version in only:
            yield f"Python {version}", folder
    for release in load():
        if not only or release.name in only:
            name = f"{release.name} {release.version}"
            try:
                yield name, fetch(release.name, release.version, cache, source=release.source)
            except FetchError as error:
                yield name, error


def total(rows: Sequence[Row]) -> Row:
    """All rows in one."""
    return Row(
        f"{len(rows)} trees",
        {f"{row.name}/{path}": item for row in rows for path, item in row.trials.items()},
        frozenset(f"{row.name}/{path}" for row in rows for path in row.valid),
        sum(row.seconds for row in rows),
        max((row.longest for row in rows), default=0.0),
    )


if __name__ == "__main__":
    sys.exit(main())
