"""Graphviz DOT (https://graphviz.org/doc/info/lang.html)."""

from __future__ import annotations

from collections.abc import Iterable

from racelint.graph.model import Graph
from racelint.report.graph.words import Label, access_label, clusters, labels, where

HEAD = (
    "digraph racelint {",
    "  rankdir=LR;",
    '  node [shape=box, style=rounded, fontname="Helvetica", fontsize=11];',
    '  edge [fontname="Helvetica", fontsize=9, color=gray40];',
)
RED = "color=red3, fontcolor=red3, penwidth=2"


def render(graph: Graph) -> str:
    """The graph as DOT: a cluster per kind of context, cylinders for places, races red and bold."""
    words = labels(graph)
    racing = {race.place for race in graph.races}
    lines = [*HEAD]
    for number, (_, title, entries) in enumerate(clusters(graph), start=1):
        lines.append(f"  subgraph cluster_{number} {{")
        lines.append(f"    label={quoted([title])}; style=dashed; color=gray60;")
        lines += (
            f"    {entry.id} [{_node(words[entry.id])}, style=filled, fillcolor=lightyellow];" for entry in entries
        )
        lines.append("  }")
    lines += (f"  {function.id} [{_node(words[function.id])}];" for function in graph.functions)
    for place in graph.places:
        mark = f", {RED}" if place.id in racing else ""
        lines.append(f"  {place.id} [{_node(words[place.id])}, shape=cylinder, style=solid{mark}];")
    for call in graph.calls:
        lines.append(f"  {call.source} -> {call.target} [tooltip={quoted([where(call)])}];")
    for access in graph.accesses:
        mark = f", {RED}, style=bold" if access.races else ""
        text = f"label={quoted(access_label(access))}, tooltip={quoted([where(access)])}"
        lines.append(f"  {access.source} -> {access.place} [{text}{mark}];")
    return "\n".join([*lines, "}"]) + "\n"


def _node(label: Label) -> str:
    return f"label={quoted(label.lines)}, tooltip={quoted([label.tip])}"


def quoted(lines: Iterable[str]) -> str:
    r"""Lines of plain text as one string of DOT.

    In labels and tooltips Graphviz reads ``\N`` and the like, and character entities such as ``&lt;``.
    """
    return '"' + "\\n".join(_escaped(line) for line in lines) + '"'


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
