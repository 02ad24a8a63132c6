"""What a program chooses between: classes of which one object does the work, each in its own way.

``self.workers = ThreadWorkers() if threads else GreenWorkers()``: what ``self.workers.spawn(f)`` starts is a thread, or
else it is a greenlet. The methods of both classes are called by the same calls, and these have one object to call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from racelint.link.call_sites import Event
from racelint.link.symbols import Symbols
from racelint.model import facts as f


class Choices:
    """Knows which functions are alternatives to each other."""

    def __init__(self, symbols: Symbols, callers: Mapping[str, Sequence[Event]]) -> None:
        self.symbols = symbols
        self.callers = callers
        self._known: dict[tuple[str, str], bool] = {}

    def exclude(self, one: str, other: str) -> bool:
        """Whether one function is called where the other one would be called, on an object of another class."""
        key = (one, other)
        if key not in self._known:
            self._known[key] = self._exclude(one, other)
        return self._known[key]

    def _exclude(self, one: str, other: str) -> bool:
        first, second = self.symbols.functions.get(one), self.symbols.functions.get(other)
        if first is None or second is None or one == other or first.cls is None or second.cls is None:
            return False
        calls = set(self.callers.get(one, ()))
        return (
            first.facts.name == second.facts.name
            and bool(calls)
            and calls == set(self.callers.get(other, ()))
            and all(self._one_object(call) for call in calls)
        )

    def _one_object(self, call: Event) -> bool:
        """Whether a method is called of what is kept in one place: an attribute, a variable of the module."""
        facts = self.symbols.functions[call[0]].facts
        made = facts.events[call[1]]
        func = facts.nodes[made.func] if isinstance(made, f.Call) else None
        base = facts.nodes[func.base] if isinstance(func, f.Attr) else None
        if isinstance(base, f.Attr):
            return isinstance(facts.nodes[base.base], f.Param | f.Captured | f.Global)
        return isinstance(base, f.Global)
