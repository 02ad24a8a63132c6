"""The benchmark of robustness, and that what ``docs/reliability.md`` promises has the tests it names."""

from __future__ import annotations

import ast
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from benchmarks import robustness
from benchmarks import trial as trials
from benchmarks.releases import FetchError
from benchmarks.robustness import Row, compiled, details, library, line_of, load, measure, promised_tests, total
from benchmarks.tool import ROOT
from benchmarks.trial import Trial, Trials, trial
from racelint.model.facts import ModuleFacts
from racelint.reading import outcome
from racelint.workers import WorkerDied

GOOD = "def f():\n    pass\n"


class TestPromises:
    @pytest.mark.parametrize("test", promised_tests())
    def test_the_test_is_there(self, test: str) -> None:
        path, *names = test.split("::")
        found: list[ast.stmt] = ast.parse((ROOT / path).read_text("utf-8")).body
        for name in names:
            kinds = (ast.ClassDef, ast.FunctionDef)
            (node,) = (node for node in found if isinstance(node, kinds) and node.name == name)
            found = node.body
        assert names[-1].startswith("test_")

    def test_every_promise_has_one(self) -> None:
        rows = [line for line in robustness.PROMISES.read_text("utf-8").splitlines() if line.startswith("| ")]
        promises = [row for row in rows if not row.startswith("| promise ")]
        assert len(promises) > 20
        assert all(robustness.NAMED_TEST.search(row) for row in promises)


class TestTrial:
    @pytest.mark.parametrize(
        ("source", "kind", "line"),
        [
            (GOOD, "read", 0),
            ("", "read", 0),
            ("x = 1\n\n   ", "read", 0),
            ("x = 1\n\x0c\n# end", "read", 0),
            ("x = 1\ny = = 2\n", "refused", 2),
            ("# coding: klingon\n", "refused", 1),
            ("x = '", "refused", 1),
            ("\\\n\nx = 1\n", "read", 0),
            ("   ", "read", 0),
            ("if 1:\n    pass\n    ", "read", 0),
            ("f'{x!r\n}'\n", "altered", 0),
        ],
    )
    def test_what_comes_of_a_file(self, source: str, kind: str, line: int) -> None:
        found = trial(source.encode())
        assert (found.kind, found.line) == (kind, line), found

    def test_a_bug_is_a_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object, **__: object) -> None:
            raise KeyError("x")

        monkeypatch.setattr("racelint.frontends.python.extract.extract", broken)
        assert trial(GOOD.encode()).kind == "failed"

    def test_other_lines_and_other_text_are_failures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        facts = outcome(GOOD.encode(), "m", False).facts
        assert isinstance(facts, ModuleFacts)
        assert trials._misplaced(GOOD.encode(), facts) == ""
        assert trials._misplaced(GOOD.encode() + b"x = 1\n", facts) == "2 lines were counted where there are 3"
        assert trials._misplaced(b"\ndef f(): pass", facts) == "f at line 1"
        monkeypatch.setattr(trials, "spliced", lambda *_: b"")
        assert trial(GOOD.encode()).message == "rendered otherwise than it is"

    def test_one_process_and_one_trial_for_equal_files(self) -> None:
        made = Trials(60)
        try:
            first = made.run(GOOD.encode())
            assert (first, made.run(GOOD.encode()) is first) == (Trial("read", lines=3), True)
        finally:
            made.close()

    def test_time_outs_and_crashes_are_failures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Slow:
            def __init__(self, _count: int) -> None:
                self.future: Future[Trial] = Future()

            def submit(self, *_: object) -> Future[Trial]:
                return self.future

            def stop(self) -> None:
                pass

        class Crashing(Slow):
            def submit(self, *_: object) -> Future[Trial]:
                self.future.set_exception(WorkerDied("ended by signal 11"))
                return self.future

        monkeypatch.setattr(trials, "Workers", Slow)
        assert Trials(0.01).run(b"") == Trial("failed", 0, "not done after 0 s")
        monkeypatch.setattr(trials, "Workers", Crashing)
        assert Trials(1).run(b"") == Trial("failed", 0, "the process ended by signal 11")


class TestRows:
    def test_a_tree(self, tmp_path: Path) -> None:
        (tmp_path / "site-packages").mkdir()
        (tmp_path / "site-packages" / "other.py").write_text("")
        (tmp_path / "good.py").write_text(GOOD)
        (tmp_path / "bad.py").write_text("print 'x'\n")
        (tmp_path / "odd.py").write_text("(x): int = 1\n")
        made = Trials(60)
        try:
            row = measure("tree", tmp_path, made, [sys.executable])
        finally:
            made.close()
        assert {path: item.kind for path, item in row.trials.items()} == {
            "bad.py": "refused",
            "good.py": "read",
            "odd.py": "refused",
        }
        assert row.valid == {"odd.py"}
        assert line_of(row).split()[:8] == ["tree", "3", "7", "1", "2", "1", "0", "0"]
        assert [line.split(":")[:3] for line in details(row)] == [["  valid", " odd.py", "1"]]
        assert total([row, row]).failures() == 0

    def test_a_failure_is_shown(self) -> None:
        row = Row("tree", {"a.py": Trial("failed", 3, "boom")}, frozenset(), 1.0, 1.0)
        assert list(details(row)) == ["  FAILED: a.py:3: boom"]
        assert total([row]).failures() == 1

    def test_nothing_is_run_to_find_out_whether_it_is_valid(self, tmp_path: Path) -> None:
        (tmp_path / "a.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
        assert compiled(sys.executable, tmp_path, ["a.py"]) == {"a.py"}
        assert not (tmp_path / "ran").exists()

    def test_the_library_of_an_interpreter(self) -> None:
        version, folder = library(sys.executable)
        assert version == ".".join(map(str, sys.version_info[:3]))
        assert (folder / "threading.py").is_file()


def test_releases_are_pinned_and_say_why() -> None:
    releases = load()
    assert len(releases) == len({release.name for release in releases}) == 30
    assert all(release.version and release.why for release in releases)


def test_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.py").write_text(GOOD)
    trees = [("one 1.0", tmp_path), ("two 2.0", FetchError("two 2.0: no such release"))]
    monkeypatch.setattr(robustness, "trees", lambda *_: iter(trees))
    monkeypatch.setattr(robustness, "faults", lambda _tests: (7, 1, 0))
    assert robustness.main(["--json", str(tmp_path / "out.json"), "--whole"]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].split()[:9] == ["one", "1.0", "1", "3", "1", "0", "0", "0", "0"]
    assert shown[2].startswith("  one 1.0 as a whole: done: 0 findings in ")
    assert shown[3].endswith("not tried: two 2.0: no such release")
    assert shown[-1] == "faults: 7 tried, 1 of them cannot be had here, 0 failures"
    assert (tmp_path / "out.json").read_text() == '{\n "one 1.0": {}\n}\n'


def test_faults_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:kmock -p no:asyncio\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(
        "import pytest\n\ndef test_a(): pass\n\ndef test_b(): assert 0\n\n@pytest.mark.skip\ndef test_c(): pass\n"
    )
    monkeypatch.setattr(robustness, "ROOT", tmp_path)
    started = time.monotonic()
    assert robustness.faults(["tests/test_x.py::test_a", "tests/test_x.py"]) == (3, 1, 1)
    assert time.monotonic() - started < 60
