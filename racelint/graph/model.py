"""Nodes and edges as plain data, names in their shortest form, and the part of a graph that one name is about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from racelint.model.findings import Confidence, Severity


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry point: the function that runs, the kind of context it runs in, where that is said, and why."""

    id: str
    name: str
    kind: str
    overlaps_itself: bool
    path: str
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function that an entry point calls, directly or through others."""

    id: str
    name: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Place:
    """A shared variable, attribute or container."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """``source`` (an entry point or function) calls ``target`` (a function) at ``path``:``line``."""

    source: str
    target: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Access:
    """What ``source`` does to a place under one set of locks; ``races`` are fingerprints of findings it is a side of.

    ``locks`` are those held whichever way the access is reached: its function's own and its callers'.
    """

    source: str
    place: str
    kinds: tuple[str, ...]
    locks: tuple[str, ...]
    path: str
    lines: tuple[int, ...]
    races: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Race:
    """A finding about a place, in short."""

    fingerprint: str
    rule: str
    code: str
    severity: Severity
    confidence: Confidence
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Entry points, functions and places, each in order of their names, and what connects them."""

    entries: tuple[Entry, ...] = ()
    functions: tuple[Function, ...] = ()
    places: tuple[Place, ...] = ()
    calls: tuple[Call, ...] = ()
    accesses: tuple[Access, ...] = ()
    races: tuple[Race, ...] = ()

    def names(self) -> dict[str, str]:
        """The full name of every node, by its id."""
        nodes: tuple[Entry | Function | Place, ...] = (*self.entries, *self.functions, *self.places)
        return {node.id: node.name for node in nodes}


def from_entry(graph: Graph, name: str) -> Graph:
    """What leads from the entry points of one name to places, and nothing else."""
    starts = {entry.id for entry in graph.entries if entry.name == name}
    onward: dict[str, list[str]] = defaultdict(list)
    for call in graph.calls:
        onward[call.source].append(call.target)
    reached = set(starts)
    todo = list(starts)
    while todo:
        for target in onward[todo.pop()]:
            if target not in reached:
                reached.add(target)
                todo.append(target)
    accesses = tuple(access for access in graph.accesses if access.source in reached)
    places = {access.place for access in accesses}
    return Graph(
        tuple(entry for entry in graph.entries if entry.id in reached),
        tuple(function for function in graph.functions if function.id in reached),
        tuple(place for place in graph.places if place.id in places),
        tuple(call for call in graph.calls if call.source in reached),
        accesses,
        tuple(race for race in graph.races if race.place in places),
    )


def matching(word: str, names: Iterable[str]) -> tuple[str, ...]:
    """The name that ``word`` is, else all whose last parts it is, in order."""
    known = sorted(set(names))
    return (word,) if word in known else tuple(name for name in known if name.endswith(f".{word}"))


def short_names(names: Collection[str]) -> dict[str, str]:
    """Each dotted name with its shortest tail, of two parts or more, that no other of them ends with."""
    known = sorted(set(names))
    count = Counter(tail for name in known for tail in _tails(name))
    return {name: next((tail for tail in _tails(name) if count[tail] == 1), name) for name in known}


def _tails(name: str) -> Iterator[str]:
    parts = name.split(".")
    for length in range(min(2, len(parts)), len(parts) + 1):
        yield ".".join(parts[-length:])
