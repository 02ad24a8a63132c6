"""Events to touches: which place an access or a library call reads, changes or walks, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import msgspec
from msgspec import structs

from racelint.analysis.nested import Nested
from racelint.frameworks.schema import Container, Effect
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj, Objs
from racelint.link.symbols import FunctionInfo
from racelint.link.views import viewed
from racelint.link.world import Cell, World, const_text
from racelint.model import facts as f

Kind = Literal[
    "read",  # a slot is read
    "rebind",  # a slot is bound to a new value
    "unbind",  # a slot is deleted
    "look",  # tolerant look at a container's content (get, in, len, truth)
    "item",  # look-up that raises when the key is gone
    "insert",
    "delete",  # raises when it is gone
    "discard",
    "clear",
    "update",
    "claim",
    "order",
    "iterate",
    "snapshot",
]
MUTATING: frozenset[str] = frozenset(
    ("rebind", "unbind", "insert", "delete", "discard", "clear", "update", "claim", "order")
)
RESIZING: frozenset[str] = frozenset(("insert", "delete", "discard", "clear", "update", "claim"))
FROM_EFFECT: dict[Effect, Kind] = {
    "read": "look",
    "item": "item",
    "insert": "insert",
    "delete": "delete",
    "discard": "discard",
    "clear": "clear",
    "update": "update",
    "claim": "claim",
    "iterate": "iterate",
    "snapshot": "snapshot",
    "order": "order",
}
# What functions and classes say of themselves: decorators set it while a module is imported.
DESCRIBING = frozenset(("__doc__", "__name__", "__qualname__", "__module__", "__annotations__", "__wrapped__"))
SLOTS = ("load", "store", "unset")
GENERIC_TYPES = ("dict", "list", "set")


# (place, object it belongs to, display name)
Slot: TypeAlias = tuple[Cell, Obj | None, str]


class Touch(msgspec.Struct, frozen=True):
    """One access to one place.

    ``place`` identifies it, ``base`` is the object it belongs to (None: a slot of a module or class), ``name`` is
    shown. ``content`` tells a container's elements from the slot that holds it. ``key`` is the node of the key,
    ``value`` of what is written. ``atomic`` false: the container is Python code. ``harmless``: never reported by
    itself. ``assumed``: the object is unknown and taken for a container by what is done with it. ``there``: the entry
    that is stored exists already.
    """

    place: Cell
    base: Obj | None
    name: str
    effect: Kind
    content: bool
    fid: str
    event: int
    line: int
    key: int = -1
    value: int = -1
    aug: bool = False
    atomic: bool = True
    type: str = ""
    harmless: bool = False
    assumed: bool = False
    there: bool = False

    def on(self, base: Obj) -> Touch:
        """The same touch on another view of the object."""
        return structs.replace(self, base=base)


def touched(facts: f.Function, touch: Touch) -> int:
    """The node of the object (or container) that is touched; -1 when it is not known."""
    event = facts.events[touch.event]
    if type(event) is f.Call:
        func = facts.nodes[event.func]
        if type(func) is f.Attr:
            return func.base
        return event.args[0] if len(event.args) == 1 else -1
    if type(event) is not f.Access:
        return -1
    target = facts.nodes[event.target]
    if touch.content:
        return event.target
    return target.base if type(target) is f.Attr else -1


class Effects:
    """Knows what events do to places."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.names = _holder_names(world)
        self.nested = Nested(world)
        # What the accesses of the language do: the first row of each counts.
        self.steps = {row.access: row.effect for row in reversed(world.tables.operation) if row.access and row.effect}
        # What a framework hands out has the name it is handed out under, wherever else it may be kept.
        self.fed = {obj: feed.name for feed in world.feeds for obj in feed.objs}
        # The last parts of the names of functions that walk what they are given when their result is walked.
        lazy = (row.name for row in world.tables.consumer if row.effect == "view")
        self._views = frozenset(name.rpartition(".")[2] for names in lazy for name in names)
        self._slot: dict[tuple[Obj, str], Slot | None] = {}
        self._constant: dict[Cell, bool] = {}
        self.generic: dict[str, Kind] = {}
        for name in GENERIC_TYPES:
            row = world.container_row(name)
            for method, effect in (row.methods if row is not None else {}).items():
                if effect in FROM_EFFECT:
                    self.generic.setdefault(method, FROM_EFFECT[effect])

    # -- accesses -----------------------------------------------------------------------------------------------------

    def access(self, evaluator: Evaluator, event: f.Access, index: int) -> Iterator[Touch]:
        """Touches of an access event."""
        effect = self.steps.get(event.kind)
        if not effect:
            return
        if event.kind in SLOTS:
            yield from self._slots(evaluator, event, index, effect)
        elif event.kind == "iter":
            yield from self._walked(evaluator, event.target, index, event.line, effect)
        else:
            done: Kind = _sliced(evaluator.nodes, event) or effect
            there = event.kind == "set" and _met_there(evaluator.info.facts, event)
            for obj in evaluator.eval(event.target):
                if event.kind == "grow" and obj.kind == "opaque" and not self._container(evaluator, event.value):
                    continue  # ``text += more`` on what may as well be a number or a string
                for touch in self._content(
                    evaluator, event.target, obj, index, event.line, done, event.key, event.value, event.aug
                ):
                    yield structs.replace(touch, there=True) if there else touch

    def _container(self, evaluator: Evaluator, node: int) -> bool:
        """Whether a value is known to be a container: what is added to one in place."""
        return any(obj.kind == "ext" and self.world.container_row(obj.name) for obj in evaluator.eval(node))

    def _slots(self, evaluator: Evaluator, event: f.Access, index: int, effect: Kind) -> Iterator[Touch]:
        for place, base, name in self.slots(evaluator, event.target):
            if effect == "read" and self._is_constant(place):
                continue
            yield Touch(
                place, base, name, effect, False, evaluator.info.id, index, event.line, -1, event.value, event.aug
            )

    def slots(self, evaluator: Evaluator, index: int) -> Iterator[Slot]:
        """The storage slots a node names: (place, object it belongs to, display name)."""
        world = self.world
        node = evaluator.nodes[index]
        if type(node) is f.Attr:
            for obj in evaluator.eval(node.base):
                slot = self._slot_of(obj, node.name)
                if slot is not None:
                    yield slot
        elif type(node) is f.Global:
            _, cell = world.resolve(evaluator.info.module, node.name)
            if cell is not None:
                yield cell, None, f"{cell[1]}.{cell[2]}"
        elif type(node) is f.Captured:
            fid = f"{evaluator.info.module}:{node.owner}"
            yield ("x", fid, node.name), None, f"{world.symbols.functions[fid].display}.{node.name}"
        elif type(node) is f.Phi:
            for option in node.options:
                if type(evaluator.nodes[option]) is not f.Phi:
                    yield from self.slots(evaluator, option)

    def _slot_of(self, obj: Obj, name: str) -> Slot | None:
        """The slot of an attribute of an object, if it has one of its own."""
        key = (obj, name)
        if key not in self._slot:
            self._slot[key] = self._find_slot(obj, name)
        return self._slot[key]

    def _find_slot(self, obj: Obj, name: str) -> Slot | None:
        world = self.world
        if name in DESCRIBING:
            return None
        if obj.kind == "inst":
            external = world.class_of(obj.name).external
            if world.method(obj.name, name) is not None or any(world.confined.first(base) for base in external):
                return None
            home, class_level = world.home(obj.name, name)
            display = f"{world.class_of(home).display}.{name}"
            return (("k", home, name), None, display) if class_level else (("a", home, name), obj, display)
        if obj.kind == "class" and world.method(obj.name, name) is None:
            slot = world.class_slot(obj.name, name)
            return slot, None, f"{world.class_of(str(slot[1])).display}.{name}"
        if obj.kind == "module" and obj.name in world.symbols.modules:
            if name in world.symbols.modules[obj.name].variables:
                return ("g", obj.name, name), None, f"{obj.name}.{name}"
        if obj.kind == "func":
            return ("o", obj, name), None, f"{world.symbols.functions[obj.name].display}.{name}"
        return None

    def no_variable(self, info: FunctionInfo, index: int) -> bool:
        """Whether a node is a name that is bound to a function, a class or a module, or to nothing of the project."""
        node = info.facts.nodes[index]
        if type(node) is not f.Global:
            return False
        _, cell = self.world.resolve(info.module, node.name)
        return cell is None or self._is_constant(cell)

    def _is_constant(self, place: Cell) -> bool:
        """Functions, classes and modules bound to a name are not state."""
        found = self._constant.get(place)
        if found is None:
            objs = self.world.get(place)
            found = bool(objs) and all(obj.kind in ("func", "class", "module", "symbol") for obj in objs)
            self._constant[place] = found
        return found

    def _content(
        self,
        evaluator: Evaluator,
        node: int,
        obj: Obj,
        index: int,
        line: int,
        effect: Kind,
        key: int = -1,
        value: int = -1,
        aug: bool = False,
        method: str = "",
    ) -> Iterator[Touch]:
        """A touch of a container's elements, if the object is one whose elements are state."""
        world = self.world
        if obj.kind == "member" and obj.owner is not None and "()" in obj.name:
            obj = obj.owner  # a view of the container
        row: Container | None = None
        if obj.kind == "ext":
            row = world.container_row(obj.name)
            if row is None or row.safe or obj.name == "tuple":
                return
        elif obj.kind == "opaque":
            if not self._slot_like(obj):
                return
        elif obj.kind == "inst":
            row = self._inherited_container(obj)
            if row is None or row.safe:
                return
        else:
            return
        if row is not None and row.sequence and not method:
            if effect != "look" and const_text(evaluator.nodes[key]) is not None and key >= 0:
                return  # a sequence has no text keys: another of the objects this may be is meant
            if effect == "insert":
                effect = "update"  # l[i] = x changes no length
        if effect == "snapshot" and row is not None and not row.snapshot_safe:
            effect = "iterate"
        place, name = self._content_place(evaluator, node, obj)
        yield Touch(
            place,
            obj,
            name,
            effect,
            True,
            evaluator.info.id,
            index,
            line,
            key,
            value,
            aug,
            atomic=row.atomic if row is not None else True,
            type=row.name[0] if row is not None else "",
            harmless=bool(row is not None and method in row.safe_methods),
            assumed=obj.kind == "opaque",
        )

    def _slot_like(self, obj: Obj) -> bool:
        """An unknown object is followed only where it is an attribute of something the project defines."""
        return ":" in obj.name.split("\0")[0]

    def _inherited_container(self, obj: Obj) -> Container | None:
        for base in self.world.class_of(obj.name).external:
            row = self.world.container_row(base)
            if row is not None:
                return row
        return None

    def _content_place(self, evaluator: Evaluator, node: int, obj: Obj) -> tuple[Cell, str]:
        plain = self.world.heap.plain(obj)
        name = self.fed.get(plain, "")
        for _, _, display in () if name or node < 0 else self.slots(evaluator, node):
            name = display
            break
        if not name:
            name = self.names.get(plain, "") or self._slot_name(obj) or self._path_name(evaluator, node)
        return ("e", plain), name

    def _slot_name(self, obj: Obj) -> str:
        """What is kept in no known slot: an instance is named after its class, something unknown after its way."""
        if obj.kind == "inst":
            return self.world.class_of(obj.name).display
        if obj.kind != "opaque":
            return ""
        first, *rest = obj.name.split("\0")
        info = self.world.symbols.classes.get(first)
        steps = [step for step in rest if not step.startswith("[")]
        return ".".join([info.display if info is not None else first.replace(":", "."), *steps])

    def _path_name(self, evaluator: Evaluator, node: int) -> str:
        inner = evaluator.nodes[node] if node >= 0 else None
        if type(inner) is f.Param:
            return f"{evaluator.info.display}.{inner.name}"
        if isinstance(inner, (f.Item, f.Elem)):
            for _, _, display in self.slots(evaluator, inner.base):
                return display
        return evaluator.info.display

    # -- calls --------------------------------------------------------------------------------------------------------

    def call(self, evaluator: Evaluator, call: f.Call, index: int) -> Iterator[Touch]:
        """Touches of a library call: a container's own method, or a function that walks what it is given."""
        world = self.world
        node = evaluator.nodes[call.func]
        callees = evaluator.eval(call.func)
        for callee in callees:
            if callee.kind == "member" and callee.owner is not None and type(node) is f.Attr:
                yield from self._method(evaluator, call, index, callee, node)
            elif callee.kind == "symbol":
                row = world.consumers.first(callee.name)
                if row is not None and self._applies(row.if_keyword, row.unless_keyword, call):
                    effect = FROM_EFFECT.get(row.effect)
                    if effect is not None:
                        for arg in call.args:
                            for touch in self._walked(evaluator, arg, index, call.line, effect):
                                yield structs.replace(touch, effect=effect) if row.counts else touch
                            if row.deep or row.fields:
                                below = self.nested.below(evaluator, evaluator.eval(arg), fields=row.fields)
                                for obj in below:
                                    yield from self._content(evaluator, -1, obj, index, call.line, effect)
        if type(node) is f.Attr and node.name in self.generic:
            for obj in evaluator.eval(node.base):
                if obj.kind == "opaque":
                    yield from self._content(
                        evaluator,
                        node.base,
                        obj,
                        index,
                        call.line,
                        self.generic[node.name],
                        *self._key(call),
                        method="?",
                    )

    def _key(self, call: f.Call) -> tuple[int, int]:
        return (call.args[0] if call.args else -1, call.args[-1] if len(call.args) > 1 else -1)

    def _applies(self, wanted: list[str], unwanted: list[str], call: f.Call) -> bool:
        given = {name for name, _ in call.kwargs}
        return (not wanted or bool(given & set(wanted))) and not given & set(unwanted)

    def _method(self, evaluator: Evaluator, call: f.Call, index: int, callee: Obj, node: f.Attr) -> Iterator[Touch]:
        owner = callee.owner
        assert owner is not None
        method = callee.name.rpartition(".")[2]
        row: Container | None
        if owner.kind == "inst":
            if self.world.method(owner.name, method) is not None:
                return
            row = self._inherited_container(owner)
        else:
            row = self.world.container_row(owner.name) if owner.kind == "ext" else None
        if row is None:
            return
        effect = row.methods.get(method)
        if effect is None or effect in ("view", "self"):
            return
        kind = FROM_EFFECT[effect]
        tolerant = method == "pop" and len(call.args) > 1 and row.mapping
        if kind == "delete" and tolerant:
            kind = "discard"
        key, value = self._key(call)
        if not row.mapping and kind in ("insert", "discard", "delete"):
            key, value = (call.args[0], call.args[0]) if call.args else (-1, -1)
        yield from self._content(evaluator, node.base, owner, index, call.line, kind, key, value, method=method)

    def handed_out(self, evaluator: Evaluator, event: f.Return, index: int) -> Iterator[Touch]:
        """Containers whose live views a function returns, alone or in a tuple: whoever called it will walk them."""
        given = evaluator.nodes[event.value]
        for node in given.items if type(given) is f.New and given.kind == "tuple" else (event.value,):
            for obj in evaluator.eval(node):
                if obj.kind == "member" and obj.owner is not None and "()" in obj.name:
                    inner = evaluator.nodes[node]
                    call = evaluator.info.facts.events[inner.event] if type(inner) is f.Result else None
                    func = evaluator.nodes[call.func] if type(call) is f.Call else None
                    base = func.base if type(func) is f.Attr else node
                    yield from self._content(evaluator, base, obj, index, event.line, "iterate")

    def lets_go(self, evaluator: Evaluator, event: f.Return | f.Access, index: int) -> Iterator[Touch]:
        """Containers that a lazy value walks later, when it is returned or kept: ``return map(str, self.jobs)``."""
        for call in self._lazy_calls(evaluator.info, event.value):
            yield from self._walked(evaluator, call.result, index, call.line, "iterate")

    def lazy(self, info: FunctionInfo, node: int) -> bool:
        """Whether a value may be a lazy one, by the name of what is called."""
        return any(True for _ in self._lazy_calls(info, node))

    def _lazy_calls(self, info: FunctionInfo, node: int, depth: int = 0) -> Iterator[f.Call]:
        nodes = info.facts.nodes
        value = nodes[node] if node >= 0 else None
        if type(value) is f.Result:
            call = info.facts.events[value.event]
            func = nodes[call.func] if type(call) is f.Call else None
            if type(call) is f.Call and isinstance(func, (f.Global, f.Attr, f.Imported)) and func.name in self._views:
                yield call
        elif isinstance(value, f.Phi) and depth < 3:
            for option in value.options:
                yield from self._lazy_calls(info, option, depth + 1)

    def _walked(
        self, evaluator: Evaluator, node: int, index: int, line: int, effect: Kind, depth: int = 0
    ) -> Iterator[Touch]:
        """Containers a loop or a consuming function walks: directly, as views, or through lazy wrappers."""
        world = self.world
        inner = evaluator.nodes[node]
        if type(inner) is f.Result and depth < 3:
            call = evaluator.info.facts.events[inner.event]
            assert isinstance(call, f.Call)
            for callee in evaluator.eval(call.func):
                if callee.kind == "symbol":
                    row = world.consumers.first(callee.name)
                    if row is not None and row.effect == "view":
                        if effect in ("snapshot", "look"):
                            effect = "iterate"  # the iterator was made a step before it is walked
                        for arg in call.args:
                            yield from self._walked(evaluator, arg, index, line, effect, depth + 1)
                        return
                elif callee.kind == "opaque" or (callee.kind == "member" and callee.owner is None):
                    continue
            mapping = viewed(evaluator.info.facts, node)
            if mapping != node:
                for obj in evaluator.eval(mapping):
                    yield from self._content(evaluator, mapping, obj, index, line, effect)
                return
        if type(inner) is f.Phi and depth < 3:
            for option in inner.options:
                yield from self._walked(evaluator, option, index, line, effect, depth + 1)
            return
        objs: Objs = evaluator.eval(node)
        for obj in objs:
            yield from self._content(evaluator, node, obj, index, line, effect)


