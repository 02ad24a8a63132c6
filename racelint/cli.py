"""The command line: the only room that prints, writes files and decides the exit status.

Exit status: 0 when there is nothing to report, 1 for findings at or above ``--fail-on``, 2 when racelint was used
wrongly or failed itself, 130 when it was interrupted. Reports go to standard output, everything about the run to
standard error. The analysis is imported when it is needed, so that ``--version`` and ``--help`` answer at once.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from racelint import __version__

if TYPE_CHECKING:
    from racelint.config import Settings
    from racelint.mend import Mended
    from racelint.model.findings import Finding, Result
    from racelint.rules import Rule

FOUND, FAILED, INTERRUPTED = 1, 2, 130
PROGRESS_AFTER_S = 1.0
SEVERITY = click.Choice(["note", "warning", "error"])
CONFIDENCE = click.Choice(["low", "medium", "high"])
CHECK_FORMATS = ("full", "concise", "json")
TABLE_FORMATS = ("text", "json")


def _split(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """``--select a,b --select c`` as one tuple."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def _scope_options(command: Callable[..., None]) -> Callable[..., None]:
    """What every command that analyses a project takes."""
    for option in (
        click.option("--verbose", is_flag=True, help="Show whole call paths; on an internal error, the traceback."),
        click.option("--no-color", is_flag=True, help="No colours, also on a terminal."),
        click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Number of processes."),
        click.option(
            "--library",
            is_flag=True,
            default=None,
            help="Every public function may be called from several threads at once.",
        ),
        click.option(
            "--config", "config_file", type=click.Path(path_type=Path), metavar="F", help="The configuration file."
        ),
        click.option(
            "--project",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="What to analyse [default: the nearest folder with a configuration or version control root].",
        ),
        click.argument("paths", nargs=-1, type=click.Path(path_type=Path)),
    ):
        command = option(command)
    return command


