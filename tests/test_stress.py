"""The race of ``fixtures/submariner`` provoked with real threads: too many log lines, or lost ones.

The function under test is the fixture's own and stays as it is. A logging handler gives way to other threads where a
handler that writes to a file or a socket would, and threads are switched as often as the interpreter can.
"""

from __future__ import annotations

import importlib
import logging
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FIXTURE = Path(__file__).parent.parent / "fixtures" / "submariner"
THREADS = 8
ROUNDS = 30
REPETITIONS = 20

LogIfChanged = Callable[[tuple[str, str, str, str], str, str], str]


class YieldingHandler(logging.Handler):
    """Keeps the paths logged, and lets other threads run meanwhile, as any handler that writes somewhere does."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []

    def createLock(self) -> None:
        """No lock of the handler's own, which would order the threads outside the function under test."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Note the first argument, the path."""
        time.sleep(0)
        assert isinstance(record.args, tuple)
        self.paths.append(str(record.args[0]))


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The fixture's ``images`` module, imported anew."""
    monkeypatch.syspath_prepend(str(FIXTURE))
    forget_operator()
    yield importlib.import_module("submariner_operator.images")
    forget_operator()


@pytest.fixture
def fast_switching() -> Iterator[None]:
    """Threads are switched as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def forget_operator() -> None:
    """Drop the fixture's modules."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "submariner_operator"]:
        del sys.modules[name]


def deviations(images: Any, log_if_changed: LogIfChanged, seed: int) -> int:
    """How many lines were logged too often or not at all, when in each round all threads report one new path.

    In every round all threads come with the same new path for the same image: exactly one line is right.
    """
    images.logged_images.clear()
    handler = YieldingHandler()
    images.logger.addHandler(handler)
    images.logger.setLevel(logging.INFO)
    images.logger.propagate = False
    chance = random.Random(seed)
    paths = [f"quay.io/submariner/gateway:{round_}-{chance.randrange(1 << 30)}" for round_ in range(ROUNDS)]
    key = ("quay.io/submariner", "devel", "gateway", "submariner-gateway")
    barrier = threading.Barrier(THREADS, timeout=10)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for path in paths:
                barrier.wait()
                log_if_changed(key, path, "a test")
        except BaseException as error:
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        images.logger.removeHandler(handler)
        images.logger.propagate = True
        images.logger.setLevel(logging.NOTSET)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)
    counts = Counter(handler.paths)
    assert set(counts) <= set(paths)
    return sum(abs(counts[path] - 1) for path in paths)


@pytest.mark.usefixtures("fast_switching")
def test_without_a_lock_lines_are_doubled_or_lost(images: Any) -> None:
    shown = [seed for seed in range(REPETITIONS) if deviations(images, images.log_if_changed, seed)]
    assert shown, f"not in one of {REPETITIONS} repetitions"


@pytest.mark.usefixtures("fast_switching")
def test_with_a_lock_around_it_every_line_comes_once(images: Any) -> None:
    lock = threading.Lock()

    def locked(key: tuple[str, str, str, str], path: str, source: str) -> str:
        with lock:
            result: str = images.log_if_changed(key, path, source)
        return result

    assert [deviations(images, locked, seed) for seed in range(REPETITIONS)] == [0] * REPETITIONS
