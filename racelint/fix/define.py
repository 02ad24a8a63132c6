"""Where a new lock is made, and how the names it needs get into a file."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence

import libcst as cst
from libcst import matchers as m

from racelint.fix.plan import LockImport, NewLock
from racelint.fix.regions import Layout, NotPlaced, blocks


class Definitions:
    """The statements that plans add to one file: ``before`` and ``after`` others, and among its imports."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.after: dict[cst.CSTNode, list[str]] = defaultdict(list)
        self.before: dict[cst.CSTNode, list[str]] = defaultdict(list)
        self.names: dict[cst.CSTNode, list[str]] = defaultdict(list)
        self.slots: dict[cst.CSTNode, list[str]] = defaultdict(list)
        self.top: list[str] = []
        self.taken = set(re.findall(r"\w+", layout.module.code))

    def make(self, new: NewLock) -> None:
        """Define the lock beside what it guards."""
        factory = self._imported(new.module, "RLock" if new.reentrant else "Lock")
        scope: cst.Module | cst.IndentedBlock = self.layout.module
        owner: cst.CSTNode = scope
        for part in new.owner.split("."):
            if part not in ("<locals>", ""):
                owner, scope = self._scope(scope, part)
        prefix = ""
        if new.scope == "a" and isinstance(owner, cst.ClassDef):
            slots = next((small for small in _assignments(scope) if _binds_name(small, "__slots__")), None)
            if _is_dataclass(owner):
                if slots is not None:
                    raise NotPlaced(f"{owner.name.value} is a data class that writes its __slots__ out")
                self._field(scope, new, factory)
                return
            try:
                _, scope = self._scope(scope, "__init__")
                prefix = "self."
            except NotPlaced:
                pass  # one lock of the class guards what each of its instances has
            else:
                self._slot(slots, new.name)
        text = f"{prefix}{new.name} = {factory}()"
        if new.early and prefix:
            self._first(scope, text, after_super=False)
            return
        for statement in _statements(scope):
            if _binds(statement, new.variable, prefix.rstrip(".")):
                self.after[statement].append(text)
                return
        if new.scope not in ("a", "k"):
            raise NotPlaced(f"where {new.variable} is first bound was not found")
        self._first(scope, text)

    def _slot(self, slots: cst.Assign | None, name: str) -> None:
        """Room for the lock in a class that lists its attributes."""
        if slots is None:
            return
        value = slots.value
        if isinstance(value, (cst.Tuple, cst.List)):
            if all(isinstance(element.value, cst.SimpleString) for element in value.elements):
                self.slots[slots].append(name)
                return
        elif isinstance(value, cst.SimpleString):
            self.slots[slots].append(name)
            return
        raise NotPlaced("its __slots__ are no list of names that one could be added to")

    def _field(self, scope: cst.Module | cst.IndentedBlock, new: NewLock, factory: str) -> None:
        """A field of a data class that takes no part in what data classes do with fields."""
        for statement in _statements(scope):
            if _binds(statement, new.variable, ""):
                field = self._imported("dataclasses", "field")
                options = f"default_factory={factory}, init=False, repr=False, compare=False"
                self.after[statement].append(f"{new.name}: {factory} = {field}({options})")
                return
        raise NotPlaced(f"{new.variable} is no field of the data class")

    def _first(self, scope: cst.Module | cst.IndentedBlock, text: str, *, after_super: bool = True) -> None:
        """A statement at the head of a body, after its docstring and what a constructor hands to its base."""
        body = [statement for statement in scope.body if isinstance(statement, cst.BaseStatement)]
        if not body:
            raise NotPlaced("there is no statement to put a lock beside")
        head = [
            statement
            for statement in body[:2]
            if _is_docstring(statement) or (after_super and _is_super_call(statement))
        ]
        if head and head[0] is body[0]:
            self.after[head[-1]].append(text)
        else:
            self.before[body[0]].append(text)

    def _scope(self, body: cst.Module | cst.IndentedBlock, name: str) -> tuple[cst.CSTNode, cst.IndentedBlock]:
        """The function or class of a name in a body, and its own body."""
        for statement in _statements(body):
            if isinstance(statement, (cst.FunctionDef, cst.ClassDef)) and statement.name.value == name:
                if isinstance(statement.body, cst.IndentedBlock):
                    return statement, statement.body
        raise NotPlaced(f"no {name} with a body of its own")

    def _imported(self, module: str, name: str) -> str:
        """How this file writes ``module.name``; an import is added where there is none."""
        for statement in self.layout.module.body:
            if not isinstance(statement, cst.SimpleStatementLine):
                continue
            for small in statement.body:
                if isinstance(small, cst.Import):
                    for alias in small.names:
                        if m.matches(alias.name, m.Name(module)):
                            return f"{alias.evaluated_alias or module}.{name}"
                if isinstance(small, cst.ImportFrom) and _module(small) == module and not small.relative:
                    if isinstance(small.names, cst.ImportStar):
                        continue
                    for alias in small.names:
                        if m.matches(alias.name, m.Name(name)):
                            return alias.evaluated_alias or name
                    if name not in self.taken or name in self.names[small]:
                        if name not in self.names[small]:
                            self.names[small].append(name)
                        return name
        if module not in self.top:
            self.top.append(module)
        return f"{module}.{name}"

    def bring(self, wanted: LockImport) -> None:
        """Import the lock where its variable is imported."""
        for node in m.findall(self.layout.module, m.ImportFrom()):
            assert isinstance(node, cst.ImportFrom)
            if isinstance(node.names, cst.ImportStar):
                continue
            if any(m.matches(alias.name, m.Name(wanted.variable)) for alias in node.names):
                self.names[node].append(wanted.name)
                return
        raise NotPlaced(f"{wanted.path} does not import {wanted.variable} by its name")


