"""Mermaid flowcharts (https://mermaid.js.org/syntax/flowchart.html), which GitHub and GitLab draw in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from racelint.graph.model import Graph
from racelint.report.graph.words import access_label, clusters, labels

# Everything that means something to Mermaid, Markdown or HTML, or may come to; the rest is letters, digits and marks of
# names. A label is looked through for `%%{...}%%` and `;` before it is parsed.
PLAIN = frozenset(" .,_-/()=+*")
NAMED = {'"': "quot", "&": "amp", "<": "lt", ">": "gt"}


def render(graph: Graph) -> str:
    """The graph as a flowchart: a subgraph per kind of context, cylinders for places, races red and bold."""
    words = labels(graph)
    racing = {race.place for race in graph.races}
    lines = ["flowchart LR"]
    for number, (_, title, entries) in enumerate(clusters(graph), start=1):
        lines.append(f"  subgraph c{number}[{quoted([title])}]")
        lines += (f"    {entry.id}[{quoted(words[entry.id].lines)}]" for entry in entries)
        lines.append("  end")
    lines += (f"  {function.id}({quoted(words[function.id].lines)})" for function in graph.functions)
    lines += (f"  {place.id}[({quoted(words[place.id].lines)})]" for place in graph.places)
    lines += (f"  {call.source} --> {call.target}" for call in graph.calls)
    lines += (
        f"  {access.source} {'==>' if access.races else '-->'}|{quoted(access_label(access))}| {access.place}"
        for access in graph.accesses
    )
    if racing:
        lines.append("  classDef race stroke:#c00,stroke-width:3px,color:#c00")
        lines.append(f"  class {','.join(place.id for place in graph.places if place.id in racing)} race")
    red = [str(len(graph.calls) + index) for index, access in enumerate(graph.accesses) if access.races]
    if red:
        lines.append(f"  linkStyle {','.join(red)} stroke:#c00,color:#c00")
    return "\n".join(lines) + "\n"


def quoted(lines: Iterable[str]) -> str:
    """Lines of plain text as a quoted label, with entity codes for what could be read as something else."""
    return '"' + "<br/>".join("".join(map(_escaped, line)) for line in lines) + '"'


def _escaped(char: str) -> str:
    if char.isalnum() or char in PLAIN:
        return char
    return f"#{NAMED.get(char, ord(char))};"
