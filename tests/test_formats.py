"""The formats together: their table, how one is chosen, whose paths they show, and that they are safe to read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from build_servers import azure_commands, github_commands
from click.testing import CliRunner, Result
from handmade import finding, hostile, result, side, uncached
from hypothesis import given
from hypothesis import strategies as st

from racelint import cli, config, mend, pipeline
from racelint.cli import job_summary
from racelint.model.findings import OUTPUT_FORMATS, Edit, Fix
from racelint.model.source import Problem
from racelint.report.checkout import below
from racelint.report.formats import FORMATS, STATISTICS, Style, resolve
from racelint.report.text import problem_line, safe

ATTACKS = {
    "terminal": "\x1b[31m\x07\x9b2J\x00",
    "lines": "a\nb\r\nc\x85d\u2028e",
    "github": "\n::error file=x::no\r::set-output name=x::no",
    "github, first in a path": "::warning::no",
    "github, the old form": "##[set-env name=PATH]/tmp ##[error]no ###[add-mask]x",
    "azure": "##vso[task.setvariable variable=PATH]/tmp ###vso[task.complete result=Succeeded;]ok",
    "escapes": "%0A::error::no %0D%0A %25 %AZP25 %3B %5D",
    "properties": "a,line=9:col=9;type=warning]b",
    "xml": "]]><failure/><!-- & --> \ufffe &#0;",
    "html": "</code></pre><script>alert(1)</script><img src=x onerror=alert(1)>",
    "markdown": "x](javascript:alert(1)) ![y](https://evil.example/z) [z]: https://evil.example *b* _i_ ~~s~~ | a |",
    "markdown fences": "`` ` ``` ````\n```\n# h\n</details>\n",
    "mentions": "@everyone #1 org/repo#2 https://evil.example www.evil.example x@evil.example !3",
    "mentions in pairs of backticks": "`@everyone` @everyone `#1` #1",
    "placeholders": "{0} {1} {{0}}",
    "surrogates": "\ud800 \udcff",
    "bidi": "\u202e\u2066\u200b\u200f\ufeff",
    "rich": "[red]x[/] :smile:",
}
FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\ufffe\ud800-\udfff]"
)


def every_report(text: str) -> Iterator[tuple[str, str]]:
    """What each format makes of a result with ``text`` everywhere, by the name of the format."""
    bad = hostile(text)
    fix = Fix("unsafe", f"hold {text}", (Edit(bad.sides[0].path, 1, 1, 1, 1, "import threading\n"),))
    problem = Problem(f"{text}/a.py", 3, "parse-error", text)
    shown = result(bad, replace(bad, fix=fix), replace(bad, suppressed=text), problems=(problem,))
    sources = {bad.sides[0].path: [f"x = '{text}'  # {text}", text]}
    for name, chosen in [*FORMATS.items(), ("statistics", STATISTICS)]:
        yield name, chosen.render(shown, sources, Style(verbose=True))
    yield "problem", problem_line(problem)


def strings(document: object) -> Iterator[str]:
    """All strings in plain data."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from (*strings(key), *strings(value))
    elif isinstance(document, list):
        for item in document:
            yield from strings(item)


class TestTable:
    """Names, and what stands behind them."""

    def test_every_name_has_a_format(self) -> None:
        assert [*FORMATS, "auto"] == list(OUTPUT_FORMATS)

    @pytest.mark.parametrize("name", OUTPUT_FORMATS)
    def test_every_name_is_in_readme(self, name: str) -> None:
        readme = Path(__file__).parents[1].joinpath("README.md").read_text("utf-8")
        assert any(f"`{name}`" in line.split("|")[1] for line in readme.splitlines() if line.startswith("| "))

    @pytest.mark.parametrize("name", FORMATS)
    def test_every_format_says_nothing_of_an_empty_run_but_that(self, name: Any) -> None:
        text = FORMATS[name].render(result(), {}, Style())
        assert text.endswith("\n")
        assert "RL102" not in text or name == "sarif"

    @pytest.mark.parametrize("name", FORMATS)
    def test_every_format_ends_and_repeats(self, name: Any) -> None:
        shown = result(finding(side(), side("op/gc.py")), problems=(Problem("bad.py", 0, "unreadable-file", "no"),))
        text = FORMATS[name].render(shown, {}, Style())
        assert text == FORMATS[name].render(shown, {}, Style())
        assert text.endswith("\n")
        assert "bad.py" in text or name in ("full", "concise")

    @pytest.mark.parametrize(
        ("environment", "expected"),
        [
            ({}, "full"),
            ({"GITHUB_ACTIONS": "true"}, "github"),
            ({"GITHUB_ACTIONS": ""}, "full"),
            ({"TF_BUILD": "True"}, "azure"),
            ({"GITLAB_CI": "true"}, "full"),
        ],
    )
    def test_auto(self, environment: dict[str, str], expected: str) -> None:
        assert resolve("auto", environment) == expected
        assert resolve("json", environment) == "json"


