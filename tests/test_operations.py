"""What is one step and what is not: each row of ``operations.toml`` as a program that racelint looks at."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from racelint import config, pipeline
from racelint.frameworks.schema import Operation, builtin

ROWS = builtin().operation
CODES = [(row, code) for row in ROWS for code in row.name]
SHARED = """\
import asyncio, collections, copy, itertools, json, pickle, threading, weakref


class Thing:
    def __init__(self):
        self.n = None
        self.m = None


d, l, s, q, o, g = {}, [], set(), collections.deque(), Thing(), 0
c, f, od = collections.Counter(), collections.defaultdict(list), collections.OrderedDict()
wv, ws = weakref.WeakValueDictionary(), weakref.WeakSet()
count = itertools.count()


def numbers():
    yield 1


generator = numbers()


async def once(k):
    await asyncio.sleep(0)
    return k


"""
IN_THREADS = """
def main():
    for n in range(4):
        threading.Thread(target=work, args=(n, n)).start()
        threading.Thread(target=other, args=(n, n)).start()
"""
IN_TASKS = """
async def main():
    await asyncio.gather(work(1, 1), work(2, 2), other(1, 1))
"""


def program(row: Operation, code: str) -> str:
    """Two functions that overlap each other and themselves: one does the operation, the other what may break it."""
    kind = "async def" if row.tasks else "def"
    parts = [SHARED]
    for name, body in (("work", code), ("other", row.beside or "pass")):
        parts.append(f"{kind} {name}(k, v):\n    global g\n{textwrap.indent(body, '    ')}\n\n")
    return "\n".join(parts) + (IN_TASKS if row.tasks else IN_THREADS)


@pytest.mark.parametrize(("row", "code"), CODES, ids=[code for _, code in CODES])
def test_what_is_said_of_an_operation(row: Operation, code: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(program(row, code), encoding="utf-8")
    result = pipeline.analyse(tmp_path, config.load(tmp_path))
    said = {
        finding.rule for finding in result.findings if any(side.function.endswith("work") for side in finding.sides)
    }
    if row.atomic or not row.rule:
        # That writers of one place overwrite each other is said of atomic writes too, as a warning.
        assert said <= {"unguarded-write"}
    else:
        assert row.rule in said
