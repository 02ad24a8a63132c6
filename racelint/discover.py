"""Which files belong to the project, and under which module names they are imported."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pathspec

from racelint.config import VCS_FOLDERS
from racelint.files import SETTINGS_BYTES, SOURCE_BYTES, read_regular
from racelint.model.source import Problem, SourceFile

MAX_BYTES = SOURCE_BYTES
SUFFIX = ".py"
PACKAGE_FILE = "__init__.py"
SKIPPED_FOLDERS = frozenset(
    {
        *VCS_FOLDERS,
        ".svn",
        ".bzr",
        "__pycache__",
        "node_modules",
        ".venv",
        ".tox",
        ".nox",
        ".eggs",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
    }
)
ENVIRONMENT_MARKS = frozenset({"pyvenv.cfg", "conda-meta"})
DISTRIBUTION_FILES = frozenset({"pyproject.toml", "setup.py"})
UNREADABLE_FILE, UNREADABLE_FOLDER = "unreadable-file", "unreadable-folder"
LINK_LOOP, LINK_OUTSIDE = "symlink-loop", "symlink-outside"
# How often a name in a pattern may have `*`, and a path `**`.
WILDCARDS = 3
STARS = re.compile(r"\*+")
HUGE_FILE, BAD_IGNORE = "huge-file", "bad-ignore-file"


def discover(project: Path, exclude: tuple[str, ...] = ()) -> tuple[list[SourceFile], list[Problem]]:
    """All Python files of the project in order of their path, and whatever could not be looked at.

    Left out is what a ``.gitignore`` (at any level, also above the project up to the root of the repository) or
    ``exclude`` matches, and folders of tools: version control, virtual environments, caches. Nothing is raised for
    what lies in the project.
    """
    walk = _Walk(project, exclude)
    walk.run()
    return _named(walk), sorted(walk.problems)


def is_test(display: str) -> bool:
    """Whether a file is test code by the usual names: a race there does not happen in production."""
    *folders, name = display.split("/")
    if any(folder in ("tests", "test") for folder in folders):
        return True
    return name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"


def module_aliases(files: Iterable[SourceFile], reserved: Collection[str] = frozenset()) -> dict[str, str]:
    """Other dotted names under which modules may be imported, each with the module's own name.

    The folders of scripts and of namespace packages (those without ``__init__.py``) may stand on ``sys.path``, so a
    path below such a folder is an alias: ``lock`` for ``tools/lock.py``, ``app.main`` for ``services/api/app/main.py``.
    So is the path from the project folder where the name starts elsewhere (``src.app.main``). A name is left out when
    two modules lay claim to it, when it is a module's or package's own name, or when it starts with a module of the
    standard library or one of the ``reserved`` top-level names.
    """
    found = sorted(files, key=lambda file: file.display)
    packages = {str(PurePosixPath(file.display).parent) for file in found if file.is_package}
    taken: set[str] = set()
    for file in found:
        parts = file.module.split(".")
        taken.update(".".join(parts[:length]) for length in range(1, len(parts) + 1))
    claims: dict[str, set[str]] = defaultdict(set)
    for file in found:
        parts = _dotted(file.display)
        if parts == ["__init__"]:  # the project itself is a package, known by its folder's name only
            continue
        folders = PurePosixPath(file.display).parts[:-1]
        for depth in range(min(len(folders) + 1, len(parts))):
            if depth == 0 or "/".join(folders[:depth]) not in packages:
                claims[".".join(parts[depth:])].add(file.module)
    return {
        alias: next(iter(modules))
        for alias, modules in sorted(claims.items())
        if len(modules) == 1 and alias not in taken and not _foreign(alias.partition(".")[0], reserved)
    }


def _foreign(top: str, reserved: Collection[str]) -> bool:
    return top in sys.stdlib_module_names or top in reserved


def _dotted(display: str) -> list[str]:
    """The parts of a path as a dotted name, without ``.py`` and ``__init__``."""
    parts = list(PurePosixPath(display).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts


def _printable(name: str) -> str:
    """A file name without the stand-ins for bytes that are not UTF-8, which cannot be written anywhere."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class _IgnoreFile:
    """The patterns of one ``.gitignore`` and the folder they are relative to."""

    folder: str
    spec: pathspec.GitIgnoreSpec

    def verdict(self, path: str, is_folder: bool) -> bool | None:
        """Whether ``path`` (absolute, below the folder) is ignored; None when no pattern is about it."""
        relative = path[len(self.folder) :].replace(os.sep, "/").lstrip("/")
        return self.spec.check_file(f"{relative}/" if is_folder else relative).include


