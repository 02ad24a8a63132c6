"""Writes the pages of this folder that are made from the code: ``python docs/generate.py`` (``--check`` compares).

Every page is a pure function of the code it describes; ``tests/test_generated_docs.py`` fails when one is out of date.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from racelint import cli
from racelint.config import KEYS
from racelint.config_schema import MEANINGS, default_of, schema, summary
from racelint.frameworks import schema as tables
from racelint.rules import Rule, all_rules

FOLDER = Path(__file__).parent
WIDTH = 100
NOTE = "<!-- Made by docs/generate.py: do not edit. -->\n\n"


def pages() -> dict[str, str]:
    """Every generated file, by its path from this folder."""
    return {
        "cli.md": command_line(),
        "configuration.md": configuration(),
        "frameworks.md": frameworks(),
        "rules.md": rules(),
        **{f"rules/{rule.name}.md": rule_page(rule) for rule in all_rules()},
        "racelint.schema.json": json.dumps(schema(rule_names()), indent=2) + "\n",
    }


def rule_names() -> list[str]:
    """Names and codes, as ``select`` and ``ignore`` take them."""
    return [name for rule in all_rules() for name in (rule.name, rule.code)]


# -- the command line --------------------------------------------------------------------------------------------------


def command_line() -> str:
    """``cli.md``: the help of every command."""
    parts = [NOTE, "# The command line\n\n", _help(cli.main, "racelint")]
    for name, command in cli.main.all_commands().items():
        parts.append(f"\n## racelint {name}\n\n")
        parts.append(_help(command, f"racelint {name}"))
        for inner in command.commands.values() if isinstance(command, click.Group) else ():
            parts.append(f"\n### racelint {name} {inner.name}\n\n")
            parts.append(_help(inner, f"racelint {name} {inner.name}"))
    return "".join(parts)


def _help(command: click.Command, name: str) -> str:
    context = click.Context(
        command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH, help_option_names=["-h", "--help"]
    )
    return f"```text\n{command.get_help(context).rstrip()}\n```\n"


# -- the configuration -------------------------------------------------------------------------------------------------


def configuration() -> str:
    """``configuration.md``: every key, what it takes, its default, what it is for."""
    found = schema()
    parts = [
        NOTE,
        "# The configuration\n\n"
        "In `racelint.toml`, or with the same keys below `[tool.racelint]` in `pyproject.toml`; where both are there,\n"
        "`racelint.toml` is used. A key that does not exist is an error. `racelint init` writes a first one,\n"
        "`racelint check --show-settings` shows what holds and where it comes from, and\n"
        "[racelint.schema.json](racelint.schema.json) is the JSON schema for editors.\n",
        "\n## Keys\n\n",
        "| key | value | default |\n|---|---|---|\n",
        *(f"| [`{key}`](#{key}) | {_text(kind.expected)} | {_default(key)} |\n" for key, kind in KEYS.items()),
    ]
    for key in KEYS:
        parts.append(f"\n### {key}\n\n{_text(MEANINGS[key].text)}\n\n```toml\n{MEANINGS[key].example}\n```\n")
    meaning = MEANINGS["per-file-ignores"]
    parts.append(f"\n## per-file-ignores\n\n{_text(meaning.text)}\n\n```toml\n{meaning.example}\n```\n")
    meaning = MEANINGS["entrypoints"]
    row = found["properties"]["entrypoints"]["items"]
    parts.append(
        f"\n## entrypoints\n\n{_text(meaning.text)} One table for each:\n\n```toml\n{meaning.example}\n```\n\n"
    )
    parts += _fields(row, found["$defs"])
    parts.append(
        "\n## Framework tables\n\nRows of your own, in the format of racelint's own tables, which are listed in\n"
        "[frameworks.md](frameworks.md). In `pyproject.toml` the headers are `[[tool.racelint.entry]]` and so on.\n"
    )
    for key, kind in _kinds().items():
        reference = found["properties"][key]["items"]["$ref"].rpartition("/")[2]
        parts.append(f"\n### Rows of {key}\n\n")
        parts.append(f"`[[{key}]]`: {_docstring(kind)}\n\n")
        parts += _fields(found["$defs"][reference], found["$defs"])
    return "".join(parts)


def _default(key: str) -> str:
    value = default_of(key)
    if value is None or value == ():
        return "not set"
    return f"`{json.dumps(value)}`"


def _fields(row: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    """A table of a row's keys."""
    yield "| key | value | |\n|---|---|---|\n"
    for name, kind in row["properties"].items():
        about = [kind["description"].rstrip(".")] if "description" in kind else []
        about += ["required"] if name in row.get("required", ()) else []
        if kind.get("default") not in (None, "", [], {}):
            about.append(f"default `{json.dumps(kind['default'])}`")
        yield f"| `{name}` | {_text(_type(kind, definitions))} | {_text('; '.join(about))} |\n"


