"""Entries of a container that each run of an entry point writes under a key which it alone is about.

``pool.submit(load, index, path)`` in a loop gives each run another ``index``; the handler object of a connection has
the address of its own client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from racelint.analysis.traced import Traced
from racelint.analysis.walk import Reached, State
from racelint.contexts.entry_points import EntryPoint
from racelint.link.call_sites import Event, loops
from racelint.link.evaluate import Evaluator
from racelint.link.passed import by_custom
from racelint.link.world import World
from racelint.model import facts as f


class OwnEntries(Traced):
    """Knows keys that are another one in each run."""

    steps = ()

    def __init__(self, world: World, evaluator: Callable[[str], Evaluator]) -> None:
        super().__init__(world)
        self.evaluator = evaluator

    def apart(self, a: Reached, b: Reached) -> bool:
        """Whether two runs of one entry point, or of one object's methods, come to one line with a key of their own."""
        again = (a.touch.fid, a.touch.event) == (b.touch.fid, b.touch.event)
        first, second = a.state.entry, b.state.entry
        methods = first.distinct_self and second.distinct_self and first.row == second.row
        return again and (first is second or methods) and self._keyed(a) and self._keyed(b)

    def _keyed(self, access: Reached) -> bool:
        return access.touch.key >= 0 and self.comes(access.state, access.touch.key, access.touch.event)

    def origin(self, state: State, node: int, event: int) -> bool:
        """Whether a value is an attribute of a receiver that this run alone has, or what only this run was given."""
        if state.parent is not None:
            return False
        entry, facts = state.entry, self.world.symbols.functions[state.fid].facts
        value = facts.nodes[node]
        if isinstance(value, f.Attr):
            receiver = f.Param(facts.params[0].name) if facts.params else None
            return entry.distinct_self and facts.nodes[value.base] == receiver
        if not isinstance(value, f.Param):
            return False
        given = [(site, arg) for site in entry.passes for arg in self._given(entry, site, value.name)]
        return bool(given) and all(self._met(site, arg) for site, arg in given)

    def _given(self, entry: EntryPoint, site: Event, name: str) -> Iterator[int]:
        """What a call that starts a run hands to a parameter, through ``partial`` as well."""
        evaluator = self.evaluator(site[0])
        events = evaluator.info.facts.events
        start = events[site[1]]
        assert isinstance(start, f.Call)
        made = (evaluator.nodes[arg] for arg in start.args)
        calls = [start, *(events[value.event] for value in made if isinstance(value, f.Result))]
        for call in calls:
            if isinstance(call, f.Call):
                for (_, fid, param), node in by_custom(self.world, evaluator, call):
                    if fid == entry.target.name and param == name:
                        yield node

    def _met(self, site: Event, node: int) -> bool:
        """Whether a value is what a loop around the start meets, or a part of that."""
        facts = self.world.symbols.functions[site[0]].facts
        value = facts.nodes[node]
        while isinstance(value, f.Part):
            value = facts.nodes[value.base]
        around = loops(facts, facts.events[site[1]].block)
        return isinstance(value, f.Elem) and any(facts.blocks[loop].test == value.base for loop in around)
