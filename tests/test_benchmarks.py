"""The benchmark runners: scoring, fetching without running foreign code, drawing and counting verdicts."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks import own_tests, packages, releases, sample
from benchmarks.archives import ArchiveError, unpack
from benchmarks.judged import score as verdicts
from benchmarks.judged import sheet
from benchmarks.racebench import run as racebench
from benchmarks.racebench.scoring import Score, place_names, score, totals, variable_names
from benchmarks.releases import FetchError, attempts, fetch, normalise
from benchmarks.tool import ToolError, run, shown

Json = dict[str, Any]
BUG: Json = {
    "id": "demo-items",
    "package": "demo",
    "buggy_version": "1.0",
    "fixed_version": "1.1",
    "model": "threads",
    "file": "demo/cache.py",
    "lines": [10, 40],
    "variable": "Cache.__items (dict)",
    "internally_threaded": False,
}


def side(path: str = "demo/cache.py", line: int = 10) -> Json:
    """A side of a finding with everything that JSON version 1 has."""
    return {
        "path": path,
        "line": line,
        "column": 1,
        "end_line": line,
        "end_column": 2,
        "function": "demo.cache.Cache.put",
        "access": "insert",
        "locks": ["demo.cache.Cache._lock"],
        "context": {"entry": "demo.cache.Cache.put", "kind": "any", "path": path, "line": 1, "why": "public method"},
        "trace": [{"path": path, "line": 2, "function": "demo.cache.f", "call": "self.put()"}],
    }


def finding(*sides: Json, **changes: Any) -> Json:
    """A finding that a user sees by default, with changes."""
    usual = {
        "rule": "check-then-act",
        "code": "RL102",
        "severity": "error",
        "confidence": "high",
        "message": "Cache.items: not atomic",
        "place": "demo.cache.Cache._Cache__items",
        "fingerprint": "f0",
        "suppressed": None,
        "sides": list(sides) or [side()],
        "fix": None,
    }
    return {**usual, **changes}


def report(*findings: Json, lines: int = 2000) -> Json:
    """A report of JSON version 1."""
    summary = {"files": 1, "lines": lines, "problems": 0}
    return {"version": 1, "summary": summary, "findings": list(findings), "problems": []}


# --- scoring


@pytest.mark.parametrize("line", [7, 13, 37, 43])
def test_a_side_within_three_lines_of_a_listed_line_is_a_hit(line: int) -> None:
    assert score(BUG, report(finding(side(line=line))), report()) == Score(True, True, True, ("check-then-act",))


@pytest.mark.parametrize("line", [6, 14, 36, 44])
def test_four_lines_away_is_a_miss(line: int) -> None:
    assert score(BUG, report(finding(side(line=line))), report()) == Score(False, False, None)


def test_any_side_may_hit_and_src_is_ignored() -> None:
    far_first = finding(side("demo/other.py", 500), side("src/demo/cache.py", 11))
    assert score(BUG, report(far_first), report()).hit
    assert not score(BUG, report(finding(side("other/demo/cache.py"))), report()).hit


def test_a_hit_about_another_place_is_not_named() -> None:
    found = score(BUG, report(finding(place="demo.cache.Cache.other_items")), report())
    assert found == Score(True, False, None, ("check-then-act",))


def test_a_named_finding_elsewhere_does_not_make_a_hit_named() -> None:
    buggy = report(finding(place="demo.cache.Cache.size"), finding(side(line=300)))
    assert score(BUG, buggy, report()) == Score(True, False, None, ("check-then-act",))


def test_quiet_looks_for_the_same_rule_variable_and_file_in_the_fixed_release() -> None:
    buggy = report(finding())
    assert score(BUG, buggy, report(finding(side(line=900)))).quiet is False
    assert score(BUG, buggy, report(finding(rule="unguarded-write"))).quiet is True
    assert score(BUG, buggy, report(finding(place="demo.cache.Cache.size"))).quiet is True
    assert score(BUG, buggy, report(finding(side("demo/other.py", 10)))).quiet is True


@pytest.mark.parametrize("change", [{"severity": "note"}, {"confidence": "low"}, {"suppressed": "known"}])
def test_what_is_not_shown_by_default_does_not_count(change: Json) -> None:
    assert shown(report(finding(**change))) == []
    assert not score(BUG, report(finding(**change)), report()).hit
    assert score(BUG, report(finding()), report(finding(**change))).quiet is True


def test_totals_count_quiet_among_the_named() -> None:
    scores = [Score(True, True, True), Score(True, True, False), Score(True, False, None), Score(False, False, None)]
    assert totals(scores) == "hit 3/4 (75 %), named 2/4 (50 %), quiet 1/2 (50 %) of those named"
    assert totals([]) == "hit 0/0, named 0/0, quiet 0/0 of those named"


# --- names


@pytest.mark.parametrize(
    ("variable", "names"),
    [
        ("Client._last_mid", {"last_mid"}),
        ("module global call_pending (set)", {"call_pending"}),
        ("MongoClient.__index_cache", {"index_cache"}),
        ("A.buffer / _total_size / .binds", {"buffer", "total_size", "binds"}),
        ("TCPConnector._events, _cached_hosts", {"events", "cached_hosts"}),
        ("flag __restored vs Event __ready", {"restored", "ready"}),
        ("Server.connections[service] (list)", {"connections"}),
        ("Browser.devices (shared as _devices with A and B); local cc_list", {"devices", "cc_list"}),
        ("Handler.first and Handler.second", {"first", "second"}),
        ("Handler.android", {"android"}),
    ],
)
def test_names_in_a_variable(variable: str, names: set[str]) -> None:
    assert variable_names(variable) == names


@pytest.mark.parametrize("bug", racebench.load(), ids=lambda bug: str(bug["id"]))
def test_every_bug_has_names_that_can_be_compared(bug: Json) -> None:
    names = variable_names(bug["variable"])
    assert names
    for name in names:
        assert name.isidentifier()
        assert not name.startswith("_")
        assert name in bug["variable"]


def test_places_answer_to_their_bare_and_unmangled_name() -> None:
    assert "items" in place_names("demo.cache.Cache.__items")
    assert "items" in place_names("demo.cache.Cache._Cache__items")
    assert "items" in place_names("demo.cache.Cache._items[*]")
    assert "items" not in place_names("demo.items.Cache.size")


# --- the data


def test_there_are_30_thread_bugs_and_11_asyncio_bugs() -> None:
    models = [bug["model"] for bug in racebench.load()]
    assert (models.count("threads"), models.count("asyncio")) == (30, 11)
    assert len({bug["id"] for bug in racebench.load()}) == 41


def test_no_package_of_the_benchmark_is_known_to_racelint_by_a_version() -> None:
    told = "\n".join(path.read_text("utf-8") for path in (packages.PACKAGES.parent.parent / "racelint").rglob("*.py"))
    assert [bug["id"] for bug in racebench.load() if bug["id"] in told or bug["file"] in told] == []


# --- archives


def wheel(path: Path, files: dict[str, str]) -> Path:
    """A zip file."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def tarball(path: Path, files: dict[str, str], link: tuple[str, str] | None = None) -> Path:
    """A compressed tar file, with a symbolic link (name, target) if asked for."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        if link:
            member = tarfile.TarInfo(link[0])
            member.type, member.linkname = tarfile.SYMTYPE, link[1]
            archive.addfile(member)
    return path


def unpacked(target: Path) -> list[str]:
    """The files below a folder."""
    return sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir())


def test_only_python_files_are_unpacked(tmp_path: Path) -> None:
    made = wheel(tmp_path / "demo-1.0-py3-none-any.whl", {"demo/a.py": "a = 1\n", "demo/b.so": "", "demo-1.0/M": ""})
    assert unpack(made, tmp_path / "out") == 1
    assert unpacked(tmp_path / "out") == ["demo/a.py"]
    assert (tmp_path / "out/demo/a.py").read_text() == "a = 1\n"


@pytest.mark.parametrize("name", ["demo-1.0.tar.gz", "demo-1.0.zip"])
def test_the_top_folder_of_a_source_archive_is_left_out(tmp_path: Path, name: str) -> None:
    make = wheel if name.endswith(".zip") else tarball
    made = make(tmp_path / name, {"demo-1.0/src/demo/a.py": "", "demo-1.0/setup.py": ""})
    assert unpack(made, tmp_path / "out") == 2
    assert unpacked(tmp_path / "out") == ["setup.py", "src/demo/a.py"]


@pytest.mark.parametrize("evil", ["/tmp/evil.py", "../evil.py", "demo/../../evil.py", "..\\evil.py", "C:/evil.py"])
@pytest.mark.parametrize("name", ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"])
def test_names_that_lead_outside_are_refused_and_nothing_is_written(tmp_path: Path, evil: str, name: str) -> None:
    make = wheel if name.endswith(".whl") else tarball
    made = make(tmp_path / name, {"demo/a.py": "", evil: "boom"})
    with pytest.raises(ArchiveError, match="outside"):
        unpack(made, tmp_path / "deep" / "out")
    assert unpacked(tmp_path) == [name]


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("secret")
    made = tarball(tmp_path / "demo-1.0.tar.gz", {"demo-1.0/a.py": ""}, ("demo-1.0/b.py", str(tmp_path / "secret.py")))
    unpack(made, tmp_path / "out")
    assert unpacked(tmp_path / "out") == ["a.py"]


@pytest.mark.parametrize("name", ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"])
def test_a_broken_archive_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(ArchiveError, match=name):
        unpack(tmp_path / name, tmp_path / "out")


# --- fetching


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the whole package index; few attempts, as each is a run of pip."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(releases, "PYTHONS", ("3.7",))
    return folder


METADATA = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


@pytest.mark.parametrize("backend", ["", "setuptools.build_meta", "poetry.core.masonry.api"])
def test_a_source_archive_is_fetched_and_its_setup_script_does_not_run(
    tmp_path: Path, offline: Path, backend: str
) -> None:
    poison = f"open({str(tmp_path / 'ran')!r}, 'w').close()\nimport setuptools\nsetuptools.setup(name='demo')\n"
    files = {"demo-1.0/PKG-INFO": METADATA, "demo-1.0/setup.py": poison, "demo-1.0/demo.py": "x = 1\n"}
    if backend:
        files["demo-1.0/pyproject.toml"] = f'[build-system]\nrequires = ["none-such"]\nbuild-backend = "{backend}"\n'
    tarball(offline / "demo-1.0.tar.gz", files)
    tree = fetch("Demo", "1.0", tmp_path / "cache")
    assert unpacked(tree) == ["demo.py", "setup.py"]
    assert not (tmp_path / "ran").exists()


def test_a_wheel_for_another_platform_is_preferred_to_the_source_archive(tmp_path: Path, offline: Path) -> None:
    tag = "cp37-cp37m-manylinux1_x86_64"
    told = {"demo-1.0.dist-info/METADATA": METADATA, "demo-1.0.dist-info/WHEEL": f"Wheel-Version: 1.0\nTag: {tag}\n"}
    wheel(offline / f"demo-1.0-{tag}.whl", {"demo/from_wheel.py": "", **told})
    tarball(offline / "demo-1.0.tar.gz", {"demo-1.0/PKG-INFO": METADATA, "demo-1.0/from_source.py": ""})
    assert unpacked(fetch("demo", "1.0", tmp_path / "cache")) == ["demo/from_wheel.py"]


def test_a_release_in_the_cache_is_not_asked_for_again(tmp_path: Path, offline: Path) -> None:
    (tmp_path / "cache" / "demo-1.0").mkdir(parents=True)
    assert fetch("Demo", "1.0", tmp_path / "cache") == tmp_path / "cache" / "demo-1.0"


def test_a_release_that_is_not_there_is_named_and_leaves_nothing(tmp_path: Path, offline: Path) -> None:
    with pytest.raises(FetchError, match=r"demo 9\.9.*No matching distribution"):
        fetch("demo", "9.9", tmp_path / "cache")
    assert unpacked(tmp_path / "cache") == []


def test_the_source_archive_is_the_last_attempt() -> None:
    tried = list(attempts())
    assert ["--no-binary" in arguments for arguments in tried] == [False] * (len(tried) - 1) + [True]
    assert len(tried) == len(releases.PYTHONS) + 2


def test_names_are_normalised() -> None:
    assert normalise("Zope.Interface__x") == "zope-interface-x"


# --- running


FAKE = """
import json, pathlib, sys
arguments = sys.argv[1:]
tree = pathlib.Path(arguments[-1])
assert arguments == ["check", "--project", str(tree), "--output-format", "json", "--no-edits", "--exit-zero",
                     *(["--library"] if "--library" in arguments else []), str(tree)], arguments
