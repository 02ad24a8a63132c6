"""Stores that lose nothing when somebody else comes in between: done twice they give what they give once.

The lines are those of what people report and what they leave alone: a flag reset on purpose, a value everybody would
store alike, a hint told once more, entries of a record with different names.
"""

from __future__ import annotations

from collections.abc import Iterable

from racelint.analysis.commute import Commute
from racelint.analysis.effects import Touch
from racelint.analysis.flow import Flow, Flows
from racelint.analysis.frozen import Frozen
from racelint.analysis.values import Values
from racelint.analysis.walk import CALLERS, Reached, State
from racelint.link.again import within
from racelint.link.binding import handed, lists_all
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f

# Functions that hand a key on.
HANDED_ON = 3


class Harmless:
    """Answers for one access, or for a pair of them, whether a collision could do harm."""

    def __init__(self, world: World, flows: Flows, reached: Iterable[Reached]) -> None:
        self.world = world
        self.flows = flows
        self.values = Values(world)
        self.frozen = Frozen(world, self.values, reached)
        self.order = Commute(world, flows)
        self._constant: dict[tuple[str, int], bool] = {}
        self._answer: dict[tuple[str, int], bool] = {}
        self._asking: dict[str, bool] = {}
        self._unique: dict[tuple[str, int], bool] = {}
        self._written_out: dict[tuple[State, int], frozenset[str] | None] = {}

    def resets(self, access: Reached) -> bool:
        """A plain assignment of a constant: it overwrites on purpose, nothing of it can be lost."""
        touch = access.touch
        if touch.effect != "rebind" or touch.aug:
            return False
        key = (touch.fid, touch.value)
        found = self._constant.get(key)
        if found is None:
            found = self._constant[key] = self.flows[touch.fid].is_constant(touch.value)
        return found

    def claims(self, act: Reached) -> bool:
        """A constant stored under a check claims something when the same branch goes on to do it."""
        touch = act.touch
        flow = self.flows[touch.fid]
        if flow.nodes_text(touch.value) not in ("True", "False"):
            return False
        return any(
            index > touch.event and not self.values.report(touch.fid, event) for index, event in _done_beside(flow, act)
        )

    def told(self, check: Reached, act: Reached) -> bool:
        """A time of day stored beside what only tells somebody something: told once more is a line too many."""
        touch = act.touch
        if touch.content or touch.effect != "rebind" or touch.aug or not self.values.plain(touch.fid, touch.value):
            return False
        flow = self.flows[touch.fid]
        block = flow.facts.events[touch.event].block
        if check.touch.event not in flow.deps(flow.facts.blocks[block].test):
            return False
        done = _done_beside(flow, act)
        return bool(done) and all(self.values.report(touch.fid, event) for _, event in done)

    def after_message(self, access: Reached) -> bool:
        """Whether a queue is asked for something first, or an event waited for, on the way to an access.

        Who puts it there, or sets the event, has been made.
        """
        state, event = access.state, access.touch.event
        while True:
            calls = self.flows[state.fid].facts.events[:event]
            if any(self._takes(state.fid, call) for call in calls if type(call) is f.Call):
                return True
            if state.parent is None:
                return False
            state, event = state.parent, state.event

    def _takes(self, fid: str, call: f.Call) -> bool:
        """Whether a call waits for something out of a queue or for an event, or is one of a function that does."""
        func = self.flows[fid].facts.nodes[call.func]
        objs = self.values.objects(fid, call.func)
        if type(func) is f.Attr:
            if objs and not (call.args or call.kwargs) and all(self.world.latches.first(obj.name) for obj in objs):
                return True
            rows = [self.world.container_row(obj.owner.name) for obj in objs if obj.kind == "member" and obj.owner]
            if any(row is not None and row.safe and row.methods.get(func.name) == "delete" for row in rows):
                return True
        return any(self._asks_queue(obj.name) for obj in objs if obj.kind in ("func", "bound"))

    def _asks_queue(self, fid: str) -> bool:
        if fid not in self._asking:
            self._asking[fid] = False  # what calls itself asks no queue by that
            calls = self.flows[fid].facts.events
            self._asking[fid] = any(self._takes(fid, call) for call in calls if type(call) is f.Call)
        return self._asking[fid]

    def spare(self, act: Reached) -> bool:
        """Whether the loser of a race for a slot has only worked in vain: what it stored has no state that is missed.

        A constant claims something; of what a whole module or class has, and of an object of the project that changes
        later on, there must be one.
        """
        touch = act.touch
        if touch.content:
            return touch.effect == "insert" and self._memoises(self.flows[touch.fid], touch)
        if touch.effect != "rebind" or touch.place[0] in ("g", "k"):
            return False
        if self.flows[touch.fid].is_constant(touch.value):
            return False
        node = self.flows[touch.fid].facts.nodes[touch.value] if touch.value >= 0 else None
        if not isinstance(node, f.New | f.Result | f.Awaited | f.Phi):
            return True  # what was there before is not made twice
        return not any(self._changing(obj) for obj in self.values.objects(touch.fid, touch.value))

    def _memoises(self, flow: Flow, touch: Touch) -> bool:
        """Whether a decorator keeps what its function has returned: ``cache[key] = function(*args)``."""
        nodes = flow.facts.nodes
        value = nodes[touch.value] if touch.value >= 0 else None
        call = flow.facts.events[value.event] if type(value) is f.Result else None
        return type(call) is f.Call and type(nodes[call.func]) is f.Captured

    def _changing(self, obj: Obj) -> bool:
        """Whether an object has a state that is missed when another one takes its place: entries, attributes."""
        if obj.kind == "inst":
            return self.values.stateful(obj.name)
        return obj.kind == "ext" and self.world.container_row(obj.name) is not None

    def same_either_way(self, check: Reached, act: Reached) -> bool:
        """A plain value, or data nobody changes, filled in on first use or read again: done twice it is done once.

        An entry with a constant key is a field of a record, and counts as an attribute does. So does one of a memo: its
        value is made of nothing but the key, and nothing else is done for it.
        """
        touch = act.touch
        flow = self.flows[touch.fid]
        asked, done = check.touch.event, touch.event
        if not _stores(flow, act) or flow.is_constant(touch.value) or (act.inside is None and flow.completes(done)):
            return False
        if touch.content and flow.constants(touch.key) is None:
            return self._answers(act)
        if touch.effect != ("insert" if touch.content else "rebind"):
            return False
        if not flow.asks_only(asked, done) and not flow.recomputed(touch.value, asked, done):
            return False
        return self._data(flow, touch)

    def as_good(self, a: Reached, b: Reached) -> bool:
        """Whether two entries stored by key are answers of a memo: each is as good as the other."""
        return self._answers(a) and self._answers(b)

    def _answers(self, access: Reached) -> bool:
        touch = access.touch
        key = (touch.fid, touch.event)
        if key not in self._answer:
            flow = self.flows[touch.fid]
            self._answer[key] = (
                touch.content
                and touch.effect == "insert"
                and not touch.aug
                and _stores(flow, access)
                and not flow.is_constant(touch.value)
                and self._memo(flow, access)
                and self._data(flow, touch)
            )
        return self._answer[key]

    def _memo(self, flow: Flow, act: Reached) -> bool:
        """Whether what is stored under a key is made of the key, and nothing but reports goes with it."""
        touch = act.touch
        if not flow.given(touch.value) <= flow.given(touch.key) or self._reads(flow, act):
            return False
        return all(self.values.report(touch.fid, event) for _, event in _done_beside(flow, act))

    def _reads(self, flow: Flow, act: Reached) -> bool:
        """Whether a stored value is made of what the container had: a count, a longer list."""
        if act.inside is not None:
            return False
        container = flow.facts.events[act.touch.event]
        assert isinstance(container, f.Access)
        return any(
            type(event) is f.Access and event.kind in ("get", "iter") and flow.same_path(event.target, container.target)
            for event in (flow.facts.events[index] for index in flow.deps(act.touch.value))
        )

    def _data(self, flow: Flow, touch: Touch) -> bool:
        return (
            self.values.plain(touch.fid, touch.value)
            or self.values.returned_plain(touch.fid, flow, touch.event)
            or self.frozen.stays(touch.fid, touch.value)
        )

    def other_key(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses are to different constant keys of a mapping (``data["url"]``, ``data["name"]``)."""
        if not a.touch.content or not b.touch.content:
            return False
        if self.other_closure(a, b) or self._own_key(a) or self._own_key(b):
            return True
        one, other = self._keys(a), self._keys(b)
        return one is not None and other is not None and one.isdisjoint(other)

    def commute(self, a: Reached, b: Reached) -> bool:
        """Whether two changes of a container may come in any order."""
        return self.order.both_add(a, b) or self.order.fans_in(a, b)

    def other_closure(self, a: Reached, b: Reached) -> bool:
        """Whether two closures of one function each use a key of their own, which the function that made them has."""
        if a.touch.fid != b.touch.fid or a.state.bindings == b.state.bindings:
            return False
        return all(self.flows[x.touch.fid].captured(x.touch.key) for x in (a, b))

    def _own_key(self, access: Reached) -> bool:
        """Whether an entry is stored under a key that has just been made, and that nobody else has."""
        touch = access.touch
        if touch.effect != "insert" or touch.key < 0:
            return False
        key = (touch.fid, touch.key)
        if key not in self._unique:
            self._unique[key] = self._made_for_it(*key)
        return self._unique[key]

    def _made_for_it(self, fid: str, node: int) -> bool:
        flow = self.flows[fid]
        made = (flow.facts.nodes[part] for part in within(node, flow.parts))
        return any(
            callee.kind == "symbol" and self.world.uniques.first(callee.name) is not None
            for part in made
            if isinstance(part, f.Result)
            for callee in self.world.callees.get((fid, part.event), ())
        )

    def _keys(self, access: Reached) -> frozenset[str] | None:
        """The constant keys an access may be to; None when they are not known."""
        flow, touch = self.flows[access.touch.fid], access.touch
        if touch.effect == "update":
            return flow.keys_of(touch.key)
        key = (access.state, touch.key)
        if key not in self._written_out:
            self._written_out[key] = self._constants([access.state, *access.alike], touch.key, 0)
        return self._written_out[key]

    def _constants(self, states: Iterable[State], node: int, depth: int) -> frozenset[str] | None:
        """The literals a node may be in some states of its function, also when their callers hand them over."""
        found: set[str] = set()
        for state in dict.fromkeys(states):
            flow = self.flows[state.fid]
            known = flow.constants(node)
            value = flow.facts.nodes[node] if node >= 0 else None
            if known is None and type(value) is f.Param and depth < HANDED_ON:
                known = self._handed_over(state, value.name, depth)
            if known is None:
                return None
            found |= known
        return frozenset(found)

    def _handed_over(self, state: State, name: str, depth: int) -> frozenset[str] | None:
        calls = [(state.parent, state.event), *state.also]
        found: set[str] = set()
        for parent, event in calls if len(calls) <= CALLERS else ():
            if parent is None or not lists_all(self.world, (parent.fid, event), state.fid):
                return None
            given = handed(self.world, (parent.fid, event), state.fid, name)
            known = self._constants((parent,), given, depth + 1)
            if known is None:
                return None
            found |= known
        return frozenset(found) or None

    def fills_first(self, fill: Reached, walk: Reached) -> bool:
        """Whether a loop comes after an update with keys that are the same in every call: done again it adds none."""
        a, b = fill.touch, walk.touch
        if a.effect != "update" or a.fid != b.fid or a.event >= b.event:
            return False
        flow = self.flows[a.fid]
        around = flow.ancestors(flow.facts.events[b.event].block)
        return flow.facts.events[a.event].block in around and flow.same_always(a.key, values=False)


def _stores(flow: Flow, act: Reached) -> bool:
    """Whether a value that is seen here is stored as it is: by an assignment, or by a method that is given it."""
    return act.touch.value >= 0 if act.inside is not None else type(flow.facts.events[act.touch.event]) is f.Access


def _done_beside(flow: Flow, act: Reached) -> list[tuple[int, f.Call]]:
    """The calls made for their effect in the branch of an access."""
    block = flow.facts.events[act.touch.event].block
    return [
        (index, event)
        for index, event in enumerate(flow.facts.events)
        if type(event) is f.Call and event.block == block and not event.used and index != act.touch.event
    ]