def _sliced(nodes: Sequence[f.Node], event: f.Access) -> Literal["snapshot", "clear", "discard"] | None:
    """What is done to a part of a sequence (``x[1:]``), which raises nothing where there is less than asked for."""
    key = nodes[event.key] if event.key >= 0 else None
    if type(key) is not f.Derived or key.op != "slice":
        return None
    value = nodes[event.value] if event.value >= 0 else None
    match event.kind:
        case "get":
            return "snapshot"
        case "del":
            return "discard" if key.parts else "clear"
        case "set" if not key.parts and type(value) is f.New and not value.items:
            return "clear"
        case _:
            return None


def _met_there(facts: f.Function, event: f.Access) -> bool:
    """Whether an entry is stored under a key that a loop over the very container has met: ``for k in d: d[k] = v``."""
    key = facts.nodes[event.key] if event.key >= 0 else None
    if type(key) is f.Part and key.index == 0:
        key = facts.nodes[key.base]
    if type(key) is not f.Elem:
        return False
    return _one_path(facts.nodes, viewed(facts, key.base), event.target)


def _one_path(nodes: Sequence[f.Node], a: int, b: int) -> bool:
    """Whether two nodes are spelt alike, as the same attribute of the same name."""
    if a == b:
        return True
    first, second = nodes[a], nodes[b]
    if type(first) is f.Attr and type(second) is f.Attr:
        return first.name == second.name and _one_path(nodes, first.base, second.base)
    return type(first) in (f.Param, f.Global, f.Captured) and first == second


