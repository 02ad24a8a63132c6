"""A report in GitHub's Markdown, for a comment on a change or the summary of a job.

Everything from the analysed project stands in code, or with its punctuation escaped, so that it can neither become a
link, a picture, HTML or a mention of somebody, nor end what it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from racelint.model.findings import Finding, Result, Side
from racelint.model.source import Problem
from racelint.report.full import render_finding
from racelint.report.text import (
    Sources,
    context_words,
    location,
    message,
    problem_severity,
    safe,
    short,
    summary,
)
from racelint.select import gravest_first

# What GitHub takes as a comment, counted here in bytes: "Body is too long (maximum is 65536 characters)".
COMMENT_BYTES = 65_536
# Room for the last line.
TAIL_BYTES = 200

# What GitHub and GitLab make a link or a mention of, also where Markdown sees plain text.
_LINKED = re.compile(r"@|#\d|!\d|://|www\.|mailto:|\bGH-\d", re.IGNORECASE)
_WORD = re.compile(r"[^\s`]+")
_PUNCTUATION = re.compile(r"[\\`*\[\]<>&~$]|(?<![^\W_])_|_(?![^\W_])|^[#+\-=]")
_NUMBERED = re.compile(r"^(\d+)(?=[.)])")


def render(result: Result, sources: Sources, *, limit: int = COMMENT_BYTES) -> str:
    """What is found, gravest first, and the problems, in at most ``limit`` bytes of UTF-8; the last line says what is
    left out.
    """
    findings = gravest_first(result.findings)
    sections = chain(
        (render_finding_section(finding, sources) for finding in findings),
        (_problem(problem) for problem in result.problems),
    )
    text = [f"### racelint: {summary(result)}\n"]
    room = limit - TAIL_BYTES - len(text[0].encode())
    for section in sections:
        room -= len(section.encode())
        if room < 0:
            break
        text.append(section)
    left = len(findings) + len(result.problems) - len(text) + 1
    return "".join([*text, f"\n{left} more not shown here, for want of room.\n" if left else ""])


def render_finding_section(finding: Finding, sources: Sources) -> str:
    """One finding: its message, its sides, what to do, and folded away the full report with code and call paths."""
    return "".join(f"{line}\n" for line in _finding(finding, sources))


def _finding(finding: Finding, sources: Sources) -> Iterator[str]:
    first = finding.sides[0]
    where = code(location(first.path, first.line, first.column))
    yield ""
    yield f"#### {finding.severity}: {code(finding.rule)} ({prose(finding.code)}) at {where}"
    yield ""
    yield prose(message(finding))
    yield ""
    for index, side in enumerate(finding.sides):
        yield _side(chr(ord("A") + index % 26), side)
    for label, text in (("Why", finding.why), ("In production", finding.consequence), ("Help", finding.help)):
        if text:
            yield ""
            yield f"**{label}:** {prose(text)}"
    yield ""
    yield "<details><summary>Code and call paths</summary>"
    yield ""
    yield _fenced(render_finding(finding, sources))
    yield ""
    yield "</details>"


def _side(label: str, side: Side) -> str:
    held = f"holding {', '.join(code(short(lock)) for lock in side.locks)}" if side.locks else "no lock held"
    entry = f"{code(short(side.context.entry))} ({code(location(side.context.path, side.context.line))})"
    return (
        f"- **{label}** {code(location(side.path, side.line))}: {prose(side.detail or side.access)} in "
        f"{code(side.function)}, {held}; {prose(context_words(side))}: {entry}"
    )


def _problem(problem: Problem) -> str:
    where = code(location(problem.path, problem.line))
    return f"\n- {problem_severity(problem)}: {code(problem.rule)} at {where}: {prose(problem.message)}\n"


def code(text: str) -> str:
    """``text`` as a code span, whatever backticks are in it."""
    text = safe(text)
    ticks = _longest_ticks(text)
    mark = "`" * (ticks + 1)
    # A space is stripped on both sides when there is one on both; an empty span is none.
    pad = " " if ticks or not text.strip() or text[:1] == text[-1:] == " " else ""
    return f"{mark}{pad}{text}{pad}{mark}"


def prose(text: str) -> str:
    """``text`` with its ``code spans`` kept and nothing else of it taken for Markdown."""
    text = safe(text).strip()
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner
        return _plain(text)
    return "".join(code(part) if number % 2 else _plain(part) for number, part in enumerate(parts) if part)


def _plain(text: str) -> str:
    """Text outside of code; what would become a link or a mention by itself is put in code."""
    found: list[str] = []
    start = 0
    for word in _WORD.finditer(text):
        if _LINKED.search(word[0]):
            found += [_escaped(text[start : word.start()]), code(word[0])]
            start = word.end()
    return "".join([*found, _escaped(text[start:])])


def _escaped(text: str) -> str:
    return _NUMBERED.sub(r"\1\\", _PUNCTUATION.sub(r"\\\g<0>", text))


def _fenced(text: str) -> str:
    mark = "`" * max(3, _longest_ticks(text) + 1)
    return f"{mark}text\n{text.rstrip()}\n{mark}"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
