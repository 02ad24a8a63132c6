"""The command line: real runs on small projects, exit statuses, and what bad input leads to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import racelint
from racelint import cli, pipeline
from racelint.model import findings
from racelint.model.source import Problem
from racelint.rules import all_rules

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


def main() -> None:
    for name in ("a", "b"):
        threading.Thread(target=work, args=(name,)).start()


main()
"""
CLEAN = "def add(a, b):\n    return a + b\n"
Write = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Write:
    """Makes ``proj`` with the given files (name and text), which is its own root."""
    root = tmp_path / "proj"

    def write(**files: str | bytes) -> Path:
        root.mkdir(exist_ok=True)
        (root / "racelint.toml").touch()
        for name, text in files.items():
            path = root / f"{name}.py"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return root

    return write


@pytest.fixture
def racy(project: Write) -> Path:
    return project(store=STORE, app=APP, clean=CLEAN)


def run(*arguments: str | Path) -> Result:
    outcome = CliRunner().invoke(cli.main, [str(argument) for argument in arguments])
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit), outcome.exception
    return outcome


def check(*arguments: str | Path) -> Result:
    return run("check", *arguments)


def process(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A run in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(racelint.__file__).parents[1]), "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "racelint", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


# Findings and exit statuses


def test_a_race_across_two_files_is_found(racy: Path) -> None:
    outcome = process("check", cwd=racy)
    assert outcome.returncode == 1
    first = outcome.stdout.splitlines()[0]
    assert first.startswith("store.py:6:24: error[check-then-act] Registry.pods: ")
    assert "\n  A  " in outcome.stdout
    assert "\n  B  " in outcome.stdout
    assert "app.py:7  app.work -> Registry.sync" in outcome.stdout
    assert outcome.stdout.endswith("1 finding (1 error) in 3 files\n")
    assert outcome.stderr == ""


def test_nothing_to_report_is_status_0(project: Write) -> None:
    outcome = check(project(clean=CLEAN))
    assert (outcome.exit_code, outcome.output) == (0, "no findings in 1 file\n")


@pytest.mark.parametrize("output_format", ["full", "concise", "json"])
def test_the_status_is_the_same_in_every_format(racy: Path, output_format: str) -> None:
    assert check(racy, "--output-format", output_format).exit_code == 1
    assert check(racy, "--output-format", output_format, "--exit-zero").exit_code == 0
    assert check(racy / "clean.py", "--output-format", output_format).exit_code == 0


def test_concise_is_a_line_per_finding(racy: Path) -> None:
    lines = check(racy, "--output-format", "concise").output.splitlines()
    assert len(lines) == 2
    assert "error[check-then-act]" in lines[0]
    assert "store.py:7" in lines[0]


def test_json_is_on_standard_output_alone(racy: Path) -> None:
    (racy / "broken.py").write_text("def (:\n")
    outcome = process("check", "--output-format", "json", cwd=racy)
    document = json.loads(outcome.stdout)
    assert [item["rule"] for item in document["findings"]] == ["check-then-act"]
    assert [item["path"] for item in document["problems"]] == ["broken.py"]
    assert outcome.stderr.startswith("broken.py:1: warning[parse-error]: ")


def test_two_runs_say_the_same(racy: Path) -> None:
    documents = [json.loads(process("check", "--output-format", "json", cwd=racy).stdout) for _ in range(2)]
    for document in documents:
        assert document["summary"].pop("elapsed_s") >= 0
    assert documents[0] == documents[1]


def test_fail_on_and_severity(racy: Path) -> None:
    (racy / "store.py").write_text(STORE.replace("if name not in self.pods:", "if True:"))
    (racy / "app.py").write_text(APP.replace("registry.sync(name)", "registry.sync(name)\n    for n in registry.pods: print(n)"))  # fmt: skip
    document = json.loads(check(racy, "--output-format", "json").output)
    assert document["summary"]["by_severity"]
    outcome = check(racy, "--min-severity", "error", "--output-format", "json")
    assert set(json.loads(outcome.output)["summary"]["by_severity"]) <= {"error"}


