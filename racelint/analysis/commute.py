"""Changes of one container whose order shows nowhere: it ends up the same, or nobody asked for an order.

Bernstein's condition asks whether two steps touch one place; what people report are steps that do not commute (M. C.
Rinard and P. Diniz, "Commutativity analysis", PLDI 1996).
"""

from __future__ import annotations

from racelint.analysis.effects import Touch
from racelint.analysis.flow import Flows
from racelint.analysis.walk import Reached
from racelint.link.world import World
from racelint.model import facts as f

ADDING = frozenset(("insert", "update"))


class Commute:
    """Answers for pairs of changes."""

    def __init__(self, world: World, flows: Flows) -> None:
        self.world = world
        self.flows = flows

    def both_add(self, a: Reached, b: Reached) -> bool:
        """Whether both only add to a list or a set: nothing is lost, and which comes first was open anyway.

        Not where a lock is held for it: then somebody wanted an order.
        """
        return not a.locks and not b.locks and self._adds(a.touch) and self._adds(b.touch)

    def _adds(self, touch: Touch) -> bool:
        if touch.effect not in ADDING:
            return False
        facts = self.flows[touch.fid].facts
        event = facts.events[touch.event]
        if type(event) is f.Access:
            return event.kind == "grow"
        if type(event) is not f.Call:
            return False
        row = self.world.container_row(touch.type) if touch.type else None
        if row is not None:
            return not row.mapping
        node = facts.nodes[event.func]
        mapping = self.world.container_row("dict")
        return type(node) is f.Attr and mapping is not None and node.name not in mapping.methods

    def fans_in(self, a: Reached, b: Reached) -> bool:
        """Whether workers each put what they found, under a key of their own work, into what their starter has made."""
        touch = a.touch
        if (touch.fid, touch.event) != (b.touch.fid, b.touch.event) or touch.effect != "insert":
            return False
        flow = self.flows[touch.fid]
        event = flow.facts.events[touch.event]
        if type(event) is not f.Access or flow.constants(touch.key) is not None:
            return False
        return type(flow.facts.nodes[event.target]) is f.Captured
