"""Reports for build servers and for changes under review, each as its reader takes it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import xmlschema
from build_servers import Command, azure_commands, github_commands
from click.testing import CliRunner
from handmade import CHECK, SWEEP, finding, hostile, result, side
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from test_cli import RACY
from test_formats import ATTACKS

from racelint import cli
from racelint.model.findings import Edit, Finding, Fix
from racelint.model.source import Problem
from racelint.report import azure, github, gitlab, junit, markdown, rdjson
from racelint.report.text import safe

SCHEMAS = Path(__file__).parent / "schemas"
RACE = finding(CHECK, SWEEP)
WARNING = finding(severity="warning", rule="unguarded-write", code="RL101", fingerprint="w")
QUIET = finding(suppressed="one writer", message="Registry.pods: silenced")
UNREADABLE = Problem("op/bad.py", 3, "parse-error", "no: 100%, sure")
UNUSED = Problem("op/old.py", 9, "unused-ignore", "silences nothing")


class TestGitHub:
    """Workflow commands."""

    def test_the_whole_look(self) -> None:
        assert github.render(result(WARNING, QUIET, RACE, problems=(UNREADABLE,), files=14)) == (
            "::error file=op/registry.py,line=3,endLine=4,title=racelint check-then-act (RL102)::"
            "Registry.pods: the check and the insert at line 4 are not atomic%0A"
            "op/registry.py:3: check, then insert in op.registry.Registry.sync, no lock held, in thread pool: "
            "handlers.on_create%0A"
            "op/gc.py:2: delete in op.gc.sweep, holding `Registry._lock`, in thread: gc.sweep%0A"
            "In production: both add the entry: the work is done twice%0A"
            "Help: hold one lock over the check and the insert\n"
            "::warning file=op/registry.py,line=3,endLine=3,col=12,endColumn=17,"
            "title=racelint unguarded-write (RL101)::"
            "Registry.pods: the check and the insert at line 4 are not atomic%0A"
            "op/registry.py:3: check in op.registry.Registry.sync, no lock held, in thread pool: handlers.on_create%0A"
            "In production: both add the entry: the work is done twice%0A"
            "Help: hold one lock over the check and the insert\n"
            "::warning file=op/bad.py,line=3,title=racelint parse-error::no: 100%25, sure\n"
            "2 findings (1 error, 1 warning), 1 suppressed in 14 files; "
            "incomplete: 1 file could not be read or parsed\n"
        )

    def test_a_note_is_a_notice(self) -> None:
        assert github.render(result(finding(severity="note"))).startswith("::notice file=")

    def test_without_findings(self) -> None:
        assert github.render(result()) == "no findings in 2 files\n"

    def test_a_problem_of_a_whole_file_has_no_line(self) -> None:
        text = github.render(result(problems=(Problem("op", 0, "unreadable-folder", "denied"),)))
        assert text.startswith("::warning file=op,title=racelint unreadable-folder::denied\n")

    def test_no_more_than_are_shown_and_the_gravest_and_surest_of_them(self) -> None:
        unsure = [finding(message=f"Registry.pods: unsure {number}", confidence="low") for number in range(9)]
        sure = [finding(message=f"Registry.pods: sure {number}") for number in range(9)]
        warnings = [finding(severity="warning") for _ in range(9)]
        notes = [finding(severity="note") for _ in range(11)]
        problems = tuple(Problem("a.py", number, "parse-error", "no") for number in range(1, 4))
        text = github.render(result(*notes, *unsure, *warnings, *sure, problems=problems))
        found = github_commands(text)
        assert [command.name for command in found if "RL102" in command.properties["title"]] == (
            ["error"] * 10 + ["warning"] * 9 + ["notice"] * 10
        )
        assert [command.name for command in found[-1:]] == ["warning"]
        assert len([command for command in found if "unsure" in command.data]) == 1
        assert text.splitlines()[-1].endswith("; 11 not annotated, as a step shows 10 of each kind")

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_the_runner_reads_back_what_was_written(self, attack: str) -> None:
        text = ATTACKS[attack]
        bad = hostile(text)
        first, second = github_commands(
            github.render(result(bad, problems=(Problem(f"{text}.py", 1, "parse-error", text),)))
        )
        assert first.properties == {
            "file": safe(f"op/{text}.py"),
            "line": "1",
            "endLine": "1",
            "col": "1",
            "endColumn": "200",
            "title": "racelint check-then-act (RL102)",
        }
        assert first.data.split("\n")[0].endswith(safe(f"message {text}"))
        assert len(first.data.split("\n")) == 5
        assert second == Command(
            "warning", {"file": safe(f"{text}.py"), "line": "1", "title": "racelint parse-error"}, safe(text)
        )


class TestAzure:
    """Logging commands."""

    def test_the_whole_look(self) -> None:
        assert azure.render(result(WARNING, QUIET, RACE, problems=(UNREADABLE,), files=14)) == (
            "##vso[task.logissue type=error;sourcepath=op/registry.py;linenumber=3;columnnumber=24;"
            "code=RL102 check-then-act;]Registry.pods: the check and the insert at line 4 are not atomic "
            "(other side: delete at op/gc.py:2; handlers.on_create || gc.sweep)\n"
            "##vso[task.logissue type=warning;sourcepath=op/registry.py;linenumber=3;columnnumber=12;"
            "code=RL101 unguarded-write;]Registry.pods: the check and the insert at line 4 are not atomic\n"
            "##vso[task.logissue type=warning;sourcepath=op/bad.py;linenumber=3;code=parse-error;]"
            "no: 100%AZP25, sure\n"
            "2 findings (1 error, 1 warning), 1 suppressed in 14 files; "
            "incomplete: 1 file could not be read or parsed\n"
        )

    def test_there_are_no_notes(self) -> None:
        assert azure.render(result(finding(severity="note"))).startswith("##vso[task.logissue type=warning;")

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_the_agent_reads_back_what_was_written(self, attack: str) -> None:
        text = ATTACKS[attack]
        (found,) = azure_commands(azure.render(result(hostile(text))))
        assert found.properties == {
            "type": "error",
            "sourcepath": safe(f"op/{text}.py"),
            "linenumber": "1",
            "columnnumber": "1",
            "code": "RL102 check-then-act",
        }
        assert safe(f"message {text}") in found.data
        assert "\n" not in found.data


def issue(document: Any) -> None:
    """Check what codeclimate/platform, spec/analyzers/SPEC.md, asks of an issue and GitLab's page of a report."""
    assert document["type"] == "issue"
    assert document["categories"] == ["Bug Risk"]
    assert document["severity"] in ("info", "minor", "major", "critical", "blocker")
    assert all(isinstance(document[key], str) for key in ("check_name", "description", "fingerprint"))
    assert "\n" not in document["description"]
    for place in (document["location"], *document.get("other_locations", ())):
        assert not place["path"].startswith(("/", "./"))
        assert 1 <= place["lines"]["begin"] <= place["lines"].get("end", place["lines"]["begin"])


