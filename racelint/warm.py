"""What an earlier run came to, when this one would come to the same.

The result of a run depends on the shapes of its files (``outline.py``), the settings, and racelint itself; a key is
made of all of these, and what was found is kept under it with the lines replaced by their places in the tables of
lines. So a run after which nothing was changed, or only what leaves the shapes as they are (comments, line breaks
between statements, text below the last function), reads the outlines, puts the lines in, and is done: no facts are
loaded, nothing is linked or analysed. Comments that silence are applied in each run. Contracts in comments are found
by how the file is laid out, so a file that has any counts with all of its bytes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cache as once
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import racelint
from racelint.cache import Store
from racelint.config import Settings
from racelint.discover import discover, is_test
from racelint.judged import Judged
from racelint.model.findings import Result
from racelint.model.source import Problem
from racelint.reading import Extracted, Progress, Read, decoded, glance, without_collecting
from racelint.stack import with_deep_stack
from racelint.suppress import contracts, entrypoints

if TYPE_CHECKING:
    from racelint.analysis.program import Program
    from racelint.pipeline import Loaded

# Settings that say what is shown of a result, and how it is got.
SHOWN = frozenset(
    {
        "min_severity",
        "fail_on",
        "min_confidence",
        "output_format",
        "exclude",  # which files there are says it all
        "jobs",
        "baseline",
        "per_file_ignores",
        "warnings",
        "stated",
    }
)
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Judged)


class NotKept(Exception):
    """Something found stands on a line that no fact speaks of, so it is not known where it would move to."""


def analyse(project: Path, settings: Settings, progress: Progress | None, read: Read, cache: Store) -> Result:
    """``pipeline.analyse``, or what an earlier run came to."""

    def work() -> Result:
        started = time.monotonic()
        run = look(project, settings, progress, read, cache)
        result = run.known()
        if result is None:
            *_, result = run.judged(progress, read)
        return replace(result, elapsed_s=time.monotonic() - started)

    return with_deep_stack(work)


@dataclass(frozen=True)
class Run:
    """The files of a project as a run has seen them; those that were known by their outlines have no facts."""

    settings: Settings
    extracted: tuple[Extracted, ...]
    problems: tuple[Problem, ...]
    cache: Store

    @cached_property
    def key(self) -> str:
        """The name of what these files come to, made of all it depends on."""
        parts = [
            (item.file.display, item.file.module, item.file.is_package, part(item, self.settings))
            for item in self.extracted
        ]
        return digest(("result", version(), asked(self.settings), parts))

    def known(self) -> Result | None:
        """What an earlier run came to, told of these files."""
        kept = decoded(self.cache.get(self.key), _decoder)
        if kept is None:
            return None
        lines = Lines(self.extracted, self.settings)
        try:
            return kept.moved(lines.line).pointed(lines.files).result(self.extracted, self.all_problems())
        except (NotKept, KeyError):  # no racelint has kept this
            return None

    def judged(self, progress: Progress | None, read: Read) -> tuple[Run, Loaded, Program, Result]:
        """What this run comes to by itself, which is kept; the files are read once more, and may have changed."""
        from racelint import pipeline

        run = self.with_facts(progress, read)
        loaded = pipeline.loaded(run.extracted, run.problems, self.settings)
        program, judged = pipeline.assess(loaded, self.settings, progress)
        with suppress(NotKept):
            self.cache.put(run.key, _encode(judged.moved(Lines(run.extracted, self.settings).place)))
        self.cache.settle()
        return run, loaded, program, judged.result(run.extracted, run.all_problems())

    def all_problems(self) -> list[Problem]:
        """What was wrong with the search for files, and with the files."""
        return [*self.problems, *(item.problem for item in self.extracted if item.problem is not None)]

    def with_facts(self, progress: Progress | None, read: Read) -> Run:
        """The same files with their facts."""
        bare = [item for item in self.extracted if item.outline.shape and item.facts is None]
        loaded = {item.file.display: item for item in read([item.file for item in bare], progress)} if bare else {}
        return replace(self, extracted=tuple(loaded.get(item.file.display, item) for item in self.extracted))


def look(project: Path, settings: Settings, progress: Progress | None, read: Read, cache: Store) -> Run:
    """Find the files of a project, and read those of which the cache knows nothing."""
    files, problems = discover(project, settings.exclude)
    with without_collecting():
        seen = glance(files, cache)
    missing = [file for file in files if file.display not in seen]
    if missing:
        seen.update((item.file.display, item) for item in read(missing, progress))
    return Run(settings, tuple(seen[file.display] for file in files), tuple(problems), cache)


def part(item: Extracted, settings: Settings) -> str:
    """What of a file the result depends on, besides its names, its length, and the comments that silence."""
    if has_contracts(item):
        return f"whole {hashlib.sha256(item.source).hexdigest()}"
    return item.outline.shape if settings.include_tests or not is_test(item.file.display) else ""


def has_contracts(item: Extracted) -> bool:
    """Whether a file has comments that say what is to be checked."""
    comments = item.outline.comments
    return any(True for _ in contracts(comments)) or any(True for _ in entrypoints(comments))


class Lines:
    """The lines of files, and their places in the tables of their outlines (counted from 1; 0 is no line)."""

    def __init__(self, extracted: Sequence[Extracted], settings: Settings) -> None:
        self.files = {item.file.display: item for item in extracted}
        self._whole = {path for path, item in self.files.items() if part(item, settings).startswith("whole ")}

    def place(self, path: str, line: int) -> int:
        """The place of a line. Raises NotKept."""
        if not line or path in self._whole:
            return line
        table = self.files[path].outline.lines if path in self.files else ()
        place = bisect_left(table, line)
        if place == len(table) or table[place] != line:
            raise NotKept(path, line)
        return place + 1

    def line(self, path: str, place: int) -> int:
        """The line at a place. Raises NotKept, KeyError."""
        if not place or path in self._whole:
            return place
        table = self.files[path].outline.lines
        if not 0 < place <= len(table):
            raise NotKept(path, place)
        return table[place - 1]


def asked(settings: Settings) -> Mapping[str, object]:
    """The settings that a result depends on."""
    return {field.name: getattr(settings, field.name) for field in fields(settings) if field.name not in SHOWN}


def digest(value: object) -> str:
    """A name for plain data."""
    return hashlib.sha256(_encode(value)).hexdigest()


@once
def version() -> str:
    """All of racelint, the tables with it, and what it runs on, as one text."""
    content = hashlib.sha256()
    root = Path(racelint.__file__).parent
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            if name.endswith((".py", ".toml")):
                content.update(f"{os.path.relpath(folder, root)} {name} ".encode())
                with open(os.path.join(folder, name), "rb") as stream:
                    content.update(stream.read())
    try:
        networkx = metadata.version("networkx")
    except metadata.PackageNotFoundError:
        networkx = "bundled"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"racelint {racelint.__version__} {content.hexdigest()}, networkx {networkx}, {python}"
