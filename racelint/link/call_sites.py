"""Who calls what: call events by the functions, methods and classes they call, and whether they are made repeatedly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TypeAlias

from racelint.link.binding import argument
from racelint.link.calls import targets
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f

# An event of a function: its id and the event's index.
Event: TypeAlias = tuple[str, int]
# Callers of callers are looked at up to here.
FAR = 4


def in_loop(function: f.Function, block: int) -> bool:
    """Whether a block lies inside a loop (or a comprehension) of its function."""
    while block > 0:
        if function.blocks[block].kind == "loop":
            return True
        block = function.blocks[block].parent
    return False


def main_guarded(function: f.Function, block: int) -> bool:
    """Whether a block of a module is gone through only where it is the program: ``if __name__ == "__main__":``."""
    for one in _around(function, block):
        test = function.nodes[function.blocks[one].test] if function.blocks[one].test >= 0 else None
        if type(test) is f.Derived and any(function.nodes[part] == f.Global("__name__") for part in test.parts):
            return True
    return False


def loops(function: f.Function, block: int) -> frozenset[int]:
    """The loops around a block."""
    return frozenset(one for one in _around(function, block) if function.blocks[one].kind == "loop")


def either(function: f.Function, first: int, second: int) -> bool:
    """Whether two events stand in different branches of one test, so that one run has one of them only."""
    blocks = function.blocks
    mine, others = (set(_around(function, function.events[event].block)) for event in (first, second))
    return any(
        blocks[a].parent == blocks[b].parent and blocks[a].test == blocks[b].test and blocks[a].kind != blocks[b].kind
        for a in mine - others
        for b in others - mine
        if blocks[a].test >= 0
    )


def _around(function: f.Function, block: int) -> Iterator[int]:
    while block >= 0:
        yield block
        block = function.blocks[block].parent


class CallSites:
    """The calls of a linked program.

    ``callers``: the calls of each function; ``instantiated``: the calls that make instances of each class.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.callers: dict[str, list[Event]] = defaultdict(list)
        self.instantiated: dict[str, list[Event]] = defaultdict(list)
        self._methods: dict[tuple[Obj, str], list[Event]] = defaultdict(list)
        self._by_class: dict[tuple[str, str], list[Event]] = defaultdict(list)
        for event, callees in world.callees.items():
            for callee in callees:
                self._note(event, callee)

    def _note(self, event: Event, callee: Obj) -> None:
        world, owner = self.world, callee.owner
        if callee.kind == "member" and owner is not None:
            method = callee.name.rpartition(".")[2]
            if owner.kind == "ext":
                self._methods[world.heap.plain(owner), method].append(event)
            elif owner.kind == "inst":
                self._by_class[owner.name, method].append(event)
        elif callee.kind == "bound" and owner is not None and owner.kind == "inst":
            self._by_class[owner.name, world.symbols.functions[callee.name].facts.name].append(event)
        if callee.kind == "class":
            self.instantiated[callee.name].append(event)
        for target in targets(world, callee):
            self.callers[target.name].append(event)

    def given(self, fid: str, parameter: str) -> Iterator[tuple[Event, int]]:
        """The calls of a function that hand something to one of its parameters, with the caller's node of it."""
        for site in dict.fromkeys(self.callers.get(fid, ())):
            node = argument(self.world, site, fid, parameter)
            if node >= 0:
                yield site, node

    def on(self, obj: Obj, method: str) -> list[Event]:
        """Calls of a method of one external object: ``t.start()`` for a thread."""
        return self._methods.get((obj, method), [])

    def on_class(self, cid: str, method: str) -> list[Event]:
        """Calls of a method on instances of a class or of its relatives."""
        info = self.world.class_of(cid)
        return [
            found
            for name in dict.fromkeys((cid, *info.mro, *info.subclasses))
            for found in self._by_class.get((name, method), ())
        ]

    def often(self, fid: str, depth: int = 0) -> bool:
        """Whether a function is called in a loop, directly or through its callers."""
        functions = self.world.symbols.functions
        if depth > FAR or functions[fid].facts.kind == "module":
            return False
        for where, at in self.callers.get(fid, ()):
            facts = functions[where].facts
            if where == fid or in_loop(facts, facts.events[at].block) or self.often(where, depth + 1):
                return True
        return False

    def several(self, cid: str) -> bool:
        """Whether more than one instance of a class is seen to be made."""
        sites = self.instantiated.get(cid, [])
        if len(sites) != 1:
            return len(sites) > 1
        ((fid, index),) = sites
        facts = self.world.symbols.functions[fid].facts
        return in_loop(facts, facts.events[index].block) or self.often(fid)
