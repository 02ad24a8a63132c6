"""Functions that are handed to themselves: what a parameter holds grows while it is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from racelint import pipeline
from racelint.config import Settings

NOTE = """\
seen = {}


def note(step):
    if step not in seen:
        seen[step] = []


"""
POOL = """\
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor()


def again(step):
    pool.submit(step, note)
    note(step)


pool.submit(again, again)
"""
THREAD = """\
import threading


def again(step):
    threading.Thread(target=step, args=(note,)).start()
    note(step)


for _ in range(3):
    threading.Thread(target=again, args=(again,)).start()
"""
LATER = """\
import threading


def again(step):
    threading.Timer(1, step, args=[note]).start()
    list(map(step, [note]))
    note(step)


for _ in range(3):
    threading.Thread(target=again, args=(again,)).start()
"""


@pytest.mark.parametrize("program", [POOL, THREAD, LATER], ids=["pool", "thread", "later"])
def test_a_function_that_is_handed_to_itself(tmp_path: Path, program: str) -> None:
    (tmp_path / "main.py").write_text(NOTE + program)
    result = pipeline.analyse(tmp_path, Settings())
    assert result.problems == ()
    assert {finding.place for finding in result.findings} == {"main.seen"}


def test_what_is_called_is_passed_to_itself(tmp_path: Path) -> None:
    source = "def other():\n    pass\n\n\ndef run(func):\n    func(run, func=other)\n\n\nrun(print)\n"
    (tmp_path / "main.py").write_text(source, "utf-8")
    assert not pipeline.analyse(tmp_path, Settings()).problems