def _type(kind: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    if "enum" in kind:
        return "one of " + ", ".join(f"`{json.dumps(value)}`" for value in kind["enum"])
    if "anyOf" in kind:
        return " or ".join(_type(part, definitions) for part in kind["anyOf"] if part.get("type") != "null")
    if "$ref" in kind:
        keys = definitions[kind["$ref"].rpartition("/")[2]]["properties"]
        return f"a table `{{ {', '.join(f'{key} = ...' for key in keys)} }}`"
    if kind.get("type") == "array":
        return f"an array: {_type(kind['items'], definitions)}"
    if kind.get("type") == "object" and isinstance(kind.get("additionalProperties"), dict):
        return f"a table, each value {_type(kind['additionalProperties'], definitions)}"
    words = {"string": "a string", "boolean": "true or false", "integer": "a whole number"}
    return words[kind["type"]]


# -- rules -------------------------------------------------------------------------------------------------------------


def rules() -> str:
    """``rules.md``: all rules."""
    lines = [NOTE, "# Rules\n\n", "| code | rule | severity | reported |\n|---|---|---|---|\n"]
    for rule in all_rules():
        lines.append(
            f"| {rule.code} | [{rule.name}](rules/{rule.name}.md) | {rule.severity} | {_text(rule.summary)} |\n"
        )
    return "".join(lines)


def rule_page(rule: Rule) -> str:
    """The page of one rule: what ``racelint explain`` shows, with a line of what is known about the rule."""
    title, _, rest = rule.documentation().partition("\n")
    weaknesses = ", ".join(
        f"[CWE-{number}](https://cwe.mitre.org/data/definitions/{number}.html)" for number in rule.cwe
    )
    facts = f"{rule.code}, {rule.severity}, {weaknesses}, since {rule.since}. [All rules](../rules.md)"
    return f"{NOTE}{title}\n\n{facts}\n{rest}"


# -- framework tables --------------------------------------------------------------------------------------------------


def _kinds() -> dict[str, type]:
    """The struct of each framework table."""
    return {field.name: field.type.__args__[0] for field in msgspec.structs.fields(tables.Tables)}


def frameworks() -> str:
    """``frameworks.md``: what racelint believes about libraries, table by table."""
    parts = [
        NOTE,
        "# Framework tables\n\nWhat racelint believes about libraries: which calls make code concurrent, what guards,\n"
        "how containers behave. These are the rows of `racelint/frameworks/*.toml`; a project adds its own in its\n"
        "[configuration](configuration.md#framework-tables).\n",
    ]
    for name, kind in _kinds().items():
        parts.append(f"\n## {name}\n\n{_text(summary(kind))}\n")
        for file, content in tables.builtin_files().items():
            rows = getattr(content, name)
            if rows:
                parts.append(f"\n### {name} in {file}\n\n")
                parts += _rows(name, rows)
    return "".join(parts)


def _rows(table: str, rows: Iterable[Any]) -> Iterator[str]:
    if table == "entry":
        yield "| API | runs in | overlaps itself | overlaps others | why |\n|---|---|---|---|---|\n"
        for row in rows:
            loop = "" if row.async_context == row.context else f"; `async def`: {row.async_context}"
            names = _names([*row.name, *(f".{name}" for name in (*row.methods, *row.attributes))])
            yield (
                f"| {row.form}: {names} | {row.context}{loop} | {row.self_overlap} | {_text(_beside(row))} "
                f"| {_text(row.why)} |\n"
            )
        return
    yield "| API | what holds of it | why |\n|---|---|---|\n"
    for row in rows:
        names = _names([*row.name, *(f".{name}" for name in _bare_methods(row))])
        yield f"| {names} | {_text(_facts(row))} | {_text(row.why)} |\n"


def _beside(row: tables.Entry) -> str:
    """What a row's entry points overlap with besides themselves."""
    if row.context in ("process", "main"):
        return "nothing: no objects are shared" if row.context == "process" else "what the main thread overlaps"
    if row.before_all:
        return f"what {row.lane} does not call"
    parts = ["threads; tasks of the loop at each await" if row.context == "event-loop" else "everything"]
    if row.exclusive:
        parts.append(f"but nothing else that {row.lane} calls in turn")
    if row.serialised_by:
        parts.append("not for one " + " or ".join(" and ".join(names) for names in row.serialised_by))
    return ", ".join(parts)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{code(name)}`" for name in names)


def code(text: str) -> str:
    """Code in one line, for a cell of a table."""
    lines = [line.strip() for line in text.splitlines()]
    joined = "".join(f"{line} " if line.endswith(":") else f"{line}; " for line in lines).rstrip("; ")
    return joined.replace("|", r"\|")


def _bare_methods(row: Any) -> list[str]:
    """Methods that a row names by themselves, whatever class they are of."""
    methods = getattr(row, "methods", [])
    return methods if isinstance(methods, list) else []


def _facts(row: Any) -> str:
    """What a row says besides names and reasons: the fields that differ from their defaults."""
    found = []
    for field in msgspec.structs.fields(row):
        value = getattr(row, field.name)
        if field.name in ("name", "why", "source") or value in (field.default, [], {}, None, ""):
            continue
        if field.name == "methods" and isinstance(value, list):
            continue
        plain = code(value) if isinstance(value, str) else _plain(value)
        found.append(f"{field.name.replace('_', ' ')}: {plain}")
    return "; ".join(found)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tables.Argument):
        parts = [] if value.position is None else [f"argument {value.position}"]
        return " or ".join([*parts, *([f"{value.keyword}="] if value.keyword else [])])
    if isinstance(value, dict):
        by_effect: dict[str, list[str]] = {}
        for method, effect in value.items():
            by_effect.setdefault(effect, []).append(method)
        return ", ".join(f"{effect} ({', '.join(methods)})" for effect, methods in by_effect.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _docstring(kind: type) -> str:
    """What a struct says about itself, as Markdown on one line."""
    return " ".join((inspect.getdoc(kind) or "").split()).replace("``", "`")


def _text(text: str) -> str:
    """Plain text as Markdown, also in a cell of a table; code in backticks stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part.replace("|", "\\|") if part.startswith("`") else re.sub(r"([|<*_\[])", r"\\\1", part) for part in parts
    )


# -- writing -----------------------------------------------------------------------------------------------------------


def stale(folder: Path = FOLDER) -> list[str]:
    """The pages that are not what the code says, or that nothing makes any more."""
    wanted = pages()
    there = {path.relative_to(folder).as_posix() for path in (folder / "rules").glob("*.md")}
    wrong = [name for name, text in wanted.items() if _read(folder / name) != text]
    return sorted({*wrong, *(there - set(wanted))})


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


def main() -> int:
    """Write the pages, or with ``--check`` name those that are out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when a page is out of date")
    check = parser.parse_args().check
    wanted, changed = pages(), stale()
    for name in changed:
        print(f"{'out of date' if check else 'written' if name in wanted else 'removed'}: docs/{name}")
        path = FOLDER / name
        if check:
            continue
        if name not in wanted:
            path.unlink()
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(wanted[name], encoding="utf-8", newline="\n")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
