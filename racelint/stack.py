"""Work on a stack that deeply nested source does not overflow."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
STACK_BYTES = 512 * 1024 * 1024
RECURSION_LIMIT = 50_000
LOOK_UP_S = 0.2
_here = threading.local()
# The limit and the size of stacks are those of the process: what is changed by several threads is put back by the last.
_lock = threading.Lock()
_limits: list[int] = []


def with_deep_stack(work: Callable[[], _T]) -> _T:
    """Run ``work`` in a thread with a stack that deeply nested source does not overflow; its exceptions pass through.

    LibCST's parser is recursive native code: on an ordinary stack a few thousand brackets end the whole process. In a
    thread that has such a stack already, it is run there.
    """
    if getattr(_here, "deep", False):
        return work()
    outcome: list[_T] = []
    failure: list[BaseException] = []

    def run() -> None:
        _here.deep = True
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)

    with _lock:
        _limits.append(sys.getrecursionlimit())
        sys.setrecursionlimit(max(_limits[-1], RECURSION_LIMIT))
    try:
        with _lock:
            size = threading.stack_size(STACK_BYTES)
            try:
                worker = threading.Thread(target=run, name="racelint", daemon=True)
                worker.start()
            finally:
                threading.stack_size(size)
        # A signal that comes just before a wait begins does not end it (on Windows none does): look up now and then.
        while worker.is_alive():
            worker.join(LOOK_UP_S)
    finally:
        with _lock:
            limit = _limits.pop()
            if not _limits:
                sys.setrecursionlimit(limit)
    if failure:
        raise failure[0]
    return outcome[0]
