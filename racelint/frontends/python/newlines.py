"""Newlines: how far a walk over the tree has come in its source, since LibCST's own positions take too long."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import libcst as cst

# Nodes whose text may have newlines. Template strings came with LibCST 1.8.
LITERAL_TEXT: tuple[type[cst.CSTNode], ...] = tuple(
    getattr(cst, name) for name in ("SimpleString", "FormattedStringText", "TemplatedStringText") if hasattr(cst, name)
)
# What nodes of each type consist of.
PARTS = {
    kind: tuple(field.name for field in fields(kind))
    for kind in vars(cst).values()
    if isinstance(kind, type) and issubclass(kind, cst.CSTNode) and is_dataclass(kind)
}


class Newlines:
    """Counts the newlines that are passed; ``line`` is the source line the walk has reached."""

    line: int

    def space(self, whitespace: Any) -> None:
        """Count the newlines of a whitespace node (backslash continuations and parenthesised ones)."""
        if whitespace.__class__ is cst.SimpleWhitespace:
            value = whitespace.value
            if value and "\n" in value:
                self.line += value.count("\n")
        elif whitespace.__class__ is cst.ParenthesizedWhitespace:
            self.space(whitespace.first_line.whitespace)
            self.line += 1 + len(whitespace.empty_lines)
            for line in whitespace.empty_lines:
                self.space(line.whitespace)
            self.space(whitespace.last_line)

    def _open(self, node: Any) -> None:
        for paren in node.lpar:
            self.space(paren.whitespace_after)

    def _close(self, node: Any) -> None:
        for paren in node.rpar:
            self.space(paren.whitespace_before)

    def _comma(self, comma: Any) -> None:
        if comma.__class__ is cst.Comma:
            self.space(comma.whitespace_before)
            self.space(comma.whitespace_after)

    def _newlines(self, node: cst.CSTNode) -> int:
        """Newlines inside a node, by visiting every descendant."""
        count = 0
        stack: list[Any] = [node]
        while stack:
            current = stack.pop()
            kind = current.__class__
            if kind is cst.SimpleWhitespace:
                count += current.value.count("\n")
            elif kind is cst.ParenthesizedWhitespace:
                count += 1 + len(current.empty_lines)
                stack.extend((current.first_line.whitespace, current.last_line))
                stack.extend(line.whitespace for line in current.empty_lines)
            else:
                if kind in LITERAL_TEXT:
                    count += current.value.count("\n")
                for name in PARTS[kind]:
                    part = getattr(current, name)
                    if part.__class__ is tuple or part.__class__ is list:
                        stack.extend(part)
                    elif part.__class__ in PARTS:
                        stack.append(part)
        return count