class TestHostileTexts:
    """No name, source line or message of a project does anything but be read."""

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_logs_hold_no_commands_but_racelints(self, attack: str) -> None:
        for name, text in every_report(ATTACKS[attack]):
            expected = {"github": ["error", "error", "warning"]}.get(name, [])
            assert [command.name for command in github_commands(text)] == expected, name
            expected = {"azure": ["task.logissue"] * 3}.get(name, [])
            assert [command.name for command in azure_commands(text)] == expected, name

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_nothing_steers_a_terminal(self, attack: str) -> None:
        for name, text in every_report(ATTACKS[attack]):
            assert not FORBIDDEN.search(text), name
            text.encode("utf-8")

    @pytest.mark.parametrize("attack", ATTACKS)
    @pytest.mark.parametrize("name", ["sarif", "gitlab", "rdjson"])
    def test_texts_inside_of_json_are_safe_too(self, name: str, attack: str) -> None:
        document = json.loads(dict(every_report(ATTACKS[attack]))[name])
        assert [text for text in strings(document) if FORBIDDEN.search(text)] == []

    @given(st.text())
    def test_no_text_at_all_is_a_command(self, text: str) -> None:
        for attack in (f"::error::{text}", f"##[error]{text}", f"##vso[task.complete]{text}"):
            line = problem_line(Problem(attack, 1, "parse-error", attack))
            assert github_commands(line) == azure_commands(line) == []

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("##vso[x", r"#\x23vso[x"),
            ("###[x", r"##\x23[x"),
            ("## [x", "## [x"),
            ("## vso[x", "## vso[x"),
        ],
    )
    def test_only_commands_are_changed(self, text: str, shown: str) -> None:
        assert safe(text) == shown

    def test_a_wrapped_line_does_not_become_a_command(self) -> None:
        text = FORMATS["full"].render(result(finding(why="word " * 20 + "::error::no " * 9)), {}, Style(width=60))
        assert r"\x3a:error::no" in text
        assert github_commands(text) == []


class TestCheckout:
    """Paths from the root of the checkout."""

    def test_every_path_is_moved_and_nothing_else(self) -> None:
        fix = Fix("safe", "hold it", (Edit("op/a.py", 1, 1, 1, 1, "x"),))
        moved = below(result(finding(fix=fix), problems=(Problem("bad.py", 1, "parse-error", "no"),)), "srv/op")
        (found,) = moved.findings
        first = found.sides[0]
        assert (first.path, first.context.path, first.trace[0].path) == (
            "srv/op/op/registry.py",
            "srv/op/op/handlers.py",
            "srv/op/op/handlers.py",
        )
        assert found.fix is not None
        assert found.fix.edits[0].path == "srv/op/op/a.py"
        assert moved.problems[0].path == "srv/op/bad.py"
        assert found.message == finding().message

    def test_without_a_folder_nothing_changes(self) -> None:
        plain = result(finding())
        assert below(plain, "") is plain

    def test_the_root_is_the_nearest_one(self, tmp_path: Path) -> None:
        (tmp_path / "a" / ".git").mkdir(parents=True)
        (tmp_path / "a" / "b" / "c").mkdir(parents=True)
        assert config.find_checkout(tmp_path / "a" / "b" / "c") == tmp_path / "a"
        assert config.find_checkout(tmp_path / "a") == tmp_path / "a"


