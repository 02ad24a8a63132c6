"""How the functions of a program write a place, and with it the lock beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from racelint.analysis.effects import Effects
from racelint.analysis.flow import Flow
from racelint.analysis.walk import Reached
from racelint.link.evaluate import Evaluator
from racelint.link.symbols import FunctionInfo
from racelint.link.world import Cell, World
from racelint.model import facts as f

# How deep inside an expression the name of the place is looked for.
MAX_DEPTH = 6


class Spelling:
    """Finds the words of the source. ``sources``: the text of each file by its display path."""

    def __init__(self, world: World, sources: Mapping[str, str]) -> None:
        self.world = world
        self.sources = sources
        self.effects = Effects(world)

    def slots(self, access: Reached) -> Iterator[tuple[Cell, str]]:
        """The slots an access names, and how they are shown."""
        info = self.world.symbols.functions[access.touch.fid]
        evaluator = Evaluator(self.world, info)
        for node in self._operands(info.facts, access.touch.event):
            for place, _, name in self.effects.slots(evaluator, node):
                yield place, name

    def _operands(self, facts: f.Function, index: int) -> list[int]:
        """The nodes an event is made of, outermost first."""
        event = facts.events[index]
        match event:
            case f.Access():
                start = [event.target]
            case f.Call():
                start = [event.func, *event.args, *(value for _, value in event.kwargs)]
            case f.Return() | f.Yield():
                start = [event.value]
            case _:
                start = []
        found: list[int] = []
        flow = Flow(facts)
        layer = [node for node in start if node >= 0]
        for _ in range(MAX_DEPTH):
            found.extend(layer)
            layer = [child for node in layer for child in flow.parts(node) if child >= 0 and child not in found]
        return found

    def lock_name(self, variable: str, paths: set[str], local: bool) -> str:
        """``_pods_lock`` for ``pods`` (``pods_lock`` for a local variable), unless a file that will use it has that."""
        base = f"{'' if local else '_'}{variable.strip('_').lower()}_lock"
        name, count = base, 2
        while any(re.search(rf"\b{re.escape(name)}\b", self.sources.get(place, "")) for place in paths):
            name, count = f"{base}_{count}", count + 1
        return name

    def lock_in(self, info: FunctionInfo, place: str, accesses: Sequence[Reached], cell: Cell, name: str) -> str:
        """How a function writes the lock ``name``: the way it writes the place, with the last name replaced.

        Empty when it writes the place in no way or in several.
        """
        evaluator = Evaluator(self.world, info)
        spelled: Counter[str] = Counter()
        for access in accesses:
            for node in self._operands(info.facts, access.touch.event):
                if any(found == place for _, _, found in self.effects.slots(evaluator, node)):
                    text = self._sibling(info, node, name, access.touch.line)
                    if text:
                        spelled[text] += 1
                    break
        if not spelled and cell[0] == "g" and cell[1] == info.module:
            return name
        if not spelled and cell[0] == "a":
            spelled.update(self._owners(evaluator, accesses, str(cell[1]), name))
        return next(iter(spelled)) if len(spelled) == 1 else ""

    def _owners(self, evaluator: Evaluator, accesses: Sequence[Reached], cid: str, name: str) -> Iterator[str]:
        """The lock of the object that a property or a method has handed the place out of."""
        facts = evaluator.info.facts
        for access in accesses:
            for node in self._operands(facts, access.touch.event):
                value, line = facts.nodes[node], access.touch.line
                if isinstance(value, f.Result):
                    event = facts.events[value.event]
                    line = event.line
                    value = facts.nodes[event.func] if isinstance(event, f.Call) else value
                if isinstance(value, f.Attr) and self._is_owner(evaluator, value.base, cid):
                    base = self._written(evaluator.info.path, line, value.name)
                    base = base or self._spelled(evaluator.info, value.base)
                    if base:
                        yield f"{base}.{name}"
                        break

    def _is_owner(self, evaluator: Evaluator, node: int, cid: str) -> bool:
        objs = tuple(evaluator.eval(node))
        return bool(objs) and all(obj.kind == "inst" and cid in self.world.class_of(obj.name).mro for obj in objs)

    def _sibling(self, info: FunctionInfo, node: int, name: str, line: int) -> str:
        value = info.facts.nodes[node]
        if isinstance(value, f.Attr):
            base = self._written(info.path, line, value.name) or self._spelled(info, value.base)
            return f"{base}.{name}" if base else ""
        return name if isinstance(value, (f.Global, f.Captured)) else ""

    def _spelled(self, info: FunctionInfo, node: int) -> str:
        """The source text of a value, unless its first name is a parameter that the function binds anew."""
        text = spell(info.facts, node)
        root = text.partition(".")[0]
        return "" if any(p.name == root for p in info.facts.params) and self._binds(info, root) else text

    def _binds(self, info: FunctionInfo, name: str) -> bool:
        lines = self.sources.get(info.path, "").split("\n")[info.facts.line : info.facts.end_line]
        word = rf"\b{re.escape(name)}\b"
        target = rf"^\s*[\w\s,.*()]*(?<!\.){word}[\w\s,.*()]*(:[^=]+)?=(?!=)"
        binding = rf"{target}|{word}\s*:=|\bfor\b.*{word}.*\bin\b|\bas\s+{word}"
        return any(re.search(binding, line) for line in lines)

    def _written(self, path: str, line: int, attribute: str) -> str:
        """What stands before ``.attribute`` on a line, if that is one plain path: a local variable has no node."""
        lines = self.sources.get(path, "").split("\n")
        text = lines[line - 1] if line <= len(lines) else ""
        found = set(re.findall(rf"(?<![\w.)\]])([A-Za-z_][\w.]*)\.{re.escape(attribute)}\b", text))
        return found.pop() if len(found) == 1 else ""


def spell(facts: f.Function, node: int, depth: int = 0) -> str:
    """The source text of a plain access path (``self``, ``self.manager``, ``module.state``), or nothing."""
    value = facts.nodes[node] if node >= 0 and depth < MAX_DEPTH else None
    match value:
        case f.Param(name) | f.Global(name) | f.Captured(_, name):
            return name
        case f.Attr(base, name):
            inner = spell(facts, base, depth + 1)
            return f"{inner}.{name}" if inner else ""
        case _:
            return ""
