"""Comments that silence findings, written where a reader would write them: at the end of the line where to act."""

from __future__ import annotations

import codecs
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from racelint.layout import Layout, layout
from racelint.model.findings import Finding
from racelint.model.source import source_lines
from racelint.suppress import CommentError, extended, ignore_text

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_END = re.compile(r"[ \t]*(\r\n|\r|\n|)$")


class NotMarked(Exception):
    """A file cannot hold the comments; the message says why."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a comment goes: behind what a line has, or on a line of its own above it."""

    line: int
    above: bool


def marked(source: bytes, findings: Iterable[Finding], reason: str) -> bytes:
    """A file with a comment at the first side of each of ``findings``, which all lie in it. Raises NotMarked.

    Rules that have to do with one line share a comment; what stands in a comment already stays. A line that ends in a
    backslash or inside a string cannot hold one: it goes to the next that can, still inside the statement. Where
    another comment to racelint is in the way, it goes above the statement. All other bytes stay.
    """
    texts = source_lines(source)
    shape = layout(texts)
    rules: dict[int, set[str]] = defaultdict(set)
    for finding in findings:
        rules[finding.sides[0].line].add(finding.rule)
    spots: dict[_Spot, set[str]] = defaultdict(set)
    for line, names in sorted(rules.items()):
        spots[_spot(line, texts, shape)].update(names)
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    mark = codecs.BOM_UTF8 if encoding == "utf-8-sig" else b""
    encoding = "utf-8" if mark else encoding
    lines = _LINE.findall(source.removeprefix(mark))
    try:
        for spot, names in sorted(spots.items(), key=lambda item: (item[0].line, not item[0].above), reverse=True):
            text = lines[spot.line - 1].decode(encoding)
            column = shape.comments.get(spot.line)
            new = _above(text, names, reason) if spot.above else _behind(text, column, names, reason)
            lines[spot.line - 1] = new.encode(encoding)
    except UnicodeEncodeError:
        raise NotMarked(f"the reason cannot be written in its encoding, {encoding}") from None
    return mark + b"".join(lines)


def _spot(line: int, texts: Sequence[str], shape: Layout) -> _Spot:
    first, last = shape.statement(line)
    for candidate in range(line, last + 1):
        if candidate in shape.open_ended and _is_free(texts[candidate - 1], shape.comments.get(candidate)):
            return _Spot(candidate, above=False)
    return _Spot(first, above=True)


def _is_free(text: str, column: int | None) -> bool:
    """Whether a line's comment, if there is one, can take an ``ignore``."""
    try:
        return column is None or bool(extended(text[column:], [], ""))
    except CommentError:
        return False


def _behind(text: str, column: int | None, rules: Iterable[str], reason: str) -> str:
    end = _END.search(text)
    assert end is not None
    code = text[: end.start()]
    if column is None:
        return f"{code}  {ignore_text(sorted(rules), reason)}{end[1]}"
    return f"{code[:column]}{extended(code[column:], sorted(rules), reason)}{end[1]}"


def _above(text: str, rules: Iterable[str], reason: str) -> str:
    indent = text[: len(text) - len(text.lstrip())]
    end = _END.search(text)
    return f"{indent}{ignore_text(sorted(rules), reason)}{(end and end[1]) or chr(10)}{text}"
