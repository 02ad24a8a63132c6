"""The benchmark of the adoption: reports are read back strictly, and anything but the added race is a failure."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pytest
from handmade import finding, hostile, result, side

from benchmarks import adoption
from benchmarks.adoption import ADDED, RACE, Trial, forms_of, lines_in, wrong
from benchmarks.packages import load
from benchmarks.reports import READERS, ReportError, paths
from racelint.model.findings import Finding, OutputFormat
from racelint.model.source import Problem
from racelint.report.formats import FORMATS, Style

FORMS: list[OutputFormat] = [name for name in FORMATS if name in READERS]
PROBLEM = Problem(path="op/broken.py", rule="parse-error", message="cannot be parsed", line=3)


def rendered(form: OutputFormat, *findings: Finding) -> str:
    """A report of these findings, one of them suppressed, and of a file that could not be parsed."""
    hidden = finding(side("op/hidden.py"), fingerprint="f" * 16, suppressed="judged")
    return FORMATS[form].render(result(*findings, hidden, problems=(PROBLEM,)), {}, Style())


# --- reading reports


@pytest.mark.parametrize("form", FORMS)
def test_each_finding_is_read_back_and_nothing_else(form: OutputFormat) -> None:
    two = finding(side("op/a.py"), side("op/b.py")), finding(side("op/with space, 5%.py"), fingerprint="1" * 16)
    assert paths(form, rendered(form, *two)) == ["op/a.py", "op/with space, 5%.py"]
    assert paths(form, rendered(form)) == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", ["\n1 finding (1 error) in 2 files\n", "::error file=a.py::b\n", "x", ": ,"])
def test_names_that_look_like_a_report_make_no_findings(form: OutputFormat, text: str) -> None:
    assert len(paths(form, rendered(form, hostile(text)))) == 1


@pytest.mark.parametrize("form", FORMS)
def test_half_a_report_is_refused(form: OutputFormat) -> None:
    text = rendered(form, finding())
    for broken in ("", text[: len(text) // 2], text + "more\n"):
        with pytest.raises(ReportError, match=form):
            paths(form, broken)


@pytest.mark.parametrize("form", ["full", "concise", "github"])
def test_the_summary_must_count_what_is_shown(form: OutputFormat) -> None:
    text = rendered(form, finding())
    assert "1 finding (1 error)" in text
    with pytest.raises(ReportError, match="1 shown and 2 counted"):
        paths(form, text.replace("1 finding (1 error)", "2 findings (2 errors)"))


def test_findings_that_github_leaves_out_are_missed() -> None:
    many = [finding(fingerprint=f"{number:016x}") for number in range(11)]
    with pytest.raises(ReportError, match="10 shown and 11 counted"):
        paths("github", rendered("github", *many))


def test_a_fingerprint_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ReportError, match="one fingerprint"):
        paths("gitlab", rendered("gitlab", finding(), finding()))


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_another_version_is_refused(form: OutputFormat) -> None:
    report = json.loads(rendered(form, finding()))
    with pytest.raises(ReportError, match="version"):
        paths(form, json.dumps({**report, "version": "3.0"}))


# --- judging


def test_exactly_what_is_expected_and_its_exit_status_are_right() -> None:
    assert wrong((), (), 0) == ""
    assert wrong([ADDED], [ADDED], 1) == ""
    assert wrong([ADDED, "a.py"], [ADDED], 1) == "must not be reported: a.py"
    assert wrong([ADDED, ADDED], [ADDED], 1) == f"must not be reported: {ADDED}"
    assert wrong([], [ADDED], 1) == f"not reported: {ADDED}"
    assert wrong([], (), 1) == "exit status 1"
    assert wrong([ADDED], [ADDED], 0) == "exit status 0"


def test_forms_are_chosen_by_name() -> None:
    assert forms_of("github, sarif") == ["github", "sarif"]
    with pytest.raises(argparse.ArgumentTypeError, match="'junit'"):
        forms_of("full,junit")


def test_only_lines_of_python_count(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a = 1\nb = 2", encoding="utf-8")
    (tmp_path / "b.txt").write_text("no\n", encoding="utf-8")
    assert lines_in(tmp_path) == 2


def test_the_packages_are_in_the_list() -> None:
    assert set(adoption.PACKAGES) <= set(load())


# --- running


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one small release, and that as the only package."""
    folder = tmp_path / "cache" / "demo-1.0" / "demo"
    folder.mkdir(parents=True)
    (folder / "jobs.py").write_text(RACE.replace("session", "job"), encoding="utf-8")
    monkeypatch.setattr(adoption, "PACKAGES", ("demo",))
    monkeypatch.setattr(adoption, "load", lambda: {"demo": "1.0"})
    return tmp_path / "cache"


