"""A flag that is set only after the step it guards has been waited for: whoever comes meanwhile takes the step again.

``if self.ready: return``, ``await self.subscribe()``, ``self.ready = True``. Of 11,673 real asynchronous functions most
that wait between a look and a store do no harm, so a step has to be seen that leaves more when it is done again: a
task that is started, a message that is sent, an entry at the end of a list. Loading, closing and storing are not.
"""

from __future__ import annotations

from functools import cached_property

from racelint.analysis.flow import Flow, Flows
from racelint.analysis.values import Values
from racelint.analysis.walk import Reached
from racelint.contexts.entry_points import EntryPoint
from racelint.link.again import children
from racelint.link.awaited import awaits
from racelint.link.call_sites import Event
from racelint.link.calls import targets
from racelint.link.world import World
from racelint.model import facts as f

# Calls that leave nothing more when they are made again, by the first word that such methods have in most libraries:
# they end something, wait or look.
ENDING = frozenset(("close", "aclose", "stop", "cancel", "disconnect", "shutdown", "terminate"))
REPEATABLE = ENDING | frozenset(
    (
        *("sleep", "wait", "join", "drain", "flush", "makedirs", "mkdir"),
        *("get", "fetch", "read", "load", "reload", "refresh", "find", "list", "check", "ping"),
    )
)
# Methods that store or take out under a key, or set a state.
STORING = frozenset(("add", "discard", "remove", "pop", "update", "set", "setdefault", "clear", "reset", "release"))
FLAGS = ("True", "False")
# Functions of the project that lead to a step.
FAR = 3


class DoneTwice:
    """Knows steps that are taken twice when two tasks pass one flag."""

    def __init__(self, world: World, flows: Flows, values: Values, entries: tuple[EntryPoint, ...]) -> None:
        self.world = world
        self.flows = flows
        self.values = values
        self.entries = entries
        self._steps: dict[str, bool] = {}

    def guards(self, check: Reached, act: Reached) -> bool:
        """Whether a flag that is looked at decides over a step alone, and is set after it."""
        flow, start, end = self.flows[act.touch.fid], check.touch.event, act.touch.event
        if flow.nodes_text(act.touch.value) not in FLAGS or not flow.asks_only(start, end):
            return False
        if _first_word(flow.facts.name) in ENDING or flow.refused(start, end):  # who is refused was not to come at all
            return False
        block = flow.facts.events[end].block
        return any(
            type(event) is f.Call and block in flow.ancestors(event.block) and self._step(flow, act.touch.fid, index)
            for index, event in enumerate(flow.facts.events[start:end], start)
        )

    def _step(self, flow: Flow, fid: str, index: int, depth: int = 0) -> bool:
        """Whether a call leaves more when it is made again."""
        call = flow.facts.events[index]
        assert isinstance(call, f.Call)
        begun = self._begun.get((fid, index))
        if begun is not None and not any(True for _ in awaits(self.world, fid, index)):
            return any(not _repeatable(self.flows[name].facts.name) for name in begun)
        callees = self.world.callees.get((fid, index), ())
        names = [target.name for callee in callees for target in targets(self.world, callee)]
        if begun or names:
            return any(self._takes(name, depth + 1) for name in (*(begun or ()), *names))
        if not callees or any(callee.kind == "class" for callee in callees):
            return False
        return not (_used(flow, call) or self.values.report(fid, call) or _repeatable(_name(flow, call)))

    def _takes(self, fid: str, depth: int) -> bool:
        if depth > FAR:
            return False
        if fid not in self._steps:
            self._steps[fid] = False  # what calls itself takes no step by that
            flow = self.flows[fid]
            self._steps[fid] = not _repeatable(flow.facts.name) and any(
                type(event) is f.Call and self._step(flow, fid, index, depth)
                for index, event in enumerate(flow.facts.events)
            )
        return self._steps[fid]

    @cached_property
    def _begun(self) -> dict[Event, list[str]]:
        """What is started where."""
        found: dict[Event, list[str]] = {}
        for entry in self.entries:
            for site in entry.begins:
                found.setdefault(site, []).append(entry.target.name)
        return found


def _name(flow: Flow, call: f.Call) -> str:
    node = flow.facts.nodes[call.func]
    return str(node.name) if isinstance(node, f.Attr | f.Global | f.Imported) else ""


def _repeatable(name: str) -> bool:
    return name.lstrip("_") in STORING or _first_word(name) in REPEATABLE


def _first_word(name: str) -> str:
    return name.lstrip("_").partition("_")[0]


def _used(flow: Flow, call: f.Call) -> bool:
    """Whether anybody looks at what a call has given, or at what awaiting that has."""
    if not call.awaited:
        return call.used
    nodes = flow.facts.nodes
    given = {index for index, node in enumerate(nodes) if type(node) is f.Awaited and node.base == call.result}
    return any(not given.isdisjoint(children(flow.facts, node)) for node in nodes) or any(
        not given.isdisjoint(_read(event)) for event in flow.facts.events
    )


def _read(event: f.Event) -> tuple[int, ...]:
    if type(event) is f.Access:
        return (event.target, event.key, event.value)
    if type(event) is f.Call:
        return (event.func, *event.args, *(value for _, value in event.kwargs))
    if isinstance(event, f.Return | f.Yield | f.Suspend):
        return (event.value,)
    return ()
