"""Adopts racelint on released packages: writes a baseline, adds one race, and looks whether that alone is reported.

    python -m benchmarks.adoption [--only NAME] [--forms FORM,...] [--cache DIR] [--racelint CMD]

Everything happens in a copy of the release. With the baseline nothing may be reported; with the added race exactly that
in every form; and still only that when the known findings of a file move down.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.packages import load
from benchmarks.releases import DEFAULT_CACHE, FetchError, fetch
from benchmarks.reports import READERS, ReportError, paths
from benchmarks.tool import ToolError, command_of, execute
from racelint.baseline import BaselineError, Entry, parse

PACKAGES = ("patroni", "skypilot")
ADDED = "added_race.py"
# Two threads may both find the key missing.
RACE = """\
import threading

sessions = {}


def open_session(key):
    if key not in sessions:
        sessions[key] = object()
    return sessions[key]


def start():
    first = threading.Thread(target=open_session, args=("main",))
    second = threading.Thread(target=open_session, args=("main",))
    first.start()
    second.start()
"""
SHIFT = b"# This line is new.\n" * 10
HEADER = f"{'package':<20}{'lines':>9}{'known':>7}  {'step':<18}{'s':>8}{'bytes':>9}{'reported':>10}"


@dataclass(frozen=True, slots=True)
class Step:
    """One run: what it cost, what it wrote, the files of the findings it reported, and what is wrong about it."""

    name: str
    seconds: float
    size: int
    reported: tuple[str, ...]
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """The copy of a release, and the baseline beside it."""

    command: Sequence[str]
    tree: Path
    baseline: Path

    def known(self) -> tuple[Entry, ...]:
        """The entries of the baseline; raises BaselineError or OSError when there is none to be read."""
        return parse(self.baseline.read_text("utf-8"), str(self.baseline))

    def write_baseline(self) -> Step:
        """Takes all findings for known. Raises ToolError when that fails, as nothing can be said then."""
        done = execute([*self._check(), "--update-baseline"])
        if done.status != 0:
            raise done.refused()
        reported = tuple(entry.path for entry in self.known())
        size = self.baseline.stat().st_size
        return Step("update-baseline", done.seconds, size, reported, "" if reported else "no finding is known")

    def check(self, name: str, form: str, expected: Sequence[str], *options: str) -> Step:
        """A check that must report findings in exactly the ``expected`` files.

        Raises ToolError when racelint did not come to its end.
        """
        done = execute([*self._check(), "--output-format", form, *options])
        if done.status not in (0, 1):
            raise done.refused()
        try:
            reported = tuple(paths(form, done.out.decode("utf-8")))
        except ReportError as error:
            return Step(name, done.seconds, len(done.out), (), str(error))
        return Step(name, done.seconds, len(done.out), reported, wrong(reported, expected, done.status))

    def add_race(self) -> None:
        """Adds the module with the race. Raises FileExistsError when the release has one of that name."""
        with (self.tree / ADDED).open("x", encoding="utf-8") as file:
            file.write(RACE)

    def move_known(self) -> None:
        """Moves the code of the file with most known findings ten lines down."""
        (path, _), *_ = Counter(entry.path for entry in self.known()).most_common(1)
        file = self.tree / path
        file.write_bytes(SHIFT + file.read_bytes())

    def _check(self) -> list[str]:
        return [*self.command, "check", "--project", str(self.tree), "--baseline", str(self.baseline)]


def wrong(reported: Sequence[str], expected: Sequence[str], status: int) -> str:
    """What is wrong about a report and its exit status, in words; empty when nothing is."""
    parts = []
    extra, missing = Counter(reported) - Counter(expected), Counter(expected) - Counter(reported)
    if extra:
        parts.append(f"must not be reported: {', '.join(sorted(extra.elements()))}")
    if missing:
        parts.append(f"not reported: {', '.join(sorted(missing.elements()))}")
    if status != int(bool(expected)):
        parts.append(f"exit status {status}")
    return "; ".join(parts)


def adopt(trial: Trial, forms: Sequence[str]) -> Iterator[Step]:
    """The steps of the adoption, each run as it is asked for."""
    yield trial.write_baseline()
    yield trial.check("nothing new", "concise", ())
    trial.add_race()
    for form in forms:
        yield trial.check(form, form, (ADDED,))
    if trial.known():
        trial.move_known()
        yield trial.check("lines moved", "concise", (ADDED,))


def line_of(name: str, lines: int, known: int, step: Step) -> str:
    """One row."""
    start = f"{name:<20}{lines:>9}{known:>7}  {step.name:<18}"
    return f"{start}{step.seconds:>8.1f}{step.size:>9}{len(step.reported):>10}"


def forms_of(text: str) -> list[str]:
    """The forms of a list with commas. Raises ArgumentTypeError for one that cannot be read back."""
    forms = [part.strip() for part in text.split(",")]
    unknown = sorted(set(forms) - set(READERS))
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown form: {', '.join(map(repr, unknown))} (of {', '.join(READERS)})")
    return forms


def measure(name: str, release: Path, command: Sequence[str], forms: Sequence[str]) -> bool:
    """Prints the rows of one release; whether all went as it must. Raises ToolError and BaselineError."""
    # Not in the cache: that may lie in a checkout, and then paths of some forms count from its root.
    with tempfile.TemporaryDirectory(prefix="adoption-") as scratch:
        trial = Trial(command, Path(scratch) / "tree", Path(scratch) / "known.toml")
        shutil.copytree(release, trial.tree)
        lines, went_well = lines_in(trial.tree), True
        for step in adopt(trial, forms):
            print(line_of(name, lines, len(trial.known()), step), flush=True)
            if step.wrong:
                print(f"  {step.name}: {step.wrong}", flush=True)
                went_well = False
    return went_well


def lines_in(tree: Path) -> int:
    """Lines of the Python files in a folder."""
    return sum(len(path.read_bytes().splitlines()) for path in tree.rglob("*.py") if path.is_file())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit status 1 when anything but the added race was reported, or a release was not measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adoption", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=PACKAGES, help="this package (may be repeated)")
    parser.add_argument(
        "--forms", type=forms_of, default=list(READERS), metavar="FORM,...", help=f"default: {','.join(READERS)}"
    )
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR", help="where releases are kept")
    parser.add_argument("--racelint", metavar="CMD", help="the command to run (default: python -m racelint)")
    options = parser.parse_args(arguments)
    command, versions, failed = command_of(options.racelint), load(), False
    print(HEADER)
    for package in options.only or PACKAGES:
        name = f"{package} {versions[package]}"
        try:
            went_well = measure(name, fetch(package, versions[package], options.cache), command, options.forms)
        except (FetchError, ToolError, BaselineError, OSError) as error:
            print(f"{name:<20} not measured: {error}", flush=True)
            went_well = False
        failed = failed or not went_well
    print("The time is that of the whole process; of update-baseline the bytes are those of the file.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
