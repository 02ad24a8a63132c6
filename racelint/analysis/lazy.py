"""What runs only when somebody walks it: generator expressions and generators, with the locks that are held there.

Of ``(job for job in self.jobs.values() if job.done)`` only ``self.jobs.values()`` is evaluated where it stands, and
of a call of a generator function nothing but its arguments. The rest runs where the result is walked. What is returned,
or kept somewhere, is walked when the locks held here have been given back.
Source: docs.python.org/3/reference/expressions.html (generator expressions, generator-iterator methods).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from racelint.link.evaluate import Evaluator
from racelint.link.passing import STORE_METHODS
from racelint.link.world import World
from racelint.model import facts as f

# Indices of regions of a function.
Regions: TypeAlias = tuple[int, ...]
NOWHERE: Mapping[int, Regions] = {}
# Accesses that keep a value somewhere.
KEEPING = ("store", "set")
# Lazy results of lazy functions that are looked through.
FAR = 4
# Decorators that leave a generator function what it is.
NEUTRAL = ("functools.wraps", "abc.abstractmethod", "typing.override")


class Lazy:
    """Asks the functions of a program where they walk what they have made."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._generators: dict[str, tuple[tuple[int, f.New], ...]] = {}

    def moved(self, evaluator: Evaluator) -> Mapping[int, Regions]:
        """Events of generator expressions -> the regions of the function that are held when they happen."""
        facts = evaluator.info.facts
        made = self._made(evaluator) if facts.regions else ()
        found: dict[int, Regions] = {}
        for node, new in made:  # the outer ones first
            held = self.walked(evaluator, node)
            if held is not None:
                found.update(dict.fromkeys(range(*new.walked), held))
        return found or NOWHERE

    def of_call(self, evaluator: Evaluator, call: f.Call, fid: str) -> Regions | None:
        """The regions held where a call's result is walked, when it calls a generator function; None: at the call."""
        callee = self.world.symbols.functions[fid].facts
        if not callee.is_generator or not evaluator.info.facts.regions:
            return None
        if any("." in name and name not in NEUTRAL for name in self.world.decorators(fid)):
            return None  # what a library makes of it may run at once; a wrapper of the project is looked into
        return self.walked(evaluator, call.result)

    def walked(self, evaluator: Evaluator, node: int, depth: int = 0) -> Regions | None:
        """The regions that are held wherever this function lets a lazy value be walked; None: nothing says where."""
        ways = list(self._ways(evaluator, node, depth))
        if not ways:
            return None
        return tuple(region for region in ways[0] if all(region in way for way in ways))

    def _ways(self, evaluator: Evaluator, node: int, depth: int) -> Iterator[Regions]:
        facts = evaluator.info.facts
        if depth > FAR:
            return
        for index, other in enumerate(facts.nodes):
            if (type(other) is f.Phi and node in other.options) or (type(other) is f.Derived and _is(other, node)):
                yield from self._ways(evaluator, index, depth + 1)
        for index, event in enumerate(facts.events):
            if (type(event) is f.Return or (type(event) is f.Access and event.kind in KEEPING)) and event.value == node:
                yield ()
            elif type(event) is f.Access and event.kind in ("iter", "has") and event.target == node:
                yield self._at(evaluator, index, depth)
            elif type(event) is f.Yield and event.value == node and event.delegated:
                yield facts.held[event.held]
            elif type(event) is f.Call and node in (*event.args, *(value for _, value in event.kwargs)):
                yield from self._given(evaluator, index, event, node, depth)

    def _given(self, evaluator: Evaluator, index: int, call: f.Call, node: int, depth: int) -> Iterator[Regions]:
        """Where a call has it walked that is given it: there, where its own result is, or once it is taken out."""
        rows = [self.world.consumers.first(obj.name) for obj in evaluator.eval(call.func) if obj.kind == "symbol"]
        func = evaluator.nodes[call.func]
        if any(row is not None and row.effect == "view" for row in rows):
            yield from self._ways(evaluator, call.result, depth + 1)
        elif type(func) is f.Attr and node in [
            call.args[at] for at in STORE_METHODS.get(func.name, ()) if at < len(call.args)
        ]:
            yield ()
        else:
            yield self._at(evaluator, index, depth)

    def _at(self, evaluator: Evaluator, index: int, depth: int) -> Regions:
        """The regions held at an event, which may stand in a generator expression itself."""
        facts = evaluator.info.facts
        around = [(node, new) for node, new in self._made(evaluator) if index in range(*new.walked)]
        for node, _ in reversed(around):
            held = self.walked(evaluator, node, depth + 1)
            if held is not None:
                return held
        return facts.held[facts.events[index].held]

    def _made(self, evaluator: Evaluator) -> tuple[tuple[int, f.New], ...]:
        """The generator expressions of a function, those around others first."""
        found = self._generators.get(evaluator.info.id)
        if found is None:
            nodes = evaluator.nodes
            made = [(index, node) for index, node in enumerate(nodes) if type(node) is f.New and node.walked != (0, 0)]
            made.sort(key=lambda item: item[1].walked[0] - item[1].walked[1])
            found = self._generators[evaluator.info.id] = tuple(made)
        return found


def _is(node: f.Derived, part: int) -> bool:
    """Whether a computed value may be one of its parts: ``rows or ()``."""
    return node.op in ("or", "and") and part in node.parts
