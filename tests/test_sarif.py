"""SARIF: valid, complete, and without anything a consumer could take for more than text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
from click.testing import CliRunner
from handmade import CHECK, SWEEP, THREAD_WHY, finding, hostile, result, side
from test_cli import RACY
from test_formats import ATTACKS

from racelint import __version__, cli
from racelint.model.findings import Edit, Finding, Fix
from racelint.model.source import Problem
from racelint.report import sarif
from racelint.rules import all_rules

SCHEMA = json.loads(Path(__file__).parent.joinpath("schemas", "sarif-2.1.0.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)
# Section 3.11.6: embedded links.
LINK = re.compile(r"\[((?:[^\[\]\\]|\\.)*)\]\(([^)]*)\)")


def run(*findings: Finding, **changes: Any) -> dict[str, Any]:
    """The one run of a log, which is valid."""
    document = json.loads(sarif.render(result(*findings, **changes)))
    VALIDATOR.validate(document)
    assert (document["version"], len(document["runs"])) == ("2.1.0", 1)
    found: dict[str, Any] = document["runs"][0]
    return found


def one(found: Finding) -> dict[str, Any]:
    """The one result of a run."""
    (only,) = run(found)["results"]
    return dict(only)


def objects(document: object) -> Iterator[dict[str, Any]]:
    """All objects in plain data."""
    if isinstance(document, dict):
        yield document
    for part in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from objects(part)


def test_the_schema_is_closed() -> None:
    document = json.loads(sarif.render(result(finding())))
    document["runs"][0]["results"][0]["surprise"] = 1
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(document)


def test_a_rule() -> None:
    driver = run(finding())["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("racelint", __version__)
    (rule,) = driver["rules"]
    assert (rule["id"], rule["name"]) == ("RL102", "check-then-act")
    assert rule["shortDescription"]["text"] == (
        "A check and the step that relies on it can be separated by another context."
    )
    assert rule["fullDescription"]["text"].startswith("Reports code that looks at shared state and then acts on what")
    assert rule["help"]["text"].startswith(rule["fullDescription"]["text"] + " Do it in one step that cannot be split")
    assert rule["help"]["text"].endswith(" More: racelint explain check-then-act")
    assert rule["help"]["markdown"].startswith("# check-then-act (RL102)\n")
    assert rule["help"]["markdown"].endswith("\n\nMore examples: `racelint explain check-then-act`.\n")
    assert rule["defaultConfiguration"] == {"level": "error"}
    assert rule["properties"] == {
        "tags": ["concurrency", "external/cwe/cwe-362", "external/cwe/cwe-367"],
        "precision": "medium",
        "problem.severity": "error",
    }


def of_every_rule() -> list[Finding]:
    """A finding of each rule, the last rule first."""
    return [
        finding(rule=rule.name, code=rule.code, fingerprint=f"{number:016x}")
        for number, rule in enumerate(reversed(all_rules()))
    ]


def test_only_the_rules_with_results_are_there_and_each_result_has_its_own() -> None:
    assert run(problems=(Problem("a.py", 1, "parse-error", "no"),))["tool"]["driver"]["rules"] == []
    for findings in (of_every_rule(), of_every_rule()[1:4], [*of_every_rule()[:2], *of_every_rule()[:2]]):
        whole = run(*findings)
        rules = whole["tool"]["driver"]["rules"]
        assert [rule["id"] for rule in rules] == sorted({found.code for found in findings})
        for found, each in zip(whole["results"], findings, strict=True):
            assert found["ruleId"] == rules[found["ruleIndex"]]["id"] == each.code


def test_the_rule_of_a_suppressed_finding_is_there() -> None:
    whole = run(finding(suppressed="one writer"))
    assert whole["tool"]["driver"]["rules"][whole["results"][0]["ruleIndex"]]["id"] == "RL102"


@pytest.mark.parametrize("rule", run(*of_every_rule())["tool"]["driver"]["rules"], ids=lambda rule: str(rule["id"]))
def test_every_rule_is_described_and_none_is_called_a_security_rule(rule: dict[str, Any]) -> None:
    assert rule["fullDescription"]["text"].startswith("Reports ")
    assert not {"security", "security-severity"} & {*rule["properties"], *rule["properties"]["tags"]}


@pytest.mark.parametrize("rule", run(*of_every_rule())["tool"]["driver"]["rules"], ids=lambda rule: str(rule["id"]))
def test_every_rule_has_what_github_shows_and_no_more(rule: dict[str, Any]) -> None:
    # The sizes are those of
    # https://docs.github.com/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
    assert 0 < len(rule["name"]) <= 255
    assert 0 < len(rule["shortDescription"]["text"]) <= 1024
    assert 0 < len(rule["fullDescription"]["text"]) <= 1024
    assert 0 < len(rule["help"]["text"]) <= 1024
    headings = re.findall(r"^## (.+)$", rule["help"]["markdown"], re.MULTILINE)
    assert headings[0] == "What it does"
    assert headings[-1] == "Fix safety"
    assert "Fix" in headings


def test_a_log_is_small() -> None:
    """Long texts of rules once made 325 kB of one finding."""
    assert len(sarif.render(result(finding(CHECK, SWEEP)))) < 20_000
    assert len(sarif.render(result())) < 2_000


def test_a_whole_result() -> None:
    found = one(finding(CHECK, SWEEP))
    here = {
        "physicalLocation": {
            "artifactLocation": {"uri": "op/registry.py", "uriBaseId": "SRCROOT"},
            "region": {"startLine": 3, "startColumn": 24, "endLine": 4, "endColumn": 35},
        },
        "logicalLocations": [{"fullyQualifiedName": "op.registry.Registry.sync", "kind": "function"}],
    }
    there = {
        "physicalLocation": {
            "artifactLocation": {"uri": "op/gc.py", "uriBaseId": "SRCROOT"},
            "region": {"startLine": 2, "startColumn": 19, "endLine": 2, "endColumn": 27},
        },
        "logicalLocations": [{"fullyQualifiedName": "op.gc.sweep", "kind": "function"}],
    }
    deed = {"text": "delete in op.gc.sweep, holding `Registry._lock`"}

    def line(path: str, number: int) -> dict[str, Any]:
        return {
            "artifactLocation": {"uri": path, "uriBaseId": "SRCROOT"},
            "region": {"startLine": number},
        }

    assert found == {
        "ruleId": "RL102",
        "ruleIndex": 0,
        "level": "error",
        "rank": 90.0,
        "message": {
            "text": "Registry.pods: the check and the insert at line 4 are not atomic\n"
            "[the other side](1): delete in op.gc.sweep, holding `Registry._lock`\n"
            "In production: both add the entry: the work is done twice\n"
            "Help: hold one lock over the check and the insert"
        },
        "locations": [here],
        "relatedLocations": [{"id": 1, **there, "message": deed}],
        "codeFlows": [
            {
                "message": {"text": "How each side is reached."},
                "threadFlows": [
                    {
                        "id": "A",
                        "message": {"text": "handlers.on_create, thread pool"},
                        "locations": [
                            {
                                "location": {
                                    "physicalLocation": line("op/handlers.py", 38),
                                    "message": {
                                        "text": "handlers.on_create runs in: thread pool; "
                                        "kopf runs sync handlers in a thread pool"
                                    },
                                },
                                "kinds": ["enter", "function"],
                            },
                            {
                                "location": {
                                    "physicalLocation": line("op/handlers.py", 40),
                                    "message": {"text": "handlers.on_create calls sync"},
                                },
                                "kinds": ["call", "function"],
                            },
                            {
                                "location": {
                                    **here,
                                    "message": {
                                        "text": "check, then insert in op.registry.Registry.sync, no lock held"
                                    },
                                },
                                "kinds": ["memory"],
                            },
                        ],
                    },
                    {
                        "id": "B",
                        "message": {"text": "gc.sweep, thread"},
                        "locations": [
                            {
                                "location": {
                                    "physicalLocation": line("op/main.py", 10),
                                    "message": {"text": f"gc.sweep runs in: thread; {THREAD_WHY}"},
                                },
                                "kinds": ["enter", "function"],
                            },
                            {"location": {**there, "message": deed}, "kinds": ["memory"]},
                        ],
                    },
                ],
            }
        ],
        "partialFingerprints": {"racelint/v1": "0123456789abcdef"},
        "fixes": [],
        "suppressions": [],
        "properties": {"confidence": "high", "place": "op.registry.Registry.pods"},
    }


def test_more_than_two_sides_and_one() -> None:
    many = one(finding(CHECK, SWEEP, SWEEP))
    assert [match[2] for match in LINK.finditer(many["message"]["text"])] == ["1", "2"]
    assert [related["id"] for related in many["relatedLocations"]] == [1, 2]
    assert len(many["codeFlows"][0]["threadFlows"]) == 3
    alone = one(finding(CHECK))
    assert alone["relatedLocations"] == []
    assert not LINK.search(alone["message"]["text"])


def test_columns_and_paths() -> None:
    whole = run(finding(side("op/größe #1%.py", 3)))
    assert whole["columnKind"] == "unicodeCodePoints"
    assert set(whole["originalUriBaseIds"]) == {"SRCROOT"}
    place = whole["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "op/gr%C3%B6%C3%9Fe%20%231%25.py", "uriBaseId": "SRCROOT"}


def test_fixes() -> None:
    edits = (Edit("op/a.py", 1, 1, 1, 1, "import threading\n"), Edit("op/b.py", 2, 1, 4, 1, "with größe:\n{}\n"))
    (fix,) = one(finding(fix=Fix("unsafe", "hold a lock", edits)))["fixes"]
    assert fix == {
        "description": {"text": "hold a lock (unsafe)"},
        "artifactChanges": [
            {
                "artifactLocation": {"uri": "op/a.py", "uriBaseId": "SRCROOT"},
                "replacements": [
                    {
                        "deletedRegion": {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1},
                        "insertedContent": {"text": "import threading\n"},
                    }
                ],
            },
            {
                "artifactLocation": {"uri": "op/b.py", "uriBaseId": "SRCROOT"},
                "replacements": [
                    {
                        "deletedRegion": {"startLine": 2, "startColumn": 1, "endLine": 4, "endColumn": 1},
                        "insertedContent": {"text": "with größe:\n{}\n"},
                    }
                ],
            },
        ],
    }


def test_a_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work.py").write_text(RACY)
    document = json.loads(CliRunner().invoke(cli.main, ["check", "--output-format", "sarif"]).stdout)
    VALIDATOR.validate(document)
    (found,) = document["runs"][0]["results"]
    assert found["ruleId"] == "RL102"
    assert len(found["codeFlows"][0]["threadFlows"]) == 2
    ((change,),) = (fix["artifactChanges"] for fix in found["fixes"])
    lines = RACY.splitlines(keepends=True)
    for edit in reversed(change["replacements"]):
        region = edit["deletedRegion"]
        assert region["startColumn"] == region["endColumn"] == 1
        lines[region["startLine"] - 1 : region["endLine"] - 1] = [edit["insertedContent"]["text"]]
    CliRunner().invoke(cli.main, ["check", "--fix", "--unsafe-fixes"])
    assert "".join(lines) == (tmp_path / "work.py").read_text() != RACY


def test_advice_without_edits_is_no_fix() -> None:
    assert one(finding(fix=Fix("display", "no lock can be held here")))["fixes"] == []


def test_suppressed_findings_are_in_with_their_reason() -> None:
    quiet, loud = run(finding(suppressed="one writer"), finding())["results"]
    assert quiet["suppressions"] == [{"kind": "inSource", "justification": "one writer"}]
    assert loud["suppressions"] == []


def test_severities_and_confidences() -> None:
    results = run(finding(severity="note", confidence="low"), finding(severity="warning"))["results"]
    assert [(found["level"], found["rank"]) for found in results] == [("note", 30.0), ("warning", 90.0)]


def test_problems_are_notifications() -> None:
    problems = (Problem("a b.py", 3, "parse-error", "no"), Problem("op", 0, "unreadable-folder", "denied"))
    whole = run(problems=problems)
    assert whole["invocations"] == [
        {
            "executionSuccessful": True,
            "toolExecutionNotifications": [
                {
                    "descriptor": {"id": "parse-error"},
                    "level": "warning",
                    "message": {"text": "no"},
                    "locations": [
                        {
                            "physicalLocation": {
                                "artifactLocation": {"uri": "a%20b.py", "uriBaseId": "SRCROOT"},
                                "region": {"startLine": 3},
                            }
                        }
                    ],
                },
                {
                    "descriptor": {"id": "unreadable-folder"},
                    "level": "warning",
                    "message": {"text": "denied"},
                    "locations": [{"physicalLocation": {"artifactLocation": {"uri": "op", "uriBaseId": "SRCROOT"}}}],
                },
            ],
        }
    ]
    assert whole["tool"]["driver"]["notifications"] == [{"id": "parse-error"}, {"id": "unreadable-folder"}]


def test_a_failure_of_racelint_is_said() -> None:
    (invocation,) = run(problems=(Problem("a.py", 0, "internal-error", "a bug"),))["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["level"] == "error"


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_texts(attack: str) -> None:
    text = ATTACKS[attack]
    bad = hostile(text)
    whole = run(bad, problems=(Problem(bad.sides[0].path, 1, "parse-error", text),))
    (found,) = whole["results"]
    assert [match[2] for match in LINK.finditer(found["message"]["text"])] == ["1"]
    for item in objects([whole["results"], whole["invocations"]]):
        if "uri" in item:
            assert re.fullmatch(r"(?:[\w/.~-]|%[0-9A-F]{2})*", item["uri"], re.ASCII)
            assert unquote(item["uri"], errors="surrogatepass") in {bad.sides[0].path, bad.sides[0].context.path}
        if isinstance(item.get("text"), str):
            assert not re.search(r"[{}]", item["text"].replace("{{", "").replace("}}", ""))
            assert "](javascript" not in item["text"]