if (tree / "crash.py").exists():
    sys.exit("Traceback: boom")
found = tree / "answer.json"
files = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*.py"))
answer = json.loads((tree / "demo" / "answer.py").read_text())
answer["seen"] = {"arguments": arguments, "files": files}
print(json.dumps(answer))
"""


@pytest.fixture
def fake(tmp_path: Path) -> list[str]:
    """A command in place of racelint that prints the report it finds in ``demo/answer.py`` of the tree."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE, encoding="utf-8")
    return [sys.executable, str(script)]


def release(cache: Path, version: str, answer: Json, package: str = "demo") -> None:
    """Put a release into the cache that makes the fake command give this answer."""
    folder = cache / f"{package}-{version}" / package
    folder.mkdir(parents=True)
    (folder / "answer.py").write_text(json.dumps(answer), encoding="utf-8")
    (folder / "other.py").write_text("", encoding="utf-8")


def test_both_releases_are_run_and_scored(tmp_path: Path, fake: list[str]) -> None:
    release(tmp_path, "1.0", report(finding(), finding(severity="warning", fingerprint="f1"), lines=4000))
    release(tmp_path, "1.1", report())
    row = racebench.measure(BUG, fake, tmp_path)
    assert row.problem == ""
    assert row.score == Score(True, True, True, ("check-then-act",))
    assert (row.errors_per_1000, row.findings_per_1000, row.lines) == (0.25, 0.5, 4000)
    assert row.seconds > 0
    assert row.seconds_fixed > 0