def _holder_names(world: World) -> dict[Obj, str]:
    """A display name for containers: the first slot that holds them, through enclosing containers too."""
    names: dict[Obj, str] = {}
    work: list[tuple[Obj, str]] = []
    carriers = {world.heap.make("ext", name): name.rpartition(".")[2] for name in world.carriers.values()}
    for kind in ("a", "k", "g", "x", "p", "o"):
        for cell, objs in world.cells.items():
            carrier = carriers.get(cell[1], "") if isinstance(cell[1], Obj) else ""
            if cell[0] != kind or (kind == "o" and not carrier):
                continue
            home, attribute = str(cell[1]), str(cell[2])
            if kind in ("a", "k"):
                prefix = world.class_of(home).display if home in world.symbols.classes else home
            elif kind == "o":
                prefix = carrier
            elif kind == "g":
                prefix = home
            else:
                prefix = world.symbols.functions[home].display
            for obj in objs:
                if obj.kind in ("ext", "opaque"):
                    work.append((world.heap.plain(obj), f"{prefix}.{attribute}"))
    for obj, name in work:
        if obj in names:
            continue
        names[obj] = name
        work.extend(
            (world.heap.plain(inner), name)
            for inner in world.get(world.element_cell(obj))
            if inner.kind in ("ext", "opaque")
        )
    return names
