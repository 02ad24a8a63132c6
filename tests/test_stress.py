"""The race of ``fixtures/submariner`` provoked with real threads: too many log lines, or lost ones.

The function under test is the fixture's own and stays as it is. A logging handler gives way to other threads where a
handler that writes to a file or a socket would, and threads are switched as often as the interpreter can.
"""

from __future__ import annotations

import importlib
import logging
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from racelint.cli import main

FIXTURE = Path(__file__).parent.parent / "fixtures" / "submariner"
THREADS = 8
ROUNDS = 30
REPETITIONS = 20
MENDED_ROUNDS = 1000
KEY = ("quay.io/submariner", "devel", "gateway", "submariner-gateway")

LogIfChanged = Callable[[tuple[str, str, str, str], str, str], str]


class YieldingHandler(logging.Handler):
    """Keeps the paths logged, and lets other threads run meanwhile, as any handler that writes somewhere does."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note the first argument, the path; give way before and after, where others wait to write and to flush."""
        assert isinstance(record.args, tuple)
        time.sleep(0)
        self.paths.append(str(record.args[0]))
        time.sleep(0)


class LockFreeHandler(YieldingHandler):
    """The same without the handler's usual lock, like logging.NullHandler and handlers that only fill a queue.

    The usual lock makes threads leave the handler in the order of their lines, and hardly lets them overtake each
    other before they write back what they logged; without it they do.
    """

    def createLock(self) -> None:
        """No lock."""
        self.lock = None


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


@pytest.fixture
def mended_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The same module of a copy of the fixture, after ``racelint check --fix``."""
    folder = tmp_path / "submariner"
    shutil.copytree(FIXTURE, folder)
    shown = CliRunner().invoke(main, ["check", "--fix", "--project", str(folder), str(folder)])
    assert shown.exit_code == 0, shown.output
    monkeypatch.syspath_prepend(str(folder))
    forget_operator()
    yield importlib.import_module("submariner_operator.images")
    forget_operator()


def forget_operator() -> None:
    """Drop the fixture's modules."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "submariner_operator"]:
        del sys.modules[name]


def report_together(
    images: Any, log_if_changed: LogIfChanged, handler: YieldingHandler, rounds: list[list[str]]
) -> list[tuple[list[str], str]]:
    """The lines logged in each round, and the path remembered at its end.

    In a round, thread ``n`` reports the round's ``n``-th path for one and the same key; the threads wait for each other
    before and after it.
    """
    images.logged_images.clear()
    images.logger.addHandler(handler)
    images.logger.setLevel(logging.INFO)
    images.logger.propagate = False
    results: list[tuple[list[str], str]] = []

    def end_round() -> None:  # run by one thread while the others wait
        results.append((handler.paths, images.logged_images[KEY]))
        handler.paths = []

    before = threading.Barrier(THREADS, timeout=10)
    after = threading.Barrier(THREADS, timeout=10, action=end_round)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for paths in rounds:
                before.wait()
                log_if_changed(KEY, paths[number], "a test")
                after.wait()
        except BaseException as error:
            failures.append(error)
            before.abort()
            after.abort()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
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
    return results


def doubled_lines(images: Any, log_if_changed: LogIfChanged, seed: int) -> int:
    """Lines too many when, in each round, all threads report one new path: exactly one line is right."""
    chance = random.Random(seed)
    paths = [f"quay.io/submariner/gateway:{number}-{chance.randrange(1 << 30)}" for number in range(ROUNDS)]
    results = report_together(images, log_if_changed, YieldingHandler(), [[path] * THREADS for path in paths])
    assert [set(logged) for logged, _ in results] == [{path} for path in paths]
    return sum(len(logged) - 1 for logged, _ in results)


def lost_lines(images: Any, log_if_changed: LogIfChanged, seed: int) -> int:
    """Rounds of two competing paths after which the path remembered is not the one on the last line of the log.

    The next report of the remembered path is then taken for a repetition: the change back to it is never logged.
    """
    chance = random.Random(seed)
    rounds = []
    for number in range(ROUNDS):
        paths = [f"quay.io/submariner/gateway:{number}-{side}" for side in ("old", "new")]
        rounds.append([chance.choice(paths) for _ in range(THREADS)])
    results = report_together(images, log_if_changed, LockFreeHandler(), rounds)
    return sum(logged[-1] != remembered for logged, remembered in results)


@pytest.mark.usefixtures("fast_switching")
@pytest.mark.parametrize("count", [doubled_lines, lost_lines])
def test_the_race_shows_without_a_lock(images: Any, count: Callable[[Any, LogIfChanged, int], int]) -> None:
    # The first repetition that shows it is enough; the rest are there for machines that hardly switch threads.
    assert any(count(images, images.log_if_changed, seed) for seed in range(REPETITIONS))


@pytest.mark.usefixtures("fast_switching")
@pytest.mark.parametrize("count", [doubled_lines, lost_lines])
def test_nothing_shows_with_a_lock_around_it(images: Any, count: Callable[[Any, LogIfChanged, int], int]) -> None:
    lock = threading.Lock()

    def locked(key: tuple[str, str, str, str], path: str, source: str) -> str:
        with lock:
            result: str = images.log_if_changed(key, path, source)
        return result

    assert [count(images, locked, seed) for seed in range(REPETITIONS)] == [0] * REPETITIONS


@pytest.mark.usefixtures("fast_switching")
@pytest.mark.parametrize("count", [doubled_lines, lost_lines])
def test_nothing_shows_once_it_is_mended(mended_images: Any, count: Callable[[Any, LogIfChanged, int], int]) -> None:
    repetitions = -(-MENDED_ROUNDS // ROUNDS)
    found = [count(mended_images, mended_images.log_if_changed, seed) for seed in range(repetitions)]
    assert found == [0] * repetitions
