"""The baseline: findings that were there when racelint was adopted, and are not to be told again.

The file is TOML with one finding on each line, sorted by path. Every line ends alike, so that git can merge two
branches that changed different findings, and the lines of both sides may be kept when it cannot: an entry that is there
twice counts once. Everything here is pure; the command line reads and writes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest

import msgspec

from racelint.config import ConfigError, parse_toml
from racelint.model.findings import Finding

VERSION = 1
HEADER = """\
# What racelint knew when this was written: findings on these lines are not reported. Written by
# `racelint check --update-baseline`. In a merge conflict, keep the lines of both sides.
"""


class BaselineError(ValueError):
    """A baseline that cannot be used; the message names the file, with the line where it is known."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A known finding. ``fingerprint`` and ``local_fingerprint`` are its identity, the rest is for readers.

    ``path``, ``rule``, ``place`` and ``function`` are those of the finding's first side.
    """

    path: str
    rule: str
    place: str
    function: str
    fingerprint: str
    local_fingerprint: str


@dataclass(frozen=True, slots=True)
class Match:
    """How findings and entries belong together, by fingerprint of the finding. Entries that are ``gone`` match none.

    Those that are ``moved`` match by their local fingerprint only: a file has another name.
    """

    known: dict[str, Entry]
    moved: dict[str, Entry]
    gone: tuple[Entry, ...]

    def __contains__(self, finding: object) -> bool:
        fingerprint = getattr(finding, "fingerprint", None)
        return fingerprint in self.known or fingerprint in self.moved


class _Row(msgspec.Struct, forbid_unknown_fields=True, rename={"local_fingerprint": "local-fingerprint"}):
    path: str
    rule: str
    place: str
    function: str
    fingerprint: str
    local_fingerprint: str = ""


def parse(text: str, name: str) -> tuple[Entry, ...]:
    """The entries of the file called ``name``. Raises BaselineError."""
    for number, line in enumerate(text.split("\n"), start=1):
        if re.match(r"<{7} |={7}$|>{7} ", line):
            raise BaselineError(f"{name}:{number}: is in a merge conflict; the findings of both sides may be kept")
    try:
        data = parse_toml(text, name)
    except ConfigError as error:
        raise BaselineError(str(error)) from None
    version = data.pop("version", None)
    if version != VERSION or isinstance(version, bool):
        known = f"this racelint knows version {VERSION}"
        said = "there is no version" if version is None else f"version {version!r} is not known"
        raise BaselineError(f"{name}: is no baseline: {said} ({known})")
    rows = data.pop("findings", [])
    if data or not isinstance(rows, list):
        wrong = f"unknown key '{next(iter(data))}'" if data else "'findings' must be an array"
        raise BaselineError(f"{name}: is no baseline: {wrong}")
    return tuple(sorted({_entry(row, index, text, name) for index, row in enumerate(rows)}))


def _entry(row: object, index: int, text: str, name: str) -> Entry:
    try:
        checked = msgspec.convert(row, _Row)
    except msgspec.ValidationError as error:
        starts = [number for number, line in enumerate(text.split("\n"), start=1) if re.match(r"\s*\{", line)]
        where = f"{name}:{starts[index]}" if index < len(starts) else f"{name}: finding {index + 1}"
        raise BaselineError(f"{where}: {error}") from None
    return Entry(*(getattr(checked, field) for field in Entry.__slots__))


def render(entries: Iterable[Entry]) -> str:
    """The file of these entries: the same text for the same entries."""
    lines = [f"  {_table(entry)},\n" for entry in sorted(set(entries))]
    return f"{HEADER}version = {VERSION}\nfindings = [\n{''.join(lines)}]\n"


def _table(entry: Entry) -> str:
    pairs = [f"{name.replace('_', '-')} = {_string(getattr(entry, name))}" for name in Entry.__slots__]
    return f"{{ {', '.join(pairs)} }}"


def _string(text: str) -> str:
    """A basic string of TOML, on one line and without anything that steers a terminal."""
    return '"' + "".join(map(_char, text)) + '"'


def _char(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    code = ord(char)
    if 0xD800 <= code < 0xE000:  # half a character is none that TOML could hold
        return f"\\\\u{code:04x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def entry(finding: Finding) -> Entry:
    """The entry that knows a finding."""
    side = finding.sides[0]
    names = (side.path, finding.rule, finding.place, side.function)
    return Entry(*names, finding.fingerprint, finding.local_fingerprint)


def match(entries: Iterable[Entry], findings: Iterable[Finding]) -> Match:
    """Pair each finding with at most one entry and each entry with at most one finding.

    An entry of which the fingerprint is not found any more, and a finding nobody knows, are one and the same where the
    names in them agree but for their modules.
    """
    by_fingerprint = {item.fingerprint: item for item in sorted(entries, reverse=True)}
    known: dict[str, Entry] = {}
    strangers: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.fingerprint in by_fingerprint:
            known[finding.fingerprint] = by_fingerprint.pop(finding.fingerprint)
        elif finding.local_fingerprint:
            strangers[finding.local_fingerprint].append(finding)
    lost: dict[str, list[Entry]] = defaultdict(list)
    for item in sorted(by_fingerprint.values()):
        lost[item.local_fingerprint].append(item)
    moved: dict[str, Entry] = {}
    gone: list[Entry] = []
    for local, items in lost.items():
        for item, stranger in zip_longest(items, strangers.get(local, [])[: len(items)]):
            if stranger is None:
                gone.append(item)
            else:
                moved[stranger.fingerprint] = item
    return Match(known, moved, tuple(sorted(gone)))


def updated(
    entries: Iterable[Entry], found: Iterable[Finding], shown: Iterable[Finding], is_judged: Callable[[Entry], bool]
) -> tuple[Entry, ...]:
    """The entries after a run that ``found`` findings, of which the ``shown`` ones are what it was about.

    What it was not about stays known: entries of other findings, and entries that match none and that the run has not
    judged.
    """
    pairs = match(entries, found)
    told = {finding.fingerprint: entry(finding) for finding in shown}
    others = [item for print_, item in {**pairs.known, **pairs.moved}.items() if print_ not in told]
    unjudged = [item for item in pairs.gone if not is_judged(item)]
    return tuple(sorted({*told.values(), *others, *unjudged}))
