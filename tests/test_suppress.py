"""Comments to racelint: what is understood, what they silence, and what is told about those that are wrong."""

from __future__ import annotations

import pytest
from handmade import finding, side

from racelint import suppress
from racelint.model.source import Problem
from racelint.suppress import Comment, CommentError

KNOWN = frozenset({"check-then-act", "RL102", "unguarded-write", "RL101"})
PATH = "op/registry.py"


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("# racelint: ignore", Comment(7, "ignore")),
        ("#racelint:ignore", Comment(7, "ignore")),
        ("# racelint: ignore one writer only", Comment(7, "ignore", reason="one writer only")),
        ("# racelint: ignore[check-then-act]", Comment(7, "ignore", ("check-then-act",))),
        (
            "#  racelint :  ignore [ check-then-act , rl101 ]  -- one writer ",
            Comment(7, "ignore", ("check-then-act", "RL101"), reason="one writer"),
        ),
        ("# racelint: ignore[RL102]: see [1]", Comment(7, "ignore", ("RL102",), reason="see [1]")),
        ("# noqa: E501 # racelint: ignore[RL102]", Comment(7, "ignore", ("RL102",))),
        ("# racelint: guarded-by(self._lock)", Comment(7, "guarded-by", argument="self._lock")),
        ("# racelint: guarded-by(self.lock_of(key)) ok", Comment(7, "guarded-by", (), "self.lock_of(key)", "ok")),
        ("# racelint: requires( LOCK )", Comment(7, "requires", argument="LOCK")),
        ("# racelint: confined", Comment(7, "confined")),
        ("# racelint: confined made per call", Comment(7, "confined", reason="made per call")),
        ("# racelint: entrypoint(pool)", Comment(7, "entrypoint", argument="pool")),
        ("# racelint: entrypoint(event-loop) by C++", Comment(7, "entrypoint", (), "event-loop", "by C++")),
    ],
)
def test_what_is_understood(text: str, comment: Comment) -> None:
    assert suppress.parse(7, text) == comment


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# racelint: ingore[x]", "unknown comment 'ingore', did you mean 'ignore'?"),
        ("# racelint:", "unknown comment ''"),
        ("# racelint: [x]", "unknown comment '[x]'"),
        ("# racelint: ignore[check-then-act", "'[' is never closed"),
        ("# racelint: ignore[]", "nothing stands between '[' and ']'"),
        ("# racelint: ignore[a,]", "a rule name is missing beside a comma"),
        ("# racelint: ignore(check-then-act)", "ignore[...]"),
        ("# racelint: ignored", "unknown comment 'ignored', did you mean 'ignore'?"),
        ("# racelint: guarded-by", "guarded-by(...)"),
        ("# racelint: guarded-by[x]", "guarded-by(...)"),
        ("# racelint: requires()", "nothing stands between '(' and ')'"),
        ("# racelint: requires(a.b(c)", "'(' is never closed"),
        ("# racelint: confined(x)", "'confined' takes nothing in brackets"),
        ("# racelint: entrypoint", "entrypoint(...)"),
        ("# racelint: entrypoint(threads)", "unknown context 'threads', did you mean 'thread'?"),
        ("# type: ignore", "no comment to racelint"),
    ],
)
def test_what_is_malformed(text: str, message: str) -> None:
    with pytest.raises(CommentError) as error:
        suppress.parse(1, text)
    assert message in str(error.value)


def test_entry_points_are_listed() -> None:
    comments = [(2, "# racelint: entrypoint(pool)"), (3, "# racelint: entrypoint(x)"), (4, "# racelint: confined")]
    assert list(suppress.entrypoints(comments)) == [(2, "pool")]


SOURCE = """\
class Registry:
    # racelint: ignore
    # why it is harmless
    def sync(self, name):
        if name not in self.pods:
            x = 1  # racelint: ignore

            self.pods[name] = x
        return x
""".splitlines()


def silenced(line: int, text: str = "# racelint: ignore[check-then-act] fine", *, at: int, end: int = 0) -> bool:
    """Whether a comment on ``line`` of SOURCE silences a finding whose side is at ``at`` (to ``end``)."""
    subject = finding(side(line=at, end_line=end or at))
    found, problems = suppress.apply([subject], {PATH: [(line, text)]}, KNOWN, sources={PATH: SOURCE})
    used = not [item for item in problems if item.rule == "unused-ignore"]
    assert (found[0].suppressed is not None) == used
    return used


