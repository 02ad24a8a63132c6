"""Source files and what went wrong while reading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One Python file of the project.

    ``path`` is where it lies on disk, ``display`` the POSIX path relative to the project (used in every report),
    ``module`` its dotted import name, ``is_package`` whether it is an ``__init__`` file.
    """

    path: Path
    display: str
    module: str
    is_package: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of source: lines count from 1, columns from 1, the end column is the one after the last character."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that keeps the run from being complete: ``rule`` names it, ``line`` is 1-based (0: the whole file)."""

    path: str
    line: int
    rule: str
    message: str
