"""The Markdown test harness itself, on findings built by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from racelint import testing
from racelint.model.findings import Confidence, Context, Finding, Severity, Side
from racelint.model.source import Problem
from racelint.testing import Case, CaseError, Mismatch, compare, expectation_lines, parse

CONTEXT = Context("main.handle", "pool", "main.py", 1, "handlers run in a pool")


def side(path: str, line: int, access: str = "write") -> Side:
    """A side of a finding at a line; the rest does not matter here."""
    return Side(path, line, 1, line, 5, "main.handle", access, (), CONTEXT, ())


def finding(
    *ends: tuple[str, int],
    rule: str = "check-then-act",
    message: str = "the check and the insert are not atomic",
    place: str = "main.CACHE",
    severity: Severity = "error",
    confidence: Confidence = "high",
    suppressed: str | None = None,
) -> Finding:
    """A finding with sides at ``ends``."""
    sides = tuple(side(path, line) for path, line in ends)
    return Finding(rule, "RL102", severity, confidence, message, place, "f", sides, suppressed=suppressed)


def document(*lines: str) -> str:
    """A document with one heading and one fence of these lines, the first of which is line 1 of main.py."""
    return "\n".join(["# Title", "", "```python", *lines, "```", ""])


def one(*lines: str) -> Case:
    """The single case of ``document``."""
    (case,) = parse(document(*lines))
    return case


def failed(case: Case, *findings: Finding) -> list[tuple[str, int]]:
    """Where the case fails."""
    return [(item.path, item.line) for item in compare(case, findings, rule_names=frozenset({"check-then-act"}))]


class TestParse:
    def test_headings_are_tests_and_fences_are_files(self) -> None:
        text = "\n".join(
            [
                "# Rule",
                "prose",
                "## Harmful",
                "### Two files",
                "op/a.py:",
                "```python",
                "A = 1",
                "```",
                "Text between.",
                "`op/b.py`:",
                "",
                "```python",
                "B = 2",
                "",
                "```",
                "```toml",
                'exclude = ["x"]',
                "```",
                "```console",
                "$ racelint check",
                "```",
                "### One file",
                "```python",
                "# not a heading",
                "```",
                "## Harmless",
            ]
        )
        first, second = parse(text)
        assert first.name == "Rule / Harmful / Two files"
        assert [(file.path, file.text, file.line) for file in first.files] == [
            ("op/a.py", "A = 1\n", 7),
            ("op/b.py", "B = 2\n\n", 13),
            ("racelint.toml", 'exclude = ["x"]\n', 17),
        ]
        assert second.name == "Rule / Harmful / One file"
        assert [(file.path, file.text) for file in second.files] == [("main.py", "# not a heading\n")]

    def test_a_heading_without_fences_is_prose(self) -> None:
        assert parse("# Title\n\ntext\n\n## More\n") == ()

    def test_library_mode(self) -> None:
        text = "# A\n<!-- racelint: library -->\n```python\nx = 1\n```\n# B\n```python\nx = 1\n```\n"
        assert [case.library for case in parse(text)] == [True, False]

    def test_marks(self) -> None:
        case = one(
            'x = 1  # expect: check-then-act @1 "not atomic"; expect: unguarded-write',
            "y = 2  # peer: @1; missed: lock-order the key; is computed",
            "z = 3  # false-alarm: check-then-act joined before; ok: not really",
        )
        assert [(m.kind, m.line, m.document_line, m.rule, m.label, m.text) for m in case.marks] == [
            ("expect", 1, 4, "check-then-act", "1", "not atomic"),
            ("expect", 1, 4, "unguarded-write", "", ""),
            ("peer", 2, 5, "", "1", ""),
            ("missed", 2, 5, "lock-order", "", "the key; is computed"),
            ("false-alarm", 3, 6, "check-then-act", "", "joined before"),
            ("ok", 3, 6, "", "", "not really"),
        ]

    def test_an_annotation_is_no_mark(self) -> None:
        assert one("x = 1; ok: int = 2").marks == ()

    def test_a_fence_inside_a_longer_fence_is_its_text(self) -> None:
        (case,) = parse('# T\n````python\nx = """\n```\n"""\n````\n')
        assert case.files[0].text == 'x = """\n```\n"""\n'

    @pytest.mark.parametrize(
        ("text", "line", "message"),
        [
            ("# T\n```python\nx = 1\n", 2, "never closed"),
            ("```python\nx = 1\n```\n", 2, "before the first heading"),
            ("# T\n```python\n```\n```python\n```\n", 5, "main.py is already"),
            ("# T\n../a.py:\n```python\n```\n", 4, "outside the project"),
            ("# T\n/a.py:\n```python\n```\n", 4, "outside the project"),
            ("# T\na.py:\n```\nx = 1\n```\n", 4, "must be marked"),
            ("# T\n```python title\nx = 1\n```\n", 3, "nothing else"),
            (document("x  # expect:"), 4, "needs a rule"),
            (document("x  # expect: check-then-act 1"), 4, "needs a rule"),
            (document("x  # peer: 1"), 4, "needs the @label"),
            (document("", "x  # peer: @1"), 5, "no `expect:` under this heading"),
            (document("x  # missed: check-then-act"), 4, "needs a rule and a reason"),
            (document("x  # expect: a @1", "y  # expect: b @1"), 5, "already used"),
        ],
    )
    def test_what_would_silently_not_be_tested_is_an_error(self, text: str, line: int, message: str) -> None:
        with pytest.raises(CaseError, match=message) as caught:
            parse(text)
        assert caught.value.line == line
        assert str(caught.value).startswith(f"line {line}: ")


class TestCompare:
    def test_expected_and_found(self) -> None:
        case = one("x  # expect: check-then-act", "y")
        assert failed(case, finding(("main.py", 1), ("main.py", 2))) == []

    def test_expected_and_not_found(self) -> None:
        assert failed(one("x", "y  # expect: check-then-act")) == [("main.py", 2)]

    def test_only_the_first_side_counts_for_expect(self) -> None:
        case = one("x  # expect: check-then-act", "y")
        assert failed(case, finding(("main.py", 2), ("main.py", 1))) == [("main.py", 1), ("main.py", 2)]

    def test_unmarked_lines_must_be_silent(self) -> None:
        (mismatch,) = compare(one("x"), [finding(("main.py", 1), ("main.py", 1))])
        assert (mismatch.expected, mismatch.document_line) == ("silence", 4)
        assert "main.CACHE: the check and the insert are not atomic" in mismatch.got

    def test_ok_documents_only(self) -> None:
        assert failed(one("x  # ok: claimed"), finding(("main.py", 1))) == [("main.py", 1)]

    def test_peer_must_be_another_side(self) -> None:
        case = one("x  # expect: check-then-act @1", "y  # peer: @1", "z")
        assert failed(case, finding(("main.py", 1), ("main.py", 2))) == []
        assert failed(case, finding(("main.py", 1), ("main.py", 3), ("main.py", 2))) == []
        assert failed(case, finding(("main.py", 1), ("main.py", 3))) == [("main.py", 2)]

    def test_a_peer_on_the_line_of_its_own_finding(self) -> None:
        case = one("x  # expect: check-then-act @1; peer: @1")
        assert failed(case, finding(("main.py", 1), ("main.py", 1))) == []
        assert failed(case, finding(("main.py", 1))) == [("main.py", 1)]

    def test_text_must_be_in_the_message(self) -> None:
        assert failed(one('x  # expect: check-then-act "not atomic"'), finding(("main.py", 1))) == []
        assert failed(one('x  # expect: check-then-act "lost"'), finding(("main.py", 1))) == [("main.py", 1)]

    def test_each_mark_takes_one_finding(self) -> None:
        two = [finding(("main.py", 1), message="of A"), finding(("main.py", 1), message="of B")]
        assert failed(one("x  # expect: check-then-act"), *two) == [("main.py", 1)]
        assert failed(one('x  # expect: check-then-act; expect: check-then-act "of A"'), *two) == []

    def test_another_rule_on_the_line_is_two_mismatches(self) -> None:
        other = finding(("main.py", 1), rule="unguarded-write")
        assert failed(one("x  # expect: check-then-act"), other) == [("main.py", 1), ("main.py", 1)]

    @pytest.mark.parametrize(
        "hidden",
        [
            finding(("main.py", 1), severity="note"),
            finding(("main.py", 1), confidence="low"),
            finding(("main.py", 1), suppressed="known"),
        ],
    )
    def test_what_is_not_shown_by_default_is_not_there(self, hidden: Finding) -> None:
        assert failed(one("x"), hidden) == []
        assert failed(one("x  # expect: check-then-act"), hidden) == [("main.py", 1)]

    def test_missed_fails_once_it_is_reported(self) -> None:
        case = one("x  # missed: check-then-act the key is computed")
        assert failed(case) == []
        assert failed(case, finding(("main.py", 1))) == [("main.py", 1)]

    def test_false_alarm_fails_once_it_is_silent(self) -> None:
        case = one("x  # false-alarm: check-then-act joined before")
        assert failed(case, finding(("main.py", 1))) == []
        assert failed(case) == [("main.py", 1)]

    def test_a_rule_that_does_not_exist(self) -> None:
        (mismatch,) = compare(one("x  # missed: chekc-then-act typo"), [], rule_names=frozenset({"check-then-act"}))
        assert mismatch.got == "unknown rule chekc-then-act"

    def test_a_problem_of_the_run_is_a_mismatch(self) -> None:
        (mismatch,) = compare(one("x"), [], [Problem("main.py", 1, "parse-error", "what is this")])
        assert mismatch.got == "parse-error: what is this"

    def test_a_finding_outside_the_document_points_at_the_heading(self) -> None:
        (mismatch,) = compare(one("x"), [finding(("other.py", 7))])
        assert (mismatch.path, mismatch.line, mismatch.document_line) == ("other.py", 7, 1)

    def test_mismatches_are_readable(self) -> None:
        case = one("x", 'y  # expect: check-then-act @1 "Cache"')
        assert str(*compare(case, [], rule_names=frozenset({"check-then-act"}))) == (
            'main.py:2 (line 5 of the document)\n  expected: check-then-act @1 "Cache"\n  got:      nothing here'
        )
        assert "elsewhere: check-then-act main.CACHE" in str(compare(case, [finding(("main.py", 1))])[1])


class TestExpectationLines:
    def test_format_and_order(self) -> None:
        lines = expectation_lines(
            [
                finding(("b.py", 2), ("a.py", 9)),
                finding(("a.py", 10), ("a.py", 11), ("c.py", 1)),
                finding(("a.py", 9)),
            ]
        )
        assert lines == [
            "a.py:9 check-then-act main.CACHE",
            "a.py:10 check-then-act main.CACHE | a.py:11",
            "b.py:2 check-then-act main.CACHE | a.py:9",
        ]


class TestRunCase:
    def run(self, case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> list[Mismatch]:
        """The mismatches when the analysis finds ``findings``; checks what it was given."""

        def analyse(project: Path, settings: object) -> SimpleNamespace:
            assert project == folder
            assert settings.library is case.library  # type: ignore[attr-defined]
            for file in case.files:
                assert (project / file.path).read_text(encoding="utf-8") == file.text
            return SimpleNamespace(findings=findings, problems=())

        monkeypatch.setattr("racelint.pipeline.analyse", analyse)
        return list(testing.run_case(case, folder))

    @pytest.mark.parametrize("note", ["", "<!-- racelint: library -->"])
    def test_files_and_settings(self, note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        text = f"# T\n{note}\nop/é.py:\n```python\nx = 'é'\n```\n"
        (case,) = parse(text.replace("op/é.py", "op/e.py"))
        assert self.run(case, tmp_path, monkeypatch) == []
        (mismatch,) = self.run(case, tmp_path, monkeypatch, finding(("op/e.py", 1)))
        assert mismatch.document_line == 5

    def test_a_real_run_is_silent_about_plain_code(self, tmp_path: Path) -> None:
        (case,) = parse("# T\n```python\nimport os\n\nHOME = os.sep\n```\n```toml\n```\n")
        assert testing.run_case(case, tmp_path) == ()

    def test_a_real_run_cannot_pass_with_a_broken_example(self, tmp_path: Path) -> None:
        (case,) = parse("# T\n```python\ndef (:\n```\n")
        assert [item.path for item in testing.run_case(case, tmp_path)] == ["main.py"]