class _Group(click.Group):
    """A group whose interruption is no finding: exit status 1 is kept for those."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            status = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.ClickException as error:
            error.show()
            sys.exit(FAILED)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        sys.exit(status if isinstance(status, int) else 0)


class _Failure(click.ClickException):
    """Something outside racelint that keeps it from doing what was asked."""

    exit_code = FAILED


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="racelint", message="%(prog)s %(version)s")
def main() -> None:
    """Find shared-state races in Python controllers.

    Exit status: 0 nothing to report, 1 findings at or above --fail-on, 2 wrong usage or an internal error.
    """


@main.command()
@_scope_options
@click.option("--select", multiple=True, callback=_split, metavar="RULE", help="Only these rules (names or codes).")
@click.option("--ignore", multiple=True, callback=_split, metavar="RULE", help="All rules but these.")
@click.option("--min-severity", type=SEVERITY, help="Show findings from here on [default: warning].")
@click.option("--fail-on", type=SEVERITY, help="Shown findings from here on give exit status 1 [default: warning].")
@click.option("--min-confidence", type=CONFIDENCE, help="Show findings from here on [default: medium].")
@click.option("--statistics", is_flag=True, help="Show the number of findings per rule instead of the findings.")
@click.option("--fix", is_flag=True, help="Mend what can be mended safely, then report what is left.")
@click.option("--unsafe-fixes", is_flag=True, help="Also fixes that need a reader's eye (with --fix or --diff).")
@click.option("--diff", is_flag=True, help="Show what --fix would change, and change nothing.")
@click.option("--edits/--no-edits", default=True, show_default=True, help="Work out the edits for JSON as well.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 also when there are findings.")
@click.option("--output-format", type=click.Choice(CHECK_FORMATS), default="full", show_default=True)
@click.option("--output-file", type=click.Path(path_type=Path), metavar="F", help="Write the report to this file.")
@click.option("--show-settings", is_flag=True, help="Show the settings in use and stop.")
def check(
    paths: tuple[Path, ...],
    project: Path | None,
    config_file: Path | None,
    library: bool | None,
    jobs: int | None,
    no_color: bool,
    verbose: bool,
    statistics: bool,
    fix: bool,
    unsafe_fixes: bool,
    diff: bool,
    edits: bool,
    exit_zero: bool,
    output_format: str,
    output_file: Path | None,
    show_settings: bool,
    **given: Any,
) -> None:
    """Analyse the project and report the findings that touch PATHS (default: all of them)."""
    scope = _scope(paths, project, config_file, {**given, "library": library, "jobs": jobs})
    if show_settings:
        _write(_settings_text(scope), None)
        return
    if diff:
        _write_diff(scope, unsafe_fixes, verbose, output_file, exit_zero)
        return
    from racelint import select

    with _internal_errors(scope.project, verbose):
        if fix or unsafe_fixes:
            result = _mend(scope, unsafe_fixes)
        elif edits and output_format == "json":
            result = _with_fixes(scope)
        else:
            result = _analyse(scope)
        result = select.narrow(result, scope.settings, scope.inside)
        color = not no_color and output_file is None and _colored(sys.stdout)
        text = _report(result, scope, output_format, statistics, color, verbose)
        failed = bool(select.failing(result.findings, scope.settings))
    _diagnose(result)
    _write(text, output_file)
    from racelint.report.text import INTERNAL_ERROR

    if any(problem.rule == INTERNAL_ERROR for problem in result.problems):
        sys.exit(FAILED)
    if failed and not exit_zero:
        sys.exit(FOUND)


@main.command()
@_scope_options
@click.option("--output-format", type=click.Choice(TABLE_FORMATS), default="text", show_default=True)
def entrypoints(
    paths: tuple[Path, ...],
    project: Path | None,
    config_file: Path | None,
    library: bool | None,
    jobs: int | None,
    no_color: bool,
    verbose: bool,
    output_format: str,
) -> None:
    """List what runs concurrently, where that is said, and why."""
    scope = _scope(paths, project, config_file, {"library": library, "jobs": jobs})
    from racelint import select

    with _internal_errors(scope.project, verbose):
        result = _analyse(scope)
        found = select.entry_points(result, scope.inside)
        if output_format == "json":
            from racelint.report import json

            text = json.render_entry_points(found)
        else:
            from racelint.report import entry_points

            text = entry_points.render(found, color=not no_color and _colored(sys.stdout))
    _diagnose(result)
    _write(text, None)


@main.command()
@click.argument("rule")
def explain(rule: str) -> None:
    """Explain RULE (a name or code, in any case): what it reports, why that is a bug, how to mend it."""
    rules = _rules()
    by_name = {name.lower(): known for known in rules for name in (known.name, known.code)}
    wanted = by_name.get(rule.lower())
    if wanted is None:
        _check_rules([rule], rules, "RULE")  # raises, with the nearest name
        return
    text = wanted.documentation()
    if not _is_terminal(sys.stdout):
        _write(text, None)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(no_color=not _colored(sys.stdout)).print(Markdown(text))


@main.command("rules")
@click.option("--output-format", type=click.Choice(TABLE_FORMATS), default="text", show_default=True)
def list_rules(output_format: str) -> None:
    """List the rules: code, name, severity, and what they report."""
    rules = _rules()
    if output_format == "json":
        import json

        fields = ("name", "code", "severity", "summary", "cwe", "since")
        table = [{field: getattr(rule, field) for field in fields} for rule in rules]
        _write(json.dumps({"version": 1, "rules": table}, indent=2) + "\n", None)
        return
    width = max(len(rule.name) for rule in rules)
    lines = [f"{rule.code}  {rule.name:<{width}}  {rule.severity:<7}  {rule.summary}\n" for rule in rules]
    _write("".join(lines), None)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a run is about: the project, its settings, and the paths (relative to it) the report is limited to."""

    project: Path
    settings: Settings
    inside: tuple[str, ...]


