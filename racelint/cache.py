"""A folder that keeps what was worked out before, by key: losing any of it costs time and nothing else.

Entries are bytes in files of their own. Each is written whole under another name and then moved to its place, so that
runs at the same time never see half of one, and carries a checksum over its key and content, so that a damaged or
misplaced one counts as missing and is written again. Nothing here raises: a folder that cannot be read or written, or
a full disk, is a cache that holds nothing.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# The part of the folder that is racelint's own; another number for another form of the entries.
FOLDER = "facts-1"
# Facts are about as large as the source: enough for several projects of a million lines.
LIMIT_BYTES = 256 * 1024 * 1024
# How exactly it is known when an entry was last used: writing that down at each use would cost more than it tells.
USED_WITHIN_S = 3600
# A half-written file this old was left behind by a run that was killed.
ABANDONED_S = 3600
TEMPORARY = ".tmp"
CHECKSUM_BYTES = 16
# What tells other tools that a folder is a cache: backup programs (https://bford.info/cachedir/) and git.
MARKS = {
    "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache made by racelint: it can be deleted at any time.\n",
    ".gitignore": "*\n",
}


@dataclass(frozen=True, slots=True)
class Use:
    """What a cache holds."""

    entries: int
    size: int


class Store(Protocol):
    """Where entries are kept: a folder (``Cache``), or something far away (``remote.RemoteCache``).

    ``place`` is shown to people; ``failure`` is why nothing could be kept, empty as long as everything could.
    """

    place: str
    failure: str

    def get(self, key: str) -> bytes | None:
        """The content kept under ``key`` (hexadecimal), if there is any and it is whole."""

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The contents of those keys that there are."""

    def put(self, key: str, content: bytes) -> None:
        """Keep ``content``. After the first failure nothing more is tried."""

    def settle(self) -> None:
        """Finish what was put, and keep to the limit."""

    def use(self) -> Use:
        """How much is kept."""

    def clean(self) -> Use:
        """Remove everything; gives what was removed."""


class Cache:
    """The entries below ``folder``, which need not exist; the oldest used go when they are more than ``limit`` bytes.

    ``failure`` is why nothing could be written, empty as long as everything could.
    """

    def __init__(self, folder: Path, limit: int = LIMIT_BYTES) -> None:
        self.folder = folder
        self.place = str(folder)
        self.limit = limit
        self.failure = ""
        self._own = os.path.join(folder, FOLDER)
        self._now = time.time()
        self._written = False

    def get(self, key: str) -> bytes | None:
        """The content kept under ``key`` (hexadecimal), if there is any and it is whole."""
        try:
            with open(self._path(key), "rb") as stream:
                data = stream.read()
                used = os.fstat(stream.fileno()).st_mtime
        except OSError:
            return None
        content = unsealed(key, data)
        if content is None:
            return None
        if self._now - used > USED_WITHIN_S:
            with suppress(OSError):  # somebody else's, or gone meanwhile
                os.utime(self._path(key))
        return content

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The contents of those keys that there are."""
        return {key: content for key in keys if (content := self.get(key)) is not None}

    def put(self, key: str, content: bytes) -> None:
        """Keep ``content``. After the first failure nothing more is tried."""
        if self.failure:
            return
        path = self._path(key)
        temporary = f"{path}.{secrets.token_hex(8)}{TEMPORARY}"
        try:
            stream = self._new(temporary)
        except OSError as error:
            self.failure = error.strerror or str(error)
            return
        try:
            with os.fdopen(stream, "wb") as file:
                file.write(sealed(key, content))
            os.replace(temporary, path)
        except OSError as error:
            self.failure = error.strerror or str(error)
            _remove(temporary)
        except BaseException:
            _remove(temporary)
            raise
        self._written = True

    def settle(self) -> None:
        """Keep to the limit, if this run has written anything: what was used longest ago goes first."""
        if not self._written:
            return
        self._written = False
        kept = []
        for entry, status in self._files():
            if not entry.name.endswith(TEMPORARY):
                kept.append((status.st_mtime, entry.path, status.st_size))
            elif self._now - status.st_mtime > ABANDONED_S:
                _remove(entry.path)
        excess = sum(size for _, _, size in kept) - self.limit
        for _, path, size in sorted(kept):
            if excess <= 0:
                break
            _remove(path)
            excess -= size

    def use(self) -> Use:
        """How much is kept."""
        sizes = [status.st_size for entry, status in self._files() if not entry.name.endswith(TEMPORARY)]
        return Use(len(sizes), sum(sizes))

    def clean(self) -> Use:
        """Remove everything; gives what was removed."""
        before = self.use()
        shutil.rmtree(self._own, ignore_errors=True)
        after = self.use()
        return Use(before.entries - after.entries, before.size - after.size)

    def _path(self, key: str) -> str:
        return os.path.join(self._own, key[:2], key[2:])

    def _new(self, path: str) -> int:
        """A new file for writing, and the folders around it as needed. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            self._make(os.path.dirname(path))
        return os.open(path, flags, 0o600)

    def _make(self, shelf: str) -> None:
        """Make a folder for entries; racelint's own folder tells other tools that it is a cache. Raises OSError."""
        os.makedirs(shelf, exist_ok=True)
        for name, text in MARKS.items():
            mark = os.path.join(self._own, name)
            if not os.path.lexists(mark):
                with open(mark, "w", encoding="ascii", newline="\n") as stream:
                    stream.write(text)

    def _files(self) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
        """Every entry, and every file that is to become one; what other runs remove meanwhile is left out."""
        for shelf in _scan(self._own):
            if _is_folder(shelf):
                for entry in _scan(shelf.path):
                    try:
                        yield entry, entry.stat(follow_symlinks=False)
                    except OSError:
                        continue


def sealed(key: str, content: bytes) -> bytes:
    """An entry as it is written: a checksum over its key and content, and the content."""
    return _checksum(key, content) + content


def unsealed(key: str, data: bytes) -> bytes | None:
    """The content of an entry; None when it is damaged, or the entry of another key."""
    content = data[CHECKSUM_BYTES:]
    return content if data[:CHECKSUM_BYTES] == _checksum(key, content) else None


def _checksum(key: str, content: bytes) -> bytes:
    digest = hashlib.sha256(key.encode())
    digest.update(content)
    return digest.digest()[:CHECKSUM_BYTES]


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _remove(path: str) -> None:
    with suppress(OSError):  # another run was quicker, or it is not ours to remove
        os.unlink(path)
