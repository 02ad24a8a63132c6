"""What a library call hands to a function it is given: ``Thread(target=f, args=(x,), kwargs={"y": z})``.

By position and by name, each at once (``submit(f, x, y=z)``) or packed. Where libraries pack has a custom: ``args`` and
``kwargs``, or what stands behind the function. Where one does otherwise, its ``[[calls]]`` row says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from racelint.frameworks.schema import Argument, Calls
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import World, const_text
from racelint.model import facts as f

FUNCTIONS = ("target", "function", "func")
# A parameter of a project function, and the caller's node of what it gets.
Passed = Iterator[tuple[tuple[str, str, str], int]]


def by_custom(world: World, evaluator: Evaluator, call: f.Call) -> Passed:
    """What the functions among the arguments of a call get where nothing is known of it but that it calls them."""
    named = dict(call.kwargs)
    places = [*call.args, *(value for key, value in call.kwargs if key in FUNCTIONS)]
    for position, place in enumerate(places):
        for function in tuple(evaluator.eval(place)):
            if function.kind not in ("func", "bound"):
                continue
            behind = call.args[position + 1 :]
            packed = named.get("args", -1)
            if packed < 0 and behind and _display(evaluator, behind[0]) in ("tuple", "list") and len(behind) <= 2:
                packed = behind[0]
            keywords = named.get("kwargs", -1)
            if keywords < 0 and len(behind) == 2 and packed == behind[0]:
                keywords = behind[1]
            yield from _unpacked(world, evaluator, function, packed, keywords)
            yield from _positional(world, function, behind)
            yield from _named(world, function, named)


def by_row(world: World, evaluator: Evaluator, call: f.Call, function: Obj, row: Calls) -> Passed:
    """What a function gets of a call whose row says where its arguments are."""
    if function.kind in ("func", "bound"):
        packed, keywords = (_node(call, where) for where in (row.arguments, row.keywords))
        yield from _unpacked(world, evaluator, function, packed, keywords)


def _unpacked(world: World, evaluator: Evaluator, function: Obj, packed: int, keywords: int) -> Passed:
    """What is in a display of arguments and one of keywords, where there are such nodes."""
    if _display(evaluator, packed):
        display = evaluator.nodes[packed]
        assert isinstance(display, f.New)
        yield from _positional(world, function, display.items)
    if _display(evaluator, keywords) == "dict":
        display = evaluator.nodes[keywords]
        assert isinstance(display, f.New)
        texts = [const_text(evaluator.nodes[key]) if key >= 0 else None for key in display.keys]
        pairs = zip(texts, display.items, strict=False)
        yield from _named(world, function, {text: node for text, node in pairs if text is not None})


def _positional(world: World, function: Obj, nodes: tuple[int, ...]) -> Passed:
    params = [param.name for param in _facts(world, function).params if param.kind == "positional"]
    for name, node in zip(params[function.kind == "bound" :], nodes, strict=False):
        yield ("p", function.name, name), node


def _named(world: World, function: Obj, nodes: dict[str, int]) -> Passed:
    for param in _facts(world, function).params:
        if param.kind in ("positional", "keyword") and param.name in nodes:
            yield ("p", function.name, param.name), nodes[param.name]


def _facts(world: World, function: Obj) -> f.Function:
    return world.symbols.functions[function.name].facts


def _display(evaluator: Evaluator, node: int) -> str:
    """The kind of container that is written out at a node; empty when none is."""
    value = evaluator.nodes[node] if node >= 0 else None
    return value.kind if isinstance(value, f.New) else ""


def _node(call: f.Call, where: Argument | None) -> int:
    """The node of one argument of a call; -1 when it is left out."""
    if where is None:
        return -1
    position = where.position
    at = call.args[position] if position is not None and position < len(call.args) else -1
    return dict(call.kwargs).get(where.keyword or "", at)