def _scope(paths: Sequence[Path], project: Path | None, config_file: Path | None, given: dict[str, Any]) -> _Scope:
    """Check what was asked for. Raises click.UsageError."""
    from racelint import config

    for path in paths:
        if not os.path.lexists(path):
            raise click.UsageError(f"no such file or folder: {_safe(str(path))}")
    if project is not None and not project.is_dir():
        raise click.UsageError(f"--project is not a folder: {_safe(str(project))}")
    folder = project.resolve() if project is not None else config.find_project(paths, Path.cwd())
    try:
        settings = config.load(folder, config_file)
        if settings.select or settings.ignore:
            _check_rules([*settings.select, *settings.ignore], _rules(), settings.origin)
    except config.ConfigError as error:
        raise click.UsageError(_safe(str(error))) from None
    for warning in settings.warnings:
        _say(warning)
    for option in ("select", "ignore"):
        if given.get(option):
            _check_rules(given[option], _rules(), f"--{option}")
    if given.get("select"):  # rules asked for by hand are wanted, whatever the file leaves out
        settings = replace(settings, ignore=())
    wanted = {key: value for key, value in given.items() if value not in (None, ())}
    settings = replace(settings, **wanted)
    return _Scope(folder, settings, tuple(_inside(path, folder) for path in paths))


def _inside(path: Path, project: Path) -> str:
    """``path`` relative to the project, as in reports; ``""`` for the project itself."""
    # A link to a file is a file of its own, a link to a folder is not followed by the search for files.
    place = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
    try:
        relative = place.relative_to(project).as_posix()
    except ValueError:
        where = f"{_safe(str(path))} lies outside the project {_safe(str(project))}"
        raise click.UsageError(f"{where}; name another with --project") from None
    return "" if relative == "." else relative


def _rules() -> tuple[Rule, ...]:
    from racelint.rules import all_rules

    return all_rules()


def _check_rules(names: Collection[str], rules: Sequence[Rule], where: str) -> None:
    from racelint import config

    try:
        config.check_rules(names, [name for rule in rules for name in (rule.name, rule.code)], where)
    except config.ConfigError as error:
        raise click.UsageError(_safe(str(error))) from None


def _settings_text(scope: _Scope) -> str:
    settings = scope.settings
    shown = {
        "project": str(scope.project),
        "configuration": settings.origin or "none",
        "paths": ", ".join(path or "." for path in scope.inside) or "the project",
        "select": ", ".join(settings.select) or "all rules",
        "ignore": ", ".join(settings.ignore) or "none",
        "min-severity": settings.min_severity,
        "fail-on": settings.fail_on,
        "min-confidence": settings.min_confidence,
        "library": str(settings.library).lower(),
        "exclude": ", ".join(settings.exclude) or "none",
        "jobs": str(settings.jobs or "one per core"),
        "entrypoints": ", ".join(item.function for item in settings.entrypoints) or "none",
        "own table rows": str(sum(len(getattr(settings.tables, name)) for name in settings.tables.__struct_fields__)),
    }
    return "".join(f"{key:<15} {_safe(value)}\n" for key, value in shown.items())


def _analyse(scope: _Scope) -> Result:
    from racelint import pipeline

    with _Progress() as progress:
        return pipeline.analyse(scope.project, scope.settings, progress.update)


def _wanted(scope: _Scope) -> Callable[[Finding], bool]:
    """Which findings a run is about."""
    from racelint import select

    return lambda finding: select.is_grave(finding, scope.settings) and select.touches(finding, scope.inside)


def _with_fixes(scope: _Scope) -> Result:
    from racelint import mend

    with _Progress() as progress:
        return mend.with_fixes(scope.project, scope.settings, _wanted(scope), progress.update)


def _mended(scope: _Scope, unsafe: bool) -> Mended:
    from racelint import mend

    with _Progress() as progress:
        return mend.mend(scope.project, scope.settings, _wanted(scope), unsafe=unsafe, progress=progress.update)


def _mend(scope: _Scope, unsafe: bool) -> Result:
    """Write the fixes, say what was changed and what was left, and give the findings that remain."""
    from racelint.fix import write

    mended = _mended(scope, unsafe)
    try:
        write.write_all(mended.changes)
    except write.NotWritten as error:
        raise _Failure(f"nothing was fixed: {_safe(str(error))}") from None
    for offer in mended.done:
        _say(f"fixed {offer.plan.place}: {offer.plan.title}")
    _say_left(mended)
    return mended.after


def _say_left(mended: Mended) -> None:
    for left in mended.left:
        _say(f"left {left.place} as it is: {left.reason}")


