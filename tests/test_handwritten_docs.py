"""The pages in docs/ that are written by hand show what really happens.

In a page, a block ``console`` is a session: lines that start with ``$ `` are run, one after the other, in a copy of
``fixtures/submariner``, and what follows them is their output. A line ``...`` stands for any number of lines. A block
of another language whose first line is a comment with a path is that file, written when the session gets there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from pre_commit.clientlib import load_config, load_manifest  # type: ignore[import-untyped]

import racelint
from racelint import cli, config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(racelint.__file__).parent.parent
DOCS = ROOT / "docs"
CUT = "..."
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w./-]+\.\w+)\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page, without the indent it stands at."""

    language: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page in their order."""
    for indent, language, text in BLOCK.findall(page):
        yield Block(language, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE))


def session(text: str) -> list[tuple[str, list[str]]]:
    """Commands and the output shown for each."""
    steps: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line.rstrip())
    return steps


def matches(shown: Sequence[str], real: Sequence[str]) -> bool:
    """Whether ``shown`` is ``real``, where a line ``...`` may be any lines or none."""
    pattern = "".join(r"(?:.*\n)*?" if line == CUT else re.escape(line) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in real)) is not None


class Shell:
    """Runs the commands of a page in a folder: racelint, python, git, and ``echo $?``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._status = 0
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_NAME": "someone" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "someone@example.org" for who in ("AUTHOR", "COMMITTER")},
        }

    def run(self, command: str) -> list[str]:
        """What the command prints, on both streams."""
        if command == "echo $?":
            return [str(self._status)]
        program, *words = shlex.split(command)
        if program == "racelint":
            result = CliRunner().invoke(cli.main, words, prog_name="racelint")
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            self._status = result.exit_code
            return result.output.splitlines()
        done = subprocess.run(
            [{"python": sys.executable, "git": "git"}[program], *words],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        self._status = done.returncode
        return done.stdout.splitlines()


def by_hand() -> list[Path]:
    """The pages that ``docs/generate.py`` does not make."""
    return [path for path in sorted(DOCS.glob("*.md")) if not path.read_text("utf-8").startswith("<!-- Made by")]


SESSIONS = [path for path in by_hand() if "```console" in path.read_text("utf-8")]


@pytest.mark.parametrize("page", SESSIONS, ids=lambda path: path.stem)
def test_the_sessions_are_real(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "submariner"
    shutil.copytree(ROOT / "fixtures" / "submariner", folder)
    monkeypatch.chdir(folder)
    shell = Shell(folder)
    for block in blocks(page.read_text("utf-8")):
        if block.language != "console":
            if file := FILE.match(block.text):
                path = folder / file[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text[file.end() :], encoding="utf-8")
            continue
        for command, shown in session(block.text):
            real = shell.run(command)
            assert matches(shown, real), f"$ {command}\n" + "\n".join(real)


def test_the_tutorial_goes_all_the_way() -> None:
    commands = [
        command
        for block in blocks((DOCS / "tutorial.md").read_text("utf-8"))
        if block.language == "console"
        for command, _ in session(block.text)
    ]
    assert {"racelint check", "racelint check --diff", "racelint check --fix"} <= set(commands)
    assert any(command.startswith("racelint explain ") for command in commands)
    assert any(command.startswith("racelint entrypoints") for command in commands)


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [
        (["a", "b"], ["a", "b "], True),
        (["a"], ["a", "b"], False),
        (["a", "..."], ["a", "b", "c"], True),
        (["...", "c"], ["a", "b", "c"], True),
        (["a", "...", "c"], ["a", "c"], True),
        (["a", "...", "d"], ["a", "b", "c"], False),
        (["a.c"], ["abc"], False),
        ([], ["a"], False),
        ([], [], True),
    ],
)
def test_outputs_that_differ_are_told_apart(shown: list[str], real: list[str], same: bool) -> None:
    assert matches(shown, real) is same


CI = (DOCS / "ci.md").read_text("utf-8")
RECIPES = [block for block in blocks(CI) if block.language in ("yaml", "groovy")]
HOOKS = [block for page in by_hand() for block in blocks(page.read_text("utf-8")) if "# .pre-commit-" in block.text]
CHECK_HELP = CliRunner().invoke(cli.main, ["check", "--help"]).output


# Where the project is to be had: said in pyproject.toml, or else to be put in by the reader.
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
HOME = METADATA.get("urls", {}).get("Source", "https://github.com/OWNER/racelint")
PROJECT = HOME.removeprefix("https://github.com/")


def options(text: str) -> set[str]:
    """The long options of a command line, a help or a recipe."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


def lines_for_racelint(text: str) -> list[str]:
    """What a recipe hands to ``racelint check``: command lines, ``args`` of a hook or of the action."""
    commands = re.findall(r"racelint check(.*)$", text, re.MULTILINE)
    hooks = re.findall(r"args: \[(.*)\]$", text, re.MULTILINE)
    inputs = re.findall(r"args: \|\n((?: +--.*\n)+)", text)
    return [*commands, *hooks, *inputs]


@pytest.mark.parametrize("block", [b for b in RECIPES if b.language == "yaml"], ids=lambda block: block.text[:40])
def test_recipes_are_yaml(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize(
    "page",
    [*by_hand(), ROOT / "README.md"],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_every_option_shown_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    shown = [*lines_for_racelint(text), *re.findall(r"`(--[a-z][^`]*)`", text)]
    other = {"--hook-type"}
    wanted = {option for line in shown for option in options(line)} - other
    assert wanted <= options(CHECK_HELP) | options(everything())


def everything() -> str:
    """The help of all commands."""
    return "".join(CliRunner().invoke(cli.main, [name, "--help"]).output for name in cli.main.all_commands())


def test_recipes_use_only_options_of_check_and_formats_there_are() -> None:
    handed = [line for block in RECIPES for line in lines_for_racelint(block.text)]
    assert len(handed) >= 8
    assert {option for line in handed for option in options(line)} <= options(CHECK_HELP)
    formats = re.findall(r"--output-format (\w+)", "\n".join(handed))
    assert {"github", "sarif", "gitlab", "junit", "azure"} == set(formats)
    known = re.search(r"\[full\|([a-z|]+)\]", CHECK_HELP)
    assert known is not None
    assert set(formats) <= set(known[1].split("|"))


def test_recipes_use_only_inputs_of_the_action_and_the_page_lists_all() -> None:
    inputs = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["inputs"]
    used = [
        step.get("with", {})
        for block in RECIPES
        if f"uses: {PROJECT}" in block.text
        for step in yaml.safe_load(block.text)["jobs"]["racelint"]["steps"]
        if step.get("uses", "").startswith(PROJECT)
    ]
    assert used
    assert {name for given in used for name in given} <= set(inputs)
    rows = re.findall(r"^\| `([\w-]+)` \| (?:`(.*?)` )?\|", CI, re.MULTILINE)
    assert dict(rows) == {name: spec["default"] for name, spec in inputs.items()}


def test_every_recipe_has_racelint_from_the_one_home_there_is() -> None:
    text = "\n".join(block.text for block in [*RECIPES, *HOOKS])
    sources = re.findall(r"racelint @ git\+(\S+)@REF|uses: (\S+/racelint)@REF|repo: (\S+)\n +rev: REF", text)
    assert len(sources) >= 8
    assert {source for found in sources for source in found if source} <= {HOME, PROJECT}
    assert ("OWNER" in HOME) is ("OWNER" in CI)


def test_recipes_put_no_value_of_an_event_into_a_script() -> None:
    for block in RECIPES:
        assert not re.search(r"(?:run|script): .*\$\{\{", block.text)


@pytest.mark.parametrize("block", HOOKS, ids=range(len(HOOKS)))
def test_pre_commit_takes_the_configurations(block: Block, tmp_path: Path) -> None:
    path = tmp_path / ".pre-commit-config.yaml"
    path.write_text(block.text, encoding="utf-8")
    (repository,) = load_config(path)["repos"]
    known = {hook["id"] for hook in load_manifest(ROOT / ".pre-commit-hooks.yaml")}
    assert {hook["id"] for hook in repository["hooks"]} <= known


def test_there_are_hooks_to_test() -> None:
    assert len(HOOKS) >= 3


SETTINGS = [
    pytest.param(block.text, id=f"{page.stem}-{number}")
    for page in by_hand()
    for number, block in enumerate(blocks(page.read_text("utf-8")))
    if block.language == "toml" and page.stem != "architecture"
]


@pytest.mark.parametrize("text", SETTINGS)
def test_configurations_shown_are_valid(text: str, tmp_path: Path) -> None:
    (tmp_path / config.CONFIG_NAME).write_text(text, encoding="utf-8")
    config.load(tmp_path)


def test_the_index_names_every_page() -> None:
    named = set(re.findall(r"\]\(([\w.-]+\.md)\)", (DOCS / "README.md").read_text("utf-8")))
    assert named == {path.name for path in DOCS.glob("*.md")} - {"README.md"}


def test_limits_lists_the_misses_of_the_rules() -> None:
    misses = [
        f"- `{rule}`: {why}."
        for path in sorted((ROOT / "racelint" / "rules").glob("*.md"))
        for rule, why in re.findall(r"# missed: ([\w-]+) (.+)", path.read_text("utf-8"))
    ]
    assert misses
    assert [line for line in (DOCS / "limits.md").read_text("utf-8").splitlines() if line.startswith("- `")][
        : len(misses)
    ] == misses
