"""What a program asks of its frameworks: handlers several at once, or one after the other (``[[manner]]`` rows).

A bot that handles updates one by one is told to handle them concurrently by one call, wherever that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from racelint.contexts.callables import called_names
from racelint.contexts.discovery import Discovery
from racelint.contexts.entry_points import EntryPoint
from racelint.frameworks.schema import Manner, Matcher
from racelint.model import facts as f


def asked_for(discovery: Discovery, entries: Iterable[EntryPoint]) -> tuple[EntryPoint, ...]:
    """The entry points, those of a lane that the program asks something for as it asks."""
    told = {row.lane: row for row in _asked(discovery)}
    return tuple(_as_told(entry, told[entry.lane]) if entry.lane in told else entry for entry in entries)


def _as_told(entry: EntryPoint, row: Manner) -> EntryPoint:
    return replace(entry, self_overlap=row.self_overlap == "yes", exclusive=row.exclusive, why=row.why)


def _asked(discovery: Discovery) -> list[Manner]:
    """The rows of calls that the program makes."""
    world = discovery.world
    rows = Matcher.of(world.tables.manner)
    if not world.tables.manner:
        return []
    found: dict[int, Manner] = {}
    for (fid, index), callees in world.callees.items():
        call = world.symbols.functions[fid].facts.events[index]
        assert isinstance(call, f.Call)
        for callee in callees:
            for name, _ in called_names(world, callee):
                for row in rows.all(name):
                    if _says(row, call, world.symbols.functions[fid].facts.nodes):
                        found[id(row)] = row
    return list(found.values())


def _says(row: Manner, call: f.Call, nodes: tuple[f.Node, ...]) -> bool:
    """Whether a call is given the argument of a row: one of its constants, or anything that is no constant but them."""
    given = [value for key, value in call.kwargs if key == row.argument.keyword]
    position = row.argument.position
    if position is not None and position < len(call.args):
        given.append(call.args[position])
    texts = [node.text if type(node) is f.Const else "" for node in (nodes[value] for value in given)]
    return any((not row.constants or text in row.constants) and text not in row.unless for text in texts)
