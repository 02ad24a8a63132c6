"""The text of a file with the locks of some plans in it; everything outside the held statements stays as it was."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import libcst as cst
from libcst import matchers as m

from racelint.fix.plan import Hold, LockImport, NewLock, Plan
from racelint.fix.regions import Cover, Layout, blocks, merged

# What is done to the statements of a cover: hold the lock over them, walk over a copy, test before the branch.
How = Literal["hold", "walk", "test", "leave"]


class NotPlaced(Exception):
    """A plan asks for an edit that has no place in the file; the message says which."""


@dataclass(frozen=True, slots=True)
class Held:
    """Statements of a file that a plan puts under a lock: lines ``line`` to ``end_line``."""

    path: str
    line: int
    end_line: int


def edit(source: bytes, path: str, plans: Iterable[Plan]) -> tuple[bytes, tuple[Held, ...]]:
    """``source`` with the edits of all plans for ``path``, and what they hold. Raises NotPlaced."""
    layout = Layout(source)
    edits = _Edits(layout)
    for plan in plans:
        edits.hold([hold for hold in plan.holds if hold.path == path])
        if plan.made is not None and plan.made.path == path:
            edits.make(plan.made)
        for wanted in plan.imports:
            if wanted.path == path:
                edits.bring(wanted)
    module = edits.applied()
    held = tuple(Held(path, *edits.held(cover, how)) for cover, _, how in edits.covers)
    return spliced(source, layout.module.bytes, module.bytes), held


def spliced(source: bytes, parsed: bytes, edited: bytes) -> bytes:
    """``edited`` with the lines that no edit touched taken from ``source``: parsing forgets form feeds.

    Raises NotPlaced when the lines of ``parsed`` are not those of ``source``.
    """
    if source == parsed:
        return edited
    originals, before, after = (data.splitlines(keepends=True) for data in (source, parsed, edited))
    if len(originals) != len(before):
        raise NotPlaced("its text is not kept byte for byte by the parser")
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    found: list[bytes] = []
    for tag, start, end, to_start, to_end in matcher.get_opcodes():
        found.extend(originals[start:end] if tag == "equal" else after[to_start:to_end])
    return b"".join(found)


class _Edits:
    """Collects the edits of one file, then makes them in one pass."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.covers: list[tuple[Cover, str, How]] = []
        self.after: dict[cst.CSTNode, list[str]] = defaultdict(list)
        self.before: dict[cst.CSTNode, list[str]] = defaultdict(list)
        self.top: list[str] = []
        self.names: dict[cst.CSTNode, list[str]] = defaultdict(list)
        self.taken = set(re.findall(r"\w+", layout.module.code))

    # -- regions ------------------------------------------------------------------------------------------------------

    def hold(self, holds: Sequence[Hold]) -> None:
        """Cover what each hold asks for; those of one lock that touch become one."""
        by_lock: dict[str, list[Cover]] = defaultdict(list)
        for hold in holds:
            cover = self.layout.cover(hold.line, hold.end_line)
            if cover is None:
                raise NotPlaced(f"{hold.path}:{hold.line} has no statement to hold the lock over")
            how = "hold" if hold.compound else self._how(cover, hold)
            if how == "leave":
                continue
            if how != "hold":
                self.covers.append((cover, hold.lock, how))
                continue
            by_lock[hold.lock].append(cover)
        for lock, covers in sorted(by_lock.items()):
            self.covers.extend((cover, lock, "hold") for cover in merged(covers))
        self.covers = _outermost(self.covers)

    def _how(self, cover: Cover, hold: Hold) -> How:
        """How to cover one access: a loop's head by a copy, a branch's test before the branch."""
        (statement, *rest) = cover.statements
        if rest:
            return "hold"
        match statement:
            case cst.For() if hold.walk:
                return "walk"
            case cst.If():
                first, last = self.layout.lines(statement.test)
                return "test" if first <= hold.line and hold.end_line <= last else "leave"
            case cst.While() | cst.For() | cst.Try() | cst.With():
                return "leave"  # a plain look in the head of a loop is one step by itself
            case _:
                return "hold"

    def held(self, cover: Cover, how: How) -> tuple[int, int]:
        """The lines that stand under the lock in the end: of a loop or branch only its head."""
        statement = cover.statements[0]
        if how == "walk" and isinstance(statement, cst.For):
            return self.layout.lines(statement.iter)
        if how == "test" and isinstance(statement, cst.If):
            return self.layout.lines(statement.test)
        return cover.line, cover.end_line

    # -- the lock itself ----------------------------------------------------------------------------------------------

    def make(self, new: NewLock) -> None:
        """Define the lock beside what it guards."""
        factory = self._factory("RLock" if new.reentrant else "Lock")
        scope: cst.Module | cst.IndentedBlock = self.layout.module
        owner: cst.CSTNode = scope
        for part in new.owner.split("."):
            if part not in ("<locals>", ""):
                owner, scope = self._scope(scope, part)
        prefix = ""
        if new.scope == "a" and isinstance(owner, cst.ClassDef):
            if _is_dataclass(owner):
                self._field(scope, new, factory)
                return
            try:
                _, scope = self._scope(scope, "__init__")
                prefix = "self."
            except NotPlaced:
                pass  # one lock of the class guards what each of its instances has
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

    def _factory(self, kind: str) -> str:
        """How this file writes ``threading.Lock``."""
        return self._imported("threading", kind)

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

    # -- applying -----------------------------------------------------------------------------------------------------

    def applied(self) -> cst.Module:
        """The module with all edits."""
        changed = self.layout.module.visit(_Apply(self))
        assert isinstance(changed, cst.Module)
        for name in self.top:
            changed = _with_import(changed, name)
        return changed

    def fresh(self, name: str) -> str:
        """A variable name that the file does not use yet."""
        found, count = name, 2
        while found in self.taken:
            found, count = f"{name}_{count}", count + 1
        self.taken.add(found)
        return found


