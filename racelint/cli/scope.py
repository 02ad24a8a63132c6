"""What a run is about: the project, its settings, and the paths the report is limited to."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from racelint.cli.speak import Progress, say, shown

if TYPE_CHECKING:
    from racelint.cache import Store
    from racelint.config import Settings
    from racelint.model.findings import Finding, Result
    from racelint.model.source import SourceFile
    from racelint.reading import Extracted, Read
    from racelint.reading import Progress as Report
    from racelint.rules import Rule


_Command = TypeVar("_Command", bound=Callable[..., Any])


def split_names(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """``--select a,b --select c`` as one tuple."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def rule_option(name: str, text: str) -> Callable[[_Command], _Command]:
    """An option that takes rules."""
    return click.option(
        name, multiple=True, callback=split_names, shell_complete=complete_rules, metavar="RULE", help=text
    )


class Place(click.Path):
    """A folder, as a Path, or a URL, as a text."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises click.BadParameter for what cannot be a folder."""
        return value if "://" in str(value) else super().convert(value, param, ctx)


def cache_dir_option() -> Callable[[_Command], _Command]:
    """Where facts are kept."""
    return click.option(
        "--cache-dir",
        type=Place(),
        envvar="RACELINT_CACHE_DIR",
        show_envvar=True,
        metavar="D",
        help="Where what was read and found is kept from run to run, a folder or, with racelint[remote], a URL "
        "[default: a folder of the user].",
    )


def scope_options(command: Callable[..., None]) -> Callable[..., None]:
    """What every command that analyses a project and reports on a part of it takes."""
    return project_options(click.argument("paths", nargs=-1, type=click.Path(path_type=Path))(command))


