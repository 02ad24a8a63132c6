"""Files that a project brings along: only regular ones are read, and not without limit.

A link to ``/dev/zero`` has no end, and a named pipe waits for ever for somebody who writes: whatever a file was when it
was found, it is looked at again once it is open.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from racelint.model.source import SourceFile

MEGABYTE = 1024 * 1024
# Nobody writes a configuration or a list of ignored files by hand that is longer; lists of known findings are made.
SETTINGS_BYTES = MEGABYTE
BASELINE_BYTES = 64 * MEGABYTE
SOURCE_BYTES = 20 * MEGABYTE


def read_regular(path: str | Path, limit: int) -> bytes:
    """The content of a regular file of at most ``limit`` bytes. Raises OSError, also for any other one."""
    # Not to wait for a pipe, should one have taken the place of the file.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"is larger than {limit // MEGABYTE} MB")
    return data


def leads_outside(file: SourceFile) -> bool:
    """Whether a file of the project is a link to one that lies elsewhere: it is read, and never written."""
    if not os.path.islink(file.path):
        return False
    root = file.path.parents[file.display.count("/")]
    return not is_inside(file.path, root)


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path lies below a folder once all links are followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