def test_findings_below_fail_on_are_shown_and_do_not_fail(racy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analyse = pipeline.analyse

    def milder(*arguments: object) -> findings.Result:
        found = analyse(*arguments)  # type: ignore[arg-type]
        from dataclasses import replace

        return replace(found, findings=tuple(replace(item, severity="warning") for item in found.findings))

    monkeypatch.setattr(pipeline, "analyse", milder)
    outcome = check(racy, "--fail-on", "error")
    assert outcome.exit_code == 0
    assert "1 finding (1 warning)" in outcome.output
    assert check(racy).exit_code == 1
    assert "no findings" in check(racy, "--min-severity", "error").output


# Choosing what is reported


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--select", "check-then-act"], 1),
        (["--select", "RL101,RL102"], 1),
        (["--select", "RL101", "--select", "check-then-act"], 1),
        (["--select", "read-modify-write"], 0),
        (["--ignore", "check-then-act"], 0),
        (["--ignore", "RL101, RL102"], 0),
        (["--ignore", "RL101"], 1),
    ],
)
def test_rules_are_selected(racy: Path, options: list[str], status: int) -> None:
    assert check(racy, *options).exit_code == status


@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_an_unknown_rule_is_wrong_usage(racy: Path, option: str) -> None:
    outcome = check(racy, option, "check-than-act")
    assert outcome.exit_code == 2
    assert "unknown rule 'check-than-act', did you mean 'check-then-act'?" in outcome.output


@pytest.mark.parametrize(("path", "status"), [("store.py", 1), ("clean.py", 0), ("app.py", 0), (".", 1)])
def test_paths_limit_the_report_and_not_the_analysis(racy: Path, path: str, status: int) -> None:
    outcome = check(racy / path)
    assert outcome.exit_code == status
    assert outcome.output.splitlines()[-1].endswith("in 3 files")


def test_a_folder_limits_the_report(racy: Path) -> None:
    (racy / "sub").mkdir()
    assert check(racy / "sub").exit_code == 0
    assert check(racy / "sub", racy / "store.py").exit_code == 1


