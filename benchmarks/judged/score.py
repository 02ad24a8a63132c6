"""Counts the verdicts of the sheets beside this file and rewrites their pages.

python -m benchmarks.judged.score [SHEET.json ...]
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.judged import sheet


def line_of(name: str, entries: Sequence[sheet.Json]) -> str:
    """``errors: 30 drawn, 30 judged: 22 right (73 %), 5 wrong, 3 debatable``."""
    found = Counter(one["verdict"] for one in entries if one["verdict"])
    judged = found.total()
    share = f" ({round(100 * found['right'] / judged)} %)" if judged else ""
    counts = f"{found['right']} right{share}, {found['wrong']} wrong, {found['debatable']} debatable"
    return f"{name}: {len(entries)} drawn, {judged} judged: {counts}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit status 2 for a sheet with a verdict that is not one."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    for path in [Path(name) for name in given] or sorted(Path(__file__).parent.glob("*.json")):
        try:
            entries = sheet.read(path)
        except (OSError, ValueError, KeyError) as error:
            print(error, file=sys.stderr)
            return 2
        sheet.write(path, entries)
        print(line_of(path.stem, entries))
    return 0


if __name__ == "__main__":
    sys.exit(main())
