"""Objects that a framework hands to functions, for the program to keep things in (``[[carrier]]`` rows)."""

from __future__ import annotations

from fnmatch import fnmatchcase

from racelint.frameworks.schema import Carrier
from racelint.link.fed import hand
from racelint.link.symbols import FunctionInfo
from racelint.link.world import World
from racelint.model import facts as f


def hand_out(world: World) -> None:
    """Give each function that a row names what it finds under the row's keyword; to be done before solving."""
    for row in world.tables.carrier:
        for info in world.symbols.functions.values() if row.takers else ():
            if takes(world, info.id, row):
                hand(world, info, row.keyword, [world.heap.make("ext", row.name[0])])


def takes(world: World, fid: str, row: Carrier) -> bool:
    """Whether a function gets the object of a row."""
    names = world.decorators(fid) if row.takers else ()
    return any(fnmatchcase(name, taker) for name in names for taker in row.takers)


def kept_by(info: FunctionInfo, keyword: str) -> frozenset[str]:
    """The names (attributes, literal keys) under which a function puts something into what it gets under a keyword."""
    nodes = info.facts.nodes
    found: set[str] = set()
    for event in info.facts.events:
        if not isinstance(event, f.Access) or event.kind not in ("store", "set"):
            continue
        target = nodes[event.target]
        if event.kind == "store" and isinstance(target, f.Attr) and nodes[target.base] == f.Param(keyword):
            found.add(target.name)
        key = nodes[event.key] if event.key >= 0 else None
        if event.kind == "set" and target == f.Param(keyword) and isinstance(key, f.Const):
            found.add(key.text.strip("'\""))
    return frozenset(found)
