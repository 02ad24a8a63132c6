"""Source nested more deeply than Python itself admits, found before the parser meets it.

LibCST's parser is recursive: a few thousand open brackets or lambdas take it minutes, or the whole process with it.
CPython refuses more than 200 nested brackets (``MAXLEVEL`` in its tokenizer), so nothing that runs is lost.
"""

from __future__ import annotations

import io
import tokenize

BRACKETS = 200
LAMBDAS = 200


def too_deep(source: bytes) -> int | None:
    """The line (1-based) on which brackets or lambdas are nested beyond all measure, or None."""
    depth = 0
    suspicious = False
    lambdas = source.count(b"lambda") > LAMBDAS
    for number, line in enumerate(source.split(b"\n"), 1):
        opening = line.count(b"(") + line.count(b"[") + line.count(b"{")
        if opening or depth:
            if depth + opening > BRACKETS:
                suspicious = True
                break
            depth = max(depth + opening - line.count(b")") - line.count(b"]") - line.count(b"}"), 0)
        if lambdas and line.count(b"lambda") > LAMBDAS:
            return number
    return _measured(source) if suspicious else None


def _measured(source: bytes) -> int | None:
    """The same by tokens: brackets in strings and comments do not count."""
    depth = 0
    try:
        for token in tokenize.tokenize(io.BytesIO(source).readline):
            if token.type == tokenize.OP:
                if token.string in "([{":
                    depth += 1
                    if depth > BRACKETS:
                        return token.start[0]
                elif token.string in ")]}":
                    depth -= 1
    except tokenize.TokenError as error:  # pragma: no cover - 3.12 and later refuse such source themselves
        if "nested" in str(error):
            return int(error.args[1][0])
    except (SyntaxError, UnicodeDecodeError):
        pass
    return None