def _write_diff(scope: _Scope, unsafe: bool, verbose: bool, output_file: Path | None, exit_zero: bool) -> None:
    """Show the fixes as a unified diff; exit status 1 when there is something to change."""
    from racelint.fix import write

    with _internal_errors(scope.project, verbose):
        mended = _mended(scope, unsafe)
        text = "".join(write.unified(change) for change in mended.changes)
    _diagnose(mended.before)
    _say_left(mended)
    _write(text, output_file)
    if text and not exit_zero:
        sys.exit(FOUND)


def _report(result: Result, scope: _Scope, output_format: str, statistics: bool, color: bool, verbose: bool) -> str:
    if output_format == "json":
        from racelint.report import json

        return json.render(result)
    if statistics:
        from racelint.report import statistics as counted

        return counted.render(result, color=color)
    if output_format == "concise":
        from racelint.report import concise

        return concise.render(result, color=color)
    from racelint.report import full

    width = None if not color else _terminal_width(sys.stdout)
    return full.render(result, _sources(scope.project, result.findings), color=color, verbose=verbose, width=width)


def _sources(project: Path, findings: Sequence[Finding]) -> dict[str, list[str]]:
    """The lines of the files that findings lie in; a file that has gone meanwhile is left out."""
    from racelint.discover import source_lines

    paths = {side.path for finding in findings if finding.suppressed is None for side in finding.sides}
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        try:
            found[path] = source_lines((project / path).read_bytes())
        except OSError:
            continue
    return found


class _Progress:
    """A bar on standard error, when that is a terminal and the run takes longer than a moment."""

    def __enter__(self) -> _Progress:
        import time

        self._now = time.monotonic
        self._started = self._now()
        self._wanted = _is_terminal(sys.stderr)
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, phase: str, done: int, total: int) -> None:
        """``done`` of ``total`` steps of a phase are finished."""
        if not self._wanted or (self._bar is None and self._now() - self._started < PROGRESS_AFTER_S):
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
        if phase not in self._tasks:
            for task in self._tasks.values():
                self._bar.update(task, visible=False)
            self._tasks[phase] = self._bar.add_task(phase)
        self._bar.update(self._tasks[phase], completed=done, total=total)


@contextmanager
def _internal_errors(project: Path, verbose: bool) -> Iterator[None]:
    """Turn whatever goes wrong inside racelint into a plain message and exit status 2."""
    try:
        yield
    except click.ClickException:
        raise
    except (Exception, RecursionError) as error:
        notes = [str(note) for note in getattr(error, "__notes__", ())]
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        _say(f"this is a bug in racelint: {type(error).__name__}: {error} (in {where}, while analysing {project})")
        for note in notes:
            _say(note)
        if verbose:
            _say("".join(traceback.format_exception(error)), multiline=True)
        else:
            _say("--verbose shows the traceback, which is what a report of this bug should contain")
        sys.exit(FAILED)


def _diagnose(result: Result) -> None:
    """Say on standard error what was wrong with the files."""
    from racelint.report.text import problem_line

    _put(sys.stderr, "".join(f"{problem_line(problem)}\n" for problem in result.problems))


def _say(message: str, multiline: bool = False) -> None:
    lines = message.splitlines() if multiline else [message]
    _put(sys.stderr, "".join(f"racelint: {_safe(line)}\n" for line in lines))


def _safe(text: str) -> str:
    from racelint.report.text import safe

    return safe(text)


def _write(text: str, output_file: Path | None) -> None:
    """Write a report. Raises click.ClickException when the file cannot be written."""
    if output_file is None:
        _put(sys.stdout, text)
        return
    try:
        output_file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise _Failure(f"cannot write {_safe(str(output_file))}: {error.strerror or error}") from None


def _put(stream: TextIO, text: str) -> None:
    """Write to a stream whatever its encoding is, and go on when nobody reads any longer (``| head``)."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EINVAL):
            raise
        # What is still buffered would raise again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _terminal_width(stream: TextIO) -> int | None:
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _colored(stream: TextIO) -> bool:
    return _is_terminal(stream) and not os.environ.get("NO_COLOR")
