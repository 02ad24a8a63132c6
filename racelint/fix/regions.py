"""Where a lock goes: the smallest whole statements of a file that cover some lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

Block = cst.Module | cst.IndentedBlock


class NotPlaced(Exception):
    """A plan asks for an edit that has no place in the file; the message says which."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Statements ``first`` to ``last`` of a block, on the lines ``line`` to ``end_line`` (1-based, both included)."""

    block: Block
    first: int
    last: int
    line: int
    end_line: int

    @property
    def statements(self) -> Sequence[cst.BaseStatement]:
        """The statements themselves."""
        return list(self.block.body)[self.first : self.last + 1]


class Layout:
    """The statements of one file by their lines; see ``layout_of``."""

    def __init__(self, source: bytes) -> None:
        try:
            module = cst.parse_module(source)
        except (cst.CSTValidationError, AttributeError) as error:
            # It takes a few statements for errors that Python does not, such as an ``async for`` after a line break.
            raise NotPlaced(f"the parser takes something in it for an error ({error})") from error
        self.wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        self.module = self.wrapper.module
        self._positions = self.wrapper.resolve(PositionProvider)
        self.text = self.module.bytes

    def lines(self, node: cst.CSTNode) -> tuple[int, int]:
        """First and last line of a node, decorators included, comments above it not."""
        where = self._positions[node]
        first = where.start.line
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)) and node.decorators:
            first = min(first, self._positions[node.decorators[0]].start.line)
        return first, where.end.line

    def cover(self, line: int, end_line: int) -> Cover | None:
        """The smallest run of whole statements of one block that covers these lines; None when nothing is there."""
        block: Block = self.module
        while True:
            hit = [
                index
                for index, statement in enumerate(block.body)
                if self.lines(statement)[0] <= end_line and self.lines(statement)[1] >= line
            ]
            if not hit:
                return None
            inner = self._inside(block.body[hit[0]], line, end_line) if len(hit) == 1 else None
            if inner is None:
                first, last = hit[0], hit[-1]
                return Cover(block, first, last, self.lines(block.body[first])[0], self.lines(block.body[last])[1])
            block = inner

    def _inside(self, statement: cst.CSTNode, line: int, end_line: int) -> cst.IndentedBlock | None:
        """The indented block of a compound statement that all the lines lie in."""
        for block in blocks(statement):
            if block.body and self.lines(block.body[0])[0] <= line and end_line <= self.lines(block.body[-1])[1]:
                return block
        return None


@lru_cache(maxsize=64)
def layout_of(source: bytes) -> Layout:
    """The layout of a file. Nobody changes one, and each plan for a file asks for it again."""
    return Layout(source)


def blocks(statement: cst.CSTNode) -> Iterable[cst.IndentedBlock]:
    """The indented blocks directly below a compound statement: bodies, branches, handlers."""
    for child in statement.children:
        if isinstance(child, cst.IndentedBlock):
            yield child
        elif isinstance(
            child, (cst.If, cst.Else, cst.ExceptHandler, cst.ExceptStarHandler, cst.Finally, cst.MatchCase)
        ):
            yield from blocks(child)


def merged(covers: Iterable[Cover]) -> list[Cover]:
    """Covers without those inside others; neighbours in one block become one."""
    kept: list[Cover] = []
    for cover in sorted(covers, key=lambda c: (c.line, -c.end_line)):
        last = kept[-1] if kept else None
        if last is not None and cover.end_line <= last.end_line:
            continue
        if last is not None and last.block is cover.block and cover.first <= last.last + 1:
            kept[-1] = Cover(cover.block, last.first, cover.last, last.line, cover.end_line)
            continue
        kept.append(cover)
    return kept
