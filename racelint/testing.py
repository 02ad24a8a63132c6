"""Tests written as Markdown: headings are tests, fences are files, comments in the code say what must be reported.

Rule documentation is tested this way, and so can framework tables be by the people who write them. Under one heading,
every fence marked ``python`` is a file of a small project: the one named by the line before it (``op/cache.py:``), or
``main.py`` when there is no such line; a fence marked ``toml`` is its ``racelint.toml``. Other fences are prose.
``<!-- racelint: library -->`` under the heading analyses the project as a library.

Comments in the Python files:

- ``# expect: check-then-act @1 "text"``: the finding's first side is on this line; label and text are optional, the
  text must be part of the message.
- ``# peer: @1``: another side of the finding labelled 1 is on this line.
- ``# missed: check-then-act reason``: ought to be reported here, and is not today.
- ``# false-alarm: check-then-act reason``: is reported here today, and ought not to be.
- ``# ok: anything``: says why a line is silent; documents only.

Several of them on one line are separated by ``;``. A line without a mark must stay silent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile, zip_longest
from pathlib import Path, PurePosixPath
from typing import Literal

from racelint import config, pipeline, rules
from racelint.model.findings import CONFIDENCES, SEVERITIES, Finding
from racelint.model.source import Problem

MarkKind = Literal["expect", "peer", "missed", "false-alarm", "ok"]
DEFAULT_FILE = "main.py"
CONFIG_FILE = "racelint.toml"

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE = re.compile(r"\s{0,3}(`{3,})\s*([^`]*?)\s*$")
_PATH_LINE = re.compile(r"`?([\w./-]+\.(?:py|toml))`?:$")
_LIBRARY = re.compile(r"<!--\s*racelint:\s*library\s*-->\s*$")
_MARK = re.compile(r"(?:#|;)\s*(expect|peer|missed|false-alarm|ok):")
_EXPECT = re.compile(r'([a-z][a-z0-9-]*)(?:\s+@(\w+))?(?:\s+"([^"]*)")?$')
_PEER = re.compile(r"@(\w+)$")
_REASONED = re.compile(r"([a-z][a-z0-9-]*)\s+(\S.*)$")


class CaseError(ValueError):
    """A document that cannot be read as tests; the message starts with the line in the document."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


@dataclass(frozen=True, slots=True)
class File:
    """One file of a case: its path in the case's project, its text, and where the text starts in the document."""

    path: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Mark:
    """One comment about findings on ``path``:``line``; ``document_line`` is where it stands in the document."""

    kind: MarkKind
    path: str
    line: int
    document_line: int
    rule: str = ""
    label: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """The files under one heading and what must be found in them. ``name`` is the path of headings to it."""

    name: str
    line: int
    files: tuple[File, ...]
    marks: tuple[Mark, ...]
    library: bool = False


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference between what a case says and what was found, at ``path``:``line`` of the case's project."""

    path: str
    line: int
    document_line: int
    expected: str
    got: str

    def __str__(self) -> str:
        """Where, what was expected and what came, on three lines."""
        where = f"{self.path}:{self.line} (line {self.document_line} of the document)"
        return f"{where}\n  expected: {self.expected}\n  got:      {self.got}"


def parse(text: str) -> tuple[Case, ...]:
    """The cases of a Markdown document, in order. Raises CaseError for anything that would silently not be tested."""
    return tuple(_cases(text))


def run_case(case: Case, folder: Path) -> tuple[Mismatch, ...]:
    """Write the case's files into the empty ``folder``, analyse it, and compare.

    Raises OSError when the files cannot be written and config.ConfigError for a wrong ``toml`` fence.
    """
    for file in case.files:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.text, encoding="utf-8")
    settings = config.load(folder)
    if case.library:
        settings = replace(settings, library=True)
    result = pipeline.analyse(folder, settings)
    names = frozenset(rule.name for rule in rules.all_rules())
    return compare(case, result.findings, result.problems, names)


