"""The order in which locks are taken: where two contexts take two locks in opposite order, each can wait for the other.

What counts is what is held when a shared place is touched, callers' locks included: a lock that guards nothing blocks
nobody for long. Source: the lock-order graphs of Havelund, "Using runtime analysis to guide model checking" (2000).
"""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx

from racelint.analysis.locks import Lock, same_lock
from racelint.analysis.walk import Reached


def taken_twice(reached: Iterable[Reached]) -> frozenset[object]:
    """Slots of locks that a context takes while it holds them, although they are not reentrant."""
    return frozenset(
        _slot(lock)
        for access in reached
        for position, (lock, region) in enumerate(access.held)
        if region >= 0 and not lock.reentrant and not lock.keyed
        for other, outer in access.held[:position]
        if outer != region and same_lock(lock, other)
    )


def cycles(reached: Iterable[Reached]) -> frozenset[frozenset[object]]:
    """Groups of slots of locks that are taken in more than one order."""
    graph: nx.DiGraph[object] = nx.DiGraph()
    for access in reached:
        slots = [_slot(lock) for lock, _ in access.held]
        graph.add_edges_from(
            (first, second) for position, second in enumerate(slots) for first in slots[:position] if first != second
        )
    return frozenset(frozenset(group) for group in nx.strongly_connected_components(graph) if len(group) > 1)


def _slot(lock: Lock) -> object:
    return lock.slot or lock.name
