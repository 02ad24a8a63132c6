"""Draws findings of one severity at random over a set of ``packages.toml``, to be judged by reading the code.

    python -m benchmarks.sample [--set packages] [--severity error] [--count 30] [--name errors] [--cache DIR]
                                [--reports packages.json] [--racelint CMD]

The seed is in ``judged/seed.txt``: the same findings give the same draw. ``--reports`` takes what
``benchmarks.packages --json`` wrote instead of running racelint again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.judged import sheet
from benchmarks.packages import DEFAULT_SET, load, sets
from benchmarks.releases import DEFAULT_CACHE, fetch
from benchmarks.tool import command_of, run, shown

JUDGED = Path(__file__).parent / "judged"
Drawn = tuple[str, dict[str, Any]]


def draw(reports: Mapping[str, Mapping[str, Any]], count: int, seed: str, severity: str = "error") -> list[Drawn]:
    """(package, finding) for ``count`` findings of this severity, whatever the order of packages and findings."""
    every = [
        (package, finding)
        for package, report in reports.items()
        for finding in shown(dict(report))
        if finding["severity"] == severity
    ]
    every.sort(key=lambda drawn: (drawn[1]["fingerprint"], drawn[0]))
    return random.Random(seed).sample(every, min(count, len(every)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit status 2 when the sheet already holds verdicts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sample", description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=sorted(sets()), default=DEFAULT_SET, help="which packages (default: packages)")
    parser.add_argument("--severity", choices=("error", "warning"), default="error", help="which findings")
    parser.add_argument("--count", type=int, default=30, metavar="N", help="how many findings (default: 30)")
    parser.add_argument("--name", default="errors", help="name of the sheet in benchmarks/judged (default: errors)")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR", help="where releases are kept")
    parser.add_argument("--reports", type=Path, metavar="F", help="reports written by benchmarks.packages --json")
    parser.add_argument("--racelint", metavar="CMD", help="the command to run (default: python -m racelint)")
    options = parser.parse_args(arguments)
    target = JUDGED / f"{options.name}.json"
    if target.exists() and any(one["verdict"] for one in sheet.read(target)):
        print(f"{target} holds verdicts; choose another --name", file=sys.stderr)
        return 2
    versions = load(options.set)
    trees = {package: fetch(package, version, options.cache) for package, version in versions.items()}
    if options.reports:
        reports = json.loads(options.reports.read_text(encoding="utf-8"))
    else:
        command = command_of(options.racelint)
        reports = {package: run(command, tree).report for package, tree in trees.items()}
    drawn = draw(reports, options.count, (JUDGED / "seed.txt").read_text(encoding="utf-8").strip(), options.severity)
    sheet.write(target, [sheet.entry(name, versions[name], finding, trees[name]) for name, finding in drawn])
    print(f"{target}: {len(drawn)} findings to judge")
    return 0


if __name__ == "__main__":
    sys.exit(main())
