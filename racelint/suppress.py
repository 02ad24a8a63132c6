"""Comments to racelint: ``# racelint: ignore[rule] reason``, and the contracts.

Contracts are ``guarded-by(lock)``, ``requires(lock)``, ``confined`` and ``entrypoint(context)``.

Everything here is a pure function of comments that the front end has collected as ``(line, text)``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from racelint.config import ENTRY_CONTEXTS, suggestion
from racelint.frameworks.schema import ContextKind
from racelint.layout import Layout, layout
from racelint.model.findings import Finding, Side
from racelint.model.source import Problem

Kind = Literal["ignore", "guarded-by", "requires", "confined", "entrypoint"]
KINDS: tuple[Kind, ...] = ("ignore", "guarded-by", "requires", "confined", "entrypoint")
NO_REASON = "no reason given"
MALFORMED, UNKNOWN_RULE, UNUSED = "malformed-comment", "unknown-rule-in-comment", "unused-ignore"
# A contract that names no lock: it is not checked, so the run must not pass for a clean one.
UNKNOWN_LOCK = "unknown-lock"
# Problems that leave the analysis complete: something in a comment wants mending.
COMMENT_PROBLEMS = frozenset({MALFORMED, UNKNOWN_RULE, UNKNOWN_LOCK, UNUSED})

Comments = Iterable[tuple[int, str]]

_MARK = re.compile(r"#\s*racelint\s*:\s*")
_WORD = re.compile(r"[\w-]+")
_OPENERS = {"ignore": "[", "guarded-by": "(", "requires": "(", "entrypoint": "("}
_CLOSERS = {"[": "]", "(": ")"}


class CommentError(ValueError):
    """A comment to racelint that cannot be understood; the message says why."""


@dataclass(frozen=True, slots=True)
class Comment:
    """One understood comment. ``rules`` are the names or codes of an ``ignore``, none meaning every rule.

    ``argument`` is the lock of ``guarded-by`` and ``requires`` or the context of ``entrypoint``.
    """

    line: int
    kind: Kind
    rules: tuple[str, ...] = ()
    argument: str = ""
    reason: str = ""


def parse(line: int, text: str) -> Comment:
    """The comment that ``text`` (from ``#`` to the end of the line) is. Raises CommentError."""
    mark = _MARK.search(text)
    if mark is None:
        raise CommentError("this is no comment to racelint")
    body = text[mark.end() :].strip()
    word = _WORD.match(body)
    kind = next((kind for kind in KINDS if word and kind == word[0]), None)
    if kind is None:
        written = word[0] if word else body
        raise CommentError(f"unknown comment '{written}'{suggestion(written, KINDS)} ({', '.join(KINDS)})")
    argument, rest = _argument(kind, body[len(kind) :])
    reason = rest.strip().lstrip(":-–— ").strip()
    if kind == "ignore":
        return Comment(line, kind, rules=_rules(argument), reason=reason)
    if kind == "entrypoint" and argument not in ENTRY_CONTEXTS:
        known = ", ".join(ENTRY_CONTEXTS)
        raise CommentError(f"unknown context '{argument}'{suggestion(argument or '', ENTRY_CONTEXTS)} ({known})")
    return Comment(line, kind, argument=argument or "", reason=reason)


def ignore_text(rules: Iterable[str], reason: str) -> str:
    """The comment that silences ``rules``."""
    return f"# racelint: ignore[{', '.join(rules)}] {reason}".rstrip()


def extended(text: str, rules: Iterable[str], reason: str) -> str:
    """A comment with an ``ignore`` of ``rules`` in it, by its own ``ignore`` where it has one, whose reason stays.

    Raises CommentError when it tells racelint something else: there is one comment to racelint on a line.
    """
    mark = _MARK.search(text)
    if mark is None:
        return f"{text.rstrip()}  {ignore_text(rules, reason)}"
    known = parse(0, text)
    if known.kind != "ignore":
        raise CommentError(f"the comment '{known.kind}' stands there")
    if not known.rules:
        return text
    names = ", ".join([*known.rules, *(rule for rule in rules if rule not in known.rules)])
    rest = text[text.index("]", mark.end()) + 1 :].rstrip()
    return f"{text[: mark.end()]}ignore[{names}]{rest if known.reason else f' {reason}'}"


def parse_all(comments: Comments, path: str, known_rules: Collection[str]) -> tuple[list[Comment], list[Problem]]:
    """Every comment of one file that can be used, and the problems of the others."""
    found: list[Comment] = []
    problems: list[Problem] = []
    for line, text in comments:
        try:
            comment = parse(line, text)
        except CommentError as error:
            problems.append(Problem(path, line, MALFORMED, str(error)))
            continue
        unknown = [name for name in comment.rules if name not in known_rules]
        for name in unknown:
            near = suggestion(name, known_rules)
            problems.append(Problem(path, line, UNKNOWN_RULE, f"unknown rule '{name}'{near}"))
        if unknown:
            comment = replace(comment, rules=tuple(name for name in comment.rules if name in known_rules))
            if not comment.rules:  # without any rule left it would silence all of them
                continue
        found.append(comment)
    return found, problems


def contracts(comments: Comments) -> Iterator[Comment]:
    """Every well-formed ``guarded-by``, ``requires`` and ``confined`` comment."""
    for line, text in comments:
        try:
            comment = parse(line, text)
        except CommentError:
            continue  # told of by ``apply``
        if comment.kind in ("guarded-by", "requires", "confined"):
            yield comment


def entrypoints(comments: Comments) -> Iterator[tuple[int, ContextKind]]:
    """Line and context of every well-formed ``entrypoint`` comment."""
    for line, text in comments:
        try:
            comment = parse(line, text)
        except CommentError:
            continue  # told of by ``apply``
        if comment.kind == "entrypoint":
            yield line, next(kind for kind in ENTRY_CONTEXTS if kind == comment.argument)


def apply(
    findings: Iterable[Finding],
    comments_by_path: Mapping[str, Comments],
    known_rules: Collection[str],
    *,
    sources: Mapping[str, Sequence[str]] | None = None,
    active: Collection[str] | None = None,
) -> tuple[list[Finding], list[Problem]]:
    """The findings, with the reason on those that a comment silences, and what is wrong with the comments.

    An ``ignore`` is valid at any side of a finding: on one of the side's lines, on another line of the statements that
    begin or end there (a line that ends in a backslash or inside a string can have no comment), or alone on the lines
    directly above. ``known_rules`` are all names and codes. ``sources`` are the lines of each file, by which statements
    are known, and a comment that stands alone is told from one behind code; a comment of a file without lines counts as
    both. ``active`` are the rules that have run (default: all): only for these can an ``ignore`` be called unused.
    """
    ran = frozenset(known_rules if active is None else active)
    problems: list[Problem] = []
    ignores: dict[str, _Ignores] = {}
    for path, comments in comments_by_path.items():
        parsed, wrong = parse_all(comments, path, known_rules)
        problems += wrong
        ignores[path] = _Ignores(parsed, (sources or {}).get(path))
    result = []
    for finding in findings:
        reasons = [
            reason
            for side in finding.sides
            if side.path in ignores
            for reason in ignores[side.path].reasons(side, finding)
        ]
        result.append(replace(finding, suppressed=reasons[0]) if reasons else finding)
    complete = ran >= frozenset(known_rules)
    for path, kept in ignores.items():
        problems += [Problem(path, line, UNUSED, message) for line, message in kept.unused(ran, complete)]
    return result, sorted(problems)


def _argument(kind: Kind, rest: str) -> tuple[str | None, str]:
    """What stands in brackets after the word (None: no brackets) and what follows them."""
    opener = _OPENERS.get(kind, "")
    stripped = rest.lstrip()
    if not opener:
        if stripped.startswith(("(", "[")):
            raise CommentError(f"'{kind}' takes nothing in brackets")
        return None, rest
    closer = _CLOSERS[opener]
    if not stripped.startswith(opener):
        wrong = stripped[:1] in ("(", "[")
        if kind == "ignore" and not wrong:
            return None, rest
        raise CommentError(f"'{kind}' wants its argument as {kind}{opener}...{closer}")
    end = _closing(stripped, opener, closer)
    if end < 0:
        raise CommentError(f"'{opener}' is never closed")
    inside = stripped[1:end].strip()
    if not inside:
        raise CommentError(f"nothing stands between '{opener}' and '{closer}'")
    return inside, stripped[end + 1 :]


def _closing(text: str, opener: str, closer: str) -> int:
    depth = 0
    for index, char in enumerate(text):
        depth += (char == opener) - (char == closer)
        if depth == 0:
            return index
    return -1


def _rules(argument: str | None) -> tuple[str, ...]:
    if argument is None:
        return ()
    names = tuple(name.strip() for name in argument.split(","))
    if not all(names):
        raise CommentError("a rule name is missing beside a comma")
    return tuple(name.upper() if re.fullmatch(r"rl\d+", name) else name for name in names)


class _Ignores:
    """The ``ignore`` comments of one file, and which of them have silenced something."""

    def __init__(self, comments: Iterable[Comment], lines: Sequence[str] | None) -> None:
        self._by_line = {comment.line: comment for comment in comments if comment.kind == "ignore"}
        self._lines = lines
        self._layout = layout(lines) if self._by_line and lines is not None else Layout({}, frozenset(), {})
        self._used: set[tuple[int, str]] = set()

    def reasons(self, side: Side, finding: Finding) -> Iterator[str]:
        """The reasons of all comments that cover a side of a finding."""
        if not self._by_line:
            return
        for line in self._reach(side):
            comment = self._by_line.get(line)
            if comment is None:
                continue
            names = [name for name in comment.rules if name in (finding.rule, finding.code)]
            if names or not comment.rules:
                self._used.update((line, name) for name in names or [""])
                yield comment.reason or NO_REASON

    def unused(self, ran: Collection[str], complete: bool) -> Iterator[tuple[int, str]]:
        """Line and message for every comment, or rule in one, that has silenced nothing."""
        for line, comment in sorted(self._by_line.items()):
            if not comment.rules and complete and (line, "") not in self._used:
                yield line, "this ignore silences nothing"
            for name in comment.rules:
                if name in ran and (line, name) not in self._used:
                    yield line, f"this ignore silences no '{name}'"

    def _reach(self, side: Side) -> Iterator[int]:
        first, _ = self._layout.statement(side.line)
        _, last = self._layout.statement(max(side.line, side.end_line))
        yield from range(first, last + 1)
        line = first - 1
        while self._alone(line):
            yield line
            line -= 1

    def _alone(self, line: int) -> bool:
        if self._lines is None:
            return line in self._by_line
        return 0 < line <= len(self._lines) and self._lines[line - 1].lstrip().startswith("#")
