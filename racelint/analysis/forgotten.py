"""What another task puts into a slot while this one still has to do with what was there, and empties it afterwards.

``await self.feed.close()``, ``self.feed = None``: a feed that was opened meanwhile is lost, and nobody closes it. Who
fills the slot only when it is empty waits until it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from racelint.analysis.flow import Flow, Flows
from racelint.analysis.walk import Reached, State
from racelint.link.calls import targets
from racelint.link.world import World
from racelint.model import facts as f


class Forgotten:
    """Knows who empties a slot after a wait, and who may have filled it anew by then."""

    def __init__(self, world: World, flows: Flows) -> None:
        self.world = world
        self.flows = flows

    def empties(self, check: Reached, act: Reached) -> bool:
        """Whether a slot is emptied after an ``await`` of what was found in it."""
        flow, start, end = self.flows[act.touch.fid], check.touch.event, act.touch.event
        if not self._nothing(flow, act.touch.value):
            return False
        facts = flow.facts
        asked = facts.events[start]
        reads = {
            index
            for index, event in enumerate(facts.events[:end])
            if type(event) is f.Access
            and type(asked) is f.Access
            and event.kind == "load"
            and flow.same_path(event.target, asked.target)
        }
        return any(
            type(event) is f.Suspend and event.how == "await" and reads & flow.deps(event.value)
            for event in facts.events[start:end]
        ) and not any(self._cancels(state) for state in _way(act.state))

    def fills(self, act: Reached, other: Reached) -> bool:
        """Whether another function puts something into the slot, be it empty or not."""
        touch = other.touch
        if touch.fid == act.touch.fid or self._nothing(self.flows[touch.fid], touch.value):
            return False
        if touch.fid in {fid for fid, _ in act.state.entry.begins}:
            return False  # it starts the very task that empties the slot
        event = touch.event
        for state in _way(other.state):
            if self._when_empty(state.fid, event, str(touch.place[2])):
                return False
            event = state.event
        return True

    def _nothing(self, flow: Flow, value: int) -> bool:
        return flow.nodes_text(value) == "None" or flow.is_empty(value)

    def _when_empty(self, fid: str, event: int, attribute: str) -> bool:
        """Whether an event depends on nothing but that an attribute is empty, or on what a function says of that."""
        flow = self.flows[fid]
        nodes = flow.facts.nodes
        for index, asked in enumerate(flow.facts.events[:event]):
            if not flow.controls(index, event):
                continue
            if type(asked) is f.Access and asked.kind == "load":
                node = nodes[asked.target]
                named = isinstance(node, f.Attr | f.Global | f.Captured) and node.name == attribute
                if (named and flow.asks_only(index, event)) or self._property(node, attribute):
                    return True
            elif type(asked) is f.Call and self._tells(fid, index, attribute):
                return True
        return False

    def _property(self, node: f.Node, attribute: str) -> bool:
        """Whether a name may be that of a property which looks at an attribute."""
        if type(node) is not f.Attr:
            return False
        return any(
            node.name in info.methods and self._reads(info.methods[node.name], attribute)
            for info in self.world.symbols.classes.values()
        )

    def _tells(self, fid: str, index: int, attribute: str) -> bool:
        callees = self.world.callees.get((fid, index), ())
        return any(self._reads(target.name, attribute) for callee in callees for target in targets(self.world, callee))

    def _reads(self, fid: str, attribute: str) -> bool:
        nodes = self.flows[fid].facts.nodes
        return any(isinstance(node, f.Attr | f.Global) and node.name == attribute for node in nodes)

    def _cancels(self, state: State) -> bool:
        """Whether a function ends tasks: those that it ends fill nothing any more."""
        facts = self.flows[state.fid].facts
        return any(
            type(func) is f.Attr and func.name == "cancel"
            for func in (facts.nodes[event.func] for event in facts.events if type(event) is f.Call)
        )


def _way(state: State) -> Iterator[State]:
    current: State | None = state
    while current is not None:
        yield current
        current = current.parent
