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


def with_deep_stack(work: Callable[[], _T]) -> _T:
    """Run ``work`` in a thread with a stack that deeply nested source does not overflow; its exceptions pass through.

    LibCST's parser is recursive native code: on an ordinary stack a few thousand brackets end the whole process.
    """
    outcome: list[_T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)

    limit, size = sys.getrecursionlimit(), threading.stack_size(STACK_BYTES)
    sys.setrecursionlimit(max(limit, RECURSION_LIMIT))
    try:
        worker = threading.Thread(target=run, name="racelint", daemon=True)
        worker.start()
        # A signal that comes just before a wait begins does not end it (on Windows none does): look up now and then.
        while worker.is_alive():
            worker.join(LOOK_UP_S)
    finally:
        threading.stack_size(size)
        sys.setrecursionlimit(limit)
    if failure:
        raise failure[0]
    return outcome[0]
