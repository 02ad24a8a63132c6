"""Locks named after what they guard: ``_callbacks_lock`` beside ``_callbacks`` says nothing of other attributes.

A class that owns a lock means to be used by several threads; one whose locks all bear the name of an attribute means
it of these attributes. Source: the naming that ``GUARDED_BY`` makes explicit in Clang's thread safety analysis.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from racelint.analysis.effects import Touch
from racelint.link.world import World

_WORD = "(?:r?lock|mutex|cond|condition)"
_LOCK = re.compile(rf"_*{_WORD}_+(?:for_)?(?P<after>\w+)|_*(?P<before>\w+?)_+{_WORD}")


class Dedicated:
    """Knows of the classes and modules whose locks are each for one attribute."""

    def __init__(self, world: World, locks: Mapping[str, Sequence[str]]) -> None:
        self.world = world
        self.locks = locks
        self._known: dict[str, frozenset[str] | None] = {}

    def for_others(self, owner: str, touch: Touch) -> bool:
        """Whether every lock of ``owner`` is for something else than what is touched.

        A lock that all instances have together is for what they have together.
        """
        if _of_instance(touch) and self._of_class(owner):
            return True
        if owner not in self._known:
            self._known[owner] = self._attributes(owner)
        known = self._known[owner]
        return known is not None and touch.name.rpartition(".")[2].strip("_") not in known

    def _of_class(self, owner: str) -> bool:
        """Whether a class has no lock but in variables of the class itself."""
        if owner not in self.world.symbols.classes:
            return False
        family = self.world.class_of(owner).mro
        locks = [(parent, name) for parent in family for name in self.locks.get(parent, ())]
        return bool(locks) and all(self.world.home(parent, name) == (parent, True) for parent, name in locks)

    def _attributes(self, owner: str) -> frozenset[str] | None:
        """The attributes (or variables) that the locks of a class or module are named after; None: not all are."""
        classes = self.world.symbols.classes
        family = classes[owner].mro if owner in classes else (owner,)
        own = {name.strip("_") for parent in family for name in self._names(parent)}
        found = set()
        for parent in family:
            for lock in self.locks.get(parent, ()):
                match = _LOCK.fullmatch(lock)
                name = (match["before"] or match["after"] or "").strip("_") if match is not None else ""
                if name not in own:
                    return None
                found.add(name)
        return frozenset(found) or None

    def _names(self, owner: str) -> frozenset[str]:
        if owner in self.world.symbols.classes:
            return frozenset(self.world.class_of(owner).own_attrs)
        return frozenset(str(cell[2]) for cell in self.world.cells if cell[0] == "g" and cell[1] == owner)


def _of_instance(touch: Touch) -> bool:
    """Whether what is touched is an attribute of an instance, or in one."""
    return touch.base is not None and touch.base.whole.kind == "inst"