def project_options(command: Callable[..., None]) -> Callable[..., None]:
    """What every command that analyses a project takes."""
    for option in (
        click.option("--verbose", is_flag=True, help="Whole call paths in reports; the traceback of internal errors."),
        click.option("--no-color", is_flag=True, help="No colours, also on a terminal."),
        click.option(
            "--no-cache", is_flag=True, help="Read and analyse everything anew, and keep nothing for the next run."
        ),
        cache_dir_option(),
        click.option(
            "--jobs", type=click.IntRange(min=1), metavar="N", help="Number of processes [default: one per core]."
        ),
        click.option(
            "--library",
            is_flag=True,
            default=None,
            help="Every public function may be called from several threads at once.",
        ),
        click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            metavar="F",
            help="The configuration [default: racelint.toml or pyproject.toml in the project].",
        ),
        click.option(
            "--project",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="The folder to analyse [default: the nearest with a configuration or version control root].",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run is about: the project, its settings, and the paths (relative to it) the report is limited to.

    ``given`` names the settings that were given on the command line. ``cache`` is where facts are kept, None for
    nowhere.
    """

    project: Path
    settings: Settings
    inside: tuple[str, ...]
    given: frozenset[str] = frozenset()
    cache: Path | str | None = None


def find_scope(
    paths: Sequence[Path],
    project: Path | None,
    config_file: Path | None,
    given: dict[str, Any],
    cache: Path | str | None = None,
) -> Scope:
    """Check what was asked for. Raises click.UsageError."""
    from racelint import config

    for path in paths:
        if not os.path.lexists(path):
            raise click.UsageError(f"no such file or folder: {shown(str(path))}")
    if project is not None and not project.is_dir():
        raise click.UsageError(f"--project is not a folder: {shown(str(project))}")
    folder = project.resolve() if project is not None else config.find_project(paths, Path.cwd())
    try:
        settings = config.load(folder, config_file)
        if settings.select or settings.ignore:
            check_rules([*settings.select, *settings.ignore], known_rules(), settings.origin)
        for pattern, names in settings.per_file_ignores:
            check_rules(names, known_rules(), f"{settings.origin}: per-file-ignores of '{shown(pattern)}'")
    except config.ConfigError as error:
        raise click.UsageError(shown(str(error))) from None
    for warning in settings.warnings:
        say(warning)
    for option in ("select", "ignore"):
        if given.get(option):
            check_rules(given[option], known_rules(), f"--{option}")
    if given.get("select"):  # rules asked for by hand are wanted, whatever the file leaves out
        settings = replace(settings, ignore=())
    wanted = {key: value for key, value in given.items() if value not in (None, ())}
    settings = replace(settings, **wanted)
    return Scope(folder, settings, tuple(_inside(path, folder) for path in paths), frozenset(wanted), cache)


def _inside(path: Path, project: Path) -> str:
    """``path`` relative to the project, as in reports; ``""`` for the project itself."""
    # A link to a file is a file of its own, a link to a folder is not followed by the search for files.
    place = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
    try:
        relative = place.relative_to(project).as_posix()
    except ValueError:
        where = f"{shown(str(path))} lies outside the project {shown(str(project))}"
        raise click.UsageError(f"{where}; name another with --project") from None
    return "" if relative == "." else relative


def complete_rules(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The rules whose name or code goes on from what is written, after the last comma; codes only when asked for."""
    before, comma, last = incomplete.rpartition(",")
    return [
        CompletionItem(f"{before}{comma}{name}", help=rule.summary)
        for rule in known_rules()
        for name in (rule.name, *([rule.code] if last else []))
        if name.lower().startswith(last.lower())
    ]


def known_rules() -> tuple[Rule, ...]:
    from racelint.rules import all_rules

    return all_rules()


def check_rules(names: Collection[str], rules: Sequence[Rule], where: str) -> None:
    from racelint import config

    try:
        config.check_rules(names, [name for rule in rules for name in (rule.name, rule.code)], where)
    except config.ConfigError as error:
        raise click.UsageError(shown(str(error))) from None


def analyse(scope: Scope) -> Result:
    """What there is to find in the project: an earlier run may know it."""
    with Progress() as progress, kept(scope) as cache, reading(scope, cache) as read:
        if cache is None:
            from racelint import pipeline

            return pipeline.analyse(scope.project, scope.settings, progress.update, read)
        from racelint import warm

        return warm.analyse(scope.project, scope.settings, progress.update, read, cache)


@contextmanager
def kept(scope: Scope) -> Iterator[Store | None]:
    """What is kept from run to run; when nothing can be, that is said. Raises click.UsageError."""
    cache = None if scope.cache is None else store(scope.cache)
    yield cache
    if cache is not None and cache.failure:
        say(f"nothing can be kept in the cache {shown(cache.place)}: {shown(cache.failure)}")


def store(place: Path | str) -> Store:
    """The cache in a folder, or at a URL. Raises click.UsageError."""
    if isinstance(place, Path):
        from racelint.cache import Cache

        return Cache(place)
    from racelint.remote import NoSuchPlace, RemoteCache

    try:
        return RemoteCache(place)
    except NoSuchPlace as error:
        raise click.UsageError(f"no cache can be at {shown(place)}: {shown(str(error))}") from None


@contextmanager
def reading(scope: Scope, cache: Store | None) -> Iterator[Read]:
    """How files are read in a run: by as many processes as are wanted, and what is in the cache not at all.

    No process is left over, however the block is left, and none stays between two reads: the analysis needs the memory.
    """
    from racelint.reading import read_all
    from racelint.workers import Workers, cores

    jobs = scope.settings.jobs or cores()
    running: list[Workers] = []

    def read(files: Sequence[SourceFile], progress: Report | None = None) -> list[Extracted]:
        workers = Workers(jobs) if jobs > 1 else None
        if workers is not None:
            running.append(workers)
        found = read_all(files, progress, cache=cache, executor=workers, tell=say)
        if workers is not None:
            workers.shutdown()
        return found

    try:
        yield read
    finally:
        for workers in running:
            workers.stop()


def cache_folder(cache_dir: Path | str | None, no_cache: bool = False) -> Path | str | None:
    """Where things are kept: nowhere, at the place that was named, or in the user's folder for such things."""
    if no_cache:
        return None
    if isinstance(cache_dir, str):
        return cache_dir
    if cache_dir is not None:
        return cache_dir.absolute()
    from platformdirs import user_cache_path

    folder = user_cache_path("racelint", appauthor=False)
    return folder if folder.is_absolute() else None  # a user without a home


def folder_in_checkout(project: Path) -> str:
    """Where the project lies in its checkout, as a POSIX path; empty when it is the whole of it."""
    from racelint import config

    folder = project.relative_to(config.find_checkout(project)).as_posix()
    return "" if folder == "." else folder


def wanted(scope: Scope) -> Callable[[Finding], bool]:
    """Which findings a run is about."""
    from racelint import select

    return lambda finding: select.is_asked_for(finding, scope.settings, scope.inside)


def sources(project: Path, findings: Sequence[Finding]) -> dict[str, list[str]]:
    """The lines of the files that findings lie in; a file that has gone meanwhile is left out."""
    from racelint.files import SOURCE_BYTES, read_regular
    from racelint.model.source import source_lines

    paths = {side.path for finding in findings if finding.suppressed is None for side in finding.sides}
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        try:
            found[path] = source_lines(read_regular(project / path, SOURCE_BYTES))
        except OSError:
            continue
    return found
