"""Annotations: which objects they promise where nothing else is known, and which they keep out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from racelint.link.objects import PROMISED, Objs, handed_in
from racelint.link.symbols import FunctionInfo
from racelint.link.world import EMPTY, Cell, World
from racelint.model import facts as f

# Annotations that admit no object worth following.
PLAIN = ("str", "int", "float", "bool", "bytes", "complex", "None")


class Annotations(ABC):
    """Reads the annotations of one function (or class body); a part of ``Evaluator``."""

    world: World
    info: FunctionInfo
    nodes: tuple[f.Node, ...]
    on_read: Callable[[Cell], None] | None

    @abstractmethod
    def eval(self, index: int) -> Objs:
        """The objects a node may be."""

    def for_class(self, annotation: int) -> bool:
        """Whether an annotation in a class body is about the class itself: ``ClassVar[...]``."""
        node = self.nodes[annotation]
        base = node.base if isinstance(node, f.Item) else annotation
        return any(obj.kind == "symbol" and obj.name.endswith(".ClassVar") for obj in self.eval(base))

    def admits(self, annotation: int, depth: int = 0) -> frozenset[str] | None:
        """Classes whose instances an annotation lets in (none for plain values), or None when that is not known."""
        if annotation < 0 or depth > 4:
            return None
        node = self.nodes[annotation]
        if isinstance(node, f.Const):
            return frozenset() if node.text == "None" else None
        if isinstance(node, f.Derived) and node.op in ("BitOr", "tuple"):
            return self._any_of(node.parts, depth)
        if isinstance(node, f.Item):
            names = {obj.name.rpartition(".")[2] for obj in self.eval(node.base) if obj.kind == "symbol"}
            return self._any_of((node.key,), depth) if names and names <= {"Optional", "Union"} else None
        found: set[str] = set()
        objs = self.eval(annotation)
        for obj in objs:
            if obj.kind == "class" and not any(base.endswith(".Protocol") for base in self._all_bases(obj.name)):
                found.add(obj.name)
            elif obj.kind != "symbol" or obj.name not in PLAIN:
                return None
        return frozenset(found) if objs else None

    def _any_of(self, annotations: Iterable[int], depth: int) -> frozenset[str] | None:
        found: set[str] = set()
        for annotation in annotations:
            admitted = self.admits(annotation, depth + 1)
            if admitted is None:
                return None
            found |= admitted
        return frozenset(found)

    def _all_bases(self, cid: str) -> set[str]:
        return {base for parent in self.world.class_of(cid).mro for base in self.world.class_of(parent).external}

    def instances(self, annotation: int, depth: int = 0, *, param: bool = False) -> Objs:
        """Objects an annotation (of a parameter) promises: unknown instances of the classes it names."""
        if annotation < 0 or depth > 4:
            return EMPTY
        world = self.world
        node = self.nodes[annotation]
        found: Objs = {}
        if isinstance(node, f.Item):
            base = self.eval(node.base)
            names = {obj.name for obj in base if obj.kind == "symbol"}
            inner = self.instances(node.key, depth + 1, param=param)
            if any(
                name.rpartition(".")[2] in ("Optional", "Union", "Annotated", "Final", "ClassVar") for name in names
            ):
                return inner
            for name in sorted(names):
                kind = {"Dict": "dict", "List": "list", "Set": "set"}.get(name.rpartition(".")[2], name)
                if world.containers.first(kind) is not None:
                    here = (self.info.id, -2 - annotation)
                    made = world.heap.make("ext", kind, handed_in(*here) if param else here)
                    found[made] = None
                    if self.on_read is not None:
                        for cell in (world.element_cell(made), world.value_cell(made, None)):
                            world.cells.setdefault(cell, {}).update(inner)
            for obj in base:
                if obj.kind == "class":
                    found[world.heap.make("inst", obj.name, PROMISED)] = None
            return found
        if isinstance(node, f.Derived) and node.op in ("BitOr", "tuple"):
            for part in node.parts:
                found.update(self.instances(part, depth + 1, param=param))
            return found
        for obj in self.eval(annotation):
            if obj.kind == "class":
                found[world.heap.make("inst", obj.name, PROMISED)] = None
            elif obj.kind == "symbol" and (
                world.guards.first(obj.name) is not None
                or ("." in obj.name and obj.name[obj.name.rfind(".") + 1].isupper())
            ):
                if not obj.name.startswith(("typing.", "collections.abc.", "typing_extensions.")):
                    found[world.heap.make("ext", obj.name)] = None
        return found
