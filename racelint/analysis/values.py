"""Plain values: those that may be computed twice and kept once, and nobody is the worse for it.

Two threads that fill in a host name, a version or a flag on first use store equal values; two that open a connection or
make a container each keep one that the other does not know.
"""

from __future__ import annotations

from racelint.analysis.flow import Flow
from racelint.frameworks.schema import Matcher
from racelint.link.annotations import PLAIN
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj, Objs
from racelint.link.world import World
from racelint.model import facts as f

MAX_DEPTH = 5
PLAIN_TYPES = (*PLAIN, "tuple", "frozenset")
# Accesses that change what they are to.
CHANGING = frozenset(("store", "set", "grow", "del", "unset"))
# Operators whose result is one of their operands.
CHOOSING = ("and", "or")
COMPARING = frozenset(
    (
        "Equal",
        "NotEqual",
        "LessThan",
        "LessThanEqual",
        "GreaterThan",
        "GreaterThanEqual",
        "Is",
        "IsNot",
        "In",
        "NotIn",
        "Not",
    )
)


MAKERS = frozenset(("__init__", "__new__", "__post_init__"))


class Values:
    """Knows which nodes are plain values."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls = Matcher.of([row for row in world.tables.value if row.name])
        self.methods = frozenset(name for row in world.tables.value for name in row.methods)
        self.reports = frozenset(name for row in world.tables.report for name in (*row.name, *row.methods))
        self.stateless = frozenset(name for row in world.tables.stateless for name in row.name)
        self._holding = frozenset(str(cell[1]) for cell in world.cells if cell[0] == "a")
        self._evaluators: dict[str, Evaluator] = {}
        self._returns: dict[str, bool] = {}
        self._changing: dict[str, bool] = {}
        self._stored: dict[str, dict[str, bool]] = {}

    def plain(self, fid: str, node: int, depth: int = 0) -> bool:
        """Whether node ``node`` of a function is surely a plain value."""
        if node < 0 or depth > MAX_DEPTH:
            return False
        facts = self.world.symbols.functions[fid].facts
        value = facts.nodes[node]
        match value:
            case f.Const():
                return True
            case f.Phi(options):
                return any(self._declared_plain(fid, option) for option in options) or all(
                    self.plain(fid, option, depth + 1) for option in options
                )
            case f.Derived(parts, op):
                if op == "instance":
                    return self._named_plain(fid, parts[0])
                if op in CHOOSING:
                    return all(self.plain(fid, part, depth + 1) for part in parts)
                return (
                    op == "format"
                    or op in COMPARING
                    or " " in op
                    or all(self.plain(fid, part, depth + 1) for part in parts)
                )
            case f.New("tuple", items, _, _):
                return all(self.plain(fid, item, depth + 1) for item in items)
            case f.Awaited(base):
                return self.plain(fid, base, depth + 1)
            case f.Param(name):
                return any(p.name == name and self._named_plain(fid, p.annotation) for p in facts.params)
            case f.Global(name):
                return self._constant_variable(fid, name)
            case f.Result(event):
                return self._called(fid, event, depth) or self._interchangeable(fid, node)
            case _:
                return False

    def _constant_variable(self, fid: str, name: str) -> bool:
        """Whether a module variable only ever gets constants (``HAVE_X = True`` .. ``except: HAVE_X = False``)."""
        module = self.world.symbols.functions[fid].module
        stored = self._stored.get(module)
        if stored is None:
            stored = self._stored[module] = {}
            for info in self.world.symbols.functions.values():
                if info.module != module:
                    continue
                nodes = info.facts.nodes
                for event in info.facts.events:
                    if type(event) is f.Access and event.kind == "store":
                        target = nodes[event.target]
                        if type(target) is f.Global:
                            constant = event.value >= 0 and type(nodes[event.value]) is f.Const
                            stored[target.name] = constant and stored.get(target.name, True)
        return stored.get(name, False)

    def returned_plain(self, fid: str, flow: Flow, event: int) -> bool:
        """Whether a function that stores something returns it as a plain value (``-> str``)."""
        facts = flow.facts
        stored = facts.events[event]
        return (
            type(stored) is f.Access
            and self._named_plain(fid, facts.returns)
            and any(type(e) is f.Return and flow.same_path(e.value, stored.target) for e in facts.events)
        )

    def stateful(self, cid: str) -> bool:
        """Whether instances of a class change after they have been made: their own methods assign attributes."""
        if cid not in self._changing:
            functions = self.world.symbols.functions
            methods = [
                functions[fid]
                for parent in self.world.class_of(cid).mro
                for fid in self.world.class_of(parent).methods.values()
            ]
            self._changing[cid] = any(_changes(info.facts) for info in methods if info.facts.name not in MAKERS)
        return self._changing[cid]

    def objects(self, fid: str, node: int) -> Objs:
        """The objects a node of a function may be."""
        return self._evaluator(fid).eval(node)

    def stored_plain(self, cid: str, name: str) -> bool:
        """Whether the methods of a class only ever store plain values in an attribute of ``self``."""
        info = self.world.class_of(cid)
        for fid in info.methods.values():
            facts = self.world.symbols.functions[fid].facts
            for event in facts.events:
                if type(event) is not f.Access or event.kind != "store":
                    continue
                target = facts.nodes[event.target]
                if type(target) is f.Attr and target.name == name and not self.plain(fid, event.value):
                    return False
        return True

    def report(self, fid: str, call: f.Call) -> bool:
        """Whether a call only tells somebody something: a line in a log, a warning."""
        evaluator = self._evaluator(fid)
        node = evaluator.nodes[call.func]
        callees = evaluator.eval(call.func)
        if any(callee.kind in ("func", "bound", "class") for callee in callees):
            return False
        if type(node) is f.Attr and node.name in self.reports:
            return True
        return any(callee.kind == "symbol" and callee.name in self.reports for callee in callees)

    def _evaluator(self, fid: str) -> Evaluator:
        found = self._evaluators.get(fid)
        if found is None:
            found = self._evaluators[fid] = Evaluator(self.world, self.world.symbols.functions[fid])
        return found

    def _declared_plain(self, fid: str, node: int) -> bool:
        value = self.world.symbols.functions[fid].facts.nodes[node]
        return type(value) is f.Derived and value.op == "instance" and self._named_plain(fid, value.parts[0])

    def _named_plain(self, fid: str, annotation: int) -> bool:
        """Whether an annotation names plain types only: ``str``, ``int | None``, ``Optional[bool]``."""
        if annotation < 0:
            return False
        node = self.world.symbols.functions[fid].facts.nodes[annotation]
        match node:
            case f.Const(text):
                return text in PLAIN_TYPES
            case f.Global(name):
                return name in PLAIN_TYPES
            case f.Derived(parts, op) if op in ("BitOr", "tuple"):
                return all(self._named_plain(fid, part) for part in parts)
            case f.Item(base, key):
                names = {obj.name.rpartition(".")[2] for obj in self._evaluator(fid).eval(base)}
                if names & {"Optional", "Union"}:
                    return self._named_plain(fid, key)
                return bool(names & {"tuple", "Tuple", "Literal"})
            case _:
                return False

    def _called(self, fid: str, event: int, depth: int) -> bool:
        evaluator = self._evaluator(fid)
        call = evaluator.info.facts.events[event]
        assert isinstance(call, f.Call)
        callees = evaluator.eval(call.func)
        func = evaluator.nodes[call.func]
        if type(func) is f.Attr and func.name in self.methods:
            return not any(callee.kind in ("func", "bound", "class") for callee in callees)
        return bool(callees) and all(self._gives_plain(callee, depth) for callee in callees)

    def _interchangeable(self, fid: str, node: int) -> bool:
        """Whether a call makes an instance that keeps nothing: two of them cannot be told apart but by identity."""
        objs = self._evaluator(fid).eval(node)
        return bool(objs) and all(obj.kind == "inst" and self._keeps_nothing(obj.name) for obj in objs)

    def _keeps_nothing(self, cid: str) -> bool:
        info = self.world.class_of(cid)
        return self.stateless.issuperset(info.external) and not any(
            parent in self._holding
            or self.world.class_of(parent).own_attrs
            or "__init__" in self.world.class_of(parent).methods
            for parent in info.mro
        )

    def _gives_plain(self, callee: Obj, depth: int) -> bool:
        if callee.kind == "symbol":
            return self.calls.first(callee.name) is not None
        if callee.kind not in ("func", "bound"):
            return False
        fid = callee.name
        if fid not in self._returns:
            self._returns[fid] = False  # recursion proves nothing
            facts = self.world.symbols.functions[fid].facts
            given = [event.value for event in facts.events if type(event) is f.Return]
            self._returns[fid] = not facts.is_generator and (
                self._named_plain(fid, facts.returns)
                or (bool(given) and all(self.plain(fid, value, depth + 1) for value in given))
            )
        return self._returns[fid]


def _changes(facts: f.Function) -> bool:
    """Whether a method assigns attributes of its receiver, or changes what they hold."""
    if not facts.params:
        return False
    me = f.Param(facts.params[0].name)
    for event in facts.events:
        target = -1
        if type(event) is f.Access and event.kind in CHANGING:
            target = event.target
        elif type(event) is f.Call and not event.used:
            target = event.func  # `self.items.append(x)`
        node = facts.nodes[target] if target >= 0 else None
        steps = 0
        while isinstance(node, f.Attr | f.Item) and steps < MAX_DEPTH:
            node, steps = facts.nodes[node.base], steps + 1
        if node == me and steps > isinstance(event, f.Call):
            return True
    return False
