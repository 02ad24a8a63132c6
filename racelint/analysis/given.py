"""Functions with what their parameters hold: evaluators of them, and what calls of them return.

Neither depends on who walks, so all walks of a program ask the same ``Given``.
"""

from __future__ import annotations

from racelint.analysis.arguments import Arguments, Params
from racelint.analysis.branches import dead
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Bindings, Obj, Objs
from racelint.link.results import CallResults
from racelint.link.world import World
from racelint.model import facts as f

# Calls that are looked into for what another one returns.
RETURN_DEPTH = 3
# Functions with more nodes are not looked into.
LARGE = 250


class Given:
    """What functions do with particular arguments."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.arguments = Arguments(world)
        self._evaluators: dict[tuple[str, Params, Bindings], Evaluator] = {}
        self._returned: dict[tuple[str, Params, Bindings], Objs] = {}

    def known(self, fid: str, params: Params, bindings: Bindings) -> Evaluator:
        """The one evaluator of a function that is given this."""
        key = (fid, params, bindings)
        found = self._evaluators.get(key)
        if found is None:
            found = self._evaluators[key] = self.evaluator(fid, params, bindings)
        return found

    def evaluator(self, fid: str, params: Params, bindings: Bindings) -> Evaluator:
        """A new one."""
        info = self.world.symbols.functions[fid]
        return Evaluator(self.world, info, dict(params), bindings, owners=True, returns=self._returns)

    def _returns(self, callee: Obj, caller: CallResults, call: f.Call) -> Objs | None:
        """What a call returns, given its arguments; None when the function is too large to look into."""
        assert isinstance(caller, Evaluator)
        info = self.world.symbols.functions[callee.name]
        facts = info.facts
        if caller.depth >= RETURN_DEPTH or facts.is_generator or len(facts.nodes) > LARGE:
            return None
        params = self.arguments.bind(callee, caller, call)
        key = (callee.name, params, callee.bindings)
        known = self._returned.get(key)
        if known is not None:
            return known
        # Recursion meets what is known without arguments; the same question is not answered twice.
        self._returned[key] = self.world.get(("r", callee.name))
        inner = caller.inside(info, dict(params), callee.bindings)
        found = inner.returned(dead(facts, inner.params))
        if found:
            self._returned[key] = found
        return self._returned[key]
