"""What is set up on first use: who the first user is, and what else the set-up changes.

A check with a set-up behind it (``if not self._ready: self._load(); self._ready = True``) races when two contexts can
be first. They cannot when the program itself is first, in code that every import of a module runs. And when they can,
what the set-up changes on its way (the tables that ``_load`` fills) is changed twice because of that one race: the lock
that mends the check mends them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from racelint.analysis.effects import MUTATING
from racelint.analysis.flow import Flow, Flows
from racelint.analysis.walk import Reached
from racelint.link.calls import targets
from racelint.link.objects import Bindings, Obj
from racelint.link.world import World
from racelint.model import facts as f

# How far back callers are asked for the import that leads here.
MAX_STEPS = 12
PLAIN_BLOCKS = ("body", "with", "try", "finally")


class FirstUse:
    """Knows the set-ups of a program, as they are found."""

    def __init__(self, world: World, flows: Flows, reached: Iterable[Reached]) -> None:
        self.world = world
        self.flows = flows
        self._set_ups: dict[str, set[tuple[int, int]]] = defaultdict(set)
        self._ways: dict[tuple[str, int], list[Reached]] = defaultdict(list)
        for access in reached:
            if access.touch.effect in MUTATING:
                self._ways[access.touch.fid, access.touch.event].append(access)
        self._sure: dict[tuple[str, int], bool] = {}

    def note(self, check: Reached, act: Reached) -> None:
        """A compound: when it fills one slot, or one entry of a record, what happens in between is its set-up."""
        touch = act.touch
        if not touch.content or self._names_one(self.flows[touch.fid], touch.key):
            self._set_ups[touch.fid].add((check.touch.event, touch.event))

    def by_import(self, check: Reached, act: Reached, other: Reached) -> bool:
        """Whether importing some module is the first use: both sides then find it done."""
        touch = act.touch
        same = (other.touch.fid, other.touch.event) == (touch.fid, touch.event)
        if not same or other.state.bindings != act.state.bindings or not self._one(touch.base):
            return False
        flow = self.flows[touch.fid]
        if touch.effect not in ("rebind", "insert") or (touch.content and not self._names_one(flow, touch.key)):
            return False
        if not check.touch.content and not flow.asks_only(check.touch.event, touch.event):
            return False
        return self._imported(touch.fid, act.state.bindings)

    def follows(self, changes: Iterable[Reached]) -> bool:
        """Whether changes are made in set-ups only, on every way that leads to them."""
        changes = tuple(changes)
        return bool(changes) and all(
            all(self._inside(way) for way in self._ways[access.touch.fid, access.touch.event]) for access in changes
        )

    def _names_one(self, flow: Flow, key: int) -> bool:
        """Whether a key is the same in every call: a literal, or what the enclosing function was given."""
        return flow.constants(key) is not None or flow.captured(key)

    def _one(self, base: Obj | None) -> bool:
        """Whether an access is to the one object of its kind: a class, a module, a singleton, what these hold."""
        while base is not None and base.owner is not None:
            base = base.owner
        if base is None or base.kind != "inst":
            return True
        maker = self.world.symbols.functions.get(base.site[0]) if base.site is not None else None
        return maker is not None and (maker.facts.kind != "function" or maker.facts.name == "__new__")

    def _inside(self, access: Reached) -> bool:
        state = access.state
        while state.parent is not None:
            flow = self.flows[state.parent.fid]
            for check, act in self._set_ups.get(state.parent.fid, ()):
                if check < state.event < act and flow.controls(check, state.event):
                    return True
            state = state.parent
        return False

    # -- imports ------------------------------------------------------------------------------------------------------

    @cached_property
    def _callers(self) -> dict[str, list[tuple[str, int, Bindings]]]:
        found: dict[str, list[tuple[str, int, Bindings]]] = defaultdict(list)
        for (fid, event), callees in self.world.callees.items():
            for callee in callees:
                for target in targets(self.world, callee):
                    found[target.name].append((fid, event, target.bindings))
        return found

    def _imported(self, fid: str, bindings: Bindings) -> bool:
        """Whether a module body calls a function (this closure of it), through calls that are surely made."""
        work = [(where, event) for where, event, bound in self._callers.get(fid, ()) if bound == bindings]
        seen: set[str] = set()
        for _ in range(MAX_STEPS):
            following: list[tuple[str, int]] = []
            for where, event in work:
                if where in seen or not self._made_for_sure(where, event):
                    continue
                facts = self.world.symbols.functions[where].facts
                if facts.kind in ("module", "class"):
                    return True
                if facts.is_async or facts.is_generator:
                    continue
                seen.add(where)
                following.extend((caller, at) for caller, at, _ in self._callers.get(where, ()))
            work = following
        return False

    def _made_for_sure(self, fid: str, event: int) -> bool:
        """Whether a call is made whenever its function runs, or whenever that is itself a first use."""
        key = (fid, event)
        if key not in self._sure:
            flow = self.flows[fid]
            call = flow.facts.events[event]
            tests = [index for index in flow.ancestors(call.block) if flow.facts.blocks[index].kind not in PLAIN_BLOCKS]
            self._sure[key] = all(self._asks_for_absence(flow, index, event) for index in tests)
        return self._sure[key]

    def _asks_for_absence(self, flow: Flow, block: int, event: int) -> bool:
        """Whether a branch is taken when a slot has nothing yet: ``if not app``, ``if cls._instance is None``."""
        if flow.facts.blocks[block].kind not in ("then", "else"):
            return False
        events = flow.facts.events
        stores = [later for later in events[event:] if isinstance(later, f.Access) and later.kind in ("store", "set")]
        for index in flow.deps(flow.facts.blocks[block].test):
            asked = events[index]
            if not isinstance(asked, f.Access) or index >= event:
                continue
            if asked.kind == "has" or (asked.kind in ("load", "get") and flow.asks_only(index, event)):
                if any(flow.same_path(asked.target, later.target) for later in stores):
                    return True
        return False
