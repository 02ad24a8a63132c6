"""Where the object in a value comes from: what two calls have made are two objects, though one line makes both.

``cluster = store.load()`` in a request handler and in the main loop gives each a cluster of its own. Followed backwards
from the access, through arguments and the attributes of objects, a value that always ends at a call which makes it is
known by that call. Source: Naik and Aiken, "Conditional Must Not Aliasing for Static Race Detection" (POPL 2007).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Literal, TypeAlias

import msgspec
import networkx as nx
from msgspec import structs

from racelint.analysis.effects import GENERIC_TYPES, Effects, Touch, touched
from racelint.analysis.flow import declared
from racelint.analysis.homes import Homes
from racelint.analysis.walk import CALLERS, Reached, State
from racelint.link.calls import led_to, targets
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.views import VIEWS
from racelint.link.world import Cell, World
from racelint.model import facts as f

MAX_DEPTH = 32
# Values that are looked at for one question.
STEPS = 600
# Callers, stores and callees beyond this many are not looked through.
MANY = 16
PROJECT = frozenset(("class", "func", "bound"))
# Effects of methods whose result was in the container.
TAKING = frozenset(("item", "look", "delete", "discard"))
# Decorators that leave alone what a function returns.
PLAIN_DECORATORS = frozenset(("staticmethod", "classmethod", "property", "abstractmethod", "abc.abstractmethod"))


class Origin(msgspec.Struct, frozen=True, cache_hash=True):
    """A call (or display) that makes the object: event (or node) ``index`` of function ``fid``.

    ``kept``: the object was in an attribute meanwhile, where others may have got it from as well. ``part``: it is in
    what is made there. ``home``: the node of the container that it was put into at once, in the frame that did it.
    """

    fid: str
    index: int
    call: bool
    kept: bool = False
    part: bool = False
    home: tuple[Frame, int] | None = None


class Steps(msgspec.Struct, frozen=True):
    """How often a way has led to a part of an object, and to what is kept in an attribute."""

    parts: int = 0
    kept: int = 0


class Frame(msgspec.Struct, frozen=True, eq=False):
    """A function as it was called: in a state of the walk, by an event of ``caller``, or (``open``) by anybody."""

    fid: str
    state: State | None = None
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
        self.homes = Homes(world, self.evaluator, lambda callee: self._made_inside(callee, 0) == "whole")
        self._evaluators: dict[str, Evaluator] = {}
        self._made: dict[str, Made] = {}
        self._reach: dict[tuple[str, int], frozenset[str]] = {}
        self._found: dict[tuple[State, int, Obj | None], Origins] = {}
        self._frames: dict[tuple[object, ...], Frame] = {}
        self._owners: dict[tuple[Frame, int], Origins] = {}
        # Values that are being followed, with the number of steps to parts and to attributes on the way there.
        self._active: dict[tuple[Frame, int], Steps] = {}
        self._steps = Steps()
        # Those of them that come round again as a part of themselves, or out of an attribute.
        self._again: dict[tuple[Frame, int], Steps] = {}
        self._left = STEPS

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses are to objects that different calls have made."""
        first = self.of(a)
        second = self.of(b) if first else None
        if not first or not second:
            return False
        return all(self._distinct(x, y, frozenset()) for x in first for y in second)

    def of(self, access: Reached) -> Origins:
        """What made the object an access is to (or the object that it is a part of), however it is reached."""
        states = dict.fromkeys((access.state, *access.alike))
        if len(states) > CALLERS:
            return None
        return _union(self._in_state(state, access.touch) for state in states)

    def _in_state(self, state: State, touch: Touch) -> Origins:
        key = (state, touch.event, touch.base)
        if key not in self._found:
            node = touched(self._facts(touch.fid), touch)
            known = node >= 0 and touch.base is not None
            self._left = STEPS
            self._found[key] = self._owner(self._frame(state.fid, state), node, touch, 0) if known else None
        return self._found[key]

    def _distinct(self, x: Origin, y: Origin, asked: frozenset[Origin]) -> bool:
        if (x.fid, x.index, x.call) == (y.fid, y.index, y.call):
            return not (x.kept or y.kept)
        if y.fid in self._led_to(x) or x.fid in self._led_to(y):
            return False
        return self._elsewhere(x, y, asked) and self._elsewhere(y, x, asked)

    def _elsewhere(self, x: Origin, y: Origin, asked: frozenset[Origin]) -> bool:
        """Whether an object was put into no container that is, or belongs to, another one."""
        if x.home is None or x in asked:
            return True
        frame, container = x.home
        if self.homes.around(self.evaluator(frame.fid).eval(container)).isdisjoint(self._objects(y)):
            return True
        if x.home not in self._owners:
            self._left = STEPS
            self._owners[x.home] = self._of(*x.home, 0)
        owners = self._owners[x.home]
        return bool(owners) and all(self._distinct(owner, y, asked | {x}) for owner in owners or ())

    def _origin(self, frame: Frame, index: int, *, call: bool) -> Origin:
        event = self._facts(frame.fid).events[index] if call else None
        node = event.result if type(event) is f.Call else index
        home = self.homes.of(frame.fid, node) if node >= 0 else -1
        return Origin(frame.fid, index, call, home=None if home < 0 else (frame, home))

    def _objects(self, origin: Origin) -> Iterator[Obj]:
        event = self._facts(origin.fid).events[origin.index] if origin.call else None
        node = event.result if type(event) is f.Call else origin.index
        return map(self.world.heap.plain, self.evaluator(origin.fid).eval(node))

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

    def _frame(self, fid: str, state: State | None = None, *, anybody: bool = False) -> Frame:
        return self._one(Frame(fid, state, open=anybody))

    def _one(self, frame: Frame) -> Frame:
        """The same frame for the same call."""
        return self._frames.setdefault((frame.fid, frame.state, frame.caller, frame.event, frame.open), frame)

    def _inside(self, frame: Frame, callee: str, event: int) -> Frame:
        """The frame of a call; a function that calls itself is the same one there."""
        again = frame.fid == callee and frame.caller is not None
        return frame if again else self._one(Frame(callee, None, frame, event))

    def _calls(self, frame: Frame) -> list[tuple[Frame, int]] | None:
        """The calls that a function may have been called by; None when not all of them are known."""
        if frame.open:
            edges: list[tuple[str, str, int]] = list(self.graph.in_edges(frame.fid, data="event"))
            calls = {(caller, event) for caller, _, event in edges}
            return [(self._frame(caller, anybody=True), event) for caller, event in sorted(calls)] or None
        if frame.state is not None:
            states = [(frame.state.parent, frame.state.event), *frame.state.also]
            found = [(self._frame(state.fid, state), event) for state, event in states if state is not None]
            return found if len(found) == len(states) else None
        if frame.caller is None:
            return None
        again = [
            event
            for event, made in enumerate(self._facts(frame.fid).events)
            if type(made) is f.Call
            and any(
                target.name == frame.fid
                for callee in self.world.callees.get((frame.fid, event), ())
                for target in targets(self.world, callee)
            )
        ]
        return [(frame.caller, frame.event), *((frame, event) for event in again)]

    def _owner(self, frame: Frame, node: int, touch: Touch, depth: int) -> Origins:
        """What made a touched object, or the object it is a part of and was made with."""
        if depth > MAX_DEPTH:  # what a loop rebinds is made of itself
            return None
        nodes = self._facts(frame.fid).nodes
        value = nodes[node]
        if type(value) is f.Phi:
            ways = [option for option in value.options if not declared(nodes[option]) and option != node]
            return _union(self._owner(frame, option, touch, depth + 1) for option in ways[:MANY])
        found = self._of(frame, node, 0)
        if type(value) is f.Attr and touch.base is not None:
            whole = self._piece(frame, value.base, 0)
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
        """What made a value. What comes round again adds nothing but that it has been a part, or kept, meanwhile."""
        if node < 0 or depth > MAX_DEPTH or self._left <= 0:
            return None
        self._left -= 1
        key = (frame, node)
        if key in self._active:
            since = self._active[key]
            taken = Steps(self._steps.parts - since.parts, self._steps.kept - since.kept)
            known = self._again.get(key, Steps())
            self._again[key] = Steps(known.parts + taken.parts, known.kept + taken.kept)
            return NOWHERE
        self._active[key] = self._steps
        found = self._value(frame, node, depth)
        del self._active[key]
        again = self._again.pop(key, Steps())
        if found and again.parts:
            found |= {structs.replace(origin, part=True) for origin in found}
        if found and again.kept:
            found |= {structs.replace(origin, kept=True) for origin in found}
        return found

    def _value(self, frame: Frame, node: int, depth: int) -> Origins:
        nodes = self._facts(frame.fid).nodes
        value = nodes[node]
        if type(value) is f.Param:
            return self._given(frame, value.name, depth)
        if type(value) is f.Attr:
            return self._kept(frame, value.base, value.name, depth)
        if type(value) is f.Result:
            return self._called(frame, value.event, depth)
        if type(value) is f.Const:
            return NOWHERE
        if type(value) is f.Phi:
            return self._all([(frame, option) for option in value.options if not declared(nodes[option])], depth)
        if type(value) is f.Derived and value.op in ("and", "or"):
            return self._all([(frame, part) for part in value.parts], depth)
        if (type(value) is f.New or type(value) is f.Derived) and not declared(value):
            return frozenset((self._origin(frame, node, call=False),))
        if type(value) is f.Awaited:
            return self._of(frame, value.base, depth + 1)
        if type(value) is f.Item or type(value) is f.Elem or type(value) is f.Part:
            return self._part(frame, value.base, node, depth)
        return None if self.evaluator(frame.fid).eval(node) else NOWHERE

    def _part(self, frame: Frame, base: int, node: int, depth: int) -> Origins:
        """What a container has was made where that was, when it is at home there, and else perhaps."""
        evaluator = self.evaluator(frame.fid)
        held = evaluator.eval(node)
        pairs = bool(held) and all(obj.kind == "pair" for obj in held)
        if pairs or self.homes.all_at_home(evaluator.eval(base), held):
            return self._of(frame, base, depth + 1)
        return self._piece(frame, base, depth)

    def _piece(self, frame: Frame, base: int, depth: int) -> Origins:
        """What is in an object was made with it, unless it was somewhere else before: that is asked in the end."""
        before = self._steps
        self._steps = Steps(before.parts + 1, before.kept)
        found = self._of(frame, base, depth + 1)
        self._steps = before
        return found and frozenset(structs.replace(origin, part=True) for origin in found)

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
            return frozenset((structs.replace(self._origin(frame, event, call=True), part="part" in made),))
        values: list[tuple[Frame, int]] = []
        for callee in callees:
            if callee.kind == "class" or not self._transparent(callee.name):
                return None
            values.extend(self._returned(self._inside(frame, callee.name, event)))
        return self._all(values, depth)

    def _outside(self, frame: Frame, event: int, depth: int) -> Origins:
        """What something outside of the program returns: what it makes, takes out of a container, or has called."""
        call = self._facts(frame.fid).events[event]
        assert isinstance(call, f.Call)
        evaluator = self.evaluator(frame.fid)
        made = frozenset((self._origin(frame, event, call=True),))
        result = evaluator.eval(call.result)
        if self._allocates(frame.fid, event) or (result and all(obj.site == (frame.fid, event) for obj in result)):
            return made
        if not result:
            return NOWHERE
        func = evaluator.nodes[call.func]
        if type(func) is f.Attr and self.effects.generic.get(func.name) in TAKING:
            values = [(frame, arg) for arg in call.args[1:]]
            return _union((self._part(frame, func.base, call.result, depth), self._all(values, depth)))
        if type(func) is f.Attr and func.name in VIEWS and all(obj.kind == "member" for obj in result):
            return self._of(frame, func.base, depth + 1)
        called = [obj for arg in call.args for obj in evaluator.eval(arg) if obj.kind in PROJECT]
        inside = {self._made_inside(callee, depth + 1) for callee in called}
        return None if not inside or None in inside else frozenset((structs.replace(*made, part="part" in inside),))

    def _given(self, frame: Frame, name: str, depth: int) -> Origins:
        """What a parameter holds."""
        calls = self._calls(frame)
        if calls is None or len(calls) > MANY:
            return None
        return _union(self._argument(caller, event, frame.fid, name, depth) for caller, event in calls)

    def _argument(self, caller: Frame, event: int, fid: str, name: str, depth: int) -> Origins:
        facts = self._facts(fid)
        call = self._facts(caller.fid).events[event]
        callees = [
            callee
            for callee in self.world.callees.get((caller.fid, event), ())
            if any(target.name == fid for target in targets(self.world, callee))
        ]
        if type(call) is not f.Call or len(callees) != 1 or callees[0].kind not in ("func", "bound", "class"):
            return None
        offset = 0 if callees[0].kind == "func" else 1
        names = [param.name for param in facts.params if param.kind == "positional"]
        node = dict(call.kwargs).get(name, -1)
        if node < 0 and name in names:
            position = names.index(name) - offset
            if position < 0:
                if callees[0].kind == "class":
                    made = facts.name in ("__init__", "__post_init__")
                    return frozenset((self._origin(caller, event, call=True),)) if made else None
                func = self._facts(caller.fid).nodes[call.func]
                node = func.base if type(func) is f.Attr else -1
            elif position < len(call.args):
                node = call.args[position]
            elif not call.star:  # left out: a default is made once, for everybody
                default = next(param.default for param in facts.params if param.name == name)
                nodes = self._facts(self.world.scope_of(self.world.symbols.functions[fid])).nodes
                return NOWHERE if default >= 0 and type(nodes[default]) is f.Const else None
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
            (self._frame(fid, anybody=True), value)
            for fid, owner, value in self.stores[name]
            if any(
                obj.kind == "inst" and self.world.own_slot(obj.name, name) == cell
                for obj in self.evaluator(fid).eval(owner)
            )
        ]
        before = self._steps
        self._steps = Steps(before.parts, before.kept + 1)
        found = self._all(values, depth)
        self._steps = before
        return found and frozenset(structs.replace(origin, kept=True) for origin in found)

    @cached_property
    def stores(self) -> dict[str, list[tuple[str, int, int]]]:
        """Attribute name -> (function, node of the object, node of the value) of every store."""
        found: defaultdict[str, list[tuple[str, int, int]]] = defaultdict(list)
        for fid, info in self.world.symbols.functions.items():
            nodes = info.facts.nodes
            for event in info.facts.events:
                if type(event) is f.Access and event.kind == "store":
                    target = nodes[event.target]
                    if type(target) is f.Attr:
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
            found = self._all(self._returned(self._frame(fid)), depth) if self._transparent(fid) else None
            if not found or any(origin.kept or origin.home for origin in found):
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
        return (type(func) is f.Attr and func.name == "__new__") or any(
            callee.kind == "symbol" and callee.name in GENERIC_TYPES
            for callee in self.world.callees.get((fid, event), ())
        )

    def _returned(self, frame: Frame) -> list[tuple[Frame, int]]:
        returns = self.world.symbols.functions[frame.fid].returns
        return [(frame, event.value) for event in returns if event.value >= 0]

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
