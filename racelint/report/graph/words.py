"""What the formats for people write on nodes and edges. All of it is safe to print; escaping is left to the format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from racelint.graph.model import Access, Call, Entry, Graph, Place, Race, short_names
from racelint.report.text import CONTEXT_WORDS, location, safe


@dataclass(frozen=True, slots=True)
class Label:
    """The lines on a node, and the sentence shown when a reader points at it."""

    lines: tuple[str, ...]
    tip: str


def labels(graph: Graph) -> dict[str, Label]:
    """The label of every node, by its id; names are as short as they can be told apart."""
    short = short_names([*graph.names().values()])
    found: dict[str, Label] = {}
    for entry in graph.entries:
        tip = f"{entry.name}: {entry.why}" if entry.why else entry.name
        found[entry.id] = _label((short[entry.name], location(entry.path, entry.line)), tip)
    for function in graph.functions:
        found[function.id] = _label((short[function.name], location(function.path, function.line)), function.name)
    for place in graph.places:
        rules = sorted({f"{race.rule} ({race.code})" for race in races_of(graph, place)})
        found[place.id] = _label((short[place.name], *rules), place.name)
    return found


def clusters(graph: Graph) -> Iterator[tuple[str, str, tuple[Entry, ...]]]:
    """Entry points by the kind of context they run in: the kind, its title, the entry points."""
    for kind in sorted({entry.kind for entry in graph.entries}, key=lambda kind: (kind not in CONTEXT_WORDS, kind)):
        yield safe(kind), safe(CONTEXT_WORDS.get(kind, kind)), tuple(e for e in graph.entries if e.kind == kind)


def access_label(access: Access) -> tuple[str, str]:
    """What is done to the place, and which locks are held."""
    return safe(", ".join(access.kinds)), held(access)


def held(access: Access) -> str:
    """``holding Registry._lock`` or ``no lock``."""
    names = (".".join(name.split(".")[-2:]) for name in access.locks)
    return safe("holding " + ", ".join(names)) if access.locks else "no lock"


def where(edge: Call | Access) -> str:
    """``path:line, line``."""
    lines = (edge.line,) if isinstance(edge, Call) else edge.lines
    return f"{safe(edge.path)}:{', '.join(map(str, lines))}"


def races_of(graph: Graph, place: Place) -> tuple[Race, ...]:
    """The races on a place."""
    return tuple(race for race in graph.races if race.place == place.id)


def _label(lines: tuple[str, ...], tip: str) -> Label:
    return Label(tuple(safe(line) for line in lines), safe(tip))
