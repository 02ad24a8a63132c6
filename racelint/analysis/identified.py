"""Entries of a shared container that each thread, or each task, has for itself: their keys say who they belong to.

``connections[threading.get_ident()] = connect()``: another thread has another number, so no two of them ever meet in
one entry. What such an entry holds belongs to that thread, too, as if it were kept in a ``threading.local``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from racelint.analysis.walk import Reached, State
from racelint.link.binding import argument
from racelint.link.call_sites import CallSites
from racelint.link.evaluate import Evaluator
from racelint.link.world import World
from racelint.model import facts as f

Who: TypeAlias = Literal["", "thread", "task"]
# Rows of the tables by whom their calls tell apart; there is one event loop in a thread.
WHO: dict[str, Who] = {"current": "thread", "loop": "thread", "task": "task"}
# Attributes and functions that make of who it is something else that only this one has.
NAMES = frozenset(("ident", "native_id", "name"))
KEEPING = frozenset(("id", "str", "repr", "hash"))
# Functions that hand a key on.
FAR = 4


class Identified:
    """Knows the keys that are made of who runs."""

    def __init__(self, world: World, sites: CallSites, evaluator: Callable[[str], Evaluator]) -> None:
        self.world = world
        self.evaluator = evaluator
        self.sites = sites
        self.who = {name: WHO[row.who] for row in world.tables.thread_identity if row.who in WHO for name in row.name}

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether two accesses by different threads (or tasks) are to an entry that each has for itself."""
        if a.touch.key < 0 or b.touch.key < 0 or not a.touch.content or not b.touch.content:
            return False
        first, second = self.key(a.state.fid, a.state, a.touch.key), self.key(b.state.fid, b.state, b.touch.key)
        if not first or not second:
            return False
        one_thread = a.group.kind == b.group.kind == "event-loop"
        return not (one_thread and first == second == "thread")

    def key(self, fid: str, state: State | None, node: int, depth: int = 0) -> Who:
        """Whether a key is another one in each thread or in each task, and in which of the two."""
        facts = self.world.symbols.functions[fid].facts
        value = facts.nodes[node] if node >= 0 and depth <= FAR else None
        match value:
            case f.Result(event):
                call = facts.events[event]
                assert isinstance(call, f.Call)
                names = {obj.name for obj in self.evaluator(fid).eval(call.func)}
                if len(names) != 1:
                    return ""
                (name,) = names
                if name in KEEPING and call.args:
                    return self.key(fid, state, call.args[0], depth + 1)
                return self.who.get(name, "")
            case f.Attr(base, name):
                return self.key(fid, state, base, depth + 1) if name in NAMES else ""
            case f.New(kind, items, _, _) if kind == "tuple":
                return next(filter(None, (self.key(fid, state, item, depth + 1) for item in items)), "")
            case f.Derived(parts):
                return next(filter(None, (self.key(fid, state, part, depth + 1) for part in parts)), "")
            case f.Phi(options):
                found = {self.key(fid, state, one, depth + 1) for one in options if not self._left_out(fid, state, one)}
                return found.pop() if len(found) == 1 else ""
            case f.Param(name) if state is not None and state.parent is not None:
                call = self.world.symbols.functions[state.parent.fid].facts.events[state.event]
                if not isinstance(call, f.Call):
                    return ""
                given = argument(self.world, (state.parent.fid, state.event), fid, name)
                return self.key(state.parent.fid, state.parent, given, depth + 1)
            case _:
                return ""

    def _left_out(self, fid: str, state: State | None, node: int) -> bool:
        """Whether a node is a parameter that is given nothing: ``if ident is None: ident = get_ident()``."""
        value = self.world.symbols.functions[fid].facts.nodes[node]
        if isinstance(value, f.Const):
            return value.text == "None"
        if not isinstance(value, f.Param):
            return False
        if state is None or state.parent is None:
            return not any(self.sites.given(fid, value.name))
        call = self.world.symbols.functions[state.parent.fid].facts.events[state.event]
        site = (state.parent.fid, state.event)
        return isinstance(call, f.Call) and argument(self.world, site, fid, value.name) < 0
