"""Renderers, on results built by hand: their look, what they leave out, and that nothing hostile gets through."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import resources
from typing import Any

import jsonschema
import pytest
from handmade import CHECK, SWEEP, entry_point, finding, hostile, result, side
from hypothesis import given
from hypothesis import strategies as st

from racelint import __version__
from racelint.model.findings import Edit, Finding, Fix, Step
from racelint.model.source import Problem
from racelint.report import concise, entry_points, full, statistics
from racelint.report import json as json_report
from racelint.report.text import problem_line, safe, summary

SOURCES = {
    "op/registry.py": [
        "class Registry:",
        "    def sync(self, name):",
        "        if name not in self.pods:",
        "            self.pods[name] = name",
        "        return name",
    ],
    "op/gc.py": ["", "\tfor größe in 日本: reg.pods.pop(größe)", ""],
}
RACE = finding(CHECK, SWEEP, notes=("4 of 5 accesses hold `_lock`",))
HOSTILE = "\x1b[31m\x07\x9b2J\r\n\u202e\u2028\u200b\ud800\x00"
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]")


def schema() -> dict[str, Any]:
    text = resources.files("racelint.report").joinpath("schema_v1.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


class TestFull:
    """The text form with code."""

    def test_the_whole_look(self) -> None:
        text = full.render(result(RACE, files=14), SOURCES)
        assert text == (
            "op/registry.py:3:24: error[check-then-act] "
            "Registry.pods: the check and the insert at line 4 are not atomic\n"
            "\n"
            "  A  check, then insert in op.registry.Registry.sync, no lock held\n"
            "     --> op/registry.py:3:24\n"
            "       2 |     def sync(self, name):\n"
            "     > 3 |         if name not in self.pods:\n"
            "     > 4 |             self.pods[name] = name\n"
            "       5 |         return name\n"
            "     runs in        thread pool: op.handlers.on_create (op/handlers.py:38)\n"
            "                    kopf runs sync handlers in a thread pool\n"
            "     calls          op/handlers.py:40  handlers.on_create -> sync\n"
            "\n"
            "  B  delete in op.gc.sweep, holding `Registry._lock`\n"
            "     --> op/gc.py:2:19\n"
            "       2 |     for größe in 日本: reg.pods.pop(größe)\n"
            "         |                        ^^^^^^^^\n"
            "     runs in        thread: op.gc.sweep (op/main.py:10)\n"
            "                    threading.Thread runs its target in a thread of its own\n"
            "\n"
            "  why            sync handlers of different objects run at once\n"
            "  in production  both add the entry: the work is done twice\n"
            "  help           hold one lock over the check and the insert\n"
            "  note           4 of 5 accesses hold `_lock`\n"
            "  confidence     high (more: racelint explain check-then-act)\n"
            "\n"
            "1 finding (1 error) in 14 files\n"
        )

    def test_a_message_without_the_place_gets_it(self) -> None:
        text = full.render(result(finding(message="two threads meet")), {})
        assert text.startswith("op/registry.py:3:12: error[check-then-act] Registry.pods: two threads meet\n")

    def test_long_ways_are_folded(self) -> None:
        steps = tuple(Step("op/a.py", line, f"op.f{line}", f"f{line + 1}") for line in range(1, 7))
        way = result(finding(side(trace=steps)))
        folded = full.render(way, {}).splitlines()
        start = next(number for number, line in enumerate(folded) if "calls   " in line)
        assert [line.strip() for line in folded[start : start + 4]] == [
            "calls          op/a.py:1  op.f1 -> f2",
            "... 4 calls ...",
            "op/a.py:6  op.f6 -> f7",
            "",
        ]
        whole = full.render(way, {}, verbose=True)
        assert all(f"op/a.py:{line}  op.f{line} -> f{line + 1}" in whole for line in range(1, 7))
        assert "..." not in whole

    def test_short_ways_are_not(self) -> None:
        steps = tuple(Step("op/a.py", line, "f", "g") for line in range(1, 4))
        assert "calls ..." not in full.render(result(finding(side(trace=steps))), {})

    def test_more_than_two_sides(self) -> None:
        many = result(finding(*(side(f"op/{name}.py", 9) for name in "abcd")))
        text = full.render(many, {})
        assert "  and 2 more: op/c.py:9, op/d.py:9\n" in text
        assert "\n  C  " not in text
        assert "\n  D  check in" in full.render(many, {}, verbose=True)

    def test_the_same_code_is_shown_once(self) -> None:
        text = full.render(result(finding(CHECK, replace(CHECK, access="insert"))), SOURCES)
        assert text.count("self.pods[name] = name") == 1
        assert "the same code as above" in text
        assert text.count("kopf runs sync handlers") == 1

    def test_frames_of_one_line_are_underlined_where_the_access_is(self) -> None:
        text = full.render(result(finding(side(column=24, end_column=33))), SOURCES)
        lines = text.splitlines()
        code = next(number for number, line in enumerate(lines) if "if name not in" in line)
        assert lines[code].index("self.pods") == lines[code + 1].index("^^^^^^^^^")
        assert lines[code + 1].strip(" |") == "^" * len("self.pods")

    def test_long_regions_are_folded(self) -> None:
        source = [f"line{number}" for number in range(1, 41)]
        text = full.render(result(finding(side(line=5, column=1, end_line=35))), {"op/registry.py": source})
        assert {"line4", "line5", "line35", "line36"} <= set(re.findall(r"line\d+", text))
        assert "line20" not in text
        shown = len(set(re.findall(r"\| (line\d+)", text)))
        (hidden,) = re.findall(r"\.\.\. (\d+) lines \.\.\.", text)
        assert shown + int(hidden) == 33

    def test_very_long_lines_are_cut_around_the_access(self) -> None:
        line = "x" * 1_000_000 + "HERE" + "y" * 1_000_000
        access = side(line=1, column=1_000_001, end_column=1_000_005)
        text = full.render(result(finding(access)), {"op/registry.py": [line]})
        assert max(map(len, text.splitlines())) < 250
        frame, pointer = re.findall(r"\| (.*)", text)
        assert frame.startswith("...x")
        assert frame.endswith("y...")
        assert frame.index("HERE") == pointer.index("^^^^")
        assert pointer.strip() == "^^^^"

    def test_positions_outside_the_source_do_no_harm(self) -> None:
        for odd in (side(line=99), side(line=3, column=500), side(line=5, end_line=70), side(line=3, end_column=1)):
            assert "1 finding" in full.render(result(finding(odd)), SOURCES)

    def test_without_the_source_the_rest_is_shown(self) -> None:
        text = full.render(result(RACE), {})
        assert "--> op/gc.py:2:19" in text
        assert "| " not in text

    def test_paragraphs_are_wrapped_to_the_width(self) -> None:
        text = full.render(result(finding(why="many words " * 30)), {}, width=70)
        paragraph = [line for line in text.splitlines() if "many words" in line]
        assert len(paragraph) > 4
        assert max(map(len, paragraph)) <= 70
        assert len({len(line) - len(line.lstrip()) for line in paragraph[1:]}) == 1

    def test_suppressed_findings_are_counted_and_shown_on_demand(self) -> None:
        quiet = result(replace(RACE, suppressed="one writer"))
        assert full.render(quiet, SOURCES) == "no findings, 1 suppressed in 2 files\n"
        assert "suppressed error[check-then-act] Registry.pods" in full.render(quiet, SOURCES, verbose=True)
        assert "(one writer)" in full.render(quiet, SOURCES, verbose=True)

    def test_colours_change_nothing_but_colours(self) -> None:
        colored = full.render(result(RACE), SOURCES, color=True)
        assert "\x1b[1;31merror[check-then-act]\x1b[0m" in colored
        assert re.sub("\x1b\\[[0-9;]*m", "", colored) == full.render(result(RACE), SOURCES)


class TestConcise:
    """One line per finding."""

    def test_the_whole_look(self) -> None:
        warning = finding(severity="warning", rule="unguarded-write", code="RL101")
        assert concise.render(result(RACE, warning)) == (
            "op/registry.py:3:24: error[check-then-act] Registry.pods: the check and the insert at line 4 are not "
            "atomic (other side: delete at op/gc.py:2; handlers.on_create || gc.sweep)\n"
            "op/registry.py:3:12: warning[unguarded-write] Registry.pods: the check and the insert at line 4 are not "
            "atomic\n"
            "2 findings (1 error, 1 warning) in 2 files\n"
        )

    def test_suppressed_findings_are_left_out(self) -> None:
        text = concise.render(result(RACE, replace(RACE, suppressed="x")))
        assert text.count("error[") == 1
        assert text.endswith("1 finding (1 error), 1 suppressed in 2 files\n")

    def test_more_sides_are_counted(self) -> None:
        assert "op/gc.py:2 and 1 more; " in concise.render(result(finding(CHECK, SWEEP, CHECK)))

    def test_a_line_is_never_broken(self) -> None:
        text = concise.render(result(finding(message="Registry.pods: " + "word " * 4000)), color=True)
        assert len(text.splitlines()) == 2


class TestSummary:
    """The last line."""

    def test_nothing_found(self) -> None:
        assert summary(result(files=1)) == "no findings in 1 file"

    def test_what_is_missing_is_said(self) -> None:
        problems = (
            Problem("a.py", 3, "parse-error", "x"),
            Problem("a.py", 9, "parse-error", "y"),
            Problem("b", 0, "unreadable-folder", "x"),
            Problem("c.py", 0, "internal-error", "x"),
        )
        text = summary(result(RACE, problems=problems, files=14))
        assert text.startswith("1 finding (1 error) in 14 files; incomplete: 1 file could not be ")
        assert ", 1 file could not be analysed, 1 folder could not be searched" in text

    @pytest.mark.parametrize("rule", ["unused-ignore", "malformed-comment", "unknown-rule-in-comment"])
    def test_comments_do_not_make_a_run_incomplete(self, rule: str) -> None:
        assert "incomplete" not in summary(result(problems=(Problem("a.py", 3, rule, "x"),)))

    @pytest.mark.parametrize(
        "rule", ["parse-error", "unreadable-file", "huge-file", "symlink-outside", "symlink-loop", "anything-else"]
    )
    def test_everything_else_does(self, rule: str) -> None:
        assert "; incomplete: 1 " in summary(result(problems=(Problem("a.py", 3, rule, "x"),)))


class TestStatistics:
    """Numbers per rule."""

    def test_most_frequent_first_and_suppressed_ones_not_counted(self) -> None:
        warning = finding(severity="warning", rule="unguarded-write", code="RL101")
        found = [RACE, replace(RACE, suppressed="x"), *[warning] * 11]
        assert statistics.render(result(*found)) == (
            "11  RL101  warning  unguarded-write\n"
            " 1  RL102  error    check-then-act\n"
            "12 findings (1 error, 11 warnings), 1 suppressed in 2 files\n"
        )

    def test_without_findings(self) -> None:
        assert statistics.render(result()) == "no findings in 2 files\n"


class TestJson:
    """JSON, version 1."""

    def document(self, *findings: Finding, **changes: Any) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(json_report.render(result(*findings, **changes)))
        jsonschema.validate(document, schema(), cls=jsonschema.Draft202012Validator)
        return document

    def test_the_schema_is_a_schema_and_closed(self) -> None:
        jsonschema.Draft202012Validator.check_schema(schema())
        document = self.document(RACE)
        for part in (document, document["summary"], document["findings"][0], document["findings"][0]["sides"][0]):
            part["surprise"] = 1
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(document, schema())
            del part["surprise"]

    def test_every_field(self) -> None:
        problem = Problem("bad.py", 3, "parse-error", "no")
        fix = Fix("unsafe", "hold the lock", (Edit("op/gc.py", 1, 1, 2, 3, "with x:\n"),))
        document = self.document(
            replace(RACE, fix=fix),
            replace(RACE, suppressed="ok"),
            problems=(problem,),
            files=14,
            entry_points=(entry_point(),),
            from_cache=5,
            elapsed_s=1.23456,
        )
        assert document["version"] == 1
        assert document["tool"] == {"name": "racelint", "version": __version__}
        assert document["summary"] == {
            "files": 14,
            "lines": 120,
            "functions": 9,
            "entry_points": 1,
            "findings": 1,
            "by_rule": {"check-then-act": 1},
            "by_severity": {"error": 1},
            "problems": 1,
            "elapsed_s": 1.235,
            "from_cache": 5,
        }
        first, second = document["findings"]
        assert second["suppressed"] == "ok"
        assert first == {
            "rule": "check-then-act",
            "code": "RL102",
            "severity": "error",
            "confidence": "high",
            "message": RACE.message,
            "place": "op.registry.Registry.pods",
            "fingerprint": RACE.fingerprint,
            "suppressed": None,
            "sides": first["sides"],
            "fix": {
                "applicability": "unsafe",
                "title": "hold the lock",
                "edits": [
                    {
                        "path": "op/gc.py",
                        "start_line": 1,
                        "start_column": 1,
                        "end_line": 2,
                        "end_column": 3,
                        "text": "with x:\n",
                    }
                ],
            },
        }
        assert first["sides"][0] == {
            "path": "op/registry.py",
            "line": 3,
            "column": 24,
            "end_line": 4,
            "end_column": 35,
            "function": "op.registry.Registry.sync",
            "access": "check",
            "locks": [],
            "context": {
                "entry": "op.handlers.on_create",
                "kind": "pool",
                "path": "op/handlers.py",
                "line": 38,
                "why": "kopf runs sync handlers in a thread pool",
            },
            "trace": [{"path": "op/handlers.py", "line": 40, "function": "op.handlers.on_create", "call": "sync"}],
        }
        assert first["sides"][1]["locks"] == ["op.registry.Registry._lock"]
        assert document["problems"] == [{"path": "bad.py", "line": 3, "rule": "parse-error", "message": "no"}]

    def test_an_empty_result(self) -> None:
        document = self.document()
        assert document["findings"] == document["problems"] == []
        assert document["summary"]["by_rule"] == {}

    def test_entry_points(self) -> None:
        document = json.loads(json_report.render_entry_points([entry_point()]))
        assert document["version"] == 1
        assert document["entry_points"] == [
            {
                "function": "op.handlers.on_create",
                "kind": "pool",
                "overlaps_itself": True,
                "path": "op/handlers.py",
                "line": 38,
                "why": "kopf runs sync handlers in a thread pool",
                "row": "kopf.on.create",
                "table": "kopf",
            }
        ]


class TestEntryPoints:
    """The table of what runs concurrently."""

    def test_the_whole_look(self) -> None:
        timer = entry_point(
            function="op.gc.sweep", kind="thread", overlaps_itself=False, row="threading.Thread", table=""
        )
        assert entry_points.render([entry_point(), timer]) == (
            "FUNCTION               CONTEXT  OVERLAPS ITSELF  WHERE              TABLE ROW             WHY\n"
            "op.handlers.on_create  pool     yes              op/handlers.py:38  kopf: kopf.on.create  "
            "kopf runs sync handlers in a thread pool\n"
            "op.gc.sweep            thread   no               op/handlers.py:38  threading.Thread      "
            "kopf runs sync handlers in a thread pool\n"
            "2 entry points\n"
        )

    def test_none(self) -> None:
        assert entry_points.render([]) == "0 entry points\n"


class TestHostileNames:
    """Nothing of a project steers a terminal."""

    @pytest.mark.parametrize("verbose", [False, True])
    def test_text(self, verbose: bool) -> None:
        bad = hostile(HOSTILE)
        shown = result(bad, replace(bad, suppressed=f"reason {HOSTILE}"))
        sources = {bad.sides[0].path: [f"x = '{HOSTILE}'  # {HOSTILE}", f"y{HOSTILE}"]}
        for text in (
            full.render(shown, sources, verbose=verbose),
            concise.render(shown),
            statistics.render(shown),
            json_report.render(shown),
            entry_points.render([entry_point(function=HOSTILE, path=HOSTILE, why=HOSTILE, row=HOSTILE)]),
            problem_line(Problem(HOSTILE, 1, "parse-error", HOSTILE)),
        ):
            assert not FORBIDDEN.search(text)
            text.encode("utf-8")

    def test_colours_are_the_only_escapes(self) -> None:
        bad = hostile(HOSTILE)
        sources = {bad.sides[0].path: [f"x = '{HOSTILE}'"]}
        plain = full.render(result(bad), sources)
        colored = full.render(result(bad), sources, color=True)
        assert re.sub("\x1b\\[[0-9;]*m", "", colored) == plain

    def test_each_finding_keeps_its_line(self) -> None:
        assert len(concise.render(result(hostile(HOSTILE))).splitlines()) == 2

    def test_json_gives_names_back_unchanged(self) -> None:
        document = json.loads(json_report.render(result(hostile(HOSTILE))))
        assert document["findings"][0]["message"] == f"message {HOSTILE}"

    def test_markup_is_not_interpreted(self) -> None:
        text = full.render(result(finding(message="Registry.pods[red] :smile: [/]")), {}, color=True)
        assert "Registry.pods[red] :smile: [/]" in text

    def test_safe_leaves_letters_of_all_languages(self) -> None:
        text = "größe 日本 имя é \u3000x"
        assert safe(text) == text

    @given(st.text())
    def test_safe_is_printable_on_one_line(self, text: str) -> None:
        escaped = safe(text)
        assert not FORBIDDEN.search(escaped)
        assert len(escaped.splitlines()) <= 1
        assert safe(escaped) == escaped

    @given(st.text(max_size=80), st.integers(1, 90), st.integers(1, 90))
    def test_frames_never_fail(self, line: str, column: int, end_column: int) -> None:
        odd = side(line=1, column=column, end_column=end_column)
        text = full.render(result(finding(odd)), {"op/registry.py": [line]})
        assert not FORBIDDEN.search(text)
        assert text.endswith("1 finding (1 error) in 2 files\n")
