"""What of a file's facts matters beyond the file: their shape, which stays when an edit only moves lines.

Two files whose facts differ in nothing but line numbers, and have the same of them equal and in the same order, have
one shape. The analysis compares lines (is it the same line, which comes first) and never counts with them, so what it
finds in a program of the same shapes is the same, on other lines: the line at a place in one table of lines is the
line at that place in the other.
"""

from __future__ import annotations

import hashlib
from typing import Any, get_args

import msgspec

from racelint.model import facts as f
from racelint.model.facts import ModuleFacts
from racelint.model.source import Problem

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """Why a file has no facts: the parts of a ``Problem`` that do not depend on where the file lies."""

    line: int
    rule: str
    message: str


class Outline(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a file without its facts. Equal bytes with equal module names give equal outlines.

    ``shape`` identifies the facts without their lines; it is empty when there are none, and ``fault`` says why.
    ``lines`` are those the facts speak of, in order. ``comments`` are those to racelint, ``functions`` is how many
    there are, ``length`` how many lines the file has.
    """

    shape: str = ""
    lines: tuple[int, ...] = ()
    comments: tuple[tuple[int, str], ...] = ()
    functions: int = 0
    length: int = 0
    fault: Fault | None = None

    def problem(self, path: str) -> Problem | None:
        """What has to be told of the file: that it has no facts, and why."""
        fault = self.fault
        return None if fault is None else Problem(path, fault.line, fault.rule, fault.message)


def outline(facts: ModuleFacts, length: int) -> Outline:
    """The outline of a file of so many lines that has facts."""
    tree = _decode(_encode(facts))
    holders: list[tuple[list[Any], int]] = []
    for function in tree[_FUNCTIONS]:
        holders.append((function, _LINE))
        function[_END_LINE] = 0  # only what is read anew for a fix needs it
        for node in function[_NODES]:
            if node[0] in _LINE_OF_NODE:
                holders.append((node, _LINE_OF_NODE[node[0]]))
        for event in function[_EVENTS]:
            holders.append((event, _LINE_OF_EVENT[event[0]]))
        for region in function[_REGIONS]:
            holders.append((region, _LINE_OF_REGION))
    for cls in tree[_CLASSES]:
        holders.append((cls, _LINE_OF_CLASS))
        holders.extend((declared, 1) for declared in cls[_DECLARED])
    for item in tree[_IMPORTS]:
        item[_LINE_OF_IMPORT] = 0  # what a name means does not depend on it
    tree[_LENGTH] = 0
    tree[_COMMENTS] = ()
    lines = sorted({holder[index] for holder, index in holders})
    order = {line: position for position, line in enumerate(lines)}
    for holder, index in holders:
        holder[index] = order[holder[index]]
    return Outline(
        hashlib.sha256(_encode(tree)).hexdigest(),
        tuple(lines),
        facts.comments,
        sum(function.kind == "function" for function in facts.functions),
        length,
    )


def _at(kind: type[msgspec.Struct], name: str = "line") -> int:
    """Where a field stands in the encoded form: after the tag, if there is one."""
    return kind.__struct_fields__.index(name) + (kind.__struct_config__.tag is not None)


def _with_lines(union: Any) -> dict[str, int]:
    return {str(kind.__struct_config__.tag): _at(kind) for kind in get_args(union) if "line" in kind.__struct_fields__}


_LINE_OF_NODE, _LINE_OF_EVENT = _with_lines(f.Node), _with_lines(f.Event)
_LINE_OF_REGION, _LINE_OF_CLASS, _LINE_OF_IMPORT = _at(f.Region), _at(f.Class), _at(f.Import)
_LINE, _END_LINE, _NODES, _EVENTS, _REGIONS = (
    _at(f.Function, name) for name in ("line", "end_line", "nodes", "events", "regions")
)
_DECLARED = _at(f.Class, "declared")
_FUNCTIONS, _CLASSES, _IMPORTS, _LENGTH, _COMMENTS = (
    _at(ModuleFacts, name) for name in ("functions", "classes", "imports", "lines", "comments")
)
