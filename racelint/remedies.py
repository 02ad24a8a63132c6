"""Fixes of an earlier run, where this one would come to the same.

What mends a place is made of the program, as findings are (``warm.py``), and besides of the text of the files that are
to be changed. So it is kept together with the hashes of all files whose text had a part in it, or that it speaks of,
and holds as long as those have not changed and the others have kept their shape. Changes that a run has written are
not kept: after them the files are others.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from racelint.cache import Store
from racelint.config import Settings
from racelint.model.findings import Fix, Result
from racelint.reading import Progress, Read, decoded
from racelint.select import Narrow, Wanted, left_out, offered
from racelint.stack import with_deep_stack
from racelint.warm import Run, digest, look

if TYPE_CHECKING:
    from racelint.mend import Mended

# Settings that have no part in which findings a run is about.
_ASIDE = frozenset({"output_format", "jobs", "baseline", "origin", "warnings", "stated", "fail_on"})


class Kept(msgspec.Struct, frozen=True):
    """The fix of each place, and the hash of each file it depends on by more than its shape."""

    fixes: dict[str, Fix]
    files: dict[str, str]


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Kept)


@dataclass(frozen=True, slots=True)
class Question:
    """Which findings of a project are to be mended, and how it is read; ``inside`` are the paths the run is about."""

    project: Path
    settings: Settings
    inside: tuple[str, ...]
    wanted: Wanted
    narrow: Narrow
    progress: Progress | None
    read: Read
    cache: Store

    def look(self) -> Run:
        """The files as they are."""
        return look(self.project, self.settings, self.progress, self.read, self.cache)

    def key(self, kind: str, run: Run, found: Result) -> str:
        """The name of the answer."""
        chosen = {item.name: getattr(self.settings, item.name) for item in fields(self.settings)}
        asked = {name: value for name, value in chosen.items() if name not in _ASIDE}
        # What a comment silences is not mended, and an edit may be to blame for a comment that silences nothing.
        silent = sorted(finding.fingerprint for finding in found.findings if finding.suppressed is not None)
        comments = [(item.file.display, [text for _, text in item.outline.comments]) for item in run.extracted]
        out = sorted(left_out(found, self.narrow))
        return digest((kind, run.key, asked, self.inside, out, silent, comments, len(found.problems)))


def with_fixes(ask: Question) -> Result:
    """``mend.with_fixes``, or what an earlier run came to."""

    def work() -> Result:
        started = time.monotonic()
        run = ask.look()
        found = run.known()
        known = None if found is None else _known(ask, "fixes", run, found)
        if found is None or known is None:
            from racelint import mend  # not when an earlier run has done it: it takes LibCST

            run, loaded, program, found = run.judged(ask.progress, ask.read)
            consulted: set[str] = set()
            known = mend.fixes(loaded, program, found, ask.settings, ask.wanted, narrow=ask.narrow, consulted=consulted)
            _keep(ask, "fixes", run, found, known, consulted)
        return replace(offered(found, known), elapsed_s=time.monotonic() - started)

    return with_deep_stack(work)


def mend(ask: Question, *, unsafe: bool) -> Mended:
    """``mend.mend``, or what an earlier run came to if that was that nothing can be done."""
    from racelint.mend import Left, Mended, mended

    kind = "mended, also unsafely" if unsafe else "mended"

    def work() -> Mended:
        run = ask.look()
        found = run.known()
        known = None if found is None else _known(ask, kind, run, found)
        if found is not None and known is not None:
            left = tuple(Left(place, fix.title) for place, fix in known.items())
            return Mended((), (), left, found, found)
        run, loaded, program, found = run.judged(ask.progress, ask.read)
        consulted: set[str] = set()
        done = mended(
            loaded,
            program,
            found,
            ask.settings,
            ask.wanted,
            unsafe=unsafe,
            progress=ask.progress,
            narrow=ask.narrow,
            consulted=consulted,
        )
        reasons = {left.place: Fix("display", left.reason) for left in done.left}
        if not done.done and len(reasons) == len(done.left):
            _keep(ask, kind, run, found, reasons, consulted)
        return done

    return with_deep_stack(work)


def _known(ask: Question, kind: str, run: Run, found: Result) -> dict[str, Fix] | None:
    """What an earlier run has kept, if the files it depends on are the same."""
    kept = decoded(ask.cache.get(ask.key(kind, run, found)), _decoder)
    if kept is None or _hashes(run, kept.files) != kept.files:
        return None
    return kept.fixes


def _keep(
    ask: Question, kind: str, run: Run, found: Result, known: Mapping[str, Fix], consulted: Iterable[str]
) -> None:
    texts = "\n".join(fix.title for fix in known.values())
    edited = {edit.path for fix in known.values() for edit in fix.edits}
    told = {item.file.display for item in run.extracted if item.file.display in texts}
    files = _hashes(run, {*consulted, *edited, *told})
    ask.cache.put(ask.key(kind, run, found), _encode(Kept(dict(known), files)))
    ask.cache.settle()


def _hashes(run: Run, paths: Iterable[str]) -> dict[str, str]:
    wanted = set(paths)
    return {
        item.file.display: hashlib.sha256(item.source).hexdigest()
        for item in run.extracted
        if item.file.display in wanted
    }
