"""Locks as contracts name them: ``_lock``, ``self._lock``, ``manager._lock``, ``LOCK``, ``package.module.LOCK``.

A name means what it would mean in the code beside it; besides, ``self.`` may be left out, and a module of the project
may be named in full without being imported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from racelint.analysis.locks import Lock, Locks
from racelint.config import suggestion
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.symbols import FunctionInfo
from racelint.link.world import World
from racelint.model import facts as f

RECEIVER = "self"
_PATH = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


class UnknownLock(ValueError):
    """A name in a contract that is no lock; the message says so."""


@dataclass(frozen=True, slots=True)
class NamedLock:
    """A lock found by its name. ``own``: it is an attribute of the object the contract is about."""

    text: str
    lock: Lock
    own: bool


class LockNames:
    """Finds locks by the names that contracts give them."""

    def __init__(self, world: World, locks: Locks) -> None:
        self.world = world
        self.locks = locks

    def find(self, text: str, scope: FunctionInfo, cid: str | None, *, parameters: bool = False) -> NamedLock:
        """The lock called ``text`` in ``scope``, a function (or the body of a class or module) of class ``cid``.

        ``parameters``: those of the function count too; of what outlives a call they are no part. Raises UnknownLock.
        """
        if not text:
            raise UnknownLock("the name of a lock is missing, or is no text in quotes")
        if not _PATH.fullmatch(text):
            raise UnknownLock(f"'{text}' is no name of a lock, such as _lock, self._lock or module.LOCK")
        parts = text.split(".")
        nodes = self._start(parts, scope, cid, [param.name for param in scope.facts.params] if parameters else [])
        if nodes is None:
            raise UnknownLock(f"no lock is called '{text}' here{suggestion(text, self._known(scope, cid))}")
        receiver = nodes[0] if cid is not None and isinstance(nodes[0], f.Param) and nodes[0].name == RECEIVER else None
        params = {RECEIVER: (self.world.heap.make("inst", cid),)} if receiver is not None and cid is not None else {}
        evaluator = Evaluator(self.world, scope, params)
        first = len(evaluator.nodes)
        evaluator.nodes = (*evaluator.nodes, *(_shifted(node, first) for node in nodes))
        last = len(evaluator.nodes) - 1
        lock = self.locks.of_node(evaluator, last)
        if lock is None or (lock.assumed and not self._exists(evaluator, last)):
            raise UnknownLock(f"'{text}' is no lock known here{suggestion(text, self._known(scope, cid))}")
        return NamedLock(text, lock, receiver is not None and len(nodes) == 2)

    def _start(self, parts: list[str], scope: FunctionInfo, cid: str | None, params: list[str]) -> list[f.Node] | None:
        """The nodes of a dotted name, each on the one before it; None when its beginning is unknown."""
        head, rest = parts[0], parts[1:]
        receiver = scope.facts.params[0].name if scope.is_method and scope.facts.params else RECEIVER
        if cid is not None and head in (receiver, RECEIVER, "cls"):
            return _path(f.Param(RECEIVER), rest) if rest else None
        if head in params:
            return _path(f.Param(head), rest)
        if cid is not None and self._has(cid, head):
            return _path(f.Param(RECEIVER), parts)
        outer = scope.parent
        while outer is not None:
            facts = self.world.symbols.functions[outer].facts
            if any(name == head for name, _ in facts.exports):
                return _path(f.Captured(facts.qualname, head), rest)
            outer = self.world.symbols.functions[outer].parent
        objs, cell = self.world.resolve(scope.module, head)
        if objs or cell is not None:
            return _path(f.Global(head), rest)
        for length in range(len(parts) - 1, 0, -1):
            module = self.world.symbols.find_module(".".join(parts[:length]))
            if module is not None:
                return _path(f.Imported(module, parts[length]), parts[length + 1 :])
        return None

    def _exists(self, evaluator: Evaluator, index: int) -> bool:
        """Whether somebody defines what a node names, so that it is a lock by its name and not a slip of the pen."""
        match evaluator.nodes[index]:
            case f.Attr(base, name):
                return any(
                    self._has(obj.name, name) if obj.kind in ("inst", "class") else self._has_variable(obj, name)
                    for obj in evaluator.eval(base)
                )
            case f.Imported(module, name):
                objs, cell = self.world.imported(module, name)
                return bool(objs) or cell is not None
            case _:
                return True

    def _has(self, cid: str, name: str) -> bool:
        classes = self.world.symbols.classes
        family = (*classes[cid].mro, *classes[cid].subclasses)
        return any(
            name in info.own_attrs
            or name in info.class_attrs
            or any(name == known for known, _ in info.facts.annotations)
            for info in map(classes.__getitem__, family)
        )

    def _has_variable(self, obj: Obj, name: str) -> bool:
        module = self.world.symbols.modules.get(obj.name) if obj.kind == "module" else None
        return module is None or name in module.variables or name in module.imports

    def _known(self, scope: FunctionInfo, cid: str | None) -> list[str]:
        """The locks of the class and module by the names they have there, those of other modules by full names."""
        owners = {scope.module, *(self.world.class_of(cid).mro if cid is not None else ())}
        found: set[str] = set()
        for cell, objs in self.world.cells.items():
            if cell[0] in ("a", "k", "g") and any(map(self._guards, objs)):
                owner, name = str(cell[1]), str(cell[2])
                if owner in owners:
                    found.add(name)
                elif cell[0] == "g":
                    found.add(f"{owner}.{name}")
        return sorted(found)

    def _guards(self, obj: Obj) -> bool:
        return obj.kind == "ext" and self.world.guards.first(obj.name) is not None


def _path(start: f.Node, names: list[str]) -> list[f.Node]:
    """``start.a.b`` as nodes; the bases count from the first of them."""
    return [start, *(f.Attr(position, name) for position, name in enumerate(names))]


def _shifted(node: f.Node, by: int) -> f.Node:
    return f.Attr(node.base + by, node.name) if isinstance(node, f.Attr) else node
