"""Measures how long racelint takes, cold and warm, beside bare parsing and other tools, on the same files.

    python -m benchmarks.speed [--package NAME] [--tool NAME] [--repeat N] [--jobs N] [--python PYTHON] [--json OUT]

The packages are those of ``packages.toml``, each in a copy of its own, the tools those of ``speed.toml``, each in an
environment of its own made with PYTHON. ``--tool none`` leaves them out. Everything is measured in turn, and all of it
again, so that what else the machine does falls on all; the table has the medians. One file is edited in two ways: a
comment on top of it moves all of its lines, and a function at its end is a change of what it says.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from benchmarks.others import NoReport
from benchmarks.others import Tool as Installed
from benchmarks.packages import load as packages
from benchmarks.releases import DEFAULT_CACHE, FetchError, fetch
from benchmarks.tool import ROOT, ToolError, command_of, execute
from racelint.discover import is_test
from racelint.workers import cores

TOOLS = Path(__file__).parent / "speed.toml"
NONE = "none"
FLOOR, COLD = "bare parse (LibCST)", "racelint, cold"
UNCHANGED, LINES, FACTS = "racelint, nothing changed", "racelint, a comment added", "racelint, a function added"
CLICK, VERSION = 'python -c "import click"', "racelint --version"
EMPTY: frozenset[int] = frozenset({0})


@dataclass(frozen=True, slots=True)
class Tool:
    """A row of ``speed.toml``, which says what the fields are."""

    name: str
    version: str
    command: tuple[str, ...]
    processes: str
    statuses: frozenset[int]
    needs: tuple[str, ...] = ()

    def install(self, cache: Path, python: str) -> Path:
        """The folder with the tool's programs; made once. Raises NoReport."""
        nothing: Any = None
        return Installed(self.name, self.version, (), "", (), nothing, None, self.needs).install(cache, python)


def load(path: Path = TOOLS) -> dict[str, Tool]:
    """The tools of ``speed.toml`` by their names."""
    rows = tomllib.loads(path.read_text("utf-8"))["tool"]
    found = [Tool(**{**row, "command": tuple(row["command"]), "statuses": frozenset(row["statuses"])}) for row in rows]
    return {tool.name: tool for tool in found}


@dataclass(frozen=True, slots=True)
class Task:
    """Something to be measured: ``command`` is made anew for each run, in whose ``folder`` it is started."""

    name: str
    command: Callable[[], Sequence[str]]
    folder: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    statuses: frozenset[int] = EMPTY


@dataclass(slots=True)
class Sample:
    """What the runs of one task took, by the clock and of processors, and the most memory one process of each had."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The time in the middle."""
        return statistics.median(self.seconds)

    @property
    def cpu(self) -> float:
        """The time of the processors in the middle: what else the machine does changes it little."""
        return statistics.median(self.cpu_seconds)


Samples = dict[str, Sample]


