"""The rows of guards against the libraries themselves: who is kept out of what is held, and who is not.

Two calls that exclude each other stay inside for a moment and never meet; two that do not wait for each other inside.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from overlapping import Meeting, in_threads

from racelint.frameworks.schema import Guard, GuardDecorator, Matcher, builtin

pytestmark = pytest.mark.filterwarnings("default")

GUARDS = Matcher.of(builtin().guard)
DECORATORS = Matcher.of(builtin().guard_decorator)
Holder = Callable[[], Any]


def guard(name: str) -> Guard:
    """The row of a lock."""
    row = GUARDS.first(name)
    assert isinstance(row, Guard), name
    return row


def decorator(name: str) -> GuardDecorator:
    """The row of a decorator."""
    row = DECORATORS.first(name)
    assert isinstance(row, GuardDecorator), name
    return row


def holding(lock: Any, meeting: Meeting) -> Callable[[], None]:
    """A function that is inside while it holds a lock."""

    def run() -> None:
        with lock:
            meeting.plain()

    return run


def excluded(excludes: bool, *functions: Callable[[Meeting], Callable[[], Any]]) -> None:
    """Two functions at once, in two threads: they must, or must not, exclude each other."""
    meeting = Meeting(expected=not excludes)
    in_threads(*(function(meeting) for function in functions))
    assert (meeting.most == 1) == excludes


def both_hold(excludes: bool, first: Any, second: Any) -> None:
    """The same for two threads that hold a lock each (or one and the same)."""
    excluded(excludes, lambda meeting: holding(first, meeting), lambda meeting: holding(second, meeting))


def multiprocessing_lock() -> Any:
    """A lock between processes that are forked."""
    import multiprocessing

    return multiprocessing.get_context("spawn").Lock()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("threading.Lock", threading.Lock),
        ("threading.RLock", threading.RLock),
        ("threading.Condition", threading.Condition),
        ("threading.Semaphore", threading.Semaphore),
        ("threading.BoundedSemaphore", threading.BoundedSemaphore),
        ("multiprocessing.Lock", multiprocessing_lock),
    ],
)
def test_locks_between_threads(name: str, make: Callable[[], Any]) -> None:
    lock = make()
    both_hold(guard(name).threads and not guard(name).process_only, lock, lock)


def test_a_semaphore_of_two_is_no_lock() -> None:
    assert guard("threading.Semaphore").mutex_when is not None
    lock = threading.Semaphore(2)
    both_hold(False, lock, lock)


def test_a_condition_holds_the_lock_it_wraps() -> None:
    assert guard("threading.Condition").wraps is not None
    lock = threading.Lock()
    both_hold(True, threading.Condition(lock), lock)


# -- between tasks ----------------------------------------------------------------------------------------------------


def between_tasks(excludes: bool, inside: Callable[[Meeting], Any]) -> None:
    """Two tasks of one loop."""
    meeting = Meeting(expected=not excludes)

    async def main() -> None:
        await asyncio.gather(inside(meeting), inside(meeting))

    asyncio.run(main())
    assert (meeting.most == 1) == excludes


def test_an_asyncio_lock_keeps_tasks_out() -> None:
    lock = asyncio.Lock()

    async def inside(meeting: Meeting) -> None:
        async with lock:
            await meeting.coroutine()

    between_tasks(guard("asyncio.Lock").tasks, inside)


def test_a_reentrant_lock_keeps_no_task_out() -> None:
    row = guard("threading.RLock")
    lock = threading.RLock()

    async def inside(meeting: Meeting) -> None:
        with lock:
            await meeting.coroutine()

    between_tasks(row.tasks or not row.reentrant, inside)


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["FileLock", "SoftFileLock"])
def test_two_file_locks_on_one_path_are_one_lock(kind: str, tmp_path: Path) -> None:
    make = getattr(pytest.importorskip("filelock"), kind)
    row = guard(f"filelock.{kind}")
    assert row.keyed_by is not None
    path = str(tmp_path / "lock")
    both_hold(row.threads and not row.process_only, make(path, poll_interval=0.01), make(path, poll_interval=0.01))
    shared = make(path, poll_interval=0.01)
    both_hold(row.threads and not row.process_only, shared, shared)


def test_file_locks_on_two_paths_are_two_locks(tmp_path: Path) -> None:
    filelock = pytest.importorskip("filelock")
    both_hold(False, filelock.FileLock(str(tmp_path / "one")), filelock.FileLock(str(tmp_path / "other")))


def test_a_file_lock_that_is_no_business_of_the_thread_keeps_none_out(tmp_path: Path) -> None:
    filelock = pytest.importorskip("filelock")
    assert guard("filelock.FileLock").process_only_when == {"thread_local": "False"}
    lock = filelock.FileLock(str(tmp_path / "lock"), thread_local=False)
    both_hold(False, lock, lock)


def test_a_lock_between_processes_keeps_no_thread_out(tmp_path: Path) -> None:
    fasteners = pytest.importorskip("fasteners")
    row = guard("fasteners.InterProcessLock")
    path = str(tmp_path / "lock")
    both_hold(row.threads and not row.process_only, fasteners.InterProcessLock(path), fasteners.InterProcessLock(path))


# -- readers and writers ----------------------------------------------------------------------------------------------


def halves(name: str) -> tuple[Any, Any, Any, Any]:
    """Reader's and writer's halves of one lock, two of each."""
    row = guard(name)
    if name.startswith("fasteners"):
        lock = pytest.importorskip("fasteners").ReaderWriterLock()
    else:
        lock = getattr(pytest.importorskip("readerwriterlock.rwlock"), name.rpartition(".")[2])()
    (reading,), (writing,) = row.read_side, row.write_side
    return getattr(lock, reading)(), getattr(lock, reading)(), getattr(lock, writing)(), getattr(lock, writing)()


@pytest.mark.parametrize(
    "name",
    ["fasteners.ReaderWriterLock", *(f"readerwriterlock.rwlock.RWLock{kind}" for kind in ("Fair", "Read", "Write"))],
)
def test_readers_keep_out_writers_only(name: str) -> None:
    reader, other_reader, writer, other_writer = halves(name)
    both_hold(False, reader, other_reader)
    reader, _, writer, other_writer = halves(name)
    both_hold(True, writer, other_writer)
    reader, _, writer, _ = halves(name)
    both_hold(True, reader, writer)


# -- decorators -------------------------------------------------------------------------------------------------------


def test_wrapt_has_a_lock_for_each_instance() -> None:
    wrapt = pytest.importorskip("wrapt")
    row = decorator("wrapt.synchronized")
    assert row.per_instance

    class Table:
        @wrapt.synchronized  # type: ignore[untyped-decorator,unused-ignore]
        def add(self, meeting: Meeting) -> None:
            meeting.plain()

        @wrapt.synchronized  # type: ignore[untyped-decorator,unused-ignore]
        def remove(self, meeting: Meeting) -> None:
            meeting.plain()

        @wrapt.synchronized  # type: ignore[untyped-decorator,unused-ignore]
        @classmethod
        def reset(cls, meeting: Meeting) -> None:
            meeting.plain()

    table, other = Table(), Table()
    excluded(True, lambda meeting: lambda: table.add(meeting), lambda meeting: lambda: table.remove(meeting))
    excluded(False, lambda meeting: lambda: table.add(meeting), lambda meeting: lambda: other.add(meeting))
    excluded(False, lambda meeting: lambda: table.add(meeting), lambda meeting: lambda: Table.reset(meeting))
    excluded(
        True, lambda meeting: lambda: table.add(meeting), lambda meeting: holding(wrapt.synchronized(table), meeting)
    )


def test_wrapt_has_a_lock_for_each_function_unless_it_is_given_one() -> None:
    wrapt = pytest.importorskip("wrapt")
    lock = threading.Lock()

    @wrapt.synchronized  # type: ignore[untyped-decorator,unused-ignore]
    def one(meeting: Meeting) -> None:
        meeting.plain()

    @wrapt.synchronized  # type: ignore[untyped-decorator,unused-ignore]
    def other(meeting: Meeting) -> None:
        meeting.plain()

    @wrapt.synchronized(lock)  # type: ignore[untyped-decorator,unused-ignore]
    def given(meeting: Meeting) -> None:
        meeting.plain()

    excluded(True, lambda meeting: lambda: one(meeting), lambda meeting: lambda: one(meeting))
    excluded(False, lambda meeting: lambda: one(meeting), lambda meeting: lambda: other(meeting))
    excluded(True, lambda meeting: lambda: given(meeting), lambda meeting: holding(lock, meeting))


def test_fasteners_holds_the_lock_of_the_instance() -> None:
    fasteners = pytest.importorskip("fasteners")
    row = decorator("fasteners.locked")
    assert row.attribute == "_lock"

    class Table:
        def __init__(self) -> None:
            self._lock = threading.Lock()
            self._other = threading.Lock()

        @fasteners.locked  # type: ignore[untyped-decorator,unused-ignore]
        def add(self, meeting: Meeting) -> None:
            meeting.plain()

        @fasteners.locked(lock="_other")  # type: ignore[untyped-decorator,unused-ignore]
        def widen(self, meeting: Meeting) -> None:
            meeting.plain()

    table = Table()
    excluded(True, lambda meeting: lambda: table.add(meeting), lambda meeting: holding(table._lock, meeting))
    excluded(True, lambda meeting: lambda: table.widen(meeting), lambda meeting: holding(table._other, meeting))
    excluded(False, lambda meeting: lambda: table.widen(meeting), lambda meeting: holding(table._lock, meeting))


def test_names_of_lockutils_are_locks() -> None:
    lockutils = pytest.importorskip("oslo_concurrency.lockutils")
    assert (
        guard("oslo_concurrency.lockutils.lock").family == decorator("oslo_concurrency.lockutils.synchronized").family
    )

    @lockutils.synchronized("ports")  # type: ignore[untyped-decorator,unused-ignore]
    def take(meeting: Meeting) -> None:
        meeting.plain()

    excluded(True, lambda meeting: lambda: take(meeting), lambda meeting: holding(lockutils.lock("ports"), meeting))
    excluded(False, lambda meeting: lambda: take(meeting), lambda meeting: holding(lockutils.lock("hosts"), meeting))


def test_the_lock_of_a_cache_is_not_held_around_the_function() -> None:
    cachetools = pytest.importorskip("cachetools")
    row = decorator("cachetools.cached")

    def look_up(meeting: Meeting) -> Callable[[], Any]:
        @cachetools.cached({}, lock=threading.Lock())  # type: ignore[untyped-decorator,unused-ignore]
        def found(key: int) -> str:
            return meeting.plain()

        in_threads(lambda: found(1), lambda: found(2))
        return lambda: None

    meeting = Meeting(expected=not row.threads)
    look_up(meeting)
    assert (meeting.most == 1) == row.threads


def test_interprocess_locked_keeps_no_thread_out(tmp_path: Path) -> None:
    fasteners = pytest.importorskip("fasteners")
    row = decorator("fasteners.interprocess_locked")
    path = str(tmp_path / "lock")

    def locked(meeting: Meeting) -> Callable[[], Any]:
        held: Callable[[], Any] = fasteners.interprocess_locked(path)(meeting.plain)
        return held

    excluded(row.threads, locked, locked)
