"""Source files as lines, split where Python splits them."""

from __future__ import annotations

import io
import tokenize


def lines(data: bytes) -> list[str]:
    """The lines of a Python file, without their ends; bytes that cannot be decoded are replaced.

    ``str.splitlines`` would also split at form feeds and other characters that Python counts into a line.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError:
        encoding = "utf-8"
    text = data.decode(encoding, "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
