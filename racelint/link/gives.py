"""What frameworks call functions with: a handler of aiohttp gets a request (``gives`` of ``[[entry]]`` rows)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from racelint.frameworks.schema import Entry, Matcher
from racelint.link.calls import targets
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj, Site
from racelint.link.symbols import FunctionInfo
from racelint.link.world import Cell, World
from racelint.model import facts as f


class Gives:
    """Knows what the parameters of functions hold that a framework is given."""

    def __init__(self, world: World) -> None:
        self.world = world
        rows = [row for row in world.tables.entry if row.gives]
        self.calls = Matcher.of([row for row in rows if row.form == "call"])
        self.decorators = Matcher.of([row for row in rows if row.form == "decorator"])

    @cached_property
    def _decorated(self) -> dict[Site, FunctionInfo]:
        """The calls that make decorators, ``@routes.get("/")``, with what is decorated."""
        found: dict[Site, FunctionInfo] = {}
        for info in self.world.symbols.functions.values():
            scope = self.world.scope_of(info)
            nodes = self.world.symbols.functions[scope].facts.nodes
            for decorator in info.facts.decorators:
                node = nodes[decorator]
                if isinstance(node, f.Result):
                    found[scope, node.event] = info
        return found

    def handed(self, evaluator: Evaluator, call: f.Call, index: int, callee: Obj) -> Iterator[tuple[Cell, Obj]]:
        """Parameters of the functions that a call hands to a framework or decorates, with what they get."""
        decorated = self._decorated.get((evaluator.info.id, index))
        if decorated is not None:
            for row in self.decorators.all(callee.name):
                yield from self._parameters(decorated.id, row, skip=int(decorated.is_method))
        for row in self.calls.all(callee.name):
            if row.function is None:
                continue
            position = row.function.position
            given = evaluator.argument(call, 0 if position == -1 else position, row.function.keyword)
            for obj in tuple(given):
                if obj.kind in ("func", "bound", "partial"):
                    for target in targets(self.world, obj):
                        yield from self._parameters(target.name, row, skip=int(target.kind == "bound"))

    def _parameters(self, fid: str, row: Entry, *, skip: int) -> Iterator[tuple[Cell, Obj]]:
        names = self.world.symbols.functions[fid].signature.positional[skip:]
        for name, dotted in zip(names, row.gives, strict=False):
            yield ("p", fid, name), self.world.heap.make("ext", dotted)