def test_library_mode_is_for_bugs_that_only_users_threads_bring_about(tmp_path: Path, fake: list[str]) -> None:
    release(tmp_path, "1.0", report())
    with_users = racebench.check(BUG, "1.0", fake, tmp_path).report["seen"]["arguments"]
    internal = racebench.check({**BUG, "internally_threaded": True}, "1.0", fake, tmp_path).report["seen"]["arguments"]
    assert "--library" in with_users
    assert "--library" not in internal


def test_include_and_beside_shape_the_tree(tmp_path: Path, fake: list[str]) -> None:
    release(tmp_path, "1.0", report())
    release(tmp_path, "2.0", report(), package="friend")
    bug = {**BUG, "include": ["demo/answer"], "beside": [{"package": "friend", "version": "2.0"}]}
    seen = racebench.check(bug, "1.0", fake, tmp_path).report["seen"]["files"]
    assert seen == ["demo/answer.py", "friend/answer.py", "friend/other.py"]


def test_a_crash_is_a_miss_with_a_reason(tmp_path: Path, fake: list[str]) -> None:
    release(tmp_path, "1.0", report(finding()))
    release(tmp_path, "1.1", report())
    (tmp_path / "demo-1.1" / "crash.py").touch()
    row = racebench.measure(BUG, fake, tmp_path)
    assert not row.score.hit
    assert "Traceback: boom" in row.problem
    assert racebench.line_of(row).startswith("demo-items ")
    assert "not measured: 1" in list(racebench.summary([row]))


