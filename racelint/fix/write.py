"""Changed files on disk: whole or not at all, and never over somebody else's work."""

from __future__ import annotations

import difflib
import io
import os
import re
import secrets
import stat
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from racelint.files import SOURCE_BYTES, is_inside, read_regular
from racelint.model.findings import Edit

OUTSIDE = "is a link to a file outside the project"


@dataclass(frozen=True, slots=True)
class Change:
    """New content for one file. ``old`` is what the analysis has read."""

    path: Path
    display: str
    old: bytes
    new: bytes


class NotWritten(Exception):
    """A file was left as it is; the message says why."""


def unified(change: Change) -> str:
    """The change as a unified diff."""
    old, new = ([line.rstrip("\r\n") for line in _lines(text)] for text in decoded(change.old, change.new))
    lines = difflib.unified_diff(old, new, f"a/{change.display}", f"b/{change.display}", lineterm="")
    return "".join(f"{line}\n" for line in lines)


def replacements(display: str, old: bytes, new: bytes) -> tuple[Edit, ...]:
    """The difference between two versions of a file as edits of whole lines, from the top down."""
    before, after = (_lines(text) for text in decoded(old, new))
    found: list[Edit] = []
    for tag, start, end, to_start, to_end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            text = "".join(after[to_start:to_end])
            last = before[end - 1] if end > start else ""
            if last and not last.endswith(("\n", "\r")):  # the file ends without a line end
                found.append(Edit(display, start + 1, 1, end, len(last) + 1, text))
            else:
                found.append(Edit(display, start + 1, 1, end + 1, 1, text))
    return tuple(found)


def _lines(text: str) -> list[str]:
    """Lines with their ends, split where Python does: ``str.splitlines`` would also split at form feeds."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)


def decoded(*versions: bytes) -> tuple[str, ...]:
    """Versions of one file as text, in the encoding the first of them declares; line ends stay as they are."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(versions[0]).readline)
    except SyntaxError:
        encoding = "utf-8"
    return tuple(data.decode(encoding, "replace") for data in versions)


def write_all(changes: Iterable[Change], project: Path) -> None:
    """Replace the content of some files, each in one step, keeping its mode; a symbolic link stays one.

    All files are checked before the first is written; none outside the folder ``project`` is. Raises NotWritten.
    """
    checked = [(change, _checked(change, project)) for change in changes]
    for change, path in checked:
        _put(path, change.display, change.new)


def _checked(change: Change, project: Path) -> Path:
    """Where a file really lies, if it may be written and still is what was read."""
    path = Path(os.path.realpath(change.path))
    if not is_inside(path, project):
        raise NotWritten(f"{change.display} {OUTSIDE}")
    try:
        if read_regular(path, SOURCE_BYTES) != change.old:
            raise NotWritten(f"{change.display} has changed since it was read")
        if not path.stat().st_mode & stat.S_IWUSR or not os.access(path, os.W_OK):
            raise NotWritten(f"{change.display} is read-only")
    except OSError as error:
        raise NotWritten(f"{change.display} cannot be read: {error.strerror or error}") from None
    return path


def create(path: Path, display: str, data: bytes) -> None:
    """Make a new file in one step, with the mode that new files get. Raises NotWritten, also when there is one."""
    if os.path.lexists(path):
        raise NotWritten(f"{display} is there already")
    _put(path, display, data)


def _put(path: Path, display: str, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise NotWritten(f"{display} cannot be written: {error.strerror or error}") from None


def write_whole(path: Path, data: bytes) -> None:
    """Make ``data`` the content of a file in one step: a reader sees the old or the new. Raises OSError.

    The mode of the file is kept; a symbolic link stays one.
    """
    path = Path(os.path.realpath(path))
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mode = None
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.racelint")
    # Only the owner may look until the mode of the old file is known to hold; a new file is as the umask wants it.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(temporary, flags, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
