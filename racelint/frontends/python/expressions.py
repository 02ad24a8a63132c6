"""Expressions to nodes and events, in evaluation order, counting the newlines they span."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from racelint.frontends.python.builder import Builder
from racelint.frontends.python.lock_calls import open_or_close
from racelint.frontends.python.newlines import Newlines
from racelint.model import facts as f

LONG_CONST = 80


class Expressions(Newlines):
    """Reads expressions into the current builder."""

    b: Builder

    def __init__(self) -> None:
        self.line = 1
        self._readers: dict[type[cst.CSTNode], Callable[[Any], int]] = {
            cst.Name: self._name,
            cst.Attribute: self._attribute,
            cst.Call: self._call,
            cst.Subscript: self._subscript,
            cst.SimpleString: self._string,
            cst.Integer: self._number,
            cst.Float: self._number,
            cst.Imaginary: self._number,
            cst.Ellipsis: self._ellipsis,
            cst.BinaryOperation: self._binary,
            cst.BooleanOperation: self._boolean,
            cst.UnaryOperation: self._unary,
            cst.Comparison: self._comparison,
            cst.IfExp: self._conditional,
            cst.Lambda: self._lambda,
            cst.List: self._sequence,
            cst.Tuple: self._sequence,
            cst.Set: self._sequence,
            cst.Dict: self._dict,
            cst.ListComp: self._comprehension,
            cst.SetComp: self._comprehension,
            cst.GeneratorExp: self._comprehension,
            cst.DictComp: self._comprehension,
            cst.Await: self._await,
            cst.Yield: self._yield,
            cst.NamedExpr: self._named,
            cst.FormattedString: self._formatted,
            cst.ConcatenatedString: self._concatenated,
            cst.StarredElement: self._starred,
        }

    # -- entry --------------------------------------------------------------------------------------------------------

    def read(self, expression: cst.BaseExpression) -> int:
        """The node of an expression; its reads, calls and writes become events."""
        lpar: Sequence[cst.LeftParen] = expression.lpar
        if lpar:
            self._open(expression)
        reader = self._readers.get(expression.__class__)
        if reader is None:
            node = self._other(expression)
        else:
            node = reader(expression)
        if expression.rpar:
            self._close(expression)
        return node

    def _other(self, expression: cst.CSTNode) -> int:
        """Syntax this front end does not know (newer than it): read its parts, know nothing of its value."""
        start = self.line
        parts: list[int] = []
        todo = list(reversed(expression.children))
        while todo:
            child = todo.pop()
            if isinstance(child, cst.BaseExpression):
                parts.append(self.read(child))
            else:
                todo.extend(reversed(child.children))
        self.line = start + self._newlines(expression)
        return self.b.node(f.Derived(tuple(parts), "other"))

    # -- atoms --------------------------------------------------------------------------------------------------------

    def _name(self, node: cst.Name) -> int:
        value = node.value
        if value in ("None", "True", "False"):
            return self.b.node(f.Const(value))
        return self.b.read_name(value, self.line)

    def _string(self, node: cst.SimpleString) -> int:
        text = node.value
        if "\n" in text:
            self.line += text.count("\n")
        return self.b.node(f.Const(_literal(text)[:LONG_CONST]))

    def _number(self, node: Any) -> int:
        return self.b.node(f.Const(node.value[:LONG_CONST]))

    def _ellipsis(self, node: cst.Ellipsis) -> int:
        return self.b.node(f.Const("..."))

    def _formatted(self, node: Any) -> int:
        parts: list[int] = []
        for part in node.parts:
            if part.__class__ is cst.FormattedStringText:
                self.line += part.value.count("\n")
                parts.append(self.b.node(f.Const(part.value[:LONG_CONST])))
            else:
                self.space(part.whitespace_before_expression)
                parts.append(self.read(part.expression))
                self.space(part.whitespace_after_expression)
                if part.equal is not None:
                    self.space(part.equal.whitespace_before)
                    self.space(part.equal.whitespace_after)
                for inner in part.format_spec or ():
                    if inner.__class__ is cst.FormattedStringExpression:
                        line = self.line
                        parts.append(self.read(inner.expression))
                        self.line = line + self._newlines(inner)
                    else:
                        self.line += inner.value.count("\n")
        return self.b.node(f.Derived(tuple(parts), "format"))

    def _concatenated(self, node: cst.ConcatenatedString) -> int:
        left = self.read(node.left)
        self.space(node.whitespace_between)
        right = self.read(node.right)
        return self.b.node(f.Derived((left, right), "format"))

    # -- access paths -------------------------------------------------------------------------------------------------

    def _attribute(self, node: cst.Attribute, *, quiet: bool = False) -> int:
        base = self.read(node.value)
        self.space(node.dot.whitespace_before)
        self.space(node.dot.whitespace_after)
        index = self.b.node(f.Attr(base, node.attr.value))
        if not quiet:
            self.b.access("load", index, self.line, result=index)
        return index

    def _subscript(self, node: cst.Subscript) -> int:
        base = self.read(node.value)
        line = self.line
        key = self.key(node)
        index = self.b.node(f.Item(base, key))
        self.b.access("get", base, line, key=key, result=index)
        return index

    def key(self, node: cst.Subscript) -> int:
        """The node of what stands between the brackets."""
        self.space(node.whitespace_after_value)
        self.space(node.lbracket.whitespace_after)
        parts: list[int] = []
        sliced = False
        for element in node.slice:
            item: Any = element.slice
            if item.__class__ is cst.Index:
                self.space(item.whitespace_after_star)
                parts.append(self.read(item.value))
            else:
                sliced = True
                for bound, colon in (
                    (item.lower, item.first_colon),
                    (item.upper, item.second_colon),
                    (item.step, None),
                ):
                    if bound is not None:
                        parts.append(self.read(bound))
                    if colon.__class__ is cst.Colon:
                        self.space(colon.whitespace_before)
                        self.space(colon.whitespace_after)
            self._comma(element.comma)
        self.space(node.rbracket.whitespace_before)
        if len(parts) == 1 and not sliced:
            return parts[0]
        return self.b.node(f.Derived(tuple(parts), "slice" if sliced else "tuple"))

    # -- calls --------------------------------------------------------------------------------------------------------

    def _call(self, node: cst.Call, *, awaited: bool = False, used: bool = True) -> int:
        callee = node.func
        if callee.__class__ is cst.Attribute and not callee.lpar:
            func = self._attribute(callee, quiet=True)
        elif callee.__class__ is cst.Name and not callee.lpar:
            name = callee.value
            if name == "super" and not node.args and self.b.cls_for_super() is not None:
                self.space(node.whitespace_after_func)
                self.space(node.whitespace_before_args)
                return self.b.node(f.SuperOf(self.b.cls_for_super() or ""))
            func = self.b.read_name(name, self.line, quiet=True)
        else:
            func = self.read(callee)
        line = self.line
        self.space(node.whitespace_after_func)
        self.space(node.whitespace_before_args)
        args: list[int] = []
        kwargs: list[tuple[str, int]] = []
        star = False
        for arg in node.args:
            self.space(arg.whitespace_after_star)
            if arg.keyword is not None and arg.equal.__class__ is cst.AssignEqual:
                self.space(arg.equal.whitespace_before)
                self.space(arg.equal.whitespace_after)
            value = self.read(arg.value)
            if arg.star:
                star = True
                kwargs.append((arg.star, value))
            elif arg.keyword is not None:
                kwargs.append((arg.keyword.value, value))
            else:
                args.append(value)
            self._comma(arg.comma)
            self.space(arg.whitespace_after_arg)
        index = self.emit_call(func, args, kwargs, line, star=star, awaited=awaited, used=used)
        open_or_close(self.b, func, args, line)
        return index

    def emit_call(
        self,
        func: int,
        args: Sequence[int],
        kwargs: Sequence[tuple[str, int]],
        line: int,
        *,
        star: bool = False,
        awaited: bool = False,
        used: bool = True,
        decorates: str = "",
    ) -> int:
        """Record a call; returns the node of its result."""
        b = self.b
        result = b.node(f.Result(len(b.events)))
        b.events.append(
            f.Call(
                func, tuple(args), tuple(kwargs), line, b.block, b.held_index(), result, star, awaited, used, decorates
            )
        )
        return result

    # -- operators ----------------------------------------------------------------------------------------------------

    def _binary(self, node: cst.BinaryOperation) -> int:
        left = self.read(node.left)
        operator: Any = node.operator
        self.space(operator.whitespace_before)
        self.space(operator.whitespace_after)
        right = self.read(node.right)
        return self.b.node(f.Derived((left, right), type(operator).__name__))

    def _boolean(self, node: cst.BooleanOperation) -> int:
        b = self.b
        left = self.read(node.left)
        operator: Any = node.operator
        self.space(operator.whitespace_before)
        self.space(operator.whitespace_after)
        before = b.open_block("then" if operator.__class__ is cst.And else "else", left)
        right = self.read(node.right)
        b.block = before
        if operator.__class__ is cst.Or:
            return b.node(f.Phi((left, right)))
        return b.node(f.Derived((left, right), "and"))

    def _unary(self, node: cst.UnaryOperation) -> int:
        self.space(node.operator.whitespace_after)
        value = self.read(node.expression)
        return self.b.node(f.Derived((value,), type(node.operator).__name__))

    def _comparison(self, node: cst.Comparison) -> int:
        b = self.b
        parts = [self.read(node.left)]
        ops: list[str] = []
        for comparison in node.comparisons:
            operator: Any = comparison.operator
            self.space(operator.whitespace_before)
            if operator.__class__ is cst.NotIn or operator.__class__ is cst.IsNot:
                self.space(operator.whitespace_between)
            self.space(operator.whitespace_after)
            right = self.read(comparison.comparator)
            name = type(operator).__name__
            if name in ("In", "NotIn"):
                found = b.node(f.Derived((parts[-1], right), name))
                b.access("has", right, self.line, key=parts[-1], result=found)
                parts.append(found)
            else:
                parts.append(right)
            ops.append(name)
        return b.node(f.Derived(tuple(parts), " ".join(ops)))

    def _conditional(self, node: cst.IfExp) -> int:
        b = self.b
        # Source order is body, test, orelse; evaluation starts with the test. Lines are counted in source order, so the
        # walk goes through the body once for its newlines only when the expression spans lines.
        start = self.line
        if self._newlines(node.body):
            self.line += self._newlines(node.body)
        self.space(node.whitespace_before_if)
        self.space(node.whitespace_after_if)
        test = self.read(node.test)
        after_test = self.line
        self.line = start
        before = b.open_block("then", test)
        body = self.read(node.body)
        b.block = before
        self.line = after_test
        self.space(node.whitespace_before_else)
        self.space(node.whitespace_after_else)
        before = b.open_block("else", test)
        orelse = self.read(node.orelse)
        b.block = before
        return b.node(f.Phi((body, orelse)))

    def _await(self, node: cst.Await) -> int:
        self.space(node.whitespace_after_await)
        inner = node.expression
        if inner.__class__ is cst.Call and not inner.lpar:
            value = self._call(inner, awaited=True)
        else:
            value = self.read(inner)
        b = self.b
        b.events.append(f.Suspend("await", value, self.line, b.block, b.held_index()))
        return b.node(f.Awaited(value))

    def _yield(self, node: cst.Yield) -> int:
        b = self.b
        b.is_generator = True
        self.space(node.whitespace_after_yield)
        value = -1
        delegated = False
        if node.value.__class__ is cst.From:
            source: Any = node.value
            self.space(source.whitespace_before_from)
            self.space(source.whitespace_after_from)
            value = self.read(source.item)
            delegated = True
            b.access("iter", value, self.line, result=-1)
        elif node.value is not None:
            yielded: Any = node.value
            value = self.read(yielded)
        b.events.append(f.Yield(value, self.line, b.block, b.held_index(), delegated))
        if b.is_async:
            b.events.append(f.Suspend("yield", value, self.line, b.block, b.held_index()))
        return b.node(f.Unknown())

    def _named(self, node: cst.NamedExpr) -> int:
        line = self.line
        self.space(node.whitespace_before_walrus)
        self.space(node.whitespace_after_walrus)
        value = self.read(node.value)
        if type(node.target) is cst.Name:
            self.b.bind(node.target.value, value, line)
        return value

    # -- displays -----------------------------------------------------------------------------------------------------

    def _starred(self, node: cst.StarredElement) -> int:
        self.space(node.whitespace_before_value)
        value = self.read(node.value)
        self.b.access("iter", value, self.line, result=-1)
        return self.b.node(f.Elem(value))

    def _sequence(self, node: Any) -> int:
        line = self.line
        if node.__class__ is cst.List:
            self.space(node.lbracket.whitespace_after)
        elif node.__class__ is cst.Set:
            self.space(node.lbrace.whitespace_after)
        items: list[int] = []
        for element in node.elements:
            if element.__class__ is cst.StarredElement:
                self._open(element)
                self.space(element.whitespace_before_value)
                value = self.read(element.value)
                # [*d] copies in one step, so it is a call of the snapshot kind, not a loop.
                star = self.b.node(f.Global("list"))
                self.emit_call(star, (value,), (), self.line)
                items.append(self.b.node(f.Elem(value)))
                self._close(element)
            else:
                items.append(self.read(element.value))
            self._comma(element.comma)
        if node.__class__ is cst.List:
            self.space(node.rbracket.whitespace_before)
        elif node.__class__ is cst.Set:
            self.space(node.rbrace.whitespace_before)
        kind = {cst.List: "list", cst.Tuple: "tuple", cst.Set: "set"}[node.__class__]
        return self.b.node(f.New(kind, tuple(items), (), line))

    def _dict(self, node: cst.Dict) -> int:
        line = self.line
        self.space(node.lbrace.whitespace_after)
        keys: list[int] = []
        items: list[int] = []
        for element in node.elements:
            if type(element) is cst.DictElement:
                keys.append(self.read(element.key))
                self.space(element.whitespace_before_colon)
                self.space(element.whitespace_after_colon)
                items.append(self.read(element.value))
            else:
                starred: Any = element
                self.space(starred.whitespace_before_value)
                value = self.read(starred.value)
                copy = self.b.node(f.Global("dict"))
                self.emit_call(copy, (value,), (), self.line)
                keys.append(-1)
                items.append(self.b.node(f.Item(value, self.b.node(f.Unknown()))))
            self._comma(element.comma)
        self.space(node.rbrace.whitespace_before)
        return self.b.node(f.New("dict", tuple(items), tuple(keys), line))

    def _comprehension(self, node: Any) -> int:
        b = self.b
        start = self.line
        opening = getattr(node, "lbracket", None) or getattr(node, "lbrace", None)
        if opening is not None:
            self.space(opening.whitespace_after)
        element_line = self.line
        is_dict = node.__class__ is cst.DictComp
        elements = [node.key, node.value] if is_dict else [node.elt]
        for element in elements:
            self.line += self._newlines(element)
        if is_dict:
            self.space(node.whitespace_before_colon)
            self.space(node.whitespace_after_colon)
        env = dict(b.env)
        before = b.block
        clause: Any = node.for_in
        first = self._clause(clause)
        while (clause := clause.inner_for_in) is not None:
            self._clause(clause)
        end = self.line
        self.line = element_line
        values = [self.read(element) for element in elements]
        self.line = end
        b.block = before
        for name in set(b.env) - set(env):
            del b.env[name]
        b.env.update(env)
        closing = getattr(node, "rbracket", None) or getattr(node, "rbrace", None)
        if closing is not None:
            self.space(closing.whitespace_before)
        kind = {cst.ListComp: "list", cst.SetComp: "set", cst.DictComp: "dict"}.get(node.__class__, "generator")
        walked = (first, len(b.events)) if kind == "generator" else (0, 0)
        return b.node(f.New(kind, (values[-1],), (values[0],) if is_dict else (), start, walked))

    def _clause(self, clause: Any) -> int:
        """One ``for .. in .. if ..`` of a comprehension: opens the loop block and the blocks of its conditions.

        The index of the event that walks what is iterated over is given back.
        """
        b = self.b
        self.space(clause.whitespace_before)
        if clause.asynchronous is not None:
            self.space(clause.asynchronous.whitespace_after)
        self.space(clause.whitespace_after_for)
        target_line = self.line
        self.line += self._newlines(clause.target)
        self.space(clause.whitespace_before_in)
        self.space(clause.whitespace_after_in)
        iterated = self.read(clause.iter)
        walking = len(b.events)
        b.access("iter", iterated, self.line)
        if clause.asynchronous is not None:
            b.events.append(f.Suspend("async for", iterated, self.line, b.block, b.held_index()))
        b.open_block("loop", iterated)
        end = self.line
        self.line = target_line
        self.assign_local(clause.target, b.node(f.Elem(iterated)))
        self.line = end
        for condition in clause.ifs:
            self.space(condition.whitespace_before)
            self.space(condition.whitespace_before_test)
            test = self.read(condition.test)
            b.open_block("then", test)
        return walking

    def assign_local(self, target: Any, value: int) -> None:
        """Bind comprehension targets, which live in the comprehension alone."""
        b = self.b
        if type(target) is cst.Name:
            b.env[target.value] = value
        elif isinstance(target, (cst.Tuple, cst.List)):
            for index, element in enumerate(target.elements):
                part = -1 if type(element) is cst.StarredElement else index
                self.assign_local(element.value, b.node(f.Part(value, part)))

    def _lambda(self, node: cst.Lambda) -> int:
        return self.function_object(node)

    def function_object(self, node: cst.Lambda) -> int:
        """The node of a lambda; scopes are the business of the scope walker."""
        return self._other(node.body)


def _literal(text: str) -> str:
    """A string literal as ``repr`` writes it, where that takes no reading of escapes; others as they are."""
    prefix = text[: len(text) - len(text.lstrip("bBrRuU"))].lower()
    quoted = text[len(prefix) :]
    quotes = quoted[:3] if quoted[:3] in ("'''", '"""') else quoted[:1]
    content = quoted[len(quotes) : -len(quotes)]
    if "\\" in content:
        return text
    return ("b" if "b" in prefix else "") + repr(content)