def test_an_answer_of_another_version_is_refused(tmp_path: Path, fake: list[str]) -> None:
    release(tmp_path, "1.0", {**report(), "version": 2})
    with pytest.raises(ToolError, match="exit 0"):
        run(fake, tmp_path / "demo-1.0")


def test_memory_and_time_are_measured(tmp_path: Path, fake: list[str]) -> None:
    release(tmp_path, "1.0", report(finding()))
    done = run(fake, tmp_path / "demo-1.0")
    assert 1 < done.peak_mb < 1000
    assert 0 < done.seconds < 60
    assert (done.count("error"), done.count("warning")) == (1, 0)


def test_the_table_has_a_row_per_bug_and_totals(
    tmp_path: Path, fake: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release(tmp_path, "1.0", report(finding()))
    release(tmp_path, "1.1", report())
    other = {**BUG, "id": "demo-missed", "lines": [500]}
    monkeypatch.setattr(racebench, "load", lambda: [BUG, other])
    out = tmp_path / "rows.json"
    command = f"{fake[0]} {fake[1]}"
    assert racebench.main(["--cache", str(tmp_path), "--racelint", command, "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "threads: hit 1/2 (50 %), named 1/2 (50 %), quiet 1/1 (100 %) of those named" in printed
    assert [row["id"] for row in json.loads(out.read_text())] == ["demo-items", "demo-missed"]
    with pytest.raises(SystemExit, match="2"):
        racebench.main(["--only", "none-such"])


def test_a_row_of_the_packages_counts_lost_files(tmp_path: Path, fake: list[str]) -> None:
    release(tmp_path, "1.0", report(finding()))
    row = packages.line_of("demo 1.0", 3, run(fake, tmp_path / "demo-1.0"))
    assert row.split()[2:8] == ["1", "2", "2000", "0", "1", "0"]


def test_packages_are_pinned() -> None:
    assert set(packages.load()) == {"kopf", "patroni", "skypilot", "apache-airflow-core", "ansible-core"}
    assert packages.chosen(["kopf"]) == {"kopf": packages.load()["kopf"]}
    assert len(packages.load("services")) == 10
    assert not set(packages.load("services")) & set(packages.load())
    with pytest.raises(ValueError, match="none-such"):
        packages.chosen(["none-such"])
    with pytest.raises(ValueError, match="kopf"):
        packages.chosen(["kopf"], "services")


# --- judging


def test_a_draw_depends_on_the_seed_and_not_on_the_order() -> None:
    def reports(step: int) -> Json:
        found = [finding(fingerprint=f"f{number:03}") for number in range(50)][::step]
        return dict(
            [("a", report(*found, finding(severity="warning", fingerprint="w"))), ("b", report(*found))][::step]
        )

    drawn = sample.draw(reports(1), 10, "1")
    assert drawn == sample.draw(reports(-1), 10, "1")
    assert drawn != sample.draw(reports(1), 10, "2")
    assert len(drawn) == 10
    assert len(sample.draw(reports(1), 1000, "1")) == 100
    assert [(name, one["fingerprint"]) for name, one in sample.draw(reports(1), 10, "1", "warning")] == [("a", "w")]


def test_a_sheet_shows_both_sides_and_counts_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/cache.py").write_text("".join(f"line_{number}\n" for number in range(1, 31)), encoding="utf-8")
    both = finding(side(line=2), side(line=20))
    entries = [sheet.entry("demo", "1.0", both, tmp_path) for _ in range(4)]
    path = tmp_path / "errors.json"
    sheet.write(path, entries)
    text = path.with_suffix(".md").read_text()
    assert ">     2 line_2\n" in text
    assert ">    20 line_20\n" in text
    assert "line_14" in text
    assert "line_13" not in text
    assert "calls `self.put()`" in text
    assert verdicts.line_of("errors", entries) == "errors: 4 drawn, 0 judged: 0 right, 0 wrong, 0 debatable"

    for one, verdict in zip(entries, ["right", "right", "wrong"], strict=False):
        one.update(verdict=verdict, reason="read it")
    path.write_text(json.dumps(entries), encoding="utf-8")
    assert verdicts.main([str(path)]) == 0
    assert capsys.readouterr().out == "errors: 4 drawn, 3 judged: 2 right (67 %), 1 wrong, 0 debatable\n"
    assert "- verdict: wrong\n- reason: read it" in path.with_suffix(".md").read_text()


@pytest.mark.parametrize("change", [{"verdict": "fine", "reason": "x"}, {"verdict": "right", "reason": " "}])
def test_a_verdict_needs_a_known_word_and_a_reason(tmp_path: Path, change: Json) -> None:
    (tmp_path / "errors.json").write_text(json.dumps([{"verdict": "", "reason": "", **change}]), encoding="utf-8")
    assert verdicts.main([str(tmp_path / "errors.json")]) == 2


def test_judged_findings_are_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sample, "JUDGED", tmp_path)
    (tmp_path / "errors.json").write_text(json.dumps([{"verdict": "right", "reason": "x"}]), encoding="utf-8")
    assert sample.main([]) == 2
    assert "holds verdicts" in capsys.readouterr().err


# --- for real


@pytest.mark.network
def test_one_small_bug_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.json"
    assert racebench.main(["--only", "pycrowdsec-cache", "--cache", str(tmp_path), "--json", str(out)]) == 0
    (row,) = json.loads(out.read_text())
    assert row["problem"] == ""
    assert row["lines"] > 100
    assert "threads: hit " in capsys.readouterr().out


def test_own_tests_are_counted_by_name(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="tests.test_a" name="test_one"/>'
        '<testcase classname="tests.test_a" name="test_two"><failure message="no"/></testcase>'
        '<testcase classname="tests.test_a" name="test_three"><skipped/></testcase>'
        '<testcase classname="" name="tests.test_b"><error message="collection"/></testcase>'
        "</testsuite></testsuites>",
        encoding="utf-8",
    )
    found = own_tests.outcome(report)
    assert found.ran == {"tests.test_a::test_one", "tests.test_a::test_two", "::tests.test_b"}
    assert found.failed == {"tests.test_a::test_two", "::tests.test_b"}


def test_the_places_a_fix_mends_and_leaves_are_counted(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import threading\n\nCACHE = {}\n\n\ndef work():\n    if 'a' not in CACHE:\n        CACHE['a'] = object()\n\n\n"
        "for _ in range(2):\n    threading.Thread(target=work).start()\n",
        encoding="utf-8",
    )
    assert own_tests.mended(tmp_path, unsafe=False) == (1, 0)
    assert "with _cache_lock:" in (tmp_path / "main.py").read_text(encoding="utf-8")
