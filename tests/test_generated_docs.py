"""The pages that ``docs/generate.py`` makes: none is out of date, and what they say is complete."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import racelint
from racelint import cli, config
from racelint.config_schema import MEANINGS
from racelint.frameworks.schema import Tables, builtin
from racelint.rules import Rule, all_rules

DOCS = Path(racelint.__file__).parent.parent / "docs"


def load() -> Any:
    """``docs/generate.py`` as a module; its folder is no package."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = load()
PAGES: dict[str, str] = GENERATE.pages()


def test_no_page_is_out_of_date() -> None:
    assert GENERATE.stale() == [], "run: python docs/generate.py"


def test_pages_that_differ_are_seen(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert GENERATE.stale(tmp_path) == []
    (tmp_path / "cli.md").write_text("x", encoding="utf-8")
    (tmp_path / "rules.md").unlink()
    (tmp_path / "rules" / "gone.md").touch()
    assert GENERATE.stale(tmp_path) == ["cli.md", "rules.md", "rules/gone.md"]


def test_the_script_checks() -> None:
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", cli.main.all_commands())
def test_every_option_is_in_the_page_of_commands(name: str) -> None:
    section = PAGES["cli.md"].split(f"## racelint {name}\n")[1].split("\n## ")[0]
    options = [parameter for parameter in cli.main.all_commands()[name].params if isinstance(parameter, click.Option)]
    assert [option.opts[0] for option in options if option.opts[0] not in section] == []


@pytest.mark.parametrize("name", cli.main.all_commands())
def test_every_option_and_command_has_a_help_text(name: str) -> None:
    command = cli.main.all_commands()[name]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert command.help
    assert [option.opts[0] for option in options if not option.help] == []


def test_every_key_is_described() -> None:
    assert set(MEANINGS) == {*config.KEYS, "per-file-ignores", "entrypoints"}
    page = PAGES["configuration.md"]
    for key in config.KEYS:
        assert f"\n### {key}\n" in page
    for table in Tables.__struct_fields__:
        assert f"\n`[[{table}]]`: " in page


def test_the_keys_are_those_of_the_settings() -> None:
    about = {"origin", "warnings", "stated", "tables"}
    fields = {field.name.replace("_", "-") for field in dataclasses.fields(config.Settings)} - about
    assert fields == set(MEANINGS)


@pytest.mark.parametrize("key", sorted(MEANINGS))
def test_the_example_of_a_key_sets_it_to_something_else(key: str, tmp_path: Path) -> None:
    (tmp_path / config.CONFIG_NAME).write_text(MEANINGS[key].example, encoding="utf-8")
    settings = config.load(tmp_path)
    assert settings.stated == (key,)
    name = key.replace("-", "_")
    assert getattr(settings, name) != getattr(config.Settings(), name)


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_every_rule_has_a_page_with_all_of_its_text(rule: Rule) -> None:
    page = PAGES[f"rules/{rule.name}.md"]
    title, _, rest = rule.documentation().partition("\n")
    assert page.startswith(f"{GENERATE.NOTE}{title}\n")
    assert page.endswith(rest)
    assert all(f"CWE-{number}" in page for number in rule.cwe)
    assert f"(rules/{rule.name}.md)" in PAGES["rules.md"]


def test_every_row_of_the_framework_tables_is_listed() -> None:
    page = PAGES["frameworks.md"]
    rows = [row for table in Tables.__struct_fields__ for row in getattr(builtin(), table)]
    assert len(re.findall(r"^\| .* \|$", page, re.MULTILINE)) - page.count("| API |") == len(rows)
    assert [name for row in rows for name in row.name if f"`{GENERATE.code(name)}`" not in page] == []


def test_tables_have_the_same_number_of_cells_in_every_row() -> None:
    for name, text in PAGES.items():
        if not name.endswith(".md") or name.startswith("rules/"):
            continue
        for table in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
            cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(cells) == 1, table.splitlines()[0]


def test_the_schema_is_json_with_the_rules_in_it() -> None:
    items = json.loads(PAGES["racelint.schema.json"])["properties"]["select"]["items"]
    assert items == {"enum": [name for rule in all_rules() for name in (rule.name, rule.code)]}
