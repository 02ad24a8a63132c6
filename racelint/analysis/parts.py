"""Parts of the object that an entry point runs on: what its own class makes and keeps, nobody else has in hand.

``run`` of one worker walks ``self.parser.buffer`` and that of another worker does, too: two buffers, though one line
makes both. An access counts when the way to it begins at the receiver of its entry point and leads through parts only.
Who makes one such object for itself, and tells it so, counts as one with it: ``self.connection = Connection(self)``.
"""

from __future__ import annotations

from functools import partial

import networkx as nx

from racelint.analysis.effects import Effects, touched
from racelint.analysis.flow import declared
from racelint.analysis.keeping import Keeping
from racelint.analysis.walk import Reached, State
from racelint.contexts.entry_points import EntryPoint
from racelint.link.binding import argument, handed
from racelint.link.call_sites import CallSites, in_loop
from racelint.link.calls import led_to, targets
from racelint.link.classes import related
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f

# Steps of a way from an access back to the receiver.
FAR = 40
TAKING = frozenset(("item", "look", "delete", "discard", "claim"))


class Parts:
    """Tells the parts of two receivers apart."""

    def __init__(
        self,
        world: World,
        effects: Effects,
        keeping: Keeping,
        calls: nx.DiGraph[str],
        sites: CallSites,
    ) -> None:
        self.world = world
        self.effects = effects
        self.keeping = keeping
        self.calls = calls
        self.sites = sites
        self._evaluators: dict[str, Evaluator] = {}
        self._rooted: dict[tuple[State, int], bool] = {}
        self._of: dict[tuple[frozenset[str], Obj], bool] = {}
        self._made: dict[frozenset[str], frozenset[str]] = {}

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses are to parts of two receivers: of runs that have one each, or of unrelated classes."""
        first, second = a.state.entry, b.state.entry
        receivers = (first.target.owner, second.target.owner)
        classes = frozenset(obj.name for obj in receivers if obj is not None and obj.kind == "inst")
        if first is second:
            if not first.distinct_self or not classes:
                return False
        elif len(classes) < 2 or related(self.world.symbols, *sorted(classes)):
            return False
        classes |= {parent for cid in sorted(classes) if (parent := self._parent(cid))}
        return all(self._is_part(access, classes) and self.rooted(access) for access in (a, b))

    def _parent(self, cid: str) -> str:
        """The class whose objects make one object of another class each, and tell it who they are; else nothing."""
        sites = self.sites.instantiated.get(cid, ())
        if len(sites) != 1:
            return ""
        ((fid, index),) = sites
        info = self.world.symbols.functions[fid]
        call = info.facts.events[index]
        if info.cls is None or info.facts.name != "__init__" or type(call) is not f.Call:
            return ""
        me = f.Param(info.facts.params[0].name)
        given = (*call.args, *(value for _, value in call.kwargs))
        told = any(info.facts.nodes[node] == me for node in given)
        return info.cls if told and not in_loop(info.facts, call.block) else ""

    def _is_part(self, access: Reached, classes: frozenset[str]) -> bool:
        base = access.touch.base
        if base is None:
            return False
        key = (classes, self.world.heap.plain(base.whole))
        if key not in self._of:
            self._of[key] = self.keeping.only_in(key[1], partial(self._is_one, classes), self._makers(classes))
        return self._of[key]

    def _is_one(self, classes: frozenset[str], obj: Obj) -> bool:
        return obj.kind == "inst" and any(related(self.world.symbols, obj.name, cid) for cid in classes)

    def _makers(self, classes: frozenset[str]) -> frozenset[str]:
        """The methods of some classes, and all that they lead to."""
        if classes not in self._made:
            methods = {
                fid
                for cid in classes
                for parent in self.world.class_of(cid).mro
                for fid in self.world.class_of(parent).methods.values()
            }
            self._made[classes] = led_to(self.calls, methods)
        return self._made[classes]

    # -- ways ---------------------------------------------------------------------------------------------------------

    def rooted(self, access: Reached) -> bool:
        """Whether what is touched is reached from the receiver of the entry point, through attributes and elements."""
        key = (access.state, access.touch.event)
        if key not in self._rooted:
            node = touched(self.world.symbols.functions[access.touch.fid].facts, access.touch)
            self._rooted[key] = node >= 0 and self._leads(access.state, node, access.state.entry, 0)
        return self._rooted[key]

    def _leads(self, state: State, node: int, entry: EntryPoint, steps: int) -> bool:
        if node < 0 or steps > FAR:
            return False
        facts = self.world.symbols.functions[state.fid].facts
        match facts.nodes[node]:
            case f.Attr(base) | f.Item(base) | f.Elem(base) | f.Part(base):
                return self._through(state, base, entry, steps)
            case f.Awaited(base):
                return self._leads(state, base, entry, steps + 1)
            case f.Phi(options):
                ways = [option for option in options if not declared(facts.nodes[option])]
                return bool(ways) and all(self._leads(state, option, entry, steps + 1) for option in ways)
            case f.New():
                return True  # it is made here
            case f.Result(event):
                callees = self.world.callees.get((state.fid, event), ())
                if callees and all(callee.kind == "class" for callee in callees):
                    return True
                call = facts.events[event]
                func = facts.nodes[call.func] if type(call) is f.Call else None
                taken = type(func) is f.Attr and self.effects.generic.get(func.name) in TAKING
                return taken and type(func) is f.Attr and self._through(state, func.base, entry, steps)
            case f.Param(name):
                if state.parent is None:
                    return bool(facts.params) and name == facts.params[0].name and entry.target.kind == "bound"
                given = self._argument(state, name)
                return given >= 0 and self._leads(state.parent, given, entry, steps + 1)
            case _:
                return False

    def _through(self, state: State, base: int, entry: EntryPoint, steps: int) -> bool:
        """Whether a way goes on to the receiver from an object that is not another receiver itself."""
        owner = entry.target.owner
        facts = self.world.symbols.functions[state.fid].facts
        if owner is None or (
            type(facts.nodes[base]) is not f.Param
            and any(self._is_one(frozenset((owner.name,)), obj) for obj in self._evaluator(state.fid).eval(base))
        ):
            return False
        return self._leads(state, base, entry, steps + 1)

    def _argument(self, state: State, name: str) -> int:
        """The node in the caller that a parameter holds; -1 when it is not known."""
        assert state.parent is not None
        caller = self.world.symbols.functions[state.parent.fid].facts
        call = caller.events[state.event]
        callees = [
            callee
            for callee in self.world.callees.get((state.parent.fid, state.event), ())
            if any(target.name == state.fid for target in targets(self.world, callee))
        ]
        if type(call) is not f.Call or len({callee.kind for callee in callees}) != 1:
            return -1
        site = (state.parent.fid, state.event)
        if callees[0].kind != "bound":
            return argument(self.world, site, state.fid, name)
        return handed(self.world, site, state.fid, name)

    def _evaluator(self, fid: str) -> Evaluator:
        if fid not in self._evaluators:
            self._evaluators[fid] = Evaluator(self.world, self.world.symbols.functions[fid])
        return self._evaluators[fid]
