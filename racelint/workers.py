"""Processes that call functions for this one, as a standard executor.

``concurrent.futures.ProcessPoolExecutor`` would do, were it not for what racelint reads. Its processes are started by
``python -c`` in the current folder, from which that Python imports first: a project with a ``multiprocessing.py`` would
have it run. Besides, its processes read the main module of the program that uses racelint as a library, outlive a
parent that is killed, and take the work of all of them along when one dies. Here

- a process imports from where this one does, and from nowhere else;
- it ends when its input does, so it never outlives the process it works for;
- it is no part of the terminal's foreground, so that Ctrl-C reaches only who started it;
- when it dies, only the call it was about fails, and another one is started for the next, unless it could not even
  begin.
"""

from __future__ import annotations

import gc
import itertools
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Any, TypeVar

from racelint.stack import with_deep_stack

_T = TypeVar("_T")
LENGTH_BYTES = 8
# Trees of LibCST hold on to themselves; calls after which they are looked for.
COLLECT_AFTER = 400
# How long a process may take to end once it has closed its side.
ENDING_S = 5


def cores() -> int:
    """How many processes can run at once, as far as this one may use them; 1 when no other can be started."""
    if not sys.executable:  # Python is part of another program
        return 1
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerDied(BrokenExecutor):
    """The process ended, or was ended, during this call; the others go on."""


class Workers(Executor):
    """At most ``count`` processes, started when there is work for them.

    Functions go to them by name, arguments and results as pickles: they only ever come from this process and its own
    children. ``stop`` ends the processes at once, whatever they do.
    """

    def __init__(self, count: int) -> None:
        # One thread waits for each process.
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="racelint-worker")
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        # Why no process gets as far as taking calls; no other one is tried then.
        self._useless = ""

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Call a function of an importable module in one of the processes."""
        return self._threads.submit(self._call, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work, and end the processes once what was taken is done."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._end(kill=False)

    def stop(self) -> None:
        """End the processes at once: calls that are not done are cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._end(kill=True)

    def _end(self, *, kill: bool) -> None:
        with self._lock:
            self._stopped = True
            processes = tuple(self._processes)
            self._processes.clear()
        for process in processes if kill else ():
            process.kill()
        for process in processes:
            _close(process)
            process.wait()

    def _call(self, fn: Callable[..., _T], args: Any, kwargs: Any) -> _T:
        message = pickle.dumps((fn, args, kwargs), pickle.HIGHEST_PROTOCOL)
        process = self._process()
        answer = _ask(process, message)
        if answer is None:
            raise self._loss(process)
        done, value = pickle.loads(answer)
        if done:
            result: _T = value
            return result
        raise value

    def _process(self) -> subprocess.Popen[bytes]:
        """The process of this thread; a new one when there is none (any more)."""
        process: subprocess.Popen[bytes] | None = getattr(self._mine, "process", None)
        if process is not None:
            return process
        with self._lock:
            if self._stopped:
                raise CancelledError
            if self._useless:
                raise WorkerDied(self._useless)
            try:
                process = self._mine.process = _start()
            except OSError as error:
                self._useless = f"cannot be started: {error.strerror or error}"
                raise WorkerDied(self._useless) from None
            self._processes.add(process)
        if _ask(process, None) is None:
            loss = self._loss(process)
            self._useless = str(loss)
            raise loss
        return process

    def _loss(self, process: subprocess.Popen[bytes]) -> Exception:
        """What a call that got no answer comes to."""
        self._mine.process = None
        with self._lock:
            if self._stopped:
                return CancelledError()
            self._processes.discard(process)
        try:
            status = process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        _close(process)
        return WorkerDied(f"ended by signal {-status}" if status < 0 else f"ended with status {status}")


def _start() -> subprocess.Popen[bytes]:
    # -I: neither the current folder nor the environment says where to import from, this process does.
    flags = ["-I", *(["-B"] if sys.dont_write_bytecode else [])]
    path = [os.path.abspath(entry) for entry in sys.path]
    code = f"import sys; sys.path[:] = {path!r}; from racelint.workers import serve; serve()"
    background: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        background = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    command = [sys.executable, *flags, "-c", code]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **background)


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # what was still to be sent cannot be any more
                stream.close()


def _ask(process: subprocess.Popen[bytes], message: bytes | None) -> bytes | None:
    """What a process says next, to ``message`` if there is one; None when it says nothing any more."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if message is not None:
            _send(process.stdin, message)
        return _receive(process.stdout)
    except (OSError, ValueError):  # the pipe is broken, or closed by ``stop``
        return None


def _send(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(LENGTH_BYTES, "big"))
    stream.write(message)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes | None:
    """The next message; None when there will be none."""
    head = stream.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "big")
    message = stream.read(length)
    return message if len(message) == length else None


def serve() -> None:
    """Be one of the processes: answer calls until there are no more."""
    calls = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get among the answers
    with suppress(BrokenPipeError), answers:  # broken: nobody waits for the answer any more
        with_deep_stack(lambda: _answer(calls, answers))


def _answer(calls: IO[bytes], answers: IO[bytes]) -> None:
    _send(answers, b"")  # from here on it is a call that ends the process
    gc.disable()
    for number in itertools.count(1):
        message = _receive(calls)
        if message is None:
            return
        fn, args, kwargs = pickle.loads(message)
        try:
            answer = (True, fn(*args, **kwargs))
        except Exception as error:
            answer = (False, error)
        _send(answers, pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
        if number % COLLECT_AFTER == 0:
            gc.collect()
