"""Where a coroutine waits for the end of what it has begun itself: ``await to_thread(f)``, ``await gather(a, b)``.

Source: docs.python.org/3/library/asyncio-task.html (awaiting a task, a future or a group of them).
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from racelint.link.call_sites import Event
from racelint.link.world import World
from racelint.model import facts as f


def awaits(world: World, fid: str, index: int) -> Iterator[int]:
    """The suspensions of a function that last until what its call ``index`` has begun is over."""
    facts = world.symbols.functions[fid].facts
    call = facts.events[index]
    assert isinstance(call, f.Call)
    carrying = {call.result}
    for later, event in enumerate(facts.events[index + 1 :], index + 1):
        if isinstance(event, f.Call) and not carrying.isdisjoint(given(facts, event)) and _waits(world, fid, later):
            carrying.add(event.result)
        elif isinstance(event, f.Suspend) and event.how == "await" and event.value in carrying:
            yield later


def over_beside(facts: f.Function, begin: Event, ends: AbstractSet[Event]) -> bool:
    """Whether what begins at a call has ended by the time that the block it stands in is left."""
    fid, index = begin
    return any(
        where == fid and at > index and facts.events[at].block == facts.events[index].block for where, at in ends
    )


def given(facts: f.Function, call: f.Call) -> Iterator[int]:
    """The arguments of a call, and the items of those that are displays."""
    for node in call.args:
        yield node
        made = facts.nodes[node]
        if isinstance(made, f.New):
            yield from made.items


def _waits(world: World, fid: str, index: int) -> bool:
    """Whether a call gives something that is there once everything that the call was given is over."""
    callees = world.callees.get((fid, index), ())
    return bool(callees) and all(obj.kind == "symbol" and world.waiters.first(obj.name) for obj in callees)
