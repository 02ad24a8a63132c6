"""The rooms of the house: which may import which, who may use LibCST, and who may print or end the process."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import racelint

PACKAGE = Path(racelint.__file__).parent

# From the lowest room to the highest. A room imports lower rooms, itself, and rooms on its own line. The schema of the
# framework tables is a room of its own, below the configuration: users' rows are read with it.
LEVELS = (
    ("annotations",),
    ("model", "stack", "files"),
    ("frameworks.schema",),
    ("config", "config_schema", "discover", "layout", "suppress", "cache", "remote", "workers"),
    ("frontends",),
    ("outline",),
    ("reading",),
    ("judged",),
    ("frameworks",),
    ("link",),
    ("contexts",),
    ("greening", "manners", "serving", "polling"),
    ("analysis",),
    ("rules",),
    ("select", "fix", "baseline", "changes", "graph", "starter", "why"),
    ("pipeline",),
    ("warm",),
    ("mend",),
    ("remedies",),
    ("report", "testing"),
    ("cli",),
    ("__main__",),
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
ONLY_IN = {"libcst": ("racelint.frontends.python", "racelint.fix"), "click": ("racelint.cli",)}
SPEAKERS = {"cli", "__main__"}
TALK = {"print", "input", "exit", "quit", "breakpoint", "SystemExit"}
STREAMS = {("sys", "exit"), ("sys", "stdout"), ("sys", "stderr"), ("os", "_exit"), ("os", "abort")}


def module_name(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room(module: str) -> str:
    """The room of a module: the longest name in the table, else the part after ``racelint``; empty for the package."""
    rest = module.split(".")[1:]
    names = [".".join(rest[:length]) for length in range(len(rest), 0, -1)]
    return next((name for name in names if name in LEVEL_OF), rest[0] if rest else "")


def imports(source: str, module: str, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything imported, wherever the import stands."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = [*base, *([node.module] if node.module else [])]
            for alias in node.names:
                yield node.lineno, ".".join([*prefix, alias.name])


def upward(source: str, module: str, is_package: bool = False) -> list[str]:
    """The imports of ``module`` that reach a higher room."""
    own = LEVEL_OF[room(module)]
    return [
        f"{module}:{line} imports {name}"
        for line, name in imports(source, module, is_package)
        if name.startswith("racelint.") and LEVEL_OF.get(room(name), -1) > own
    ]


def outside(source: str, module: str, is_package: bool = False) -> list[str]:
    """The imports of libraries that only one room may use."""
    return [
        f"{module}:{line} imports {name}"
        for line, name in imports(source, module, is_package)
        for library, homes in ONLY_IN.items()
        if name.split(".")[0] == library and not any(f"{module}.".startswith(f"{home}.") for home in homes)
    ]


def talk(source: str, module: str) -> list[str]:
    """Where ``source`` prints, reads the terminal or ends the process."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in TALK:
            found.append(f"{module}:{node.lineno} uses {node.id}")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in STREAMS:
                found.append(f"{module}:{node.lineno} uses {node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (node.module, alias.name) in STREAMS:
                    found.append(f"{module}:{node.lineno} imports {node.module}.{alias.name}")
    return found


@pytest.mark.parametrize("module", [name for name in MODULES if room(name)])
def test_every_module_is_in_a_room_and_imports_downwards(module: str) -> None:
    path = MODULES[module]
    assert room(module) in LEVEL_OF, f"{path} is in no room: add it to LEVELS and to docs/architecture.md"
    source = path.read_text(encoding="utf-8")
    assert upward(source, module, path.name == "__init__.py") == []
    assert outside(source, module, path.name == "__init__.py") == []


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) not in SPEAKERS])
def test_only_the_command_line_prints_and_exits(module: str) -> None:
    assert talk(MODULES[module].read_text(encoding="utf-8"), module) == []


def test_the_package_itself_imports_no_room() -> None:
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    assert [name for _, name in imports(source, "racelint", True) if name.startswith("racelint.")] == []


@pytest.mark.parametrize(
    ("source", "module", "is_package"),
    [
        ("import racelint.cli", "racelint.rules.x", False),
        ("from racelint import pipeline", "racelint.rules.x", False),
        ("from .. import pipeline", "racelint.rules.x", False),
        ("from .. import pipeline", "racelint.rules", True),
        ("from ..pipeline import analyse", "racelint.rules.x", False),
        ("def f():\n    from racelint.report.text import render", "racelint.pipeline", False),
        ("if TYPE_CHECKING:\n    import racelint.link.calls", "racelint.model.places", False),
    ],
)
def test_upward_imports_are_seen(source: str, module: str, is_package: bool) -> None:
    assert len(upward(source, module, is_package)) == 1


@pytest.mark.parametrize(
    ("source", "module", "is_package"),
    [
        ("from racelint.model.facts import Call", "racelint.rules.x", False),
        ("from . import y", "racelint.rules.x", False),
        ("from . import x", "racelint.rules", True),
        ("import networkx", "racelint.link.calls", False),
    ],
)
def test_other_imports_are_allowed(source: str, module: str, is_package: bool) -> None:
    assert upward(source, module, is_package) == []
    assert outside(source, module, is_package) == []


def test_libraries_of_one_room_are_seen() -> None:
    assert len(outside("import libcst as cst", "racelint.analysis.races")) == 1
    assert len(outside("from libcst.metadata import PositionProvider", "racelint.frontends.pythonic")) == 1
    assert len(outside("from click import echo", "racelint.report.text")) == 1
    assert outside("import libcst", "racelint.frontends.python.extract") == []
    assert outside("import libcst", "racelint.frontends.python", True) == []
    assert outside("import click", "racelint.cli") == []


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "import sys\nsys.exit(1)",
        "from sys import stderr",
        "raise SystemExit",
        "import sys\nsys.stdout.write('')",
    ],
)
def test_talk_is_seen(source: str) -> None:
    assert len(talk(source, "racelint.rules.x")) == 1
