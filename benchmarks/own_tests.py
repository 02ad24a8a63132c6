"""Applies every safe fix to packages that ship their tests, and runs these before and after.

    python -m benchmarks.own_tests [--only NAME] [--cache DIR] [--unsafe]

Each package of ``own_tests.toml`` is installed with what its tests need in an environment of its own. The tests run in
the unpacked source archive, as it is and with the fixes; a test that fails only with them is run again in both, and
counts when it fails again. This installs and runs foreign code, unlike everything else here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from benchmarks.releases import DEFAULT_CACHE

PACKAGES = Path(__file__).parent / "own_tests.toml"
COLUMNS = ("fixed", "left", "tests", "failed", "after", "new")
# Tests hang where a service is missing: seconds for the tests of one package.
PATIENCE = 1200


@dataclass(frozen=True, slots=True)
class Outcome:
    """The tests that ran, by name, and those that failed."""

    ran: frozenset[str]
    failed: frozenset[str]


def outcome(report: Path) -> Outcome:
    """What a JUnit report of pytest says; raises ElementTree.ParseError or OSError when there is none."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = {_name(case) for case in cases if any(child.tag in ("failure", "error") for child in case)}
    skipped = {_name(case) for case in cases if any(child.tag == "skipped" for child in case)}
    return Outcome(frozenset(_name(case) for case in cases) - skipped, frozenset(failed))


def _name(case: ElementTree.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def environment(package: Mapping[str, Any], folder: Path, interpreter: str = sys.executable) -> Path:
    """The interpreter of an environment with the package's dependencies and what its tests need; made once."""
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([interpreter, "-m", "venv", str(folder)], check=True)
        extras = f"[{package['extras']}]" if "extras" in package else ""
        wanted = [f"{package['name']}{extras}=={package['version']}", *package["needs"]]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True)
        ready.touch()
    return python


def archive(package: Mapping[str, Any], scratch: Path, python: Path, tree: Path) -> Path:
    """The source archive, unpacked in ``tree``."""
    name, version = package["name"], package["version"]
    arguments = ["--no-deps", "--no-binary", name, "--dest", str(scratch), f"{name}=={version}"]
    if not list(scratch.glob("*.tar.gz")):
        subprocess.run([str(python), "-m", "pip", "download", "-q", *arguments], check=True)
    (packed,) = scratch.glob("*.tar.gz")
    with tarfile.open(packed) as file:
        file.extractall(tree, filter="data")
    (top,) = tree.iterdir()
    return top


def outcome_in(package: Mapping[str, Any], tree: Path, python: Path, only: Sequence[str] = ()) -> Outcome:
    """Runs the package's tests in a tree; with ``only``, those of them."""
    report = tree.parent / f"{tree.name}.xml"
    report.unlink(missing_ok=True)
    environ = {**os.environ, "PYTHONPATH": str(tree / package.get("folder", ".")), "PYTHONDONTWRITEBYTECODE": "1"}
    chosen = ["-k", " or ".join(sorted({name.rpartition("::")[2].partition("[")[0] for name in only}))] if only else []
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    with (tree.parent / f"{tree.name}.log").open("wb") as log:
        subprocess.run(
            [*command, *package["tests"], *chosen], cwd=tree, env=environ, stdout=log, stderr=log, timeout=PATIENCE
        )
    return outcome(report)


def mended(tree: Path, unsafe: bool) -> tuple[int, int]:
    """Applies the fixes in a tree; how many places were mended, and how many were left."""
    kind = ["--unsafe-fixes"] if unsafe else []
    command = [sys.executable, "-m", "racelint", "check", "--project", str(tree), "--fix", "--exit-zero", *kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    return sum("racelint: fixed " in line for line in lines), sum("racelint: left " in line for line in lines)


def measure(package: Mapping[str, Any], cache: Path, unsafe: bool) -> tuple[tuple[int, ...], frozenset[str]]:
    """The numbers of one row, and the tests that fail only with the fixes."""
    scratch = cache / "own-tests" / package["name"]
    scratch.mkdir(parents=True, exist_ok=True)
    python = environment(package, scratch / "venv")
    # Not in the cache: pytest would take the settings of the project around it.
    with tempfile.TemporaryDirectory(prefix="own-tests-") as name:
        before = archive(package, scratch, python, Path(name) / "before")
        after = Path(name) / "after" / before.name
        shutil.copytree(before, after)
        fixed, left = mended(after, unsafe)
        first, second = outcome_in(package, before, python), outcome_in(package, after, python)
        new = second.failed - first.failed
        if new:
            again = outcome_in(package, after, python, sorted(new)).failed & new
            new = again - outcome_in(package, before, python, sorted(again)).failed if again else again
    return (fixed, left, len(first.ran), len(first.failed), len(second.failed), len(new)), new


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit status 1 when a test fails only with the fixes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_tests", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="only this package (may be repeated)")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR", help="where everything is kept")
    parser.add_argument("--unsafe", action="store_true", help="apply unsafe fixes too")
    options = parser.parse_args(arguments)
    print(f"{'package':<24}" + "".join(f"{column:>8}" for column in COLUMNS))
    broken = False
    for package in tomllib.loads(PACKAGES.read_text("utf-8"))["package"]:
        if options.only and package["name"] not in options.only:
            continue
        row, new = measure(package, options.cache, options.unsafe)
        print(f"{package['name'] + ' ' + package['version']:<24}" + "".join(f"{cell:>8}" for cell in row), flush=True)
        for name in sorted(new):
            print(f"  fails only with the fixes: {name}")
        broken = broken or bool(new)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
