"""Containers that frameworks make, hand to handlers, and change themselves (``[[fed]]`` rows of the tables).

There is one for each function that says what goes in. It is handed to every handler that has a parameter of its name:
all of them have the same one in hand.
"""

from __future__ import annotations

from collections import defaultdict
from fnmatch import fnmatchcase

from racelint.frameworks.schema import Argument, Fed, Matcher
from racelint.link.objects import Obj
from racelint.link.symbols import FunctionInfo
from racelint.link.world import Feed, World, const_text
from racelint.model import facts as f

# The sites of what a framework makes for a function: no event or node of that function has these numbers.
CONTAINER_SITE, VALUES_SITE = -20, -21


def hand_out(world: World) -> tuple[Feed, ...]:
    """Find what frameworks fill, and put it into the parameters of those who get it; to be done before solving."""
    rows = Matcher.of(world.tables.fed)
    feeds: dict[str, list[Feed]] = defaultdict(list)
    for info in world.symbols.functions.values():
        for decorator, node in zip(world.decorators(info.id), info.facts.decorators, strict=False):
            row = rows.first(decorator)
            if row is not None:
                feed = _feed(world, row, info, _given(world, info, node, row.id) or info.facts.name)
                feeds[feed.name.rpartition(".")[2]].append(feed)
    for info in world.symbols.functions.values() if feeds else ():
        decorators = world.decorators(info.id)
        for param in info.facts.params:
            for feed in feeds.get(param.name, ()) if param.kind in ("positional", "keyword") else ():
                if any(fnmatchcase(decorator, taker) for decorator in decorators for taker in feed.row.takers):
                    world.cells.setdefault(("p", info.id, param.name), {})[feed.objs[0]] = None
    return tuple(feed for named in feeds.values() for feed in named)


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
