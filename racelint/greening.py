"""Programs whose threads are green: gevent or eventlet has patched them, and they take turns at calls that block.

That is so where a module of the program has it done while it is imported, unless somebody asks for the opposite.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from racelint.contexts.entry_points import EntryPoint
from racelint.frameworks.schema import Patch
from racelint.link.world import World
from racelint.model import facts as f


def turned_green(world: World, entries: Iterable[EntryPoint]) -> tuple[EntryPoint, ...]:
    """The entry points as they run in this program."""
    patch = _patch(world)
    return tuple(entries if patch is None else (_green(entry, patch) for entry in entries))


def _green(entry: EntryPoint, patch: Patch) -> EntryPoint:
    if entry.kind not in ("thread", "pool"):
        return entry
    return replace(entry, kind="event-loop", green=True, why=patch.why)


def _patch(world: World) -> Patch | None:
    """What turns the threads of a program into green ones while one of its modules is imported."""
    for (fid, index), callees in world.callees.items():
        facts = world.symbols.functions[fid].facts
        for callee in callees if facts.kind == "module" else ():
            row = world.patches.first(callee.name) if callee.kind == "symbol" else None
            if isinstance(row, Patch) and _unless_refused(facts, facts.events[index].block):
                return row
    return None


def _unless_refused(facts: f.Function, block: int) -> bool:
    """Whether what is in a block is done as a rule: under no test, or under ``if not os.environ.get("NO_PATCH"):``."""
    while block > 0:
        one = facts.blocks[block]
        test = facts.nodes[one.test] if one.test >= 0 else None
        if one.kind not in ("try", "with", "body") and not (isinstance(test, f.Derived) and test.op == "Not"):
            return False
        block = one.parent
    return True
