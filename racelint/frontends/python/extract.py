"""A file's bytes to its facts: scopes, definitions and imports on top of statements and expressions."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import libcst as cst

from racelint.frontends.python.builder import Builder
from racelint.frontends.python.nesting import too_deep
from racelint.frontends.python.statements import Statements
from racelint.layout import layout
from racelint.model import facts as f
from racelint.model.source import source_lines

# What native code raises where it has a bug. It is no Exception, and has no name that could be imported.
NATIVE_PANIC = "PanicException"
POSITION = re.compile(r"error at (\d+):\d+")
CHECK = cst.CSTNode.__post_init__
COMMENT = re.compile(r"#\s*racelint\s*:")


class SyntaxProblem(Exception):
    """The file cannot be parsed; ``line`` is where (1-based), the text says what is wrong."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class UnreadableSource(Exception):
    """The file's bytes cannot be decoded as the encoding it declares (or UTF-8)."""


def extract(source: bytes, module: str, *, is_package: bool = False) -> f.ModuleFacts:
    """Facts of one file: a pure function of its bytes and its module name.

    Raises SyntaxProblem when it does not parse, UnreadableSource when its bytes cannot be decoded.
    """
    deep = too_deep(source)
    if deep is not None:
        raise SyntaxProblem(deep, "nested too deeply")
    try:
        with _unchecked():
            tree = cst.parse_module(source)
    except cst.ParserSyntaxError as error:
        message = error.message.strip().splitlines()[0]
        raise SyntaxProblem(_line(message, source), message) from None
    except (UnicodeDecodeError, LookupError, SyntaxError) as error:
        raise UnreadableSource(str(error)) from None
    except RecursionError:
        raise SyntaxProblem(1, "nested too deeply to be parsed") from None
    except MemoryError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != NATIVE_PANIC:
            raise
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SyntaxProblem(1, f"the parser, LibCST, fails on it ({said})") from None
    walker = ScopeWalker(module, is_package=is_package)
    walker.module(tree)
    return f.ModuleFacts(
        module=module,
        is_package=is_package,
        lines=max(walker.line - 1, 0),
        functions=tuple(walker.functions),
        classes=tuple(walker.classes),
        imports=tuple(walker.imports),
        public=walker.public,
        comments=_comments(source),
    )


@contextmanager
def _unchecked() -> Iterator[None]:
    """LibCST checks every node that is made, those of its own parser too, which takes a seventh of the time: not here.

    In the end the check is what it was at first, also when several threads do this at once.
    """
    cst.CSTNode.__post_init__ = lambda self: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        cst.CSTNode.__post_init__ = CHECK  # type: ignore[method-assign]


def _line(message: str, source: bytes) -> int:
    """Where an error is: the number LibCST gives beside its message is one too high, or 1 if its tokenizer gives up."""
    found = POSITION.search(message)
    if found is not None:
        line = int(found[1])
    else:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(source)
            line = 1
        except SyntaxError as error:
            line = error.lineno or 1
        except (ValueError, RecursionError, MemoryError):
            line = 1
    return max(1, min(line, len(source.splitlines())))


def _comments(source: bytes) -> tuple[tuple[int, str], ...]:
    """The comments that are meant for racelint, wherever they stand; few files have any."""
    if b"racelint" not in source:
        return ()
    lines = source_lines(source)
    found = ((line, lines[line - 1][column:]) for line, column in sorted(layout(lines).comments.items()))
    return tuple((line, text) for line, text in found if COMMENT.search(text))


