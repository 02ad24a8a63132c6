"""The graph as JSON, version 1: what other tools read. ``graph_schema_v1.json`` in ``racelint/report`` describes it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from racelint import __version__
from racelint.graph.model import Graph

VERSION = 1


def render(graph: Graph) -> str:
    """The whole graph. ASCII only, so that no name can steer a terminal."""
    return json.dumps(document(graph), indent=2) + "\n"


def document(graph: Graph) -> dict[str, Any]:
    """The graph as plain data, in the shape and order of version 1."""
    return {
        "version": VERSION,
        "tool": {"name": "racelint", "version": __version__},
        "entry_points": [asdict(entry) for entry in graph.entries],
        "functions": [asdict(function) for function in graph.functions],
        "places": [asdict(place) for place in graph.places],
        "calls": [asdict(call) for call in graph.calls],
        "accesses": [asdict(access) for access in graph.accesses],
        "races": [asdict(race) for race in graph.races],
    }
