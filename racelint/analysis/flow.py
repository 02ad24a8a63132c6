"""Inside one function: which events a value depends on, and which tests control an event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from racelint.link.again import children, within
from racelint.link.symbols import FunctionInfo
from racelint.model import facts as f

TOLERATED = ("KeyError", "IndexError", "LookupError", "AttributeError", "ValueError", "Exception", "BaseException")


class Flow:
    """Data and control dependence of one function's events."""

    def __init__(self, facts: f.Function) -> None:
        self.facts = facts
        self._deps: dict[int, frozenset[int]] = {}
        self._controls: dict[tuple[int, int], bool] = {}
        self._tested: dict[int, bool] = {}

    @cached_property
    def _made_by(self) -> dict[int, int]:
        """Node -> the event that reads or computes it."""
        found: dict[int, int] = {}
        for index, event in enumerate(self.facts.events):
            if isinstance(event, (f.Access, f.Call)) and event.result >= 0:
                found.setdefault(event.result, index)
        return found

    @cached_property
    def _iterated(self) -> frozenset[int]:
        return frozenset(e.target for e in self.facts.events if type(e) is f.Access and e.kind == "iter")

    def deps(self, node: int) -> frozenset[int]:
        """The events whose results flow into a node's value."""
        if node < 0:
            return frozenset()
        found = self._deps.get(node)
        if found is not None:
            return found
        made_by = self._made_by
        found = self._deps[node] = frozenset(made_by[one] for one in within(node, self.parts) if one in made_by)
        return found

    def parts(self, node: int) -> tuple[int, ...]:
        """The nodes that a node is made of; which class something is an instance of is none of them."""
        value = self.facts.nodes[node]
        return () if declared(value) else children(self.facts, value)

    def ancestors(self, block: int) -> list[int]:
        """A block and those around it, innermost first."""
        found = []
        while block >= 0:
            found.append(block)
            block = self.facts.blocks[block].parent
        return found

    def controls(self, check: int, act: int) -> bool:
        """Whether ``act`` happens because of what ``check`` saw: a test it flows into, or an exception it may raise."""
        found = self._controls.get((check, act))
        if found is None:
            found = self._controls[check, act] = self._decides(check, act)
        return found

    def _decides(self, check: int, act: int) -> bool:
        event = self.facts.events[act]
        checked = self.facts.events[check]
        for index in self.ancestors(event.block):
            block = self.facts.blocks[index]
            if block.kind == "except":
                if block.tried is not None and block.tried[0] <= check < block.tried[1]:
                    if isinstance(checked, (f.Access, f.Call)) and any(name in TOLERATED for name in block.catches):
                        return True
            elif block.test >= 0 and block.test not in self._iterated:
                if check in self.deps(block.test):
                    return True
        return False

    def caught(self, index: int) -> bool:
        """Whether an exception raised at an event is expected: a handler catches what is raised for a missing thing."""
        for block in self.facts.blocks:
            if block.kind == "except" and block.tried is not None and block.tried[0] <= index < block.tried[1]:
                if not block.catches or any(name.rpartition(".")[2] in TOLERATED for name in block.catches):
                    return True
        return False

    def refused(self, check: int, act: int) -> bool:
        """Whether an exception is raised where what ``check`` asks for is not as ``act`` needs it."""
        blocks = self.facts.blocks
        tests = {
            (blocks[index].test, blocks[index].kind == "then")
            for index in self.ancestors(self.facts.events[act].block)
            if blocks[index].test >= 0 and check in self.deps(blocks[index].test)
        }
        return any(
            (blocks[index].test, blocks[index].kind != "then") in tests
            for raising in self.facts.raising
            for index in self.ancestors(raising)
        )

    def constructs(self, index: int) -> bool:
        """Whether an event is a constructor's assignment to an attribute of the object it makes."""
        event = self.facts.events[index]
        if self.facts.name != "__init__" or type(event) is not f.Access or event.kind != "store":
            return False
        target = self.facts.nodes[event.target]
        if type(target) is not f.Attr or not self.facts.params:
            return False
        return self.facts.nodes[target.base] == f.Param(self.facts.params[0].name)

    def compared(self, a: int, b: int, act: int) -> bool:
        """Whether a test on the way to ``act`` looks at the results of both events."""
        tests = (self.facts.blocks[block].test for block in self.ancestors(self.facts.events[act].block))
        return any({a, b} <= self.deps(test) for test in tests if test >= 0 and test not in self._iterated)

    def tested(self, check: int) -> bool:
        """Whether anything in the function is decided by this event."""
        if check not in self._tested:
            self._tested[check] = self._decides_something(check)
        return self._tested[check]

    def _decides_something(self, check: int) -> bool:
        return any(
            block.test >= 0 and block.test not in self._iterated and check in self.deps(block.test)
            for block in self.facts.blocks
        )

    def same_value(self, a: int, b: int, depth: int = 0) -> bool | None:
        """Whether two nodes are the same value: True, False (different constants), or None (not known)."""
        if a == b and a >= 0:
            return True
        if a < 0 or b < 0 or depth > 6:
            return None
        first, second = self.facts.nodes[a], self.facts.nodes[b]
        match first, second:
            case f.Const(x), f.Const(y):
                return x == y
            case (f.Param(x), f.Param(y)) | (f.Global(x), f.Global(y)):
                return True if x == y else None
            case f.Captured(o, x), f.Captured(p, y):
                return True if (o, x) == (p, y) else None
            case f.Attr(x, n), f.Attr(y, m):
                return (self.same_value(x, y, depth + 1) or None) if n == m else None
            case f.Item(x, k), f.Item(y, m):
                same = self.same_value(x, y, depth + 1) and self.same_value(k, m, depth + 1)
                return same or None
            case (f.New(k, xs, _, _), f.New(m, ys, _, _)) if k == m and len(xs) == len(ys):
                parts = [self.same_value(x, y, depth + 1) for x, y in zip(xs, ys, strict=True)]
                return False if False in parts else (True if all(parts) else None)
            case (f.Derived(xs, o), f.Derived(ys, p)) if o == p and len(xs) == len(ys):
                parts = [self.same_value(x, y, depth + 1) for x, y in zip(xs, ys, strict=True)]
                return True if all(parts) else None
            case _:
                return None

    def asks_only(self, check: int, act: int) -> bool:
        """Whether the tests that ``check`` decides on the way to ``act`` look at its value and at nothing else."""
        event = self.facts.events[check]
        if not isinstance(event, (f.Access, f.Call)):
            return False
        asked = event.target if type(event) is f.Access else event.result
        for index in self.ancestors(self.facts.events[act].block):
            test = self.facts.blocks[index].test
            if test >= 0 and test not in self._iterated and check in self.deps(test):
                if not self._asks(test, check, asked):
                    return False
        return True

    def asked_in(self, check: int, act: int) -> frozenset[int]:
        """The lock regions of ``act`` that begin before the innermost test that ``check`` decides on the way to it."""
        facts = self.facts
        event = facts.events[act]
        assert isinstance(event, (f.Access, f.Call))
        for index in self.ancestors(event.block):
            block = facts.blocks[index]
            if block.test >= 0 and block.test not in self._iterated and check in self.deps(block.test):
                around = self.ancestors(block.parent)
                entered = {region: self._made_by.get(facts.regions[region].lock) for region in facts.held[event.held]}
                return frozenset(
                    region for region, at in entered.items() if at is not None and facts.events[at].block in around
                )
        return frozenset()

    def recomputed(self, node: int, check: int, act: int) -> bool:
        """Whether a value is the result of a call made for it alone: the tests before ``act`` look at none of it.

        ``if age > limit: self.version = read()`` is a refresh; ``if x > self.most: self.most = x`` is not.
        """
        value = self.facts.nodes[node] if node >= 0 else None
        if type(value) is not f.Result or check in self.deps(node):
            return False
        call = self.facts.events[value.event]
        assert isinstance(call, f.Call)
        tests = [test for block in self.ancestors(self.facts.events[act].block) if (test := self._test(block)) >= 0]
        given = (*call.args, *(argument for _, argument in call.kwargs))
        asked = {event for test in tests for event in self.deps(test)}
        if value.event in asked or any(asked & self.deps(argument) for argument in given):
            return False
        names = {name for test in tests for name in self.param_names(test)} - {"self", "cls"}
        return all(names.isdisjoint(self.param_names(argument)) for argument in given)

    def _test(self, block: int) -> int:
        return self.facts.blocks[block].test

    def _asks(self, test: int, check: int, target: int) -> bool:
        """Whether a test asks for a value alone; what else an ``and`` asks for on its own does not matter."""
        value = self.facts.nodes[test]
        if type(value) is f.Derived and value.op == "and":
            return all(self._asks(part, check, target) for part in value.parts if check in self.deps(part))
        return self._made_of(test, target)

    def _made_of(self, node: int, target: int) -> bool:
        value = self.facts.nodes[node]
        if type(value) is f.Const or self.same_path(node, target):
            return True
        return type(value) is f.Derived and all(self._made_of(part, target) for part in value.parts)

    def same_receiver(self, a: int, b: int) -> bool:
        """Whether two events access the same object: one access path, or one accessor called twice alike.

        Two variables that may hold the same abstract object are two objects as a rule: the original and its copy, the
        parent and the child.
        """
        first, second = self._receiver(a), self._receiver(b)
        return first < 0 or second < 0 or self.same_path(first, second)

    def _receiver(self, index: int) -> int:
        """The node an event looks into: the object of an attribute, the container of an item; -1 when it has none."""
        event = self.facts.events[index]
        if type(event) is f.Call:
            func = self.facts.nodes[event.func]
            return func.base if type(func) is f.Attr else -1
        if type(event) is not f.Access:
            return -1
        return event.target

    def same_path(self, a: int, b: int, depth: int = 0) -> bool:
        """Whether two nodes spell one access path: the same value, or the same attribute or item of it."""
        if self.same_value(a, b):
            return True
        if a < 0 or b < 0 or depth > 6:
            return a == b
        first, second = self.facts.nodes[a], self.facts.nodes[b]
        match first, second:
            case f.Phi(options), _:
                return any(self.same_path(option, b, depth + 1) for option in options)
            case _, f.Phi(options):
                return any(self.same_path(a, option, depth + 1) for option in options)
            case f.Attr(x, n), f.Attr(y, m):
                return n == m and self.same_path(x, y, depth + 1)
            case f.Item(x, k), f.Item(y, m):
                return self.same_path(x, y, depth + 1) and self.same_path(k, m, depth + 1)
            case f.Result(x), f.Result(y):
                return self._same_call(x, y, depth)
            case (f.Imported(), f.Imported()) | (f.ClassVar(), f.ClassVar()) | (f.SuperOf(), f.SuperOf()):
                return first == second
            case f.Awaited(x), f.Awaited(y):
                return self.same_path(x, y, depth + 1)
            case _:
                return False

    def _same_call(self, a: int, b: int, depth: int) -> bool:
        first, second = self.facts.events[a], self.facts.events[b]
        if type(first) is not f.Call or type(second) is not f.Call:
            return False
        if len(first.args) != len(second.args) or len(first.kwargs) != len(second.kwargs):
            return False
        pairs = [(first.func, second.func), *zip(first.args, second.args, strict=True)]
        pairs += [(x, y) for (_, x), (_, y) in zip(first.kwargs, second.kwargs, strict=True)]
        return all(self.same_path(x, y, depth + 1) for x, y in pairs)

    def completes(self, event: int) -> bool:
        """Whether what an access stores gets its attributes only afterwards: others may see it half made."""
        stored = self.facts.events[event]
        assert isinstance(stored, f.Access)
        for later in self.facts.events[event + 1 :]:
            if type(later) is f.Access and later.kind == "store":
                slot = self.facts.nodes[later.target]
                if type(slot) is f.Attr and (
                    self.same_path(slot.base, stored.target) or self.same_value(slot.base, stored.value)
                ):
                    return True
        return False

    def dereferenced(self, event: int) -> bool:
        """Whether the value read by an event is used as an object afterwards: ``x.attr``, ``x[k]`` or ``x()``."""
        read = self.facts.events[event]
        return (type(read) is f.Access or type(read) is f.Call) and read.result in self._bases

    @cached_property
    def _bases(self) -> frozenset[int]:
        """Nodes whose value is used as an object."""
        found = {node.base for node in self.facts.nodes if isinstance(node, (f.Attr, f.Item))}
        found.update(event.func for event in self.facts.events if type(event) is f.Call)
        return frozenset(found)

    def is_constant(self, node: int) -> bool:
        """Whether a value is a literal (None, a flag, a number) on every path."""
        if node < 0:
            return False
        value = self.facts.nodes[node]
        if type(value) is f.Const:
            return True
        if type(value) is f.Phi:
            plain = [o for o in value.options if not declared(self.facts.nodes[o])]
            return bool(plain) and all(self.is_constant(option) for option in plain)
        return False

    def is_empty(self, node: int) -> bool:
        """Whether a value is an empty container display: ``{}``, ``[]``."""
        value = self.facts.nodes[node] if node >= 0 else None
        return type(value) is f.New and not value.items

    def nodes_text(self, node: int) -> str:
        """The text of a literal, or nothing."""
        value = self.facts.nodes[node] if node >= 0 else None
        return value.text if type(value) is f.Const else ""

    def constants(self, node: int, depth: int = 0) -> frozenset[str] | None:
        """The literals a node may be (``"a"``, what a loop over ``("a", "b")`` gives); None when it may be others."""
        value = self.facts.nodes[node] if node >= 0 and depth < 4 else None
        match value:
            case f.Const(text):
                return frozenset((text,))
            case f.Phi(options):
                return self._all_constants(options, depth)
            case f.Elem(base):
                walked = self.facts.nodes[base]
                return self._all_constants(walked.items, depth) if type(walked) is f.New else None
            case _:
                return None

    def captured(self, node: int) -> bool:
        """Whether a node is a variable of an enclosing function: the same in every call of one closure."""
        return node >= 0 and type(self.facts.nodes[node]) is f.Captured

    def _all_constants(self, nodes: Iterable[int], depth: int) -> frozenset[str] | None:
        found: frozenset[str] = frozenset()
        for node in nodes:
            known = self.constants(node, depth + 1)
            if known is None:
                return None
            found |= known
        return found

    def keys_of(self, node: int) -> frozenset[str] | None:
        """The literal keys of a mapping that is written out here; None when there may be others."""
        value = self.facts.nodes[node] if node >= 0 else None
        return self._all_constants(value.keys, 0) if type(value) is f.New and value.kind == "dict" else None

    def same_always(self, node: int, *, values: bool = True) -> bool:
        """Whether a mapping is written out here with keys (and values) that do not depend on the call."""
        value = self.facts.nodes[node] if node >= 0 else None
        return (
            type(value) is f.New
            and value.kind == "dict"
            and bool(value.keys)
            and all(self._fixed(part) for part in (*value.keys, *(value.items if values else ())))
        )

    def _fixed(self, node: int) -> bool:
        value = self.facts.nodes[node] if node >= 0 else None
        match value:
            case f.Const() | f.Global() | f.Imported():
                return True
            case f.Attr(base, _):
                return self._fixed(base)
            case _:
                return False

    def is_none(self, node: int) -> bool:
        """Whether a value may be the literal None."""
        if node < 0:
            return False
        value = self.facts.nodes[node]
        if type(value) is f.Const:
            return value.text == "None"
        if type(value) is f.Phi:
            return any(self.is_none(option) for option in value.options)
        return False

    def given(self, node: int) -> frozenset[str]:
        """The parameters (but the receiver) that a value is made of."""
        values = (self.facts.nodes[one] for one in within(node, self.parts))
        return frozenset(value.name for value in values if type(value) is f.Param) - {"self", "cls"}

    def param_names(self, node: int) -> frozenset[str]:
        """Names of parameters (and constant attribute or item steps on them) a key is made of."""
        nodes = self.facts.nodes

        def steps(node: int) -> tuple[int, ...]:
            value = nodes[node]
            return (value.base,) if type(value) is f.Item else self.parts(node)

        found: set[str] = set()
        for value in map(nodes.__getitem__, within(node, steps)):
            if type(value) is f.Param or type(value) is f.Attr:
                found.add(value.name)
            elif type(value) is f.Item:
                key = nodes[value.key] if value.key >= 0 else None
                if type(key) is f.Const:
                    found.add(key.text.strip("'\""))
        return frozenset(found)


class Flows(dict[str, Flow]):
    """The flow of each function by its id, made on first use."""

    def __init__(self, functions: Mapping[str, FunctionInfo]) -> None:
        super().__init__()
        self.functions = functions

    def __missing__(self, fid: str) -> Flow:
        found = self[fid] = Flow(self.functions[fid].facts)
        return found


def declared(node: f.Node) -> bool:
    """Whether a node is only what an annotation promises."""
    return type(node) is f.Derived and node.op == "instance"