def _module(statement: cst.ImportFrom) -> str:
    """The module an import names, without the dots of a relative one."""
    return cst.Module([]).code_for_node(statement.module) if statement.module is not None else ""


def _statements(body: cst.Module | cst.IndentedBlock) -> Iterable[cst.CSTNode]:
    """The statements of a scope, those in branches included, those of inner functions and classes not."""
    for statement in body.body:
        yield statement
        if not isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
            for block in blocks(statement):
                yield from _statements(block)


def _is_dataclass(cls: cst.ClassDef) -> bool:
    """Whether a class is decorated as a data class of the standard library."""
    for decorator in cls.decorators:
        node = decorator.decorator.func if isinstance(decorator.decorator, cst.Call) else decorator.decorator
        if cst.Module([]).code_for_node(node) in ("dataclass", "dataclasses.dataclass"):
            return True
    return False


def _assignments(scope: cst.Module | cst.IndentedBlock) -> Iterable[cst.Assign]:
    """The assignments of a body."""
    for statement in _statements(scope):
        if isinstance(statement, cst.SimpleStatementLine):
            yield from (small for small in statement.body if isinstance(small, cst.Assign))


def _binds_name(assignment: cst.Assign, name: str) -> bool:
    return any(m.matches(target.target, m.Name(name)) for target in assignment.targets)


def with_slots(assignment: cst.Assign, names: Iterable[str]) -> cst.Assign:
    """A ``__slots__`` with more names, in the quotes and the layout it has; one name alone becomes a tuple."""
    value = assignment.value
    if isinstance(value, cst.SimpleString):
        value = cst.Tuple([cst.Element(value)])
    assert isinstance(value, (cst.Tuple, cst.List))
    elements = [cst.ensure_type(element, cst.Element) for element in value.elements]
    strings = [element.value for element in elements]
    quote = strings[-1].quote if strings and isinstance(strings[-1], cst.SimpleString) else '"'
    between = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    for name in names:
        comma: cst.Comma | cst.MaybeSentinel = cst.MaybeSentinel.DEFAULT
        before: cst.Comma | cst.MaybeSentinel = between
        if len(elements) > 1:
            comma, before = elements[-1].comma, _uncommented(elements[-2].comma)
        if elements:
            elements[-1] = elements[-1].with_changes(comma=before)
        elements.append(cst.Element(cst.SimpleString(f"{quote}{name}{quote}"), comma=comma))
    return assignment.with_changes(value=value.with_changes(elements=elements))


