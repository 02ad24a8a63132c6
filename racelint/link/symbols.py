"""Modules, functions and classes by name: the program's symbol table."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from racelint.model import facts as f

BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True)
class Signature:
    """The names of parameters that arguments go to by position, by name, and what collects those that are left."""

    positional: tuple[str, ...]
    names: frozenset[str]
    star: str | None

    def handed(self, call: f.Call, *, bound: bool) -> dict[str, int]:
        """The caller's nodes of what a call is seen to hand over, by parameter.

        ``bound``: the first parameter is the receiver, which no argument is for.
        """
        found = dict(zip(self.positional[bound:], call.args, strict=False))
        if call.kwargs:
            found.update((name, node) for name, node in call.kwargs if name in self.names)
        return found


@dataclass(eq=False)
class FunctionInfo:
    """A function in its module. ``id`` is ``module:qualname``; ``cls`` the id of the class it is a method of."""

    id: str
    module: str
    facts: f.Function
    cls: str | None
    parent: str | None
    path: str

    @property
    def display(self) -> str:
        """Dotted name as shown in reports."""
        return display_name(self.id)

    @cached_property
    def signature(self) -> Signature:
        """Where arguments go."""
        params = self.facts.params
        return Signature(
            tuple(param.name for param in params if param.kind == "positional"),
            frozenset(param.name for param in params if param.kind in ("positional", "keyword")),
            next((param.name for param in params if param.kind == "star"), None),
        )

    @cached_property
    def returns(self) -> tuple[f.Return, ...]:
        """Its ``return`` statements."""
        return tuple(event for event in self.facts.events if type(event) is f.Return)

    @property
    def is_method(self) -> bool:
        """Defined directly in a class body."""
        return self.cls is not None and self.facts.kind == "function"


def display_name(identifier: str) -> str:
    """``pkg.mod:Class.method`` as ``pkg.mod.Class.method``."""
    module, _, qualname = identifier.partition(":")
    name = qualname.split("#")[0].replace(".<locals>", "").replace("<module>", "").replace(".<body>", "")
    return f"{module}.{name}" if name else module


@dataclass(slots=True, eq=False)
class ClassInfo:
    """A class: its linearised bases (ids of project classes, dotted names of external ones) and what it defines.

    ``own_attrs``: attributes its methods assign on ``self``; ``used_attrs``: those that they name at all;
    ``class_attrs``: names bound in its body or on the class.
    """

    id: str
    module: str
    facts: f.Class
    mro: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    methods: dict[str, str] = field(default_factory=dict)
    own_attrs: set[str] = field(default_factory=set)
    used_attrs: set[str] = field(default_factory=set)
    class_attrs: set[str] = field(default_factory=set)
    factory_attrs: set[str] = field(default_factory=set)
    slots: bool = False
    subclasses: list[str] = field(default_factory=list)
    metaclass: str | None = None

    @property
    def display(self) -> str:
        """Dotted name as shown in reports."""
        return display_name(self.id)


@dataclass(slots=True, eq=False)
class ModuleInfo:
    """A module: what its names are bound to, and which modules it imports everything from."""

    name: str
    facts: f.ModuleFacts
    path: str
    imports: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Symbols:
    """Everything that has a name."""

    modules: dict[str, ModuleInfo]
    functions: dict[str, FunctionInfo]
    classes: dict[str, ClassInfo]
    aliases: Mapping[str, str]
    packages: frozenset[str]

    def find_module(self, dotted: str) -> str | None:
        """The project module with this import name, directly or by an alternative name."""
        if dotted in self.modules:
            return dotted
        return self.aliases.get(dotted)


def build(modules: Iterable[tuple[f.ModuleFacts, str]], aliases: Mapping[str, str]) -> Symbols:
    """Index facts by name. ``modules`` pairs each module's facts with its display path."""
    infos: dict[str, ModuleInfo] = {}
    functions: dict[str, FunctionInfo] = {}
    classes: dict[str, ClassInfo] = {}
    for facts, path in sorted(modules, key=lambda pair: pair[0].module):
        info = ModuleInfo(facts.module, facts, path)
        infos[facts.module] = info
        for item in facts.imports:
            if item.bound == "*":
                info.stars.append(item.module)
            elif item.bound:
                info.imports.setdefault(item.bound, []).append((item.module, item.name))
        for cls in facts.classes:
            identifier = f"{facts.module}:{cls.qualname}"
            entry = ClassInfo(identifier, facts.module, cls)
            for name, qualname in cls.methods:
                entry.methods[name] = f"{facts.module}:{qualname}"
            classes[identifier] = entry
        for function in facts.functions:
            identifier = f"{facts.module}:{function.qualname}"
            functions[identifier] = FunctionInfo(
                identifier,
                facts.module,
                function,
                f"{facts.module}:{function.cls}" if function.cls else None,
                f"{facts.module}:{function.parent}" if function.parent else None,
                path,
            )
            for event in function.events:
                if type(event) is f.Access and event.kind == "store":
                    target = function.nodes[event.target]
                    if type(target) is f.Global:
                        info.variables.add(target.name)
    packages = {
        ".".join(parts[:count]) for name in infos for parts in [name.split(".")] for count in range(1, len(parts) + 1)
    }
    return Symbols(infos, functions, classes, aliases, frozenset(packages))