def test_paths_outside_the_project_are_wrong_usage(racy: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    outcome = check("--project", racy, tmp_path / "other")
    assert outcome.exit_code == 2
    assert "outside the project" in outcome.output


def test_a_comment_suppresses(racy: Path) -> None:
    (racy / "store.py").write_text(
        STORE.replace("self.pods:", "self.pods:  # racelint: ignore[check-then-act] one worker")
    )
    outcome = check(racy)
    assert outcome.exit_code == 0
    assert "no findings, 1 suppressed in 3 files" in outcome.output
    document = json.loads(check(racy, "--output-format", "json").output)
    assert [item["suppressed"] for item in document["findings"]] == ["one worker"]


def test_library_makes_public_functions_concurrent(project: Write) -> None:
    root = project(store=STORE)
    assert check(root).exit_code == 0
    assert check(root, "--library").exit_code == 1


# Output


def test_the_report_goes_to_a_file(racy: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.txt"
    outcome = check(racy, "--output-file", target)
    assert (outcome.exit_code, outcome.output) == (1, "")
    assert "error[check-then-act]" in target.read_text()
    assert "\x1b" not in target.read_text()


def test_a_report_file_that_cannot_be_written(racy: Path, tmp_path: Path) -> None:
    outcome = check(racy, "--output-file", tmp_path / "none" / "report.txt")
    assert outcome.exit_code == 2
    assert "cannot write" in outcome.output


def test_statistics(racy: Path) -> None:
    outcome = check(racy, "--statistics")
    assert outcome.output == "1  RL102  error    check-then-act\n1 finding (1 error) in 3 files\n"
    assert outcome.exit_code == 1


def test_settings_are_shown(racy: Path) -> None:
    (racy / "racelint.toml").write_text('fail-on = "error"\n')
    outcome = check(racy, "--show-settings", "--ignore", "RL101")
    shown = dict(line.split(maxsplit=1) for line in outcome.output.splitlines() if line.split()[0] != "own")
    assert outcome.exit_code == 0
    assert (shown["fail-on"], shown["ignore"], shown["min-severity"]) == ("error", "RL101", "warning")
    assert shown["configuration"] == "racelint.toml"


def test_a_closed_pipe_is_no_failure(racy: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONPATH": str(Path(racelint.__file__).parents[1])}
    command = [sys.executable, "-m", "racelint", "check", str(racy)]
    try:
        outcome = subprocess.run(
            command, env=environment, stdout=writer, stderr=subprocess.PIPE, timeout=120, check=False
        )
    finally:
        os.close(writer)
    assert (outcome.returncode, outcome.stderr) == (1, b"")


# The other commands


def test_version_does_not_load_the_analysis(tmp_path: Path) -> None:
    outcome = process("--version", cwd=tmp_path)
    assert outcome.stdout == f"racelint {racelint.__version__}\n"
    probe = (
        "import sys, racelint.cli; print([m for m in ('libcst', 'rich', 'msgspec', 'networkx') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(racelint.__file__).parents[1])}
    loaded = subprocess.run([sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"


@pytest.mark.parametrize("name", ["check-then-act", "RL102", "rl102", "Check-Then-Act"])
def test_explain_prints_the_document(name: str) -> None:
    rule = next(rule for rule in all_rules() if rule.code == "RL102")
    outcome = run("explain", name)
    assert (outcome.exit_code, outcome.output) == (0, rule.documentation())


def test_explain_suggests() -> None:
    outcome = run("explain", "check-than-act")
    assert outcome.exit_code == 2
    assert "did you mean 'check-then-act'?" in outcome.output


def test_rules_are_listed() -> None:
    lines = run("rules").output.splitlines()
    assert [line.split()[:3] for line in lines] == [[rule.code, rule.name, rule.severity] for rule in all_rules()]
    document = json.loads(run("rules", "--output-format", "json").output)
    assert [item["code"] for item in document["rules"]] == [rule.code for rule in all_rules()]
    assert list(document["rules"][0]) == ["name", "code", "severity", "summary", "cwe", "since"]


def test_entry_points_are_listed(racy: Path) -> None:
    outcome = run("entrypoints", racy)
    assert outcome.exit_code == 0
    assert outcome.output.splitlines()[1].split()[:4] == ["app.work", "thread", "yes", "app.py:12"]
    document = json.loads(run("entrypoints", racy, "--output-format", "json").output)
    assert [(item["function"], item["kind"]) for item in document["entry_points"]] == [("app.work", "thread")]
    assert run("entrypoints", racy / "store.py").output == "0 entry points\n"


# Wrong usage and failures


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--nonsense"],
        ["check", "--fail-on", "fatal"],
        ["check", "--output-format", "xml"],
        ["check", "--jobs", "0"],
        ["nonsense"],
        ["explain"],
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_missing_paths_are_named(racy: Path) -> None:
    outcome = check(racy / "nowhere.py")
    assert outcome.exit_code == 2
    assert "nowhere.py" in outcome.output
    outcome = check("--project", racy / "nowhere")
    assert outcome.exit_code == 2
    assert "nowhere" in outcome.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('min-severty = "note"\n', "racelint.toml:1: unknown key 'min-severty', did you mean 'min-severity'?"),
        ('select = ["chek-then-act"]\n', "unknown rule 'chek-then-act', did you mean 'check-then-act'?"),
        ("select = [\n", "is not valid TOML"),
        ("jobs = 0\n", "'jobs' must be a whole number above 0"),
    ],
)
def test_a_bad_configuration_is_wrong_usage(racy: Path, text: str, told: str) -> None:
    (racy / "racelint.toml").write_text(text)
    outcome = check(racy)
    assert outcome.exit_code == 2
    assert told in outcome.output
    assert "Traceback" not in outcome.output


def test_a_configuration_that_is_missing(racy: Path) -> None:
    outcome = check(racy, "--config", racy / "none.toml")
    assert outcome.exit_code == 2
    assert "none.toml" in outcome.output


def failing(*_arguments: object) -> findings.Result:
    raise ZeroDivisionError("one\x1b[31m\ntwo")


def test_an_internal_error_is_told_as_one(racy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "analyse", failing)
    outcome = check(racy)
    assert outcome.exit_code == 2
    assert "this is a bug in racelint: ZeroDivisionError" in outcome.output
    assert "Traceback" not in outcome.output
    assert "\x1b" not in outcome.output
    verbose = check(racy, "--verbose")
    assert verbose.exit_code == 2
    assert "Traceback" in verbose.output


def test_a_file_racelint_fails_on_gives_status_2_and_the_rest(racy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    analyse = pipeline.analyse

    def partly(*arguments: object) -> findings.Result:
        problem = Problem("clean.py", 0, "internal-error", "this is a bug in racelint")
        return replace(analyse(*arguments), problems=(problem,))  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "analyse", partly)
    outcome = check(racy, "--exit-zero")
    assert outcome.exit_code == 2
    assert "clean.py: error[internal-error]: this is a bug in racelint" in outcome.output
    assert "error[check-then-act]" in outcome.output


def test_an_interruption_is_quiet(racy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object) -> findings.Result:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "analyse", interrupted)
    outcome = check(racy)
    assert outcome.exit_code == 130
    assert outcome.output.strip() == ""


# Bad input: the rest is analysed, and the run says what is missing


def bad_file(name: str, content: bytes) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / name).write_bytes(content)

    return make


def folder(root: Path) -> None:
    (root / "x.py").mkdir()
    (root / "x.py" / "inner.py").write_text(CLEAN)


def broken_link(root: Path) -> None:
    (root / "x.py").symlink_to(root / "gone.py")


def link_loop(root: Path) -> None:
    (root / "x.py").symlink_to(root / "x.py")


def pipe(root: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(root / "x.py")


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (bad_file("x.py", b"def (:\n"), "parse-error"),
        (bad_file("x.py", b"print 'old'\n"), "parse-error"),
        (bad_file("x.py", b"if True:\n\tx = 1\n        y = 2\n"), "parse-error"),
        (bad_file("x.py", b"name = '\xff\xfe\xfa'\n"), None),
        (bad_file("x.py", b"# coding: nonsense\n"), None),
        (bad_file("x.py", b"a = 1\x00\n"), None),
        (bad_file("x.py", b"x = " + b"(" * 3000 + b")" * 3000 + b"\n"), None),
        (folder, "unreadable-file"),
        (broken_link, "unreadable-file"),
        (link_loop, "unreadable-file"),
        (pipe, "unreadable-file"),
    ],
    ids=["syntax", "python2", "tabs", "not-utf8", "coding", "null", "deep", "folder", "broken-link", "loop", "fifo"],
)
def test_a_file_that_cannot_be_used(racy: Path, make: Callable[[Path], None], rule: str | None) -> None:
    make(racy)
    outcome = process("check", cwd=racy)
    assert outcome.returncode == 1
    assert "error[check-then-act]" in outcome.stdout
    assert "Traceback" not in outcome.stderr
    rules = [rule] if rule else ["parse-error", "unreadable-file"]
    told = outcome.stderr.splitlines()
    assert len(told) == 1
    assert told[0].startswith("x.py:")
    assert any(f": warning[{name}]: " in told[0] for name in rules)
    assert outcome.stdout.endswith("; incomplete: 1 file could not be read or parsed\n")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read everything")
def test_a_file_that_may_not_be_read(racy: Path) -> None:
    (racy / "x.py").write_text(CLEAN)
    (racy / "x.py").chmod(0)
    outcome = check(racy)
    assert outcome.exit_code == 1
    assert "x.py: warning[unreadable-file]: " in outcome.output


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xef\xbb\xbfx = 1\n",
        b"# -*- coding: latin-1 -*-\nname = '\xe9'\n",
        b"x = 1\r\ny = 2\r\n",
        b"x = 1\ry = 2\r",
        b"\x0cx = 1",
        b"# only a comment",
        "größe = '名前'\n".encode(),
    ],
    ids=["empty", "bom", "latin-1", "crlf", "cr", "form-feed", "comment", "non-ascii"],
)
def test_unusual_files_are_fine(racy: Path, content: bytes) -> None:
    (racy / "x.py").write_bytes(content)
    outcome = process("check", cwd=racy)
    assert (outcome.returncode, outcome.stderr) == (1, "")
    assert outcome.stdout.endswith("1 finding (1 error) in 4 files\n")


