"""Whether a coroutine that a call makes is run by its caller: awaited, walked by ``async for``, entered, handed back.

Calling a coroutine function or an asynchronous generator runs nothing of it. What is made a task of is found as an
entry point of its own. Source: docs.python.org/3/reference/datamodel.html, "Coroutines", "Asynchronous Iterators".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from racelint.link.world import World
from racelint.model import facts as f

if TYPE_CHECKING:
    from racelint.analysis.walk import State


def run_here(facts: f.Function, call: f.Call) -> bool:
    """Whether the function that makes a call waits for what it gives."""
    return call.awaited or any(
        type(event) is f.Suspend and _holds(facts, event.value, call.result) for event in facts.events
    )


def handed_back(facts: f.Function, call: f.Call) -> bool:
    """Whether a plain function returns what a call gives: ``lambda r, w: serve(pool, r, w)``."""
    return not facts.is_async and any(
        type(event) is f.Return and _holds(facts, event.value, call.result) for event in facts.events
    )


def run_above(world: World, state: State) -> bool:
    """Whether the coroutine that a function hands back is awaited further up, or by what calls an entry point.

    Not asked of public functions whose callers are not seen: whether these are threads or tasks is not known, and a
    client hands back a coroutine for each of its many commands.
    """
    if state.entry.kind != "event-loop":
        return False
    current = state
    while current.parent is not None:
        facts = world.symbols.functions[current.parent.fid].facts
        call = facts.events[current.event]
        if type(call) is not f.Call:
            return False
        if run_here(facts, call):
            return True
        if not handed_back(facts, call):
            return False
        current = current.parent
    return True


def _holds(facts: f.Function, node: int, result: int) -> bool:
    """Whether a value is what a call gave, on one path at least."""
    value = facts.nodes[node] if node >= 0 else None
    if type(value) is f.Phi:
        return any(_holds(facts, option, result) for option in value.options)
    return node == result