class TestWhere:
    """Which lines a comment may stand on."""

    def test_on_the_line_of_the_side(self) -> None:
        assert silenced(5, at=5)

    def test_on_any_line_of_the_side(self) -> None:
        assert silenced(6, at=5, end=8)
        assert silenced(8, at=5, end=8)

    def test_alone_above_the_side(self) -> None:
        assert silenced(3, at=4)
        assert silenced(2, at=4)

    def test_not_behind_code_above_the_side(self) -> None:
        assert not silenced(6, at=7)

    def test_not_over_an_empty_line(self) -> None:
        assert not silenced(6, at=8)

    def test_not_below_the_side(self) -> None:
        assert not silenced(9, at=5, end=8)

    def test_not_in_another_file(self) -> None:
        comments = {"op/other.py": [(5, "# racelint: ignore")]}
        found, problems = suppress.apply([finding(side(line=5))], comments, KNOWN)
        assert found[0].suppressed is None
        assert problems == [Problem("op/other.py", 5, "unused-ignore", "this ignore silences nothing")]

    def test_on_either_side(self) -> None:
        two = finding(side(), side("op/gc.py", 9))
        for path, line in ((PATH, 3), ("op/gc.py", 9)):
            found, problems = suppress.apply([two], {path: [(line, "# racelint: ignore[RL102] ok")]}, KNOWN)
            assert [item.suppressed for item in found] == ["ok"]
            assert problems == []

    def test_without_the_source_the_line_below_is_covered(self) -> None:
        found, _ = suppress.apply([finding(side(line=4))], {PATH: [(3, "# racelint: ignore")]}, KNOWN)
        assert found[0].suppressed is not None


class TestWhich:
    """Which findings a comment silences."""

    def test_all_or_the_named_ones(self) -> None:
        assert silenced(5, "# racelint: ignore", at=5)
        assert silenced(5, "# racelint: ignore[RL102]", at=5)

    def test_other_rules_stay(self) -> None:
        found, problems = suppress.apply([finding()], {PATH: [(3, "# racelint: ignore[unguarded-write]")]}, KNOWN)
        assert found == [finding()]
        assert problems == [Problem(PATH, 3, "unused-ignore", "this ignore silences no 'unguarded-write'")]

    def test_the_unused_one_of_two_is_named(self) -> None:
        text = "# racelint: ignore[unguarded-write, RL102] ok"
        found, problems = suppress.apply([finding()], {PATH: [(3, text)]}, KNOWN)
        assert found[0].suppressed == "ok"
        assert problems == [Problem(PATH, 3, "unused-ignore", "this ignore silences no 'unguarded-write'")]

    def test_without_a_reason(self) -> None:
        found, _ = suppress.apply([finding()], {PATH: [(3, "# racelint: ignore")]}, KNOWN)
        assert found[0].suppressed == "no reason given"

    def test_contracts_silence_nothing(self) -> None:
        found, problems = suppress.apply([finding()], {PATH: [(3, "# racelint: confined")]}, KNOWN)
        assert found == [finding()]
        assert problems == []

    def test_the_order_of_findings_stays(self) -> None:
        many = [finding(side(line=line), fingerprint=str(line)) for line in (9, 2, 5)]
        found, _ = suppress.apply(many, {PATH: [(2, "# racelint: ignore")]}, KNOWN)
        assert [item.fingerprint for item in found] == ["9", "2", "5"]
        assert [item.suppressed is not None for item in found] == [False, True, False]


def test_unused_is_said_only_of_rules_that_ran() -> None:
    comments = {PATH: [(8, "# racelint: ignore[RL101]"), (9, "# racelint: ignore"), (10, "# racelint: ignore[RL102]")]}
    _, problems = suppress.apply([], comments, KNOWN, active={"check-then-act", "RL102"})
    assert [item.line for item in problems] == [10]
    _, problems = suppress.apply([], comments, KNOWN)
    assert [item.line for item in problems] == [8, 9, 10]


def test_malformed_comments_and_unknown_rules_are_told_and_silence_nothing() -> None:
    comments = {PATH: [(3, "# racelint: ignore[check-than-act]"), (4, "# racelint: nore")]}
    found, problems = suppress.apply([finding()], comments, KNOWN)
    assert found == [finding()]
    assert [(item.line, item.rule) for item in problems] == [(3, "unknown-rule-in-comment"), (4, "malformed-comment")]
    assert problems[0].message == "unknown rule 'check-than-act', did you mean 'check-then-act'?"


def test_the_known_rule_beside_an_unknown_one_counts() -> None:
    found, problems = suppress.apply([finding()], {PATH: [(3, "# racelint: ignore[RL102, RL999] ok")]}, KNOWN)
    assert found[0].suppressed == "ok"
    assert [item.rule for item in problems] == ["unknown-rule-in-comment"]