@dataclass(frozen=True, slots=True)
class _Found:
    """A file on disk: its path, its path relative to the project, and the root it is imported from."""

    path: str
    display: str
    root: str


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder still to be read: its path, the innermost import root, and the ignore files that hold in it."""

    path: str
    root: str
    ignores: tuple[_IgnoreFile, ...]


class _Walk:
    """One pass over the project folder. Uses a list of folders to do instead of recursion: depth has no limit."""

    def __init__(self, project: Path, exclude: Sequence[str]) -> None:
        self.project = os.path.realpath(project)
        self.problems: list[Problem] = []
        self.files: list[_Found] = []
        self.packages: set[str] = set()
        self._excludes = _IgnoreFile(self.project, self._spec(exclude, "exclude"))

    def run(self) -> None:
        """Fill ``files``, ``packages`` (folders with ``__init__.py``) and ``problems``."""
        todo = [_Folder(self.project, self.project, self._inherited())]
        while todo:
            todo += self._read(todo.pop())
        self.files.sort(key=lambda found: found.display)

    def display(self, path: str) -> str:
        """The path relative to the project as it is shown."""
        return _printable(os.path.relpath(path, self.project).replace(os.sep, "/"))

    def _problem(self, path: str, rule: str, message: str) -> None:
        self.problems.append(Problem(self.display(path), 0, rule, message))

    def _read(self, folder: _Folder) -> Iterator[_Folder]:
        try:
            with os.scandir(folder.path) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._problem(folder.path, UNREADABLE_FOLDER, f"folder cannot be read: {error.strerror or error}")
            return
        names = {entry.name for entry in found}
        if folder.path != self.project and names & ENVIRONMENT_MARKS:
            return
        if PACKAGE_FILE in names:
            self.packages.add(folder.path)
        root = folder.path if self._is_root(folder.path, names) else folder.root
        ignores = folder.ignores
        if ".gitignore" in names:
            ignores = (*ignores, *self._ignore_file(folder.path, ".gitignore"))
        for entry in found:
            yield from self._entry(entry, root, ignores)

    def _entry(self, entry: os.DirEntry[str], root: str, ignores: tuple[_IgnoreFile, ...]) -> Iterator[_Folder]:
        path, is_python = entry.path, entry.name.endswith(SUFFIX)
        try:
            is_folder = entry.is_dir()
        except OSError:  # a link that leads to itself
            is_folder = False
        if not is_folder and not is_python:
            return
        if (is_folder and entry.name in SKIPPED_FOLDERS) or self._is_ignored(path, is_folder, ignores):
            return
        if not is_folder:
            self._file(path, root)
        elif entry.is_symlink():
            self._linked_folder(path)
        else:
            if is_python:
                self._problem(path, UNREADABLE_FILE, "is a folder with the name of a Python file")
            yield _Folder(path, root, ignores)

    def _linked_folder(self, path: str) -> None:
        """Say what a link to a folder keeps from us; what it shows of the project itself is found at its own place."""
        target = os.path.realpath(path)
        if path.startswith(os.path.join(target, "")):
            self._problem(path, LINK_LOOP, "link to a folder it lies in, not followed")
        elif not target.startswith(os.path.join(self.project, "")):
            self._problem(path, LINK_OUTSIDE, "link to a folder outside the project, not followed")

    def _file(self, path: str, root: str) -> None:
        try:
            status = os.stat(path)
        except OSError as error:
            kind = "link that leads nowhere" if os.path.islink(path) else "cannot be read"
            self._problem(path, UNREADABLE_FILE, f"{kind}: {error.strerror or error}")
            return
        if not stat.S_ISREG(status.st_mode):
            self._problem(path, UNREADABLE_FILE, "is not a regular file")
        elif status.st_size > MAX_BYTES:
            size, limit = status.st_size / 1024 / 1024, MAX_BYTES // 1024 // 1024
            self._problem(path, HUGE_FILE, f"{size:.0f} MB is too large to be analysed (the limit is {limit} MB)")
        else:
            self.files.append(_Found(path, self.display(path), root))

    def _is_root(self, folder: str, names: Collection[str]) -> bool:
        """Whether imports start here: at distributions and ``src`` folders."""
        is_src = os.path.basename(folder) == "src" and PACKAGE_FILE not in names
        return is_src or not DISTRIBUTION_FILES.isdisjoint(names)

    def _is_ignored(self, path: str, is_folder: bool, ignores: tuple[_IgnoreFile, ...]) -> bool:
        if self._excludes.verdict(path, is_folder):
            return True
        verdicts = (ignore.verdict(path, is_folder) for ignore in reversed(ignores))
        return next((verdict for verdict in verdicts if verdict is not None), False)

    def _inherited(self) -> tuple[_IgnoreFile, ...]:
        """The ignore files above the project, from the root of the repository down, and the repository's own excludes.

        None of them when they ignore the project itself: whoever analyses an ignored folder means it.
        """
        above: list[str] = []
        folder = self.project
        while not any(os.path.exists(os.path.join(folder, name)) for name in VCS_FOLDERS):
            parent = os.path.dirname(folder)
            if parent == folder:
                return ()
            folder = parent
            above.append(folder)
        found = [*self._ignore_file(folder, os.path.join(".git", "info", "exclude"))]
        for path in reversed(above):
            found += self._ignore_file(path, ".gitignore")
        inherited = tuple(found)
        inner = [self.project, *above[:-1]]
        if any(self._is_ignored_by(path, inherited) for path in inner if path != folder):
            return ()
        return inherited

    @staticmethod
    def _is_ignored_by(folder: str, ignores: tuple[_IgnoreFile, ...]) -> bool:
        inside = [ignore for ignore in ignores if folder.startswith(os.path.join(ignore.folder, ""))]
        verdicts = (ignore.verdict(folder, True) for ignore in reversed(inside))
        return next((verdict for verdict in verdicts if verdict is not None), False)

    def _ignore_file(self, folder: str, name: str) -> Iterator[_IgnoreFile]:
        path = os.path.join(folder, name)
        try:
            text = read_regular(path, SETTINGS_BYTES).decode("utf-8-sig", "surrogateescape")
        except FileNotFoundError:
            return
        except OSError as error:  # git goes on without a file it cannot read, too
            if os.path.isfile(path):
                self._problem(path, BAD_IGNORE, error.strerror or str(error))
            return
        yield _IgnoreFile(folder, self._spec(text.splitlines(), path))

    def _spec(self, lines: Iterable[str], origin: str) -> pathspec.GitIgnoreSpec:
        """The patterns that can be used; the others become problems."""
        patterns: list[Any] = []
        for number, line in enumerate(lines, start=1):
            try:
                if _too_wild(line):
                    raise ValueError(f"more than {WILDCARDS} wildcards in one name: {line[:80]}")
                patterns += pathspec.GitIgnoreSpec.from_lines([line]).patterns
            except ValueError as error:
                shown = self.display(origin) if os.path.isabs(origin) else origin
                self.problems.append(Problem(shown, number, BAD_IGNORE, _printable(str(error))))
        return pathspec.GitIgnoreSpec(patterns)


def _too_wild(line: str) -> bool:
    """Whether to match a pattern could take longer than anybody waits: each wildcard is tried at each letter."""
    names = line.split("/") if not line.startswith("#") else []
    return names.count("**") > WILDCARDS or any(len(STARS.findall(name)) > WILDCARDS for name in names)


def _named(walk: _Walk) -> list[SourceFile]:
    """Module names: the dotted path from the innermost root, or from the project where that would not be unique."""
    outside: dict[str, str] = {}
    short = [_from_root(walk, found, outside) for found in walk.files]
    groups = [(found.root, name[0]) for found, name in zip(walk.files, short, strict=True)]
    claimants: dict[tuple[str, ...], set[tuple[str, str]]] = defaultdict(set)
    for name, group in zip(short, groups, strict=True):
        claimants[name].add(group)
    # All of a package moves, not only the modules of one name: its relative imports must go on meeting each other.
    contested = {group for rivals in claimants.values() if len(rivals) > 1 for group in rivals}
    files = []
    for found, name, group in zip(walk.files, short, groups, strict=True):
        parts = _from_project(walk, found, outside) if group in contested else name
        is_package = os.path.basename(found.path) == PACKAGE_FILE
        files.append(SourceFile(Path(found.path), found.display, ".".join(parts), is_package))
    return _unique(files)


def _from_root(walk: _Walk, found: _Found, outside: dict[str, str]) -> tuple[str, ...]:
    """The name from the innermost root; a root that is a package itself is named with the packages around it."""
    root = found.root
    while root in walk.packages and root != walk.project:
        root = os.path.dirname(root)
    if root == walk.project:
        return _from_project(walk, found, outside)
    return tuple(_dotted(_printable(os.path.relpath(found.path, root).replace(os.sep, "/"))))


def _from_project(walk: _Walk, found: _Found, outside: dict[str, str]) -> tuple[str, ...]:
    """The name from the project folder, or from the outermost package around it when that is a package itself."""
    if walk.project not in walk.packages:
        return tuple(_dotted(found.display))
    if not outside:
        top = os.path.dirname(walk.project)
        while os.path.isfile(os.path.join(top, PACKAGE_FILE)) and top != os.path.dirname(top):
            top = os.path.dirname(top)
        outside["prefix"] = _printable(os.path.relpath(walk.project, top).replace(os.sep, "/"))
    return tuple(_dotted(f"{outside['prefix']}/{found.display}"))


def _unique(files: Iterable[SourceFile]) -> list[SourceFile]:
    """Number the names that are still equal (``x.py`` beside ``x/__init__.py``); the one that is imported keeps it."""
    taken: set[str] = set()
    named: dict[str, SourceFile] = {}
    ordered = list(files)
    for file in sorted(ordered, key=lambda file: ("." in file.path.stem, not file.is_package, file.display)):
        name, count = file.module, 1
        while name in taken:
            count += 1
            name = f"{file.module}#{count}"
        taken.add(name)
        named[file.display] = replace(file, module=name)
    return [named[file.display] for file in ordered]
