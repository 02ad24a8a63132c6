"""Entries of a shared container that belong to one object each: its lock guards them, though all objects share it.

``with self._lock: engines[self._name] = connect(self._name)`` does not exclude the same in another object, which works
on another entry: one object has one name, when each is made with a name of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from racelint.analysis.locks import Lock, same_lock
from racelint.analysis.walk import CALLERS, FAR, Reached, State
from racelint.link.binding import argument
from racelint.link.call_sites import CallSites, in_loop
from racelint.link.classes import related
from racelint.link.world import World, const_text
from racelint.model import facts as f

# Attributes that a key is made of; None: of something else as well.
Names: TypeAlias = "frozenset[str] | None"
NONE: frozenset[str] = frozenset()


class OwnKeys:
    """Knows accesses by a key that only the object whose lock is held has."""

    def __init__(self, world: World, sites: CallSites) -> None:
        self.world = world
        self.sites = sites
        self._telling: dict[tuple[str, str], bool] = {}

    def exclude(self, locks: Iterable[Lock], a: Reached, b: Reached) -> bool:
        """Whether two accesses to one entry are made under one lock, that of the object which the entry belongs to."""
        if a.touch.key < 0 or b.touch.key < 0:
            return False
        return any(
            same_lock(lock, other) and self._own(lock, a) and self._own(other, b)
            for lock in locks
            if lock.threads and lock.base is not None and lock.base.kind == "inst"
            for other in b.locks
        )

    def _own(self, lock: Lock, access: Reached) -> bool:
        """Whether the key of an access is made of what tells the owner of a lock from all others of its class."""
        if lock.base is None or lock.base.kind != "inst":
            return False
        cid = lock.base.name
        states = dict.fromkeys((access.state, *access.alike))
        found = _union(self._names(state, access.touch.key, cid, 0) for state in states)
        return len(states) <= CALLERS and bool(found) and any(self._tells(cid, name) for name in found or ())

    def _names(self, state: State, node: int, cid: str, depth: int) -> Names:
        info = self.world.symbols.functions[state.fid]
        facts = info.facts
        if node < 0 or depth > FAR:
            return None
        match facts.nodes[node]:
            case f.Const() | f.Global() | f.Imported():
                return NONE
            case f.Attr(base, name):
                if facts.params and facts.nodes[base] == f.Param(facts.params[0].name):
                    mine = info.cls is not None and related(self.world.symbols, info.cls, cid)
                    return frozenset((name,)) if mine else None
                return self._names(state, base, cid, depth + 1)
            case f.Derived(parts) | f.Phi(parts):
                return _union(self._names(state, part, cid, depth + 1) for part in parts)
            case f.Result(event):
                call = facts.events[event]
                assert isinstance(call, f.Call)
                given = (call.func, *call.args, *(value for _, value in call.kwargs))
                return None if call.star else _union(self._names(state, part, cid, depth + 1) for part in given)
            case f.Param(name):
                return self._given(state, name, cid, depth)
            case _:
                return None

    def _given(self, state: State, name: str, cid: str, depth: int) -> Names:
        calls = [(state.parent, state.event), *state.also]
        if len(calls) > CALLERS:
            return None
        return _union(
            None
            if caller is None or not isinstance(self._event(caller, event), f.Call)
            else self._names(caller, argument(self.world, (caller.fid, event), state.fid, name), cid, depth + 1)
            for caller, event in calls
        )

    def _event(self, state: State, event: int) -> f.Event:
        return self.world.symbols.functions[state.fid].facts.events[event]

    def _tells(self, cid: str, name: str) -> bool:
        """Whether each object of a class has another value in an attribute: the literal that it is made with."""
        key = (cid, name)
        if key not in self._telling:
            parameter = self._parameter(cid, name)
            init = self.world.method(cid, "__init__")
            calls = dict.fromkeys(self.sites.callers.get(init or "", ()))
            values = [self._literal(call, init, parameter) for call in calls] if init and parameter else []
            self._telling[key] = bool(values) and None not in values and len(set(values)) == len(values)
        return self._telling[key]

    def _literal(self, call: tuple[str, int], init: str, parameter: str) -> str | None:
        """The text a constructor is called with, once, by the body of a module."""
        facts = self.world.symbols.functions[call[0]].facts
        if facts.kind != "module" or in_loop(facts, facts.events[call[1]].block):
            return None
        node = argument(self.world, call, init, parameter)
        return const_text(facts.nodes[node]) if node >= 0 else None

    def _parameter(self, cid: str, name: str) -> str:
        """The parameter of the constructor that is all an attribute ever holds."""
        init = self.world.method(cid, "__init__")
        slot = self.world.own_slot(cid, name)
        stores = [
            (info, info.facts.nodes[event.value])
            for info in self.world.symbols.functions.values()
            for event in info.facts.events
            if isinstance(event, f.Access) and event.kind == "store" and event.value >= 0
            if isinstance(target := info.facts.nodes[event.target], f.Attr) and target.name == name
            if info.cls is None or self.world.own_slot(info.cls, name) == slot
        ]
        if len(stores) != 1 or stores[0][0].id != init:
            return ""
        value = stores[0][1]
        return value.name if isinstance(value, f.Param) else ""


def _union(several: Iterable[Names]) -> Names:
    found: frozenset[str] = NONE
    for names in several:
        if names is None:
            return None
        found |= names
    return found
