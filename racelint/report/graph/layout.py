"""Where the nodes of a graph are drawn: in columns from entry points to places, each ordered to keep edges short."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from racelint.graph.model import Graph

CHAR, LINE, PAD = 7.0, 16.0, 8.0
GAP_ACROSS, GAP_DOWN = 150.0, 18.0
MARGIN = 24.0
SWEEPS = 4


@dataclass(frozen=True, slots=True)
class Box:
    """A node on the page: its upper left corner and size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """All nodes on the page, by id, and the size of the page."""

    boxes: Mapping[str, Box]
    width: float
    height: float


def layout(graph: Graph, sizes: Mapping[str, tuple[int, int]]) -> Layout:
    """Place the nodes; ``sizes`` has the characters and lines of each label."""
    columns = _ordered(_columns(graph), _neighbours(graph))
    boxes: dict[str, Box] = {}
    heights = [sum(sizes[node][1] * LINE + 2 * PAD + GAP_DOWN for node in column) - GAP_DOWN for column in columns]
    height = max(heights, default=0.0)
    x = MARGIN
    for column, own in zip(columns, heights, strict=True):
        width = max((sizes[node][0] for node in column), default=0) * CHAR + 2 * PAD
        y = MARGIN + (height - own) / 2
        for node in column:
            tall = sizes[node][1] * LINE + 2 * PAD
            boxes[node] = Box(x, y, width, tall)
            y += tall + GAP_DOWN
        x += width + GAP_ACROSS
    return Layout(boxes, max(x - GAP_ACROSS + MARGIN, 2 * MARGIN), height + 2 * MARGIN)


def _columns(graph: Graph) -> list[list[str]]:
    """Entry points, functions by the number of calls to them, places."""
    onward: dict[str, list[str]] = defaultdict(list)
    for call in graph.calls:
        onward[call.source].append(call.target)
    columns = [[entry.id for entry in sorted(graph.entries, key=lambda entry: (entry.kind, entry.name, entry.id))]]
    seen = set(columns[0])
    while columns[-1]:
        following = dict.fromkeys(target for node in columns[-1] for target in onward[node] if target not in seen)
        seen.update(following)
        columns.append(list(following))
    columns[-1] = [place.id for place in graph.places]
    return [column for column in columns if column]


def _neighbours(graph: Graph) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for source, target in (
        *((c.source, c.target) for c in graph.calls),
        *((a.source, a.place) for a in graph.accesses),
    ):
        found[source].append(target)
        found[target].append(source)
    return found


def _ordered(columns: Sequence[Sequence[str]], neighbours: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Each column but the first, which is grouped by context, in order of the mean height of what its nodes touch.

    This is the barycentre heuristic of Sugiyama, Tagawa and Toda (1981) for layered drawings.
    """
    ordered = [list(column) for column in columns]
    for _ in range(SWEEPS):
        height = {node: index / len(column) for column in ordered for index, node in enumerate(column)}
        for column in ordered[1:]:
            mean = {node: _mean([height[other] for other in neighbours.get(node, ())], height[node]) for node in column}
            column.sort(key=lambda node: (mean[node], node))
    return ordered


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
