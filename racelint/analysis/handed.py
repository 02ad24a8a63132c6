"""Objects that each run of an entry point is given for itself: two runs of it never meet in one.

``create_task(run(Cause()))`` in a loop starts many tasks, each with a cause of its own. ``pool.submit(handle,
connection)`` hands over a connection that was accepted, taken out of a queue or met in a loop; another run is given
another one. Source: the ownership of arguments in Blackshear et al., "RacerD" (OOPSLA 2018), 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import networkx as nx

from racelint.analysis.flow import declared
from racelint.analysis.keeping import Keeping
from racelint.analysis.sharing import Sharing
from racelint.analysis.walk import Reached
from racelint.contexts.entry_points import EntryPoint
from racelint.link.call_sites import CallSites, Event, in_loop, loops
from racelint.link.calls import led_to
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import World
from racelint.model import facts as f

# Callers of callers that are asked where they have an argument from.
FAR = 3


class Handed:
    """Knows whether what an access is to belongs to one run of its entry point."""

    def __init__(
        self,
        world: World,
        sharing: Sharing,
        keeping: Keeping,
        sites: CallSites,
        calls: nx.DiGraph[str],
    ) -> None:
        self.world = world
        self.keeping = keeping
        self.calls = calls
        self.sharing = sharing
        self.sites = sites
        self._led_to: dict[str, frozenset[str]] = {}
        self._own: dict[tuple[str, Obj], bool] = {}

    def given(self, access: Reached) -> bool:
        """Whether an access is to what each run of its entry point has for itself: an argument, or what is in one."""
        base, entry = access.touch.base, access.state.entry
        if base is None or base.whole.site is None or not entry.begins or not entry.exact:
            return False
        key = (entry.target.name, self.world.heap.plain(base.whole))
        if key not in self._own:
            owner = partial(self._is_given, entry)
            self._own[key] = self.keeping.only_in(key[1], owner, self._made_by(entry))
        return self._own[key]

    def _made_by(self, entry: EntryPoint) -> frozenset[str]:
        """The functions that an entry point leads to, and those that make what it is given."""
        fid = entry.target.name
        if fid not in self._led_to:
            makers = {
                method
                for begin in entry.begins
                for obj in self._passed_on(begin, coroutines=self._is_coroutine(entry))
                if obj.kind == "inst" and (method := self.world.method(obj.name, "__init__"))
            }
            self._led_to[fid] = led_to(self.calls, (fid, *makers))
        return self._led_to[fid]

    def _is_coroutine(self, entry: EntryPoint) -> bool:
        return self.world.symbols.functions[entry.target.name].facts.is_async

    def _passed_on(self, begin: Event, *, coroutines: bool) -> Iterator[Obj]:
        """The objects that a start passes on."""
        info = self.world.symbols.functions[begin[0]]
        call = info.facts.events[begin[1]]
        evaluator = Evaluator(self.world, info)
        for node in passed_on(info.facts, call, coroutines=coroutines) if type(call) is f.Call else ():
            yield from evaluator.eval(node)

    def _is_given(self, entry: EntryPoint, obj: Obj) -> bool:
        receiver = entry.target.owner
        if obj.kind != "inst" or (receiver is not None and self.world.heap.plain(receiver) is obj):
            return False
        return self._remembered(entry, obj) or all(
            self._handed_over(begin, obj, coroutines=self._is_coroutine(entry)) for begin in sorted(entry.begins)
        )

    def _remembered(self, entry: EntryPoint, obj: Obj) -> bool:
        """Whether the entry point is a closure that is made anew for each such object, and started once.

        ``def run_in_thread(worker): def run(): worker.loop() ...; Thread(target=run)``, called with another worker
        each time.
        """
        info = self.world.symbols.functions[entry.target.name]
        if not entry.once or info.parent is None:
            return False
        outer = self.world.symbols.functions[info.parent]
        evaluator = Evaluator(self.world, info)
        names = {
            node.name
            for index, node in enumerate(info.facts.nodes)
            if type(node) is f.Captured and any(self.world.heap.plain(found) is obj for found in evaluator.eval(index))
        }
        captured = {name: nodes for name, nodes in outer.facts.exports if name in names}
        return (
            bool(names)
            and names == set(captured)
            and all(outer.facts.nodes[node] == f.Param(name) for name, nodes in captured.items() for node in nodes)
            and all(any(self.sites.given(outer.id, name)) for name in names)
            and all(
                self._changes(where, made, given, 0)
                for name in names
                for (where, at), given in self.sites.given(outer.id, name)
                if isinstance(made := self.world.symbols.functions[where].facts.events[at], f.Call)
            )
        )

    def _handed_over(self, begin: Event, obj: Obj, *, coroutines: bool) -> bool:
        """Whether a start passes an object on that it does not pass on a second time."""
        fid, index = begin
        info = self.world.symbols.functions[fid]
        call = info.facts.events[index]
        if type(call) is not f.Call:
            return False
        evaluator = Evaluator(self.world, info)
        passed = [
            node
            for node in passed_on(info.facts, call, coroutines=coroutines)
            if any(self.world.heap.plain(found) is obj for found in evaluator.eval(node))
        ]
        return bool(passed) and all(self._changes(fid, call, node, 0) for node in passed)

    def _changes(self, fid: str, call: f.Call, node: int, far: int) -> bool:
        """Whether a node is another object each time a call is made."""
        facts = self.world.symbols.functions[fid].facts
        value = facts.nodes[node]
        again = in_loop(facts, call.block)
        match value:
            case f.Elem(base) | f.Part(base):
                return not declared(facts.nodes[base]) and type(facts.nodes[base]) is not f.Attr
            case f.Result(event):
                made = facts.events[event]
                assert isinstance(made, f.Call)
                return loops(facts, call.block) <= loops(facts, made.block) and not self._kept_result(facts, node, call)
            case f.Awaited(base):
                return self._changes(fid, call, base, far)
            case f.Phi(options):
                return bool(options) and all(self._changes(fid, call, option, far) for option in options)
            case f.Param(name) if not again:
                return far < FAR and all(
                    self._changes(where, made, given, far + 1)
                    for (where, at), given in self.sites.given(fid, name)
                    if isinstance(made := self.world.symbols.functions[where].facts.events[at], f.Call)
                )
            case _:
                return False

    def _kept_result(self, facts: f.Function, node: int, call: f.Call) -> bool:
        """Whether what a call has made is passed on by more than one start of this function."""
        return any(
            type(other) is f.Call and other is not call and node in other.args and other.func == call.func
            for other in facts.events
        )

    def alone(self, access: Reached) -> bool:
        """Whether an access is to an object (or a part of one) that was made where its entry point was started."""
        base, entry = access.touch.base, access.state.entry
        if base is None or base.whole.kind != "inst" or not entry.once or len(entry.begins) != 1:
            return False
        obj = base.whole
        ((fid, index),) = entry.begins
        made = self.world.made_by(obj)
        if made is None or made[0].id != fid:
            return False
        facts = made[0].facts
        if facts.kind == "module":
            return False
        if not loops(facts, facts.events[index].block) <= loops(facts, made[1].block):
            return False
        return self.world.heap.plain(obj) not in self.sharing.beside(entry).objects


def passed_on(facts: f.Function, call: f.Call, *, coroutines: bool) -> Iterator[int]:
    """The nodes that a start passes on: arguments, those in a display of them, those of the coroutine it is given."""
    for node in (*call.args, *(value for _, value in call.kwargs)):
        yield node
        match facts.nodes[node]:
            case f.New(kind, items, _, _) if kind in ("tuple", "list", "dict"):
                yield from items
            case f.Result(event):
                inner = facts.events[event]
                if type(inner) is f.Call and coroutines:
                    yield from (*inner.args, *(value for _, value in inner.kwargs))
