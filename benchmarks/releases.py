"""Fetches pinned releases with pip, for their Python files only: unpacked, never built, never installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.archives import ArchiveError, unpack

DEFAULT_CACHE = Path(__file__).parent / ".cache"
INERT_BACKEND = Path(__file__).parent / "inert_backend.py"
# The build backends that source archives name; each is answered for by inert_backend.py.
BACKENDS = (
    "setuptools.build_meta",
    "poetry.core.masonry.api",
    "poetry.masonry.api",
    "hatchling.build",
    "flit_core.buildapi",
    "maturin",
)
# Interpreters asked for in turn when a release has no wheel for the running one: only the .py files matter.
PYTHONS = ("3.14", "3.12", "3.10", "3.8", "3.7", "3.6", "3.4", "2.7")
PLATFORMS = (
    "manylinux_2_34_x86_64",
    "manylinux_2_28_x86_64",
    "manylinux2014_x86_64",
    "linux_x86_64",
    "macosx_12_0_x86_64",
    "win_amd64",
    "win32",
)


class FetchError(RuntimeError):
    """A release that cannot be had; the message names package and version, and pip's last word."""


def normalise(name: str) -> str:
    """A project name as the index spells it (PEP 503)."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)


def fetch(package: str, version: str, cache: Path = DEFAULT_CACHE, *, source: bool = False) -> Path:
    """The folder with the release's Python files, from the cache or else from the index. Raises FetchError.

    ``source``: those of the source archive, which often has tests that are no part of a wheel.
    """
    target = cache / f"{normalise(package)}-{version}{'-source' if source else ''}"
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as scratch:
        archive = download(package, version, Path(scratch), source=source)
        tree = Path(scratch) / "tree"
        tree.mkdir()
        try:
            count = unpack(archive, tree)
        except ArchiveError as error:
            raise FetchError(f"{package} {version}: {error}") from error
        if not count:
            raise FetchError(f"{package} {version}: no Python file in {archive.name}")
        try:
            tree.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was quicker with the same release
                raise
    return target


def download(package: str, version: str, scratch: Path, *, source: bool = False) -> Path:
    """The wheel of a release, for whatever platform there is one, else its source archive. Raises FetchError."""
    backends = scratch / "backends"
    lay_out_backends(backends)
    last = ""
    for number, arguments in enumerate(attempts()):
        is_source = "--no-binary" in arguments
        if source and not is_source:
            continue
        folder = scratch / f"attempt-{number}"
        last = _pip([*arguments, "--dest", str(folder), f"{package}=={version}"], backends if is_source else None)
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        if found:
            return found[0]
    wanted = "no source archive" if source else "neither wheel nor source archive"
    raise FetchError(f"{package} {version}: pip found {wanted} ({last})")


def attempts() -> Iterator[Sequence[str]]:
    """Arguments for ``pip download``, best first: a wheel for here, a wheel for elsewhere, the source archive."""
    yield ("--only-binary", ":all:")
    for python in PYTHONS:
        platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
        yield ("--only-binary", ":all:", "--implementation", "cp", "--python-version", python, *platforms)
    yield ("--no-binary", ":all:", "--no-build-isolation", "--use-pep517")


def lay_out_backends(folder: Path) -> None:
    """Packages under ``folder`` that answer to the names in BACKENDS and run nothing."""
    for backend in BACKENDS:
        path = folder.joinpath(*backend.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        for parent in [path.parent, *path.parent.parents]:
            if parent == folder:
                break
            (parent / "__init__.py").touch()
        shutil.copyfile(INERT_BACKEND, path)


def _pip(arguments: Sequence[str], backends: Path | None) -> str:
    """Run ``pip download``; the last line of its complaint, empty when it went well."""
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    if backends is not None:
        environment["PYTHONPATH"] = str(backends.resolve())
        environment["SETUPTOOLS_USE_DISTUTILS"] = "stdlib"  # else a start-up hook of setuptools looks for the real one
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--ignore-requires-python", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].strip() if done.returncode and lines else ""
