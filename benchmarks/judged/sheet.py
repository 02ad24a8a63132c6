"""The sheet of drawn findings: a JSON file that holds the verdicts, and a Markdown page made from it for reading."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]
VERDICTS = ("right", "wrong", "debatable")
AROUND = 6


def entry(package: str, version: str, finding: Json, tree: Path) -> Json:
    """One finding to judge, with the code around each side and with verdict and reason still empty."""
    sides = [{**side, "code": excerpt(tree / side["path"], side["line"])} for side in finding["sides"]]
    return {
        "package": package,
        "version": version,
        "fingerprint": finding["fingerprint"],
        "verdict": "",
        "reason": "",
        "finding": {**finding, "sides": sides},
    }


def excerpt(path: Path, line: int) -> str:
    """The lines around a line of a file, numbered, with a mark at the line itself."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    first = max(1, line - AROUND)
    shown = lines[first - 1 : line + AROUND]
    return "\n".join(f"{'>' if number == line else ' '}{number:>6} {text}" for number, text in enumerate(shown, first))


def read(path: Path) -> list[Json]:
    """The entries of a sheet. Raises ValueError for a verdict that is not one, or one without a reason."""
    entries: list[Json] = json.loads(path.read_text(encoding="utf-8"))
    for number, one in enumerate(entries, 1):
        if one["verdict"] and one["verdict"] not in VERDICTS:
            raise ValueError(f"{path}: entry {number}: verdict {one['verdict']!r} is none of {', '.join(VERDICTS)}")
        if one["verdict"] and not one["reason"].strip():
            raise ValueError(f"{path}: entry {number}: a verdict without a reason")
    return entries


def write(path: Path, entries: Sequence[Json]) -> None:
    """Write the sheet and the page beside it."""
    path.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page(path.stem, entries), encoding="utf-8")


def page(title: str, entries: Sequence[Json]) -> str:
    """The Markdown page."""
    text = [f"# {title}", "", f"Made from `{title}.json`, which holds the verdicts.", ""]
    for number, one in enumerate(entries, 1):
        text += _section(number, one)
    return "\n".join(text)


def _section(number: int, one: Json) -> Iterator[str]:
    finding = one["finding"]
    yield from (f"## {number}. {one['package']} {one['version']}: {finding['rule']}", "")
    yield from (f"{finding['severity']}, {finding['confidence']} confidence, place `{finding['place']}`", "")
    yield from (finding["message"], "")
    yield from (f"- verdict: {one['verdict']}", f"- reason: {one['reason']}", "")
    for name, side in zip("ABCDEFGH", finding["sides"], strict=False):
        context = side["context"]
        locks = ", ".join(side["locks"]) or "none"
        yield from (f"### {name}: {side['access']} at {side['path']}:{side['line']} in `{side['function']}`", "")
        begun = f"`{context['entry']}` ({context['path']}:{context['line']})"
        yield f"locks: {locks}; runs in {context['kind']} from {begun}"
        yield from ("", context["why"], "")
        steps = [
            f"- {step['path']}:{step['line']} `{step['function']}` calls `{step['call']}`" for step in side["trace"]
        ]
        yield from (*steps, *([""] if steps else []))
        yield from ("```", side["code"], "```", "")
