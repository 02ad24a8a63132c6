"""The linked program: symbols, framework tables, and for every storage cell the objects that may be in it.

Cells are the places values flow through: parameters, returns, attributes, globals, class variables, captured variables
and container elements (those of mappings also by key, where the key is a literal). ``Solver`` (in ``solve``) fills them
to a fixpoint (an inclusion-based, flow-insensitive points-to analysis after Andersen, with local variables already
resolved by the front end).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from racelint.frameworks.schema import Container, Fed, Matcher, Tables
from racelint.link import classes as hierarchy
from racelint.link.handed_back import passed_back
from racelint.link.objects import Heap, Obj, Objs, Site
from racelint.link.symbols import BUILTINS, ClassInfo, FunctionInfo, Symbols
from racelint.model import facts as f

Cell: TypeAlias = tuple[object, ...]

EMPTY: Objs = {}
# More objects than this in one cell say nothing any more; the first ones found are kept.
CELL_LIMIT = 48
# What is made without a call: the site of such an object names the node of the display.
DISPLAYS = frozenset(("dict", "list", "set", "tuple", "generator"))
MAX_IMPORT_DEPTH = 24
# In the place of the node whose value is put into a container: what some other container had, what a factory makes.
ELSEWHERE, FACTORY = -1, -2
# The type of what ``**kwargs`` collects from a framework: each call has one of its own.
KEYWORDS = "<keywords>"


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """A container that a framework fills with what ``function`` returns: ``objs`` are it and what it holds."""

    row: Fed
    function: str
    name: str
    objs: tuple[Obj, ...]


class World:
    """Shared state of the linking phase; read-only once solved."""

    def __init__(self, symbols: Symbols, tables: Tables) -> None:
        self.symbols = symbols
        self.tables = tables
        self.heap = Heap()
        self.cells: dict[Cell, Objs] = {}
        self.guards = Matcher.of(tables.guard)
        self.guard_decorators = Matcher.of(tables.guard_decorator)
        self.containers = Matcher.of(tables.container)
        # Types that iterate over their keys, which are not tracked.
        self.mappings = frozenset({KEYWORDS, *(name for row in tables.container if row.mapping for name in row.name)})
        self.consumers = Matcher.of(tables.consumer)
        self.calls = Matcher.of(tables.calls)
        self.hooks = Matcher.of(tables.hook)
        self.results = Matcher.of(tables.result)
        self.confined = Matcher.of(tables.confined)
        self.waiters = Matcher.of(tables.waiter)
        self.uniques = Matcher.of(tables.unique)
        self.protocols = Matcher.of(tables.protocol)
        self.latches = Matcher.of(tables.latch)
        self.patches = Matcher.of(tables.patch)
        self.blocking = Matcher.of(tables.blocking)
        self.injections = Matcher.of(tables.injection)
        self.carriers = {name: row.name[0] for row in tables.carrier for name in (*row.name, *row.found)}
        self._carried = frozenset(name for row in tables.carrier for name in row.found)
        # Class attributes assigned through the class (`cls.x = ...`, `Config.x = ...`).
        self.class_stores: set[Cell] = set()
        # (function, event) -> objects called there; filled while solving.
        self.callees: dict[tuple[str, int], tuple[Obj, ...]] = {}
        # Container -> the nodes (by function) whose values are put into it.
        self.puts: dict[Obj, dict[Site, None]] = {}
        # Containers that frameworks fill; found before solving.
        self.feeds: tuple[Feed, ...] = ()
        self.decorator_names: dict[str, tuple[str, ...]] = {}
        self._attr_homes: dict[tuple[str, str], tuple[str, bool]] = {}
        self._class_slots: dict[tuple[str, str], Cell] = {}
        self._methods: dict[tuple[str, str], str | None] = {}
        self._passed: dict[str, frozenset[str]] = {}
        self._properties: dict[str, bool] = {}
        self._receivers: dict[tuple[Obj, str], tuple[tuple[str, Obj], ...]] = {}
        self._members: dict[tuple[Obj, str], tuple[Obj | None, Cell, Obj | None]] = {}
        self._resolved: dict[tuple[str, str], tuple[Objs, Cell | None]] = {}
        # What functions found on objects are, once they are bound to these: function, its name there, object.
        self.bound: dict[tuple[Obj, str, Obj], Obj] = {}
        # What evaluators that tell contexts apart find in cells, and as whose; once all is solved.
        self.found: dict[tuple[Cell, bool], Objs] = {}
        self.adopted: dict[tuple[Obj, Obj], Obj] = {}

    # -- types --------------------------------------------------------------------------------------------------------

    def container_row(self, dotted: str) -> Container | None:
        """The container row of an external type, or None."""
        return self.containers.first(dotted)

    # -- classes ------------------------------------------------------------------------------------------------------

    def class_of(self, cid: str) -> ClassInfo:
        """Class by id."""
        return self.symbols.classes[cid]

    def home(self, cid: str, name: str) -> tuple[str, bool]:
        """The class an attribute belongs to; whether it is a class-level attribute (home cached).

        What some code assigns on instances belongs to them, even if no method does it on ``self``: fields of data
        classes and of models are declared in the class body and set from outside.
        """
        key = (cid, name)
        found = self._attr_homes.get(key)
        if found is None:
            found = self._attr_homes[key] = hierarchy.attribute_home(self.symbols, cid, name)
        home, class_level = found
        if not class_level or ("a", home, name) not in self.cells or ("k", home, name) in self.class_stores:
            return found
        return home, False

    @cached_property
    def keepers(self) -> dict[Obj, frozenset[str]]:
        """Container -> the classes whose instances keep it in an attribute; to be asked when all is solved."""
        found: dict[Obj, set[str]] = defaultdict(set)
        for cell, objs in self.cells.items():
            if cell[0] == "a":
                for obj in objs:
                    if obj.kind == "ext":
                        found[self.heap.plain(obj)].add(str(cell[1]))
        return {obj: frozenset(classes) for obj, classes in found.items()}

    def own_slot(self, cid: str, name: str) -> Cell:
        """The cell of what instances of class ``cid`` have for themselves under ``name``."""
        return ("a", self.home(cid, name)[0], name)

    def class_slot(self, cid: str, name: str) -> Cell:
        """The cell of ``name`` on the class object itself: the nearest base whose body binds it."""
        key = (cid, name)
        found = self._class_slots.get(key)
        if found is None:
            classes = self.symbols.classes
            owner = next((parent for parent in classes[cid].mro if name in classes[parent].class_attrs), cid)
            found = self._class_slots[key] = ("k", owner, name)
        return found

    def method(self, cid: str, name: str) -> str | None:
        """Method look-up."""
        key = (cid, name)
        try:
            return self._methods[key]
        except KeyError:
            found = self._methods[key] = hierarchy.find_method(self.symbols, cid, name)
            return found

    def forget_methods(self) -> None:
        """Look methods up anew, now that the bases of all classes are known."""
        self._class_slots.clear()
        self.bound.clear()
        self._methods.clear()
        self._properties.clear()
        self._receivers.clear()

    def receivers(self, obj: Obj, name: str) -> tuple[tuple[str, Obj], ...]:
        """The methods an instance has under a name, by its class or a subclass that it may be of, with the receiver."""
        found = self._receivers.get((obj, name))
        if found is None:
            cid = obj.name
            first = self.method(cid, name)
            receivers: dict[str, Obj] = {first: obj} if first is not None else {}
            if obj.unknown and obj.owner is None and not name.startswith("__"):
                for sub in self.class_of(cid).subclasses:
                    override = self.class_of(sub).methods.get(name)
                    if override is not None:
                        # Where the override runs, the object is an instance of the class that overrides.
                        receivers.setdefault(override, self.heap.make("inst", sub, obj.site, fresh=obj.fresh))
            found = self._receivers[obj, name] = tuple(receivers.items())
        return found

    def member(self, obj: Obj, name: str) -> tuple[Obj | None, Cell, Obj | None]:
        """``obj.name`` of a library object: what is carried there, else the cell of what is put there; the member."""
        found = self._members.get((obj, name))
        if found is None:
            carried = self.carried(f"{obj.name}.{name}")
            if carried is not None:
                found = (carried, (), None)
            else:
                cell = self.attr_cell(obj, name)
                found = (None, cell, self.heap.make("member", f"{obj.name}.{name}", owner=obj))
            self._members[obj, name] = found
        return found

    def decorators(self, fid: str) -> tuple[str, ...]:
        """Dotted names of a function's decorators, innermost last (``property``, ``staticmethod``, ``x.setter``)."""
        return self.decorator_names.get(fid, ())

    def is_property(self, fid: str) -> bool:
        """Whether reading the attribute calls the function."""
        found = self._properties.get(fid)
        if found is None:
            found = self._properties[fid] = any(
                name in ("property", "functools.cached_property", "abc.abstractproperty", "cached_property")
                or name.endswith(("cached_property", ".getter", "hybrid_property"))
                for name in self.decorators(fid)
            )
        return found

    def is_static(self, fid: str) -> bool:
        """``@staticmethod``."""
        return "staticmethod" in self.decorators(fid)

    def is_classmethod(self, fid: str) -> bool:
        """``@classmethod``, or a method Python treats as one."""
        name = self.symbols.functions[fid].facts.name
        return "classmethod" in self.decorators(fid) or name in ("__new__", "__init_subclass__", "__class_getitem__")

    def passed_back(self, fid: str) -> frozenset[str]:
        """The parameters that a function returns as they are (see ``handed_back``)."""
        found = self._passed.get(fid)
        if found is None:
            found = self._passed[fid] = passed_back(self.symbols.functions[fid].facts)
        return found

    def made_by(self, obj: Obj) -> tuple[FunctionInfo, f.Call] | None:
        """The call that made an object, in its function; None for what a display, an annotation or a caller made."""
        info = self.symbols.functions.get(obj.site[0]) if obj.site is not None else None
        if info is None or obj.site is None or obj.name in DISPLAYS:
            return None
        event = info.facts.events[obj.site[1]] if 0 <= obj.site[1] < len(info.facts.events) else None
        return (info, event) if type(event) is f.Call else None

    # -- functions ----------------------------------------------------------------------------------------------------

    def function_objects(self, fid: str) -> Objs:
        """What a name bound by this ``def`` refers to: the function, or what project decorators made of it."""
        found = self.cells.get(("d", fid))
        if found:
            return found
        return {self.heap.make("func", fid): None}

    # -- names --------------------------------------------------------------------------------------------------------

    def resolve(self, module: str, name: str) -> tuple[Objs, Cell | None]:
        """What a module-level name may be: fixed objects (imports, builtins), and the cell of a variable."""
        key = (module, name)
        found = self._resolved.get(key)
        if found is None:
            found = self._resolved[key] = self._resolve(module, name, 0)
        return found

    def _resolve(self, module: str, name: str, depth: int) -> tuple[Objs, Cell | None]:
        info = self.symbols.modules.get(module)
        if info is None or depth > MAX_IMPORT_DEPTH:
            return {self.heap.make("symbol", f"{module}.{name}"): None}, None
        found: Objs = {}
        cell: Cell | None = None
        if name in info.variables:
            cell = ("g", module, name)
        for source, attribute in info.imports.get(name, ()):
            objs, inner = self._imported(source, attribute, depth + 1)
            found.update(objs)
            cell = cell or inner
        if found or cell is not None:
            return found, cell
        submodule = self.symbols.find_module(f"{module}.{name}")
        if submodule is not None:
            return {self.heap.make("module", submodule): None}, None
        for source in info.stars:
            target = self.symbols.find_module(source)
            if target is not None and target != module and self._exports(target, name, depth + 1):
                return self._resolve(target, name, depth + 1)
        if name in BUILTINS:
            return {self.heap.make("symbol", name): None}, None
        externals = [source for source in info.stars if self.symbols.find_module(source) is None]
        if externals:
            return {self.heap.make("symbol", f"{externals[-1]}.{name}"): None}, None
        return {}, None

    def _exports(self, module: str, name: str, depth: int) -> bool:
        info = self.symbols.modules[module]
        if depth > MAX_IMPORT_DEPTH:
            return False
        if info.facts.public is None and name.startswith("_"):
            return False
        if name in info.variables or name in info.imports:
            return True
        return any(
            target != module and self._exports(target, name, depth + 1)
            for target in (self.symbols.find_module(star) for star in info.stars)
            if target is not None
        )

    def imported(self, module: str, name: str | None) -> tuple[Objs, Cell | None]:
        """What an import binds."""
        return self._imported(module, name, 0)

    def _imported(self, module: str, name: str | None, depth: int) -> tuple[Objs, Cell | None]:
        target = self.symbols.find_module(module)
        if name is None:
            if target is not None:
                return {self.heap.make("module", target): None}, None
            if module in self.symbols.packages:
                return {self.heap.make("module", module): None}, None
            return {self.heap.make("symbol", module): None}, None
        if target is None:
            submodule = self.symbols.find_module(f"{module}.{name}")
            if submodule is not None:
                return {self.heap.make("module", submodule): None}, None
            if module in self.symbols.packages and f"{module}.{name}" in self.symbols.packages:
                return {self.heap.make("module", f"{module}.{name}"): None}, None
            return {self.heap.make("symbol", f"{module}.{name}"): None}, None
        objs, cell = self._resolve(target, name, depth) if depth else self.resolve(target, name)
        if not objs and cell is None:
            submodule = self.symbols.find_module(f"{module}.{name}")
            if submodule is not None:
                return {self.heap.make("module", submodule): None}, None
        return objs, cell

    def scope_of(self, info: FunctionInfo) -> str:
        """The id of the scope a function is defined in: a class body, a function or the module."""
        if info.cls is not None and info.facts.kind == "function":
            return f"{info.module}:{self.class_of(info.cls).facts.body}"
        around = self.symbols.classes.get(info.id.rpartition(".")[0])
        if around is not None:  # a lambda in the body of a class is no method
            return f"{info.module}:{around.facts.body}"
        return info.parent or f"{info.module}:<module>"

    # -- cells --------------------------------------------------------------------------------------------------------

    def get(self, cell: Cell) -> Objs:
        """What may be in a cell."""
        return self.cells.get(cell, EMPTY)

    def element_cell(self, obj: Obj) -> Cell:
        """The cell of a container's elements (owners and freshness do not matter for what is stored)."""
        if obj.kind == "ext" and obj.name == "generator" and obj.site is not None and obj.site[1] == -1:
            return ("y", obj.site[0])
        return ("e", self._holder(obj))

    def value_cell(self, obj: Obj, key: str | None) -> Cell:
        """The cell of what a mapping has under one literal ``key`` (None: under a key that is not written out).

        Every value is in the element cell as well; this one tells the fields of a dict that is used as a record apart.
        """
        return ("m", self._holder(obj), key)

    def attr_cell(self, obj: Obj, name: str) -> Cell:
        """The cell of an attribute of an object that is not an instance of a project class."""
        return ("o", self._holder(obj), name)

    def carried(self, dotted: str) -> Obj | None:
        """The object that code called by a framework finds in an attribute; None when it is no such attribute."""
        return self.heap.make("ext", self.carriers[dotted]) if dotted in self._carried else None

    def _holder(self, obj: Obj) -> Obj:
        """What a container's content is kept by: itself; for what a framework carries around, its type."""
        carrier = self.carriers.get(obj.name) if obj.kind in ("ext", "member") else None
        return self.heap.plain(obj) if carrier is None else self.heap.make("ext", carrier)


def literal_key(nodes: Sequence[f.Node], key: int) -> str | None:
    """The key of an item access, as source text, when it is written out as a literal."""
    node = nodes[key] if key >= 0 else None
    return node.text if type(node) is f.Const else None


def const_text(node: f.Node) -> str | None:
    """The value of a string literal node, or None."""
    if type(node) is f.Const:
        text = node.text
        if len(text) >= 2 and text[0] in "'\"" and text[-1] == text[0]:
            return text.strip("'\"")
    return None