def visible(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that ``racelint check`` shows by default: warnings and errors, medium confidence, not suppressed."""
    return tuple(
        finding
        for finding in findings
        if SEVERITIES.index(finding.severity) >= SEVERITIES.index("warning")
        and CONFIDENCES.index(finding.confidence) >= CONFIDENCES.index("medium")
        and finding.suppressed is None
    )


def expectation_lines(findings: Iterable[Finding]) -> list[str]:
    """One line per finding, ``<pathA>:<lineA> <rule> <place> | <pathB>:<lineB>``, in order of path and line.

    A finding with a single side has no ``|`` part. The findings are taken as they are: pass them through ``visible``.
    """
    keyed = []
    for finding in findings:
        first, *others = finding.sides
        line = f"{first.path}:{first.line} {finding.rule} {finding.place}"
        if others:
            line += f" | {others[0].path}:{others[0].line}"
        keyed.append(((first.path, first.line), line))
    return [line for _, line in sorted(keyed)]


def compare(
    case: Case, findings: Iterable[Finding], problems: Iterable[Problem] = (), rule_names: frozenset[str] = frozenset()
) -> tuple[Mismatch, ...]:
    """What differs between the case's marks and ``findings`` (all of them; ``visible`` is applied here).

    Every problem of the run is a mismatch, because an example that cannot be read proves nothing; and so is a mark
    whose rule is neither in ``rule_names`` nor reported, because it could never come true.
    """
    left = list(visible(findings))
    known = rule_names | {finding.rule for finding in left}
    lines = _DocumentLines(case)
    found = [
        Mismatch(
            item.path, item.line, lines.of(item.path, item.line), "a readable file", f"{item.rule}: {item.message}"
        )
        for item in problems
    ]
    # The most specific marks choose first, so that a bare one cannot take the finding a labelled one needs.
    for mark in sorted(case.marks, key=lambda mark: -(2 * bool(mark.text) + bool(mark.label))):
        if mark.rule and mark.rule not in known:
            found.append(_mismatch(mark, f"an existing rule in `{mark.kind}`", f"unknown rule {mark.rule}"))
        elif mark.kind == "expect":
            found.extend(_check_expected(mark, case, left))
        elif mark.kind == "missed":
            taken = _take(left, mark)
            if taken is not None:
                found.append(
                    _mismatch(mark, f"{mark.rule} still missed ({mark.text})", f"{describe(taken)}: now `expect`")
                )
        elif mark.kind == "false-alarm":
            if _take(left, mark) is None:
                found.append(
                    _mismatch(mark, f"{mark.rule} still a false alarm ({mark.text})", "silence: drop the mark")
                )
    for finding in left:
        side = finding.sides[0]
        found.append(Mismatch(side.path, side.line, lines.of(side.path, side.line), "silence", describe(finding)))
    return tuple(sorted(found, key=lambda item: (item.document_line, item.path, item.line)))


def describe(finding: Finding) -> str:
    """A finding on one line: rule, place, message, and where its sides are."""
    sides = " | ".join(f"{side.path}:{side.line} {side.access} in {side.function}" for side in finding.sides)
    return f"{finding.rule} {finding.place}: {finding.message} [{finding.severity}, {finding.confidence}; {sides}]"


def _check_expected(mark: Mark, case: Case, left: list[Finding]) -> Iterator[Mismatch]:
    peers = [peer for peer in case.marks if peer.kind == "peer" and mark.label and peer.label == mark.label]
    at_line = [finding for finding in left if _is_at(finding, mark)]
    text_fits = [finding for finding in at_line if mark.text in finding.message]
    fits = [finding for finding in text_fits if all(_has_peer(finding, peer) for peer in peers)]
    chosen = next(iter(fits or text_fits or at_line), None)
    if chosen is None:
        elsewhere = [describe(finding) for finding in left if finding.rule == mark.rule]
        yield _mismatch(
            mark, _expected(mark), "nothing here" + (f"; elsewhere: {'; '.join(elsewhere)}" if elsewhere else "")
        )
        return
    left.remove(chosen)
    if mark.text not in chosen.message:
        yield _mismatch(mark, _expected(mark), describe(chosen))
    for peer in peers:
        if not _has_peer(chosen, peer):
            yield _mismatch(peer, f"the other side of @{peer.label}", describe(chosen))


def _expected(mark: Mark) -> str:
    return mark.rule + (f" @{mark.label}" if mark.label else "") + (f' "{mark.text}"' if mark.text else "")


def _is_at(finding: Finding, mark: Mark) -> bool:
    side = finding.sides[0]
    return (finding.rule, side.path, side.line) == (mark.rule, mark.path, mark.line)


def _has_peer(finding: Finding, peer: Mark) -> bool:
    return any((side.path, side.line) == (peer.path, peer.line) for side in finding.sides[1:])


def _take(left: list[Finding], mark: Mark) -> Finding | None:
    for finding in left:
        if _is_at(finding, mark):
            left.remove(finding)
            return finding
    return None


def _mismatch(mark: Mark, expected: str, got: str) -> Mismatch:
    return Mismatch(mark.path, mark.line, mark.document_line, expected, got)


class _DocumentLines:
    """Where a line of a case's file stands in the document; the heading for files that are not in it."""

    def __init__(self, case: Case) -> None:
        self._starts = {file.path: file.line for file in case.files}
        self._heading = case.line

    def of(self, path: str, line: int) -> int:
        start = self._starts.get(path)
        return self._heading if start is None else start + max(line, 1) - 1


def _cases(text: str) -> Iterator[Case]:
    headings: list[tuple[int, str]] = []
    section = _Section("", 1)
    lines = text.splitlines()
    number = 0
    previous = ""  # the last line that is not empty, which may name the file of the next fence
    while number < len(lines):
        line = lines[number]
        number += 1
        fence = _FENCE.match(line)
        heading = _HEADING.match(line)
        if fence:
            end = _closing(lines, number, fence[1])
            section.add(fence[2], previous, lines[number:end], number + 1)
            number = end + 1
            previous = ""
        elif heading:
            yield from section.case()
            headings = [(level, title) for level, title in headings if level < len(heading[1])]
            headings.append((len(heading[1]), heading[2]))
            section = _Section(" / ".join(title for _, title in headings), number)
            previous = ""
        else:
            section.library |= _LIBRARY.match(line.strip()) is not None
            previous = line.strip() or previous
    yield from section.case()


def _closing(lines: Sequence[str], start: int, ticks: str) -> int:
    for index in range(start, len(lines)):
        stripped = lines[index].strip()
        if stripped.startswith(ticks) and not stripped.strip("`"):
            return index
    raise CaseError(start, "this fence is never closed")


class _Section:
    """What stands under one heading while the document is read."""

    def __init__(self, name: str, line: int) -> None:
        self.name = name
        self.line = line
        self.library = False
        self.files: list[File] = []

    def add(self, language: str, previous: str, lines: Sequence[str], line: int) -> None:
        named = _PATH_LINE.match(previous)
        if language == "toml":
            path = CONFIG_FILE
        elif language == "python":
            path = named[1] if named else DEFAULT_FILE
        elif named:
            raise CaseError(line, f"the fence of {named[1]} must be marked as python or toml")
        elif language.startswith(("python", "toml")):
            raise CaseError(line, f"fences are marked python or toml and nothing else; this one is {language!r}")
        else:
            return
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise CaseError(line, f"{path} lies outside the project")
        if any(file.path == path for file in self.files):
            raise CaseError(
                line, f"{path} is already under this heading; give the fence another heading or a path line"
            )
        self.files.append(File(path, "\n".join([*lines, ""]), line))

    def case(self) -> Iterator[Case]:
        if not self.files:
            return
        if not self.name:
            raise CaseError(self.files[0].line, "a fence before the first heading belongs to no test")
        marks = tuple(mark for file in self.files if file.path != CONFIG_FILE for mark in _marks(file))
        _check_labels(marks)
        yield Case(self.name, self.line, tuple(self.files), marks, self.library)


def _marks(file: File) -> Iterator[Mark]:
    for number, line in enumerate(file.text.splitlines(), 1):
        # A `;` before the first `#` ends a statement, as in `x = 1; ok: int = 2`.
        hits = list(dropwhile(lambda hit: hit[0][0] == ";", _MARK.finditer(line)))
        for hit, following in zip_longest(hits, hits[1:]):
            body = line[hit.end() : following.start() if following else len(line)].strip()
            yield _mark(hit[1], body, file, number)


def _mark(word: str, body: str, file: File, line: int) -> Mark:
    at = file.line + line - 1
    if word == "expect":
        match = _EXPECT.match(body)
        if match:
            return Mark("expect", file.path, line, at, match[1], match[2] or "", match[3] or "")
        raise CaseError(at, f'`expect:` needs a rule, then optionally @label and "text"; this is {body!r}')
    if word == "peer":
        match = _PEER.match(body)
        if match:
            return Mark("peer", file.path, line, at, label=match[1])
        raise CaseError(at, f"`peer:` needs the @label of an `expect:`; this is {body!r}")
    if word == "ok":
        return Mark("ok", file.path, line, at, text=body)
    match = _REASONED.match(body)
    if match:
        kind: MarkKind = "missed" if word == "missed" else "false-alarm"
        return Mark(kind, file.path, line, at, match[1], text=match[2])
    raise CaseError(at, f"`{word}:` needs a rule and a reason; this is {body!r}")


def _check_labels(marks: Sequence[Mark]) -> None:
    labels: set[str] = set()
    for mark in marks:
        if mark.kind == "expect" and mark.label:
            if mark.label in labels:
                raise CaseError(mark.document_line, f"the label @{mark.label} is already used under this heading")
            labels.add(mark.label)
    for mark in marks:
        if mark.kind == "peer" and mark.label not in labels:
            raise CaseError(mark.document_line, f"no `expect:` under this heading has the label @{mark.label}")
