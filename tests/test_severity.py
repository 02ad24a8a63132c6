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
# One thread has a job that is kept in `jobs`, the others have jobs that somebody gave them: perhaps other ones.
SOME_JOBS = """
import threading

from elsewhere import pick


class Job:
    def __init__(self):
        self.steps = {}

    def look(self):
        return [step for step in self.steps]

    def mark(self, name):
        self.steps[name] = True


class Marker(threading.Thread):
    def __init__(self, job: Job):
        super().__init__()
        self.job = job

    def run(self):
        self.job.mark(self.name)


jobs = {}


def look(name):
    jobs.setdefault(name, Job()).look()


def main():
    for name in "ab":
        threading.Thread(target=look, args=(name,)).start()
        Marker(pick(name)).start()
"""
REGISTRY = SOME_JOBS.replace("pick(name)", "jobs[name]")
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
REQUESTS = """
import contextvars
import threading


class Request:
    def __init__(self):
        self.seen = {}

    def __iter__(self):
        return iter([name for name in self.seen])


request = contextvars.ContextVar("request")


def handle(name):
    request.set(Request())
    request.get().seen[name] = True
    print([one for one in request.get().seen])


def main():
    for name in "ab":
        threading.Thread(target=handle, args=(name,)).start()
"""
LAZY = """
import threading


class Report:
    def __init__(self):
        self.lines = []

    def add(self, line):
        return (*self.lines, line)


class Page:
    def __init__(self):
        self.report = None

    def show(self):
        if self.report is None:
            self.report = Report()
        return self.report.add("shown")


def main():
    page = Page()
    for _ in range(2):
        threading.Thread(target=page.show).start()
"""
LAZY_STATE = LAZY.replace("return (*self.lines, line)", "self.lines.append(line)")
LATE = """
import queue
import threading


class Writer:
    def __init__(self):
        self.lines = queue.Queue()
        threading.Thread(target=self.write).start()
        self.written = 0

    def write(self):
        while True:
            print(self.written)
"""
LATE_MESSAGE = LATE.replace("print(self.written)", "print(self.lines.get(), self.written)")
UNDER_LOCK = """
import threading


class Jobs:
    def __init__(self):
        self.queue = []
        self.lock = threading.Lock()

    def put(self, job):
        with self.lock:
            self.queue.append(job)

    def run(self):
        queue = self.queue
        while True:
            with self.lock:
                if queue:
                    queue.pop()


def main():
    jobs = Jobs()
    for _ in range(2):
        threading.Thread(target=jobs.run).start()
    jobs.put(1)
"""
BEFORE_LOCK = UNDER_LOCK.replace(
    """            with self.lock:
                if queue:
                    queue.pop()""",
    """            if queue:
                with self.lock:
                    queue.pop()""",
)
PING = """
import threading


class Link:
    def __init__(self):
        self.sock = None

    def close(self):
        self.sock = None

    def ping(self):
        if self.sock is not None:
            self.sock.send(b"ping")


def main(sock):
    link = Link()
    link.sock = sock
    threading.Thread(target=link.ping).start()
    link.close()
"""
CAUGHT = PING.replace(
    """            self.sock.send(b"ping")""",
    """            try:
                self.sock.send(b"ping")
            except Exception as error:
                print(error)""",
)
# Which of the two classes the bot is of is found out at run time: one thread is started.
BOTS = """
import threading

from bots import choose


class Bot:
    def __init__(self):
        self.history = []

    def _note(self, line):
        if self.history:
            print(self.history.pop(), line)


class Text(Bot):
    def serve(self):
        while True:
            self._note(input())


class Silent(Bot):
    def serve(self):
        self._note("")


def main(name):
    bot = Text() if name else Silent()
    threading.Thread(target=bot.serve).start()
"""
TWO_BOTS = BOTS + "    threading.Thread(target=bot.serve).start()\n"
HANDLER = """
from elsewhere import client


class Bot:
    def __init__(self):
        self.seen = {}
        client().add_event_handler("message", self.message)

    def message(self, text):
        for line in self.seen:
            print(line)
        self.seen[text] = True


def main():
    bot = Bot()
    while True:
        bot.message(input())
"""
MEMO = """
import threading
from network import connect


def memoize(function):
    cache = {}

    def wrapper(*args):
        key = args
        if key not in cache:
            cache[key] = function(*args)
        return cache[key]

    return wrapper


@memoize
def ask(name):
    return connect(name)


def main():
    for name in "ab":
        threading.Thread(target=ask, args=(name,)).start()
"""
REFUSED = """
import threading

NODES = {}


def node(name):
    if name in NODES:
        return NODES[name]
    raise LookupError(name)


def forget(name):
    NODES.pop(name, None)


def main():
    for name in "ab":
        NODES[name] = object()
        threading.Thread(target=forget, args=(name,)).start()
        print(node(name))
"""
MADE_INSTEAD = REFUSED.replace("raise LookupError(name)", "return object()")
CACHE = """
import threading
from network import connect

LINKS = {}


def link(name):
    if name not in LINKS:
        LINKS[name] = connect(name)
    return LINKS[name]


def main():
    for name in "ab":
        threading.Thread(target=link, args=(name,)).start()
"""
GROUPS = CACHE.replace("connect(name)\n", "[]\n")
ONE_FUTURE = FUTURES.replace("asyncio.Future | futures.Future", "futures.Future")

