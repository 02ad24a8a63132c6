"""Which functions an event of a walk runs, as what, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from racelint.analysis.arguments import Params
from racelint.analysis.bodies import Called
from racelint.analysis.coroutines import handed_back, run_here
from racelint.analysis.lazy import Lazy
from racelint.analysis.starts import FEW, Starts
from racelint.link.call_sites import Event
from racelint.link.calls import targets
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Bindings, Obj
from racelint.link.world import World
from racelint.model import facts as f

# The methods that accesses to a container run, where it is of a class of the project (docs.python.org/3/reference/
# datamodel.html#emulating-container-types).
OPERATORS: Mapping[str, str] = {
    "get": "__getitem__",
    "set": "__setitem__",
    "del": "__delitem__",
    "has": "__contains__",
    "iter": "__iter__",
}


class Callees:
    """Finds the functions that are run.

    ``active``: classes whose instances are meant to be used by several contexts. ``polled``: what calls run besides
    (see ``polling``).
    """

    def __init__(
        self,
        world: World,
        active: frozenset[str],
        polled: Mapping[Event, tuple[Obj, ...]],
        starts: Starts,
        lazy: Lazy,
    ) -> None:
        self.world = world
        self.active = active
        self.polled = polled
        self.starts = starts
        self.lazy = lazy

    def of(self, evaluator: Evaluator, call: f.Call, index: int) -> Iterator[Called]:
        """The functions that a call runs."""
        callees = evaluator.eval(call.func)
        followed = [(callee, target) for callee in callees for target in self._targets(callee, evaluator, call, index)]
        meant, choices = self._for_several(followed), _choices(followed)
        for callee, target in followed:
            facts = self.world.symbols.functions[target.name].facts
            away = facts.is_async and not run_here(evaluator.info.facts, call)
            runs = self.starts.run_by(evaluator.info, call, index) if away else None
            above = away and runs is None
            if above and not handed_back(evaluator.info.facts, call):
                continue
            doubt = 0
            if choices > 1 and callee.kind not in ("class", "symbol"):
                doubt = 1 if meant or choices <= FEW else 2
            elif self._stored(evaluator, call, callee):
                doubt = 1
            bindings = self._bindings(evaluator, call, target)
            captures = any(obj.fresh for _, _, objs in bindings for obj in objs)
            regions = self.lazy.of_call(evaluator, call, target.name) if runs is None else _during(evaluator, runs)
            yield Called(
                target,
                callee,
                doubt,
                bindings,
                captures=captures,
                above=above,
                regions=regions,
                on_loop=runs is not None,
            )

    def of_access(self, evaluator: Evaluator, event: f.Access) -> Iterator[Called]:
        """What an access runs: the function of a property, or the method behind an operator (``d[k]``, ``k in d``)."""
        if event.kind in OPERATORS:
            yield from self._operator(evaluator, event, OPERATORS[event.kind])
        else:
            yield from self._property(evaluator, event)

    def _operator(self, evaluator: Evaluator, event: f.Access, name: str) -> Iterator[Called]:
        given = [_sorted(evaluator.eval(node)) for node in (event.key, event.value) if node >= 0]
        for obj in evaluator.eval(event.target):
            fid = self.world.method(obj.name, name) if obj.kind == "inst" else None
            for target in evaluator.function_objects(fid) if fid is not None else ():
                names = self.world.symbols.functions[target.name].signature.positional
                params: Params = tuple(zip(names, ((obj,), *given), strict=False))
                yield Called(target, None, 0, target.bindings, params, obj.fresh)

    def _property(self, evaluator: Evaluator, event: f.Access) -> Iterator[Called]:
        """Reading or writing a property runs its function."""
        node = evaluator.nodes[event.target]
        if event.kind not in ("load", "store") or type(node) is not f.Attr:
            return
        world = self.world
        name = node.name if event.kind == "load" else f"{node.name}.setter"
        for obj in evaluator.eval(node.base):
            if obj.kind != "inst":
                continue
            fid = world.method(obj.name, name)
            if fid is None or (event.kind == "load" and not world.is_property(fid)):
                continue
            for target in evaluator.function_objects(fid):
                params = world.symbols.functions[target.name].facts.params
                given: Params = ((params[0].name, (obj,)),) if params else ()
                yield Called(target, None, 0, target.bindings, given, obj.fresh)

    def _targets(self, callee: Obj, evaluator: Evaluator, call: f.Call, index: int) -> Iterator[Obj]:
        world = self.world
        if callee.kind == "class":
            for target in targets(world, callee):
                yield self._on_new(target, callee.name, evaluator, index)
            return
        if self._anew(callee, evaluator):
            yield self._on_new(callee, callee.owner.name if callee.owner is not None else "", evaluator, index)
            return
        yield from targets(world, callee)
        name = callee.name if callee.kind in ("symbol", "member") else ""
        if name:
            row = world.calls.first(name)
            if row is not None:
                for obj in evaluator.argument(call, row.function.position, row.function.keyword):
                    if obj.kind in ("func", "bound", "partial"):
                        yield from targets(world, obj)
            for protocol in world.protocols.all(name):
                for obj in evaluator.argument(call, 0, None):
                    fid = world.method(obj.name, protocol.method) if obj.kind == "inst" else None
                    if fid is not None:
                        yield world.heap.make("bound", fid, owner=obj, func=world.heap.make("func", fid))
            yield from self.polled.get((evaluator.info.id, index), ())

    def _on_new(self, target: Obj, cid: str, evaluator: Evaluator, index: int) -> Obj:
        """A constructor, bound to the object that a call makes."""
        if target.owner is None or target.owner.kind != "inst":
            return target
        made = self.world.heap.make("inst", cid, (evaluator.info.id, index), fresh=True)
        return self.world.heap.make("bound", target.name, owner=made, func=target.func)

    def _anew(self, callee: Obj, evaluator: Evaluator) -> bool:
        """Whether an object is initialised once more (``self.__init__()`` in a method): it is as good as a new one."""
        if callee.kind != "bound" or not callee.name.endswith(".__init__"):
            return False
        caller = evaluator.info.facts
        return caller.cls is not None and caller.name not in ("__init__", "__new__", "__call__", "__setstate__")

    def _for_several(self, followed: list[tuple[Obj, Obj]]) -> bool:
        """Whether only the receiver of one method is in doubt, and its class is made to be used by several contexts.

        Plain data of many makers is another matter: the more there are, the less likely this is the one in question.
        """
        classes = self.world.symbols.classes
        return len({target.name for _, target in followed}) == 1 and all(
            callee.owner is not None
            and callee.owner.kind == "inst"
            and not self.active.isdisjoint(classes[callee.owner.name].mro)
            for callee, _ in followed
        )

    def _stored(self, evaluator: Evaluator, call: f.Call, callee: Obj) -> bool:
        """Whether a callee is a callback kept in an attribute: which of them an object has is not told apart."""
        node = evaluator.nodes[call.func]
        if type(node) is not f.Attr or callee.kind not in ("func", "bound"):
            return False
        receivers = [obj for obj in evaluator.eval(node.base) if obj.kind == "inst"]
        return bool(receivers) and all(self.world.method(obj.name, node.name) is None for obj in receivers)

    def _bindings(self, evaluator: Evaluator, call: f.Call, target: Obj) -> Bindings:
        """A closure over a method's ``self`` that is kept in an attribute belongs to the object it is called on."""
        node = evaluator.nodes[call.func]
        parent = self.world.symbols.functions[target.name].parent
        outer = self.world.symbols.functions.get(parent or "")
        if outer is None or outer.cls is None or not outer.facts.params or type(node) is not f.Attr:
            return target.bindings
        name = outer.facts.params[0].name
        if any(fid == outer.id and variable == name for fid, variable, _ in target.bindings):
            return target.bindings
        receivers = tuple(
            obj
            for obj in evaluator.eval(node.base)
            if obj.kind == "inst" and outer.cls in self.world.class_of(obj.name).mro
        )
        return (*target.bindings, (outer.id, name, receivers)) if receivers else target.bindings


def _choices(followed: Iterable[tuple[Obj, Obj]]) -> int:
    """Between how many callees a call has to be decided: some instance is none besides those whose making is known."""
    found = {(target.name, callee.owner) for callee, target in followed}
    known = {name for name, owner in found if owner is not None and not owner.unknown}
    return sum(owner is None or not owner.unknown or name not in known for name, owner in found)


def _during(evaluator: Evaluator, runs: f.Call) -> tuple[int, ...]:
    """The regions of a function that are held as long as a call runs a coroutine: a task goes on by itself."""
    facts = evaluator.info.facts
    return facts.held[runs.held] if runs.awaited or not facts.is_async else ()


def _sorted(objs: Iterable[Obj]) -> tuple[Obj, ...]:
    return tuple(sorted(objs, key=lambda obj: obj.uid))
