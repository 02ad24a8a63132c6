"""How a file is laid out: which lines belong to one statement, and which of them can end in a comment.

A statement here is a logical line of the language reference ("Line structure"): the header of an ``if`` is one, and so
is a call that goes over ten lines. A comment cannot stand behind a backslash or inside a string.
"""

from __future__ import annotations

import io
import token
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass

# Formatted strings are one token before Python 3.12, and template strings are new in 3.14.
_OPEN = frozenset(getattr(token, name, -1) for name in ("FSTRING_START", "TSTRING_START"))
_CLOSE = frozenset(getattr(token, name, -1) for name in ("FSTRING_END", "TSTRING_END"))
_BETWEEN = frozenset({token.NL, token.COMMENT, token.INDENT, token.DEDENT, token.ENDMARKER})


@dataclass(frozen=True, slots=True)
class Layout:
    """The statements of a file as (first, last) line by each of their lines, lines that may end in a comment, and in
    which column (from 0) a line's comment begins."""

    statements: dict[int, tuple[int, int]]
    open_ended: frozenset[int]
    comments: dict[int, int]

    def statement(self, line: int) -> tuple[int, int]:
        """First and last line of the statement a line belongs to; a line outside of all is by itself."""
        return self.statements.get(line, (line, line))


def layout(lines: Sequence[str]) -> Layout:
    """The layout of a file's lines (without their ends). Of a file that is broken, what stands above the fault."""
    statements: dict[int, tuple[int, int]] = {}
    open_ended: set[int] = set()
    comments: dict[int, int] = {}
    first = 0
    strings = 0
    try:
        for item in tokenize.generate_tokens(io.StringIO("\n".join(lines) + "\n").readline):
            strings += (item.type in _OPEN) - (item.type in _CLOSE)
            if item.type == token.COMMENT and not strings:
                comments[item.start[0]] = item.start[1]
            if item.type in (token.NL, token.NEWLINE) and not strings:
                open_ended.add(item.start[0])
            if item.type == token.NEWLINE:
                last = item.start[0]
                statements.update(dict.fromkeys(range(first, last + 1), (first, last)))
                first = 0
            elif not first and item.type not in _BETWEEN:
                first = item.start[0]
    except (tokenize.TokenError, SyntaxError):
        pass  # what a newer Python accepts may be unknown to this one
    return Layout(statements, frozenset(open_ended), comments)
