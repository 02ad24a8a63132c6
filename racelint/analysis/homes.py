"""Homes: the container that an object is put into as soon as it is made, and the only one it is found in.

``tree[name] = {"count": 0}`` makes a dict that belongs to ``tree``. When whatever a container holds was put there like
this, two containers hold different objects, though one line makes all of them. Source: ownership types (see
``keeping``), found by looking at what is put where.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from racelint.analysis.flow import declared
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.passing import STORE_METHODS
from racelint.link.world import ELSEWHERE, FACTORY, World
from racelint.model import facts as f


class Homes:
    """Knows which containers only hold what was made for them.

    ``makes`` says whether each call of a function (or class) gives another object.
    """

    def __init__(self, world: World, evaluator: Callable[[str], Evaluator], makes: Callable[[Obj], bool]) -> None:
        self.world = world
        self.evaluator = evaluator
        self.makes = makes
        self._container: dict[tuple[str, int], int] = {}
        self._at_home: dict[tuple[Obj, Obj], bool] = {}

    def all_at_home(self, containers: Iterable[Obj], held: Iterable[Obj]) -> bool:
        """Whether objects that some containers hold are in none but the one they were made for."""
        holders = [self._holder(obj) for obj in containers]
        inside = [self.world.heap.plain(obj) for obj in held]
        return (
            bool(holders)
            and bool(inside)
            and all(holder is not None and self._home(holder, obj) for holder in holders for obj in inside)
        )

    def of(self, fid: str, node: int) -> int:
        """The node of the container which the object that a node makes is put into; -1: into none, or not only one."""
        key = (fid, node)
        if key not in self._container:
            facts = self.world.symbols.functions[fid].facts
            puts = list(_puts(facts, node))
            alone = len(puts) == 1 and self._made(fid, node) and not _again(facts, node, puts[0][1])
            self._container[key] = puts[0][0] if alone else -1
        return self._container[key]

    def around(self, objs: Iterable[Obj]) -> set[Obj]:
        """Some objects, and all containers that hold them, or hold one that does."""
        found: set[Obj] = set()
        work = [self.world.heap.plain(obj) for obj in objs]
        while work:
            obj = work.pop()
            if obj not in found:
                found.add(obj)
                work.extend(self._holders.get(obj, ()))
        return found

    @cached_property
    def _holders(self) -> dict[Obj, list[Obj]]:
        """Object -> the containers it is in."""
        found: dict[Obj, list[Obj]] = defaultdict(list)
        for cell, objs in self.world.cells.items():
            if cell[0] == "e" and isinstance(cell[1], Obj):
                for obj in objs:
                    found[self.world.heap.plain(obj)].append(cell[1])
        return found

    def _holder(self, obj: Obj) -> Obj | None:
        if obj.kind in ("member", "pair") and obj.owner is not None:
            obj = obj.owner  # a view of the container, or what that yields
        return self.world.heap.plain(obj) if obj.kind == "ext" else None

    def _home(self, holder: Obj, obj: Obj) -> bool:
        key = (holder, obj)
        if key not in self._at_home:
            self._at_home[key] = obj.site is not None and all(
                self._made_for(holder, obj, fid, node) for fid, node in self.world.puts.get(holder, ())
            )
        return self._at_home[key]

    def _made_for(self, holder: Obj, obj: Obj, fid: str, node: int) -> bool:
        """Whether what is put into a container is none of these objects, or made for it."""
        if node == FACTORY:
            return self._produced(holder)
        if node == ELSEWHERE:
            return False
        if all(self.world.heap.plain(value) is not obj for value in self.evaluator(fid).eval(node)):
            return True
        return self.of(fid, node) >= 0

    def _produced(self, holder: Obj) -> bool:
        """Whether the factory of a container makes another object each time."""
        made = self.world.made_by(holder)
        row = self.world.container_row(holder.name)
        if made is None or row is None or row.factory is None:
            return False
        evaluator = self.evaluator(made[0].id)
        factories = evaluator.argument(made[1], row.factory.position, row.factory.keyword)
        return all(obj.kind == "symbol" or self.makes(obj) for obj in factories)

    def _made(self, fid: str, node: int) -> bool:
        """Whether a node makes an object each time it is evaluated."""
        facts = self.world.symbols.functions[fid].facts
        match facts.nodes[node]:
            case f.New() as made:
                return not declared(made)
            case f.Result(event):
                callees = self.world.callees.get((fid, event), ())
                return bool(callees) and all(self.makes(callee) for callee in callees)
            case _:
                return False


def _puts(facts: f.Function, node: int) -> Iterator[tuple[int, int]]:
    """The containers that a node is put into, with the event; for a display -1."""
    for index, made in enumerate(facts.nodes):
        if type(made) is f.New and node in made.items:
            yield index, -1
    for index, event in enumerate(facts.events):
        if type(event) is f.Access and event.kind == "set" and event.value == node:
            yield event.target, index
        elif type(event) is f.Call and node in event.args:
            func = facts.nodes[event.func]
            if type(func) is f.Attr and event.args.index(node) in STORE_METHODS.get(func.name, ()):
                yield func.base, index


def _again(facts: f.Function, node: int, put: int) -> bool:
    """Whether an object that was made once may be put somewhere twice: it is made before the loop."""
    loop = facts.events[put].block if put >= 0 else 0
    while loop > 0 and facts.blocks[loop].kind != "loop":
        loop = facts.blocks[loop].parent
    if loop <= 0:
        return False
    made = facts.nodes[node]
    if type(made) is f.Result:
        return not _within(facts, facts.events[made.event].block, loop)
    assert isinstance(made, f.New)
    return made.line < min(event.line for event in facts.events if _within(facts, event.block, loop))


def _within(facts: f.Function, block: int, outer: int) -> bool:
    while block > 0 and block != outer:
        block = facts.blocks[block].parent
    return block == outer
