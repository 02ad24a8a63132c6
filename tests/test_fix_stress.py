"""Fixes under real threads: each program goes wrong as it is written, and no longer once it is mended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from racelint import config, mend, select
from racelint.fix import write

FRAME = "import time\n\n\ndef pause():\n    time.sleep(0.001)\n"

# Each has a `run` that tells how much went wrong; `pause` lets another thread in.
SHAPES: dict[str, dict[str, str]] = {
    "module dict": {
        "main.py": """\
import threading
from frame import pause

JOBS = {}
MADE = []


def work():
    if "a" not in JOBS:
        pause()
        MADE.append(1)
        JOBS["a"] = object()


def run():
    JOBS.clear()
    MADE.clear()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(MADE) - 1
"""
    },
    "instance dict": {
        "main.py": """\
import threading
from frame import pause


class Registry:
    def __init__(self):
        self.jobs = {}
        self.made = []

    def work(self):
        if "a" not in self.jobs:
            pause()
            self.made.append(1)
            self.jobs["a"] = object()

    def run(self):
        threads = [threading.Thread(target=self.work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(self.made) - 1


def run():
    return Registry().run()
"""
    },
    "class attribute": {
        "main.py": """\
import threading
from frame import pause


class Registry:
    jobs = {}
    made = []

    def work(self):
        if "a" not in self.jobs:
            pause()
            self.made.append(1)
            self.jobs["a"] = object()


def run():
    Registry.jobs.clear()
    del Registry.made[:]
    threads = [threading.Thread(target=Registry().work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(Registry.made) - 1
"""
    },
    "closure": {
        "main.py": """\
import threading
from frame import pause


def run():
    jobs = {}
    made = []

    def work():
        if "a" not in jobs:
            pause()
            made.append(1)
            jobs["a"] = object()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(made) - 1
"""
    },
    "data class": {
        "main.py": """\
import threading
from dataclasses import dataclass, field

from frame import pause


@dataclass
class Registry:
    jobs: dict = field(default_factory=dict)
    made: list = field(default_factory=list)

    def work(self):
        if "a" not in self.jobs:
            pause()
            self.made.append(1)
            self.jobs["a"] = object()

    def run(self):
        threads = [threading.Thread(target=self.work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(self.made) - 1


def run():
    return Registry().run()
"""
    },
    "counter": {
        "main.py": """\
import threading
from frame import pause

count = 0


def one(value):
    pause()
    return value + 1


def work():
    global count
    count = one(count)


def run():
    global count
    count = 0
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 4 - count
"""
    },
    "lazy init": {
        "main.py": """\
import threading
from frame import pause

MADE = []


class Client:
    def __init__(self):
        pause()
        MADE.append(1)


_client = None


def client():
    global _client
    if _client is None:
        _client = Client()
    return _client


def work():
    client()


def run():
    global _client
    _client = None
    MADE.clear()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(MADE) - 1
"""
    },
    "iterate": {
        "main.py": """\
import threading
from frame import pause

JOBS = {}
FAILED = []


def walk():
    try:
        for job in JOBS:
            pause()
    except RuntimeError:
        FAILED.append(1)


def fill():
    for number in range(5):
        JOBS[number] = number
        pause()


def run():
    JOBS.clear()
    FAILED.clear()
    JOBS["first"] = 0
    threads = [threading.Thread(target=walk), threading.Thread(target=fill)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(FAILED)
"""
    },
    "inconsistent guard": {
        "main.py": """\
import threading
from frame import pause


class Registry:
    def __init__(self):
        self._lock = threading.Lock()
        self.jobs = {}
        self.lost = 0

    def add(self):
        with self._lock:
            self.jobs["a"] = self.jobs.get("a", 0) + 1

    def add_more(self):
        with self._lock:
            self.jobs["a"] = self.jobs.get("a", 0) + 1

    def add_slowly(self):
        count = self.jobs.get("a", 0)
        pause()
        self.jobs["a"] = count + 1

    def run(self):
        kinds = (self.add_slowly, self.add, self.add_more)
        threads = [
            threading.Thread(target=self.add_slowly),
            threading.Thread(target=self.add_slowly),
            threading.Thread(target=self.add),
            threading.Thread(target=self.add_more),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with self._lock:
            return 4 - self.jobs["a"]


def run():
    return Registry().run()
"""
    },
    "base class": {
        "base.py": """\
class Base:
    def __init__(self):
        self.jobs = {}
        self.made = []
""",
        "main.py": """\
import threading

from base import Base
from frame import pause


class Registry(Base):
    def work(self):
        if "a" not in self.jobs:
            pause()
            self.made.append(1)
            self.jobs["a"] = object()

    def run(self):
        threads = [threading.Thread(target=self.work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(self.made) - 1


def run():
    return Registry().run()
""",
    },
    "two files": {
        "state.py": """\
JOBS = {}
MADE = []
""",
        "main.py": """\
import threading

from frame import pause
from state import JOBS, MADE


def work():
    if "a" not in JOBS:
        pause()
        MADE.append(1)
        JOBS["a"] = object()


def run():
    JOBS.clear()
    MADE.clear()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(MADE) - 1
""",
    },
    "two critical sections": {
        "main.py": """\
import threading
from frame import pause


class Registry:
    def __init__(self):
        self._lock = threading.Lock()
        self.jobs = {}

    def work(self):
        with self._lock:
            count = self.jobs.get("a", 0)
        pause()
        with self._lock:
            self.jobs["a"] = count + 1

    def run(self):
        threads = [threading.Thread(target=self.work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 4 - self.jobs["a"]


def run():
    return Registry().run()
"""
    },
    "no constructor": {
        "main.py": """\
import threading
from frame import pause


class Registry:
    count = 0

    def work(self):
        seen = self.count
        pause()
        self.count = seen + 1

    def run(self):
        threads = [threading.Thread(target=self.work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 4 - self.count


def run():
    return Registry().run()
"""
    },
    "gone between test and use": {
        "main.py": """\
import threading
from frame import pause


class Connection:
    def __init__(self):
        self.socket = object()
        self.failed = []

    def ask(self):
        for _ in range(20):
            if self.socket is not None:
                pause()
                try:
                    self.socket.__sizeof__(1)
                except TypeError as error:
                    if "None" in repr(self.socket):
                        self.failed.append(error)

    def close(self):
        for _ in range(20):
            self.socket = None
            pause()
            self.socket = object()

    def run(self):
        threads = [threading.Thread(target=self.ask), threading.Thread(target=self.close)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(self.failed)


def run():
    return Connection().run()
"""
    },
    "made on first use, slowly": {
        "main.py": """\
import threading
from frame import pause

MADE = []
CLIENT = None


class Client:
    def __init__(self):
        pause()
        MADE.append(self)


def client():
    global CLIENT
    if CLIENT is None:
        CLIENT = Client()
    return CLIENT


def run():
    globals()["CLIENT"] = None  # a new program, as far as the others are concerned
    MADE.clear()
    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(MADE) - 1
"""
    },
    "tasks that make a session": {
        "main.py": """\
import asyncio


class Service:
    def __init__(self):
        self.sessions = {}
        self.made = []

    async def connect(self, name):
        await asyncio.sleep(0)
        self.made.append(name)
        return object()

    async def session(self, name):
        if name not in self.sessions:
            self.sessions[name] = await self.connect(name)
        return self.sessions[name]


async def main():
    service = Service()
    await asyncio.gather(*(service.session("a") for _ in range(4)))
    return len(service.made) - 1


def run():
    return asyncio.run(main())
"""
    },
    "tasks that add up": {
        "main.py": """\
import asyncio


class Mirror:
    def __init__(self):
        self.bytes = 0

    async def fetch(self, url):
        self.bytes += await self.download(url)

    async def download(self, url):
        await asyncio.sleep(0)
        return len(url)


async def main():
    mirror = Mirror()
    await asyncio.gather(*(mirror.fetch("abc") for _ in range(5)))
    return 15 - mirror.bytes


def run():
    return asyncio.run(main())
"""
    },
    "tasks that write back": {
        "main.py": """\
import asyncio


class Account:
    def __init__(self):
        self.balance = 0

    async def post(self):
        await asyncio.sleep(0)

    async def book(self, amount):
        before = self.balance
        await self.post()
        self.balance = before + amount


async def main():
    account = Account()
    await asyncio.gather(*(account.book(1) for _ in range(5)))
    return 5 - account.balance


def run():
    return asyncio.run(main())
"""
    },
    "a broadcast while clients leave": {
        "main.py": """\
import asyncio

CLIENTS = set()


async def send():
    await asyncio.sleep(0)


async def serve(number):
    CLIENTS.add(number)
    await asyncio.sleep(0)
    await broadcast()
    CLIENTS.discard(number)


async def broadcast():
    for client in CLIENTS:
        await send()


async def main():
    found = await asyncio.gather(*(serve(number) for number in range(5)), return_exceptions=True)
    CLIENTS.clear()
    return sum(isinstance(one, RuntimeError) for one in found)


def run():
    return asyncio.run(main())
"""
    },
}


def damage(folder: Path, rounds: int) -> int:
    """How much goes wrong when a program runs some rounds, in a process of its own."""
    program = f"import sys; sys.setswitchinterval(1e-5); import main; print(sum(main.run() for _ in range({rounds})))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    return int(done.stdout)


@pytest.mark.parametrize("shape", [pytest.param(name, id=name.replace(" ", "-")) for name in SHAPES])
def test_the_damage_is_gone(shape: str, tmp_path: Path) -> None:
    for name, text in {"frame.py": FRAME, **SHAPES[shape]}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert damage(tmp_path, 20) > 0, "the program is not racy"
    settings = config.load(tmp_path)
    result = mend.mend(tmp_path, settings, lambda finding: select.is_grave(finding, settings), unsafe=True)
    assert result.done, result.left
    write.write_all(result.changes, tmp_path)
    assert damage(tmp_path, 50) == 0
