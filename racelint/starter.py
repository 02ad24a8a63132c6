"""A first configuration for a project: what it uses of the framework tables, what to leave out, and how that is said.

The text is comments and, where something was detected, settings; without that, loading it gives the defaults.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from racelint import discover
from racelint.files import SOURCE_BYTES, read_regular
from racelint.frameworks.schema import Entry, builtin

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - exercised on 3.10 only
    import tomli as tomllib

WIDTH = 100
# Folders whose code is written elsewhere or by a program, and tests under names that are not left out by themselves.
FOREIGN_FOLDER = re.compile(r"_?vendor(ed)?|third_?party|_?generated|migrations|[A-Za-z0-9]+_tests|e2e", re.ASCII)
# What protoc and its plugins write (https://protobuf.dev/reference/python/python-generated/).
GENERATED_FILES = ("*_pb2.py", "*_pb2_grpc.py")
TEST_FOLDERS = ("test", "tests")
TEST_FILES = ("conftest.py", "test_*.py", "*_test.py")
SECTION = "tool.racelint"
_HEADER = re.compile(rb"[ \t]*\[")
_OWN_HEADER = re.compile(rb"[ \t]*\[{1,2}[ \t]*tool[ \t]*\.[ \t]*racelint[ \t]*[\].]")


class CannotExtend(ValueError):
    """A ``pyproject.toml`` to which no section can be added; the message says why."""


@dataclass(frozen=True, slots=True)
class Belief:
    """What racelint believes about an API the project uses: one row of its framework tables."""

    name: str
    others: int
    why: str


@dataclass(frozen=True, slots=True)
class Detected:
    """What a project uses, and what of it is to be left out: folders of tests (left out anyhow), and patterns."""

    beliefs: tuple[Belief, ...]
    tests: tuple[str, ...]
    exclude: tuple[str, ...]


def detect(project: Path, is_test: Callable[[str], bool]) -> Detected:
    """Look through the files of a project; ``is_test`` says of a path whether it is test code in any case."""
    files, _ = discover.discover(project)
    names: set[str] = set()
    attributes: set[str] = set()
    folders: set[str] = set()
    tests: set[str] = set()
    patterns: set[str] = set()
    for file in files:
        path = PurePosixPath(file.display)
        if is_test(file.display):
            tests.add(_test_pattern(path))
            continue
        folders.update(path.parts[:-1])
        patterns.update(pattern for pattern in GENERATED_FILES if path.match(pattern))
        try:
            used = uses(read_regular(file.path, SOURCE_BYTES))
        except OSError:
            continue
        names |= used.names
        attributes |= used.attributes
    foreign = {f"{folder}/" for folder in folders if FOREIGN_FOLDER.fullmatch(folder)}
    beliefs = _believed(builtin().entry, Uses(frozenset(names), frozenset(attributes)))
    return Detected(tuple(beliefs), tuple(sorted(tests)), tuple(sorted(foreign | patterns)))


def _test_pattern(path: PurePosixPath) -> str:
    """What makes a file test code: its folder, or the form of its name, but never the name itself."""
    folder = next((f"{part}/" for part in path.parts[:-1] if part in TEST_FOLDERS), None)
    return folder or next((pattern for pattern in TEST_FILES if path.match(pattern)), "others")


@dataclass(frozen=True, slots=True)
class Uses:
    """What a file takes from elsewhere: dotted names (``a.*`` for all of a module), and every attribute it asks for."""

    names: frozenset[str]
    attributes: frozenset[str]


def uses(source: bytes) -> Uses:
    """The names that a file imports, or reaches through what it imports; none when it cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Uses(frozenset(), frozenset())
    known: dict[str, str] = {}
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                known[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names.add(f"{node.module}.{alias.name}")
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    names.update(name for name in (_dotted(node, known) for node in attributes) if name)
    return Uses(frozenset(names), frozenset(node.attr for node in attributes))


def _dotted(node: ast.expr, known: Mapping[str, str]) -> str:
    """``pool.submit`` under its full name, where ``pool`` is imported; else nothing."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in known:
        return ""
    return ".".join([known[node.id], *reversed(parts)])


def _believed(rows: Iterable[Entry], used: Uses) -> Iterator[Belief]:
    """The rows about something that is used; of several with one reason the first."""
    tops = {name.partition(".")[0] for name in used.names}
    told: set[str] = set()
    for row in rows:
        names = [name for name in row.name if _is_used(name, used, tops)]
        if names and row.why not in told:
            told.add(row.why)
            yield Belief(names[0], len(names) - 1, row.why)


def _is_used(name: str, used: Uses, tops: Collection[str]) -> bool:
    """Whether a name of the tables is used: itself, or as a method of a class that is.

    An instance may come from anywhere in its package (``asyncio.get_running_loop().run_in_executor``): then it is
    enough that something has an attribute of that name.
    """
    owner, _, last = name.rpartition(".")
    if name in used.names or f"{owner}.*" in used.names:
        return True
    is_method = owner.rpartition(".")[2][:1].isupper()
    return is_method and (owner in used.names or (name.partition(".")[0] in tops and last in used.attributes))


# -- the text ----------------------------------------------------------------------------------------------------------


def settings(detected: Detected, prefix: str = "") -> str:
    """The commented settings; ``prefix`` stands before the names of tables (``tool.racelint.`` in a pyproject.toml)."""
    return "\n".join(
        [
            _comment("Settings of racelint. A setting that is a comment shows its default."),
            _frameworks(detected.beliefs, prefix),
            _excluded(detected),
            _comment("Findings below these are not shown; those from fail-on on give exit status 1.")
            + '# min-severity = "warning"\n# min-confidence = "medium"\n# fail-on = "warning"\n',
            _comment("In a library every public function may be called by several threads at once.")
            + "# library = false\n",
            _comment("A function that something outside the project runs concurrently.")
            + f'# [[{prefix}entrypoints]]\n# function = "package.module.function"\n# context = "thread"\n',
        ]
    )


def _frameworks(beliefs: Sequence[Belief], prefix: str) -> str:
    if not beliefs:
        advice = f"One that it does not know can be described in [[{prefix}entry]] tables."
        return _comment(f"Nothing is used that racelint knows to run code concurrently. {advice}")
    lines = [_comment("What is used here, and what racelint believes about it (where: racelint entrypoints):")]
    for belief in beliefs:
        more = f" and {belief.others} more" if belief.others else ""
        lines.append(_comment(f"{belief.name}{more}: {belief.why}", "#   ", "#     "))
    return "".join(lines)


def _excluded(detected: Detected) -> str:
    found = f" (here: {', '.join(detected.tests)})" if detected.tests else ""
    patterns = f"exclude = [{', '.join(_string(pattern) for pattern in detected.exclude)}]\n"
    return (
        _comment(f"Test code{found} is left out unless include-tests is set.")
        + "# include-tests = false\n\n"
        + _comment("What else is left out, in patterns as in a .gitignore.")
        + (patterns if detected.exclude else f"# {patterns}")
    )


def _comment(text: str, first: str = "# ", further: str = "# ") -> str:
    lines = textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=further, break_long_words=False)
    return "".join(f"{line}\n" for line in lines)


def _string(text: str) -> str:
    """A basic string of TOML; what is written here has no control characters."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# -- the file ----------------------------------------------------------------------------------------------------------


def section(old: bytes, detected: Detected) -> bytes:
    """The section for racelint, with the line ends of the ``pyproject.toml`` that it is for."""
    text = f"[{SECTION}]\n{settings(detected, f'{SECTION}.')}".encode()
    return text.replace(b"\n", b"\r\n") if old.count(b"\r\n") * 2 > old.count(b"\n") else text


def with_section(old: bytes, added: bytes) -> bytes:
    """A ``pyproject.toml`` with a section at its end; every other byte stays. Raises CannotExtend."""
    before = _parsed(old)
    newline = b"\r\n" if b"\r\n" in added else b"\n"
    gap = b"" if not old.strip() else newline if old.endswith(b"\n") else newline * 2
    new = old + gap + added
    if _without(_parsed(new)) != before:
        raise CannotExtend("a section at its end would change what is there")
    return new


def has_section(old: bytes) -> bool:
    """Whether a ``pyproject.toml`` configures racelint. Raises CannotExtend."""
    tool = _parsed(old).get("tool")
    return isinstance(tool, dict) and "racelint" in tool


def without_section(old: bytes) -> bytes:
    """A ``pyproject.toml`` without its tables for racelint. Raises CannotExtend when they cannot be told apart."""
    kept: list[bytes] = []
    own = False
    for line in old.splitlines(keepends=True):
        if _HEADER.match(line):
            own = _OWN_HEADER.match(line) is not None
        if not own:
            kept.append(line)
    new = b"".join(kept)
    if _parsed(new) != _without(_parsed(old)):
        raise CannotExtend("its settings for racelint are not tables that can be taken out")
    return new


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CannotExtend(f"it is not valid TOML: {error}") from None


def _without(data: dict[str, Any]) -> dict[str, Any]:
    """The content without what is racelint's; a ``tool`` table that holds nothing else goes as well."""
    tool = data.get("tool")
    if not isinstance(tool, dict):
        return data
    rest = {key: value for key, value in tool.items() if key != "racelint"}
    return {key: rest if key == "tool" else value for key, value in data.items() if key != "tool" or rest}
