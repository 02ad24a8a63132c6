"""What the facts of a file depend on besides the file: this front end, LibCST, and the Python that runs them."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib import metadata, resources

from racelint import __version__

# Every file of racelint that has a part in extraction; a test compares them with what ``extract`` imports.
SOURCES = (
    ("racelint", "layout.py"),
    ("racelint.frontends.python", "builder.py"),
    ("racelint.frontends.python", "expressions.py"),
    ("racelint.frontends.python", "extract.py"),
    ("racelint.frontends.python", "lock_calls.py"),
    ("racelint.frontends.python", "nesting.py"),
    ("racelint.frontends.python", "newlines.py"),
    ("racelint.frontends.python", "statements.py"),
    ("racelint.model", "facts.py"),
    ("racelint.model", "source.py"),
)
# What is kept together with the facts.
BESIDE = (("racelint", "outline.py"),)


@cache
def version() -> str:
    """One text for all of it. LibCST is not imported.

    The code itself is part of it, not only racelint's number, so that nobody has to remember to raise a second number
    with a change to the front end. The grammar LibCST parses is that of its release; some look-ups (how an encoding is
    named, how a string is written) are those of the Python that runs.
    """
    digest = hashlib.sha256()
    for package, name in (*SOURCES, *BESIDE):
        try:
            digest.update((resources.files(package) / name).read_bytes())
        except OSError:  # racelint was installed without its sources: its number has to do
            digest.update(b"\0")
    try:
        libcst = metadata.version("libcst")
    except metadata.PackageNotFoundError:  # bundled into one program, together with racelint
        libcst = "bundled"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"racelint {__version__} {digest.hexdigest()}, libcst {libcst}, {python}"
