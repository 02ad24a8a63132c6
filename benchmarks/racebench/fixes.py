"""What racelint's fixes make of the bugs of ``bugs.json``; see README.md beside this file.

python -m benchmarks.racebench.fixes [--only ID] [--jobs N] [--json OUT] [--import]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.racebench.imports import still_import
from benchmarks.racebench.run import Json, load, tree_of
from benchmarks.racebench.scoring import place_names, variable_names
from benchmarks.releases import DEFAULT_CACHE, FetchError
from racelint import mend
from racelint.config import Settings
from racelint.fix.plan import Plan
from racelint.model.findings import Finding
from racelint.testing import visible

COLUMNS = f"{'parses':<7} {'imports':<8} {'same file':<10} {'same kind':<10} {'upstream':<16}"
HEADER = f"{'bug':<36} {'named':<6} {'offer':<7} {COLUMNS} lock, or why there is none"


@dataclass(frozen=True, slots=True)
class Row:
    """What was offered for one bug: ``offer`` is safe, unsafe or nothing. Offers are proved by a new analysis.

    ``imports``: the changed modules import as before (None: not tried, or not before either). ``fix_shape`` is what
    upstream did; ``same_kind`` whether that is part of what is offered.
    """

    id: str
    named: bool
    offer: str = ""
    parses: bool | None = None
    imports: bool | None = None
    same_file: bool | None = None
    same_kind: bool | None = None
    fix_shape: str = ""
    note: str = ""


def shapes(plan: Plan) -> frozenset[str]:
    """What a plan does, in the words of ``fix_shape``."""
    kinds = {hold.kind for hold in plan.holds}
    if not plan.lock and plan.container:
        return frozenset(("atomic-dict-op",))
    copies = {"copy-on-iterate"} if kinds & {"walk", "copy"} else set()
    return frozenset(copies | ({"lock-added"} if plan.lock else set()))


def measure(bug: Json, cache: Path, install: bool) -> Row:
    """Ask for the fix of one bug, and look at what it would change."""
    names = variable_names(bug["variable"])

    def wanted(finding: Finding) -> bool:
        return bool(visible([finding])) and not place_names(finding.place).isdisjoint(names)

    try:
        with tree_of(bug, bug["buggy_version"], cache) as tree:
            result = mend.mend(tree, Settings(library=not bug["internally_threaded"]), wanted, unsafe=True)
    except FetchError as error:
        return Row(bug["id"], named=False, note=str(error))
    if not result.done:
        reasons = "; ".join(dict.fromkeys(left.reason for left in result.left))
        return Row(bug["id"], named=bool(result.left), fix_shape=bug["fix_shape"], note=reasons)
    parses = True
    for change in result.changes:
        try:
            compile(change.new, change.display, "exec")
        except SyntaxError:
            parses = False
    return Row(
        bug["id"],
        named=True,
        offer="safe" if all(offer.applicability == "safe" for offer in result.done) else "unsafe",
        parses=parses,
        imports=still_import(bug["package"], bug["buggy_version"], result.changes, cache / "imports" / bug["id"])
        if install and parses
        else None,
        same_file=any(
            change.display.removeprefix("src/") == bug["file"].removeprefix("src/") for change in result.changes
        ),
        same_kind=any(bug["fix_shape"] in shapes(offer.plan) for offer in result.done),
        fix_shape=bug["fix_shape"],
        note="; ".join(offer.plan.title for offer in result.done),
    )


def line_of(row: Row) -> str:
    """One row of the table."""
    words = {True: "yes", False: "no", None: "-"}
    named, parses, same, kind = (words[value] for value in (row.named, row.parses, row.same_file, row.same_kind))
    imports = words[row.imports]
    offer, upstream = row.offer or "-", row.fix_shape
    return (
        f"{row.id:<36} {named:<6} {offer:<7} {parses:<7} {imports:<8} {same:<10} {kind:<10} {upstream:<16} {row.note}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit status 1 when an offered fix does not parse or import."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.racebench.fixes", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="ID", help="this bug (may be repeated)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="bugs at a time (default: 2)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the rows to this file")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR", help="where releases are kept")
    parser.add_argument("--import", action="store_true", dest="install", help="install each release, and import it")
    options = parser.parse_args(arguments)
    bugs = [bug for bug in load() if bug["model"] == "threads" and (not options.only or bug["id"] in options.only)]
    rows: list[Row] = []
    print(HEADER)
    with ProcessPoolExecutor(max(1, options.jobs), max_tasks_per_child=1) as pool:
        for row in pool.map(measure, bugs, [options.cache] * len(bugs), [options.install] * len(bugs)):
            print(line_of(row), flush=True)
            rows.append(row)
    named = [row for row in rows if row.named]
    offered = [row for row in named if row.offer]
    print(
        f"offered for {len(offered)} of {len(named)} named ({sum(row.offer == 'safe' for row in offered)} safe); "
        f"{sum(bool(row.parses) for row in offered)} parse, {len(offered)} are clean when analysed again, "
        f"{sum(row.imports is True for row in offered)} import as before "
        f"(of {sum(row.imports is not None for row in offered)} that could be tried), "
        f"{sum(bool(row.same_file) for row in offered)} in the file of upstream's fix, "
        f"{sum(bool(row.same_kind) for row in offered)} of the same kind"
    )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    return 0 if all(row.parses and row.imports is not False for row in offered) else 1


if __name__ == "__main__":
    sys.exit(main())
