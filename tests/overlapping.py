"""A function that tells where it runs, and whether two calls of it are ever under way at the same moment."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

PATIENCE = 10.0
# How long a call stays where no other one may be, so that the other one would be noticed.
LINGER = 0.05


class Meeting:
    """Calls that are counted. ``expected``: each waits for another one to be under way, else it lingers and goes.

    Calls that overlap prove that they can; that they never do is shown for the calls that were made, no more.
    """

    def __init__(self, expected: bool) -> None:
        self.expected = expected
        self.runs = 0
        self.most = 0
        self.threads: list[threading.Thread] = []
        self.loops: list[bool] = []
        self._inside = 0
        self._met = threading.Event()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """One call, as long as it lasts. It waits by itself: see ``plain`` and ``coroutine``."""
        with self._changed:
            self._inside += 1
            self.most = max(self.most, self._inside)
            self.threads.append(threading.current_thread())
            self.loops.append(_in_loop())
            if self.most > 1:
                self._met.set()
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self.runs += 1
                self._changed.notify_all()

    def plain(self, *_: Any, **__: Any) -> str:
        """A plain function, whatever it is called with."""
        with self.inside():
            if self.expected:
                self._met.wait(PATIENCE)
            else:
                time.sleep(LINGER)
        return "ok"

    async def coroutine(self, *_: Any, **__: Any) -> str:
        """The same as a coroutine function."""
        with self.inside():
            end = time.monotonic() + (PATIENCE if self.expected else LINGER)
            while time.monotonic() < end and not (self.expected and self._met.is_set()):
                await asyncio.sleep(0.005)
        return "ok"

    def ended(self, runs: int) -> None:
        """Wait until so many calls have ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.runs >= runs, PATIENCE), (
                f"{self.runs} of {runs} calls have ended"
            )

    @property
    def where(self) -> set[str]:
        """``event-loop`` for calls under a running loop, ``main`` for the thread of the test, ``thread`` for others."""
        return {
            "event-loop" if loop else "main" if thread is threading.main_thread() else "thread"
            for thread, loop in zip(self.threads, self.loops, strict=True)
        }


def in_threads(*functions: Callable[[], Any]) -> None:
    """Call each function in a thread of its own, all at the same time; what one raises is raised here."""
    failures: list[BaseException] = []
    ready = threading.Barrier(len(functions))

    def run(function: Callable[[], Any]) -> None:
        try:
            ready.wait(PATIENCE)
            function()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
