"""Source files, their lines, and what went wrong while reading them."""

from __future__ import annotations

import io
import tokenize
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


def source_lines(data: bytes) -> list[str]:
    """The lines of a Python file, without their ends; bytes that cannot be decoded are replaced.

    They are split where Python splits them: ``str.splitlines`` would also split at form feeds and the like.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError:
        encoding = "utf-8"
    return data.decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
