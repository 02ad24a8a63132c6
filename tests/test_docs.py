"""README, CONTRIBUTING and docs/ say what is so: commands, the report, rules, rooms, and links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import racelint
from racelint import cli, config, pipeline
from racelint.rules import Rule, all_rules

PACKAGE = Path(racelint.__file__).parent
ROOT = PACKAGE.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("**/*.md"),
        *(ROOT / "fixtures").glob("*/README.md"),
        *(ROOT / "benchmarks").glob("*/README.md"),
    ]
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
LEFT_OUT = "[...]"


def fences(text: str, language: str) -> list[str]:
    """The contents of a document's code blocks in one language."""
    return [body for found, body in FENCE.findall(text) if found == language]


def prose(text: str) -> str:
    """A document without its code, in blocks or in lines."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def commands(line: str) -> list[list[str]]:
    """The commands of ``a && b && c``, as words."""
    return [shlex.split(part) for part in line.split("&&")]


def ci_commands(script: str) -> list[list[str]]:
    """The commands that ``.ci/run`` runs as steps, with its environment's folder called ``.venv`` as in README."""
    plain = script.replace("$venv", ".venv").replace("${PYTHON:-python3}", "python3")
    return [shlex.split(line)[1:] for line in plain.splitlines() if line.startswith("step ")]


def anchors(text: str) -> set[str]:
    """The names under which GitHub makes a document's headings known."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def missing(wanted: list[str], text: str) -> list[str]:
    """The lines of ``wanted`` that do not come in ``text`` in this order."""
    rest = iter(text.splitlines())
    return [line for line in wanted if all(line != other for other in rest)]


def rooms() -> list[str]:
    """The modules and packages directly in the package, as paths from it."""
    found = []
    for path in PACKAGE.iterdir():
        if path.is_dir() and any(path.glob("*.py")):
            found.append(f"{path.name}/")
        elif path.suffix == ".py" and path.name != "__init__.py":
            found.append(path.name)
    return sorted(found)


MAP = re.search(r"^## Module map\n(.*?)^## ", CONTRIBUTING, re.MULTILINE | re.DOTALL)


def test_readme_has_two_commands_and_they_start_from_nothing() -> None:
    blocks = fences(README, "sh")
    assert len(blocks) == 2
    for block in blocks:
        (line,) = block.splitlines()
        first, second, *_ = commands(line)
        assert first == ["python3", "-m", "venv", ".venv"]
        assert second[:2] == [".venv/bin/pip", "install"]


def test_the_main_job_is_what_readme_says() -> None:
    *_, job = commands(fences(README, "sh")[0])
    assert job == [".venv/bin/racelint", "check", "fixtures/submariner"]


def test_ci_runs_readmes_test_command_first() -> None:
    wanted = commands(fences(README, "sh")[1])
    assert wanted[-1][:3] == [".venv/bin/python", "-m", "pytest"]
    assert ci_commands(CI)[: len(wanted)] == wanted


def test_ci_goes_on_to_lint_and_types_and_stops_at_the_first_failure() -> None:
    assert CI.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in CI
    tools = [" ".join([Path(words[0]).name, *words[1:]]) for words in ci_commands(CI)]
    assert {"ruff check .", "ruff format --check .", "python -m mypy"} <= set(tools)
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


def test_the_report_in_readme_is_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shown = CliRunner().invoke(cli.main, ["check", "fixtures/submariner"], prog_name="racelint")
    assert shown.exit_code == 1
    quoted = fences(README, "text")[0].splitlines()
    assert LEFT_OUT in quoted
    assert missing([line for line in quoted if line != LEFT_OUT], shown.stdout) == []


def test_the_configuration_in_readme_is_valid_and_does_something(tmp_path: Path) -> None:
    (block,) = fences(README, "toml")
    (tmp_path / config.CONFIG_NAME).write_text(block, encoding="utf-8")
    settings = config.load(tmp_path)
    assert settings.tables.entry
    (entry,) = settings.entrypoints
    module, _, function = entry.function.rpartition(".")
    path = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True)
    path.write_text(
        f"import ourframework\nS = {{}}\n\n\ndef {function}():\n    for key in S:\n        print(key)\n\n\n"
        f"@{settings.tables.entry[0].name[0]}\ndef on_event(event):\n    S[event.name] = event\n",
        encoding="utf-8",
    )
    found = {finding.rule for finding in pipeline.analyse(tmp_path, settings).findings}
    assert found == {"mutate-while-iterating"}


def test_the_table_row_in_contributing_is_valid(tmp_path: Path) -> None:
    (block,) = fences(CONTRIBUTING, "toml")
    (tmp_path / config.CONFIG_NAME).write_text(block, encoding="utf-8")
    (row,) = config.load(tmp_path).tables.entry
    assert row.expect
    assert row.source


@pytest.mark.parametrize("name", cli.main.all_commands())
def test_every_command_is_in_readme(name: str) -> None:
    assert re.search(rf"^racelint {name}\b", "\n".join(fences(README, "text")), re.MULTILINE)


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
@pytest.mark.parametrize("document", ["README", "CHANGELOG"])
def test_every_rule_is_named_with_its_code(rule: Rule, document: str) -> None:
    text = {"README": README, "CHANGELOG": CHANGELOG}[document]
    assert any(rule.code in line and f"`{rule.name}`" in line for line in text.splitlines())


def test_readme_names_no_rule_that_is_not_there() -> None:
    known = {rule.code for rule in all_rules()}
    assert set(re.findall(r"\bRL\d{3}\b", README)) == known


@pytest.mark.parametrize("room", rooms())
def test_every_room_is_in_the_module_map(room: str) -> None:
    assert MAP is not None
    # A package may be named by one of its modules as well: the schema of the tables is a room of its own.
    assert re.search(rf"`{re.escape(room)}[\w.]*`", MAP[1]), f"{room} is missing in CONTRIBUTING.md, Module map"


def test_the_module_map_names_nothing_that_is_not_there() -> None:
    assert MAP is not None
    cells = re.findall(r"^\| (`[^|]+) \|", MAP[1], re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell) if name != "racelint/"]
    assert len(named) >= len(rooms())
    assert [name for name in named if not (PACKAGE / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_resolve(document: Path) -> None:
    broken = []
    for target in LINK.findall(prose(document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name) if name else document
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


def test_there_are_documents_and_links_between_them() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"} <= names
    assert "docs/architecture.md" in LINK.findall(prose(README))


def test_commands_that_differ_are_told_apart() -> None:
    script = 'step "${PYTHON:-python3}" -m venv "$venv"\nstep "$venv/bin/pip" install -e \'.[dev]\'\n'
    assert ci_commands(script) == commands("python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'")
    assert ci_commands(script) != commands("python3 -m venv .venv && .venv/bin/pip install -e '.[test]'")


def test_missing_lines_are_seen() -> None:
    assert missing(["a", "c"], "a\nb\nc\n") == []
    assert missing(["a", "x"], "a\nb\nc\n") == ["x"]
    assert missing(["c", "a"], "a\nb\nc\n") == ["a"]