# The program calls `watch`; who would call `clean` is not seen.
UNCALLED = """
import threading


class Watcher:
    def __init__(self):
        self.seen = {}

    def watch(self):
        threading.Thread(target=self.loop).start()

    def loop(self):
        while True:
            if "oldest" in self.seen:
                del self.seen["oldest"]

    def clean(self):
        self.watch()
        if "oldest" in self.seen:
            del self.seen["oldest"]


if __name__ == "__main__":
    Watcher().watch()
"""
# Five calls lead from the thread to the update.
FAR_AWAY = """
import threading


class Meter:
    def __init__(self):
        self.total = 0

    def first(self):
        self.second()

    def second(self):
        self.third()

    def third(self):
        self.fourth()

    def fourth(self):
        self.fifth()

    def fifth(self):
        self.sixth()

    def sixth(self):
        self.total += len(input())


METER = Meter()
for _ in range(3):
    threading.Thread(target=METER.first).start()
"""
LATE_AND_DEEP = (
    LATE.replace("print(self.written)", "self.show()")
    + """
    def show(self):
        print(self.written)
"""
)


@pytest.mark.parametrize(
    ("source", "severity"),
    [
        pytest.param(ONE_JOB, "error", id="made once, in the main program"),
        pytest.param(REGISTRY, "error", id="found in a container that there is one of"),
        pytest.param(OWN_THREAD, "error", id="an instance and the thread that it has started"),
        pytest.param(CACHE, "error", id="made twice, it is work done twice"),
        pytest.param(GROUPS, "error", id="made twice, what is put into the one is lost"),
        pytest.param(REFUSED, "warning", id="who asks for what is not there gets an exception as well"),
        pytest.param(MADE_INSTEAD, "error", id="who asks for what is not there gets something else"),
        pytest.param(SOME_JOBS, "note", id="made by one line, for each request, and found somewhere"),
        pytest.param(LAZY, "warning", id="made twice, and one of the two dropped"),
        pytest.param(LAZY_STATE, "error", id="made twice, and what the first was told is dropped"),
        pytest.param(LATE, "error", id="read by the thread that a constructor has started"),
        pytest.param(LATE_AND_DEEP, "warning", id="read by what such a thread calls"),
        pytest.param(UNCALLED, "warning", id="a method that the program does not call"),
        pytest.param(FAR_AWAY, "warning", id="at the end of a long way"),
        pytest.param(BEFORE_LOCK, "error", id="asked before the lock is taken"),
        pytest.param(UNDER_LOCK, "warning", id="named before the lock is taken, and asked under it"),
        pytest.param(PING, "error", id="what is missing raises"),
        pytest.param(CAUGHT, "warning", id="what is missing raises, and that is caught"),
        pytest.param(TWO_BOTS, "error", id="an object of one of two classes, and two threads"),
        pytest.param(MEMO, "warning", id="an answer that is kept twice"),
        pytest.param(ONE_FUTURE, "error", id="a callback that a pool calls"),
    ],
)
def test_severity(source: str, severity: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(source, encoding="utf-8")
    findings = analyse(tmp_path, Settings()).findings
    assert {finding.severity for finding in findings if finding.rule != "unguarded-write"} == {severity}, [
        (finding.message, finding.notes) for finding in findings
    ]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(REQUESTS, id="a context variable"),
        pytest.param(BOTS, id="one thread, for an object of one of two classes"),
        pytest.param(LATE_MESSAGE, id="read once there is a message, which needs a finished object"),
    ],
)
def test_silence(source: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(source, encoding="utf-8")
    assert not analyse(tmp_path, Settings()).findings


@pytest.mark.parametrize(
    "source", [pytest.param(FUTURES, id="two types of futures"), pytest.param(HANDLER, id="a name that many use")]
)
def test_a_context_that_is_a_guess_makes_the_finding_one(source: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(source, encoding="utf-8")
    assert {finding.confidence for finding in analyse(tmp_path, Settings()).findings} == {"low"}
