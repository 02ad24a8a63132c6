"""The comparison with other tools: its cases, how reports are read and judged, and that the page shows the results."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks import cases, comparison, others
from benchmarks.cases import Case, Place
from benchmarks.comparison_tables import (
    BEGIN,
    CLEAN,
    END,
    MEASURED,
    PAGE,
    RACY,
    Measured,
    Outcome,
    Row,
    between,
    clean_cell,
    inserted,
    racy_cell,
    read,
    tables,
    written,
)
from benchmarks.others import NoReport, Report, Tool
from racelint.rules import all_rules

# --- the page


def test_the_tables_of_the_page_are_what_was_measured() -> None:
    assert between(PAGE.read_text("utf-8")) == tables(read(MEASURED.read_text("utf-8")))


def test_what_was_measured_has_every_tool_and_every_case_in_the_checkout() -> None:
    measured = read(MEASURED.read_text("utf-8"))
    assert {"racelint", *(tool.name for tool in others.load())} == {*measured.versions, *measured.missing}
    assert {tool.name: tool.version for tool in others.load() if tool.name in measured.versions} == {
        name: version for name, version in measured.versions.items() if name != "racelint"
    }
    names = {(row.name, row.origin) for row in measured.rows}
    assert {(name, origin) for name, origin, _ in cases.examples()} <= names
    for fixture in sorted(cases.FIXTURES.glob("*/expect.txt")):
        racy = bool(cases.lines_of(fixture.read_text("utf-8")))
        assert (fixture.parent.name, "fixture") in names
        assert racy or (fixture.parent.name, "repaired fixture") not in names
    assert {row.origin for row in measured.rows} == {*RACY, *CLEAN}
    assert [row for row in measured.rows if row.origin not in (RACY if row.racy else CLEAN)] == []
    assert all(set(row.outcomes) == set(measured.versions) for row in measured.rows)


def test_the_page_names_every_tool_that_was_measured() -> None:
    page = PAGE.read_text("utf-8").replace(between(PAGE.read_text("utf-8")), "")
    assert [tool.name for tool in others.load() if tool.name not in page] == []


# --- the tables

ROWS = (
    Row("a", "fixture", True, {"racelint": Outcome(1, 0, 2, 0), "x": Outcome(0, 1, 0, 5)}),
    Row("b", "known miss", True, {"racelint": Outcome(), "x": Outcome(0, 0, 1, 3)}),
    Row("a", "repaired fixture", False, {"racelint": Outcome(0, 0, 0, 4), "x": Outcome(0, 0, 2, 7)}),
    Row("c", "fixture", False, {"racelint": Outcome(problem="exit status 9"), "x": Outcome()}),
)


def test_the_tables() -> None:
    text = tables(Measured({"racelint": "1", "x": "2"}, {"y": "not installed"}, ROWS))
    assert "| racelint | 1 | 1 | 0 | 1 | 0 |\n| x | 2 | 0 | 1 | 0 | 2 |\n| y | not installed |  |  |  |  |\n" in text
    assert f"### {RACY['fixture']}\n\n| race | racelint | x |\n| --- | --- | --- |\n| a | **found** | near |\n" in text
    assert "| b | – | 4 |\n" in text
    assert (
        f"### {CLEAN['repaired fixture']}\n\n| no race | racelint | x |\n| --- | --- | --- |\n| a | – | 2 |\n" in text
    )
    assert "| c | failed | – |\n" in text
    assert RACY["example"] not in text


def test_cells() -> None:
    assert racy_cell(Outcome(1, 1, 1, 1)) == "**found**"
    assert racy_cell(Outcome(0, 1, 1, 1)) == "near"
    assert racy_cell(Outcome(0, 0, 1, 1)) == "2"
    assert racy_cell(Outcome(1, problem="x")) == clean_cell(Outcome(1, problem="x")) == "failed"
    assert clean_cell(Outcome(1, 2, 3, 9)) == "6"
    assert clean_cell(Outcome(other=9)) == racy_cell(Outcome()) == "–"


def test_what_was_measured_is_read_back() -> None:
    measured = Measured({"racelint": "1"}, {"y": "no"}, ROWS)
    assert read(written(measured)) == measured


def test_the_tables_go_between_the_marks() -> None:
    page = inserted(f"before\n{BEGIN}\nold\n{END}\nafter\n", "| new |\n")
    assert page == f"before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"
    assert between(page) == "| new |\n"
    for broken in ("", BEGIN, END, f"{END}{BEGIN}"):
        with pytest.raises(ValueError, match="no place"):
            inserted(broken, "x")


# --- judging

RACE = Case("x", "fixture", Path(), (Place("a.py", 5, 2, 9), Place("b.py", 3, 3, 3)))


def report(*places: tuple[str, int], rule: str = "S1") -> Report:
    return Report(rule, places)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (report(("a.py", 5)), Outcome(at_line=1)),
        (report(("a.py", 50), ("b.py", 3)), Outcome(at_line=1)),
        (report(("a.py", 2)), Outcome(in_function=1)),
        (report(("a.py", 9)), Outcome(in_function=1)),
        (report(("a.py", 10)), Outcome(elsewhere=1)),
        (report(("b.py", 5)), Outcome(elsewhere=1)),
        (report(), Outcome(elsewhere=1)),
        (report(("a.py", 5), rule="D100"), Outcome(other=1)),
    ],
)
def test_a_report_is_judged_by_where_it_is_and_what_it_is_about(given: Report, outcome: Outcome) -> None:
    assert comparison.judge(RACE, [given], lambda each: each.rule == "S1") == outcome
    assert comparison.judge(RACE, [given, given], lambda each: each.rule == "S1") == Outcome(
        outcome.at_line * 2, outcome.in_function * 2, outcome.elsewhere * 2, outcome.other * 2
    )


def test_a_tool_that_fails_is_said_to_without_the_scratch_folder() -> None:
    def fails(case: Case) -> list[Report]:
        raise NoReport(f"in {case.folder}/a.py")

    case = Case("x", "fixture", Path("/scratch/1"), ())
    assert comparison.measured(case, fails, lambda _: True) == Outcome(problem="in ./a.py")


def test_racelint_is_judged_by_all_sides_of_its_findings(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "racelint"]
    case, repaired = cases._fixture(cases.FIXTURES / "unsafe_singleton", tmp_path, command)
    (found,) = comparison.own(command)(case)
    assert found == Report("unsafe-publication", (("tunnels/provider.py", 37), ("tunnels/provider.py", 38)))
    assert (case.origin, [place.line for place in case.places]) == ("fixture", [37, 38])
    assert (repaired.origin, repaired.places) == ("repaired fixture", ())
    assert comparison.own(command)(repaired) == []
    assert not (case.folder / "README.md").exists()


# --- reading reports


def tool(**changes: object) -> Tool:
    values: dict[str, object] = {
        "name": "x",
        "version": "1",
        "command": ("x",),
        "form": "lines",
        "statuses": (0,),
        "about": re.compile("S.*"),
        "pattern": re.compile(r"(?P<path>[^:]+):(?P<line>\d+): (?P<rule>\w+).*"),
        **changes,
    }
    return Tool(**values)  # type: ignore[arg-type]


def test_lines_and_prose() -> None:
    text = "** Module a\na.py:3: S1 no\nb/c.py:4: D1\n1 error\n"
    assert list(others.lines(tool(), text)) == [report(("a.py", 3)), report(("b/c.py", 4), rule="D1")]


def test_sarif() -> None:
    def location(uri: str, line: int) -> dict[str, object]:
        return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}}

    result = {"ruleId": "S1", "locations": [location("a%20b.py", 3)], "relatedLocations": [location("c.py", 4)]}
    text = json.dumps({"runs": [{"results": [result]}]})
    assert list(others.sarif(tool(), text)) == [report(("a b.py", 3), ("c.py", 4))]


def test_the_json_of_thread_safety() -> None:
    found = {
        "rule_id": "TS011",
        "message": "checked at\nline 1",
        "location": {"file": "a.py", "line": 1},
        "related_locations": [{"file": "a.py", "line": 2}],
    }
    text = json.dumps({"findings": [found]}).replace("\\n", "\n")
    assert list(others.thread_safety(tool(), text)) == [report(("a.py", 1), ("a.py", 2), rule="TS011")]


@pytest.mark.parametrize("path", ["a/b.py", "./a/b.py", "{}/a/b.py", "file://{}/a/b.py"])
def test_paths_count_from_the_case(path: str, tmp_path: Path) -> None:
    assert others.relative(tmp_path, path.format(tmp_path)) == "a/b.py"


def test_paths_elsewhere_stay(tmp_path: Path) -> None:
    assert others.relative(tmp_path, "/usr/lib/x.py") == "/usr/lib/x.py"


def fake(folder: Path, script: str) -> Path:
    """A program called ``x`` that is this script."""
    program = folder / "x"
    program.write_text(f"#!{sys.executable}\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return folder


def test_a_tool_is_run_in_the_folder(tmp_path: Path) -> None:
    programs = fake(tmp_path, "import os; print(os.getcwd() + '/a.py:3: S1')")
    (tmp_path / "case").mkdir()
    assert tool().run(programs, tmp_path / "case", tmp_path) == [report(("a.py", 3))]


def test_a_tool_can_write_its_report(tmp_path: Path) -> None:
    programs = fake(tmp_path, "import sys; open(sys.argv[1], 'w').write('{\"runs\": []}')")
    writes = tool(command=("x", "{report}"), form="sarif", pattern=None)
    assert writes.run(programs, tmp_path, tmp_path) == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; sys.exit('oh no')", "exit status 1: oh no"),
        ("", "no report: FileNotFoundError"),
        ("open('report', 'w').write('[')", "no report: JSONDecodeError"),
        ("open('report', 'w').write('{}')", "no report: KeyError"),
        ("import time; time.sleep(60)", "no end after 1 s"),
    ],
)
def test_a_tool_without_a_report_is_not_silent(
    script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "PATIENCE", 1 if "sleep" in script else 60)
    programs = fake(tmp_path, script)
    with pytest.raises(NoReport, match=re.escape(message)):
        tool(form="sarif", pattern=None).run(programs, tmp_path, tmp_path)


def test_a_tool_that_cannot_be_installed(tmp_path: Path) -> None:
    with pytest.raises(NoReport, match="not installed"):
        tool().install(tmp_path, str(fake(tmp_path, "raise SystemExit(1)") / "x"))


def test_the_tools() -> None:
    loaded = {each.name: each for each in others.load()}
    assert {"thread-safety", "threadcheck", "pylint", "ruff", "flake8-async", "mypy", "bandit"} <= set(loaded)
    assert loaded["thread-safety"].is_about_state(report(rule="TS011"))
    assert not loaded["thread-safety"].is_about_state(report(rule="TS040"))
    assert loaded["threadcheck"].is_about_state(report(rule="unsafe_global"))
    assert not loaded["threadcheck"].is_about_state(report(rule="thread_usage"))
    assert not loaded["mypy"].is_about_state(report(rule="attr-defined"))
    assert loaded["pylint"].is_about_state(report(rule="W0603"))


def test_a_form_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tools.toml"
    path.write_text(
        '[[tool]]\nname = "x"\nversion = "1"\ncommand = ["x"]\nform = "tea"\nstatuses = [0]\nabout = ""\n', "utf-8"
    )
    with pytest.raises(ValueError, match="x: there is no form 'tea'"):
        others.load(path)


# --- cases


def test_the_lines_of_an_expectation() -> None:
    text = "# why\na.py:17 check-then-act m.C._d | b/c.py:20\n\na.py:3 unguarded-write m.X\n"
    assert cases.lines_of(text) == [("a.py", 17), ("b/c.py", 20), ("a.py", 3)]
    with pytest.raises(RuntimeError, match=re.escape("'nonsense'")):
        cases.lines_of("nonsense")


def test_the_innermost_function_around_a_line() -> None:
    source = b"x = 1\ndef f():\n    def g():\n        return 1\n    return g\nclass C:\n    async def h(self): ...\n"
    assert [cases.around(source, line) for line in (1, 2, 3, 4, 5, 6, 7)] == [
        (1, 1),
        (2, 5),
        (3, 4),
        (3, 4),
        (2, 5),
        (6, 6),
        (7, 7),
    ]
    assert cases.around(b"print 'two'\n", 1) == (1, 1)


def test_places_also_below_src(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("def f():\n    x = 1\n", "utf-8")
    assert cases.places(tmp_path, [("a.py", 2), ("a.py", 2)]) == (Place("src/a.py", 2, 1, 2),)


def test_every_rule_gives_an_example_and_its_repair_without_marks(tmp_path: Path) -> None:
    found = list(cases.examples())
    for origin in ("example", "repaired example"):
        assert [name for name, each, _ in found if each == origin] == [rule.name for rule in all_rules()]
    assert [name for name, origin, _ in found if origin == "known miss"]
    for number, (name, origin, example) in enumerate(found):
        case = cases._example(name, origin, example, tmp_path / str(number))
        assert bool(case.places) is (origin in RACY)
        text = "".join(path.read_text("utf-8") for path in case.folder.rglob("*.py"))
        assert text
        assert not re.search(r"# (?:expect|peer|missed):", text)
