"""Fetches pinned releases from the package index and unpacks their Python files: never built, never installed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import ssl
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin

DEFAULT_CACHE = Path(__file__).parent / ".cache"


class FetchError(RuntimeError):
    """A release that cannot be had; the message names package and version."""


def index_url() -> str:
    """The simple index pip uses: environment, pip's configuration, or pip's own default."""
    found = os.environ.get("PIP_INDEX_URL")
    if not found:
        asked = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
        )
        found = asked.stdout.strip()
    if not found:
        asked = subprocess.run(
            [sys.executable, "-c", "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"],
            capture_output=True,
            text=True,
            check=True,
        )
        found = asked.stdout.strip()
    return found.rstrip("/") + "/"


def normalise(name: str) -> str:
    """A project name as the index spells it (PEP 503)."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)


def choose(files: list[dict[str, object]], package: str, version: str) -> dict[str, object] | None:
    """The file to unpack: a wheel of this version (any platform), else its source archive."""
    wheels, archives = [], []
    for entry in files:
        name = str(entry["filename"])
        if name.endswith(".whl"):
            parts = name.split("-")
            if len(parts) >= 5 and _same_version(parts[1], version):
                wheels.append(entry)
        elif name.endswith((".tar.gz", ".zip", ".tar.bz2", ".tgz")):
            stem = name
            for suffix in (".tar.gz", ".tar.bz2", ".zip", ".tgz"):
                stem = stem.removesuffix(suffix)
            prefix, _, found = stem.rpartition("-")
            if _same_version(found, version) and normalise(prefix) == normalise(package):
                archives.append(entry)

    def rank(entry: dict[str, object]) -> tuple[bool, int, str]:
        name = str(entry["filename"])
        return ("py2-none" in name and "py2.py3" not in name, int(str(entry.get("size") or 0)), name)

    return min(wheels, key=rank) if wheels else (archives[0] if archives else None)


def _same_version(a: str, b: str) -> bool:
    def parts(text: str) -> list[str]:
        found = text.lower().replace("_", "-").replace("-", ".").split(".")
        found = [part.lstrip("0") or "0" for part in found]
        while len(found) > 1 and found[-1] == "0":
            found.pop()
        return found

    return parts(a) == parts(b)


def download(url: str, accept: str = "*/*") -> bytes:
    """The bytes behind a URL."""
    request = urllib.request.Request(url, headers={"Accept": accept})
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
    with urllib.request.urlopen(request, timeout=180, context=context) as answer:
        data: bytes = answer.read()
    return data


def fetch(package: str, version: str, cache: Path = DEFAULT_CACHE) -> Path:
    """The folder with the release's Python files, from the cache or the index. Raises FetchError."""
    target = cache / f"{normalise(package)}-{version}"
    if target.is_dir():
        return target
    base = f"{index_url()}{normalise(package)}/"
    try:
        listing = json.loads(download(base, "application/vnd.pypi.simple.v1+json"))
    except (OSError, ValueError) as error:
        raise FetchError(f"{package} {version}: no index page ({error})") from error
    entry = choose(listing["files"], package, version)
    if entry is None:
        raise FetchError(f"{package} {version}: no such release on the index")
    try:
        data = download(urljoin(base, str(entry["url"])))
    except OSError as error:
        raise FetchError(f"{package} {version}: {error}") from error
    hashes = entry.get("hashes")
    if isinstance(hashes, dict) and "sha256" in hashes and hashlib.sha256(data).hexdigest() != hashes["sha256"]:
        raise FetchError(f"{package} {version}: the downloaded file does not have the announced hash")
    unpack(str(entry["filename"]), data, target)
    return target


def members(filename: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the Python files in a wheel or source archive."""
    if filename.endswith((".whl", ".zip")):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".py"):
                    yield info.filename, archive.read(info)
        return
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(".py"):
                content = tar.extractfile(member)
                if content is not None:
                    yield member.name, content.read()


def unpack(filename: str, data: bytes, target: Path) -> None:
    """Write the Python files of an archive below ``target``; names that point elsewhere are refused."""
    source = not filename.endswith(".whl")
    staging = target.with_name(target.name + ".part")
    for name, content in members(filename, data):
        path = PurePosixPath(name)
        parts = path.parts[1:] if source else path.parts
        if not parts or path.is_absolute() or ".." in parts:
            continue
        destination = staging.joinpath(*parts)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(content)
    staging.mkdir(parents=True, exist_ok=True)
    staging.rename(target)
