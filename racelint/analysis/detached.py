"""Containers that have been taken out of their place: ``items, self.items = self.items, []``.

Whoever comes now finds the new one in the place; the old one is left to the function that has put another there, and to
those that it hands it to: the functions it calls, and who takes it out of a queue.
"""

from __future__ import annotations

from racelint.analysis.flow import Flows
from racelint.analysis.traced import Traced
from racelint.analysis.walk import Reached, State
from racelint.link.call_sites import CallSites
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f


class Detached(Traced):
    """Knows accesses to what something else has been put in the place of."""

    # A container in it went with it; what an element has may be kept elsewhere as well.
    steps = (f.Item, f.Elem, f.Part)

    def __init__(self, world: World, sites: CallSites) -> None:
        super().__init__(world)
        self.sites = sites
        self.flows = Flows(world.symbols.functions)
        self._only: dict[Obj, bool] = {}

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether one of two accesses is to the content of a container that the other one cannot find any more."""
        return any(access.touch.content and self.has(access) for access in (a, b))

    def origin(self, state: State, node: int, event: int) -> bool:
        """Whether a value is no longer where others would look for it."""
        value = self.flows[state.fid].facts.nodes[node]
        if isinstance(value, f.Result) and self._received(state.fid, value.event):
            return True
        return self._replaced(state.fid, node, event)

    def _received(self, fid: str, event: int) -> bool:
        """Whether a call takes something out of a container into which only such values are put."""
        callees = self.world.callees.get((fid, event), ())
        return bool(callees) and all(self._takes(callee) for callee in callees)

    def _takes(self, callee: Obj) -> bool:
        holder = callee.owner
        if callee.kind != "member" or holder is None or holder.kind != "ext":
            return False
        row = self.world.container_row(holder.name)
        method = callee.name.rpartition(".")[2]
        return row is not None and row.methods.get(method) == "delete" and self._holds_only(holder)

    def _holds_only(self, holder: Obj) -> bool:
        """Whether everything that is put into a container has been taken out of its place before."""
        plain = self.world.heap.plain(holder)
        found = self._only.get(plain)
        if found is None:
            row = self.world.container_row(holder.name)
            adding = [name for name, effect in row.methods.items() if effect in ("insert", "update")] if row else []
            puts = [site for name in adding for site in self.sites.on(plain, name)]
            found = self._only[plain] = bool(puts) and all(self._put(fid, event) for fid, event in puts)
        return found

    def _put(self, fid: str, event: int) -> bool:
        facts = self.flows[fid].facts
        call = facts.events[event]
        if not isinstance(call, f.Call) or call.star or not call.args:
            return False
        return isinstance(facts.nodes[call.args[0]], f.Const) or self._replaced(fid, call.args[0], event)

    def _replaced(self, fid: str, node: int, event: int) -> bool:
        """Whether the slot that a value was read from is bound anew between the reading and an event."""
        flow = self.flows[fid]
        events = flow.facts.events
        read = next(
            (
                index
                for index, load in enumerate(events[:event])
                if isinstance(load, f.Access) and load.kind == "load" and load.result == node
            ),
            -1,
        )
        load = events[read] if read >= 0 else None
        if not isinstance(load, f.Access):
            return False
        around = flow.ancestors(events[event].block)
        return any(
            isinstance(store, f.Access)
            and store.kind == "store"
            and store.block in around
            and flow.same_path(store.target, load.target)
            and not flow.same_value(store.value, node)
            for store in events[read + 1 : event]
        )
