"""Statements: bindings, control flow and lock regions of one scope."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from racelint.frontends.python.builder import Env
from racelint.frontends.python.expressions import Expressions
from racelint.model import facts as f


class Statements(Expressions, ABC):
    """Walks statements in source order. A suite returns whether control can leave it at its end."""

    def __init__(self) -> None:
        super().__init__()
        self._small: dict[type[cst.CSTNode], Callable[[Any], bool]] = {
            cst.Expr: self._expr,
            cst.Assign: self._assign,
            cst.AnnAssign: self._ann_assign,
            cst.AugAssign: self._aug_assign,
            cst.Return: self._return,
            cst.Raise: self._raise,
            cst.Del: self._del,
            cst.Assert: self._assert,
            cst.Pass: self._nothing,
            cst.Break: self._leave,
            cst.Continue: self._leave,
            cst.Global: self._global,
            cst.Nonlocal: self._nonlocal,
            cst.Import: self.import_statement,
            cst.ImportFrom: self.import_from,
            cst.TypeAlias: self.type_alias,
        }
        self._compound: dict[type[cst.CSTNode], Callable[[Any], bool]] = {
            cst.If: self._if,
            cst.For: self._for,
            cst.While: self._while,
            cst.With: self._with,
            cst.Try: self._try,
            cst.TryStar: self._try,
            cst.FunctionDef: self.function_def,
            cst.ClassDef: self.class_def,
            cst.Match: self._match,
        }

    # Implemented by the scope walker.
    @abstractmethod
    def function_def(self, node: cst.FunctionDef) -> bool:
        """A ``def`` statement."""

    @abstractmethod
    def class_def(self, node: cst.ClassDef) -> bool:
        """A ``class`` statement."""

    @abstractmethod
    def import_statement(self, node: cst.Import) -> bool:
        """``import a.b as c``."""

    @abstractmethod
    def import_from(self, node: cst.ImportFrom) -> bool:
        """``from a import b``."""

    @abstractmethod
    def type_alias(self, node: cst.TypeAlias) -> bool:
        """``type A[T] = B``."""

    # -- lines --------------------------------------------------------------------------------------------------------

    def empty_lines(self, lines: Sequence[cst.EmptyLine]) -> None:
        """Count blank and comment lines; a backslash makes one of them two."""
        self.line += len(lines)
        for line in lines:
            self.space(line.whitespace)

    def trailing(self, end: cst.TrailingWhitespace) -> None:
        """The end of a logical line: a backslash there makes it go on with an empty one."""
        self.space(end.whitespace)
        self.line += 1

    # -- suites -------------------------------------------------------------------------------------------------------

    def suite(self, body: cst.BaseSuite) -> bool:
        """Walk an indented block or the rest of a line; True when control can fall out of its end."""
        if type(body) is cst.IndentedBlock:
            self.trailing(body.header)
            falls = self.statements(body.body)
            self.empty_lines(body.footer)
            return falls
        assert isinstance(body, cst.SimpleStatementSuite)
        self.space(body.leading_whitespace)
        falls = self._small_statements(body.body)
        self.trailing(body.trailing_whitespace)
        return falls

    def statements(self, body: Sequence[cst.BaseStatement]) -> bool:
        """Walk statements; what follows a branch that left is controlled by that branch's test."""
        entry = self.b.block
        falls = True
        for statement in body:
            if type(statement) is cst.SimpleStatementLine:
                self.empty_lines(statement.leading_lines)
                falls = self._small_statements(statement.body)
                self.trailing(statement.trailing_whitespace)
            else:
                falls = self._compound[type(statement)](statement)
        self.b.block = entry
        return falls

    def _small_statements(self, body: Sequence[cst.BaseSmallStatement]) -> bool:
        falls = True
        for statement in body:
            falls = self._small[statement.__class__](statement)
            semicolon: Any = statement.semicolon
            if semicolon.__class__ is cst.Semicolon:
                self.space(semicolon.whitespace_before)
                self.space(semicolon.whitespace_after)
        return falls

    # -- small statements ---------------------------------------------------------------------------------------------

    def _height(self, target: cst.BaseExpression) -> int:
        """The newlines inside a target; most are names."""
        return 0 if target.__class__ is cst.Name and not target.lpar else self._newlines(target)

    def _nothing(self, node: cst.CSTNode) -> bool:
        return True

    def _leave(self, node: cst.CSTNode) -> bool:
        return False

    def _expr(self, node: cst.Expr) -> bool:
        value = node.value
        if value.__class__ is cst.Call and not value.lpar:
            self._call(value, used=False)
        elif value.__class__ is cst.SimpleString and not value.lpar:  # a docstring says nothing about values
            self.line += value.value.count("\n")
        else:
            self.read(value)
        return True

    def _assign(self, node: cst.Assign) -> bool:
        # Targets come first in the source but are stored to last: remember where each line count stands.
        start = self.line
        for target in node.targets:
            self.line += self._height(target.target)
            self.space(target.whitespace_before_equal)
            self.space(target.whitespace_after_equal)
        value = self.read(node.value)
        end = self.line
        self.line = start
        for target in node.targets:
            self.store(target.target, value)
        self.line = end
        return True

    def _ann_assign(self, node: cst.AnnAssign) -> bool:
        start = self.line
        self.line += self._height(node.target)
        self.space(node.annotation.whitespace_before_indicator)
        self.space(node.annotation.whitespace_after_indicator)
        annotation = self.annotation(node.annotation.annotation)
        if type(node.target) is cst.Name:
            self.declared(node.target.value, annotation)
        if node.value is not None:
            if node.equal.__class__ is cst.AssignEqual:
                self.space(node.equal.whitespace_before)
                self.space(node.equal.whitespace_after)
            value = self.read(node.value)
            typed = self.b.node(f.Phi((value, self.b.node(f.Derived((annotation,), "instance")))))
            end = self.line
            self.line = start
            self.store(node.target, typed)
            self.line = end
        elif type(node.target) is cst.Name and self.b.kind == "function":
            self.b.env[node.target.value] = self.b.node(f.Derived((annotation,), "instance"))
        return True

    def declared(self, name: str, annotation: int) -> None:
        """An annotated name; the scope walker records it in class bodies."""

    def annotation(self, expression: cst.BaseExpression) -> int:
        """The node of an annotation: its names are read, but it is not an access to anything."""
        b = self.b
        events, nodes = len(b.events), len(b.nodes)
        if type(expression) is cst.SimpleString:
            self.line += self._newlines(expression)
            try:
                value = expression.evaluated_value
                if not isinstance(value, str):
                    return b.node(f.Unknown())
                line = self.line
                index = self.read(cst.parse_expression(value.strip()))
                self.line = line
            except (cst.ParserSyntaxError, ValueError, SyntaxError, IndexError):
                return b.node(f.Unknown())
        else:
            index = self.read(expression)
        if len(b.events) > events:
            # What stands in an annotation is not evaluated as part of the function: no event may be left of it.
            for position in range(nodes, len(b.nodes)):
                node = b.nodes[position]
                if isinstance(node, f.Result):
                    call = b.events[node.event]
                    assert isinstance(call, f.Call)
                    given = (*call.args, *(value for _, value in call.kwargs))
                    b.nodes[position] = f.Metadata(call.func, given, call.line)
            del b.events[events:]
        return index

    def _aug_assign(self, node: cst.AugAssign) -> bool:
        b = self.b
        start = self.line
        target: Any = node.target
        if target.__class__ is cst.Name:
            old = b.read_name(target.value, self.line)
        else:
            old = self.read(target)
        sign: Any = node.operator
        self.space(sign.whitespace_before)
        self.space(sign.whitespace_after)
        change = self.read(node.value)
        operator = type(node.operator).__name__
        value = b.node(f.Derived((old, change), operator))
        end = self.line
        self.line = start
        if target.__class__ is cst.Name:
            name = target.value
            if operator in ("AddAssign", "BitOrAssign") and name in b.env and name not in b.globals | b.nonlocals:
                b.access("grow", b.env[name], start, value=change)
                if b.kind == "function":
                    # `x += y` keeps the identity of a container, and makes a new number: one of the two.
                    value = b.node(f.Phi((old, value)))
            self._rebind(name, value, start)
        elif target.__class__ is cst.Attribute:
            load = b.nodes[old]
            base = load.base if isinstance(load, f.Attr) else -1
            slot = b.node(f.Attr(base, target.attr.value))
            b.access("store", slot, start, value=value, aug=True)
        elif target.__class__ is cst.Subscript:
            item = b.nodes[old]
            if isinstance(item, f.Item):
                b.access("set", item.base, start, key=item.key, value=value, aug=True)
        self.line = end
        return True

    def _rebind(self, name: str, value: int, line: int) -> None:
        before = len(self.b.events)
        self.b.bind(name, value, line)
        for index in range(before, len(self.b.events)):
            event = self.b.events[index]
            if isinstance(event, f.Access) and event.kind == "store":
                self.b.events[index] = f.Access(
                    "store", event.target, line, event.block, event.held, -1, value, -1, True
                )

    def store(self, target: cst.BaseExpression, value: int) -> None:
        """Assign ``value`` to a target: a name, an attribute, an element, or a tuple of them."""
        b = self.b
        self._open(target)
        if type(target) is cst.Name:
            b.bind(target.value, value, self.line)
        elif type(target) is cst.Attribute:
            base = self.read(target.value)
            self.space(target.dot.whitespace_before)
            self.space(target.dot.whitespace_after)
            slot = b.node(f.Attr(base, target.attr.value))
            b.access("store", slot, self.line, value=value)
        elif type(target) is cst.Subscript:
            base = self.read(target.value)
            line = self.line
            key = self.key(target)
            b.access("set", base, line, key=key, value=value)
        elif isinstance(target, (cst.Tuple, cst.List)):
            if type(target) is cst.List:
                self.space(target.lbracket.whitespace_after)
            display = b.nodes[value]
            items = display.items if isinstance(display, f.New) and display.kind in ("tuple", "list") else ()
            exact = len(items) == len(target.elements)
            element: Any
            for index, element in enumerate(target.elements):
                starred = type(element) is cst.StarredElement
                if exact and not starred:
                    part = items[index]
                else:
                    part = b.node(f.Part(value, -1 if starred else index))
                if starred:
                    self.space(element.whitespace_before_value)
                self.store(element.value, part)
                self._comma(element.comma)
            if type(target) is cst.List:
                self.space(target.rbracket.whitespace_before)
        self._close(target)

    def _return(self, node: cst.Return) -> bool:
        b = self.b
        if node.whitespace_after_return.__class__ is cst.SimpleWhitespace:
            self.space(node.whitespace_after_return)
        value = self.read(node.value) if node.value is not None else -1
        b.events.append(f.Return(value, self.line, b.block, b.held_index()))
        return False

    def _raise(self, node: cst.Raise) -> bool:
        self.space(node.whitespace_after_raise)
        if node.exc is not None:
            self.read(node.exc)
        if node.cause is not None:
            self.space(node.cause.whitespace_before_from)
            self.space(node.cause.whitespace_after_from)
            self.read(node.cause.item)
        self.b.raising[self.b.block] = None
        return False

    def _assert(self, node: cst.Assert) -> bool:
        self.space(node.whitespace_after_assert)
        test = self.read(node.test)
        if node.comma.__class__ is cst.Comma:
            self._comma(node.comma)
        if node.msg is not None:
            self.read(node.msg)
        self.b.open_block("then", test)
        return True

    def _del(self, node: cst.Del) -> bool:
        self.space(node.whitespace_after_del)
        self._delete(node.target)
        return True

    def _delete(self, target: cst.BaseExpression) -> None:
        b = self.b
        self._open(target)
        if type(target) is cst.Name:
            if target.value in b.globals or b.kind == "module":
                b.access("unset", b.node(f.Global(target.value)), self.line)
            b.env.pop(target.value, None)
        elif type(target) is cst.Attribute:
            base = self.read(target.value)
            self.space(target.dot.whitespace_before)
            self.space(target.dot.whitespace_after)
            b.access("unset", b.node(f.Attr(base, target.attr.value)), self.line)
        elif type(target) is cst.Subscript:
            base = self.read(target.value)
            line = self.line
            b.access("del", base, line, key=self.key(target))
        elif isinstance(target, (cst.Tuple, cst.List)):
            if type(target) is cst.List:
                self.space(target.lbracket.whitespace_after)
            for element in target.elements:
                self._delete(element.value)
                self._comma(element.comma)
            if type(target) is cst.List:
                self.space(target.rbracket.whitespace_before)
        self._close(target)

    def _global(self, node: cst.Global) -> bool:
        self.b.globals.update(item.name.value for item in node.names)
        self.line += self._newlines(node)
        return True

    def _nonlocal(self, node: cst.Nonlocal) -> bool:
        self.b.nonlocals.update(item.name.value for item in node.names)
        self.line += self._newlines(node)
        return True

    # -- control flow -------------------------------------------------------------------------------------------------

    def _if(self, node: cst.If) -> bool:
        b = self.b
        self.empty_lines(node.leading_lines)
        self.space(node.whitespace_before_test)
        test = self.read(node.test)
        self.space(node.whitespace_after_test)
        entry_env, entry_held = dict(b.env), b.held
        before = b.open_block("then", test)
        then_falls = self.suite(node.body)
        b.block = before
        then_env, then_held = b.env, b.held
        b.env, b.held = dict(entry_env), entry_held
        else_falls = True
        if node.orelse is not None:
            before = b.open_block("else", test)
            if isinstance(node.orelse, cst.If):
                else_falls = self._if(node.orelse)
            else:
                self.empty_lines(node.orelse.leading_lines)
                self.space(node.orelse.whitespace_before_colon)
                else_falls = self.suite(node.orelse.body)
            b.block = before
        outcomes = [(then_falls, then_env, then_held), (else_falls, b.env, b.held)]
        self._join([(env, held) for falls, env, held in outcomes if falls], entry_env, entry_held)
        if then_falls != else_falls:
            b.open_block("then" if then_falls else "else", test)
        return then_falls or else_falls

    def _join(self, ends: list[tuple[Env, tuple[int, ...]]], entry_env: Env, entry_held: tuple[int, ...]) -> None:
        """Names and locks after branches: the ends that fall through, or the entry when none does."""
        b = self.b
        if not ends:
            b.env, b.held = entry_env, entry_held
            return
        b.merge(*(env for env, _ in ends))
        first = ends[0][1]
        b.held = tuple(region for region in first if all(region in held for _, held in ends[1:]))

    def _for(self, node: cst.For) -> bool:
        b = self.b
        self.empty_lines(node.leading_lines)
        if node.asynchronous is not None:
            self.space(node.asynchronous.whitespace_after)
        self.space(node.whitespace_after_for)
        target_line = self.line
        self.line += self._height(node.target)
        self.space(node.whitespace_before_in)
        self.space(node.whitespace_after_in)
        iterated = self.read(node.iter)
        self.space(node.whitespace_before_colon)
        b.access("iter", iterated, self.line)
        if node.asynchronous is not None:
            b.events.append(f.Suspend("async for", iterated, self.line, b.block, b.held_index()))
        entry_env, entry_held = dict(b.env), b.held
        before = b.open_block("loop", iterated)
        end = self.line
        self.line = target_line
        self.store(node.target, b.node(f.Elem(iterated)))
        self.line = end
        self.suite(node.body)
        b.block = before
        self._join([(entry_env, entry_held), (b.env, b.held)], entry_env, entry_held)
        self._orelse(node.orelse)
        return True

    def _while(self, node: cst.While) -> bool:
        b = self.b
        self.empty_lines(node.leading_lines)
        self.space(node.whitespace_after_while)
        entry_env, entry_held = dict(b.env), b.held
        before = b.open_block("loop")
        loop = b.block
        test = self.read(node.test)
        self.space(node.whitespace_before_colon)
        endless = type(node.test) is cst.Name and node.test.value == "True"
        b.blocks[loop] = f.Block(before, "loop", test)
        self.suite(node.body)
        b.block = before
        if endless:
            self._join([(b.env, b.held)], entry_env, entry_held)
        else:
            self._join([(entry_env, entry_held), (b.env, b.held)], entry_env, entry_held)
        self._orelse(node.orelse)
        return True

    def _orelse(self, orelse: cst.Else | None) -> None:
        if orelse is not None:
            self.empty_lines(orelse.leading_lines)
            self.space(orelse.whitespace_before_colon)
            self.suite(orelse.body)

    def _with(self, node: cst.With) -> bool:
        b = self.b
        self.empty_lines(node.leading_lines)
        if node.asynchronous is not None:
            self.space(node.asynchronous.whitespace_after)
        self.space(node.whitespace_after_with)
        if type(node.lpar) is cst.LeftParen:
            self.space(node.lpar.whitespace_after)
        entry_held = b.held
        for item in node.items:
            line = self.line
            value = self.read(item.item)
            b.regions.append(f.Region(value, "with", line, is_async=node.asynchronous is not None))
            if node.asynchronous is not None:
                b.events.append(f.Suspend("async with", value, line, b.block, b.held_index()))
            b.held = (*b.held, len(b.regions) - 1)
            if item.asname is not None:
                self.space(item.asname.whitespace_before_as)
                self.space(item.asname.whitespace_after_as)
                self.store(item.asname.name, b.node(f.Derived((value,), "entered")))
            self._comma(item.comma)
        if type(node.rpar) is cst.RightParen:
            self.space(node.rpar.whitespace_before)
        self.space(node.whitespace_before_colon)
        regions = [region for region in b.held if region not in entry_held]
        falls = self.suite(node.body)
        b.held = entry_held
        for region in regions:
            b.events.append(f.Release(region, self.line - 1, b.block, b.held_index()))
        return falls

    def _try(self, node: Any) -> bool:
        b = self.b
        self.empty_lines(node.leading_lines)
        entry_env, entry_held = dict(b.env), b.held
        first = len(b.events)
        before = b.open_block("try")
        self.space(node.whitespace_before_colon)
        body_falls = self.suite(node.body)
        b.block = before
        tried = (first, len(b.events))
        ends: list[tuple[Env, tuple[int, ...]]] = []
        body_env, body_held = b.env, b.held
        handler_falls = False
        catches: list[str] = []
        for handler in node.handlers:
            # A handler may start anywhere in the body: what the names held before it or at its end.
            b.env, b.held = dict(entry_env), entry_held
            b.merge(dict(entry_env), dict(body_env))
            self.empty_lines(handler.leading_lines)
            names: tuple[str, ...] = ()
            self.space(handler.whitespace_after_except)
            if handler.type is not None:
                if type(handler) is cst.ExceptStarHandler:
                    self.space(handler.whitespace_after_star)
                names = self._exception_names(handler.type)
                self.read(handler.type)
                if handler.name is not None and type(handler.name.name) is cst.Name:
                    self.space(handler.name.whitespace_before_as)
                    self.space(handler.name.whitespace_after_as)
                    b.env[handler.name.name.value] = b.node(f.Unknown())
            self.space(handler.whitespace_before_colon)
            catches.extend(names or ("BaseException",))
            inner = b.open_block("except", tried=tried, catches=names or ("BaseException",))
            falls = self.suite(handler.body)
            b.block = inner
            if falls:
                handler_falls = True
                ends.append((b.env, b.held))
        b.env, b.held = body_env, body_held
        if node.orelse is not None:
            self.empty_lines(node.orelse.leading_lines)
            self.space(node.orelse.whitespace_before_colon)
            inner = b.open_block("body")
            body_falls = self.suite(node.orelse.body) and body_falls
            b.block = inner
        if body_falls:
            ends.insert(0, (b.env, b.held))
        self._join(ends, entry_env, entry_held)
        if node.finalbody is not None:
            self.empty_lines(node.finalbody.leading_lines)
            self.space(node.finalbody.whitespace_before_colon)
            inner = b.open_block("finally")
            final_falls = self.suite(node.finalbody.body)
            b.block = inner
            if not final_falls:
                return False
        if not body_falls and handler_falls:
            b.open_block("except", tried=tried, catches=tuple(catches))
        if not node.handlers:
            return body_falls
        return body_falls or handler_falls

    def _exception_names(self, node: cst.BaseExpression) -> tuple[str, ...]:
        if type(node) is cst.Name:
            return (node.value,)
        if type(node) is cst.Attribute:
            return (node.attr.value,)
        if type(node) is cst.Tuple:
            return tuple(name for element in node.elements for name in self._exception_names(element.value))
        return ()

    def _match(self, node: cst.Match) -> bool:
        b = self.b
        self.empty_lines(node.leading_lines)
        self.space(node.whitespace_after_match)
        subject = self.read(node.subject)
        self.space(node.whitespace_before_colon)
        self.trailing(node.whitespace_after_colon)
        entry_env, entry_held = dict(b.env), b.held
        ends: list[tuple[Env, tuple[int, ...]]] = [(dict(entry_env), entry_held)]
        for case in node.cases:
            self.empty_lines(case.leading_lines)
            b.env, b.held = dict(entry_env), entry_held
            before = b.open_block("case", subject)
            self.space(case.whitespace_after_case)
            self.line += self._newlines(case.pattern)
            self._capture(case.pattern, subject)
            if case.guard is not None:
                self.space(case.whitespace_before_if)
                self.space(case.whitespace_after_if)
                guard = self.read(case.guard)
                b.open_block("then", guard)
            self.space(case.whitespace_before_colon)
            if self.suite(case.body):
                ends.append((b.env, b.held))
            b.block = before
        self.empty_lines(node.footer)
        self._join(ends, entry_env, entry_held)
        return True

    def _capture(self, pattern: cst.CSTNode, subject: int) -> None:
        """Names bound by a pattern hold some part of the subject."""
        b = self.b
        stack: list[cst.CSTNode] = [pattern]
        while stack:
            current = stack.pop()
            name: Any = None
            if isinstance(current, (cst.MatchAs, cst.MatchStar)):
                name = current.name
            elif type(current) is cst.MatchMapping:
                name = current.rest
            if name is not None:
                whole = current is pattern and getattr(current, "pattern", None) is None
                b.bind(name.value, subject if whole else b.node(f.Derived((subject,), "part")), self.line)
            stack.extend(child for child in current.children if not isinstance(child, cst.BaseExpression))
