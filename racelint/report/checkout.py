"""Paths that count from the root of the checkout instead of the project: build servers know files by those."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast

_T = TypeVar("_T")


def below(value: _T, folder: str) -> _T:
    """``value`` (a result, or any part of one) with ``folder`` in front of every path in it; ``""`` changes nothing."""
    return cast(_T, _moved(value, folder)) if folder else value


def _moved(value: object, folder: str) -> object:
    if isinstance(value, tuple):
        return tuple(_moved(item, folder) for item in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    parts = {field.name: getattr(value, field.name) for field in fields(value)}
    moved = {name: f"{folder}/{part}" if name == "path" else _moved(part, folder) for name, part in parts.items()}
    return replace(value, **moved)
