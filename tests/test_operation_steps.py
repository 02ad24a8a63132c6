"""Rows of ``operations.toml`` on this very Python.

What is not one step is shown by code of ours in its middle, which lets another thread in: that does not depend on luck.
What is one step is tried for a moment, with threads that change places as often as they can; there, only a wrong row
can fail.
"""

from __future__ import annotations

import copy
import gc
import itertools
import json
import sys
import threading
import time
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from overlapping import PATIENCE

from racelint.frameworks.schema import builtin

ROWS = {code: row for row in builtin().operation for code in row.name}
# How long one operation is tried.
MOMENT = 0.15
needs_gil = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="less is promised of builds without the GIL"
)


def elsewhere(function: Callable[[], object]) -> None:
    """Run a function in another thread, and wait for its end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


class Key(str):
    """A key with a Python ``__hash__`` that lets another thread in, the second time it is asked for."""

    def __new__(cls, other: Callable[[], object]) -> Key:
        made = super().__new__(cls, "key")
        made.other = other
        made.asked = 0
        return made

    other: Callable[[], object]
    asked: int

    def __hash__(self) -> int:
        self.asked += 1
        if self.asked == 2:
            elsewhere(self.other)
        return str.__hash__(self)

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)


# -- not one step -----------------------------------------------------------------------------------------------------


def test_an_update_loses_what_came_in_between() -> None:
    assert not ROWS["d[k] = d.get(k, 0) + 1"].atomic
    d: dict[str, int] = {}

    def count(k: str) -> None:
        d[k] = d.get(k, 0) + 1

    count(Key(lambda: count("key")))
    assert list(d.values()) == [1]


def test_what_was_found_is_gone() -> None:
    assert not ROWS["if k in d:\n    del d[k]"].atomic
    d = {"key": 1}

    def take(k: str) -> None:
        if k in d:
            del d[k]  # noqa: RUF051 - this is the race

    with pytest.raises(KeyError):
        take(Key(lambda: d.pop("key")))


def test_two_values_are_made() -> None:
    assert not ROWS["if k not in d:\n    d[k] = object()"].atomic
    d: dict[str, object] = {}
    made: list[object] = []

    def make(k: str) -> None:
        if k not in d:
            made.append(object())
            d[k] = made[-1]

    make(Key(lambda: make("key")))
    assert len(made) == 2


def test_two_values_of_a_missing_key_are_made() -> None:
    assert not ROWS["f[k].append(v)"].atomic
    made = 0

    def factory() -> list[int]:
        nonlocal made
        made += 1
        if made == 1:
            elsewhere(lambda: f["key"].append(2))
        return []

    f: defaultdict[str, list[int]] = defaultdict(factory)
    f["key"].append(1)
    assert f["key"] == [1]


def test_a_walk_meets_a_change() -> None:
    assert not ROWS["for n in d:\n    print(n)"].atomic
    d = dict.fromkeys("abc")

    def walk() -> None:
        for _ in d:
            elsewhere(lambda: d.pop("c", None))

    with pytest.raises(RuntimeError):
        walk()


def test_a_walk_over_a_list_skips() -> None:
    assert not ROWS["for n in l:\n    print(n)"].atomic
    items, seen = ["a", "b", "c"], []
    for item in items:
        seen.append(item)
        elsewhere(lambda: items.remove("a") if "a" in items else None)
    assert seen == ["a", "c"]


@needs_gil
def test_a_list_that_is_sorted_looks_empty() -> None:
    assert not ROWS["l.sort(key=lambda n: n)"].atomic
    items, seen = [2, 1], []

    def key(item: int) -> int:
        elsewhere(lambda: seen.append(len(items)))
        return item

    items.sort(key=key)
    assert seen == [0, 0]

    def add(item: int) -> int:
        elsewhere(lambda: items.append(3))
        return item

    with pytest.raises(ValueError, match="modified"):
        items.sort(key=add)


def test_a_generator_runs_already() -> None:
    assert not ROWS["v = next(generator)"].atomic

    def numbers() -> Iterator[int]:
        with pytest.raises(ValueError, match="already executing"):
            elsewhere(lambda: next(generator))
        yield 1

    generator = numbers()
    assert next(generator) == 1


def test_a_deep_copy_meets_a_change() -> None:
    assert not ROWS["v = copy.deepcopy(d)"].atomic

    class Value:
        def __deepcopy__(self, memo: object) -> object:
            elsewhere(lambda: d.pop("c", None))
            return self

    d: dict[str, Any] = {"a": Value(), "b": Value(), "c": None}
    with pytest.raises(RuntimeError):
        copy.deepcopy(d)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the encoder in C knows indents since 3.13")
def test_json_with_an_indent_meets_a_change() -> None:
    assert not ROWS["v = json.dumps(d, indent=2)"].atomic
    d: dict[str, Any] = {"a": object(), "b": 1, "c": 1}
    with pytest.raises(RuntimeError):
        json.dumps(d, indent=2, default=lambda _: elsewhere(lambda: d.pop("c", None)))


def test_an_iterator_is_made_before_it_is_walked() -> None:
    assert not ROWS["v = list(zip(d, l))"].atomic
    d = dict.fromkeys("abc")

    def changed(walked: Any) -> Any:
        elsewhere(lambda: d.pop("a"))
        return walked

    with pytest.raises(RuntimeError):
        list(changed(zip(d, d)))  # noqa: B905
    d = dict.fromkeys("abc")
    assert list(changed(d.keys())) == ["b", "c"]


class Value:
    """Something to which there can be weak references."""


@pytest.mark.parametrize("code", ["v = list(wv.values())", "v = list(ws)", "v = wv.copy()", "v = ws.copy()"])
def test_weak_containers_are_walked_in_python_code(code: str) -> None:
    assert not ROWS[code].atomic
    value = Value()
    wv, ws = weakref.WeakValueDictionary({"a": value}), weakref.WeakSet([value])
    frames: set[str] = set()
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, _: frames.add(frame.f_code.co_filename))
    try:
        exec(code, {"wv": wv, "ws": ws})
    finally:
        sys.setprofile(before)
    assert any(name.endswith(("weakref.py", "_weakrefset.py")) or "weakref" in name for name in frames)


# -- one step ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads change places as often as they can.

    Up to Python 3.11 a garbage collection may begin wherever an object is made, and what it calls (hypothesis has it
    call something) lets others in: that is off, since nobody would call it part of the operation.
    """
    before = sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
    gc.enable()


