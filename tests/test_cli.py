"""The command line: exit status, what goes to which stream, and bad input of every kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result
from handmade import entry_point, finding, result, side, uncached

import racelint
from racelint import cli, mend, pipeline
from racelint.cli import inform, speak
from racelint.config import Settings
from racelint.model import findings as model
from racelint.model.source import Problem

ERROR = finding()
WARNING = finding(
    side("op/gc.py"), severity="warning", rule="unguarded-write", code="RL101", fingerprint="w", confidence="medium"
)
NOTE = finding(side("op/n.py"), severity="note", rule="unguarded-write", code="RL101", fingerprint="n")
UNSURE = finding(side("op/u.py"), confidence="low", fingerprint="u")
RACY = """\
import threading

PODS = {}


def work(name):
    if name not in PODS:
        PODS[name] = object()


for index in range(3):
    threading.Thread(target=work, args=(str(index),)).start()
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments], prog_name="racelint")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project as the working directory."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder.resolve()


@pytest.fixture
def given(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[Path, Settings]]]:
    """Replaces the analysis by a result; gives the list of what it was called with."""

    def give(*found: model.Finding, **changes: Any) -> list[tuple[Path, Settings]]:
        calls: list[tuple[Path, Settings]] = []

        def analyse(folder: Path, settings: Settings, progress: object = None, read: object = None) -> model.Result:
            calls.append((folder, settings))
            return result(*found, **changes)

        def with_fixes(
            folder: Path, settings: Settings, _wanted: object, progress: object = None, **_: object
        ) -> model.Result:
            return analyse(folder, settings, progress)

        uncached(monkeypatch)
        monkeypatch.setattr(pipeline, "analyse", analyse)
        monkeypatch.setattr(mend, "with_fixes", with_fixes)
        return calls

    return give


