"""Containers in containers and in the fields of objects: what ``deepcopy`` and ``yaml.dump`` walk as well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property

from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.world import World

# Steps into what is walked.
FAR = 4


class Nested:
    """Finds what can be reached from objects by elements, and by fields where these are walked, too."""

    def __init__(self, world: World) -> None:
        self.world = world

    def below(self, evaluator: Evaluator, objs: Iterable[Obj], *, fields: bool) -> Iterator[Obj]:
        """The library objects in any of these objects, each once; none of these themselves."""
        level = list(objs)
        seen = set(level)
        for _ in range(FAR):
            inner = [found for obj in level for found in self._inside(evaluator, obj, fields=fields)]
            level = list(dict.fromkeys(obj for obj in inner if obj not in seen))
            seen.update(level)
            yield from (obj for obj in level if obj.kind == "ext")

    def _inside(self, evaluator: Evaluator, obj: Obj, *, fields: bool) -> Iterator[Obj]:
        if obj.kind == "ext":
            yield from evaluator.elements(obj)
        elif obj.kind == "inst" and fields:
            for parent in self.world.class_of(obj.name).mro:
                for name in self._fields[parent]:
                    yield from evaluator.attribute(obj, name)

    @cached_property
    def _fields(self) -> dict[str, list[str]]:
        """The names of the attributes that instances of each class have."""
        found: dict[str, list[str]] = defaultdict(list)
        for cell in self.world.cells:
            if cell[0] == "a":
                found[str(cell[1])].append(str(cell[2]))
        return found
