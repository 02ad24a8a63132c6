"""Where the object in a value comes from: what two calls have made are two objects, though one line makes both.

``cluster = store.load()`` in a request handler and in the main loop gives each a cluster of its own. Followed backwards
from the access, through arguments and the attributes of objects, a value that always ends at a call which makes it is
known by that call. Source: Naik and Aiken, "Conditional Must Not Aliasing for Static Race Detection" (POPL 2007).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import networkx as nx

from racelint.analysis.effects import GENERIC_TYPES, Effects, Touch, touched
from racelint.analysis.flow import declared
from racelint.analysis.walk import Reached, State
from racelint.link.calls import led_to, targets
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import Cell, World
from racelint.model import facts as f

MAX_DEPTH = 12
# Callers, stores and callees beyond this many are not looked through.
MANY = 16
PROJECT = frozenset(("class", "func", "bound"))
# Effects of methods whose result was in the container.
TAKING = frozenset(("item", "look", "delete", "discard"))
# Decorators that leave alone what a function returns.
PLAIN_DECORATORS = frozenset(("staticmethod", "classmethod", "property", "abstractmethod", "abc.abstractmethod"))


@dataclass(frozen=True, slots=True)
class Origin:
    """A call (or display) that makes the object: event (or node) ``index`` of function ``fid``.

    ``kept``: the object was in an attribute meanwhile, where others may have got it from as well. ``part``: it is in
    what is made there.
    """

    fid: str
    index: int
    call: bool
    kept: bool = False
    part: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """A function as it was called: by event ``event`` of ``caller``. ``open``: by anybody."""

    fid: str
    caller: Frame | None = None
    event: int = -1
    open: bool = False


# Every call that may have made an object; None when it may come from elsewhere.
Origins: TypeAlias = "frozenset[Origin] | None"
Made: TypeAlias = "Literal['whole', 'part'] | None"
NOWHERE: frozenset[Origin] = frozenset()


class Provenance:
    """Follows values back to what made them."""

    def __init__(self, world: World, graph: nx.MultiDiGraph[str], plain: nx.DiGraph[str], effects: Effects) -> None:
        self.world = world
        self.effects = effects
        self.graph = graph
        self.plain = plain
        self._evaluators: dict[str, Evaluator] = {}
        self._made: dict[str, Made] = {}
        self._reach: dict[tuple[str, int], frozenset[str]] = {}
        self._found: dict[tuple[State, int], Origins] = {}

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses are to objects that different calls have made."""
        first = self.of(a)
        second = self.of(b) if first else None
        if not first or not second:
            return False
        return all(self._distinct(x, y) for x in first for y in second)

    def of(self, access: Reached) -> Origins:
        """What made the object an access is to (or the object that it is a part of)."""
        key = (access.state, access.touch.event)
        if key not in self._found:
            node = touched(self._facts(access.touch.fid), access.touch)
            frame = self._frame(access.state)
            known = node >= 0 and access.touch.base is not None
            self._found[key] = self._owner(frame, node, access.touch, 0) if known else None
        return self._found[key]

    def _distinct(self, x: Origin, y: Origin) -> bool:
        if (x.fid, x.index, x.call) == (y.fid, y.index, y.call):
            return not (x.kept or y.kept)
        return y.fid not in self._led_to(x) and x.fid not in self._led_to(y)

    def _led_to(self, origin: Origin) -> frozenset[str]:
        """The functions that run while an object is made."""
        if not origin.call:
            return frozenset()
        key = (origin.fid, origin.index)
        found = self._reach.get(key)
        if found is None:
            every: set[str] = set()
            for callee in self.world.callees.get(key, ()):
                for target in targets(self.world, callee):
                    every |= led_to(self.plain, (target.name,))
            found = self._reach[key] = frozenset(every)
        return found

    # -- accesses -----------------------------------------------------------------------------------------------------

    def _frame(self, state: State) -> Frame:
        caller = None if state.parent is None else self._frame(state.parent)
        return Frame(state.fid, caller, state.event)

    def _owner(self, frame: Frame, node: int, touch: Touch, depth: int) -> Origins:
        """What made a touched object, or the object it is a part of and was made with."""
        if depth > MAX_DEPTH:  # what a loop rebinds is made of itself
            return None
        nodes = self._facts(frame.fid).nodes
        value = nodes[node]
        if isinstance(value, f.Phi):
            ways = [option for option in value.options if not declared(nodes[option]) and option != node]
            return _union(self._owner(frame, option, touch, depth + 1) for option in ways[:MANY])
        found = self._of(frame, node, 0)
        if isinstance(value, f.Attr) and touch.base is not None:
            whole = self._part(frame, value.base, 0)
            # Of such an object nothing is known but the attribute that it is in.
            in_slot = touch.base.kind == "opaque" and touch.base.owner is not None
            if whole and (in_slot or self._made_with(whole, touch.base)):
                return whole
        return found if found is not None and self._made_with(found, touch.base) else None

    def _made_with(self, origins: Iterable[Origin], obj: Obj | None) -> bool:
        """Whether an object that was taken out of others is made where they are."""
        while obj is not None and obj.site is None:
            obj = obj.owner
        site = None if obj is None else obj.site
        return all(not origin.part or (site is not None and site[0] in self._led_to(origin)) for origin in origins)

    # -- values -------------------------------------------------------------------------------------------------------

    def _of(self, frame: Frame, node: int, depth: int) -> Origins:
        if node < 0 or depth > MAX_DEPTH:
            return None
        value = self._facts(frame.fid).nodes[node]
        match value:
            case f.Const():
                return NOWHERE
            case f.Phi(options):
                nodes = self._facts(frame.fid).nodes
                return self._all([(frame, option) for option in options if not declared(nodes[option])], depth)
            case f.Derived(parts, "and" | "or"):
                return self._all([(frame, part) for part in parts], depth)
            case f.New() | f.Derived() if not declared(value):
                return frozenset((Origin(frame.fid, node, False),))
            case f.Awaited(base):
                return self._of(frame, base, depth + 1)
            case f.Result(event):
                return self._called(frame, event, depth)
            case f.Param(name):
                return self._given(frame, name, depth)
            case f.Attr(base, name):
                return self._kept(frame, base, name, depth)
            case f.Item(base, _) | f.Elem(base) | f.Part(base, _):
                return self._part(frame, base, depth)
            case _:
                return None if self.evaluator(frame.fid).eval(node) else NOWHERE

    def _part(self, frame: Frame, base: int, depth: int) -> Origins:
        """What is in a container was made with it, unless it was somewhere else before: that is asked in the end."""
        found = self._of(frame, base, depth + 1)
        return found and frozenset(replace(origin, part=True) for origin in found)

    def _all(self, values: list[tuple[Frame, int]], depth: int) -> Origins:
        if len(values) > MANY:
            return None
        return _union(self._of(frame, node, depth + 1) for frame, node in values)

    def _called(self, frame: Frame, event: int, depth: int) -> Origins:
        """What a call returns: made by it, or found where the callee found it."""
        callees = [c for c in self.world.callees.get((frame.fid, event), ()) if c.kind in PROJECT]
        if len(callees) > MANY:
            return None
        if not callees:
            return self._outside(frame, event, depth)
        made = {self._made_inside(callee, depth + 1) for callee in callees}
        if None not in made:
            return frozenset((Origin(frame.fid, event, True, part="part" in made),))
        values: list[tuple[Frame, int]] = []
        for callee in callees:
            if callee.kind == "class" or not self._transparent(callee.name):
                return None
            values.extend(self._returned(Frame(callee.name, frame, event)))
        return self._all(values, depth)

    def _outside(self, frame: Frame, event: int, depth: int) -> Origins:
        """What something outside of the program returns: what it makes, takes out of a container, or has called."""
        call = self._facts(frame.fid).events[event]
        assert isinstance(call, f.Call)
        evaluator = self.evaluator(frame.fid)
        made = frozenset((Origin(frame.fid, event, True),))
        result = evaluator.eval(call.result)
        if self._allocates(frame.fid, event) or (result and all(obj.site == (frame.fid, event) for obj in result)):
            return made
        if not result:
            return NOWHERE
        func = evaluator.nodes[call.func]
        if isinstance(func, f.Attr) and self.effects.generic.get(func.name) in TAKING:
            values = [(frame, arg) for arg in call.args[1:]]
            return _union((self._part(frame, func.base, depth), self._all(values, depth)))
        called = [obj for arg in call.args for obj in evaluator.eval(arg) if obj.kind in PROJECT]
        inside = {self._made_inside(callee, depth + 1) for callee in called}
        return None if not inside or None in inside else frozenset((replace(*made, part="part" in inside),))

    def _given(self, frame: Frame, name: str, depth: int) -> Origins:
        """What a parameter holds."""
        if not frame.open:
            if frame.caller is None:
                return None
            return self._argument(frame.caller, frame.event, frame.fid, name, depth)
        edges: list[tuple[str, str, int]] = list(self.graph.in_edges(frame.fid, data="event"))
        calls = {(caller, event) for caller, _, event in edges}
        if not calls or len(calls) > MANY:
            return None
        return _union(
            self._argument(Frame(caller, open=True), event, frame.fid, name, depth) for caller, event in sorted(calls)
        )

    def _argument(self, caller: Frame, event: int, fid: str, name: str, depth: int) -> Origins:
        facts = self._facts(fid)
        call = self._facts(caller.fid).events[event]
        callees = [
            callee
            for callee in self.world.callees.get((caller.fid, event), ())
            if any(target.name == fid for target in targets(self.world, callee))
        ]
        if not isinstance(call, f.Call) or len(callees) != 1 or callees[0].kind not in ("func", "bound", "class"):
            return None
        offset = 0 if callees[0].kind == "func" else 1
        names = [param.name for param in facts.params if param.kind == "positional"]
        node = dict(call.kwargs).get(name, -1)
        if node < 0 and name in names:
            position = names.index(name) - offset
            if position < 0:
                if callees[0].kind == "class":
                    made = facts.name in ("__init__", "__post_init__")
                    return frozenset((Origin(caller.fid, event, True),)) if made else None
                func = self._facts(caller.fid).nodes[call.func]
                node = func.base if isinstance(func, f.Attr) else -1
            elif position < len(call.args):
                node = call.args[position]
            elif not call.star:  # left out: a default is made once, for everybody
                default = next(param.default for param in facts.params if param.name == name)
                nodes = self._facts(self.world.scope_of(self.world.symbols.functions[fid])).nodes
                return NOWHERE if default >= 0 and isinstance(nodes[default], f.Const) else None
        return self._of(caller, node, depth + 1)

    def _kept(self, frame: Frame, base: int, name: str, depth: int) -> Origins:
        """What an attribute holds: everything that is stored in it anywhere."""
        evaluator = self.evaluator(frame.fid)
        cells: set[Cell] = set()
        for obj in evaluator.eval(base):
            if obj.kind != "inst":
                return None
            method = self.world.method(obj.name, name)
            if method is not None:
                return None
            cells.add(self.world.own_slot(obj.name, name))
        if len(cells) != 1:
            return None
        (cell,) = cells
        values = [
            (Frame(fid, open=True), value)
            for fid, owner, value in self.stores[name]
            if any(
                obj.kind == "inst" and self.world.own_slot(obj.name, name) == cell
                for obj in self.evaluator(fid).eval(owner)
            )
        ]
        found = self._all(values, depth)
        return found and frozenset(replace(origin, kept=True) for origin in found)

    @cached_property
    def stores(self) -> dict[str, list[tuple[str, int, int]]]:
        """Attribute name -> (function, node of the object, node of the value) of every store."""
        found: defaultdict[str, list[tuple[str, int, int]]] = defaultdict(list)
        for fid, info in self.world.symbols.functions.items():
            nodes = info.facts.nodes
            for event in info.facts.events:
                if isinstance(event, f.Access) and event.kind == "store":
                    target = nodes[event.target]
                    if isinstance(target, f.Attr):
                        found[target.name].append((fid, target.base, event.value))
        return found

    # -- functions that make what they return -------------------------------------------------------------------------

    def _made_inside(self, callee: Obj, depth: int) -> Made:
        """Whether every call gives another object, or what is in one."""
        match callee.kind:
            case "class" if self.world.class_of(callee.name).metaclass is None:
                new = self.world.method(callee.name, "__new__")
                return "whole" if new is None else self._makes(new, depth)
            case "func" | "bound":
                return self._makes(callee.name, depth)
            case _:
                return None

    def _makes(self, fid: str, depth: int) -> Made:
        """Whether a function only returns what it, or a function that it calls, has made in this call."""
        if fid not in self._made:
            self._made[fid] = "whole"  # what calls itself makes what it makes otherwise
            found = self._all(self._returned(Frame(fid)), depth) if self._transparent(fid) else None
            if not found or any(origin.kept for origin in found):
                self._made[fid] = None
            elif any(origin.part for origin in found):
                self._made[fid] = "part"
        return self._made[fid]

    def _allocates(self, fid: str, event: int) -> bool:
        """Whether a call of something outside of the program makes an object: a ``__new__``, a built-in container."""
        facts = self._facts(fid)
        call = facts.events[event]
        assert isinstance(call, f.Call)
        func = facts.nodes[call.func]
        return (isinstance(func, f.Attr) and func.name == "__new__") or any(
            callee.kind == "symbol" and callee.name in GENERIC_TYPES
            for callee in self.world.callees.get((fid, event), ())
        )

    def _returned(self, frame: Frame) -> list[tuple[Frame, int]]:
        events = self._facts(frame.fid).events
        return [(frame, event.value) for event in events if isinstance(event, f.Return) and event.value >= 0]

    def _transparent(self, fid: str) -> bool:
        """Whether what a function returns is what its callers get."""
        return not self._facts(fid).is_generator and PLAIN_DECORATORS.issuperset(self.world.decorators(fid))

    def _facts(self, fid: str) -> f.Function:
        return self.world.symbols.functions[fid].facts

    def evaluator(self, fid: str) -> Evaluator:
        """A (cached) evaluator of a function without particular arguments."""
        found = self._evaluators.get(fid)
        if found is None:
            found = self._evaluators[fid] = Evaluator(self.world, self.world.symbols.functions[fid])
        return found


def _union(several: Iterable[Origins]) -> Origins:
    """All origins together; None when one of them is not known."""
    found: frozenset[Origin] = frozenset()
    for origins in several:
        if origins is None:
            return None
        found |= origins
    return found
