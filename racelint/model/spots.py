"""Where findings speak of lines: so marked that they can be told anew once the lines have moved.

A text that names a line ("held from op/gc.py:12 when ...") has the number in a mark as long as the text is on its way
through racelint. Before anybody reads the text, ``plain`` takes the marks off. What is kept from run to run keeps them,
so that after an edit that only moves lines the texts are those that a new analysis would give. Unicode gives the
characters of a mark to no text ("noncharacters", The Unicode Standard, 23.7).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast

_T = TypeVar("_T")
Renumber = Callable[[str, int], int]
_BEGIN, _BETWEEN, _END = "\ufdd0", "\ufdd1", "\ufdd2"
_MARK = re.compile(f"{_BEGIN}([^{_BEGIN}{_BETWEEN}{_END}]*){_BETWEEN}([0-9]+){_END}")


def line_of(path: str, line: int) -> str:
    """The number of a line of a file, as a text says it."""
    return f"{_BEGIN}{path}{_BETWEEN}{line}{_END}"


def spot(path: str, line: int) -> str:
    """``path:line``, as a text says it."""
    return f"{path}:{line_of(path, line)}"


def plain(value: _T) -> _T:
    """A text, or anything made of dataclasses and tuples with texts in it, without marks."""
    return cast(_T, _each(value, lambda text: _MARK.sub(r"\2", text) if _BEGIN in text else text))


def renumbered(text: str, number: Renumber) -> str:
    """A text with other numbers in its marks."""
    if _BEGIN not in text:
        return text
    return _MARK.sub(lambda mark: line_of(mark[1], number(mark[1], int(mark[2]))), text)


def moved(value: _T, number: Renumber) -> _T:
    """A finding, or any part or tuple of them, with other lines: those of its fields and those its texts speak of.

    Only whoever has the new text knows the columns; they stay.
    """
    if isinstance(value, str):
        return cast(_T, renumbered(value, number))
    if isinstance(value, tuple):
        return cast(_T, tuple(moved(item, number) for item in value))
    if not is_dataclass(value) or isinstance(value, type):
        return value
    found = {field.name: moved(getattr(value, field.name), number) for field in fields(value)}
    path = found.get("path")
    for name in ("line", "end_line"):
        if isinstance(path, str) and isinstance(found.get(name), int):
            found[name] = number(path, cast(int, found[name]))
    return cast(_T, replace(value, **found))


def _each(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        new = tuple(_each(item, change) for item in value)
        return value if all(a is b for a, b in zip(new, value, strict=True)) else new
    if not is_dataclass(value) or isinstance(value, type):
        return value
    parts = {field.name: getattr(value, field.name) for field in fields(value)}
    changed = {name: _each(part, change) for name, part in parts.items()}
    changed = {name: part for name, part in changed.items() if part is not parts[name]}
    return replace(value, **changed) if changed else value


def columns(lines: Sequence[str], line: int, end_line: int, name: str) -> tuple[int, int]:
    """Where on its line what is called ``name`` stands, and the column after it.

    That is the access path that ends in the last part of the name; where it is not written, the whole line. A stretch
    of several lines ends with its last line.
    """
    text = _line(lines, line)
    start, end = _named(text, name.rpartition(".")[2])
    if end_line != line:
        return start, len(_line(lines, end_line).rstrip()) + 1
    return start, end


def _named(text: str, last: str) -> tuple[int, int]:
    start = -1
    position = 0
    while last:
        position = text.find(last, position)
        if position < 0:
            break
        before = text[position - 1] if position else " "
        after = text[position + len(last)] if position + len(last) < len(text) else " "
        if not (before.isalnum() or before == "_" or after.isalnum() or after == "_"):
            start = position
            break
        position += len(last)
    if start < 0:
        indent = len(text) - len(text.lstrip())
        return indent + 1, max(len(text.rstrip()), indent + 1) + 1
    end = start + len(last)
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in "._"):
        start -= 1
    return start + 1, end + 1


def _line(lines: Sequence[str], line: int) -> str:
    return lines[line - 1] if 0 < line <= len(lines) else ""
