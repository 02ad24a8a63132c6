"""Runs racelint on the releases in ``packages.toml`` and prints what it found and what it cost.

python -m benchmarks.packages [--set SET] [--only NAME] [--cache DIR] [--json OUT] [--racelint CMD]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from benchmarks.releases import DEFAULT_CACHE, FetchError, fetch
from benchmarks.tool import Run, ToolError, command_of, per_thousand, run

PACKAGES = Path(__file__).parent / "packages.toml"
DEFAULT_SET = "packages"
COLUMNS = ("files", "lost", "lines", "probl.", "error", "warn.", "err/kl", "all/kl", "s", "s/kl", "MB", "MB all")
HEADER = f"{'package':<28}" + "".join(f"{column:>9}" for column in COLUMNS)


def sets(path: Path = PACKAGES) -> dict[str, dict[str, str]]:
    """Version by package name, by the name of the set."""
    return {
        str(group): {str(name): str(version) for name, version in packages.items()}
        for group, packages in tomllib.loads(path.read_text("utf-8")).items()
    }


def load(group: str = DEFAULT_SET) -> dict[str, str]:
    """Version by package name of one set; raises KeyError for a set that is not there."""
    return sets()[group]


def chosen(only: Sequence[str] | None, group: str = DEFAULT_SET) -> dict[str, str]:
    """The packages of a set to check; raises ValueError for a name that is not in it."""
    every = load(group)
    unknown = sorted(set(only or ()) - set(every))
    if unknown:
        raise ValueError(f"not among the {group} of packages.toml: {', '.join(unknown)}")
    return {name: version for name, version in every.items() if not only or name in only}


def line_of(name: str, files_there: int, done: Run) -> str:
    """One row: ``lost`` are the files that were there and not analysed."""
    files = done.report["summary"]["files"]
    cells = (
        str(files),
        str(files_there - files),
        str(done.lines),
        str(done.report["summary"]["problems"]),
        str(done.count("error")),
        str(done.count("warning")),
        f"{done.density(errors_only=True):.2f}",
        f"{done.density():.2f}",
        f"{done.seconds:.1f}",
        f"{per_thousand(done.seconds, done.lines):.3f}",
        f"{done.peak_mb:.0f}",
        f"{done.total_mb:.0f}",
    )
    return f"{name:<28}" + "".join(f"{cell:>9}" for cell in cells)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit status 1 when a package could not be fetched or analysed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packages", description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=sorted(sets()), default=DEFAULT_SET, help="which packages (default: packages)")
    parser.add_argument("--only", action="append", metavar="NAME", help="this package (may be repeated)")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR", help="where releases are kept")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the full reports to this file")
    parser.add_argument("--racelint", metavar="CMD", help="the command to run (default: python -m racelint)")
    options = parser.parse_args(arguments)
    try:
        packages = chosen(options.only, options.set)
    except ValueError as error:
        parser.error(str(error))
    command, reports, failed = command_of(options.racelint), {}, 0
    print(HEADER)
    for name, version in packages.items():
        try:
            tree = fetch(name, version, options.cache)
            done = run(command, tree)
        except (FetchError, ToolError) as error:
            print(f"{name:<28} not measured: {error}", flush=True)
            failed += 1
            continue
        print(line_of(f"{name} {version}", sum(1 for _ in tree.rglob("*.py")), done), flush=True)
        for problem in done.report["problems"]:
            print(f"  {problem['rule']}: {problem['path']}:{problem['line']}: {problem['message']}")
        reports[name] = done.report
    print("MB is the largest single process, MB all the largest sum over the processes of a run; kl is 1,000 lines.")
    if options.json:
        options.json.write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