def test_an_empty_project(project: Write) -> None:
    root = project()
    assert check(root).output == "no findings in 0 files\n"
    assert check(root).exit_code == 0
    assert run("entrypoints", root).output == "0 entry points\n"
    document = json.loads(check(root, "--output-format", "json").output)
    assert document["summary"]["files"] == 0


def test_cyclic_imports(project: Write) -> None:
    root = project(
        store="from app import work\n" + STORE,
        app="import store\n" + APP,
        a="from b import *\nfrom c import C\n",
        b="from a import *\nfrom c import *\n",
        c="from a import C\nclass C(C): pass\n",
    )
    outcome = check(root)
    assert outcome.exit_code == 1
    assert "error[check-then-act] Registry.pods" in outcome.output


def test_hostile_names_are_escaped(racy: Path) -> None:
    try:
        (racy / "x\x1b[31m\n.py").write_text("def (:\n")
    except OSError:
        pytest.skip("the file system takes no such name")
    outcome = process("check", cwd=racy)
    assert outcome.stderr.startswith("x\\x1b[31m\\n.py:1: warning[parse-error]: ")
    assert len(outcome.stderr.splitlines()) == 1
    assert "\x1b" not in outcome.stdout + outcome.stderr


@pytest.mark.slow
def test_a_generated_file_of_five_megabytes(racy: Path) -> None:
    rows = "".join(
        f"    'key_{number}': {{'name': 'value_{number}', 'size': {number}}},\n" for number in range(110_000)
    )
    (racy / "generated.py").write_text(f"TABLE = {{\n{rows}}}\n")
    assert (racy / "generated.py").stat().st_size > 5_000_000
    outcome = process("check", cwd=racy)
    assert (outcome.returncode, outcome.stderr) == (1, "")
    assert "1 finding (1 error) in 4 files" in outcome.stdout