def _uncommented(comma: cst.Comma | cst.MaybeSentinel) -> cst.Comma | cst.MaybeSentinel:
    """A comma as it is laid out, without the comment behind it."""
    if isinstance(comma, cst.Comma) and isinstance(comma.whitespace_after, cst.ParenthesizedWhitespace):
        plain = comma.whitespace_after.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
        return comma.with_changes(whitespace_after=plain)
    return comma


def _is_docstring(statement: cst.CSTNode) -> bool:
    return m.matches(statement, m.SimpleStatementLine([m.Expr(m.SimpleString() | m.ConcatenatedString())]))


def _is_super_call(statement: cst.CSTNode) -> bool:
    call = m.Call(func=m.Attribute(m.Call(func=m.Name("super")), m.Name("__init__")))
    return m.matches(statement, m.SimpleStatementLine([m.Expr(call)]))


def _binds(statement: cst.CSTNode, variable: str, receiver: str) -> bool:
    """Whether a simple statement binds ``variable`` (of ``receiver``)."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return False
    wanted = m.Attribute(m.Name(receiver), m.Name(variable)) if receiver else m.Name(variable)
    for small in statement.body:
        targets = [target.target for target in small.targets] if isinstance(small, cst.Assign) else []
        if isinstance(small, cst.AnnAssign):
            targets = [small.target]
        for target in targets:
            parts = [element.value for element in target.elements] if isinstance(target, cst.Tuple) else [target]
            if any(m.matches(part, wanted) for part in parts):
                return True
    return False


def with_import(module: cst.Module, name: str) -> cst.Module:
    """``import name`` of the standard library in its place: sorted among its kind, in the group of its kind."""
    body = list(module.body)
    head = _head(body)
    added = cst.SimpleStatementLine([cst.Import([cst.ImportAlias(cst.Name(name))])])
    imports = [index for index in range(head, len(body)) if _imported_from(body[index]) is not None]
    imports = imports[: next((n for n, index in enumerate(imports) if index != imports[0] + n), len(imports))]
    standard = [index for index in imports if _is_standard(body[index])]
    plain = [index for index in standard if m.matches(body[index], m.SimpleStatementLine([m.Import()]))]
    sorted_before = [index for index in plain if (_imported_from(body[index]) or "") < name]
    if sorted_before:
        body.insert(sorted_before[-1] + 1, added)
        return module.with_changes(body=body)
    position = (plain or standard or imports or [head])[0]
    if position < len(body):
        following = body[position]
        leading: Sequence[cst.EmptyLine] = getattr(following, "leading_lines", ())
        blanks = 0 if plain or standard else 1 if imports or not _is_definition(following) else 2
        comments = [line for line in leading if line.comment is not None]
        if imports:
            added = added.with_changes(leading_lines=leading)
            leading = []
        elif head:
            added = added.with_changes(leading_lines=[cst.EmptyLine(indent=False)])
        leading = [*[cst.EmptyLine(indent=False)] * blanks, *(leading if imports else comments)]
        body[position] = following.with_changes(leading_lines=leading)
    body.insert(position, added)
    return module.with_changes(body=body)


def _head(body: Sequence[cst.CSTNode]) -> int:
    """How many statements have to stay first: the docstring and what comes from ``__future__``."""
    count = 0
    for index, statement in enumerate(body):
        if (index == 0 and _is_docstring(statement)) or _imported_from(statement) == "__future__":
            count = index + 1
        else:
            break
    return count


def _imported_from(statement: cst.CSTNode) -> str | None:
    """The module that a line imports (or imports from); None when it is no import; relative ones start with a dot."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return None
    match statement.body[0]:
        case cst.Import(names=[alias, *_]):
            return cst.Module([]).code_for_node(alias.name)
        case cst.ImportFrom() as small:
            return "." * len(small.relative) + _module(small)
        case _:
            return None


def _is_standard(statement: cst.CSTNode) -> bool:
    return (_imported_from(statement) or "").partition(".")[0] in sys.stdlib_module_names


def _is_definition(statement: cst.CSTNode) -> bool:
    return isinstance(statement, (cst.FunctionDef, cst.ClassDef))
