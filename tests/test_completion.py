"""Completion: the scripts, and the answers they get. Settings shown with their source; help in sections."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from racelint import cli
from racelint.cli.check import SECTIONS, check
from racelint.cli.settings import ABOUT
from racelint.config import Settings
from racelint.rules import all_rules

NAMES = [rule.name for rule in all_rules()]


def complete(shell: str, words: str, at: int) -> list[str]:
    """What racelint answers the completion script of a shell, in a process of its own."""
    last = words.split(" ")[at] if at < len(words.split(" ")) else ""
    line = words if shell != "fish" else words.replace(" ", "\n")
    environment = {**os.environ, "_RACELINT_COMPLETE": f"{shell}_complete", "COMP_WORDS": line}
    environment["COMP_CWORD"] = last if shell == "fish" else str(at)
    done = subprocess.run(
        [sys.executable, "-m", "racelint"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


class TestAnswers:
    """The protocol of click's scripts (https://click.palletsprojects.com/en/stable/shell-completion/)."""

    def test_rules_of_explain(self) -> None:
        assert complete("bash", "racelint explain ", 2) == [f"plain,{name}" for name in NAMES]
        assert complete("bash", "racelint explain await-c", 2) == ["plain,await-check-then-act"]
        assert complete("bash", "racelint explain rl10", 2) == [f"plain,RL10{n}" for n in range(1, 7)]
        assert not any(complete("bash", "racelint explain zzz", 2))

    @pytest.mark.parametrize("option", ["--select", "--ignore"])
    def test_rules_of_options_also_after_a_comma(self, option: str) -> None:
        assert complete("bash", f"racelint check {option} unguarded", 3) == ["plain,unguarded-write"]
        assert complete("bash", f"racelint check {option} RL101,read", 3) == ["plain,RL101,read-modify-write"]

    def test_zsh_and_fish_show_the_summaries(self) -> None:
        (rule,) = (rule for rule in all_rules() if rule.name == "unguarded-write")
        assert complete("zsh", "racelint explain unguarded", 2) == ["plain", rule.name, rule.summary]
        (shown,) = complete("fish", "racelint explain unguarded", 2)
        assert rule.name in shown
        assert rule.summary in shown

    def test_commands_options_and_choices(self) -> None:
        assert complete("bash", "racelint gr", 1) == ["plain,graph"]
        assert complete("bash", "racelint graph --foc", 2) == ["plain,--focus"]
        assert complete("bash", "racelint graph --format m", 3) == ["plain,mermaid"]


class TestScripts:
    """``racelint completion``."""

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_a_script_that_asks_racelint(self, shell: str) -> None:
        shown = CliRunner().invoke(cli.main, ["completion", shell], prog_name="racelint")
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert f"_RACELINT_COMPLETE={shell}_complete" in shown.stdout

    @pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
    def test_bash_takes_the_script_and_completes(self, tmp_path: Path) -> None:
        script = CliRunner().invoke(cli.main, ["completion", "bash"], prog_name="racelint").stdout
        program = tmp_path / "racelint"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m racelint "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        words = "COMP_WORDS=(racelint explain unguarded); COMP_CWORD=2"
        text = f'{script}\n{words}\n_racelint_completion "{program}"\nprintf "%s" "${{COMPREPLY[@]}}"\n'
        done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True, timeout=60)
        assert (done.stdout, done.stderr) == ("unguarded-write", "")

    def test_other_shells_are_refused(self) -> None:
        shown = CliRunner().invoke(cli.main, ["completion", "tcsh"], prog_name="racelint")
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert "'tcsh' is not one of" in shown.stderr


class TestShowSettings:
    """``racelint check --show-settings``."""

    def show(self, folder: Path, *options: str) -> dict[str, tuple[str, str]]:
        shown = CliRunner().invoke(cli.main, ["check", "--project", str(folder), "--show-settings", *options])
        assert shown.exit_code == 0
        rows = [re.fullmatch(r"(\S+(?: \S+)*) +(.*?)(?:  \((.*)\))?", line) for line in shown.stdout.splitlines()]
        return {row[1]: (row[2], row[3]) for row in rows if row is not None}

    def test_every_setting_is_shown(self, tmp_path: Path) -> None:
        keys = {field.name.replace("_", "-") for field in dataclasses.fields(Settings) if field.name not in ABOUT}
        keys = {"own table rows" if key == "tables" else key for key in keys}
        found = self.show(tmp_path)
        assert set(found) == {"project", "configuration", "paths", *keys}
        assert {found[key][1] for key in keys} == {"default"}
        assert {found[key][1] for key in ("project", "configuration", "paths")} == {None}

    def test_where_each_comes_from(self, tmp_path: Path) -> None:
        (tmp_path / "racelint.toml").write_text(
            'ignore = ["RL103"]\njobs = 2\nlibrary = false\nmin-severity = "error"\nexclude = []\n'
            '[[guard]]\nname = ["a.Lock"]\nwhy = "x"\n[[entrypoints]]\nfunction = "a.b"\ncontext = "any"\n',
            encoding="utf-8",
        )
        found = self.show(tmp_path, "--min-severity", "note", "--fail-on", "error")
        assert found["ignore"] == ("RL103", "racelint.toml")
        # What the file says counts as said, also when it is the default.
        assert (found["library"], found["exclude"]) == (("false", "racelint.toml"), ("none", "racelint.toml"))
        assert (found["own table rows"], found["entrypoints"]) == (("1", "racelint.toml"), ("a.b", "racelint.toml"))
        assert (found["min-severity"], found["fail-on"]) == (("note", "command line"), ("error", "command line"))
        assert (found["select"], found["include-tests"]) == (("all rules", "default"), ("false", "default"))
        # Rules that are asked for by hand put aside what the file ignores.
        assert self.show(tmp_path, "--select", "RL103")["ignore"] == ("none", "command line")

    def test_hostile_values(self, tmp_path: Path) -> None:
        (tmp_path / "racelint.toml").write_text('exclude = ["\\u001b[31m\\n::error::"]\n', encoding="utf-8")
        assert self.show(tmp_path)["exclude"] == ("\\x1b[31m\\n::error::", "racelint.toml")


class TestSections:
    """The help of ``check``."""

    def test_every_option_stands_under_one_title(self) -> None:
        text = CliRunner().invoke(cli.main, ["check", "--help"], prog_name="racelint").stdout
        options = [parameter.opts[0] for parameter in check.params if isinstance(parameter, click.Option)]
        for option in options:
            assert len(re.findall(rf"^  (?:-h, )?{option}\b(?!-)", text, re.MULTILINE)) == 1, option
        for title, names in SECTIONS.items():
            section = text.split(f"\n{title}:\n")[1].split("\n\n")[0]
            assert [name for name in names if name not in section] == []

    def test_sections_name_no_option_that_is_not_there(self) -> None:
        options = {name for parameter in check.params for name in parameter.opts}
        assert {name for names in SECTIONS.values() for name in names} <= options