class Editor:
    """Edits one file of a tree, each time to something that was never there, and puts it back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = path.read_bytes()
        self._count = 0

    def lines(self) -> None:
        """Move every line."""
        self._count += 1
        self.path.write_bytes(b"# edited\n" * self._count + self._text)

    def facts(self) -> None:
        """Say something more."""
        self._count += 1
        added = f"\n\ndef added_{self._count}(value):\n    return value + {self._count}\n"
        self.path.write_bytes(self._text + added.encode())

    def restore(self) -> None:
        """The file as it was."""
        self.path.write_bytes(self._text)


def edited_file(tree: Path) -> Path:
    """A file to edit: the one of middle size, of those that have any code and are no tests."""
    files = (path for path in tree.rglob("*.py") if not is_test(path.relative_to(tree).as_posix()))
    found = [path for path in files if path.stat().st_size]
    return sorted(found, key=lambda path: (path.stat().st_size, path))[len(found) // 2]


def own_tasks(command: Sequence[str], tree: Path, scratch: Path, jobs: int) -> list[Task]:
    """Bare parsing, and racelint in the order in which one run prepares the next."""
    editor = Editor(edited_file(tree))
    cache = scratch / "cache"
    check = [
        *command,
        "check",
        "--project",
        str(tree),
        "--jobs",
        str(jobs),
        "--exit-zero",
        "--output-format",
        "concise",
    ]
    environment = {"RACELINT_CACHE_DIR": str(cache)}

    def after(*steps: Callable[[], object]) -> Callable[[], Sequence[str]]:
        def prepared() -> Sequence[str]:
            for step in steps:
                step()
            return check

        return prepared

    def forget() -> None:
        shutil.rmtree(cache, ignore_errors=True)

    parse = [sys.executable, "-m", "benchmarks.bare_parse", str(tree), str(jobs)]
    return [
        Task(FLOOR, lambda: parse),
        Task(COLD, after(editor.restore, forget), environment=environment),
        Task(UNCHANGED, after(), environment=environment),
        Task(LINES, after(editor.lines), environment=environment),
        Task(FACTS, after(editor.restore, editor.facts), environment=environment),
    ]


def other_task(tool: Tool, programs: Path, tree: Path, scratch: Path, jobs: int) -> Task:
    """A tool on a tree."""
    empty = scratch / "empty"
    empty.touch()

    def command() -> Sequence[str]:
        new = tempfile.mkdtemp(dir=scratch)
        words = [word.format(jobs=jobs, empty=empty, scratch=new) for word in tool.command]
        return [str(programs / words[0]), *words[1:]]

    return Task(f"{tool.name} {tool.version}", command, tree, statuses=tool.statuses)


def start_tasks(command: Sequence[str]) -> list[Task]:
    """How long it takes to begin."""
    click = [sys.executable, "-c", "import click"]
    version = [*command, "--version"]
    return [Task(CLICK, lambda: click), Task(VERSION, lambda: version)]


def measure(tasks: Iterable[Task], repeat: int) -> tuple[Samples, dict[str, str]]:
    """Every task in turn, so many times; and why those that failed have: they are not tried again.

    What is measured is told on standard error. An interrupt ends it, and what was measured by then counts.
    """
    found: Samples = defaultdict(Sample)
    failed: dict[str, str] = {}
    tasks = list(tasks)
    try:
        for turn in range(repeat):
            for task in tasks:
                if task.name not in failed:
                    _measure_one(task, turn, found, failed)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
    return dict(found), failed


def _measure_one(task: Task, turn: int, found: Samples, failed: dict[str, str]) -> None:
    done = execute(task.command(), folder=task.folder, environment=task.environment)
    if done.status not in task.statuses:
        failed[task.name] = f"exit status {done.status}: {done.complaint.strip()[-200:]}"
        found.pop(task.name, None)
        return
    sample = found[task.name]
    sample.seconds.append(done.seconds)
    sample.cpu_seconds.append(done.cpu_seconds)
    sample.peak_mb.append(done.peak_mb)
    cost = f"{done.seconds:.2f} s, {done.cpu_seconds:.2f} s of processors, {done.peak_mb:.0f} MB"
    print(f"{turn + 1}: {task.name}: {cost}", file=sys.stderr, flush=True)


def table(title: str, found: Samples, failed: Mapping[str, str], base: str, processes: Mapping[str, str]) -> str:
    """The medians as Markdown: seconds, how many times those of ``base`` and of a cold run that is, and memory."""
    bases = [name for name in (base, COLD) if name in found]
    head = [title, "processes", "s", *(f"× {name}" for name in bases)]
    head += ["CPU s", *(f"× {name}" for name in bases), "MB"]
    rows = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
    for name, sample in found.items():
        times = [sample.median, *(sample.median / found[other].median for other in bases)]
        times += [sample.cpu, *(sample.cpu / found[other].cpu for other in bases)]
        cells = [f"{value:.2f}" for value in times]
        memory = f"{statistics.median(sample.peak_mb):.0f}"
        rows.append([name, processes.get(name.split(" ")[0], ""), *cells, memory])
    rows += [[name, "", f"not measured: {why}", *[""] * (len(head) - 3)] for name, why in failed.items()]
    return "".join(f"| {' | '.join(' '.join(cell.split()) for cell in row)} |\n" for row in rows)


def count(tree: Path) -> tuple[int, int]:
    """How many Python files there are, and how many lines they have."""
    files = [path.read_bytes() for path in tree.rglob("*.py") if path.is_file()]
    return len(files), sum(data.count(b"\n") for data in files)


def chosen(names: Sequence[str] | None, every: Mapping[str, Any], what: str) -> list[str]:
    """The names that were asked for, or all. Raises ValueError."""
    unknown = sorted(set(names or ()) - set(every) - {NONE})
    if unknown:
        raise ValueError(f"no such {what}: {', '.join(unknown)}")
    return [name for name in every if not names or name in names]


def on_package(name: str, options: argparse.Namespace, tools: Sequence[tuple[Tool, Path]]) -> tuple[Samples, str]:
    """What is measured on one package, and the table of it. Raises FetchError."""
    command = command_of(options.racelint)
    release = fetch(name, packages()[name], options.cache)
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        scratch = Path(folder)
        tree = scratch / "tree" / name
        shutil.copytree(release, tree)
        tasks = own_tasks(command, tree, scratch, options.jobs)
        # The others before racelint edits anything.
        tasks = [*(other_task(tool, programs, tree, scratch, options.jobs) for tool, programs in tools), *tasks]
        files, lines = count(tree)
        found, failed = measure(tasks, options.repeat)
    words = {"jobs": str(options.jobs), "one": "1", "cores": f"{os.cpu_count()} (of the machine)"}
    processes = {tool.name: words[tool.processes] for tool, _ in tools}
    processes |= {"bare": str(options.jobs), "racelint,": str(options.jobs)}
    ordered = {task: found[task] for task in (FLOOR, COLD, UNCHANGED, LINES, FACTS, *found) if task in found}
    title = f"{name} {packages()[name]}: {files} files, {lines:,} lines"
    return ordered, table(title, ordered, failed, FLOOR, processes)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit status 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.splitlines()[0])
    parser.add_argument("--package", action="append", metavar="NAME", help="of packages.toml (may be repeated)")
    parser.add_argument("--tool", action="append", metavar="NAME", help=f"of speed.toml, or {NONE} (may be repeated)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="how often everything is run (default: 3)")
    parser.add_argument("--jobs", type=int, default=cores(), metavar="N", help="processes (default: one per core)")
    parser.add_argument("--python", default=sys.executable, help="runs the other tools (threadcheck needs 3.12)")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR", help="for releases and tools")
    parser.add_argument("--racelint", metavar="CMD", help="the command to run (default: python -m racelint)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write what each run took to this file")
    options = parser.parse_args(arguments)
    every = load()
    try:
        names = chosen(options.package, packages(), "package")
        wanted = chosen(options.tool, every, "tool")
    except ValueError as error:
        parser.error(str(error))
    tools: list[tuple[Tool, Path]] = []
    bad = False
    for name in wanted:
        try:
            tools.append((every[name], every[name].install(options.cache / "tools", options.python)))
        except NoReport as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            bad = True
    found, failed = measure(start_tasks(command_of(options.racelint)), options.repeat)
    print(table("start", found, failed, CLICK, {}), flush=True)
    raw = {"start": found}
    for name in names:
        try:
            raw[name], text = on_package(name, options, tools)
        except (FetchError, ToolError) as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            bad = True
            continue
        print(text, flush=True)
        bad = bad or "not measured" in text
    if options.json:
        plain = {name: {task: asdict(sample) for task, sample in samples.items()} for name, samples in raw.items()}
        options.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    return int(bad or bool(failed))


if __name__ == "__main__":
    sys.exit(main())
