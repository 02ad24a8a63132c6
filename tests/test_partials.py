"""Calls through functools.partial: what runs in the end, however often a function was wrapped."""

from __future__ import annotations

from pathlib import Path

import pytest

from racelint import pipeline
from racelint.config import Settings
from racelint.model.findings import Finding

HEAD = """\
import threading
from functools import partial

counts = {}


def count(step, name):
    counts[name] = counts.get(name, 0) + step


"""
# Each program puts a way to ``count`` into a partial, and that where it is found again when the next one is made.
ITSELF = """\
class Work:
    def __init__(self):
        self.run = partial(count, 1)

    def again(self):
        self.run = partial(self.run)
        self.run("a")


WORK = Work()
for _ in range(3):
    threading.Thread(target=WORK.again).start()
"""
THROUGH_TWO = """\
class Work:
    def __init__(self):
        self.first = partial(count, 1)
        self.second = None

    def again(self):
        self.second = partial(self.first)
        self.first = partial(self.second)
        self.first("a")


WORK = Work()
for _ in range(3):
    threading.Thread(target=WORK.again).start()
"""
TWICE = """\
step = partial(count, 1)
named = partial(step, "a")
for _ in range(3):
    threading.Thread(target=named).start()
"""
RESULT = """\
class Work:
    def __init__(self):
        self.make = dict
        self.kept = self.make()

    def again(self):
        self.make = partial(self.make)
        self.kept = self.make()
        self.kept["a"] = self.kept.get("a", 0) + 1


WORK = Work()
for _ in range(3):
    threading.Thread(target=WORK.again).start()
"""


def found(project: Path, program: str) -> list[Finding]:
    """What is reported about a program."""
    (project / "main.py").write_text(HEAD + program, encoding="utf-8")
    result = pipeline.analyse(project, Settings())
    assert not result.problems
    return list(result.findings)


@pytest.mark.parametrize("program", [ITSELF, THROUGH_TWO, TWICE], ids=["itself", "through two", "twice"])
def test_what_runs_in_the_end(tmp_path: Path, program: str) -> None:
    findings = found(tmp_path, program)
    assert ("read-modify-write", "main.counts") in {(finding.rule, finding.place) for finding in findings}


def test_what_it_returns(tmp_path: Path) -> None:
    findings = found(tmp_path, RESULT)
    assert ("read-modify-write", "main.Work.kept") in {(finding.rule, finding.place) for finding in findings}
