"""Tasks that an object keeps in an attribute of its own, and looks at again: it has one of them at a time.

``self._task = create_task(self._run())`` is awaited, cancelled or asked for before the next one is started; a task that
is only put into a set (against the garbage collector), or that nobody looks at, may run beside others of its kind.
"""

from __future__ import annotations

from collections.abc import Iterator

from racelint.link.awaited import given
from racelint.link.call_sites import Event
from racelint.link.classes import owner_of
from racelint.link.world import World
from racelint.model import facts as f


class Kept:
    """Knows of the attributes of ``self`` that hold the result of a call."""

    def __init__(self, world: World) -> None:
        self.world = world

    def slot(self, fid: str, index: int) -> str:
        """The attribute that a call's result is stored in, when some method of the class reads it; else nothing."""
        facts = self.world.symbols.functions[fid].facts
        for event in facts.events[index + 1 :]:
            if isinstance(event, f.Access) and event.kind == "store" and event.value >= 0:
                value, name = facts.nodes[event.value], self._of_self(facts, event.target)
                if isinstance(value, f.Result) and value.event == index and name:
                    return name if any(self._reads(method, name) for method in self._family(fid)) else ""
        return ""

    def awaited(self, fid: str, name: str) -> set[Event]:
        """Where methods of the class of a function wait for the end of what is in an attribute."""
        return {(method, index) for method in self._family(fid) for index in self._waits(method, name)}

    def _family(self, fid: str) -> Iterator[str]:
        """The methods of the class of a function, of its bases and of its subclasses."""
        owner = owner_of(self.world.symbols, fid)
        if owner is not None:
            own = self.world.class_of(owner)
            for cid in dict.fromkeys((*own.mro, *own.subclasses)):
                yield from self.world.class_of(cid).methods.values()

    def _of_self(self, facts: f.Function, node: int) -> str:
        """The name of an attribute of the receiver; nothing for other nodes."""
        target = facts.nodes[node] if node >= 0 else None
        if not isinstance(target, f.Attr) or not facts.params:
            return ""
        base = facts.nodes[target.base]
        return target.name if isinstance(base, f.Param) and base.name == facts.params[0].name else ""

    def _reads(self, fid: str, name: str) -> bool:
        facts = self.world.symbols.functions[fid].facts
        return any(
            isinstance(event, f.Access) and event.kind == "load" and self._of_self(facts, event.target) == name
            for event in facts.events
        )

    def _waits(self, fid: str, name: str) -> Iterator[int]:
        facts = self.world.symbols.functions[fid].facts
        for index, event in enumerate(facts.events):
            if isinstance(event, f.Suspend) and event.how == "await":
                node = facts.nodes[event.value]
                call = facts.events[node.event] if isinstance(node, f.Result) else None
                passed = given(facts, call) if isinstance(call, f.Call) else ()
                if any(self._of_self(facts, value) == name for value in (event.value, *passed)):
                    yield index
