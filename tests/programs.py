"""A grammar of Python as a hypothesis strategy: whole programs of several modules that compile, and mean little.

They are about what racelint is about: threads, tasks and pools that touch module variables, attributes and containers
under locks, conditions and loops, through closures, classes, imports and decorators, in all syntax there is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

GLOBALS = ("JOBS", "seen", "total", "current", "lock", "guard")
FUNCTIONS = ("work", "rest", "poll")
CLASSES = ("Registry", "Base")
ATTRIBUTES = ("jobs", "_lock", "count", "append", "get", "pop", "work", "items", "acquire", "release", "wait")
LOCALS = ("key", "value", "found")
CONSTANTS = ("None", "True", "0", "1", "'a'", "b'x'", "1.5", "...", "''", "'''two\nlines'''")
INITIAL = (
    "{}",
    "[]",
    "set()",
    "0",
    "None",
    "threading.Lock()",
    "threading.RLock()",
    "asyncio.Lock()",
    "collections.defaultdict(list)",
    "queue.Queue()",
    "dict(a=1)",
)
STARTS = (
    "threading.Thread(target={0}).start()",
    "threading.Thread(target={0}, args=({1},)).start()",
    "ThreadPoolExecutor().submit({0}, {1})",
    "ThreadPoolExecutor().map({0}, {1})",
    "asyncio.run({0}())",
    "asyncio.create_task({0}({1}))",
    "asyncio.get_event_loop().call_soon_threadsafe({0}, {1})",
    "threading.Timer(1, {0}).start()",
    "signal.signal(signal.SIGTERM, {0})",
    "atexit.register({0})",
)
HEAD = (
    "import asyncio, atexit, collections, functools, queue, signal, threading",
    "from concurrent.futures import ThreadPoolExecutor",
)
BINARY = ("+", "-", "*", "//", "|", "and", "or", "==", "<", "in", "not in", "is", "is not", "@", "**")
AUGMENTED = ("+=", "-=", "|=", "//=", "**=")
DECORATORS = (
    "functools.lru_cache(None)",
    "staticmethod",
    "property",
    "functools.wraps(work)",
    "contextlib.contextmanager",
)
COMMENTS = ("", "", "", "", "  # why", "  # é", "  # noqa", "  # racelint: ignore[check-then-act] it is so")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where code stands, as far as that decides what may stand there."""

    kind: str = "module"
    is_async: bool = False
    generates: bool = False
    in_loop: bool = False
    names: tuple[str, ...] = ()
    depth: int = 3
    modules: tuple[str, ...] = ()

    def deeper(self, **changes: object) -> Scope:
        """One level further in."""
        return replace(self, depth=self.depth - 1, **changes)  # type: ignore[arg-type]


