"""The second walk: functions once more with the locks that some callers hold and others do not.

For races the caller without the lock is the one that counts, so the first walk leaves the others out. For deadlocks it
is the other way round. Functions that no entry point leads to are walked as well, as far as they hold locks: whoever
waits for a lock of its own needs no second context.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

import networkx as nx

from racelint.analysis.walk import MAX_DEPTH, MAX_DOUBT, Group, State, Walker

# Ways one function is followed with locks held, in one group of entry points.
WAYS_PER_FUNCTION = 12


class UnderLocks(Walker):
    """Follows calls only as long as a lock is held and something ahead may take one."""

    def __init__(self, walker: Walker, graph: nx.DiGraph[str]) -> None:
        super().__init__(
            walker.world,
            walker.locks,
            walker.effects,
            walker.sharing,
            walker.begins,
            walker.ends,
            walker.executors,
            walker.reach_begins,
            walker.active,
        )
        self.watch = walker.watch
        self.required = walker.required
        functions = self.world.symbols.functions
        self.takers = frozenset(fid for fid, info in functions.items() if info.facts.regions and self._takes(fid))
        self.ahead = _leading(graph, self.takers)

    def follow(self, group: Group, states: Iterable[State]) -> None:
        """Walk on from states the first walk has left out."""
        self._begin(group)
        for state in states:
            self._push(state)
        self._run()

    def alone(self, group: Group) -> None:
        """Walk the entry points of a group that nothing is known to run."""
        self._begin(group)
        for entry in group.entries:
            self._push_entry(entry)
        self._run()

    def _begin(self, group: Group) -> None:
        self.group = group
        self.ways: set[tuple[object, ...]] = set()
        self.per_function = defaultdict(int)
        self.queues = tuple(deque() for _ in range(MAX_DOUBT + 1))

    def _run(self) -> None:
        while (queue := next(filter(None, self.queues), None)) is not None:
            self._visit(queue.popleft())

    def _push(self, state: State) -> None:
        if state.depth > MAX_DEPTH or state.doubt > MAX_DOUBT or state.fid not in self.ahead:
            return
        if state.fid in self.required:
            state.held = tuple(dict.fromkeys((*state.held, *self.required[state.fid])))
        if not state.held and state.parent is not None:
            return
        key = (state.fid, state.params, state.bindings, state.held)
        if key in self.ways or self.per_function[state.fid] >= WAYS_PER_FUNCTION:
            return
        self.ways.add(key)
        self.per_function[state.fid] += 1
        self.queues[state.doubt].append(state)

    def _takes(self, fid: str) -> bool:
        """Whether a function enters a lock."""
        evaluator = self.evaluator(fid, (), ())
        return any(self._region(evaluator, region) for region in evaluator.info.facts.regions)

    def _record(self, *_: object) -> None:
        """Shared places have been seen by the first walk."""


def _leading(graph: nx.DiGraph[str], functions: frozenset[str]) -> frozenset[str]:
    """The functions from which some of these can be reached."""
    found: set[str] = set(functions)
    work = list(functions)
    while work:
        for caller in graph.predecessors(work.pop()):
            if caller not in found:
                found.add(caller)
                work.append(caller)
    return frozenset(found)