def tried(*functions: Callable[[int], object]) -> None:
    """Call each function again and again, in a thread of its own, for a moment; what one raises is raised here."""
    failures: list[BaseException] = []
    end = time.monotonic() + MOMENT

    def run(function: Callable[[int], object]) -> None:
        try:
            for number in itertools.count():
                function(number)
                if time.monotonic() > end or failures:
                    return
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    if failures:
        raise failures[0]


COPIES = [
    code
    for code, row in ROWS.items()
    if row.atomic and row.beside and "s.discard" in row.beside and not any(name in code for name in ("copy.copy",))
]


@needs_gil
@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("code", COPIES)
def test_a_copy_is_one_step(code: str) -> None:
    numbers = range(50)
    shared: dict[str, Any] = {
        "d": dict.fromkeys(numbers, 0),
        "s": set(numbers),
        "q": deque(numbers),
        "od": OrderedDict.fromkeys(numbers, 0),
        "k": -1,
        "v": -1,
    }
    compiled = compile(code, code, "exec")

    def change(number: int) -> None:
        key = 100 + number % 7
        shared["d"][key] = key
        shared["s"].add(key)
        shared["od"][key] = key
        shared["q"].append(key)
        del shared["d"][key], shared["od"][key]
        shared["s"].discard(key)
        shared["q"].pop()

    tried(lambda _: exec(compiled, shared), change)


@pytest.mark.usefixtures("restless")
def test_setdefault_gives_everybody_one_value() -> None:
    assert ROWS["v = d.setdefault(k, v)"].atomic
    d: dict[int, object] = {}
    given: list[dict[int, object]] = [{}, {}]

    def ask(mine: dict[int, object]) -> Callable[[int], None]:
        def one(number: int) -> None:
            mine[number] = d.setdefault(number, object())

        return one

    tried(*(ask(mine) for mine in given))
    first, second = given
    assert all(first[number] is second[number] for number in first.keys() & second.keys())


@pytest.mark.usefixtures("restless")
def test_nothing_that_is_appended_is_lost() -> None:
    assert ROWS["l.append(v)"].atomic
    assert ROWS["q.append(v)"].atomic
    items: list[int] = []
    ends: deque[int] = deque()
    calls = [0, 0]

    def add(mine: int) -> Callable[[int], None]:
        def one(number: int) -> None:
            items.append(number)
            ends.append(number)
            calls[mine] = number + 1

        return one

    tried(add(0), add(1))
    assert len(items) == len(ends) == sum(calls)


@needs_gil
@pytest.mark.usefixtures("restless")
def test_no_number_is_given_twice() -> None:
    assert ROWS["v = next(count)"].atomic
    count = itertools.count()
    given: list[list[int]] = [[], []]
    tried(*(lambda _, mine=mine: mine.append(next(count)) for mine in given))
    assert len({*given[0], *given[1]}) == len(given[0]) + len(given[1])