class _Apply(cst.CSTTransformer):
    def __init__(self, edits: _Edits) -> None:
        super().__init__()
        self.edits = edits
        self.by_block: dict[cst.CSTNode, list[tuple[Cover, str, How]]] = defaultdict(list)
        for item in edits.covers:
            self.by_block[item[0].block].append(item)

    def leave_IndentedBlock(self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock) -> cst.BaseSuite:
        body = self._body(original_node, original_node.body, updated_node.body)
        return updated_node if body is None else updated_node.with_changes(body=body)

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        body = self._body(original_node, original_node.body, updated_node.body)
        return updated_node if body is None else updated_node.with_changes(body=body)

    def leave_ImportFrom(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> cst.ImportFrom:
        wanted = self.edits.names.get(original_node)
        if not wanted or isinstance(updated_node.names, cst.ImportStar):
            return updated_node
        *rest, last = updated_node.names
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        added = [cst.ImportAlias(cst.Name(name), comma=comma) for name in wanted]
        added[-1] = added[-1].with_changes(comma=last.comma)
        before = rest[-1].comma if rest and isinstance(rest[-1].comma, cst.Comma) else comma
        return updated_node.with_changes(names=[*rest, last.with_changes(comma=before), *added])

    def _body(
        self, key: cst.CSTNode, original: Sequence[cst.CSTNode], updated: Sequence[cst.BaseStatement]
    ) -> list[cst.BaseStatement] | None:
        items = self.by_block.get(key, [])
        extra = any(node in self.edits.after or node in self.edits.before for node in original)
        if not items and not extra:
            return None
        found: list[cst.BaseStatement] = []
        index = 0
        starts = {cover.first: (cover, lock, how) for cover, lock, how in items}
        while index < len(updated):
            found.extend(self._parsed(self.edits.before.get(original[index], ())))
            if index in starts:
                cover, lock, how = starts[index]
                taken = list(updated[index : cover.last + 1])
                match how:
                    case "walk":
                        found.extend(self._walked(taken[0], lock))
                    case "test":
                        found.extend(self._tested(taken[0], lock))
                    case _:
                        found.append(_with(lock, taken))
                upto = cover.last + 1
            else:
                found.append(updated[index])
                upto = index + 1
            for place in range(index, upto):
                found.extend(self._parsed(self.edits.after.get(original[place], ())))
            index = upto
        return found

    def _parsed(self, texts: Iterable[str]) -> list[cst.BaseStatement]:
        config = self.edits.layout.module.config_for_parsing
        return [cst.ensure_type(cst.parse_statement(text, config), cst.SimpleStatementLine) for text in texts]

    def _walked(self, statement: cst.BaseStatement, lock: str) -> list[cst.BaseStatement]:
        """A loop over a copy that was taken under the lock."""
        assert isinstance(statement, cst.For)
        name = self.edits.fresh("snapshot")
        call = cst.Call(cst.Name("list"), [cst.Arg(statement.iter.with_changes(lpar=[], rpar=[]))])
        copy = cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name(name))], call)])
        loop = statement.with_changes(iter=cst.Name(name), leading_lines=[])
        return [_with(lock, [copy], statement.leading_lines), loop]

    def _tested(self, statement: cst.BaseStatement, lock: str) -> list[cst.BaseStatement]:
        """A branch whose test was made under the lock."""
        assert isinstance(statement, cst.If)
        name = self.edits.fresh("found")
        test = cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name(name))], statement.test)])
        branch = statement.with_changes(
            test=cst.Name(name), leading_lines=[], whitespace_before_test=cst.SimpleWhitespace(" ")
        )
        return [_with(lock, [test], statement.leading_lines), branch]


