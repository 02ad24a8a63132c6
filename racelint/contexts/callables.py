"""Which functions of the project a value may be, where it is handed to something that runs them."""

from __future__ import annotations

from collections.abc import Iterator

from racelint.frameworks.schema import Entry
from racelint.link.call_sites import CallSites, Event
from racelint.link.calls import targets
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj, Objs
from racelint.link.results import CallResults
from racelint.link.world import World
from racelint.model import facts as f

# Functions that hand a coroutine on to one another before a library is given it.
MAX_WRAPPERS = 3


class Callables:
    """Finds the functions behind values, and who hands them over."""

    def __init__(self, world: World, sites: CallSites) -> None:
        self.world = world
        self.sites = sites
        self._evaluators: dict[str, Evaluator] = {}

    def evaluator(self, fid: str) -> Evaluator:
        """A (cached) evaluator of a function without particular arguments."""
        found = self._evaluators.get(fid)
        if found is None:
            info = self.world.symbols.functions[fid]
            found = self._evaluators[fid] = Evaluator(self.world, info, returns=self._returns)
        return found

    def _returns(self, callee: Obj, caller: CallResults, call: f.Call) -> Objs | None:
        """What a function that returns functions of its own gives this call: they remember what it was given."""
        info = self.world.symbols.functions[callee.name]
        if (
            callee.bindings
            or not info.facts.exports
            or not isinstance(caller, Evaluator)
            or caller.depth >= MAX_WRAPPERS
            or call.star
        ):
            return None
        bound = callee.kind == "bound" and not self.world.is_static(callee.name)
        handed = info.signature.handed(call, bound=bound)
        params = {name: tuple(generic(list(caller.eval(node)))) for name, node in handed.items()}
        return caller.inside(info, {name: objs for name, objs in params.items() if objs}).returned()

    def of(self, evaluator: Evaluator, node: int, *, spread: bool = False, depth: int = 0) -> list[Obj]:
        """Project functions a value may be: functions, bound methods, partials, callable instances, coroutines."""
        world = self.world
        found: dict[Obj, None] = {}
        objs = dict(evaluator.eval(node))
        if spread:
            objs.update(evaluator.elements_of(evaluator.eval(node)))
        for obj in objs:
            if obj.kind in ("func", "bound", "partial") or (obj.kind == "inst" and world.method(obj.name, "__call__")):
                found.update(dict.fromkeys(targets(world, obj)))
        inner = evaluator.nodes[node]
        if type(inner) is f.Result:
            for callee in evaluator.eval(evaluator.info.facts.events[inner.event].func):  # type: ignore[union-attr]
                for target in targets(world, callee):
                    if world.symbols.functions[target.name].facts.is_async:
                        found[target] = None
        elif isinstance(inner, (f.Phi, f.New)) and depth < 3:
            options = inner.options if isinstance(inner, f.Phi) else inner.items
            for option in options:
                found.update(dict.fromkeys(self.of(evaluator, option, depth=depth + 1)))
        elif isinstance(inner, (f.Awaited, f.Elem)) and depth < 3:
            found.update(dict.fromkeys(self.of(evaluator, inner.base, depth=depth + 1)))
        return list(dict.fromkeys(self._one_object(obj) for obj in found))

    def _one_object(self, target: Obj) -> Obj:
        """A target with what it runs on: a thread is given one object.

        What an annotation promises is then some instance that others may have as well. A closure that was made for a
        method (``wrap(self.loop)``) works on the object of that.
        """
        heap = self.world.heap
        owner = target.owner
        if target.kind == "bound" and owner is not None:
            return heap.make("bound", target.name, owner=heap.anyone(owner), func=target.func, bindings=target.bindings)
        if target.kind == "func" and owner is None:
            made_for = {obj.owner for *_, objs in target.bindings for obj in objs if obj.kind == "bound"}
            owner = made_for.pop() if len(made_for) == 1 else None
            if owner is not None and owner.kind == "inst":
                return heap.make("func", target.name, owner=owner, bindings=target.bindings)
        return target

    def methods(self, evaluator: Evaluator, node: int, row: Entry) -> list[Obj]:
        """The methods that a library calls of an object it is given, whatever its class."""
        world = self.world
        found: list[Obj] = []
        objs = evaluator.eval(node)
        for obj in (*objs, *evaluator.elements_of(objs)) if row.iterable else tuple(objs):
            if obj.kind == "inst":
                for name in row.methods:
                    fid = world.method(obj.name, name)
                    if fid is not None:
                        found.append(world.heap.make("bound", fid, owner=obj, func=world.heap.make("func", fid)))
        return found

    def handed_by(self, fid: str, node: int, target: Obj, depth: int = 0) -> frozenset[Event]:
        """The calls that hand a target to a function which starts what it is given: ``def spawn(f): Thread(target=f)``.

        Empty when it is not handed over, or when not every call of the function is known to hand something over.
        """
        value = self.world.symbols.functions[fid].facts.nodes[node]
        if type(value) is not f.Param or depth > MAX_WRAPPERS:
            return frozenset()
        found: set[Event] = set()
        for site, given in self.sites.given(fid, value.name):
            passed = self.of(self.evaluator(site[0]), given)
            if any(one.name == target.name for one in passed):
                found |= self.handed_by(site[0], given, target, depth + 1) or {site}
            elif not passed:
                return frozenset()
        return frozenset(found)

    def coroutines(self, fid: str, node: int, depth: int = 0) -> Iterator[tuple[Event, Obj]]:
        """Coroutine objects that the callers of a function have made and hand to a parameter, with the calls.

        Only what calls the coroutine function knows of it: ``def start(coro): return create_task(coro)``.
        """
        world = self.world
        value = world.symbols.functions[fid].facts.nodes[node]
        if type(value) is not f.Param or depth > MAX_WRAPPERS:
            return
        for site, given in self.sites.given(fid, value.name):
            evaluator = self.evaluator(site[0])
            made = evaluator.nodes[given]
            for target in generic(self.of(evaluator, given)) if type(made) is f.Result else ():
                if is_coroutine(world, made, target):
                    yield site, target
            yield from self.coroutines(site[0], given, depth + 1)


