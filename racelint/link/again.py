"""What of a function has to be looked at again when something that it reads has grown.

Most of a function is not concerned by most of what changes. Its *parts* (events, exports, displays, defaults) are told
apart by the nodes they look at: a part is looked at again when a cell has grown that one of these has read. Sets of
nodes and parts are bits of a number. Source: semi-naive evaluation (Bancilhon and Ramakrishnan, "An amateur's
introduction to recursive query processing strategies", SIGMOD 1986).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from racelint.model import facts as f


def children(facts: f.Function, node: f.Node) -> tuple[int, ...]:
    """The nodes that may be evaluated for a node."""
    if type(node) is f.Attr or type(node) is f.Elem or type(node) is f.Part or type(node) is f.Awaited:
        return (node.base,)
    if type(node) is f.Result:
        call = facts.events[node.event]
        assert isinstance(call, f.Call)
        return _of_call(call)
    if type(node) is f.Derived:
        return node.parts
    if type(node) is f.Phi:
        return node.options
    if type(node) is f.Item:
        return (node.base, node.key)
    if type(node) is f.New:
        return (*node.items, *(key for key in node.keys if key >= 0))
    return ()


def within(node: int, parts: Callable[[int], Iterable[int]]) -> Iterator[int]:
    """A node and all that it is made of, each once; ``parts`` says what a node is made of, -1 is nothing."""
    work, seen = [node], set[int]()
    while work:
        current = work.pop()
        if current >= 0 and current not in seen:
            seen.add(current)
            yield current
            work.extend(parts(current))


def _flows(event: f.Event) -> bool:
    if type(event) is f.Access:
        return event.kind in ("store", "set", "grow")
    return type(event) is f.Call or type(event) is f.Return or type(event) is f.Yield


def _of_call(call: f.Call) -> tuple[int, ...]:
    return (call.func, *call.args, *(value for _, value in call.kwargs))


def _of_event(event: f.Event) -> tuple[int, ...]:
    if type(event) is f.Access:
        return (event.target, event.key, event.value)
    if type(event) is f.Call:
        return (*_of_call(event), event.result)
    if type(event) is f.Return or type(event) is f.Yield:
        return (event.value,)
    return ()


class Parts:
    """The parts of a function: the number of an event, or one of the three that follow.

    What a part looks at, and itself, are bits; those of nodes come first. It is found when a function is visited again.
    """

    def __init__(self, facts: f.Function) -> None:
        self.facts = facts
        # The events that let values flow.
        self.flows = tuple((i, event) for i, event in enumerate(facts.events) if _flows(event))
        self.made = tuple((i, node) for i, node in enumerate(facts.nodes) if type(node) is f.New and node.items)
        self.exports, self.shown, self.defaults = range(len(facts.events), len(facts.events) + 3)
        self._nodes = len(facts.nodes)

    @cached_property
    def looks(self) -> list[int]:
        """What each part looks at."""
        return self._found[0]

    @cached_property
    def displays(self) -> dict[int, int]:
        """What each display looks at."""
        return self._found[1]

    @cached_property
    def hands_over(self) -> dict[int, int]:
        """What each call looks at besides what it calls."""
        return self._found[2]

    @cached_property
    def _found(self) -> tuple[list[int], dict[int, int], dict[int, int]]:
        facts = self.facts
        reach, cyclic = _closures(facts)

        def seen(*nodes: int) -> int:
            return sum_of(reach[node] for node in nodes if node >= 0)

        looks = [seen(*_of_event(event)) | self.bit(index) for index, event in enumerate(facts.events)]
        looks.append(seen(*(node for _, nodes in facts.exports for node in nodes)) | self.bit(self.exports))
        displays = {index: seen(*node.items, *node.keys) | self.bit(self.shown) for index, node in self.made}
        # What a circle of nodes is depends on where it is entered first: those who look at one go together.
        together = sum_of(look for look in (*looks, *displays.values()) if look & cyclic)
        looks = [look | together if look & cyclic else look for look in looks]
        displays = {index: look | together if look & cyclic else look for index, look in displays.items()}
        hands_over: dict[int, int] = {}
        for index, event in enumerate(facts.events):
            if type(event) is f.Call:
                given = seen(*event.args, *(value for _, value in event.kwargs)) | self.bit(index)
                hands_over[index] = given | together if given & cyclic else given
                if event.decorates:
                    looks[index] = -1  # it depends on the decorators below it as well
        return looks, displays, hands_over

    def bit(self, part: int) -> int:
        """The bit of a part."""
        return 1 << (self._nodes + part)


def sum_of(masks: Iterable[int]) -> int:
    """All bits of some masks."""
    found = 0
    for mask in masks:
        found |= mask
    return found


def _closures(facts: f.Function) -> tuple[list[int], int]:
    """For each node the nodes that may be evaluated for it, itself included; and the nodes that are on circles."""
    below = [tuple(child for child in children(facts, node) if child >= 0) for node in facts.nodes]
    inside = [0] * len(below)
    # Without circles one round does, when what is inside comes first.
    changed = any(nodes and max(nodes) >= index for index, nodes in enumerate(below))
    for index, nodes in enumerate(below):
        for child in nodes:
            inside[index] |= inside[child] | 1 << child
    if not changed:
        return [found | 1 << index for index, found in enumerate(inside)], 0
    while changed:
        changed = False
        for index, nodes in enumerate(below):
            found = inside[index]
            for child in nodes:
                found |= inside[child] | 1 << child
            if found != inside[index]:
                inside[index] = found
                changed = True
    cyclic = sum_of(1 << index for index, found in enumerate(inside) if found >> index & 1)
    return [found | 1 << index for index, found in enumerate(inside)], cyclic
