"""``racelint check --show-settings``: every setting in use, and where it comes from."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from racelint.cli.speak import shown

if TYPE_CHECKING:
    from racelint.cli.scope import Scope

# Fields of Settings that say something about the configuration, and set nothing.
ABOUT = ("origin", "warnings", "stated")
# What "nothing said" means for a setting.
UNSET = {"select": "all rules", "jobs": "one per core"}
DEFAULT, COMMAND_LINE = "default", "command line"
COLUMN = 17


def settings_text(scope: Scope) -> str:
    """One line per setting: its key, its value, and in brackets where that comes from."""
    settings = scope.settings
    rows = [
        ("project", str(scope.project), ""),
        ("configuration", settings.origin or "none", ""),
        ("paths", ", ".join(path or "." for path in scope.inside) or "the project", ""),
    ]
    for field in fields(settings):
        if field.name not in ABOUT:
            key = "own table rows" if field.name == "tables" else field.name.replace("_", "-")
            rows.append((key, _value(scope, field.name), f"  ({_source(scope, field.name)})"))
    return "".join(f"{key:<{COLUMN}} {shown(value)}{shown(source)}\n" for key, value, source in rows)


def _value(scope: Scope, name: str) -> str:
    value = getattr(scope.settings, name)
    if name == "entrypoints":
        value = tuple(item.function for item in value)
    elif name == "per_file_ignores":
        value = tuple(f"{pattern}: {', '.join(rules)}" for pattern, rules in value)
        return "; ".join(value) or "none"
    elif name == "tables":
        return str(sum(len(getattr(value, table)) for table in value.__struct_fields__))
    if value in (None, (), ""):
        return UNSET.get(name, "none")
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _source(scope: Scope, name: str) -> str:
    """Where a setting comes from; with ``--select``, what the file ignores does not hold."""
    if name in scope.given or (name == "ignore" and "select" in scope.given):
        return COMMAND_LINE
    keys = scope.settings.tables.__struct_fields__ if name == "tables" else (name.replace("_", "-"),)
    return scope.settings.origin if set(keys) & set(scope.settings.stated) else DEFAULT
