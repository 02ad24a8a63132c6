"""Parses every Python file below a folder with LibCST, in so many processes, and does nothing with it: the floor.

    python -m benchmarks.bare_parse FOLDER JOBS

No tool that needs the syntax trees can be quicker. Files are taken the largest first, as racelint takes them, and
garbage is looked for as seldom; a file that cannot be parsed is passed over.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import libcst

from racelint.stack import with_deep_stack

COLLECT_AFTER = 400


def parse(paths: Sequence[str]) -> int:
    """Parse these files; how many could be."""
    return with_deep_stack(lambda: sum(map(_parsed, paths)))


def _parsed(path: str) -> bool:
    try:
        libcst.parse_module(Path(path).read_bytes())
    except Exception:  # whatever a file is, it is passed over
        return False
    return True


def quiet() -> None:
    """Look for garbage as seldom as racelint does."""
    gc.disable()


def shares(paths: Iterable[Path], size: int) -> list[list[str]]:
    """The paths, the largest files first, in shares of at most ``size``."""
    ordered = sorted(paths, key=lambda path: (-path.stat().st_size, path))
    return [[str(path) for path in ordered[start : start + size]] for start in range(0, len(ordered), size)]


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    folder, jobs = Path(arguments[0]), int(arguments[1])
    paths = [path for path in folder.rglob("*.py") if path.is_file()]
    if jobs == 1:
        quiet()
        done = 0
        for share in shares(paths, COLLECT_AFTER):
            done += parse(share)
            gc.collect()
    else:
        with ProcessPoolExecutor(jobs, initializer=quiet) as pool:
            done = sum(pool.map(parse, shares(paths, 4)))
    print(f"{done} of {len(paths)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
