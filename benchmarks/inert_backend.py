"""A build backend that runs nothing: it answers pip's question for metadata from the ``PKG-INFO`` file of an sdist.

``pip download`` asks the backend of a source archive for its metadata, and the real one would run ``setup.py``.
``releases.py`` puts this module in the place of the usual backends, so that pip fetches and verifies the archive and no
code of the package runs. It stands alone: pip starts it in a process of its own.
"""

from __future__ import annotations

import os
import sys
from email.parser import HeaderParser

__legacy__ = sys.modules[__name__]  # what pip asks for when a source archive names no backend


def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
    """Nothing is needed, because nothing is built."""
    return []


get_requires_for_build_sdist = get_requires_for_build_wheel


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: object = None) -> str:
    """Write name and version from ``PKG-INFO`` and return the name of the folder they are in."""
    with open("PKG-INFO", encoding="utf-8", errors="replace") as stream:
        told = HeaderParser().parse(stream, headersonly=True)
    name, version = told["Name"], told["Version"]
    folder = f"{name.replace('-', '_')}-{version.replace('-', '_')}.dist-info"
    os.makedirs(os.path.join(metadata_directory, folder))
    for filename, text in (
        ("METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
        ("WHEEL", "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
    ):
        with open(os.path.join(metadata_directory, folder, filename), "w", encoding="utf-8") as out:
            out.write(text)
    return folder


def build_wheel(*args: object, **kwargs: object) -> str:
    """Refused."""
    raise SystemExit("releases are unpacked, never built")


build_sdist = build_wheel
