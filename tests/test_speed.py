"""The benchmark of the time measures what it says, and its table is computed as it says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import racelint
from benchmarks import bare_parse, others, speed
from benchmarks.speed import CLICK, COLD, FACTS, FLOOR, LINES, UNCHANGED, VERSION, Editor, Sample, Task

FIXTURES = Path(racelint.__file__).parent.parent / "fixtures"


def test_tools_are_pinned_to_the_versions_of_the_comparison() -> None:
    compared = {tool.name: tool.version for tool in others.load()}
    rows = speed.load()
    assert {"thread-safety", "threadcheck", "pylint", "fixit", "mypy", "ruff"} == set(rows)
    assert {name: row.version for name, row in rows.items() if name in compared} == {
        name: version for name, version in compared.items() if name in rows
    }
    assert {row.processes for row in rows.values()} <= {"jobs", "one", "cores"}


def test_a_command_gets_a_new_folder_for_each_run(tmp_path: Path) -> None:
    tool = speed.Tool("t", "1", ("t", "-j{jobs}", "{empty}", "{scratch}/report"), "jobs", frozenset({0}))
    task = speed.other_task(tool, tmp_path / "bin", tmp_path, tmp_path, 3)
    first, second = task.command(), task.command()
    assert first[:3] == [str(tmp_path / "bin" / "t"), "-j3", str(tmp_path / "empty")]
    assert first[3] != second[3]
    assert Path(first[3]).parent.is_dir()


def test_an_editor_never_writes_the_same_twice_and_puts_everything_back(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("x = 1\n")
    editor = Editor(path)
    seen = set()
    for _ in range(3):
        for edit in (editor.lines, editor.facts):
            edit()
            seen.add(path.read_text())
            compile(path.read_text(), "a.py", "exec")
    assert len(seen) == 6
    editor.restore()
    assert path.read_text() == "x = 1\n"


def test_the_edited_file_has_code_and_is_no_test(tmp_path: Path) -> None:
    for name, size in (("a", 10), ("b", 20), ("c", 30), ("empty", 0), ("test_d", 15)):
        (tmp_path / f"{name}.py").write_text("#" * size)
    assert speed.edited_file(tmp_path).name == "b.py"


def test_tasks_are_run_in_turn_and_one_that_fails_is_not_tried_again(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def task(name: str, status: int, *allowed: int) -> Task:
        program = f"import os, sys; open({str(log)!r}, 'a').write(os.getcwd() + os.environ['WHO']); sys.exit({status})"
        command = [sys.executable, "-c", program]
        return Task(name, lambda: command, tmp_path, {"WHO": f" {name}\n"}, frozenset({0, *allowed}))

    found, failed = speed.measure([task("a", 0), task("b", 3), task("c", 1, 1)], 2)
    assert log.read_text().splitlines() == [f"{tmp_path} {name}" for name in "abcac"]
    assert {name: len(sample.seconds) for name, sample in found.items()} == {"a": 2, "c": 2}
    assert failed == {"b": "exit status 3: "}
    assert found["a"].median > 0
    assert found["a"].peak_mb[0] > 1


def test_the_table_has_medians_and_ratios() -> None:
    found = {
        FLOOR: Sample([2.0, 1.0, 9.0], [4.0] * 3, [50.0] * 3),
        COLD: Sample([3.0, 3.0, 3.0], [5.0] * 3, [100.0] * 3),
        "pylint 4": Sample([30.0] * 3, [20.0] * 3, [70.0] * 3),
    }
    text = speed.table("demo", found, {"fixit 2": "exit\nstatus 9"}, FLOOR, {"pylint": "2", "bare": "1"})
    assert text == (
        f"| demo | processes | s | × {FLOOR} | × {COLD} | CPU s | × {FLOOR} | × {COLD} | MB |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        f"| {FLOOR} | 1 | 2.00 | 1.00 | 0.67 | 4.00 | 1.00 | 0.80 | 50 |\n"
        f"| {COLD} |  | 3.00 | 1.50 | 1.00 | 5.00 | 1.25 | 1.00 | 100 |\n"
        "| pylint 4 | 2 | 30.00 | 15.00 | 10.00 | 20.00 | 5.00 | 4.00 | 70 |\n"
        "| fixit 2 |  | not measured: exit status 9 |  |  |  |  |  |  |\n"
    )


def test_names_that_are_not_there() -> None:
    for words in (["--package", "none-such"], ["--tool", "none-such"]):
        with pytest.raises(SystemExit, match="2"):
            speed.main(words)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_bare_parsing_reads_every_file_that_can_be_read(tmp_path: Path, jobs: str) -> None:
    for number in range(6):
        (tmp_path / f"m{number}.py").write_text("x = 1\n")
    (tmp_path / "broken.py").write_text("def (:\n")
    command = [sys.executable, "-m", "benchmarks.bare_parse", str(tmp_path), jobs]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout == "6 of 7 files\n"


def test_the_largest_files_come_first(tmp_path: Path) -> None:
    for name, size in (("a", 10), ("b", 30), ("c", 20)):
        (tmp_path / f"{name}.py").write_text("#" * size)
    assert [[Path(path).stem for path in share] for share in bare_parse.shares(tmp_path.iterdir(), 2)] == [
        ["b", "c"],
        ["a"],
    ]


@pytest.mark.slow
def test_a_package_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release = tmp_path / "demo-1.0"
    shutil.copytree(FIXTURES / "submariner", release)
    before = {path: path.read_bytes() for path in release.rglob("*.py")}
    monkeypatch.setattr(speed, "packages", lambda: {"demo": "1.0"})
    out = tmp_path / "out.json"
    words = ["--package", "demo", "--tool", "none", "--repeat", "1", "--jobs", "1", "--cache", str(tmp_path)]
    assert speed.main([*words, "--json", str(out)]) == 0
    measured = json.loads(out.read_text())
    assert list(measured) == ["start", "demo"]
    assert list(measured["start"]) == [CLICK, VERSION]
    assert list(measured["demo"]) == [FLOOR, COLD, UNCHANGED, LINES, FACTS]
    assert "| racelint, nothing changed | 1 |" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in release.rglob("*.py")} == before