def _with(
    lock: str, statements: Sequence[cst.BaseStatement], leading: Sequence[cst.EmptyLine] | None = None
) -> cst.With:
    """``with lock:`` over statements; comments above the first stay above it, earlier holds of this lock dissolve."""
    first, *rest = statements
    if leading is None:
        leading = getattr(first, "leading_lines", ())
        first = first.with_changes(leading_lines=[]) if hasattr(first, "leading_lines") else first
    body = [part for statement in (first, *rest) for part in _dissolved(statement, lock)]
    return cst.With([cst.WithItem(cst.parse_expression(lock))], cst.IndentedBlock(body), leading_lines=list(leading))


def _dissolved(statement: cst.BaseStatement, lock: str) -> list[cst.BaseStatement]:
    """The statements of a ``with`` over the same lock alone, else the statement itself."""
    if isinstance(statement, cst.With) and len(statement.items) == 1 and isinstance(statement.body, cst.IndentedBlock):
        item = statement.items[0]
        if item.asname is None and cst.Module([]).code_for_node(item.item) == lock:
            body = [part for part in statement.body.body if isinstance(part, cst.BaseStatement)]
            lines = [*statement.leading_lines, *getattr(body[0], "leading_lines", ())]
            return [body[0].with_changes(leading_lines=lines), *body[1:]]
    return [statement]


def _with_import(module: cst.Module, name: str) -> cst.Module:
    """``import name`` in its place among the plain imports at the top, after the docstring and ``__future__``."""
    body = list(module.body)
    position = 0
    for index, statement in enumerate(body):
        if not isinstance(statement, cst.SimpleStatementLine):
            break
        small = statement.body[0]
        if (
            isinstance(small, cst.Expr)
            and index == 0
            and isinstance(small.value, (cst.SimpleString, cst.ConcatenatedString))
        ):
            position = 1
        elif isinstance(small, cst.ImportFrom) and _module(small) == "__future__":
            position = index + 1
        elif isinstance(small, cst.Import):
            spelled = cst.Module([]).code_for_node(small.names[0].name)
            if spelled > name:
                break
            position = index + 1
        elif not isinstance(small, cst.ImportFrom):
            break
    added = cst.parse_statement(f"import {name}")
    assert isinstance(added, cst.SimpleStatementLine)
    following = body[position] if position < len(body) else None
    if isinstance(following, cst.SimpleStatementLine) and _is_import(following):
        added = added.with_changes(leading_lines=following.leading_lines)
        body[position] = following.with_changes(leading_lines=[])
    elif position > 0 and not _is_import(body[position - 1]):
        added = added.with_changes(leading_lines=[cst.EmptyLine(indent=False)])
    body.insert(position, added)
    return module.with_changes(body=body)


def _module(statement: cst.ImportFrom) -> str:
    """The module an import names, without the dots of a relative one."""
    return cst.Module([]).code_for_node(statement.module) if statement.module is not None else ""


def _is_import(statement: cst.CSTNode) -> bool:
    """Whether a line is an import, and not one from ``__future__``."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return False
    small = statement.body[0]
    return isinstance(small, cst.Import) or (isinstance(small, cst.ImportFrom) and _module(small) != "__future__")


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


def _outermost(covers: list[tuple[Cover, str, How]]) -> list[tuple[Cover, str, How]]:
    """Without what lies inside another cover of the same lock, or asks for the same statement a second time."""
    order = {"hold": 0, "walk": 1, "test": 2, "leave": 3}
    kept: list[tuple[Cover, str, How]] = []
    for cover, lock, how in sorted(covers, key=lambda item: (item[0].line, -item[0].end_line, order[item[2]])):
        inside = any(
            other_lock == lock
            and (
                (other_how == "hold" and other.line <= cover.line and cover.end_line <= other.end_line)
                or (other.block is cover.block and other.first == cover.first)
            )
            for other, other_lock, other_how in kept
        )
        if not inside:
            kept.append((cover, lock, how))
    return kept
