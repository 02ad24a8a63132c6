"""Settings: what a project says in ``pyproject.toml`` or ``racelint.toml``, checked key by key."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec
import pathspec

from racelint.files import SETTINGS_BYTES, read_regular
from racelint.frameworks.schema import ContextKind, TableError, Tables, parse
from racelint.model.findings import CONFIDENCES, OUTPUT_FORMATS, SEVERITIES, Confidence, OutputFormat, Severity

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - exercised on 3.10 only
    import tomli as tomllib

CONFIG_NAME = "racelint.toml"
PYPROJECT_NAME = "pyproject.toml"
VCS_FOLDERS = (".git", ".hg")
ENTRY_CONTEXTS: tuple[ContextKind, ...] = ("thread", "pool", "event-loop", "signal", "any", "main")
# Two calls may run at once in these unless the project says otherwise.
OVERLAPPING_CONTEXTS = frozenset({"pool", "any"})

_SECTION = re.compile(r"\s*(\[{1,2})\s*([^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?$")
_POSITION = re.compile(r"\s*\(at line (\d+), column (\d+)\)|\s*\(at end of document\)")
# A key of n parts takes a TOML parser n * n steps.
KEY_PARTS = 100
_DOTTED = re.compile(r"[\w\"'-]+(?:[ \t]*\.[ \t]*[\w\"'-]+)*")
DOTTED_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")

_T = TypeVar("_T")


class ConfigError(ValueError):
    """A setting that cannot be used; the message names the file (with its line where known) and the key."""


@dataclass(frozen=True, slots=True)
class ProjectEntryPoint:
    """A function of the project that runs concurrently, named in the configuration.

    ``function`` is its full dotted name, ``context`` where it runs, ``self_overlap`` whether two calls may run at once.
    """

    function: str
    context: ContextKind
    self_overlap: bool
    why: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run can be told.

    ``select`` and ``ignore`` hold rule names or codes; no ``select`` means all rules. With ``include_tests`` test code
    is analysed too. ``exclude`` holds patterns as in a ``.gitignore`` of the project folder. ``jobs`` is the number of
    processes, None for one per core. ``baseline`` is the file of known findings, relative to the project.
    ``per_file_ignores`` pairs patterns like those of ``exclude`` with the rules that are not reported in files they
    match; with ``!`` in front, in files they do not match. ``tables`` are the user's own framework rows. ``origin`` is
    the file the settings come from, empty when there is none; ``warnings`` are sentences about that file that deserve
    to be read, ``stated`` the keys that it has.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    min_severity: Severity = "warning"
    fail_on: Severity = "warning"
    min_confidence: Confidence = "medium"
    output_format: OutputFormat = "full"
    library: bool = False
    include_tests: bool = False
    exclude: tuple[str, ...] = ()
    jobs: int | None = None
    baseline: str = ""
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    tables: Tables = field(default_factory=Tables)
    entrypoints: tuple[ProjectEntryPoint, ...] = ()
    origin: str = ""
    warnings: tuple[str, ...] = ()
    stated: tuple[str, ...] = field(default=(), compare=False)

    def entrypoint_specs(self) -> list[tuple[str, ContextKind, bool, str]]:
        """The project's own entry points as plain tuples: function, context, self-overlap, why."""
        return [(item.function, item.context, item.self_overlap, item.why) for item in self.entrypoints]


def load(project: Path, config_file: Path | None = None) -> Settings:
    """The settings of a project, or those in ``config_file``. Raises ConfigError."""
    if config_file is not None:
        name = str(config_file)
        text = read_text(config_file, name, limit=None)
        if config_file.name != PYPROJECT_NAME:
            return _settings(parse_toml(text, name), _Where(name, text, ""))
        section = _section(parse_toml(text, name), name)
        if section is None:
            raise ConfigError(f"{name}: there is no [tool.racelint] section")
        return _settings(section, _Where(name, text, "tool.racelint"))
    own, shared = project / CONFIG_NAME, project / PYPROJECT_NAME
    section, text = None, ""
    if _exists(shared):
        text = read_text(shared, PYPROJECT_NAME)
        section = _section(parse_toml(text, PYPROJECT_NAME), PYPROJECT_NAME)
    if _exists(own):
        own_text = read_text(own, CONFIG_NAME)
        ignored = f"{CONFIG_NAME} is used; the [tool.racelint] section of {PYPROJECT_NAME} is not read"
        warnings = () if section is None else (ignored,)
        return _settings(parse_toml(own_text, CONFIG_NAME), _Where(CONFIG_NAME, own_text, ""), warnings)
    if section is not None:
        return _settings(section, _Where(PYPROJECT_NAME, text, "tool.racelint"))
    return Settings()


