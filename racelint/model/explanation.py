"""Everything known about one shared place, as plain data: what ``racelint why`` tells."""

from __future__ import annotations

from dataclasses import dataclass

from racelint.model.findings import Context, Finding


@dataclass(frozen=True, slots=True)
class Location:
    """A line of a file of the project."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Declared:
    """A contract: what it says (``guarded-by`` or ``confined``), the lock's full name, and where it is written."""

    kind: str
    lock: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Guard:
    """The lock that guards the place by custom (``usual``), or the one held most often: in ``held`` of ``total``."""

    lock: str
    held: int
    total: int
    usual: bool


@dataclass(frozen=True, slots=True)
class Touched:
    """What one line does to the place: ``locks`` are held on every way to it, ``sometimes`` on some.

    ``contexts`` are those that run beside other code; none means that nothing concurrent is known to get there.
    ``imported``: the line runs when its module is imported.
    """

    path: str
    line: int
    function: str
    accesses: tuple[str, ...]
    locks: tuple[str, ...]
    sometimes: tuple[str, ...]
    contexts: tuple[Context, ...]
    imported: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A finding about the place; ``hidden`` says why ``racelint check`` does not show it, if it does not."""

    finding: Finding
    hidden: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Why pairs of accesses are no race. ``kind``: object, order, turns, lock or harmless."""

    kind: str
    text: str
    pairs: tuple[tuple[Location, Location], ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything known about ``place``; ``summary`` is what comes of it, in a few sentences."""

    place: str
    summary: tuple[str, ...]
    declared: Declared | None
    guard: Guard | None
    accesses: tuple[Touched, ...]
    findings: tuple[Told, ...]
    silences: tuple[Silence, ...]
