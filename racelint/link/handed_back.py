"""Functions that return what they were given: ``def register(f): HANDLERS.append(f); return f``.

Of such a call it is not asked what the function returns to anybody, but what this one has handed in.
"""

from __future__ import annotations

from collections.abc import Iterator

from racelint.model import facts as f


def passed_back(facts: f.Function) -> frozenset[str]:
    """The parameters of a function that it returns as they are."""
    if facts.is_generator:
        return frozenset()
    return frozenset(node.name for index in _returned(facts) if isinstance(node := facts.nodes[index], f.Param))


def returned_otherwise(facts: f.Function, value: int) -> Iterator[int]:
    """The nodes that a returned value may be, but for parameters."""
    return (index for index in _options(facts, value) if not isinstance(facts.nodes[index], f.Param))


def _returned(facts: f.Function) -> Iterator[int]:
    for event in facts.events:
        if isinstance(event, f.Return):
            yield from _options(facts, event.value)


def _options(facts: f.Function, node: int, depth: int = 0) -> Iterator[int]:
    value = facts.nodes[node] if node >= 0 else None
    if isinstance(value, f.Phi) and depth < 3:
        for option in value.options:
            yield from _options(facts, option, depth + 1)
    elif value is not None:
        yield node
