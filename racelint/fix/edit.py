"""The text of a file with the locks of some plans in it; everything outside the held statements stays as it was."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import libcst as cst
from libcst import matchers as m

from racelint.fix.plan import Hold, LockImport, NewLock, Plan
from racelint.fix.regions import Cover, Layout, blocks, merged


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
    held = tuple(Held(path, cover.line, cover.end_line) for cover, _, _ in edits.covers)
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
        self.covers: list[tuple[Cover, str, bool]] = []
        self.after: dict[cst.CSTNode, list[str]] = defaultdict(list)
        self.top: list[str] = []
        self.names: dict[cst.CSTNode, list[str]] = defaultdict(list)
        self.taken = set(re.findall(r"\w+", layout.module.code))

    # -- regions ------------------------------------------------------------------------------------------------------

    def hold(self, holds: Sequence[Hold]) -> None:
        """Cover what each hold asks for; those of one lock that touch become one."""
        by_lock: dict[str, list[Cover]] = defaultdict(list)
        walked: dict[tuple[str, int], bool] = {}
        for hold in holds:
            cover = self.layout.cover(hold.line, hold.end_line)
            if cover is None:
                raise NotPlaced(f"{hold.path}:{hold.line} has no statement to hold the lock over")
            header = self._loop(cover)
            if header is not None and not hold.compound:
                if hold.walk or self._only_header(header, hold):
                    walked[hold.lock, cover.line] = True
                    self.covers.append((cover, hold.lock, True))
                    continue
            if cover.end_line - cover.line > 0 and not hold.compound and self._header_only(cover):
                continue  # a plain look in the head of a branch or loop is one step by itself
            by_lock[hold.lock].append(cover)
        for lock, covers in sorted(by_lock.items()):
            self.covers.extend((cover, lock, False) for cover in merged(covers))
        self.covers = _outermost(self.covers)

    def _loop(self, cover: Cover) -> cst.For | None:
        (statement, *rest) = cover.statements
        return statement if isinstance(statement, cst.For) and not rest else None

    def _only_header(self, loop: cst.For, hold: Hold) -> bool:
        first, last = self.layout.lines(loop.iter)
        return first <= hold.line and hold.end_line <= last and hold.walk

    def _header_only(self, cover: Cover) -> bool:
        (statement, *rest) = cover.statements
        return not rest and isinstance(statement, (cst.If, cst.While, cst.For, cst.Try, cst.With))

    # -- the lock itself ----------------------------------------------------------------------------------------------

    def make(self, new: NewLock) -> None:
        """Define the lock beside what it guards."""
        statement, prefix = self._definition(new)
        factory = self._factory("RLock" if new.reentrant else "Lock")
        if isinstance(statement, cst.SimpleStatementLine) and prefix == "field":
            raise NotPlaced(f"{new.variable} is a field of a data class")
        self.after[statement].append(f"{prefix}{new.name} = {factory}()")

    def _definition(self, new: NewLock) -> tuple[cst.CSTNode, str]:
        body: cst.Module | cst.IndentedBlock = self.layout.module
        parts = [part for part in new.owner.split(".") if part not in ("<locals>", "")]
        for part in parts:
            body = self._scope(body, part)
        prefix = ""
        if new.scope == "a":
            body = self._scope(body, "__init__")
            prefix = "self."
        for statement in _statements(body):
            if _binds(statement, new.variable, "self" if new.scope == "a" else ""):
                return statement, prefix
        raise NotPlaced(f"where {new.variable} is first bound was not found")

    def _scope(self, body: cst.Module | cst.IndentedBlock, name: str) -> cst.IndentedBlock:
        for statement in _statements(body):
            if isinstance(statement, (cst.FunctionDef, cst.ClassDef)) and statement.name.value == name:
                if isinstance(statement.body, cst.IndentedBlock):
                    return statement.body
        raise NotPlaced(f"no {name} with a body of its own")

    def _factory(self, kind: str) -> str:
        """How this file writes ``threading.Lock``; imports are added where there are none."""
        for statement in self.layout.module.body:
            if not isinstance(statement, cst.SimpleStatementLine):
                continue
            for small in statement.body:
                if isinstance(small, cst.Import):
                    for alias in small.names:
                        if m.matches(alias.name, m.Name("threading")):
                            return f"{alias.evaluated_alias or 'threading'}.{kind}"
                if isinstance(small, cst.ImportFrom) and _module(small) == "threading":
                    if isinstance(small.names, cst.ImportStar):
                        continue
                    for alias in small.names:
                        if m.matches(alias.name, m.Name(kind)):
                            return alias.evaluated_alias or kind
                    if kind not in self.taken:
                        if kind not in self.names[small]:
                            self.names[small].append(kind)
                        return kind
        if "threading" not in self.top:
            self.top.append("threading")
        return f"threading.{kind}"

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
        self.by_block: dict[cst.CSTNode, list[tuple[Cover, str, bool]]] = defaultdict(list)
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
        extra = {index for index, node in enumerate(original) if node in self.edits.after}
        if not items and not extra:
            return None
        found: list[cst.BaseStatement] = []
        index = 0
        starts = {cover.first: (cover, lock, walk) for cover, lock, walk in items}
        while index < len(updated):
            if index in starts:
                cover, lock, walk = starts[index]
                taken = list(updated[index : cover.last + 1])
                found.extend(self._walked(taken[0], lock) if walk else [_with(lock, taken)])
                upto = cover.last + 1
            else:
                found.append(updated[index])
                upto = index + 1
            for place in range(index, upto):
                for text in self.edits.after.get(original[place], ()):
                    found.append(cst.parse_statement(text, self.edits.layout.module.config_for_parsing))
            index = upto
        return found

    def _walked(self, statement: cst.BaseStatement, lock: str) -> list[cst.BaseStatement]:
        """A loop over a copy that was taken under the lock."""
        assert isinstance(statement, cst.For)
        name = self.edits.fresh("snapshot")
        call = cst.Call(cst.Name("list"), [cst.Arg(statement.iter.with_changes(lpar=[], rpar=[]))])
        copy = cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name(name))], call)])
        loop = statement.with_changes(iter=cst.Name(name), leading_lines=[])
        return [_with(lock, [copy], statement.leading_lines), loop]


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


def _outermost(covers: list[tuple[Cover, str, bool]]) -> list[tuple[Cover, str, bool]]:
    """Without what lies inside another cover of the same lock, or is the same loop a second time."""
    kept: list[tuple[Cover, str, bool]] = []
    for cover, lock, walk in sorted(covers, key=lambda item: (item[0].line, -item[0].end_line, item[2])):
        inside = any(
            other_lock == lock and not other_walk and other.line <= cover.line and cover.end_line <= other.end_line
            for other, other_lock, other_walk in kept
        )
        if not inside and not any(other.line == cover.line and other_lock == lock for other, other_lock, _ in kept):
            kept.append((cover, lock, walk))
    return kept
