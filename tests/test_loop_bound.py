"""What the tables say of objects that belong to an event loop, held against asyncio itself."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys

import pytest

from racelint.frameworks.schema import LoopBound, builtin

ROWS = builtin().loop_bound
# Methods that came with a later Python than the oldest one racelint runs on.
SINCE = {"shutdown": (3, 13), "uncancel": (3, 11)}
TYPES = [row for row in ROWS if row.name[0].startswith("asyncio.") and row.name[0].rpartition(".")[2][0].isupper()]


def resolve(dotted: str) -> type:
    """The class of a dotted name."""
    module, _, name = dotted.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, type)
    return found


def test_names_stand_in_one_row_each() -> None:
    names = [name for row in ROWS for name in row.name]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", ROWS, ids=[row.name[0] for row in ROWS])
def test_a_method_is_one_thing(row: LoopBound) -> None:
    every = [*row.methods, *row.awaited, *row.safe, *row.runs]
    assert len(every) == len(set(every))
    assert row.methods or row.runs
    assert row.instead.format(call="x.put")


@pytest.mark.parametrize("row", TYPES, ids=[row.name[0] for row in TYPES])
def test_methods_are_there_and_only_coroutines_are_awaited(row: LoopBound) -> None:
    # Any class of the row may have it: a row on transports is about reading and writing ones.
    family = [base for name in row.name if name.startswith("asyncio.") for base in resolve(name).__mro__[:-1]]
    for method in (*row.methods, *row.awaited, *row.safe, *row.runs):
        if sys.version_info[:2] < SINCE.get(method, (3, 10)):
            continue
        found = next((getattr(cls, method) for cls in family if hasattr(cls, method)), None)
        if found is None:  # Condition takes the methods of its lock
            assert any(f"self.{method} =" in inspect.getsource(cls) for cls in family), method
            continue
        assert inspect.iscoroutinefunction(found) == (method in row.awaited), method


def test_an_event_set_in_a_thread_does_not_wake_its_loop() -> None:
    """The claim of the rows, tried: the waiter is told by ``call_soon``, and that does not wake a sleeping loop."""

    async def main() -> tuple[bool, bool]:
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        woken: list[bool] = []
        # A loop that is asked from another thread by call_soon_threadsafe writes to itself; by call_soon it does not.
        write = loop._write_to_self  # type: ignore[attr-defined]

        def noted() -> None:
            woken.append(True)
            write()

        loop._write_to_self = noted  # type: ignore[attr-defined]
        waiter = asyncio.ensure_future(event.wait())
        await asyncio.sleep(0)
        event.set()
        plain = bool(woken)
        loop.call_soon_threadsafe(event.set)
        await waiter
        return plain, bool(woken)

    assert asyncio.run(main()) == (False, True)