class TestGitLab:
    """Code Quality."""

    def report(self, *findings: Finding, **changes: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(gitlab.render(result(*findings, **changes), {}))
        for item in found:
            issue(item)
        return found

    def test_a_whole_issue(self) -> None:
        (found,) = self.report(RACE)
        body = found.pop("content")["body"]
        assert body.startswith(
            "#### error: `check-then-act` (RL102) at `op/registry.py:3:24`\n\nRegistry.pods: the check"
        )
        assert found == {
            "type": "issue",
            "check_name": "check-then-act",
            "description": "Registry.pods: the check and the insert at line 4 are not atomic "
            "(other side: delete at op/gc.py:2; handlers.on_create || gc.sweep)",
            "categories": ["Bug Risk"],
            "severity": "critical",
            "fingerprint": "0123456789abcdef",
            "location": {"path": "op/registry.py", "lines": {"begin": 3, "end": 4}},
            "other_locations": [{"path": "op/gc.py", "lines": {"begin": 2, "end": 2}}],
        }

    def test_nothing_is_an_empty_array(self) -> None:
        assert self.report() == []
        assert self.report(QUIET) == []

    def test_severities(self) -> None:
        found = self.report(RACE, WARNING, finding(severity="note"))
        assert [item["severity"] for item in found] == ["critical", "major", "info"]

    def test_problems_are_issues_of_their_own(self) -> None:
        failure = Problem("op/x.py", 0, "internal-error", "a bug")
        found = self.report(problems=(UNREADABLE, failure, Problem("op/bad.py", 4, "parse-error", "no: 100%, sure")))
        assert [(item["check_name"], item["severity"], item["location"]) for item in found] == [
            ("parse-error", "major", {"path": "op/bad.py", "lines": {"begin": 3}}),
            ("internal-error", "critical", {"path": "op/x.py", "lines": {"begin": 1}}),
            ("parse-error", "major", {"path": "op/bad.py", "lines": {"begin": 4}}),
        ]
        assert len({item["fingerprint"] for item in found}) == 3

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_hostile_texts(self, attack: str) -> None:
        (found, _) = self.report(hostile(ATTACKS[attack]), problems=(Problem("a.py", 1, "x", ATTACKS[attack]),))
        only_text(found["content"]["body"])


class TestJUnit:
    """JUnit XML."""

    def suite(self, *findings: Finding, **changes: Any) -> ET.Element:
        text = junit.render(result(*findings, **changes), {})
        assert text.isascii()
        assert text.startswith("<?xml version='1.0' encoding='us-ascii'?>\n<testsuites ")
        xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd")).validate(text)
        (suite,) = ET.fromstring(text)
        cases = list(suite.iter("testcase"))
        assert suite.get("tests") == str(len(cases))
        assert suite.get("failures") == str(sum(case.find("failure") is not None for case in cases))
        assert suite.get("errors") == str(sum(case.find("error") is not None for case in cases))
        return suite

    def test_a_failure(self) -> None:
        (case,) = self.suite(RACE, QUIET)
        assert case.attrib == {
            "classname": "op/registry.py",
            "name": "check-then-act: op.registry.Registry.pods in op.registry.Registry.sync",
        }
        (failure,) = case
        assert failure.attrib == {
            "type": "RL102",
            "message": "op/registry.py:3: Registry.pods: the check and the insert at line 4 are not atomic "
            "(other side: delete at op/gc.py:2; handlers.on_create || gc.sweep)",
        }
        assert failure.text is not None
        assert failure.text.startswith("op/registry.py:3:24: error[check-then-act] Registry.pods: the check and")
        assert "\n  B  delete in op.gc.sweep, holding `Registry._lock`\n" in failure.text

    def test_without_findings_one_test_passes(self) -> None:
        (case,) = self.suite(QUIET)
        assert (case.get("classname"), case.get("name"), list(case)) == ("racelint", "no findings", [])

    def test_what_was_not_analysed_is_an_error(self) -> None:
        case, log = self.suite(problems=(UNREADABLE,))
        assert [(part.tag, part.attrib) for part in case] == [
            ("error", {"type": "parse-error", "message": "op/bad.py:3: no: 100%, sure"})
        ]
        assert log.text == "op/bad.py:3: warning[parse-error]: no: 100%, sure\n"

    def test_a_comment_that_does_nothing_fails_no_test(self) -> None:
        case, log = self.suite(problems=(UNUSED,))
        assert case.get("name") == "no findings"
        assert log.text == "op/old.py:9: warning[unused-ignore]: silences nothing\n"

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_hostile_texts(self, attack: str) -> None:
        text = ATTACKS[attack]
        case, error, log = self.suite(hostile(text), problems=(Problem(f"{text}.py", 1, "parse-error", text),))
        assert (case.tag, error.tag, log.tag) == ("testcase", "testcase", "system-err")
        assert case.get("classname") == safe(f"op/{text}.py")
        assert safe(f"message {text}") in case[0].attrib["message"]
        assert not case[0].findall("*")


class TestRdjson:
    """Reviewdog."""

    LINES = ("class Registry:", "    def f(self):", "        x = 'größe', self.pods", "        y = 1", "        z = 2")

    def diagnostics(self, *findings: Finding, **changes: Any) -> list[dict[str, Any]]:
        document = json.loads(rdjson.render(result(*findings, **changes), {"op/registry.py": self.LINES}))
        schema = json.loads((SCHEMAS / "rdjson.json").read_text("utf-8"))
        jsonschema.validate(document, schema, cls=jsonschema.Draft4Validator)
        assert document["source"] == {"name": "racelint"}
        found: list[dict[str, Any]] = document["diagnostics"]
        return found

    def suggestions(self, *edits: tuple[int, int, int, int, str], path: str = "op/registry.py") -> list[dict[str, Any]]:
        fix = Fix("safe", "hold a lock", tuple(Edit(path, *edit) for edit in edits))
        (found,) = self.diagnostics(finding(fix=fix))
        suggested: list[dict[str, Any]] = found["suggestions"]
        return suggested

    def test_a_whole_diagnostic(self) -> None:
        (found,) = self.diagnostics(finding(side(column=22, end_column=31), SWEEP), QUIET)
        assert found == {
            "message": "Registry.pods: the check and the insert at line 4 are not atomic "
            "(other side: delete at op/gc.py:2; handlers.on_create || gc.sweep)",
            "location": {
                "path": "op/registry.py",
                # columns count bytes
                "range": {"start": {"line": 3, "column": 24}, "end": {"line": 3, "column": 33}},
            },
            "severity": "ERROR",
            "code": {"value": "check-then-act"},
            "suggestions": [],
            "related_locations": [
                {
                    "message": "delete in op.gc.sweep, holding `Registry._lock`",
                    "location": {
                        "path": "op/gc.py",
                        "range": {"start": {"line": 2, "column": 19}, "end": {"line": 2, "column": 27}},
                    },
                }
            ],
        }

    def test_severities(self) -> None:
        found = self.diagnostics(RACE, WARNING, finding(severity="note"))
        assert [item["severity"] for item in found] == ["ERROR", "WARNING", "INFO"]

    def test_problems(self) -> None:
        found = self.diagnostics(problems=(UNREADABLE, Problem("op", 0, "unreadable-folder", "denied")))
        assert found == [
            {
                "message": "no: 100%, sure",
                "location": {"path": "op/bad.py", "range": {"start": {"line": 3}}},
                "severity": "WARNING",
                "code": {"value": "parse-error"},
            },
            {
                "message": "denied",
                "location": {"path": "op"},
                "severity": "WARNING",
                "code": {"value": "unreadable-folder"},
            },
        ]

    @pytest.mark.parametrize(
        ("edits", "start", "end", "text"),
        [
            ([(4, 1, 5, 1, "        y = 2\n")], 4, 4, "        y = 2"),
            ([(4, 1, 4, 1, "        w = 0\n")], 4, 4, "        w = 0\n        y = 1"),
            (
                [(2, 1, 2, 1, "    a = 0\n"), (4, 1, 5, 1, "        y = 2\n        y = 3\n")],
                2,
                4,
                "    a = 0\n    def f(self):\n        x = 'größe', self.pods\n        y = 2\n        y = 3",
            ),
            (
                [(4, 1, 5, 1, "        y = 2\n"), (2, 1, 3, 1, "    b\n")],
                2,
                4,
                "    b\n" + LINES[2] + "\n        y = 2",
            ),
            ([(4, 9, 4, 10, "w"), (5, 13, 5, 14, "3")], 4, 5, "        w = 1\n        z = 3"),
            ([(4, 1, 5, 14, "        q = 0")], 4, 5, "        q = 0"),
            (
                [(2, 1, 2, 1, "    a\r\n"), (4, 1, 5, 1, "    b\r\n")],
                2,
                4,
                f"    a\r\n{LINES[1]}\r\n{LINES[2]}\r\n    b",
            ),
        ],
    )
    def test_a_fix_is_one_suggestion_of_whole_lines(self, edits: Any, start: int, end: int, text: str) -> None:
        assert self.suggestions(*edits) == [{"range": {"start": {"line": start}, "end": {"line": end}}, "text": text}]

    def test_half_a_fix_is_not_suggested(self) -> None:
        assert self.suggestions((1, 1, 2, 1, "x\n"), path="op/gc.py") == []
        assert self.suggestions() == []
        assert self.suggestions((9, 1, 9, 1, "x\n")) == []

    @pytest.mark.parametrize("hidden", ["\u202e", "\x1b[31m", "\u200b", "\x00"])
    def test_code_that_hides_something_is_not_suggested(self, hidden: str) -> None:
        assert self.suggestions((4, 1, 5, 1, f"        y = '{hidden}'\n")) == []
        assert self.suggestions((4, 1, 5, 1, "\ty = 'ü'\n")) != []

    @pytest.mark.parametrize("newline", ["\n", "\r\n"])
    def test_a_suggestion_that_is_taken_is_the_fix(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newline: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "work.py"
        path.write_bytes(RACY.replace("\n", newline).encode())
        shown = CliRunner().invoke(cli.main, ["check", "--output-format", "rdjson"]).stdout
        (suggestion,) = json.loads(shown)["diagnostics"][0]["suggestions"]
        lines = path.read_bytes().decode().split(newline)
        start, end = suggestion["range"]["start"]["line"], suggestion["range"]["end"]["line"]
        taken = [*lines[: start - 1], *suggestion["text"].split(newline), *lines[end:]]
        CliRunner().invoke(cli.main, ["check", "--fix", "--unsafe-fixes"])
        assert newline.join(taken) == path.read_bytes().decode() != RACY.replace("\n", newline)

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_hostile_texts(self, attack: str) -> None:
        found = self.diagnostics(hostile(ATTACKS[attack]), problems=(Problem("a.py", 1, "x", ATTACKS[attack]),))
        for item in found:
            only_text(item["message"])


# GitHub's Markdown as far as it can harm; links that are made of plain text are looked for in only_text.
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OWN_HTML = {"<details><summary>Code and call paths</summary>\n", "</details>\n", "</details>"}
HARMLESS = {"text", "text_special", "code_inline", "strong_open", "strong_close"}
BLOCKS = {"paragraph", "heading", "bullet_list", "list_item"}


def tokens(text: str) -> list[Token]:
    return READER.parse(text)


def only_text(text: str) -> None:
    """Check that a reader of Markdown finds text, code and the report's own structure in ``text``, nothing else."""
    for token in tokens(text):
        if token.type == "html_block":
            assert token.content in OWN_HTML
        elif token.type not in ("fence", "inline"):
            assert token.type.rpartition("_")[0] in BLOCKS, token
        for part in token.children or ():
            assert part.type in HARMLESS, part
            if part.type != "code_inline":
                assert not re.search(r"@|#\d|!\d|://|www\.", part.content), part.content


class TestMarkdown:
    """A comment on a change, or the summary of a job."""

    def test_the_whole_look(self) -> None:
        text = markdown.render(
            result(WARNING, QUIET, RACE, problems=(UNREADABLE,), files=14), {"op/gc.py": ["", "x = reg.pods.pop()"]}
        )
        first, second = text.split("#### warning: ")
        assert first.startswith(
            "### racelint: 2 findings (1 error, 1 warning), 1 suppressed in 14 files; "
            "incomplete: 1 file could not be read or parsed\n"
            "\n"
            "#### error: `check-then-act` (RL102) at `op/registry.py:3:24`\n"
            "\n"
            "Registry.pods: the check and the insert at line 4 are not atomic\n"
            "\n"
            "- **A** `op/registry.py:3`: check, then insert in `op.registry.Registry.sync`, no lock held; thread pool: "
            "`handlers.on_create` (`op/handlers.py:38`)\n"
            "- **B** `op/gc.py:2`: delete in `op.gc.sweep`, holding `Registry._lock`; thread: "
            "`gc.sweep` (`op/main.py:10`)\n"
            "\n"
            "**Why:** sync handlers of different objects run at once\n"
            "\n"
            "**In production:** both add the entry: the work is done twice\n"
            "\n"
            "**Help:** hold one lock over the check and the insert\n"
            "\n"
            "<details><summary>Code and call paths</summary>\n"
            "\n"
            "```text\n"
            "op/registry.py:3:24: error[check-then-act] Registry.pods: the check and the insert"
        )
        assert "       2 | x = reg.pods.pop()\n" in first
        assert first.endswith("\n```\n\n</details>\n\n")
        assert second.endswith("\n\n- warning: `parse-error` at `op/bad.py:3`: no: 100%, sure\n")
        only_text(text)

    def test_without_findings(self) -> None:
        assert markdown.render(result(), {}) == "### racelint: no findings in 2 files\n"

    def test_it_fits_in_a_comment(self) -> None:
        text = markdown.render(result(*[finding(message=f"Registry.pods: {'ü' * 500}")] * 200), {})
        assert 50_000 < len(text.encode()) <= 65_536
        (left,) = re.findall(r"\n(\d+) more not shown here, for want of room\.\n$", text)
        assert text.count("\n#### ") + int(left) == 200

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_hostile_texts(self, attack: str) -> None:
        bad = hostile(ATTACKS[attack])
        problems = (Problem(bad.sides[0].path, 1, "parse-error", ATTACKS[attack]),)
        text = markdown.render(result(bad, problems=problems), {bad.sides[0].path: [ATTACKS[attack]] * 3})
        only_text(text)
        assert [token.type for token in tokens(text)].count("fence") == 1
        assert text.count("</details>\n\n- warning: ") == 1

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("`x` in log_if_changed(), twice", "`x` in log_if_changed(), twice"),
            ("__init__ and *args", r"\_\_init\_\_ and \*args"),
            ("an odd ` tick", r"an odd \` tick"),
            ("ask @somebody about #12", "ask `@somebody` about `#12`"),
            ("see https://x.example/a_b.", "see `https://x.example/a_b.`"),
            ("1. a", r"1\. a"),
            ("a[0](b) <c> &amp;", r"a\[0\](b) \<c\> \&amp;"),
        ],
    )
    def test_prose_stays_readable(self, text: str, shown: str) -> None:
        assert markdown.prose(text) == shown

    def test_a_long_word_costs_what_a_long_text_costs(self) -> None:
        word = "x" * 1_000_000  # hours, if every start of it were tried to its end
        assert markdown.prose(word) == word
        assert markdown.prose(f"{word}@") == f"`{word}@`"

    @given(st.text() | st.text("`@#1 <a>[](x)*_~!&;\\-=+|$:/.w\t"))
    def test_prose_is_never_more_than_text_and_code(self, text: str) -> None:
        only_text(markdown.prose(text))
        only_text(f"- **A** {markdown.prose(text)} in {markdown.code(text)}, {markdown.prose(text)}")

    @given(st.text("`ab \\\n"))
    def test_code_is_one_span_with_all_of_the_text(self, text: str) -> None:
        _, inline, _ = tokens(f"x {markdown.code(text)} y")
        assert inline.children is not None
        _, span, _ = inline.children
        assert (span.type, span.content.strip()) == ("code_inline", safe(text).strip())