def named_calls(world: World) -> Iterator[tuple[Event, f.Call, str, Obj | None]]:
    """Every call of a program with the names that it may be known by in the tables, and the receiver of each."""
    for (fid, index), callees in world.callees.items():
        call = world.symbols.functions[fid].facts.events[index]
        if isinstance(call, f.Call):
            for callee in callees:
                for name, receiver in called_names(world, callee):
                    yield (fid, index), call, name, world.heap.plain(receiver) if receiver is not None else None


def called_names(world: World, callee: Obj) -> Iterator[tuple[str, Obj | None]]:
    """Dotted names under which tables may know a callee."""
    match callee.kind:
        case "symbol":
            yield callee.name, None
        case "member":
            yield callee.name, callee.owner
            if callee.name.endswith(".__init__"):
                yield callee.name[: -len(".__init__")], callee.owner
        case "class":
            info = world.class_of(callee.name)
            if world.method(callee.name, "__init__") is None:
                for base in info.external:
                    yield base, None


def is_coroutine(world: World, node: f.Node, target: Obj) -> bool:
    """Whether what is started is a coroutine object: it runs once, however often its function is called."""
    return type(node) is f.Result and world.symbols.functions[target.name].facts.is_async


def generic(found: list[Obj]) -> list[Obj]:
    """One target per method and class: an unknown instance stands for those made at known places."""
    unknown = {(obj.name, obj.owner.name) for obj in found if obj.owner is not None and obj.owner.unknown}
    return [obj for obj in found if obj.owner is None or obj.owner.unknown or (obj.name, obj.owner.name) not in unknown]
