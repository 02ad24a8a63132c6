"""When a race is an error, and when no more than a warning: what is seen of the object that both sides have."""

from __future__ import annotations

from pathlib import Path

import pytest

from racelint.config import Settings
from racelint.pipeline import analyse

ONE_JOB = """
import threading


class Job:
    def __init__(self):
        self.steps = 0

    def step(self):
        self.steps += len(input())


def main():
    job = Job()
    threading.Thread(target=job.step).start()
    job.step()


main()
"""
# Each call of `first` and `second` makes a job; nothing says that two of them get the same one.
SOME_JOBS = """
import threading

from flask import Flask

from jobs import keep, pick

app = Flask(__name__)


class Job:
    def __init__(self):
        self.steps = 0

    def step(self):
        self.steps += len(input())


def find(name) -> Job:
    return pick(name)


def make():
    return keep(Job())


@app.route("/first")
def first():
    find("a").step()


@app.route("/second")
def second():
    find("b").step()
"""
REGISTRY = SOME_JOBS.replace("app = Flask(__name__)", "app = Flask(__name__)\njobs = {}").replace(
    "return pick(name)", "return jobs.setdefault(name, Job())"
)
OWN_THREAD = """
import threading


class Poller:
    def __init__(self):
        self.seen = {}

    def start(self):
        threading.Thread(target=self.poll).start()

    def poll(self):
        while True:
            self.seen[input()] = True

    def names(self):
        return [name for name in self.seen]


class Page:
    def __init__(self, poller: Poller):
        self.poller = poller

    def show(self):
        print(self.poller.names())


def main(names):
    for name in names:
        poller = Poller()
        poller.start()
        Page(poller).show()


main("ab")
"""
FUTURES = """
import asyncio
from concurrent import futures


class Stream:
    def __init__(self):
        self.waiting = {}

    def wait(self, future: asyncio.Future | futures.Future, name):
        self.waiting[name] = future
        future.add_done_callback(self.done)

    def done(self, future):
        for name in self.waiting:
            if self.waiting[name] is future:
                del self.waiting[name]
                break


stream = Stream()


async def listen(future):
    for name in ("a", "b"):
        stream.wait(future, name)


async def main(future):
    await asyncio.gather(listen(future), listen(future))
"""
ONE_FUTURE = FUTURES.replace("asyncio.Future | futures.Future", "futures.Future")


@pytest.mark.parametrize(
    ("source", "severity"),
    [
        pytest.param(ONE_JOB, "error", id="made once, in the main program"),
        pytest.param(REGISTRY, "error", id="found in a container that there is one of"),
        pytest.param(OWN_THREAD, "error", id="an instance and the thread that it has started"),
        pytest.param(SOME_JOBS, "warning", id="made by one line, for each request"),
        pytest.param(ONE_FUTURE, "error", id="a callback that a pool calls"),
        pytest.param(FUTURES, "warning", id="a callback that a pool calls, or the event loop"),
    ],
)
def test_severity(source: str, severity: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(source, encoding="utf-8")
    findings = analyse(tmp_path, Settings()).findings
    assert {finding.severity for finding in findings if finding.rule != "unguarded-write"} == {severity}, [
        (finding.message, finding.notes) for finding in findings
    ]
