"""Rules, their modules, their documentation and the changelog are one set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import racelint.rules
from racelint.rules import Rule, all_rules
from racelint.testing import parse

FOLDER = Path(racelint.rules.__file__).parent
ROOT = FOLDER.parent.parent
RULES = all_rules()
NAMES = [rule.name for rule in RULES]
CASES_AT_LEAST = 5
SECTIONS = [
    "What it does",
    "Why it is a bug",
    "Example",
    "Fix",
    "Instead of a lock",
    "When it is safe to ignore",
    "Fix safety",
    "Harmful",
    "Harmless",
]
OPTIONAL_SECTIONS = ["Known missed alarms", "Known false alarms"]


def stem(name: str) -> str:
    """The file name of a rule's module and text, without the ending."""
    return name.replace("-", "_")


def headings(text: str, marks: str) -> list[str]:
    """The headings of one level, outside fences."""
    return list(_headings(text, marks))


def _headings(text: str, marks: str) -> Iterator[str]:
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and line.startswith(f"{marks} "):
            yield line[len(marks) + 1 :].strip()


def test_names_and_codes_are_unique_and_well_formed() -> None:
    assert RULES
    assert len(set(NAMES)) == len(NAMES)
    assert len({rule.code for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
        assert re.fullmatch(r"RL[1-9]\d\d", rule.code)
        assert rule.summary
        assert rule.cwe
        assert rule.since


def test_rules_come_in_order_of_their_codes() -> None:
    assert [rule.code for rule in RULES] == sorted(rule.code for rule in RULES)


def test_every_rule_has_a_module_and_a_text_and_every_text_a_rule() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == {stem(name) for name in NAMES}
    assert {stem(name) for name in NAMES} <= {path.stem for path in FOLDER.glob("*.py")}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_the_text_is_the_rules_own_and_complete(rule: Rule) -> None:
    text = (FOLDER / f"{stem(rule.name)}.md").read_text(encoding="utf-8")
    assert rule.documentation() == text
    assert headings(text, "#") == [f"{rule.name} ({rule.code})"]
    sections = headings(text, "##")
    assert [section for section in sections if section not in OPTIONAL_SECTIONS] == SECTIONS


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_the_text_shows_enough_of_both_kinds(rule: Rule) -> None:
    cases = parse(rule.documentation())
    for section, marked in (("Harmful", True), ("Harmless", False)):
        inside = [case for case in cases if case.name.split(" / ")[1] == section]
        assert len(inside) >= CASES_AT_LEAST
        for case in inside:
            found = {mark.rule for mark in case.marks if mark.kind == "expect"}
            assert (rule.name in found) is marked, case.name
            assert marked or not found, case.name


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_the_changelog_mentions_the_rule(rule: Rule) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"(?<![\w-]){re.escape(rule.name)}(?![\w-])", changelog)