@dataclass(slots=True)
class Writer:
    """Writes one program from the choices hypothesis makes."""

    draw: st.DrawFn
    fresh: int = 0
    lines: list[str] = field(default_factory=list)

    def one(self, choices: Sequence[str]) -> str:
        """One of some texts."""
        return self.draw(st.sampled_from(choices))

    def some(self, low: int, high: int) -> range:
        """So many times."""
        return range(self.draw(st.integers(low, high)))

    def maybe(self) -> bool:
        """Yes or no."""
        return self.draw(st.booleans())

    def new(self, prefix: str) -> str:
        """A name nobody has."""
        self.fresh += 1
        return f"{prefix}{self.fresh}"

    # -- expressions --------------------------------------------------------------------------------------------------

    def name(self, scope: Scope) -> str:
        """A name that may be bound."""
        return self.one((*scope.names, *GLOBALS, *FUNCTIONS))

    def expression(self, scope: Scope) -> str:
        """Any expression; those that could bind too loosely stand in parentheses."""
        if scope.depth <= 0:
            return self.one((*scope.names, *GLOBALS, *FUNCTIONS, *CLASSES, *CONSTANTS))
        inner = scope.deeper()
        made: tuple[Callable[[Scope], str], ...] = (
            self.name,
            self.place,
            self.place,
            self.call,
            self.call,
            self.operation,
            self.display,
            self.comprehension,
            self.text,
            self.function,
            self.choice,
        )
        return self.draw(st.sampled_from(made))(inner)

    def place(self, scope: Scope) -> str:
        """What can be read and assigned."""
        base = self.one((*scope.names, *GLOBALS, "self" if "self" in scope.names else "seen", "Registry"))
        match self.one(("attribute", "item", "item", "deep", "slice")):
            case "attribute":
                return f"{base}.{self.one(ATTRIBUTES)}"
            case "item":
                return f"{base}[{self.expression(scope)}]"
            case "slice":
                return f"{base}[{self.expression(scope)}:{self.expression(scope)}, ::{self.name(scope)}]"
        return f"{base}.{self.one(ATTRIBUTES)}[{self.name(scope)}].{self.one(ATTRIBUTES)}"

    def call(self, scope: Scope) -> str:
        """A call with arguments of every kind, or the start of something concurrent."""
        if self.one(("call", "call", "start")) == "start":
            target = self.one((*FUNCTIONS, "self.work" if "self" in scope.names else "work", "lambda: work()"))
            return self.one(STARTS).format(target, self.expression(scope))
        callee = self.one((*FUNCTIONS, *CLASSES, "super().work", "getattr")) if self.maybe() else self.place(scope)
        arguments = [self.expression(scope) for _ in self.some(0, 2)]
        if self.one(("", "", "*")):
            arguments.append(f"*{self.name(scope)}")
        if self.one(("", "", "=")):
            arguments.append(f"{self.one(LOCALS)}={self.expression(scope)}")
        if self.one(("", "", "**")):
            arguments.append(f"**{self.name(scope)}")
        separator = self.one((", ", ", ", ",\n        ", ", # why\n    "))
        awaited = "await " if scope.is_async and self.maybe() else ""
        text = f"{awaited}{callee}({separator.join(arguments)})"
        return f"({text})" if awaited else text

    def operation(self, scope: Scope) -> str:
        """An operator between two, or before one."""
        match self.one(("two", "two", "not", "walrus", "three")):
            case "not":
                return f"(not {self.expression(scope)})"
            case "walrus" if scope.kind != "class":
                return f"({self.new('w')} := {self.expression(scope)})"
            case "three":
                return f"({self.expression(scope)} < {self.expression(scope)} in {self.expression(scope)})"
        space = self.one((" ", " ", " \\\n  ", "\n    "))
        return f"({self.expression(scope)}{space}{self.one(BINARY)} {self.expression(scope)})"

    def display(self, scope: Scope) -> str:
        """A list, tuple, set or dict that is written out."""
        items = [f"{self.one(('', '', '*'))}{self.name(scope)}", self.expression(scope)]
        match self.one(("list", "tuple", "set", "dict")):
            case "list":
                return f"[{', '.join(items)}]"
            case "tuple":
                return f"({', '.join(items)},)"
            case "set":
                return f"{{{', '.join(items)}}}"
        return f"{{{self.expression(scope)}: {self.expression(scope)}, **{self.name(scope)}}}"

    def comprehension(self, scope: Scope) -> str:
        """One or two loops in an expression. No walrus in it: it may stand in a class."""
        first, second = self.new("c"), self.new("c")
        source = self.expression(replace(scope, kind="class"))
        inner = replace(scope, kind="class", names=(*scope.names, first, second))
        is_async = "async " if scope.is_async and self.maybe() else ""
        loops = f"{is_async}for {first}, *{second} in {source}"
        if self.maybe():
            loops += f" if {self.expression(inner)} for {second} in {self.expression(inner)}"
        element = self.expression(inner)
        match self.one(("list", "set", "dict", "generator")):
            case "list":
                return f"[{element} {loops}]"
            case "set":
                return f"{{{element}\n {loops}}}"
            case "dict":
                return f"{{{first}: {element} {loops}}}"
        return f"({element} {loops})"

    def text(self, scope: Scope) -> str:
        """A string with expressions in it."""
        return self.one(
            (
                f"f'{{{self.name(scope)}!r:>{{{self.name(scope)}}}}} and {{{self.name(scope)}=}}'",
                f"f'''{{{self.name(scope)}}}\n'''",
                f"'a' f'{{{self.name(scope)}}}' \"b\"",
                f"('a'\n   'b' % {self.name(scope)})",
            )
        )

    def function(self, scope: Scope) -> str:
        """A function without a name."""
        name = self.new("p")
        inner = replace(scope, kind="class", is_async=False, names=(*scope.names, name))
        default = self.one(("", f"={self.name(scope)}", f", *{self.new('r')}, {self.new('k')}=1"))
        return f"(lambda {name}{default}: {self.expression(inner)})"

    def choice(self, scope: Scope) -> str:
        """One of two, by a condition."""
        return f"({self.expression(scope)} if {self.expression(scope)} else {self.expression(scope)})"

    # -- statements ---------------------------------------------------------------------------------------------------

    def block(self, scope: Scope, indent: str) -> None:
        """Some statements, deeper in."""
        step = self.one(("    ", "    ", "  ", "\t"))
        for _ in self.some(1, 3):
            self.statement(scope, indent + step)

    def put(self, indent: str, text: str) -> None:
        """A line, with a comment at times."""
        self.lines.append(f"{indent}{text}{self.one(COMMENTS)}")

    def statement(self, scope: Scope, indent: str) -> None:
        """Any statement."""
        if self.one(("", "", "", "gap")):
            self.lines.append(self.one(("", "# a line of its own", "\f")))
        kinds = ["assign", "assign", "grow", "call", "call", "delete", "small", "leave"]
        if scope.depth > 0:
            kinds += ["if", "if", "for", "while", "try", "with", "with", "match", "function"]
        getattr(self, f"do_{self.one(kinds)}")(scope, indent)

    def target(self, scope: Scope) -> str:
        """What is assigned to."""
        match self.one(("name", "place", "place", "several", "list")):
            case "name":
                return self.one(scope.names or GLOBALS)
            case "several":
                return f"{self.place(scope)}, *{self.one(scope.names or GLOBALS)}"
            case "list":
                return f"[{self.place(scope)}, ({self.place(scope)}, {self.place(scope)})]"
        return self.place(scope)

    def do_assign(self, scope: Scope, indent: str) -> None:
        """``=``, with and without an annotation."""
        value = self.expression(scope)
        match self.one(("plain", "plain", "chain", "typed", "several")):
            case "chain":
                self.put(indent, f"{self.target(scope)} = {self.target(scope)} = {value}")
            case "typed":
                annotation = self.one(("int", "'list[int]'", "Registry | None", "dict[str, Base]", "'no type ('"))
                self.put(indent, f"{self.place(scope)}: {annotation} = {value}")
            case "several":
                self.put(indent, f"{self.target(scope)} = *{self.name(scope)}, {value}")
            case _:
                self.put(indent, f"{self.target(scope)} = {value}")

    def do_grow(self, scope: Scope, indent: str) -> None:
        """``+=`` and the like."""
        place = self.place(scope) if self.maybe() else self.one(scope.names or GLOBALS)
        self.put(indent, f"{place} {self.one(AUGMENTED)} {self.expression(scope)}")

    def do_call(self, scope: Scope, indent: str) -> None:
        """A call by itself."""
        self.put(indent, self.call(scope))

    def do_delete(self, scope: Scope, indent: str) -> None:
        """``del``."""
        self.put(indent, f"del {self.place(scope)}, ({self.place(scope)},)")

    def do_small(self, scope: Scope, indent: str) -> None:
        """What is said in one line."""
        texts = ["pass", "pass; pass;", f"assert {self.expression(scope)}, {self.name(scope)}", "..."]
        if scope.modules:
            module = self.one(scope.modules)
            texts += [f"import {module} as other", f"from {module} import {self.one(GLOBALS)} as taken, work as job"]
        if scope.generates:
            texts += [f"yield {self.expression(scope)}", f"{self.one(LOCALS)} = yield"]
            if not scope.is_async:
                texts.append(f"yield from {self.expression(scope)}")
        if sys.version_info >= (3, 12):
            texts.append(f"type {self.new('T')}[A: int, *B, **C] = dict[A, {self.one(CLASSES)}]")
        if sys.version_info >= (3, 14):
            texts.append(f"t'{{{self.name(scope)}}}'")
        self.put(indent, self.one(texts))

    def do_leave(self, scope: Scope, indent: str) -> None:
        """Go somewhere else."""
        texts = [f"raise KeyError({self.name(scope)}) from {self.name(scope)}", "raise"]
        if scope.kind == "function":
            texts += ["return", "return"]
            if not (scope.is_async and scope.generates):
                texts += [f"return {self.expression(scope)}", f"return *{self.name(scope)}, 1"]
        if scope.in_loop:
            texts += ["break", "continue", "continue"]
        self.put(indent, self.one(texts))

    def do_if(self, scope: Scope, indent: str) -> None:
        """Branches; what is tested is often what is changed."""
        if self.maybe():
            place, key = self.one(GLOBALS), self.one(scope.names or LOCALS)
            self.put(indent, f"if {key} not in {place}:")
            self.put(f"{indent}    ", f"{place}[{key}] = {self.expression(scope.deeper())}")
            return
        if self.one(("", "", "line")):
            self.put(indent, f"if {self.expression(scope.deeper())}: {self.place(scope)} = 1; pass")
            return
        self.put(indent, f"if {self.expression(scope.deeper())}:")
        self.block(scope.deeper(), indent)
        if self.maybe():
            self.put(indent, f"elif {self.expression(scope.deeper())}:")
            self.block(scope.deeper(), indent)
        if self.maybe():
            self.put(indent, "else:")
            self.block(scope.deeper(), indent)

    def do_for(self, scope: Scope, indent: str) -> None:
        """A loop over something."""
        is_async = "async " if scope.is_async and self.maybe() else ""
        source = f"*{self.name(scope)}, 1" if self.one(("", "", "*")) else self.expression(scope.deeper())
        self.put(indent, f"{is_async}for {self.target(scope.deeper())} in {source}:")
        self.block(scope.deeper(in_loop=True), indent)
        if self.maybe():
            self.put(indent, "else:")
            self.block(scope.deeper(), indent)

    def do_while(self, scope: Scope, indent: str) -> None:
        """A loop as long as something."""
        self.put(indent, f"while {self.one(('True', self.expression(scope.deeper())))}:")
        self.block(scope.deeper(in_loop=True), indent)
        if self.maybe():
            self.put(indent, "else:")
            self.block(scope.deeper(), indent)

    def do_try(self, scope: Scope, indent: str) -> None:
        """Handlers, or what is done in any case."""
        inner = scope.deeper()
        self.put(indent, "try:")
        self.block(inner, indent)
        star = "*" if sys.version_info >= (3, 11) and self.one(("", "", "*")) else ""
        handled = inner if not star else inner.deeper(in_loop=False, kind="module", generates=False)
        if self.maybe():
            self.put(indent, f"except{star} (KeyError, {self.one(CLASSES)}) as {self.new('e')}:")
            self.block(handled, indent)
            if not star and self.maybe():
                self.put(indent, "except:")
                self.block(inner, indent)
            if self.maybe():
                self.put(indent, "else:")
                self.block(inner, indent)
            if self.maybe():
                return
        self.put(indent, "finally:")
        self.block(inner, indent)

    def do_with(self, scope: Scope, indent: str) -> None:
        """Something entered: a lock at times."""
        is_async = "async " if scope.is_async and self.maybe() else ""
        item = self.one(("lock", "guard", "self._lock" if "self" in scope.names else "lock", self.name(scope)))
        match self.one(("lock", "lock", "two", "lines")):
            case "two":
                item = f"{item} as {self.one(scope.names or GLOBALS)}, {self.expression(scope.deeper())}"
            case "lines":
                item = (
                    f"(\n{indent}    {item} as {self.place(scope)},  # why\n{indent}    {self.name(scope)},\n{indent})"
                )
        self.put(indent, f"{is_async}with {item}:")
        self.block(scope.deeper(), indent)

    def do_match(self, scope: Scope, indent: str) -> None:
        """Patterns of every kind."""
        self.put(indent, f"match {self.expression(scope.deeper())}:")
        for _ in self.some(1, 2):
            first, second = self.new("m"), self.new("m")
            pattern = self.one(
                (
                    f"[1, {first}, *{second}]",
                    f"{{'a': {first}, **{second}}}",
                    f"Registry(jobs={first}) as {second}",
                    "None | 'a' | -1",
                    f"({first}, _)",
                    "asyncio.Lock()",
                )
            )
            guard = f" if {self.expression(scope.deeper())}" if self.maybe() else ""
            self.put(f"{indent}    ", f"case {pattern}{guard}:")
            self.block(scope.deeper(), f"{indent}    ")

    def do_function(self, scope: Scope, indent: str) -> None:
        """A function in a function, or a class."""
        if self.one(("function", "function", "class")) == "class":
            self.a_class(self.new("K"), scope, indent)
        else:
            self.a_function(self.new("f"), scope, indent)

    def a_function(self, name: str, scope: Scope, indent: str, parameters: tuple[str, ...] = ()) -> None:
        """A ``def``: what it is given, what it binds, and what it does."""
        if self.one(("", "", "", "@")):
            self.put(indent, f"@{self.one(DECORATORS)}")
        is_async = self.one(("", "", "async "))
        generic = f"[{self.new('T')}, *{self.new('U')}]" if sys.version_info >= (3, 12) and self.maybe() else ""
        given = (
            [*parameters, "key=1", "/"] if self.maybe() and parameters != ("self",) else [*parameters, "key: int = 1"]
        )
        given += self.one(("", "*, value=None", "*found, value: Base = work", "value=JOBS, **found")).split(", ")
        text = ", ".join(part for part in given if part)
        returns = self.one(("", "", " -> int", " -> 'Registry'"))
        self.put(indent, f"{is_async}def {name}{generic}({text}){returns}:")
        step = self.one(("    ", "  ", "\t"))
        taken = [part for part in scope.names if scope.kind == "function" and part.startswith("v")]
        if self.maybe():
            self.lines.append(f"{indent}{step}global JOBS, {self.one(('seen', 'total'))}")
        own = self.new("v")
        if taken and self.maybe():
            own = taken[-1]
            self.lines.append(f"{indent}{step}nonlocal {own}")
        self.lines.append(f"{indent}{step}{own} = {self.one(INITIAL)}")
        names = ("self",) if "self" in scope.names else ()
        names = (*names, *parameters, "key", own)
        inner = Scope(
            "function",
            is_async=bool(is_async),
            generates=self.one(("", "", "", "yes")) != "",
            names=tuple(dict.fromkeys((*names, *taken))),
            depth=min(scope.depth - 1, 2),
            modules=scope.modules,
        )
        for _ in self.some(1, 3):
            self.statement(inner, indent + step)
        self.lines.append("")

    def a_class(self, name: str, scope: Scope, indent: str) -> None:
        """A ``class`` with state of its own, methods, and whatever else."""
        bases = self.one(("", "()", "(Base)", "(threading.Thread)", "(Base, metaclass=type)", "(*[Base])"))
        self.put(indent, f"class {name}{bases}:")
        inner = Scope("class", depth=min(scope.depth - 1, 2), modules=scope.modules)
        step = indent + "    "
        self.put(step, f"shared = {self.one(INITIAL)}")
        self.put(step, "def __init__(self):")
        for attribute in ("jobs", "_lock", "count"):
            self.put(step + "    ", f"self.{attribute} = {self.one(INITIAL)}")
        if self.maybe():
            self.put(step + "    ", self.one(STARTS).format("self.work", "self"))
        for method in ("work", "run"):
            self.a_function(method, inner, step, ("self",))
        if self.maybe():
            self.statement(inner, step)

    def module(self, modules: tuple[str, ...]) -> str:
        """A whole file."""
        self.lines = [*self.one(("", "# -*- coding: utf-8 -*-\n", '"""Docs."""\n')).splitlines(), *HEAD]
        if modules and self.maybe():
            self.lines.append(self.one((f"from {modules[0]} import *", f"from {modules[0]} import JOBS, lock, work")))
        for name in GLOBALS:
            self.put("", f"{name} = {self.one(INITIAL)}")
        scope = Scope(modules=modules)
        self.lines.append("")
        self.a_class("Base", scope, "")
        self.a_class("Registry", scope, "")
        for name in FUNCTIONS[: self.draw(st.integers(1, 3))]:
            self.a_function(name, scope, "")
        for _ in self.some(0, 2):
            self.statement(scope.deeper(), "")
        for _ in self.some(1, 3):
            self.put("", self.one(STARTS).format(self.one((*FUNCTIONS, "Registry().work")), self.one(GLOBALS)))
        end = self.one(("\n", "\n", "\r\n"))
        return end.join("\n".join(self.lines).split("\n")) + self.one((end, end, "", end + end))


@st.composite
def programs(draw: st.DrawFn) -> dict[str, str]:
    """The files of a program by their names."""
    names = ("main", "pkg.store", "pkg.__init__")[: draw(st.integers(1, 3))]
    found: dict[str, str] = {}
    for name in names:
        others = tuple(other.removesuffix(".__init__") for other in names if other != name)
        found[name.replace(".", "/") + ".py"] = Writer(draw).module(others)
    return found
