"""Containers that frameworks make, hand to handlers, and change themselves (``[[fed]]`` rows of the tables).

There is one for each function that says what goes in. It is handed to every handler by keyword, under its name: all of
them have the same one in hand, as a parameter or among those that ``**kwargs`` collects.
"""

from __future__ import annotations

from collections import defaultdict
from fnmatch import fnmatchcase

from racelint.frameworks.schema import Argument, Fed, Matcher
from racelint.link.objects import Obj
from racelint.link.symbols import FunctionInfo
from racelint.link.world import KEYWORDS, Feed, World, const_text
from racelint.model import facts as f

# The sites of what a framework makes for a function: no event or node of that function has these numbers.
CONTAINER_SITE, VALUES_SITE, KEYWORDS_SITE = -20, -21, -22


def hand_out(world: World) -> tuple[Feed, ...]:
    """Find what frameworks fill, and hand it to those who get it; to be done before solving."""
    rows = Matcher.of(world.tables.fed)
    feeds: dict[str, list[Feed]] = defaultdict(list)
    for info in world.symbols.functions.values():
        for decorator, node in zip(world.decorators(info.id), info.facts.decorators, strict=False):
            row = rows.first(decorator)
            if row is not None:
                name = _given(world, info, node, row.id) or info.facts.name
                # Decorated twice, for two kinds of objects, it still fills one container.
                if all(feed.function != info.id for feed in feeds[name]):
                    feeds[name].append(_feed(world, row, info, name))
    for info in world.symbols.functions.values() if feeds else ():
        for name, named in feeds.items():
            got = [feed.objs[0] for feed in named if _takes(world, info, feed.row)]
            if got:
                hand(world, info, name, got)
    return tuple(feed for named in feeds.values() for feed in named)


def _takes(world: World, info: FunctionInfo, row: Fed) -> bool:
    return any(fnmatchcase(decorator, taker) for decorator in world.decorators(info.id) for taker in row.takers)


def hand(world: World, info: FunctionInfo, name: str, objs: list[Obj]) -> None:
    """Objects to the parameter of this name, or else to the one that collects what has no parameter."""
    kinds = {param.name: param.kind for param in info.facts.params}
    rest = next((param for param, kind in kinds.items() if kind == "starstar"), None)
    if kinds.get(name) in ("positional", "keyword"):
        world.cells.setdefault(("p", info.id, name), {}).update(dict.fromkeys(objs))
    elif rest is not None:
        record = world.heap.make("ext", KEYWORDS, (info.id, KEYWORDS_SITE))
        world.cells.setdefault(("p", info.id, rest), {})[record] = None
        for cell in (world.element_cell(record), world.value_cell(record, repr(name))):
            world.cells.setdefault(cell, {}).update(dict.fromkeys(objs))


def _feed(world: World, row: Fed, info: FunctionInfo, name: str) -> Feed:
    made: list[Obj] = [world.heap.make("ext", row.type, (info.id, CONTAINER_SITE))]
    if row.values:
        made.append(world.heap.make("ext", row.values, (info.id, VALUES_SITE)))
        world.cells[world.element_cell(made[0])] = {made[1]: None}
        world.cells[world.value_cell(made[0], None)] = {made[1]: None}
    return Feed(row, info.id, f"{info.module}.{name}", tuple(made))


def _given(world: World, info: FunctionInfo, node: int, wanted: Argument | None) -> str | None:
    """The literal that a decorator is given for an argument."""
    facts = world.symbols.functions[world.scope_of(info)].facts
    decorator = facts.nodes[node]
    call = facts.events[decorator.event] if isinstance(decorator, f.Result) else None
    if wanted is None or not isinstance(call, f.Call):
        return None
    nodes = [value for key, value in call.kwargs if key == wanted.keyword]
    if wanted.position is not None:
        nodes.extend(call.args[wanted.position : wanted.position + 1])
    return const_text(facts.nodes[nodes[0]]) if nodes else None