def find_project(paths: Sequence[Path], cwd: Path) -> Path:
    """The folder to analyse when none is named: the nearest one with a configuration or a version control root.

    Without either, the nearest one with a ``pyproject.toml``; without that, the folder all ``paths`` have in common.
    """
    start = _common_folder([cwd / path for path in paths] or [cwd])
    folders = (start, *start.parents)
    for folder in folders:
        if _exists(folder / CONFIG_NAME) or _has_section(folder / PYPROJECT_NAME):
            return folder
        if any(_exists(folder / name) for name in VCS_FOLDERS):
            return folder
    return next((folder for folder in folders if _exists(folder / PYPROJECT_NAME)), start)


def find_checkout(project: Path) -> Path:
    """The version control root that ``project`` lies in; the project itself when there is none."""
    roots = (folder for folder in (project, *project.parents) if any(_exists(folder / name) for name in VCS_FOLDERS))
    return next(roots, project)


def suggestion(word: str, known: Iterable[str]) -> str:
    """``, did you mean 'x'?`` for the known word nearest to ``word``, else nothing."""
    by_lower = {item.lower(): item for item in known}
    near = get_close_matches(word.lower(), sorted(by_lower), n=1)
    return f", did you mean '{by_lower[near[0]]}'?" if near else ""


def check_rules(names: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise ConfigError, naming ``where``, for the first of ``names`` that is no rule name or code."""
    all_known = frozenset(known)
    for name in names:
        if name not in all_known:
            raise ConfigError(f"{where}: unknown rule '{name}'{suggestion(name, all_known)}")


@dataclass(frozen=True, slots=True)
class _Where:
    """The text settings are read from, to say on which line a key stands."""

    name: str
    text: str
    prefix: str

    def line(self, path: Sequence[str], nth: int = 0) -> int:
        """The line of a key, or of the ``nth`` header of an array of tables; 0 when it is written otherwise."""
        wanted = [*self.prefix.split("."), *path] if self.prefix else list(path)
        header, key = ".".join(wanted[:-1]), wanted[-1]
        section, seen = "", -1
        for number, line in enumerate(self.text.split("\n"), start=1):
            found = _SECTION.match(line)
            if found:
                section = re.sub(r"\s*\.\s*", ".", found[2]).replace('"', "").replace("'", "")
                if section == ".".join(wanted):
                    seen += 1
                    if seen == nth:
                        return number
                elif section.startswith(".".join([*wanted, ""])):
                    return number
            elif section == header and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
                return number
        return 0

    def at(self, path: Sequence[str], nth: int = 0) -> str:
        """``file:line``, or ``file`` when the line is not known."""
        line = self.line(path, nth)
        return f"{self.name}:{line}" if line else self.name


def read_text(path: Path, name: str, limit: int | None = SETTINGS_BYTES) -> str:
    """The text of a file in UTF-8, a regular one of at most ``limit`` bytes. Raises ConfigError with ``name``.

    Without a limit it may be whatever can be read: that is for files the user has named.
    """
    try:
        return (path.read_bytes() if limit is None else read_regular(path, limit)).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: is not UTF-8 (byte {error.start})") from None


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """A TOML document. Raises ConfigError with ``name`` and the line."""
    for at, row in enumerate(text.split("\n"), start=1):
        if row.count(".") > KEY_PARTS and any(key.count(".") > KEY_PARTS for key in _DOTTED.findall(row)):
            raise ConfigError(f"{name}:{at}: has a key of more than {KEY_PARTS} parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        position = _POSITION.search(message)
        line = int(position[1]) if position and position[1] else text.rstrip("\n").count("\n") + 1
        raise ConfigError(f"{name}:{line}: is not valid TOML: {_POSITION.sub('', message)}") from None
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply") from None


def _section(data: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    tool = data.get("tool", {})
    section = tool.get("racelint") if isinstance(tool, dict) else None
    if section is None or isinstance(section, dict):
        return section
    raise ConfigError(f"{name}: tool.racelint must be a table, not {_type_of(section)}")


def _settings(data: Mapping[str, Any], where: _Where, warnings: tuple[str, ...] = ()) -> Settings:
    known = [*KEYS, "per-file-ignores", "entrypoints", *Tables.__struct_fields__]
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            if key == "tool" and not where.prefix:
                raise ConfigError(f"{where.at([key])}: in this file the keys stand at the top, without [tool.racelint]")
            raise ConfigError(f"{where.at([key])}: unknown key '{key}'{suggestion(key, known)}")
        if key in KEYS:
            read_value = KEYS[key].read(value)
            if read_value is None:
                raise ConfigError(f"{where.at([key])}: '{key}' must be {KEYS[key].expected}, not {_shown(value)}")
            values[key.replace("-", "_")] = read_value
    rows = {key: data[key] for key in Tables.__struct_fields__ if key in data}
    return Settings(
        **values,
        tables=_tables(rows, where),
        per_file_ignores=_per_file_ignores(data.get("per-file-ignores", {}), where),
        entrypoints=_entrypoints(data.get("entrypoints", []), where),
        origin=where.name,
        warnings=warnings,
        stated=tuple(data),
    )


def _names(value: object) -> tuple[str, ...] | None:
    if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
        return tuple(value)
    return None


def _path(value: object) -> str | None:
    return value if isinstance(value, str) and value and "\0" not in value else None


def _is_pattern(text: str) -> bool:
    """Whether a pattern, with or without ``!``, can match something."""
    try:
        return any(pattern.include for pattern in pathspec.GitIgnoreSpec.from_lines([text.removeprefix("!")]).patterns)
    except (ValueError, TypeError):
        return False


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _one_of(choices: Sequence[_T]) -> Callable[[object], _T | None]:
    return lambda value: next((choice for choice in choices if choice == value), None)


def _listed(choices: Iterable[str]) -> str:
    return "one of " + ", ".join(f"'{choice}'" for choice in choices)


@dataclass(frozen=True, slots=True)
class Key:
    """A plain key: what its value must be, in words and as JSON schema, and how it is read (None: it is not that)."""

    expected: str
    read: Callable[[object], object]
    schema: Mapping[str, Any]


def _choice(choices: Sequence[str]) -> Key:
    return Key(_listed(choices), _one_of(choices), {"enum": list(choices)})


def _list_of(what: str) -> Key:
    return Key(f"an array of {what}", _names, {"type": "array", "items": {"type": "string", "minLength": 1}})


_FLAG = Key("true or false", _flag, {"type": "boolean"})
KEYS: Mapping[str, Key] = {
    "select": _list_of("rule names"),
    "ignore": _list_of("rule names"),
    "min-severity": _choice(SEVERITIES),
    "fail-on": _choice(SEVERITIES),
    "min-confidence": _choice(CONFIDENCES),
    "output-format": _choice(OUTPUT_FORMATS),
    "library": _FLAG,
    "include-tests": _FLAG,
    "exclude": _list_of("patterns"),
    "jobs": Key("a whole number above 0", _count, {"type": "integer", "minimum": 1}),
    "baseline": Key("the path of a file", _path, {"type": "string", "minLength": 1}),
}

_TYPES = {str: "a string", bool: "true/false", int: "a number", float: "a number", list: "an array", dict: "a table"}


def _type_of(value: object) -> str:
    return _TYPES.get(type(value), "a date or time")


def _shown(value: object) -> str:
    """A wrong value itself when it is short, else its type."""
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if isinstance(value, (str, int, float)) and len(text) < 40 else _type_of(value)


def _rows(value: object, key: str, where: _Where) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        header = ".".join([*where.prefix.split("."), key]) if where.prefix else key
        raise ConfigError(f"{where.at([key])}: '{key}' must be an array of tables, [[{header}]], not {_type_of(value)}")
    return value


def _tables(rows: Mapping[str, Any], where: _Where) -> Tables:
    kinds = {field.name: get_args(field.type)[0] for field in msgspec.structs.fields(Tables)}
    try:
        tables = parse(rows, where.name)
    except TableError:
        tables = None  # then row by row, to say which: to find the line of each takes time
    for key, value in rows.items():
        for index, row in enumerate(_rows(value, key, where)):
            _check_keys(row, kinds[key].__struct_fields__, key, where, index)
            if tables is not None:
                continue
            try:
                parse({key: [row]}, where.at([key], index))
            except TableError as error:
                # The row was checked on its own, so the path inside the document starts at the row.
                raise ConfigError(str(error).replace("$[...]", "$").replace(f"`$.{key}[0]", f"`{key}")) from None
    return parse(rows, where.name) if tables is None else tables


def _check_keys(row: Mapping[str, Any], known: Sequence[str], table: str, where: _Where, index: int) -> None:
    for key in row:
        if key not in known:
            raise ConfigError(f"{where.at([table], index)}: unknown key '{key}' in [[{table}]]{suggestion(key, known)}")


def _entrypoints(value: object, where: _Where) -> tuple[ProjectEntryPoint, ...]:
    known = ("function", "context", "self_overlap", "why")
    found = []
    for index, row in enumerate(_rows(value, "entrypoints", where)):
        at = partial(where.at, ["entrypoints"], index)
        _check_keys(row, known, "entrypoints", where, index)
        function, context = row.get("function"), row.get("context")
        if not isinstance(function, str) or not DOTTED_NAME.fullmatch(function):
            raise ConfigError(f"{at()}: 'function' must be a dotted name such as \"pkg.module.Class.method\"")
        kind = next((kind for kind in ENTRY_CONTEXTS if kind == context), None)
        if kind is None:
            near = suggestion(context, ENTRY_CONTEXTS) if isinstance(context, str) else ""
            raise ConfigError(f"{at()}: 'context' of {function} must be {_listed(ENTRY_CONTEXTS)}{near}")
        overlap = row.get("self_overlap", kind in OVERLAPPING_CONTEXTS)
        if not isinstance(overlap, bool):
            raise ConfigError(f"{at()}: 'self_overlap' of {function} must be true or false, not {_shown(overlap)}")
        why = row.get("why", f"{where.name} says it runs in context '{kind}'")
        if not isinstance(why, str):
            raise ConfigError(f"{at()}: 'why' of {function} must be a string, not {_shown(why)}")
        found.append(ProjectEntryPoint(function, kind, overlap, why))
    return tuple(found)


def _per_file_ignores(value: object, where: _Where) -> tuple[tuple[str, tuple[str, ...]], ...]:
    at = where.at(["per-file-ignores"])
    if not isinstance(value, dict):
        raise ConfigError(f"{at}: 'per-file-ignores' must be a table, not {_shown(value)}")
    found = []
    for pattern, names in value.items():
        rules = _names(names)
        if not _is_pattern(pattern):
            raise ConfigError(f"{at}: '{pattern}' in 'per-file-ignores' is no pattern")
        if rules is None:
            raise ConfigError(f"{at}: '{pattern}' in 'per-file-ignores' must be an array of rule names")
        found.append((pattern, rules))
    return tuple(found)


def _exists(path: Path) -> bool:
    """Whether something is there; a folder that may not be looked into holds nothing for us."""
    try:
        return path.exists()
    except OSError:
        return False


def _has_section(path: Path) -> bool:
    """Whether a ``pyproject.toml`` configures racelint, also when it is broken further on."""
    try:
        text = read_regular(path, SETTINGS_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return False
    if "racelint" not in text:
        return False
    try:
        tool = tomllib.loads(text).get("tool")
    except (tomllib.TOMLDecodeError, RecursionError):
        return re.search(r"^\s*\[+\s*tool\s*\.\s*racelint\b", text, re.MULTILINE) is not None
    return isinstance(tool, dict) and "racelint" in tool


def _common_folder(paths: Sequence[Path]) -> Path:
    folders = []
    for path in paths:
        folders.append(path.resolve() if path.is_dir() else path.parent.resolve())
    first = folders[0]
    return next(folder for folder in (first, *first.parents) if all(other.is_relative_to(folder) for other in folders))
