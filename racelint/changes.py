"""Which lines of a project were changed, read from a diff of git, and which findings have to do with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from racelint.model.findings import Finding

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_CONTROL = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
NOWHERE = "/dev/null"


@dataclass(frozen=True, slots=True)
class Hunk:
    """``count`` lines from ``start`` on that became ``new_count`` lines from ``new_start`` on.

    As in a diff without context: of no lines, ``start`` (``new_start``) is the line before.
    """

    start: int
    count: int
    new_start: int
    new_count: int

    def lines(self) -> range:
        """The lines that are new; where lines were only taken away, the two that have become neighbours."""
        if self.new_count:
            return range(self.new_start, self.new_start + self.new_count)
        return range(max(self.new_start, 1), self.new_start + 2)


Diff = Mapping[str, Sequence[Hunk]]


@dataclass(frozen=True, slots=True)
class Changes:
    """The changed lines of each file by its path, and the files of which every line is new."""

    lines: Mapping[str, frozenset[int]] = field(default_factory=dict)
    files: frozenset[str] = frozenset()

    def touch(self, path: str, first: int, last: int = 0) -> bool:
        """Whether a line from ``first`` to ``last`` (default: the first alone) was changed."""
        changed = self.lines.get(path, frozenset())
        return path in self.files or any(line in changed for line in range(first, max(first, last) + 1))


def parse(diff: bytes) -> dict[str, list[Hunk]]:
    """The hunks of ``git diff --unified=0`` by the path after the change. What is no hunk is passed over.

    Lines of a hunk are counted, not looked at: they may look like headers.
    """
    found: dict[str, list[Hunk]] = {}
    path = NOWHERE
    lines = iter(diff.split(b"\n"))
    for line in lines:
        if line.startswith(b"+++ "):
            path = _path(line[4:])
        hunk = _HUNK.match(line)
        if hunk is None:
            continue
        start, count, new_start, new_count = (1 if part is None else int(part) for part in hunk.groups())
        if path != NOWHERE:
            found.setdefault(path, []).append(Hunk(start, count, new_start, new_count))
        todo = count + new_count
        while todo:
            todo -= not next(lines, b"").startswith(b"\\")  # "\ No newline at end of file" is none of them
    return found


def _path(written: bytes) -> str:
    """A path as git writes it in a header: in quotes when a character is unusual, with a tab after one with spaces."""
    name = written.removesuffix(b"\t")
    if name.startswith(b'"'):
        name = _ESCAPE.sub(_plain, name[1 : name.rindex(b'"')])
    return shown_path(name.removeprefix(b"b/"))


def _plain(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    return bytes([int(code, 8)]) if len(code) == 3 else _CONTROL.get(code, code)


def shown_path(name: bytes) -> str:
    """A path as reports show it."""
    return name.decode("utf-8", "backslashreplace")


def changes(diff: Diff, new_files: Iterable[str] = ()) -> Changes:
    """What a diff changes, and files that are new as a whole."""
    lines = {path: frozenset(line for hunk in hunks for line in hunk.lines()) for path, hunks in diff.items()}
    return Changes(lines, frozenset(new_files))


def carried(changed: Changes, later: Diff) -> Changes:
    """Changed lines where they stand after a later change of the files."""
    return Changes(
        {path: frozenset(_carried(lines, later.get(path, ()))) for path, lines in changed.lines.items()}, changed.files
    )


def _carried(lines: Iterable[int], hunks: Sequence[Hunk]) -> Iterable[int]:
    for line in lines:
        shift = 0
        for hunk in hunks:
            if hunk.start <= line < hunk.start + hunk.count:
                yield from hunk.lines()
                break
            if hunk.start < line:
                shift += hunk.new_count - hunk.count
        else:
            yield line + shift


def touches(finding: Finding, changed: Changes) -> bool:
    """Whether a side, a call on the way to it, or the line where its context begins was changed."""
    return any(
        changed.touch(side.path, side.line, side.end_line)
        or changed.touch(side.context.path, side.context.line)
        or any(changed.touch(step.path, step.line) for step in side.trace)
        for side in finding.sides
    )
