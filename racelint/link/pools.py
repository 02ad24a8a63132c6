"""The pool whose threads run what a call hands over, and whether it has only one of them.

``ThreadPoolExecutor(max_workers=1)`` runs what it is given one after the other, and so does ``ThreadPool(1)``.
Source: docs.python.org/3/library/concurrent.futures.html#threadpoolexecutor.
"""

from __future__ import annotations

from collections.abc import Callable

from racelint.frameworks.schema import Argument, Entry
from racelint.link.binding import argument
from racelint.link.call_sites import CallSites
from racelint.link.calls import targets
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f


class Pools:
    """Asks the calls of a program for the pools they use."""

    def __init__(self, world: World, sites: CallSites, evaluator: Callable[[str], Evaluator]) -> None:
        self.world = world
        self.sites = sites
        self.evaluator = evaluator

    def of(self, fid: str, call: f.Call, row: Entry, receiver: Obj | None, target: Obj) -> Obj | None:
        """The library object that a call hands a function over to: its receiver, or the argument that a row names.

        A helper that is given both (``def offload(pool, function)``) has the pool that comes with this function.
        """
        evaluator = self.evaluator(fid)
        func = evaluator.nodes[call.func]
        node = _argument(call, row.executor) if row.executor is not None else func.base if type(func) is f.Attr else -1
        found = [] if receiver is None else [receiver]
        if row.executor is not None:
            found = list(evaluator.eval(node))
        found = self._handed_with(fid, node, _argument(call, row.function), target) or found
        pools = {self.world.heap.plain(obj) if obj.kind == "ext" else obj for obj in found}
        pool = pools.pop() if len(pools) == 1 else None
        return pool if pool is not None and pool.kind == "ext" else None

    def _handed_with(self, fid: str, pool: int, function: int, target: Obj) -> list[Obj]:
        """What the callers of a helper give to the parameter ``pool`` who give it this function too."""
        nodes = self.world.symbols.functions[fid].facts.nodes
        asked, other = nodes[pool] if pool >= 0 else None, nodes[function] if function >= 0 else None
        found: list[Obj] = []
        if type(asked) is f.Param and type(other) is f.Param:
            for site, given in self.sites.given(fid, other.name):
                caller = self.evaluator(site[0])
                handed = (one for obj in caller.eval(given) for one in targets(self.world, obj))
                if any(one.name == target.name for one in handed):
                    found.extend(caller.eval(argument(self.world, site, fid, asked.name)))
        return found

    def single(self, pool: Obj) -> bool:
        """Whether a pool has one thread: what it runs excludes each other."""
        made = self.world.made_by(pool)
        if made is None:
            return False
        info, call = made
        given = [value for key, value in call.kwargs if key in ("max_workers", "processes")] or list(call.args[:1])
        if not given:
            return False
        node = info.facts.nodes[given[0]]
        return type(node) is f.Const and node.text == "1"


def _argument(call: f.Call, argument: Argument | None) -> int:
    """The node of an argument of a call, -1 when it is not given."""
    given = [value for key, value in call.kwargs if argument is not None and key == argument.keyword]
    if argument is not None and argument.position is not None and 0 <= argument.position < len(call.args):
        given.append(call.args[argument.position])
    return given[0] if given else -1