class TestCommandLine:
    """Formats as they are asked for."""

    @pytest.fixture
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A project in a folder of a checkout, as the working directory; its analysis is replaced."""
        folder = tmp_path / "checkout" / "operator"
        (tmp_path / "checkout" / ".git").mkdir(parents=True)
        folder.mkdir()
        (folder / "racelint.toml").touch()
        monkeypatch.chdir(folder)
        fix = Fix("safe", "hold the lock", (Edit("op/registry.py", 1, 1, 1, 1, "import threading\n"),))

        def analyse(*_: object) -> object:
            return result(finding())

        def with_fixes(*_: object, **__: object) -> object:
            return result(finding(fix=fix))

        uncached(monkeypatch)
        monkeypatch.setattr(pipeline, "analyse", analyse)
        monkeypatch.setattr(mend, "with_fixes", with_fixes)
        return folder

    def check(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli.main, ["check", *arguments], prog_name="racelint")

    def test_paths_count_from_the_checkout_where_servers_read_them(self, project: Path) -> None:
        assert "file=operator/op/registry.py," in self.check("--output-format", "github").stdout
        assert '"operator/op/registry.py"' in self.check("--output-format", "sarif").stdout
        assert '"op/registry.py"' in self.check("--output-format", "json").stdout
        assert self.check().stdout.startswith("op/registry.py:3:12: ")

    def test_source_lines_are_found_under_the_moved_paths(self, project: Path) -> None:
        (project / "op").mkdir()
        (project / "op" / "registry.py").write_text("\n\nif name not in PODS: pass\n")
        assert "if name not in PODS: pass" in self.check("--output-format", "markdown").stdout

    @pytest.mark.parametrize("name", ["json", "sarif", "rdjson"])
    def test_edits_are_worked_out_for_the_formats_that_show_them(self, project: Path, name: str) -> None:
        (project / "op").mkdir()
        (project / "op" / "registry.py").write_text("pass\n")
        assert "import threading" in self.check("--output-format", name).stdout
        without = self.check("--output-format", name, "--no-edits").stdout
        assert '"import threading' not in without

    def test_the_format_can_stand_in_the_configuration(self, project: Path) -> None:
        (project / "racelint.toml").write_text('output-format = "concise"\n')
        assert len(self.check().stdout.splitlines()) == 2
        assert json.loads(self.check("--output-format", "json").stdout)["version"] == 1
        assert re.search("^output-format +concise ", self.check("--show-settings").stdout, re.MULTILINE)

    def test_an_unknown_one_is_refused(self, project: Path) -> None:
        assert self.check("--output-format", "yaml").exit_code == 2
        (project / "racelint.toml").write_text('output-format = "yaml"\n')
        refused = self.check()
        assert refused.exit_code == 2
        assert "racelint.toml:1: 'output-format' must be one of 'full', 'concise', 'json'" in refused.stderr

    def test_auto_and_the_default(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        plain = self.check().stdout
        assert self.check("--output-format", "auto").stdout == plain
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        assert self.check().stdout == plain
        assert self.check("--output-format", "auto").stdout.startswith("::error ")
        monkeypatch.delenv("GITHUB_ACTIONS")
        monkeypatch.setenv("TF_BUILD", "True")
        assert self.check("--output-format", "auto").stdout.startswith("##vso[task.logissue type=error;")

    @pytest.mark.parametrize("name", ["full", "concise"])
    def test_statistics_take_the_place_of_text(self, project: Path, name: str) -> None:
        assert self.check("--statistics", "--output-format", name).stdout.startswith("1  RL102")
        assert "RL102" in self.check("--statistics", "--output-format", "github").stdout.splitlines()[0]

    @pytest.mark.parametrize("name", FORMATS)
    def test_every_format_can_be_written_to_a_file(self, project: Path, name: str) -> None:
        to_stream = self.check("--output-format", name)
        to_file = self.check("--output-format", name, "--output-file", "report")
        assert (to_file.exit_code, to_file.stdout) == (to_stream.exit_code, "")
        assert (project / "report").read_text("utf-8") == to_stream.stdout

    def test_the_job_summary(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = project / "summary.md"
        path.write_text("before\n")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
        self.check()
        assert path.read_text() == "before\n"
        assert self.check("--output-format", "github").exit_code == 1
        assert path.read_text().startswith("before\n\n### racelint: 1 finding (1 error) in 2 files\n")
        assert "`operator/op/registry.py:3:12`" in path.read_text()

    def test_a_summary_that_cannot_be_written_is_said(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "nowhere" / "\x1b.md"))
        shown = self.check("--output-format", "github")
        assert shown.exit_code == 1
        assert shown.stdout.startswith("::error ")
        assert "cannot write the job summary" in shown.stderr
        assert "\x1b" not in shown.stderr


class TestJobSummary:
    """The file that GitHub's runner shows."""

    def test_nothing_to_say_is_not_said(self, tmp_path: Path) -> None:
        job_summary.append(result(), {}, str(tmp_path / "summary.md"))
        assert list(tmp_path.iterdir()) == []
        job_summary.append(result(finding()), {}, None)
        job_summary.append(result(finding()), {}, "")

    def test_problems_alone_are_said(self, tmp_path: Path) -> None:
        path = tmp_path / "summary.md"
        job_summary.append(result(problems=(Problem("a.py", 3, "parse-error", "no"),)), {}, str(path))
        assert "`parse-error` at `a.py:3`" in path.read_text()

    @pytest.mark.parametrize("before", [0, 1_000_000, 1_048_000])
    def test_it_never_outgrows_the_limit(self, tmp_path: Path, before: int) -> None:
        path = tmp_path / "summary.md"
        path.write_text("x" * before)
        many = result(*(finding(message=f"Registry.pods: ü{number} {'ü' * 2000}") for number in range(600)))
        job_summary.append(many, {}, str(path))
        assert before < path.stat().st_size <= 1024 * 1024
        assert re.search(r"\n\d+ more not shown here, for want of room\.\n$", path.read_text())

    def test_a_full_one_is_left_alone(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "summary.md"
        path.write_text("x" * (1024 * 1024 - 10))
        job_summary.append(result(finding()), {}, str(path))
        assert path.stat().st_size == 1024 * 1024 - 10
        assert "the job summary is full" in capsys.readouterr().err
