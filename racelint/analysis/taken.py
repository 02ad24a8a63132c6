"""Objects taken out of a shared container: whoever has got one there has it alone.

``job = self.jobs.pop(key)``, ``queue.get()``: what one call has taken out, another one does not find. Two contexts that
both have an object from there have two, however often it is put back. Source: the transfer of ownership through
queues in Blackshear et al., "RacerD" (OOPSLA 2018), and in Clarke and Wrigstad, "External Uniqueness" (ECOOP 2003).
"""

from __future__ import annotations

from collections.abc import Callable

from racelint.analysis.traced import Traced
from racelint.analysis.walk import Reached, State
from racelint.link.evaluate import Evaluator
from racelint.link.world import World
from racelint.model import facts as f


class Taken(Traced):
    """Knows accesses to what their own context has taken out of a container."""

    def __init__(self, world: World, evaluator: Callable[[str], Evaluator]) -> None:
        super().__init__(world)
        self.evaluator = evaluator

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses are each to an object, or a part of one, that nobody else can have taken."""
        if a.touch.base is None or b.touch.base is None:
            return False
        return self.has(a) and self.has(b)

    def origin(self, state: State, node: int, event: int) -> bool:
        """Whether a value is what a call takes out of a container: ``pop``, ``popleft``, ``get`` of a queue."""
        facts = self.world.symbols.functions[state.fid].facts
        value = facts.nodes[node]
        call = facts.events[value.event] if isinstance(value, f.Result) else None
        func = facts.nodes[call.func] if isinstance(call, f.Call) else None
        if not isinstance(func, f.Attr):
            return False
        holders = self.evaluator(state.fid).eval(func.base)
        rows = [self.world.container_row(obj.name) if obj.kind == "ext" else None for obj in holders]
        return bool(rows) and all(row is not None and row.methods.get(func.name) == "delete" for row in rows)
