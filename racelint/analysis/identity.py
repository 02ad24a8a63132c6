"""Tests of which thread runs: ``if threading.current_thread() is threading.main_thread():`` and what is like it.

Code under such a test runs in some contexts only, and a function that is told the outcome (``retry=get_ident() ==
self._owner``) takes only one of its branches there. The answers here are those that are sure for every entry point of a
group: a thread that a program has started is not the main thread, and not the one that noted its own identity in a
function which the entry point does not lead to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property

import networkx as nx

from racelint.contexts.entry_points import EntryPoint
from racelint.link.calls import led_to
from racelint.link.evaluate import Evaluator
from racelint.link.world import World
from racelint.model import facts as f

SAME = {"Is": True, "Equal": True, "IsNot": False, "NotEqual": False}
# Attributes of a thread that are as good as the thread itself.
NAMES = frozenset(("ident", "native_id"))
NOBODY: Mapping[int, bool] = {}


class Identity:
    """Knows which tests of the running thread a group of entry points cannot pass, or must."""

    def __init__(self, world: World, calls: nx.DiGraph[str]) -> None:
        self.world = world
        self.calls = calls
        self.who = {name: row.who for row in reversed(world.tables.thread_identity) for name in row.name}
        self._asking: dict[str, tuple[int, ...]] = {}
        self._led_to: dict[str, frozenset[str]] = {}

    def truths(self, evaluator: Evaluator, entries: Iterable[EntryPoint]) -> Mapping[int, bool]:
        """The nodes of a function whose truth is sure in code that these entry points lead to."""
        asking = self._asks(evaluator)
        if not asking:
            return NOBODY
        entries = tuple(entries)
        found: dict[int, bool] = {}
        for index in asking:
            answers = {self._answer(evaluator, index, entry) for entry in entries}
            if len(answers) == 1 and (answer := answers.pop()) is not None:
                found[index] = answer
        return found

    def _asks(self, evaluator: Evaluator) -> tuple[int, ...]:
        """Comparisons with the current thread."""
        fid = evaluator.info.id
        if fid not in self._asking:
            self._asking[fid] = tuple(
                index
                for index, node in enumerate(evaluator.nodes)
                if type(node) is f.Derived
                and node.op in SAME
                and len(node.parts) == 2
                and any(self._thread(evaluator, part) == "current" for part in node.parts)
            )
        return self._asking[fid]

    def _thread(self, evaluator: Evaluator, index: int) -> str:
        """``current`` or ``main`` for a node that is that thread or its name, else an empty text."""
        node = evaluator.nodes[index]
        if type(node) is f.Attr and node.name in NAMES:
            return self._thread(evaluator, node.base)
        if type(node) is not f.Result:
            return ""
        call = evaluator.info.facts.events[node.event]
        assert isinstance(call, f.Call)
        return next((self.who[obj.name] for obj in evaluator.eval(call.func) if obj.name in self.who), "")

    def _answer(self, evaluator: Evaluator, index: int, entry: EntryPoint) -> bool | None:
        node = evaluator.nodes[index]
        assert isinstance(node, f.Derived)
        (other,) = [part for part in node.parts if self._thread(evaluator, part) != "current"] or (-1,)
        if other < 0:
            return None
        is_it = self._is(evaluator, other, entry)
        return None if is_it is None else is_it == SAME[node.op]

    def _is(self, evaluator: Evaluator, index: int, entry: EntryPoint) -> bool | None:
        """Whether code of this entry point runs in the thread that a node stands for."""
        if self._thread(evaluator, index) == "main":
            return {"main": True, "signal": True, "thread": False, "pool": False}.get(entry.kind)
        node = evaluator.nodes[index]
        if entry.kind not in ("thread", "pool") or type(node) is not f.Attr:
            return None
        noted = self._noted.get(node.name)
        return False if noted and noted.isdisjoint(self._from(entry.target.name)) else None

    @cached_property
    def _noted(self) -> dict[str, frozenset[str]]:
        """Names of attributes that are only ever set to the running thread (or to None), with the functions that do."""
        found: dict[str, set[str]] = defaultdict(set)
        others: set[str] = set()
        for fid, info in self.world.symbols.functions.items():
            evaluator = Evaluator(self.world, info)
            nodes = info.facts.nodes
            for event in info.facts.events:
                if type(event) is not f.Access or event.kind != "store":
                    continue
                target = nodes[event.target]
                if type(target) is not f.Attr:
                    continue
                if event.value >= 0 and self._thread(evaluator, event.value) == "current":
                    found[target.name].add(fid)
                elif not _is_none(nodes, event.value):
                    others.add(target.name)
        return {name: frozenset(fids) for name, fids in found.items() if name not in others}

    def _from(self, fid: str) -> frozenset[str]:
        """A function and all that it leads to."""
        if fid not in self._led_to:
            self._led_to[fid] = led_to(self.calls, (fid,))
        return self._led_to[fid]


def _is_none(nodes: tuple[f.Node, ...], index: int) -> bool:
    node = nodes[index] if index >= 0 else None
    return type(node) is f.Const and node.text == "None"
