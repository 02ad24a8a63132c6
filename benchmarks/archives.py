"""Takes the Python files out of a wheel or source archive, and nothing else, without trusting the names in it."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


class ArchiveError(RuntimeError):
    """An archive that cannot be read, or that names a file outside the folder it is unpacked to."""


def unpack(archive: Path, target: Path) -> int:
    """Write the ``.py`` files of ``archive`` below ``target`` and return how many there were.

    The top folder of a source archive (``name-version/``) is left out, as a wheel has none. Raises ArchiveError,
    before anything is written, when a member has an absolute name or one with ``..``.
    """
    is_wheel = archive.suffix == ".whl"
    try:
        files = [(_safe(name), content) for name, content in _members(archive)]
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ArchiveError(f"{archive.name}: {error}") from error
    count = 0
    for name, content in files:
        parts = name.parts if is_wheel else name.parts[1:]
        if not parts:
            continue
        destination = target.joinpath(*parts)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(content)
        count += 1
    return count


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each regular Python file; links and devices are passed over."""
    if archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if info.filename.endswith(".py") and not info.is_dir():
                    yield info.filename, zipped.read(info)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() and member.name.endswith(".py") else None
            if content is not None:
                yield member.name, content.read()


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise ArchiveError(f"refused: the archive names a file outside its folder: {name!r}")
    return path
