"""Live views of mappings: ``d.items()``, ``d.values()``, ``d.keys()``."""

from __future__ import annotations

from racelint.model import facts as f

VIEWS = ("items", "values", "keys")


def viewed(facts: f.Function, node: int) -> int:
    """The mapping that a node is a view of; the node itself when it is none."""
    value = facts.nodes[node] if node >= 0 else None
    call = facts.events[value.event] if type(value) is f.Result else None
    func = facts.nodes[call.func] if type(call) is f.Call and not (call.args or call.kwargs) else None
    return func.base if type(func) is f.Attr and func.name in VIEWS else node