class TestExitStatus:
    """0, 1 or 2."""

    @pytest.mark.parametrize("output_format", model.OUTPUT_FORMATS)
    def test_is_the_same_in_every_format(self, given: Any, output_format: str) -> None:
        given(ERROR)
        assert run("check", "--output-format", output_format).exit_code == 1
        assert run("check", "--output-format", output_format, "--exit-zero").exit_code == 0
        given()
        assert run("check", "--output-format", output_format).exit_code == 0

    @pytest.mark.parametrize(
        ("options", "status"),
        [
            ([], 1),
            (["--fail-on", "error"], 0),
            (["--min-severity", "error"], 0),
            (["--min-confidence", "high"], 0),
            (["--min-confidence", "medium"], 1),
            (["--ignore", "RL101"], 0),
            (["--ignore", "RL102"], 1),
            (["--select", "check-then-act,RL103"], 0),
            (["--select", "RL103", "--select", "unguarded-write"], 1),
            (["--statistics"], 1),
        ],
    )
    def test_of_a_warning(self, given: Any, options: list[str], status: int) -> None:
        given(WARNING)
        assert run("check", *options).exit_code == status

    def test_notes_are_shown_on_demand_and_fail_on_demand(self, given: Any) -> None:
        given(NOTE)
        assert run("check").stdout == "no findings in 2 files\n"
        shown = run("check", "--min-severity", "note")
        assert (shown.exit_code, "note[unguarded-write]" in shown.stdout) == (0, True)
        assert run("check", "--min-severity", "note", "--fail-on", "note").exit_code == 1
        assert run("check", "--fail-on", "note").exit_code == 0

    def test_unsure_findings_are_shown_on_demand(self, given: Any) -> None:
        given(UNSURE)
        assert run("check").exit_code == 0
        assert run("check", "--min-confidence", "low").exit_code == 1

    def test_suppressed_findings_do_not_fail(self, given: Any) -> None:
        given(finding(suppressed="one writer"))
        shown = run("check", "--output-format", "json")
        assert shown.exit_code == 0
        assert json.loads(shown.stdout)["findings"][0]["suppressed"] == "one writer"

    def test_problems_alone_do_not_fail(self, given: Any) -> None:
        given(problems=(Problem("x.py", 3, "parse-error", "no"),))
        assert run("check").exit_code == 0

    def test_a_file_that_racelint_failed_on_does(self, given: Any) -> None:
        given(problems=(Problem("x.py", 0, "internal-error", "this is a bug in racelint"),))
        assert run("check").exit_code == 2
        assert run("check", "--exit-zero").exit_code == 2

    def test_an_interrupted_run_is_no_finding(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        uncached(monkeypatch)
        monkeypatch.setattr(pipeline, "analyse", interrupted)
        assert run("check").exit_code > 1

    def test_a_bug_in_racelint(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise KeyError("\x1b[31m")

        uncached(monkeypatch)
        monkeypatch.setattr(pipeline, "analyse", broken)
        short = run("check", "--exit-zero")
        assert (short.exit_code, short.stdout) == (2, "")
        assert "this is a bug in racelint: KeyError" in short.stderr
        assert str(project) in short.stderr
        assert "Traceback" not in short.stderr
        long = run("check", "--verbose")
        assert long.exit_code == 2
        assert "Traceback" in long.stderr
        assert "in broken" in long.stderr
        assert "\x1b" not in short.stderr + long.stderr


class TestUsage:
    """Wrong usage: exit 2, the culprit named, nothing on standard output."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["check", "nowhere.py"], "no such file or folder: nowhere.py"),
            (["check", "--project", "nowhere"], "--project is not a folder: nowhere"),
            (["check", "--config", "nowhere.toml"], "nowhere.toml: cannot be read"),
            (["check", "--project", ".", ".."], "lies outside the project"),
            (["check", "--select", "check-than-act"], "unknown rule 'check-than-act', did you mean 'check-then-act'?"),
            (["check", "--ignore", "RL1O2"], "--ignore: unknown rule 'RL1O2', did you mean 'RL102'?"),
            (["check", "--fail-on", "never"], "'never' is not one of"),
            (["check", "--jobs", "0"], "--jobs"),
            (["check", "--mend"], "No such option"),
            (["chekc"], "No such command 'chekc'"),
            (["explain", "check-than-act"], "did you mean 'check-then-act'?"),
            (["explain"], "Missing argument 'RULE'"),
            (["entrypoints", "nowhere"], "no such file or folder: nowhere"),
            (["check", "--output-file", "nowhere/report.txt"], "cannot write nowhere/report.txt: No such file"),
        ],
    )
    def test_the_culprit_is_named(self, given: Any, arguments: list[str], message: str) -> None:
        given(ERROR)
        shown = run(*arguments)
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert message in shown.stderr.replace("\n", " ")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("jobs = many\n", "racelint.toml:1: is not valid TOML"),
            ("\njob = 1\n", "racelint.toml:2: unknown key 'job', did you mean 'jobs'?"),
            ('select = ["RL1O1"]\n', "racelint.toml: unknown rule 'RL1O1', did you mean 'RL101'?"),
            ('ignore = ["\\u001b[31m"]\n', "unknown rule '\\x1b[31m'"),
        ],
    )
    def test_bad_configuration(self, project: Path, given: Any, text: str, message: str) -> None:
        given(ERROR)
        (project / "racelint.toml").write_text(text)
        shown = run("check")
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert message in shown.stderr


class TestSettings:
    """Options, the configuration, and what wins."""

    def test_options_win_over_the_configuration(self, project: Path, given: Any) -> None:
        (project / "racelint.toml").write_text('min-severity = "error"\nlibrary = true\njobs = 2\nignore = ["RL101"]\n')
        calls = given()
        run("check", "--jobs", "3", "--min-severity", "note")
        folder, settings = calls[0]
        assert folder == project
        assert (settings.min_severity, settings.library, settings.jobs) == ("note", True, 3)
        assert settings.ignore == ("RL101",)

    def test_rules_asked_for_by_hand_run_although_the_file_ignores_them(self, project: Path, given: Any) -> None:
        (project / "racelint.toml").write_text('ignore = ["RL102"]\n')
        given(ERROR)
        assert run("check").exit_code == 0
        assert run("check", "--select", "RL102").exit_code == 1

    def test_two_configurations_are_told(self, project: Path, given: Any) -> None:
        given()
        (project / "racelint.toml").write_text("")
        (project / "pyproject.toml").write_text("[tool.racelint]\n")
        shown = run("check")
        assert shown.exit_code == 0
        assert "racelint.toml is used" in shown.stderr

    def test_they_are_shown(self, project: Path, given: Any) -> None:
        calls = given()
        (project / "racelint.toml").write_text('exclude = ["vendor/"]\n')
        shown = run("check", "--show-settings", "--select", "RL102", "--library")
        assert shown.exit_code == 0
        lines = dict(line.split(maxsplit=1) for line in shown.stdout.splitlines())
        assert lines["project"] == str(project)
        assert (lines["configuration"], lines["select"]) == ("racelint.toml", "RL102  (command line)")
        assert lines["exclude"] == "vendor/  (racelint.toml)"
        assert (lines["library"], lines["fail-on"]) == ("true  (command line)", "warning  (default)")
        assert calls == []

    def test_the_project_can_be_named(self, project: Path, tmp_path: Path, given: Any) -> None:
        calls = given()
        (tmp_path / "other").mkdir()
        run("check", "--project", "../other")
        assert calls[0][0] == (tmp_path / "other").resolve()


class TestPaths:
    """PATHS limit the report, not the analysis."""

    @pytest.fixture(autouse=True)
    def files(self, project: Path) -> None:
        for name in ("op/registry.py", "op/gc.py", "operator/x.py"):
            (project / name).parent.mkdir(exist_ok=True)
            (project / name).touch()

    @pytest.mark.parametrize(
        ("paths", "status"),
        [
            (["op"], 1),
            (["op/"], 1),
            ([".", "operator"], 1),
            (["op/registry.py"], 1),
            (["op/gc.py"], 1),
            (["operator"], 0),
            (["operator", "op/gc.py"], 1),
        ],
    )
    def test_any_side_inside(self, project: Path, given: Any, paths: list[str], status: int) -> None:
        calls = given(finding(side(), side("op/gc.py")))
        assert run("check", *paths).exit_code == status
        assert calls[0][0] == project

    def test_from_below_the_project(self, project: Path, given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = given(ERROR)
        monkeypatch.chdir(project / "op")
        assert run("check", "gc.py").exit_code == 0
        assert run("check", project / "op/registry.py").exit_code == 1
        assert {folder for folder, _ in calls} == {project}

    def test_a_link_is_a_path_of_the_project(self, project: Path, given: Any) -> None:
        (project / "link.py").symlink_to("/nowhere")
        given(finding(side("link.py")))
        assert run("check", "link.py").exit_code == 1

    def test_a_link_to_a_folder_stands_for_the_folder(self, project: Path, given: Any) -> None:
        (project / "link").symlink_to("op")
        given(ERROR)
        assert run("check", "link").exit_code == 1

    def test_entry_points(self, given: Any) -> None:
        given(entry_points=(entry_point(path="op/gc.py", function="op.gc.sweep"), entry_point(path="operator/x.py")))
        shown = run("entrypoints", "op")
        assert (shown.exit_code, "op.gc.sweep" in shown.stdout) == (0, True)
        assert "1 entry point\n" in shown.stdout
        document = json.loads(run("entrypoints", "--output-format", "json").stdout)
        assert [item["path"] for item in document["entry_points"]] == ["op/gc.py", "operator/x.py"]


class TestOutput:
    """What goes where."""

    def test_problems_go_to_standard_error(self, given: Any) -> None:
        given(ERROR, problems=(Problem("a\x1b.py", 3, "parse-error", "bad\x07"),))
        for output_format in ("full", "json"):
            shown = run("check", "--output-format", output_format)
            assert "a\\x1b.py:3: " in shown.stderr
            assert "parse-error" in shown.stderr
            assert not {"\x1b", "\x07"} & set(shown.stderr + shown.stdout)
        assert json.loads(shown.stdout)["summary"]["problems"] == 1

    def test_the_report_can_go_to_a_file(self, project: Path, given: Any) -> None:
        given(finding(message="größer als Registry.pods"))
        shown = run("check", "--output-format", "concise", "--output-file", "report.txt")
        assert (shown.exit_code, shown.stdout) == (1, "")
        assert "größer als" in (project / "report.txt").read_text("utf-8")

    def test_no_colours_unless_it_is_a_terminal(self, given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        given(ERROR)
        assert "\x1b" not in run("check").output
        monkeypatch.setattr(speak, "is_terminal", lambda stream: stream is sys.stdout)
        monkeypatch.delenv("NO_COLOR", raising=False)
        assert "\x1b[1;31merror" in run("check").stdout
        assert "\x1b" not in run("check", "--no-color").stdout
        assert "\x1b" not in run("check", "--output-format", "json").stdout
        monkeypatch.setenv("NO_COLOR", "1")
        assert "\x1b" not in run("check").stdout

    def test_code_of_the_files_is_shown(self, project: Path, given: Any) -> None:
        (project / "op").mkdir()
        (project / "op/registry.py").write_text("\n\x0c\nif key not in pods: ...\n")
        given(ERROR)
        assert " 3 | if key not in pods: ...\n" in run("check").stdout

    def test_statistics_replace_the_findings(self, given: Any) -> None:
        given(ERROR, WARNING)
        assert run("check", "--statistics").stdout.count("\n") == 3

    def test_the_progress_bar_waits_and_needs_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for terminal, wait, shown in ((True, 0.0, True), (True, 60.0, False), (False, 0.0, False)):
            monkeypatch.setattr(speak, "is_terminal", lambda stream, terminal=terminal: terminal)
            monkeypatch.setattr(speak, "PROGRESS_AFTER_S", wait)
            with speak.Progress() as progress:
                progress.update("reading", 1, 2)
                progress.update("linking", 0, 1)
                assert (progress._bar is not None) == shown


class TestRules:
    """``rules`` and ``explain``."""

    def test_rules(self) -> None:
        shown = run("rules")
        assert shown.exit_code == 0
        assert [line.split()[:3] for line in shown.stdout.splitlines()][1] == ["RL102", "check-then-act", "error"]

    @pytest.mark.parametrize("name", ["check-then-act", "RL102"])
    def test_explain_gives_the_document(self, name: str) -> None:
        shown = run("explain", name)
        assert shown.exit_code == 0
        assert shown.stdout.startswith("# check-then-act (RL102)\n")

    def test_explain_on_a_terminal_is_rendered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(speak, "is_terminal", lambda stream: stream is sys.stdout)
        monkeypatch.setattr(inform, "is_terminal", lambda stream: stream is sys.stdout)
        shown = run("explain", "RL102")
        assert shown.exit_code == 0
        assert "check-then-act (RL102)" in shown.stdout
        assert "# check-then-act" not in shown.stdout


def process(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(racelint.__file__).parent.parent)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


class TestProcess:
    """As a process of its own."""

    def test_python_m_racelint(self, tmp_path: Path) -> None:
        shown = process("-m", "racelint", "--version", cwd=tmp_path)
        assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"racelint {racelint.__version__}\n", "")

    def test_the_version_needs_no_analysis(self, tmp_path: Path) -> None:
        code = (
            "import sys\nfrom racelint.cli import main\n"
            "try:\n    main(['--version'])\nexcept SystemExit as end:\n    print(end.code)\n"
            "print(sorted({'libcst', 'networkx', 'rich', 'msgspec', 'racelint.pipeline'} & set(sys.modules)))"
        )
        assert process("-c", code, cwd=tmp_path).stdout.splitlines()[1:] == ["0", "[]"]

    def test_a_poor_encoding_does_no_harm(self, tmp_path: Path) -> None:
        (tmp_path / "größe.py").write_text(RACY, "utf-8")
        shown = process("-m", "racelint", "check", cwd=tmp_path, PYTHONIOENCODING="ascii")
        assert (shown.returncode, shown.stderr) == (1, "")
        assert shown.stdout.startswith("gr\\xf6\\xdfe.py:")

    def test_a_reader_that_goes_away_does_no_harm(self, tmp_path: Path) -> None:
        (tmp_path / "x.py").write_text(RACY)
        read, write = os.pipe()
        os.close(read)
        root = str(Path(racelint.__file__).parent.parent)
        done = subprocess.run(
            [sys.executable, "-m", "racelint", "check"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": root},
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
        os.close(write)
        assert (done.returncode, done.stderr) == (1, "")


def cyclic(project: Path) -> None:
    (project / "a.py").write_text("import b\nfrom b import B\n\nclass A(B): ...\n")
    (project / "b.py").write_text("import a\nfrom a import A\n\nclass B(A): ...\n")


def unreadable(project: Path) -> None:
    (project / "bad.py").write_text("")
    (project / "bad.py").chmod(0)


# What makes the bad input, the files that are told of with the line where there is one, and the rule they are told by.
BAD: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "syntax error": (lambda p: (p / "bad.py").write_text("x = 1\ndef (:\n"), ["bad.py:2"], "parse-error"),
    "an error before other lines": (
        lambda p: (p / "bad.py").write_text("x = 1\ny = 1 1\nz = 1\n"),
        ["bad.py:2"],
        "parse-error",
    ),
    "no end of a string": (lambda p: (p / "bad.py").write_text("x = 1\ny = 'a\nz = 1\n"), ["bad.py:2"], "parse-error"),
    "no indent to go back to": (
        lambda p: (p / "bad.py").write_text("x = 1\nif x:\n    y = 1\n  z = 1\n"),
        ["bad.py:4"],
        "parse-error",
    ),
    "the end is missing": (lambda p: (p / "bad.py").write_text("x = 1\ny = (\n"), ["bad.py:2"], "parse-error"),
    "python 2": (lambda p: (p / "bad.py").write_text('print "x"\n'), ["bad.py:1"], "parse-error"),
    "null bytes": (lambda p: (p / "bad.py").write_bytes(b"x = 1\n\0\n"), ["bad.py"], ""),
    "not utf-8": (lambda p: (p / "bad.py").write_bytes(b"x = 1\ny = '\xe9'\n"), ["bad.py"], "unreadable-file"),
    "unknown encoding": (lambda p: (p / "bad.py").write_bytes(b"# coding: klingon\n"), ["bad.py"], "unreadable-file"),
    "folder": (lambda p: (p / "bad.py").mkdir(), ["bad.py"], "unreadable-file"),
    "broken link": (lambda p: (p / "bad.py").symlink_to("nowhere"), ["bad.py"], "unreadable-file"),
    "link to itself": (lambda p: (p / "bad.py").symlink_to("bad.py"), ["bad.py"], "unreadable-file"),
    "link to a folder above": (lambda p: (p / "bad").symlink_to("."), ["bad"], "symlink-loop"),
    "named pipe": (lambda p: os.mkfifo(p / "bad.py"), ["bad.py"], "unreadable-file"),
    "deep nesting": (lambda p: (p / "bad.py").write_text("(" * 300 + ")" * 300), ["bad.py"], "parse-error"),
    "not permitted": (unreadable, ["bad.py"], "unreadable-file"),
}
# Odd input that is analysed without a word.
FINE: dict[str, Callable[[Path], object]] = {
    "a long chain": lambda p: (p / "odd.py").write_text("x" + ".y" * 2000),
    "brackets in a string": lambda p: (p / "odd.py").write_text('x = """' + "(" * 300 + '"""'),
    "empty file": lambda p: (p / "odd.py").write_bytes(b""),
    "only a comment": lambda p: (p / "odd.py").write_bytes(b"# x"),
    "byte order mark": lambda p: (p / "odd.py").write_bytes(b"\xef\xbb\xbfx = 1\n"),
    "windows newlines": lambda p: (p / "odd.py").write_bytes(b"x = 1\r\nif x:\r\n    y = 2\r\n"),
    "declared encoding": lambda p: (p / "odd.py").write_bytes(b"# coding: cp1252\nx = '\x80'\n"),
    "form feeds": lambda p: (p / "odd.py").write_bytes(b"x = 1\n\x0c\ny = 2\n"),
    "no newline at the end": lambda p: (p / "odd.py").write_bytes(b"if 1:\n    x = 2"),
    "import cycle with a class cycle": cyclic,
    "import of itself": lambda p: (p / "odd.py").write_text("import odd\nfrom odd import *\nfrom . import odd\n"),
    "not an identifier": lambda p: (p / "odd name-1.py").write_text("x = 1\n"),
    "recursion": lambda p: (p / "odd.py").write_text("def f(n):\n    return g(n)\n\ndef g(n):\n    return f(n)\n"),
}


class TestBadInput:
    """Bad files are told of with file and line, the rest is analysed, and the summary says what is missing."""

    @pytest.mark.parametrize("name", BAD)
    def test_is_told_and_the_rest_is_analysed(self, project: Path, name: str) -> None:
        make, places, rule = BAD[name]
        (project / "good.py").write_text(RACY)
        make(project)
        if name == "not permitted" and os.access(project / "bad.py", os.R_OK):
            pytest.skip("this user may read everything")
        shown = run("check")
        assert (shown.exit_code, type(shown.exception)) == (1, SystemExit)
        assert "good.py:7:" in shown.stdout
        assert "; incomplete: 1 f" in shown.stdout.splitlines()[-1]
        assert [line.partition(": ")[0].removesuffix(":1") for line in shown.stderr.splitlines()] == [
            place.removesuffix(":1") for place in places
        ]
        assert rule in shown.stderr
        document = json.loads(run("check", "--output-format", "json").stdout)
        schema = json.loads(resources.files("racelint.report").joinpath("schema_v1.json").read_text("utf-8"))
        jsonschema.validate(document, schema)
        assert [problem["path"] for problem in document["problems"]] == [places[0].partition(":")[0]]

    @pytest.mark.parametrize("text", ["(" * 9000 + ")" * 9000, "x = " + "lambda: " * 9000 + "1\n"])
    def test_bottomless_nesting(self, project: Path, text: str) -> None:
        (project / "bad.py").write_text(text)
        (project / "good.py").write_text(RACY)
        shown = process("-m", "racelint", "check", cwd=project)
        assert shown.returncode == 1
        assert "good.py:7:" in shown.stdout
        assert "bad.py:1: " in shown.stderr

    @pytest.mark.parametrize("name", FINE)
    def test_odd_files_are_analysed(self, project: Path, name: str) -> None:
        (project / "good.py").write_text(RACY)
        FINE[name](project)
        shown = run("check")
        assert (shown.exit_code, shown.stderr) == (1, "")
        assert "incomplete" not in shown.stdout

    def test_an_empty_project(self, project: Path) -> None:
        shown = run("check")
        assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "no findings in 0 files\n", "")

    def test_nothing_but_bad_files(self, project: Path) -> None:
        (project / "bad.py").write_text("def (:\n")
        shown = run("check")
        assert shown.exit_code == 0
        assert "incomplete: 1 file" in shown.stdout

    @pytest.mark.slow
    def test_a_large_generated_file(self, project: Path) -> None:
        with (project / "data.py").open("w") as file:
            file.write("DATA = {\n")
            file.writelines(f"    'key-{number}': ('{'text ' * 100}', {number}, []),\n" for number in range(10_000))
            file.write("}\n")
        assert (project / "data.py").stat().st_size > 5_000_000
        (project / "good.py").write_text(RACY)
        shown = run("check")
        assert (shown.exit_code, shown.stderr) == (1, "")
        assert shown.stdout.splitlines()[-1] == "1 finding (1 error) in 2 files"

    def test_comments(self, project: Path) -> None:
        text = RACY.replace("not in PODS:", "not in PODS:  # racelint: ignore[check-then-act] one caller")
        (project / "x.py").write_text(f"# racelint: ignore[RL101]\n# racelint: ingore\n{text}")
        shown = run("check")
        assert (shown.exit_code, shown.stdout) == (0, "no findings, 1 suppressed in 1 file\n")
        told = [line.split(": ")[0] for line in shown.stderr.splitlines()]
        assert told == ["x.py:1", "x.py:2"]
        assert "unused-ignore" in shown.stderr
        assert "malformed-comment" in shown.stderr


# A check in one file that races with itself because of threads started in another.
STORE = """\
class Registry:
    def __init__(self) -> None:
        self.pods: dict[str, int] = {}

    def sync(self, name: str) -> None:
        if name not in self.pods:
            self.pods[name] = 1


registry = Registry()
"""
APP = """\
import threading

from store import registry


def work(name: str) -> None:
    registry.sync(name)


for name in ("a", "b"):
    threading.Thread(target=work, args=(name,)).start()
"""


class TestTwoFiles:
    """Real runs on a project whose race spans two files."""

    @pytest.fixture(autouse=True)
    def files(self, project: Path) -> None:
        for name, text in (("store", STORE), ("app", APP), ("clean", "x = 1\n")):
            (project / f"{name}.py").write_text(text)

    def test_both_sides_and_the_way_to_them_are_shown(self, project: Path) -> None:
        shown = process("-m", "racelint", "check", cwd=project)
        assert (shown.returncode, shown.stderr) == (1, "")
        assert shown.stdout.startswith("store.py:6:24: error[check-then-act] Registry.pods: ")
        first, second = shown.stdout.index("\n  A  "), shown.stdout.index("\n  B  ")
        for side_text in (shown.stdout[first:second], shown.stdout[second:]):
            assert "thread: app.work (app.py:11)" in side_text
            assert "app.py:7  app.work -> Registry.sync" in side_text
        assert shown.stdout.endswith("1 finding (1 error) in 3 files\n")

    def test_two_runs_say_the_same(self, project: Path) -> None:
        options = ("--output-format", "json")
        texts = [
            process("-m", "racelint", "check", "--no-cache", *options, cwd=project, PYTHONHASHSEED=seed).stdout
            for seed in ("1", "2")
        ]
        documents = [json.loads(text) for text in texts]
        for document in documents:
            assert document["summary"].pop("elapsed_s") >= 0
        assert documents[0] == documents[1]
        assert len(documents[0]["findings"]) == 1

    @pytest.mark.parametrize(
        ("options", "status"),
        [
            (["--select", "RL101,RL102"], 1),
            (["--select", "read-modify-write"], 0),
            (["--ignore", "check-then-act"], 0),
            (["--ignore", "RL101, RL103"], 1),
            (["--exit-zero"], 0),
            (["store.py"], 1),
            (["clean.py"], 0),
            (["."], 1),
        ],
    )
    def test_what_is_asked_for(self, options: list[str], status: int) -> None:
        shown = run("check", *options)
        assert shown.exit_code == status
        assert shown.stdout.endswith("in 3 files\n")

    def test_problems_have_the_form_of_findings(self, project: Path) -> None:
        (project / "bad\x1b[31m.py").write_text("x = 1\ndef (:\n")
        assert run("check").stderr.startswith("bad\\x1b[31m.py:2: warning[parse-error]: ")
        assert run("check").stdout.endswith("in 4 files; incomplete: 1 file could not be read or parsed\n")

    def test_an_interruption_is_quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        uncached(monkeypatch)
        monkeypatch.setattr(pipeline, "analyse", interrupted)
        shown = run("check")
        assert (shown.exit_code, shown.output.strip()) == (130, "")

    @pytest.mark.parametrize("name", ["rl102", "Check-Then-Act"])
    def test_explain_takes_any_case(self, name: str) -> None:
        assert run("explain", name).stdout == run("explain", "RL102").stdout != ""

    def test_rules_as_json(self) -> None:
        document = json.loads(run("rules", "--output-format", "json").stdout)
        assert [list(item) for item in document["rules"][:1]] == [
            ["name", "code", "severity", "summary", "cwe", "since"]
        ]
        assert ("check-then-act", "RL102", "error") in [
            (item["name"], item["code"], item["severity"]) for item in document["rules"]
        ]
