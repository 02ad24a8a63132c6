"""What racelint must do with any Python file: read it or say why not, and render it byte for byte as it was.

``trial`` runs in a process of its own, so that a crash or an endless loop costs one file.
"""

from __future__ import annotations

import ast
import gc
import hashlib
import warnings
from collections.abc import Iterable
from concurrent.futures import BrokenExecutor
from concurrent.futures import TimeoutError as TooLong
from dataclasses import dataclass, replace
from typing import Literal

import libcst as cst
import msgspec

from racelint.fix.edit import spliced
from racelint.fix.regions import NotPlaced
from racelint.model.facts import ModuleFacts
from racelint.model.source import source_lines
from racelint.reading import INTERNAL, Outcome, outcome
from racelint.workers import Workers

# The trees of larger files than this are not left to the next search for garbage.
LARGE_BYTES = 500_000


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one file: it was read, refused (``line`` and ``message`` say why), or racelint has failed on it.

    Altered: it was read, but LibCST forgets a newline that only few people would put there. Lines below may be one too
    low, and racelint refuses to mend the file.
    """

    kind: Literal["read", "refused", "altered", "failed"]
    line: int = 0
    message: str = ""
    lines: int = 0


def trial(source: bytes) -> Trial:
    """Read a file, and render it without a change."""
    found = _tried(source)
    if len(source) > LARGE_BYTES:
        gc.collect()
    return replace(found, lines=len(source_lines(source)))


def _tried(source: bytes) -> Trial:
    result = outcome(source, "package.module", False)
    fault = result.fault
    if fault is not None:
        if fault.rule == INTERNAL:
            return Trial("failed", 0, fault.message)
        clear = fault.message.strip() and "\n" not in fault.message and 1 <= fault.line <= len(source_lines(source))
        return Trial(
            "refused" if clear else "failed", fault.line, fault.message if clear else f"no clear word: {fault}"
        )
    if msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=Outcome) != result:
        return Trial("failed", 0, "another process or a later run would get other facts")
    assert result.facts is not None
    try:
        return _rendered(source, result.facts)
    except Exception as error:
        return Trial("failed", 0, f"rendering: {type(error).__name__}: {error}")


def _rendered(source: bytes, facts: ModuleFacts) -> Trial:
    """Render a file that could be read, and look for its lines. Raises whatever LibCST raises."""
    text = cst.parse_module(source).bytes  # what ``Layout.text`` is; without positions, which take as long again
    try:
        same = spliced(source, text, text) == source
    except NotPlaced as error:
        return Trial("altered", 0, str(error))
    misplaced = _misplaced(source, facts)
    if misplaced or not same:
        return Trial("failed", 0, misplaced or "rendered otherwise than it is")
    return Trial("read")


def _misplaced(source: bytes, facts: ModuleFacts) -> str:
    """What stands on another line than the facts say; empty when nothing does.

    Lines are counted by hand while a tree is walked, so the last one tells whether any was missed on the way.
    """
    lines = source_lines(source)
    there = len(lines) - (not lines[-1].strip(" \t\f"))
    if facts.lines not in (there, len(lines) - (not lines[-1])):  # blanks without a line end may count as a line
        return f"{facts.lines} lines were counted where there are {there}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ):  # another version of Python, or too deep for this one
        return ""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    real = sorted((node.lineno, node.name) for node in ast.walk(tree) if isinstance(node, kinds))
    functions = [item for item in facts.functions if item.kind == "function" and item.name != "<lambda>"]
    said = sorted([*((item.line, item.name) for item in functions), *((cls.line, cls.name) for cls in facts.classes)])
    wrong = sorted(set(real) ^ set(said))
    return f"{wrong[0][1]} at line {wrong[0][0]}" if wrong else ""


class Trials:
    """Makes trials in another process, which is ended when it takes longer than ``limit_s``. Same bytes, same trial."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._pool: Workers | None = None
        self._known: dict[bytes, Trial] = {}

    def run(self, source: bytes) -> Trial:
        """The trial of one file."""
        key = hashlib.sha256(source).digest()
        if key not in self._known:
            self._known[key] = self._run(source)
        return self._known[key]

    def _run(self, source: bytes) -> Trial:
        if self._pool is None:
            self._pool = Workers(1)
        try:
            return self._pool.submit(trial, source).result(self.limit_s)
        except TooLong:
            self.close()
            return Trial("failed", 0, f"not done after {self.limit_s:.0f} s")
        except BrokenExecutor as error:
            return Trial("failed", 0, f"the process {error}")

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.stop()
            self._pool = None


def tally(trials: Iterable[Trial]) -> dict[str, int]:
    """How many of each kind, and their lines."""
    found = list(trials)
    counts = {kind: sum(item.kind == kind for item in found) for kind in ("read", "refused", "altered", "failed")}
    return {**counts, "lines": sum(item.lines for item in found)}
