"""Contracts in code: what guards an attribute, and what a function expects its callers to hold.

``pods: Annotated[dict[str, Pod], GuardedBy("_lock")]`` says what ``# racelint: guarded-by(_lock)`` says, and
``@requires("_lock")`` what ``# racelint: requires(_lock)`` says. Nothing here does anything when the program runs, and
nothing of racelint but this module is imported. The names are those of Clang's thread safety analysis:
https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Confined", "GuardedBy", "requires"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class GuardedBy:
    """Metadata for ``Annotated``: the attribute or variable is only touched while ``lock`` is held.

    ``lock`` is written as code beside the definition would name it: ``_lock`` or ``self._lock`` for an attribute of the
    same object, ``LOCK`` for a variable of the module, ``package.module.LOCK`` for one of another module.
    """

    lock: str


@dataclass(frozen=True)
class Confined:
    """Metadata for ``Annotated``: the attribute or variable is never shared between threads or tasks."""


def requires(*locks: str) -> Callable[[_Function], _Function]:
    """A decorator that changes nothing: whoever calls the function holds ``locks``, as in ``GuardedBy``."""

    def unchanged(function: _Function) -> _Function:
        return function

    return unchanged
