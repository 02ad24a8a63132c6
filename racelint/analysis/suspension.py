"""Where a coroutine really waits, so that other tasks of its loop get their turn."""

from __future__ import annotations

from racelint.link.calls import targets
from racelint.link.world import World
from racelint.model import facts as f


class Suspension:
    """Knows which awaits give way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._real: dict[str, bool] = {}
        self._blocking: dict[str, bool] = {}

    def really(self, fid: str, event: f.Suspend) -> bool:
        """``await f()`` on a coroutine of the project that never waits for anything does not give way."""
        return event.how != "await" or self._waits_for(fid, event.value)

    def _waits_for(self, fid: str, value: int) -> bool:
        """Whether awaiting a value gives way, as far as is known."""
        node = self.world.symbols.functions[fid].facts.nodes[value]
        if not isinstance(node, f.Result):
            return True
        callees = self.world.callees.get((fid, node.event), ())
        names = [callee.name for callee in callees if callee.kind in ("func", "bound")]
        if len(names) != len(callees) or not names:
            return True
        return any(self._waits(name) for name in names)

    def blocks(self, fid: str, index: int) -> bool:
        """Whether a call waits for something, itself or in what it leads to: a green thread gives way there."""
        for callee in self.world.callees.get((fid, index), ()):
            if callee.kind in ("symbol", "member"):
                if self.world.blocking.first(callee.name) is not None:
                    return True
            elif any(self._blocks(target.name) for target in targets(self.world, callee)):
                return True
        return False

    def _blocks(self, fid: str) -> bool:
        if fid not in self._blocking:
            self._blocking[fid] = False  # what only calls itself never gets to wait
            events = self.world.symbols.functions[fid].facts.events
            self._blocking[fid] = any(
                isinstance(event, f.Call) and self.blocks(fid, index) for index, event in enumerate(events)
            )
        return self._blocking[fid]

    def _waits(self, fid: str) -> bool:
        """Whether a coroutine function waits for anything, or a plain one hands back what does."""
        if fid not in self._real:
            facts = self.world.symbols.functions[fid].facts
            self._real[fid] = False  # a coroutine that only awaits itself never gets to wait
            if facts.is_async:
                found = any(type(event) is f.Suspend and self.really(fid, event) for event in facts.events)
            else:
                given = [event.value for event in facts.events if type(event) is f.Return]
                found = not given or any(self._waits_for(fid, value) for value in given)
            self._real[fid] = found
        return self._real[fid]
