"""Functions that are decorated: what a decorator of the project makes of the function stands in its place."""

from __future__ import annotations

from collections.abc import Callable

from racelint.link.evaluate import Evaluator
from racelint.link.objects import Bindings, Obj, Objs
from racelint.link.stores import Add
from racelint.link.symbols import FunctionInfo
from racelint.link.texts import Reader, as_object, default_of, made_where, text_of
from racelint.link.world import Cell, World
from racelint.model import facts as f


class Decorated:
    """Knows what decorators have made of each function so far."""

    def __init__(self, world: World, add: Add, look_again: Callable[[Cell], None]) -> None:
        self.world = world
        self.add = add
        self.look_again = look_again
        # What a function is after each of its decorators.
        self.chains: dict[str, dict[int, Objs]] = {}

    def decorate(self, evaluator: Evaluator, call: f.Call, index: int, fid: str, decorators: Objs) -> None:
        """A decorator of the project replaces the function by what it returns; others leave it as it is."""
        world = self.world
        chain = self.chains.setdefault(fid, {})
        plain: Objs = {world.heap.make("func", fid): None}
        inner = [position for position in chain if position < index]
        current = chain[max(inner)] if inner else plain
        replaced: Objs = {}
        for decorator in decorators:
            if decorator.kind == "inst":
                decorator = self._bound_call(decorator) or decorator
            if decorator.kind in ("func", "bound"):
                replaced.update(self._wrapped(evaluator, call, decorator, current, fid))
            elif decorator.kind == "class":
                for made in evaluator.call_result(decorator, call, index):
                    if made.kind == "inst" and world.method(made.name, "__call__") is not None:
                        init = world.method(made.name, "__init__")
                        params = world.symbols.functions[init].facts.params if init is not None else ()
                        if init is not None and len(params) > 1:
                            self.add(("p", init, params[1].name), current)
        chain[index] = replaced or current
        outcome = chain[max(chain)]
        if outcome != plain and world.get(("d", fid)) != outcome:
            world.cells["d", fid] = dict(outcome)
            self.look_again(("d", fid))

    def _bound_call(self, obj: Obj) -> Obj | None:
        """What calling an instance runs: ``@locked("_lock")`` where ``locked`` is a class."""
        method, heap = self.world.method(obj.name, "__call__"), self.world.heap
        return heap.make("bound", method, owner=obj, func=heap.make("func", method)) if method is not None else None

    def _wrapped(self, evaluator: Evaluator, call: f.Call, decorator: Obj, current: Objs, fid: str) -> Objs:
        world = self.world
        facts = world.symbols.functions[decorator.name].facts
        positional = [param.name for param in facts.params if param.kind == "positional"]
        receiver: Bindings = ()
        if decorator.kind == "bound" and positional:
            if decorator.owner is not None and not decorator.owner.unknown:
                receiver = ((decorator.name, positional[0], (decorator.owner,)),)
            positional = positional[1:]
        if not positional:
            return {}
        self.add(("p", decorator.name, positional[0]), current)
        factory = self._factory_bindings(evaluator, call)
        given = (decorator.name, positional[0], tuple(current))
        result: Objs = {}
        for obj in tuple(evaluator.cell(("r", decorator.name))):
            if obj.kind == "func" and world.symbols.functions[obj.name].parent == decorator.name:
                if obj.name == fid:
                    continue
                bindings = (*decorator.bindings, *receiver, *factory, given)
                result[world.heap.make("func", obj.name, bindings=bindings)] = None
            elif obj in current:
                result[obj] = None
        return result

    def _factory_bindings(self, evaluator: Evaluator, call: f.Call) -> Bindings:
        """What the arguments of a decorator factory (``@guarded(lock)``) mean inside the decorator it returned."""
        maker, made = made_where(evaluator, call.func)
        node = maker.nodes[made]
        if type(node) is not f.Result:
            return ()
        factory_call = maker.info.facts.events[node.event]
        assert isinstance(factory_call, f.Call)
        found: list[tuple[str, str, tuple[Obj, ...]]] = []
        for factory in tuple(maker.eval(factory_call.func)):
            if factory.kind not in ("func", "bound") or factory_call.star:
                continue
            info = self.world.symbols.functions[factory.name]
            params = [param.name for param in info.facts.params][factory.kind == "bound" :]
            given = info.signature.handed(factory_call, bound=factory.kind == "bound")
            found.extend((factory.name, name, self._held_by(maker, info, name, given)) for name in params)
        return tuple(entry for entry in found if entry[2])

    def _held_by(self, maker: Reader, factory: FunctionInfo, name: str, given: dict[str, int]) -> tuple[Obj, ...]:
        """What a parameter of a decorator factory holds in one call: objects, or a text."""
        if name in given:
            text = text_of(maker, given[name])
            return (as_object(self.world, text),) if text is not None else tuple(maker.eval(given[name]))
        text = default_of(maker, factory, name)
        return (as_object(self.world, text),) if text is not None else ()