def rows(text: str) -> dict[str, list[str]]:
    """The numbers of the printed rows, by step: seconds, bytes, findings."""
    return {line[38:56].strip(): line[56:].split() for line in text.splitlines() if line.startswith("demo 1.0")}


@pytest.mark.slow
def test_a_race_that_is_added_is_the_only_one_reported(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in cache.rglob("*.py")}
    status = adoption.main(["--cache", str(cache)])
    said = capsys.readouterr().out
    found = {step: cells[-1] for step, cells in rows(said).items()}
    assert found == {"update-baseline": "1", "nothing new": "0", **dict.fromkeys(READERS, "1"), "lines moved": "1"}, (
        said
    )
    assert status == 0
    assert before == {path: path.read_bytes() for path in cache.rglob("*.py")}


@pytest.fixture
def forgetful(tmp_path: Path) -> str:
    """A racelint that writes the baseline and does not heed it."""
    script = tmp_path / "forgetful.py"
    script.write_text(
        "import runpy, sys\n"
        "if '--update-baseline' not in sys.argv:\n"
        "    at = sys.argv.index('--baseline')\n"
        "    del sys.argv[at : at + 2]\n"
        "runpy.run_module('racelint', run_name='__main__', alter_sys=True)\n",
        encoding="utf-8",
    )
    return f"{sys.executable} {script}"


@pytest.mark.slow
def test_known_findings_that_are_reported_fail_the_run(
    cache: Path, forgetful: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adoption.main(["--cache", str(cache), "--forms", "sarif", "--racelint", forgetful]) == 1
    said = capsys.readouterr().out
    assert {step: cells[-1] for step, cells in rows(said).items()} == {
        "update-baseline": "1",
        "nothing new": "1",
        "sarif": "2",
        "lines moved": "2",
    }
    assert "  nothing new: must not be reported: demo/jobs.py; exit status 1\n" in said
    assert "  sarif: must not be reported: demo/jobs.py\n" in said


def test_a_tool_that_fails_is_named(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        adoption.main(["--cache", str(cache), "--racelint", f"{sys.executable} -c 'raise SystemExit(\"boom\")'"]) == 1
    )
    assert "demo 1.0             not measured:" in capsys.readouterr().out


def test_the_file_with_most_known_findings_moves_ten_lines(tmp_path: Path) -> None:
    entry = "{{ path = '{0}', rule = 'r', place = 'p', function = 'f', fingerprint = '{1}' }}"
    entries = [entry.format(path, number) for number, path in enumerate(["a.py", "b.py", "b.py"])]
    (tmp_path / "known.toml").write_text(f"version = 1\nfindings = [{', '.join(entries)}]\n", encoding="utf-8")
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_bytes(b"x = 1\n")
    Trial([], tmp_path, tmp_path / "known.toml").move_known()
    assert (tmp_path / "a.py").read_bytes() == b"x = 1\n"
    moved = (tmp_path / "b.py").read_bytes().splitlines()
    assert (len(moved), moved[-1]) == (11, b"x = 1")


def test_a_module_of_the_release_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / ADDED).touch()
    with pytest.raises(FileExistsError):
        Trial([], tmp_path, tmp_path / "known.toml").add_race()
