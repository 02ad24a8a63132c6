"""What says that two accesses are to one object: it is made once, or both contexts have it from one owner.

That a line makes the objects of both sides is not enough: it may make one for each request. An object is the same where
the way to it begins, on both sides, at something there is one of (a variable of a module, what a function makes that
runs once), or at one receiver: the thread that an instance has started and the methods that others call on it.
Source: the roots of access paths in Blackshear et al., "RacerD" (OOPSLA 2018), 4.3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TypeAlias

from racelint.analysis.effects import touched
from racelint.analysis.flow import declared
from racelint.analysis.handed import passed_on
from racelint.analysis.identified import Identified
from racelint.analysis.origins import Provenance
from racelint.analysis.walk import Inside, Reached, State
from racelint.contexts.entry_points import EntryPoint
from racelint.link.again import children
from racelint.link.binding import handed
from racelint.link.call_sites import CallSites, in_loop
from racelint.link.calls import targets
from racelint.link.classes import owner_of, related
from racelint.link.objects import Obj
from racelint.link.results import PASS_THROUGH, SNAPSHOT_TYPES
from racelint.link.world import World
from racelint.model import facts as f

# Steps of a way from an access back to where it begins.
FAR = 40
# Callees of one call that are looked into for what they return.
SOME = 3
# Values that are looked at for one question.
STEPS = 400
CACHING = frozenset(("functools.lru_cache", "functools.cache", "functools.cached_property", "cached_property"))
# Where a way begins: ("once", "") at what there is one of, ("self", class) at the receiver of the entry point,
# ("call", function) at a variable of a call. ("has", class): the way leads through an instance of the class.
Anchor: TypeAlias = tuple[str, str]
Found: TypeAlias = frozenset[Anchor]
ONCE: Found = frozenset((("once", ""),))
NOTHING: Found = frozenset()
# It comes out of what each thread (or task) has a value of its own in.
CONFINED: Found = frozenset((("confined", ""),))
# Methods of mappings that give what is kept under their first argument.
LOOK_UPS = frozenset(("get", "setdefault", "pop"))
COPYING = PASS_THROUGH | SNAPSHOT_TYPES.keys()
# The same, but tasks of one thread have it together.
OF_THREAD: Found = frozenset((("confined", "thread"),))


class Once:
    """Knows which functions run once in the life of a program, and which objects there is one of."""

    def __init__(self, world: World, sites: CallSites, entries: Iterable[EntryPoint]) -> None:
        self.world = world
        self.sites = sites
        self.entries: dict[str, list[EntryPoint]] = defaultdict(list)
        for entry in entries:
            self.entries[entry.target.name].append(entry)
        self._functions: dict[str, bool] = {}
        # A framework has one of what it feeds.
        self._fed = frozenset(world.heap.plain(obj) for feed in world.feeds for obj in feed.objs)

    def function(self, fid: str) -> bool:
        """Whether a function runs once, as far as is seen."""
        found = self._functions.get(fid)
        if found is None:
            self._functions[fid] = False  # what calls itself runs again
            found = self._functions[fid] = self._once(fid)
        return found

    def _once(self, fid: str) -> bool:
        info = self.world.symbols.functions[fid]
        if info.facts.kind != "function":
            return True
        if not CACHING.isdisjoint(self.world.decorators(fid)):
            return True
        entries = self.entries.get(fid, ())
        # Calling a coroutine function runs nothing: the task made of it does.
        calls = set() if entries and info.facts.is_async else set(self.sites.callers.get(fid, ()))
        for entry in entries:
            if entry.self_overlap or (entry.begins and not entry.once):
                return False
            calls |= entry.begins
        if calls:
            # Several programs of one project may each call it; who calls it twice makes it run twice.
            return len({fid for fid, _ in calls}) == len(calls) <= SOME and all(self._call(*event) for event in calls)
        return not info.is_method

    def _call(self, fid: str, event: int) -> bool:
        return not self._again(fid, event) and self.function(fid)

    def _again(self, fid: str, event: int) -> bool:
        """Whether a call is made in a loop, which its result does not end."""
        facts = self.world.symbols.functions[fid].facts
        call = facts.events[event]
        if not in_loop(facts, call.block):
            return False
        return not any(
            type(other) is f.Return and type(call) is f.Call and other.value == call.result
            for other in facts.events[event + 1 :]
        )

    def settled(self, entry: EntryPoint) -> EntryPoint:
        """An entry point, which does not overlap itself when what begins it does not."""
        if not entry.perhaps or not all(self.function(fid) for fid, _ in entry.begins):
            return entry
        return replace(entry, self_overlap=False, perhaps=False)

    def object(self, obj: Obj) -> bool:
        """Whether there is one such object."""
        world, obj = self.world, obj.whole
        if obj.kind in ("class", "module", "func"):
            return True
        if obj.fresh or obj.kind not in ("inst", "ext"):
            return False
        if obj in self._fed:
            return True
        if obj.kind == "inst":
            info = world.class_of(obj.name)
            if info.metaclass is not None or world.method(obj.name, "__new__") is not None:
                return True
        if obj.site is not None and obj.site[0] in world.symbols.functions:
            made = world.made_by(obj)
            return self._call(obj.site[0], obj.site[1]) if made is not None else self.function(obj.site[0])
        if obj.kind == "inst" and obj.unknown:
            made_at = set(self.sites.instantiated.get(obj.name, ()))
            return len(made_at) == 1 and all(self._call(*event) for event in made_at)
        return False


class Anchors:
    """Follows accesses back to where both contexts have the object from."""

    def __init__(
        self,
        world: World,
        provenance: Provenance,
        identified: Identified,
        sites: CallSites,
        entries: Iterable[EntryPoint],
    ) -> None:
        self.world = world
        self.provenance = provenance
        self.evaluator = provenance.evaluator
        self.sites = sites
        self.once = Once(world, sites, entries)
        self.identified = identified
        self._found: dict[tuple[State, int], Found] = {}
        # Of the value that is being looked for: what has been found on the way, and functions as they are called there.
        self._seen: dict[tuple[str, State | None, int], Found] = {}
        self._inside = Inside()
        self._attributes: dict[tuple[tuple[str, ...], str], bool] = {}
        self._asked: list[tuple[tuple[str, ...], str]] = []

    def confined(self, access: Reached) -> bool:
        """Whether an access is to what its thread or task has for itself: ``current.get()`` of a context variable."""
        if access.touch.base is None:
            return False
        found = self.of(access)
        return found >= CONFINED or (access.group.kind != "event-loop" and found >= OF_THREAD)

    def shared(self, a: Reached, b: Reached) -> bool:
        """Whether something says that two accesses, which may be to one object, are."""
        if a.touch.base is None or b.touch.base is None:
            return True
        first, second = self.of(a), self.of(b)
        if first & second & ONCE or any(anchor[0] == "call" for anchor in first & second):
            return True
        if a.state.entry is b.state.entry and a.state.entry.distinct_self:
            return False  # each run begins at a receiver of its own
        return (
            self._meet(self._own(a, first), _named(second, "has"))
            or self._meet(self._own(b, second), _named(first, "has"))
            or self._meet(_named(first, "self"), _named(second, "self"))
        )

    def _own(self, access: Reached, found: Found) -> frozenset[str]:
        """The classes on the way to an access of which an instance has started the context itself."""
        if access.group.api:
            return _named(found, "self")
        owners = {owner_of(self.world.symbols, begin) for begin, _ in access.state.entry.begins}
        classes = frozenset(owner for owner in owners if owner in self.world.symbols.classes)
        return frozenset(cid for cid in _named(found, "has") if self._meet((cid,), classes))

    def _meet(self, some: Iterable[str], others: Iterable[str]) -> bool:
        return any(related(self.world.symbols, one, other) for one in some for other in others)

    def of(self, access: Reached) -> Found:
        """Where the way to what an access is to begins."""
        key = (access.state, access.touch.event)
        found = self._found.get(key)
        if found is None:
            base = access.touch.base
            node = touched(self._facts(access.touch.fid), access.touch)
            once = base is not None and self.once.object(base)
            found = NOTHING if once and not self._some_confined else self._sought(access.state, node)
            if once:
                found = ONCE | (found & (CONFINED | OF_THREAD))
            if base is not None and base.whole.kind == "inst":
                found |= {("has", base.whole.name)}
            self._found[key] = found
        return found

    @cached_property
    def _some_confined(self) -> bool:
        """Whether the program has anything at all that a thread or a task has for itself."""
        called = {callee.name for callees in self.world.callees.values() for callee in callees}
        classes = self.world.symbols.classes.values()
        return (
            not called.isdisjoint(self.identified.who)
            or any(self.world.confined.first(name) for name in called)
            or any(self.world.confined.first(base) for info in classes for base in info.external)
        )

    def _sought(self, state: State, node: int) -> Found:
        """Where the way to a value begins, as far as it is found in a bounded number of steps."""
        self._seen.clear()
        self._inside.clear()
        return self._way(state.fid, state, node, 0)

    def _facts(self, fid: str) -> f.Function:
        return self.world.symbols.functions[fid].facts

    def _way(self, fid: str, state: State | None, node: int, steps: int) -> Found:
        """Where the way to a value begins; ``state``: how the function was called, None when that is not known."""
        if node < 0 or steps > FAR:
            return NOTHING
        key = (fid, state, node)
        found = self._seen.get(key)
        if found is None:
            self._seen[key] = NOTHING  # what leads back to itself begins elsewhere
            found = self._looked(fid, state, node, steps) if len(self._seen) < STEPS else NOTHING
            self._seen[key] = found
        return found

    def _looked(self, fid: str, state: State | None, node: int, steps: int) -> Found:
        facts = self._facts(fid)
        value = facts.nodes[node]
        if type(value) is f.Param:
            return self._param(fid, state, value.name, steps)
        if type(value) is f.Result:
            return self._result(fid, state, value.event, steps)
        if type(value) is f.Attr or type(value) is f.Item or type(value) is f.Elem or type(value) is f.Part:
            base = value.base
            if self._confines(fid, base):
                return CONFINED
            if type(value) is f.Item and (own := self.identified.key(fid, state, value.key)):
                return CONFINED if own == "task" else OF_THREAD
            if self._single(fid, base):
                return ONCE | self._classes(fid, base)
            kept = self._kept(fid, base, value.name, steps) if type(value) is f.Attr else NOTHING
            return self._way(fid, state, base, steps + 1) | self._classes(fid, base) | kept
        if type(value) is f.Global or type(value) is f.ClassVar or type(value) is f.Imported:
            return ONCE
        if type(value) is f.Captured:
            return self._captured(f"{self.world.symbols.functions[fid].module}:{value.owner}", value.name)
        if type(value) is f.Awaited:
            return self._way(fid, state, value.base, steps + 1)
        if type(value) is f.Phi or (type(value) is f.Derived and value.op in ("and", "or")):
            options = children(facts, value)
            ways = [option for option in options if not declared(facts.nodes[option])]
            return NOTHING.union(*(self._way(fid, state, option, steps + 1) for option in ways[:SOME]))
        return NOTHING

    def _kept(self, fid: str, base: int, name: str, steps: int) -> Found:
        """Whether whatever is stored in an attribute is something that there is one of."""
        holders = {obj.name for obj in self.evaluator(fid).eval(base) if obj.kind == "inst"}
        if not holders:
            return NOTHING
        key = (tuple(sorted(holders)), name)
        if key in self._asked:
            return NOTHING
        if key not in self._attributes:
            self._asked.append(key)
            ways = [
                self._way(where, None, value, steps + 1)
                for where, owner, value in self.provenance.stores.get(name, ())
                if self._holds(where, owner, holders) and not self._empty(where, value)
            ]
            self._asked.pop()
            found = bool(ways) and all(way >= ONCE for way in ways)
            if self._asked and not found:
                return NOTHING  # perhaps only because it was asked on the way
            self._attributes[key] = found
        return ONCE if self._attributes[key] else NOTHING

    def _holds(self, fid: str, node: int, holders: Iterable[str]) -> bool:
        return self._meet((obj.name for obj in self.evaluator(fid).eval(node) if obj.kind == "inst"), holders)

    def _empty(self, fid: str, node: int) -> bool:
        return node >= 0 and isinstance(self._facts(fid).nodes[node], f.Const)

    def _confines(self, fid: str, node: int) -> bool:
        """Whether a value is a context variable, a ``threading.local`` or the like."""
        objs = self.evaluator(fid).eval(node)
        return bool(objs) and all(any(self.world.confined.first(name) for name in self._types(obj)) for obj in objs)

    def _types(self, obj: Obj) -> tuple[str, ...]:
        """The library types that an object is of: its own, or those that its class is derived from."""
        if obj.kind == "inst":
            return self.world.class_of(obj.name).external
        return (obj.name,) if obj.kind == "ext" else ()

    def _classes(self, fid: str, node: int) -> Found:
        return frozenset(("has", obj.name) for obj in self.evaluator(fid).eval(node) if obj.kind == "inst")

    def _single(self, fid: str, node: int) -> bool:
        objs = self.evaluator(fid).eval(node)
        return bool(objs) and all(self.once.object(obj) for obj in objs)

    def _captured(self, owner: str, name: str) -> Found:
        info = self.world.symbols.functions.get(owner)
        if info is None:
            return NOTHING
        if info.is_method and info.cls is not None and info.facts.params and info.facts.params[0].name == name:
            return frozenset((("self", info.cls),))
        return ONCE if self.once.function(owner) else frozenset((("call", owner),))

    def _result(self, fid: str, state: State | None, event: int, steps: int) -> Found:
        facts = self._facts(fid)
        call = facts.events[event]
        assert isinstance(call, f.Call)
        func = facts.nodes[call.func]
        if type(func) is f.Attr and self._confines(fid, func.base):
            return CONFINED
        if type(func) is f.Attr and func.name in LOOK_UPS and call.args:
            own = self.identified.key(fid, state, call.args[0])
            if own:
                return CONFINED if own == "task" else OF_THREAD
        if self._single(fid, call.result):
            return ONCE
        if type(func) is f.Attr and any(self._holds_others(obj) for obj in self.evaluator(fid).eval(func.base)):
            return self._way(fid, state, func.base, steps + 1)  # what is in a container, a view of it
        found: set[Anchor] = set()
        if call.args and any(name in COPYING for name in self._library(fid, event)):
            return self._way(fid, state, call.args[0], steps + 1)  # a copy of a container has what that has
        for callee in self.world.callees.get((fid, event), ())[:SOME]:
            for target in targets(self.world, callee):
                if callee.kind not in ("func", "bound"):
                    continue
                inside = None if state is None or fid != state.fid else self._inside[state, target.name, event]
                for value in self._returned(target.name):
                    ways = self._way(target.name, inside, value, steps + 1)
                    if inside is None and any(kind == "self" for kind, _ in ways) and type(func) is f.Attr:
                        inner = frozenset(anchor for anchor in ways if anchor[0] not in ("self", "call"))
                        ways = inner | self._way(fid, state, func.base, steps + 1)
                    found |= ways
        return frozenset(found)

    def _holds_others(self, obj: Obj) -> bool:
        """Whether an object is a container, or what a library knows it by."""
        return obj.kind == "ext" and self.world.container_row(obj.name) is not None

    def _library(self, fid: str, event: int) -> list[str]:
        """The names of library functions that a call may be of."""
        return [callee.name for callee in self.world.callees.get((fid, event), ()) if callee.kind == "symbol"]

    def _returned(self, fid: str) -> Iterator[int]:
        for event in self.world.symbols.functions[fid].returns:
            if event.value >= 0:
                yield event.value

    def _param(self, fid: str, state: State | None, name: str, steps: int) -> Found:
        info = self.world.symbols.functions[fid]
        me = info.is_method and bool(info.facts.params) and info.facts.params[0].name == name
        if state is None:
            return frozenset((("self", str(info.cls)),)) if me else self._handed(fid, name, steps)
        if state.parent is not None:
            given = handed(self.world, (state.parent.fid, state.event), fid, name)
            return self._way(state.parent.fid, state.parent, given, steps + 1)
        owner = state.entry.target.owner
        if me and owner is not None and owner.kind == "inst":
            return frozenset((("self", owner.name), ("has", owner.name)))
        plain = self.world.heap.plain
        held = {plain(obj) for param, objs in state.params if param == name for obj in objs}
        found = {("has", obj.name) for obj in held if obj.kind == "inst"}
        for begin, event in sorted(state.entry.begins):
            call, evaluator = self._facts(begin).events[event], self.evaluator(begin)
            if type(call) is not f.Call:
                continue
            for node in passed_on(self._facts(begin), call, coroutines=True):
                if any(plain(obj) in held for obj in evaluator.eval(node)):
                    found |= self._way(begin, None, node, steps + 1)
                    if self._one_for_all(begin, call, node):
                        found.add(("call", begin))
        return frozenset(found)

    def _handed(self, fid: str, name: str, steps: int) -> Found:
        """Whether all callers hand a function something that there is one of."""
        given = list(self.sites.given(fid, name))
        if not 0 < len(given) <= SOME:
            return NOTHING
        ways = [self._way(where, None, node, steps + 1) for (where, _), node in given]
        return ONCE if all(way >= ONCE for way in ways) else NOTHING

    def _one_for_all(self, fid: str, call: f.Call, node: int) -> bool:
        """Whether a function makes an object once that it passes on to everything it starts at a call."""
        facts = self._facts(fid)
        value = facts.nodes[node]
        if type(value) is not f.Result:
            return type(value) is f.New and not in_loop(facts, call.block)
        made = facts.events[value.event]
        return type(made) is f.Call and not in_loop(facts, made.block)


def _named(found: Found, kind: str) -> frozenset[str]:
    return frozenset(name for what, name in found if what == kind)
