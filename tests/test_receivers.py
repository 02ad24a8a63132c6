"""Which instances a method may run on: what the ways through a class and through its asynchronous form are to."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from racelint.analysis.program import Program
from racelint.config import Settings
from racelint.pipeline import analyse, examine
from racelint.stack import with_deep_stack

CLIENTS = """
import asyncio
import threading


class Session:
    def __init__(self):
        self.links = {}

    def add(self, name):
        self.links[name] = True

    def end(self):
        for name in self.links:
            print(name)


class AsyncSession:
    def __init__(self):
        self.links = {}

    def add(self, name):
        self.links[name] = True


class Client:
    def open(self):
        self.session = Session()

    def add(self, name):
        self.session.add(name)

    def close(self):
        self.session.end()


class AsyncClient(Client):
    async def open_async(self):
        self.session = AsyncSession()
        self.task = asyncio.create_task(self.work())

    async def work(self):
        self.session.add("a")

    async def close_async(self):
        self.session = None


class Upload(threading.Thread):
    def __init__(self, client: Client):
        super().__init__()
        self.client = client

    def run(self):
        self.client.open()
        self.client.close()


def main(client):
    Upload(client).start()
"""
# The asynchronous form begins with what the synchronous one does, and ends with what it does not.
DELEGATING = CLIENTS.replace("self.session = AsyncSession()", "self.open()")
OVERRIDDEN = """
import threading


class Cache:
    def __init__(self):
        self.items = {}

    def put(self, key):
        self.items[key] = True

    def show(self):
        print([key for key in self.items])


class Loud(Cache):
    def put(self, key):
        print(key)
        super().put(key)


class Quiet(Cache):
    def put(self, key):
        self.items = {**self.items, key: True}


class Filler(threading.Thread):
    def __init__(self, cache: Loud):
        super().__init__()
        self.cache = cache

    def run(self):
        self.cache.put(self.name)


class Shower(threading.Thread):
    def __init__(self, cache: Cache):
        super().__init__()
        self.cache = cache

    def run(self):
        self.cache.show()


def main(loud, some):
    Filler(loud).start()
    Shower(some).start()
"""
QUIET = OVERRIDDEN.replace("cache: Loud", "cache: Quiet").replace(
    "self.cache.put(self.name)", "Cache.put(self.cache, 1)"
)


def analysed(source: str, folder: Path) -> Program:
    (folder / "main.py").write_text(source, encoding="utf-8")
    program, _ = with_deep_stack(lambda: examine(folder, Settings()))
    return program


def apart(program: Program, place: str, ones: str, others: str) -> bool:
    """Whether all accesses to a place in one function are to other instances than those in another one."""
    found = [access for access in program.reached if access.touch.name == place]
    pairs = [
        (a, b)
        for a in found
        for b in found
        if a.state.entry.target.name.endswith(ones) and b.state.entry.target.name.endswith(others)
    ]
    assert pairs
    return all(program.overlap.receivers.apart(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("source", "place", "ones", "others", "expected"),
    [
        pytest.param(
            CLIENTS, "main.Session.links", "Upload.run", "AsyncClient.work", True, id="the other form keeps it"
        ),
        pytest.param(
            DELEGATING, "main.Session.links", "Upload.run", "AsyncClient.work", False, id="both forms keep it"
        ),
        pytest.param(OVERRIDDEN, "main.Cache.items", "Filler.run", "Shower.run", False, id="reached by super()"),
        pytest.param(QUIET, "main.Cache.items", "Filler.run", "Shower.run", False, id="called as the base's function"),
    ],
)
def test_apart(source: str, place: str, ones: str, others: str, expected: bool, tmp_path: Path) -> None:
    assert apart(analysed(source, tmp_path), place, ones, others) is expected


def test_super_in_functions_that_are_no_methods(tmp_path: Path) -> None:
    """``super(Special, self)`` in a function that is nested in a method, and in one that is put into a class."""
    (tmp_path / "main.py").write_text(
        textwrap.dedent("""
        import threading


        class Base:
            def __init__(self):
                self.count = 0

            def add(self):
                self.count += 1


        def patched(self):
            super(Special, self).add()


        class Special(Base):
            def start(self):
                threading.Thread(target=self.add).start()

            def add(self):
                def again():
                    super(Special, self).add()

                again()


        Special.more = patched


        def main():
            special = Special()
            special.start()
            special.add()
            special.more()


        main()
        """),
        encoding="utf-8",
    )
    findings = analyse(tmp_path, Settings()).findings
    assert [(finding.rule, finding.sides[0].line) for finding in findings] == [("read-modify-write", 10)]
