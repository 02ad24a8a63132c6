"""A cache at a URL of fsspec (``s3://bucket/racelint``, ``gs://...``), which a fleet of machines shares.

What is got is asked for together, and what is put goes together, since each answer takes a while. An object is written
whole or not at all by such storage; where it is not, the checksum of the entry says so. How long objects stay is for
the storage to decide (a lifecycle rule): to list all of them in each run would take longer than they save.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from racelint.cache import FOLDER, Use, sealed, unsealed

# What is put is sent once it is this much; keeping all of it until the end would be lost with a run that is stopped.
SEND_BYTES = 8 * 1024 * 1024


class NoSuchPlace(Exception):
    """The URL cannot be used; the message says why."""


class RemoteCache:
    """Like ``Cache``. Nothing but the constructor raises, which raises NoSuchPlace."""

    def __init__(self, url: str) -> None:
        try:
            fsspec = import_module("fsspec")
        except ImportError:
            raise NoSuchPlace("a cache at a URL needs fsspec: pip install 'racelint[remote]'") from None
        self.place = url.rstrip("/")
        self.failure = ""
        self._pending: dict[str, bytes] = {}
        self._size = 0
        try:
            self._files, root = fsspec.core.url_to_fs(f"{self.place}/{FOLDER}")
        except Exception as error:  # each kind of storage has errors of its own, as all below
            raise NoSuchPlace(_said(error)) from None
        self._root = str(root)

    def get(self, key: str) -> bytes | None:
        """The content kept under ``key`` (hexadecimal), if there is any and it is whole."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The contents of those keys that there are."""
        asked = {self._path(key): key for key in keys}
        waiting = {path: data for path in asked if (data := self._pending.get(path)) is not None}
        rest = [path for path in asked if path not in waiting]
        try:
            answers: Any = self._files.cat(rest, on_error="omit") if rest else {}
        except Exception as error:
            self.failure = self.failure or _said(error)
            answers = {}
        found = {}
        for path, data in {**waiting, **answers}.items():
            # Some storage names what it gives with the protocol or a slash in front.
            key = asked.get(path) or next((key for known, key in asked.items() if str(path).endswith(known)), "")
            content = unsealed(key, data) if isinstance(data, bytes) else None
            if content is not None:
                found[key] = content
        return found

    def put(self, key: str, content: bytes) -> None:
        """Keep ``content``; it is sent by ``settle`` at the latest. After a failure nothing more is tried."""
        if self.failure:
            return
        self._pending[self._path(key)] = sealed(key, content)
        self._size += len(content)
        if self._size >= SEND_BYTES:
            self.settle()

    def settle(self) -> None:
        """Send what is still to be sent."""
        pending, self._pending, self._size = self._pending, {}, 0
        if not pending or self.failure:
            return
        try:
            for folder in sorted({path.rpartition("/")[0] for path in pending}):
                self._files.makedirs(folder, exist_ok=True)
            self._files.pipe(pending)
        except Exception as error:
            self.failure = _said(error)

    def use(self) -> Use:
        """How much is kept."""
        try:
            found: Any = self._files.find(self._root, detail=True)
        except Exception:
            return Use(0, 0)
        return Use(len(found), sum(int(entry.get("size") or 0) for entry in found.values()))

    def clean(self) -> Use:
        """Remove everything; gives what was removed."""
        before = self.use()
        try:
            self._files.rm(self._root, recursive=True)
        except Exception as error:
            self.failure = _said(error)
        self._files.invalidate_cache()
        after = self.use()
        return Use(before.entries - after.entries, before.size - after.size)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key[:2]}/{key[2:]}"


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__).split("\n")[0]
