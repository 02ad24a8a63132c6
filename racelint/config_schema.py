"""The JSON schema of a configuration, for editors: the keys as ``config`` checks them, the tables from their structs.

It describes ``racelint.toml``, and what stands below ``[tool.racelint]`` in a ``pyproject.toml``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

import msgspec

from racelint.config import DOTTED_NAME, ENTRY_CONTEXTS, KEYS, Settings
from racelint.frameworks.schema import Tables

DRAFT = "https://json-schema.org/draft/2020-12/schema"
RULE_KEYS = ("select", "ignore")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a key is for, and a line (or table) that uses it."""

    text: str
    example: str


MEANINGS: Mapping[str, Meaning] = {
    "select": Meaning(
        "Only these rules, by name or code; without it, all rules.", 'select = ["check-then-act", "RL103"]'
    ),
    "ignore": Meaning(
        "All rules but these, by name or code. A rule that is asked for with --select runs all the same.",
        'ignore = ["unguarded-write"]',
    ),
    "min-severity": Meaning("Findings below this severity are not shown.", 'min-severity = "error"'),
    "fail-on": Meaning("Findings of this severity or above that are shown give exit status 1.", 'fail-on = "error"'),
    "min-confidence": Meaning("Findings that racelint is less sure of are not shown.", 'min-confidence = "high"'),
    "output-format": Meaning(
        "How findings are reported; auto: github or azure where these run, else full.", 'output-format = "concise"'
    ),
    "baseline": Meaning(
        "The file of findings that are known and not reported any more, relative to the project.",
        'baseline = ".racelint-baseline.toml"',
    ),
    "per-file-ignores": Meaning(
        "Rules that are not reported in files: patterns like those of exclude; with ! in front, in all other files.",
        '[per-file-ignores]\n"scripts/" = ["unguarded-write"]',
    ),
    "library": Meaning(
        "The project is a library: every public function may be called by several threads at once.", "library = true"
    ),
    "include-tests": Meaning(
        "Test code is analysed too: files in test and tests folders, test_*.py, *_test.py and conftest.py.",
        "include-tests = true",
    ),
    "exclude": Meaning(
        "What is left out, besides what a .gitignore and the usual folders of tools leave out: patterns as in a "
        ".gitignore of the project folder.",
        'exclude = ["vendor/", "*_pb2.py"]',
    ),
    "jobs": Meaning("The number of processes; without it, one per core.", "jobs = 2"),
    "entrypoints": Meaning(
        "A function of the project that something outside of it runs concurrently.",
        '[[entrypoints]]\nfunction = "operator.sweep.sweep_all"\ncontext = "thread"',
    ),
}


def schema(rules: Sequence[str] = ()) -> dict[str, Any]:
    """The schema; ``rules`` are the names and codes that ``select`` and ``ignore`` may hold (none: any)."""
    kinds = {field.name: get_args(field.type)[0] for field in msgspec.structs.fields(Tables)}
    tables, components = msgspec.json.schema_components(list(kinds.values()), ref_template="#/$defs/{name}")
    properties = {key: _plain(key, rules) for key in KEYS}
    properties["per-file-ignores"] = _per_file(rules)
    properties["entrypoints"] = _entrypoints()
    for (name, kind), table in zip(kinds.items(), tables, strict=True):
        properties[name] = {"description": summary(kind), "type": "array", "items": table}
    found = {
        "$schema": DRAFT,
        "title": "Configuration of racelint",
        "description": "racelint.toml, or [tool.racelint] in pyproject.toml.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": {name: _described(component) for name, component in sorted(components.items())},
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))  # defaults may be tuples
    return plain


def summary(kind: type) -> str:
    """The first sentence of what a table's struct says about itself, as plain text."""
    text = " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
    return text.replace("``", "")


def default_of(key: str) -> object:
    """The default of a key of ``Settings``."""
    settings = Settings()
    known = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return known[key.replace("-", "_")]


def _plain(key: str, rules: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"description": MEANINGS[key].text, **KEYS[key].schema}
    if rules and key in RULE_KEYS:
        found["items"] = {"enum": list(rules)}
    default = default_of(key)
    if default is not None:
        found["default"] = list(default) if isinstance(default, tuple) else default
    return found


def _per_file(rules: Sequence[str]) -> dict[str, Any]:
    names = {"enum": list(rules)} if rules else {"type": "string", "minLength": 1}
    described = MEANINGS["per-file-ignores"].text
    lists = {"type": "array", "items": names}
    return {
        "description": described,
        "type": "object",
        "propertyNames": {"minLength": 1},
        "additionalProperties": lists,
    }


def _entrypoints() -> dict[str, Any]:
    row = {
        "type": "object",
        "required": ["function", "context"],
        "additionalProperties": False,
        "properties": {
            "function": {
                "description": "Its full dotted name, such as pkg.module.Class.method.",
                "type": "string",
                "pattern": f"^{DOTTED_NAME.pattern}$",
            },
            "context": {"description": "Where it runs.", "enum": list(ENTRY_CONTEXTS)},
            "self_overlap": {
                "description": "Whether two calls may run at once; by default in pool and any.",
                "type": "boolean",
            },
            "why": {"description": "Why it runs there; shown in reports.", "type": "string"},
        },
    }
    return {"description": MEANINGS["entrypoints"].text, "type": "array", "items": row}


def _described(component: dict[str, Any]) -> dict[str, Any]:
    """A struct's schema with its docstring on one line."""
    if "description" not in component:
        return component
    return {**component, "description": " ".join(component["description"].replace("``", "").split())}