class ScopeWalker(Statements):
    """Opens and closes scopes; collects functions, classes and imports."""

    def __init__(self, module: str, *, is_package: bool) -> None:
        super().__init__()
        self.name = module
        self.is_package = is_package
        self.functions: list[f.Function] = []
        self.classes: list[f.Class] = []
        self.imports: list[f.Import] = []
        self.public: tuple[str, ...] | None = None
        self._names: dict[str, int] = {}
        self._annotations: list[tuple[str, int]] = []
        self._declared: list[tuple[str, int]] = []
        self._methods: list[tuple[str, str]] = []
        self._finished: list[Builder] = []

    def module(self, tree: cst.Module) -> None:
        """Walk a whole module."""
        self.b = Builder("<module>", "<module>", "module", 1, None, None)
        self.empty_lines(tree.header)
        self.statements(tree.body)
        self.empty_lines(tree.footer)
        self.b.end_line = max(self.line - 1, 1)
        self._finish(self.b)
        self.functions = [builder.freeze() for builder in self._finished]

    def _finish(self, builder: Builder) -> None:
        builder.settle_inner()
        builder.settle()
        self._finished.append(builder)

    def _qualname(self, name: str) -> str:
        b = self.b
        if b.kind == "module":
            base = name
        elif b.kind == "class":
            base = f"{b.cls}.{name}"
        else:
            base = f"{b.qualname}.<locals>.{name}"
        # A name may be defined twice (overloads, if/else, property setters): each definition is its own function.
        seen = self._names.get(base, 0)
        self._names[base] = seen + 1
        return base if not seen else f"{base}#{seen + 1}"

    # -- functions ----------------------------------------------------------------------------------------------------

    def function_def(self, node: cst.FunctionDef) -> bool:
        """A ``def``: decorators and defaults belong to the scope it stands in, the body to its own."""
        outer = self.b
        self.empty_lines(node.leading_lines)
        decorators = self._decorators(node.decorators)
        self.empty_lines(node.lines_after_decorators)
        if node.asynchronous is not None:
            self.space(node.asynchronous.whitespace_after)
        line = self.line
        self.space(node.whitespace_after_def)
        name = node.name.value
        qualname = self._qualname(name)
        inner = Builder(
            qualname,
            name,
            "function",
            line,
            outer.cls if outer.kind == "class" else None,
            outer,
            is_async=node.asynchronous is not None,
            decorators=tuple(decorators),
        )
        self.space(node.whitespace_after_name)
        for parameter in self._type_parameters(node.type_parameters):
            inner.env[parameter] = inner.node(f.Unknown())
        self.space(node.whitespace_after_type_parameters)
        self.space(node.whitespace_before_params)
        self._parameters(node.params, inner)
        if node.returns is not None:
            self.space(node.returns.whitespace_before_indicator)
            self.space(node.returns.whitespace_after_indicator)
            self.b = inner
            inner.returns = self.annotation(node.returns.annotation)
            self.b = outer
        self.space(node.whitespace_before_colon)
        self.b = inner
        self.suite(node.body)
        inner.end_line = self.line - 1
        self._finish(inner)
        self.b = outer
        value = outer.node(f.Func(qualname))
        for decorator in reversed(decorators):
            self.emit_call(decorator, (value,), (), line, decorates=qualname)
        if outer.kind == "class":
            self._methods.append((self._method_name(name, node.decorators), qualname))
        if outer.kind == "module":
            outer.bind(name, value, line)
        else:
            outer.env[name] = value
            outer.assigned.setdefault(name, []).append(value)
        return True

    def _method_name(self, name: str, decorators: Any) -> str:
        for decorator in decorators:
            expression = decorator.decorator
            if type(expression) is cst.Attribute and expression.attr.value in ("setter", "deleter"):
                return f"{name}.{expression.attr.value}"
        return name

    def _decorators(self, decorators: Any) -> list[int]:
        nodes: list[int] = []
        for decorator in decorators:
            self.empty_lines(decorator.leading_lines)
            self.space(decorator.whitespace_after_at)
            nodes.append(self.read(decorator.decorator))
            self.trailing(decorator.trailing_whitespace)
        return nodes

    def _parameters(self, params: cst.Parameters, inner: Builder) -> None:
        """Parameters in source order; defaults are evaluated outside, annotations kept in the function's own table."""
        for kind, group in (("posonly", params.posonly_params), ("positional", params.params)):
            for param in group:
                self._parameter(param, "positional", inner)
            if kind == "posonly" and type(params.posonly_ind) is cst.ParamSlash:
                self._comma(params.posonly_ind.comma)
                self.space(params.posonly_ind.whitespace_after)
        if type(params.star_arg) is cst.Param:
            self._parameter(params.star_arg, "star", inner)
        elif type(params.star_arg) is cst.ParamStar:
            self._comma(params.star_arg.comma)
        for param in params.kwonly_params:
            self._parameter(param, "keyword", inner)
        if params.star_kwarg is not None:
            self._parameter(params.star_kwarg, "starstar", inner)

    def _parameter(self, param: cst.Param, kind: str, inner: Builder) -> None:
        self.space(param.whitespace_after_star)
        outer = self.b
        annotation = default = -1
        if param.annotation is not None:
            self.space(param.annotation.whitespace_before_indicator)
            self.space(param.annotation.whitespace_after_indicator)
            self.b = inner
            annotation = self.annotation(param.annotation.annotation)
            self.b = outer
        if param.default is not None:
            if type(param.equal) is cst.AssignEqual:
                self.space(param.equal.whitespace_before)
                self.space(param.equal.whitespace_after)
            default = self.read(param.default)
        self._comma(param.comma)
        self.space(param.whitespace_after_param)
        name = param.name.value
        inner.params.append(f.Parameter(name, kind, annotation, default))
        inner.env[name] = inner.node(f.Param(name))

    def function_object(self, node: cst.Lambda) -> int:
        """A lambda is a function whose body is one return."""
        outer = self.b
        line = self.line
        qualname = self._qualname("<lambda>")
        inner = Builder(qualname, "<lambda>", "function", line, None, outer)
        self.space(node.whitespace_after_lambda)
        self._parameters(node.params, inner)
        self.space(node.colon.whitespace_before)
        self.space(node.colon.whitespace_after)
        self.b = inner
        value = self.read(node.body)
        inner.events.append(f.Return(value, self.line, inner.block, inner.held_index()))
        inner.end_line = self.line
        self._finish(inner)
        self.b = outer
        return outer.node(f.Func(qualname))

    # -- classes ------------------------------------------------------------------------------------------------------

    def class_def(self, node: cst.ClassDef) -> bool:
        """A ``class``: its body is a scope of its own whose names are class attributes."""
        outer = self.b
        self.empty_lines(node.leading_lines)
        decorators = self._decorators(node.decorators)
        self.empty_lines(node.lines_after_decorators)
        line = self.line
        name = node.name.value
        qualname = self._qualname(name)
        self.space(node.whitespace_after_class)
        self.space(node.whitespace_after_name)
        self._type_parameters(node.type_parameters)
        self.space(node.whitespace_after_type_parameters)
        if type(node.lpar) is cst.LeftParen:
            self.space(node.lpar.whitespace_after)
        bases: list[int] = []
        keywords: list[tuple[str, int]] = []
        for arg in (*node.bases, *node.keywords):
            self.space(arg.whitespace_after_star)
            if type(arg.equal) is cst.AssignEqual:
                self.space(arg.equal.whitespace_before)
                self.space(arg.equal.whitespace_after)
            value = self.read(arg.value)
            if arg.keyword is not None:
                keywords.append((arg.keyword.value, value))
            elif not arg.star:
                bases.append(value)
            self._comma(arg.comma)
            self.space(arg.whitespace_after_arg)
        if type(node.rpar) is cst.RightParen:
            self.space(node.rpar.whitespace_before)
        self.space(node.whitespace_before_colon)
        body = Builder(f"{qualname}.<body>", name, "class", line, qualname, outer)
        saved = self._methods, self._annotations, self._declared
        self._methods, self._annotations, self._declared = [], [], []
        self.b = body
        self.suite(node.body)
        body.end_line = self.line - 1
        self._finish(body)
        self.b = outer
        self.classes.append(
            f.Class(
                qualname=qualname,
                name=name,
                line=line,
                scope=outer.qualname,
                body=body.qualname,
                bases=tuple(bases),
                keywords=tuple(keywords),
                decorators=tuple(decorators),
                methods=tuple(self._methods),
                annotations=tuple(self._annotations),
                declared=tuple(self._declared),
            )
        )
        self._methods, self._annotations, self._declared = saved
        value = outer.node(f.Cls(qualname))
        if outer.kind == "module":
            outer.bind(name, value, line)
        elif outer.kind == "class":
            outer.access("store", outer.node(f.ClassVar(outer.cls or "", name)), line, value=value)
            outer.env[name] = value
        else:
            outer.env[name] = value
            outer.assigned.setdefault(name, []).append(value)
        return True

    def declared(self, name: str, annotation: int) -> None:
        """``name: annotation`` in a class body."""
        if self.b.kind == "class":
            self._annotations.append((name, annotation))
            self._declared.append((name, self.line))

    # -- types --------------------------------------------------------------------------------------------------------

    def type_alias(self, node: cst.TypeAlias) -> bool:
        """``type A[T] = B``: nothing of it is evaluated here, and the name stands for what ``A = B`` would make it."""
        line = self.line
        self.space(node.whitespace_after_type)
        self.space(node.whitespace_after_name)
        self._type_parameters(node.type_parameters)
        self.space(node.whitespace_after_type_parameters)
        self.space(node.whitespace_after_equals)
        self.b.bind(node.name.value, self.annotation(node.value), line)
        return True

    def _type_parameters(self, node: cst.TypeParameters | None) -> tuple[str, ...]:
        """``[T: Bound = Default, *Ts, **P]``: the names; bounds and defaults are evaluated when somebody asks."""
        if node is None:
            return ()
        start = self.line
        for item in node.params:
            for expression in (getattr(item.param, "bound", None), item.default):
                if expression is not None:
                    self.annotation(expression)
        self.line = start + self._newlines(node)
        return tuple(item.param.name.value for item in node.params)

    # -- imports ------------------------------------------------------------------------------------------------------

    def _dotted(self, node: Any) -> str:
        parts: list[str] = []
        while type(node) is cst.Attribute:
            parts.append(node.attr.value)
            node = node.value
        parts.append(node.value)
        return ".".join(reversed(parts))

    def _imported(self, bound: str, module: str, name: str | None) -> None:
        b = self.b
        if b.kind == "module":
            self.imports.append(f.Import(bound, module, name, self.line))
            b.env.pop(bound, None)
            return
        value = b.node(f.Imported(module, name))
        b.env[bound] = value
        if b.kind == "class":
            b.access("store", b.node(f.ClassVar(b.cls or "", bound)), self.line, value=value)
        b.assigned.setdefault(bound, []).append(value)

    def import_statement(self, node: cst.Import) -> bool:
        """``import a.b`` binds ``a``; ``import a.b as c`` binds the module ``a.b``."""
        start = self.line
        self.space(node.whitespace_after_import)
        for alias in node.names:
            dotted = self._dotted(alias.name)
            if alias.asname is not None and type(alias.asname.name) is cst.Name:
                self._imported(alias.asname.name.value, dotted, None)
            else:
                self._imported(dotted.split(".")[0], dotted.split(".")[0], None)
                if "." in dotted and self.b.kind == "module":
                    # Remember that the submodule is loaded; the bound name stays the top package.
                    self.imports.append(f.Import("", dotted, None, self.line))
            self._comma(alias.comma)
        self.line = start + self._newlines(node)
        return True

    def import_from(self, node: cst.ImportFrom) -> bool:
        """``from a import b``, with relative levels resolved against this module's name."""
        module = self._absolute(len(node.relative), self._dotted(node.module) if node.module is not None else "")
        start = self.line
        self.space(node.whitespace_after_from)
        self.space(node.whitespace_before_import)
        self.space(node.whitespace_after_import)
        if type(node.lpar) is cst.LeftParen:
            self.space(node.lpar.whitespace_after)
        if isinstance(node.names, cst.ImportStar):
            if self.b.kind == "module":
                self.imports.append(f.Import("*", module, "*", self.line))
        else:
            for alias in node.names:
                name = self._dotted(alias.name)
                bound = name
                if alias.asname is not None and type(alias.asname.name) is cst.Name:
                    bound = alias.asname.name.value
                    self.space(alias.asname.whitespace_before_as)
                    self.space(alias.asname.whitespace_after_as)
                self._imported(bound, module, name)
                self._comma(alias.comma)
        self.line = start + self._newlines(node)
        return True

    def _absolute(self, level: int, module: str) -> str:
        if level == 0:
            return module
        parts = self.name.split(".")
        drop = level - 1 if self.is_package else level
        base = parts[: len(parts) - drop] if drop < len(parts) else []
        return ".".join([*base, module] if module else base)
