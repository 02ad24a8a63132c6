"""Branches a call cannot take: tests of parameters that are constants in this call (``def close(self, locked=False)``).

Constants come from the call or, when it leaves the argument out, from the default (conditional constant propagation,
one call at a time).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from racelint.link.objects import Obj
from racelint.model import facts as f

# Constants whose truth decides tests, as source text.
TRUTH = {"None": False, "False": False, "True": True, '""': False, "''": False, "0": False}
NOTHING: Mapping[int, bool] = {}


def asked(facts: f.Function) -> frozenset[str]:
    """Parameters that tests look at, or that are handed on to somebody who may."""
    found: set[str] = set()
    for block in facts.blocks:
        if block.test >= 0:
            found.update(_params(facts, block.test))
    for event in facts.events:
        if type(event) is f.Call:
            for node in (*event.args, *(value for _, value in event.kwargs)):
                value = facts.nodes[node]
                if type(value) is f.Param:
                    found.add(value.name)
    return frozenset(found)


def names(facts: f.Function) -> frozenset[str]:
    """Parameters that say which attribute is meant: ``getattr(self, name)``."""
    calls = (event for event in facts.events if type(event) is f.Call and len(event.args) >= 2)
    asking = (call for call in calls if facts.nodes[call.func] == f.Global("getattr"))
    return frozenset(node.name for call in asking if type(node := facts.nodes[call.args[1]]) is f.Param)


def _params(facts: f.Function, node: int) -> Iterator[str]:
    value = facts.nodes[node]
    if type(value) is f.Param:
        yield value.name
    elif type(value) is f.Derived:
        for part in value.parts:
            yield from _params(facts, part)
    elif type(value) is f.Phi:
        for option in value.options:
            yield from _params(facts, option)


def dead(
    facts: f.Function, params: Mapping[str, tuple[Obj, ...]], truths: Mapping[int, bool] = NOTHING
) -> frozenset[int]:
    """Blocks that cannot run when parameters hold this, and the ``truths`` of some nodes are known."""
    constants = {name: objs[0].name for name, objs in params.items() if len(objs) == 1 and objs[0].kind == "const"}
    if not constants and not truths:
        return frozenset()
    found: set[int] = set()
    for index, block in enumerate(facts.blocks):
        if block.parent in found and index:
            found.add(index)
        elif block.test >= 0 and block.kind in ("then", "else"):
            known = truth(facts, block.test, constants, truths)
            if known is not None and known != (block.kind == "then"):
                found.add(index)
    return frozenset(found)


def truth(
    facts: f.Function, node: int, constants: Mapping[str, str], truths: Mapping[int, bool] = NOTHING
) -> bool | None:
    """Whether a node is true when parameters are these constants; None when that is not known."""
    if node in truths:
        return truths[node]

    def of(inner: int) -> bool | None:
        return truth(facts, inner, constants, truths)

    value = facts.nodes[node]
    match value:
        case f.Const(text):
            return TRUTH.get(text)
        case f.Param(name):
            return TRUTH.get(constants[name]) if name in constants else None
        case f.Derived((inner,), "Not"):
            known = of(inner)
            return None if known is None else not known
        case f.Derived((left, right), "and"):
            both = {of(left), of(right)}
            return False if False in both else both.pop() if len(both) == 1 else None
        case f.Derived((left, right), "or"):
            both = {of(left), of(right)}
            return True if True in both else both.pop() if len(both) == 1 else None
        case f.Derived((left, right), "Is" | "IsNot" as op):
            same = _same(facts, left, right, constants)
            return None if same is None else same == (op == "Is")
        case f.Phi(options):
            every = {of(option) for option in options}
            return every.pop() if len(every) == 1 else None
        case _:
            return None


def _same(facts: f.Function, left: int, right: int, constants: Mapping[str, str]) -> bool | None:
    """Whether two constants are one, or None when one of them is not known to be a constant."""
    texts: list[str] = []
    for node in (left, right):
        value = facts.nodes[node]
        if type(value) is f.Const and value.text in TRUTH:
            texts.append(value.text)
        elif type(value) is f.Param and value.name in constants:
            texts.append(constants[value.name])
        else:
            return None
    return texts[0] == texts[1]
