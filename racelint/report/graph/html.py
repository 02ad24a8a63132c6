"""The graph as one HTML page: a drawing, the same as tables, and the data. It loads nothing and runs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from html import escape

from rich.cells import cell_len

from racelint.graph.model import Access, Call, Graph
from racelint.report.graph.json import document
from racelint.report.graph.layout import CHAR, LINE, PAD, Box, Layout, layout
from racelint.report.graph.words import Label, access_label, clusters, held, labels, races_of, where
from racelint.report.text import location, plural, safe

STYLE = """\
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
svg { max-width: none; } .drawing { overflow: auto; border: 1px solid #ddd; }
svg text { font: 12px ui-monospace, monospace; fill: #222; }
.node { fill: #fff; stroke: #555; } .entry { fill: #fffbe0; } .place { fill: #eef4ff; }
.edge { fill: none; stroke: #999; } .note { font-size: 10px; paint-order: stroke; stroke: #fff; stroke-width: 4px; }
.race.node, .race.edge { stroke: #c00; stroke-width: 2.5px; } text.race { fill: #c00; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; }
td, th { border: 1px solid #ddd; padding: 2px 8px; text-align: left; }
tr.race td { color: #c00; font-weight: bold; } code { font: 12px ui-monospace, monospace; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>racelint graph</title>
<style>
{style}</style>
</head>
<body>
"""


def render(graph: Graph) -> str:
    """The page."""
    lines = [HEAD.format(policy=escape(POLICY), style=STYLE)]
    counts = (
        plural(len(graph.entries), "entry point"),
        plural(len(graph.places), "place"),
        plural(len(graph.races), "race"),
    )
    lines.append(f"<h1>racelint graph</h1>\n<p>{', '.join(counts)}</p>\n")
    lines += _drawing(graph)
    lines += _tables(graph)
    lines.append(f'<script type="application/json" id="racelint-graph">{embedded(graph)}</script>\n</body>\n</html>\n')
    return "".join(lines)


def embedded(graph: Graph) -> str:
    """The JSON of the graph, with no character that could end the element it stands in or be markup there."""
    text = json.dumps(document(graph))  # ASCII, so the separators U+2028 and U+2029 are escaped as well
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# -- the drawing -------------------------------------------------------------------------------------------------------


def _drawing(graph: Graph) -> Iterator[str]:
    words = labels(graph)
    sizes = {node: (max(cell_len(line) for line in label.lines), len(label.lines)) for node, label in words.items()}
    page = layout(graph, sizes)
    racing = {race.place for race in graph.races}
    yield (
        f'<div class="drawing"><svg xmlns="http://www.w3.org/2000/svg" width="{page.width:.0f}" '
        f'height="{page.height:.0f}" viewBox="0 0 {page.width:.0f} {page.height:.0f}" role="img" '
        'aria-label="Entry points on the left, shared places on the right">\n'
    )
    yield (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#999"/></marker></defs>\n'
    )
    for call in graph.calls:
        yield _edge(page, call, call.target, where(call), (), False)
    shift: dict[tuple[str, str], int] = {}
    for access in graph.accesses:
        ends = (access.source, access.place)
        shift[ends] = shift.get(ends, -1) + 1
        yield _edge(page, access, access.place, where(access), access_label(access), bool(access.races), shift[ends])
    for kind, nodes in (("entry", graph.entries), ("function", graph.functions), ("place", graph.places)):
        for node in nodes:
            yield _box(page.boxes[node.id], words[node.id], kind, node.id in racing)
    yield "</svg></div>\n"


def _box(box: Box, label: Label, kind: str, race: bool) -> str:
    marked = " race" if race else ""
    radius = {"function": 8, "place": 14}.get(kind, 0)
    lines = "".join(
        f'<text x="{box.x + PAD:.1f}" y="{box.y + PAD + LINE * (index + 0.75):.1f}" class="{kind}-text{marked}">'
        f"{escape(line)}</text>"
        for index, line in enumerate(label.lines)
    )
    shape = (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius}" '
        f'class="node {kind}{marked}"/>'
    )
    return f"<g><title>{escape(label.tip)}</title>{shape}{lines}</g>\n"


def _edge(
    page: Layout, edge: Call | Access, target: str, tip: str, notes: Iterable[str], race: bool, shift: int = 0
) -> str:
    """A curve from one node to another, the notes beside its end; ``shift`` keeps parallel ones apart."""
    start, end = page.boxes[edge.source], page.boxes[target]
    x1, y1 = start.x + start.width, start.y + start.height / 2
    x2, y2 = end.x, end.y + end.height / 2 + 12 * shift
    bend = max(abs(x2 - x1) / 2, 40)
    marked = " race" if race else ""
    path = f"M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    text = ", ".join(notes)
    note = ""
    if text:
        middle = ((x1 + x2) / 2 - len(text) * CHAR * 0.4, (y1 + y2) / 2 - 4)
        note = f'<text x="{middle[0]:.1f}" y="{middle[1]:.1f}" class="note{marked}">{escape(text)}</text>'
    return f'<g><title>{escape(tip)}</title><path d="{path}" class="edge{marked}" marker-end="url(#tip)"/>{note}</g>\n'


# -- the tables --------------------------------------------------------------------------------------------------------


def _tables(graph: Graph) -> Iterator[str]:
    names = {identity: safe(name) for identity, name in graph.names().items()}
    for place in graph.places:
        yield f"<h2><code>{escape(names[place.id])}</code></h2>\n"
        for race in races_of(graph, place):
            yield f"<p>{escape(safe(f'{race.severity}[{race.rule}]: {race.message}'))}</p>\n"
        rows = [access for access in graph.accesses if access.place == place.id]
        yield _table(
            ("in", "access", "locks", "where"),
            ((names[a.source], ", ".join(a.kinds), held(a), where(a)) for a in rows),
            [bool(a.races) for a in rows],
        )
    for _, title, entries in clusters(graph):
        yield f"<h2>Entry points: {escape(title)}</h2>\n"
        yield _table(("function", "where", "why"), ((e.name, location(e.path, e.line), e.why) for e in entries))


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], marked: Iterable[bool] | None = None) -> str:
    lines = ["<table>\n<tr>", *(f"<th>{escape(head)}</th>" for head in heads), "</tr>\n"]
    marks = iter(marked or ())
    for row in rows:
        lines.append('<tr class="race">' if next(marks, False) else "<tr>")
        lines += (f"<td>{escape(safe(cell))}</td>" for cell in row)
        lines.append("</tr>\n")
    return "".join([*lines, "</table>\n"])
