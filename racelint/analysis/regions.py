"""Which locks a region of a function holds: those it names, and those of a context manager of the project."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from racelint.analysis.arguments import Arguments, Params
from racelint.analysis.locks import Lock, Locks, attempt
from racelint.link.calls import targets
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Bindings, Obj
from racelint.link.world import World
from racelint.model import facts as f


class Regions:
    """Looks into context managers; ``evaluator`` gives what is known in a function that is called with something."""

    def __init__(
        self, world: World, locks: Locks, arguments: Arguments, evaluator: Callable[[str, Params, Bindings], Evaluator]
    ) -> None:
        self.world = world
        self.locks = locks
        self.arguments = arguments
        self.evaluator = evaluator

    def of(self, evaluator: Evaluator, region: f.Region) -> tuple[Lock, ...]:
        """The locks that are held in a region."""
        found = self.locks.of_region(evaluator, region)
        if found:
            return found
        if region.how == "acquire":
            functions = [obj.name for obj in evaluator.eval(region.lock) if obj.kind == "func"]
            return tuple(dict.fromkeys(lock for name in functions for lock in self._left_open(name, None)))
        return self._manager_locks(evaluator, region.lock)

    def refused(self, evaluator: Evaluator, held: Collection[Lock]) -> dict[int, bool]:
        """Attempts to take a lock (``acquire(False)``) that fail because a caller holds it: nodes that are false."""
        facts = evaluator.info.facts
        found = {}
        for region in facts.regions if held else ():
            tried = attempt(facts, region)
            locks = self.locks.of_region(evaluator, region) if tried >= 0 else ()
            if any(not lock.reentrant and lock in held for lock in locks):
                found[tried] = False
        return found

    def _manager_locks(self, evaluator: Evaluator, node: int) -> tuple[Lock, ...]:
        """Locks held by a project's own context manager: at its ``yield``, or acquired by its ``__enter__``."""
        world = self.world
        found: list[Lock] = []
        inner = evaluator.nodes[node]
        if type(inner) is f.Result:
            call = evaluator.info.facts.events[inner.event]
            assert isinstance(call, f.Call)
            for callee in evaluator.eval(call.func):
                for target in targets(world, callee):
                    facts = world.symbols.functions[target.name].facts
                    if facts.is_generator:
                        found.extend(self._held_at_yield(target, evaluator, call))
        for obj in evaluator.eval(node):
            if obj.kind == "inst":
                method = world.method(obj.name, "__enter__")
                if method is not None:
                    found.extend(self._left_open(method, obj))
        return tuple(dict.fromkeys(found))

    def _held_at_yield(self, target: Obj, caller: Evaluator, call: f.Call) -> Iterator[Lock]:
        evaluator = self.evaluator(target.name, self.arguments.bind(target, caller, call), target.bindings)
        facts = evaluator.info.facts
        for event in facts.events:
            if type(event) is f.Yield:
                for region in facts.held[event.held]:
                    yield from self.locks.of_region(evaluator, facts.regions[region])
                return

    def _left_open(self, fid: str, receiver: Obj | None) -> Iterator[Lock]:
        """The locks that a function takes and does not give back."""
        params = self.world.symbols.functions[fid].facts.params
        evaluator = self.evaluator(fid, ((params[0].name, (receiver,)),) if params and receiver is not None else (), ())
        for region in evaluator.info.facts.regions:
            if region.open and region.how == "acquire":
                yield from self.locks.of_region(evaluator, region)
