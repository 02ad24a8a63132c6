"""What a program asks of its frameworks: handlers several at once, or one after the other (``[[manner]]`` rows).

A bot that handles updates one by one is told to handle them concurrently by one call, wherever that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from racelint.contexts.callables import named_calls
from racelint.contexts.discovery import Discovery
from racelint.contexts.entry_points import EntryPoint
from racelint.frameworks.schema import Manner, Matcher
from racelint.model import facts as f


def asked_for(discovery: Discovery, entries: Iterable[EntryPoint]) -> tuple[EntryPoint, ...]:
    """The entry points, those of a lane that the program asks something for as it asks."""
    told = {row.lane: row for row in _asked(discovery)}
    return tuple(_as_told(entry, told.get(entry.lane)) for entry in entries)


def _as_told(entry: EntryPoint, row: Manner | None) -> EntryPoint:
    if row is None or row.context not in (None, entry.kind):
        return entry
    return replace(entry, self_overlap=row.self_overlap == "yes", exclusive=row.exclusive, why=row.why)


def _asked(discovery: Discovery) -> list[Manner]:
    """The rows of calls that the program makes, and of attributes that it sets."""
    world = discovery.world
    rows = Matcher.of(row for row in world.tables.manner if row.argument is not None)
    found: dict[int, Manner] = {id(row): row for row in _set(discovery)}
    for (fid, _), call, name, _ in named_calls(world):
        for row in rows.all(name):
            if _says(row, call, world.symbols.functions[fid].facts.nodes):
                found[id(row)] = row
    return list(found.values())


def _set(discovery: Discovery) -> Iterator[Manner]:
    rows = [row for row in discovery.world.tables.manner if row.argument is None]
    named = {name: row for row in rows for name in row.name}
    attributes = {name.rpartition(".")[2] for name in named}
    for fid, info in discovery.world.symbols.functions.items():
        nodes = info.facts.nodes
        for event in info.facts.events:
            target = nodes[event.target] if isinstance(event, f.Access) and event.kind == "store" else None
            if not isinstance(event, f.Access) or type(target) is not f.Attr or target.name not in attributes:
                continue
            value = nodes[event.value] if event.value >= 0 else None
            for obj in discovery.callables.evaluator(fid).eval(target.base):
                row = named.get(f"{obj.name}.{target.name}")
                if row is not None and type(value) is f.Const and value.text in row.constants:
                    yield row


def _says(row: Manner, call: f.Call, nodes: tuple[f.Node, ...]) -> bool:
    """Whether a call is given the argument of a row: one of its constants, or anything that is no constant but them."""
    assert row.argument is not None
    given = [value for key, value in call.kwargs if key == row.argument.keyword]
    position = row.argument.position
    if position is not None and position < len(call.args):
        given.append(call.args[position])
    texts = [node.text if type(node) is f.Const else "" for node in (nodes[value] for value in given)]
    return any((not row.constants or text in row.constants) and text not in row.unless for text in texts)
