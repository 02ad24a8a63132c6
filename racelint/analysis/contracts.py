"""Written contracts: which lock guards a place, which locks a function requires, which places are never shared.

They stand in comments (``# racelint: guarded-by(_lock)``) or in code (``Annotated[..., GuardedBy("_lock")]`` and
``@requires("_lock")``, see ``racelint.annotations``). The meaning is that of ``GUARDED_BY`` and ``REQUIRES`` in Clang's
thread safety analysis and of ``+checklocks`` in gVisor: https://clang.llvm.org/docs/ThreadSafetyAnalysis.html,
https://pkg.go.dev/gvisor.dev/gvisor/tools/checklocks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from racelint import suppress
from racelint.analysis.lock_names import LockNames, NamedLock, UnknownLock
from racelint.analysis.locks import Lock, Locks
from racelint.layout import Layout, layout
from racelint.link.evaluate import Evaluator
from racelint.link.symbols import FunctionInfo, ModuleInfo
from racelint.link.world import World, const_text
from racelint.model import facts as f
from racelint.model.source import Problem
from racelint.model.spots import spot

Kind = Literal["guarded-by", "requires", "confined"]
# Contracts that a rule of the same name checks.
CHECKED: tuple[Kind, ...] = ("guarded-by", "requires")
MODULE = "racelint.annotations"
# Decorators and other lines between a comment and the definition it is about.
_SKIPPED = ("#", "@")


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract: ``subject`` is the place or function it is about, ``path``:``line`` where it is written."""

    kind: Kind
    subject: str
    path: str
    line: int
    named: NamedLock | None = None

    @property
    def where(self) -> str:
        """``path:line``."""
        return spot(self.path, self.line)


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contracts of a program: places by their names, functions by their ids (overrides inherit)."""

    guarded: Mapping[str, Contract] = field(default_factory=dict)
    confined: Mapping[str, Contract] = field(default_factory=dict)
    required: Mapping[str, tuple[Contract, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @property
    def held(self) -> dict[str, tuple[Lock, ...]]:
        """The locks that are held in functions because these require them."""
        return {
            fid: tuple(contract.named.lock for contract in found if contract.named is not None)
            for fid, found in self.required.items()
        }

    def of(self, place: str) -> Contract | None:
        """What is written about a place."""
        return self.guarded.get(place) or self.confined.get(place)

    def without(self, kinds: Iterable[Kind]) -> Contracts:
        """The contracts but those of some kinds: rules that are not asked for have no contracts."""
        out = frozenset(kinds)
        left = replace(self, guarded={}) if "guarded-by" in out else self
        return replace(left, required={}) if "requires" in out else left


def gather(world: World, locks: Locks, sources: Mapping[str, Sequence[str]]) -> Contracts:
    """Every contract of a program, and what is wrong with the others. ``sources``: the lines of files by paths."""
    gatherer = _Gatherer(world, locks)
    for module in world.symbols.modules.values():
        gatherer.comments(module, sources.get(module.path, ()))
        gatherer.annotated(module)
    gatherer.decorated()
    return gatherer.finished()


@dataclass(frozen=True, slots=True)
class _Definition:
    """An attribute or variable that is bound on a line: the name of the place, and the scope it is bound in."""

    place: str
    scope: FunctionInfo
    cid: str | None
    line: int
    annotation: int = -1


class _Gatherer:
    def __init__(self, world: World, locks: Locks) -> None:
        self.world = world
        self.names = LockNames(world, locks)
        self.places: dict[str, Contract] = {}
        self.required: dict[str, list[Contract]] = defaultdict(list)
        self.problems: set[Problem] = set()
        self._defined: dict[str, list[_Definition]] = {}

    def finished(self) -> Contracts:
        """What was found, with what overrides inherit."""
        required: dict[str, list[Contract]] = {fid: list(found) for fid, found in self.required.items()}
        for info in self.world.symbols.classes.values():
            for name, fid in info.methods.items():
                for parent in info.mro[1:]:
                    inherited = self.required.get(self.world.class_of(parent).methods.get(name, ""), ())
                    if inherited:
                        required.setdefault(fid, []).extend(inherited)
        return Contracts(
            {place: contract for place, contract in self.places.items() if contract.kind == "guarded-by"},
            {place: contract for place, contract in self.places.items() if contract.kind == "confined"},
            {fid: tuple(dict.fromkeys(found)) for fid, found in required.items()},
            tuple(sorted(self.problems)),
        )

    # -- comments -----------------------------------------------------------------------------------------------------

    def comments(self, module: ModuleInfo, lines: Sequence[str]) -> None:
        """The contracts in the comments of one file."""
        found = list(suppress.contracts(module.facts.comments))
        shape = layout(lines) if found else None
        for comment in found:
            assert shape is not None
            first, last = _statement(comment.line, lines, shape)
            if comment.kind == "requires":
                self._require(module, comment, first, last)
                continue
            kind: Kind = "guarded-by" if comment.kind == "guarded-by" else "confined"
            about = [item for item in self._definitions(module) if first <= item.line <= last]
            if not about:
                what = "a variable of the module or an attribute"
                self._problem(
                    module.path, comment.line, suppress.MALFORMED, f"'{kind}' stands at no definition of {what}"
                )
            for item in about:
                self._place(kind, item, comment.argument, comment.line)

    def _require(self, module: ModuleInfo, comment: suppress.Comment, first: int, last: int) -> None:
        about = [
            f"{module.name}:{function.qualname}"
            for function in module.facts.functions
            if function.kind == "function" and function.name != "<lambda>" and first <= function.line <= last
        ]
        if not about:
            self._problem(module.path, comment.line, suppress.MALFORMED, "'requires' stands at no function")
        for fid in about:
            self._function(fid, [name.strip() for name in comment.argument.split(",")], comment.line)

    # -- code ---------------------------------------------------------------------------------------------------------

    def annotated(self, module: ModuleInfo) -> None:
        """The contracts in the annotations of one file."""
        if not any(item.module.partition(".")[0] == "racelint" for item in module.facts.imports):
            return  # all others would have to be looked into for nothing
        for item in self._definitions(module):
            if item.annotation >= 0:
                evaluator = Evaluator(self.world, item.scope)
                for name, argument, line in self._metadata(evaluator, item.annotation):
                    if name == "GuardedBy":
                        self._place("guarded-by", item, argument, line or item.line)
                    elif name == "Confined":
                        self._place("confined", item, "", line or item.line)

    def _metadata(self, evaluator: Evaluator, index: int, depth: int = 0) -> Iterator[tuple[str, str, int]]:
        """What ``Annotated`` says in an annotation: name, argument and line (0: unknown) of racelint's own metadata."""
        parts: tuple[int, ...] = ()
        match evaluator.nodes[index]:
            case f.Metadata(func, args, line):
                for name in self._own_names(evaluator, func):
                    yield name, (const_text(evaluator.nodes[args[0]]) or "") if args else "", line
            case f.Item(base, key):
                parts = (base, key)
            case f.Derived(inner, _):
                parts = inner
            case _ if depth:
                for name in self._own_names(evaluator, index):
                    yield name, "", 0
        for part in parts if depth < 4 else ():
            yield from self._metadata(evaluator, part, depth + 1)

    def decorated(self) -> None:
        """The contracts that ``@requires`` makes."""
        for info in list(self.world.symbols.functions.values()):
            if not info.facts.decorators:
                continue
            scope = self.world.symbols.functions[self.world.scope_of(info)]
            for index in info.facts.decorators:
                node = scope.facts.nodes[index]
                call = scope.facts.events[node.event] if isinstance(node, f.Result) else None
                if isinstance(call, f.Call) and "requires" in self._own_names(Evaluator(self.world, scope), call.func):
                    named = [const_text(scope.facts.nodes[arg]) or "" for arg in call.args]
                    self._function(info.id, named or [""], call.line)

    def _own_names(self, evaluator: Evaluator, index: int) -> set[str]:
        """The names that something has in ``racelint.annotations``; it may be a module of the project as well."""
        dotted = {
            obj.name.replace(":", ".") for obj in evaluator.eval(index) if obj.kind in ("symbol", "class", "func")
        }
        return {name.rpartition(".")[2] for name in dotted if name.rpartition(".")[0] == MODULE}

    # -- what is defined where ----------------------------------------------------------------------------------------

    def _definitions(self, module: ModuleInfo) -> list[_Definition]:
        """Every attribute and variable that is bound or declared in a file."""
        if module.name not in self._defined:
            self._defined[module.name] = list(self._bound(module))
        return self._defined[module.name]

    def _bound(self, module: ModuleInfo) -> Iterator[_Definition]:
        for cls in module.facts.classes:
            body = self.world.symbols.functions[f"{module.name}:{cls.body}"]
            lines = dict(cls.declared)
            for name, annotation in cls.annotations:
                yield self._attribute(
                    f"{module.name}:{cls.qualname}", name, body, lines.get(name, cls.line), annotation
                )
        for function in module.facts.functions:
            scope = self.world.symbols.functions[f"{module.name}:{function.qualname}"]
            for event in function.events:
                if not isinstance(event, f.Access) or event.kind != "store" or event.aug:
                    continue
                annotation = _annotation(function, event.value)
                match function.nodes[event.target]:
                    case f.Attr(base, name):
                        for obj in Evaluator(self.world, scope).eval(base):
                            if obj.kind in ("inst", "class"):
                                yield self._attribute(obj.name, name, scope, event.line, annotation)
                    case f.ClassVar(owner, name):
                        yield self._attribute(f"{module.name}:{owner}", name, scope, event.line, annotation)
                    case f.Global(name):
                        yield _Definition(f"{module.name}.{name}", scope, None, event.line, annotation)

    def _attribute(self, cid: str, name: str, scope: FunctionInfo, line: int, annotation: int) -> _Definition:
        home = self.world.home(cid, name)[0]
        return _Definition(f"{self.world.class_of(home).display}.{name}", scope, cid, line, annotation)

    # -- contracts ----------------------------------------------------------------------------------------------------

    def _place(self, kind: Kind, item: _Definition, text: str, line: int) -> None:
        named = None
        if kind == "guarded-by":
            named = self._lock(text, item.scope, item.cid, line)
            if named is None:
                return
        known = self.places.get(item.place)
        contract = Contract(kind, item.place, item.scope.path, line, named)
        if known is not None and (known.kind, known.named) != (contract.kind, contract.named):
            message = f"{item.place} has another contract at {known.where}"
            self._problem(item.scope.path, line, suppress.MALFORMED, message)
            return
        self.places.setdefault(item.place, contract)

    def _function(self, fid: str, texts: Iterable[str], line: int) -> None:
        info = self.world.symbols.functions[fid]
        cid = info.cls
        outer = info.parent
        while cid is None and outer is not None:  # a closure in a method sees its self
            cid = self.world.symbols.functions[outer].cls
            outer = self.world.symbols.functions[outer].parent
        for text in texts:
            named = self._lock(text, info, cid, line, parameters=True)
            if named is not None:
                self.required[fid].append(Contract("requires", info.display, info.path, line, named))

    def _lock(
        self, text: str, scope: FunctionInfo, cid: str | None, line: int, *, parameters: bool = False
    ) -> NamedLock | None:
        try:
            return self.names.find(text, scope, cid, parameters=parameters)
        except UnknownLock as error:
            self._problem(scope.path, line, suppress.UNKNOWN_LOCK, str(error))
            return None

    def _problem(self, path: str, line: int, rule: str, message: str) -> None:
        self.problems.add(Problem(path, line, rule, message))


def _annotation(function: f.Function, value: int) -> int:
    """The annotation beside a value: ``x: T = value``."""
    node = function.nodes[value] if value >= 0 else None
    for option in node.options if isinstance(node, f.Phi) else ():
        declared = function.nodes[option]
        if isinstance(declared, f.Derived) and declared.op == "instance":
            return declared.parts[0]
    return -1


def _statement(line: int, lines: Sequence[str], shape: Layout) -> tuple[int, int]:
    """The lines a comment is about: its own statement's, or those below when it stands alone."""
    if line in shape.statements or not 0 < line <= len(lines):
        return shape.statement(line)
    while line < len(lines):
        line = shape.statement(line)[1] + 1
        if line in shape.statements and not lines[line - 1].lstrip().startswith(_SKIPPED):
            break
    return shape.statement(line)
