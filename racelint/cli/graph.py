"""``racelint graph``: what leads to shared places, as a drawing."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from racelint.cli.app import main
from racelint.cli.scope import Scope, cache_folder, find_scope, kept, reading, scope_options
from racelint.cli.speak import Progress, diagnose, internal_errors, shown, write

if TYPE_CHECKING:
    from racelint.analysis.program import Program
    from racelint.graph.model import Graph
    from racelint.model.findings import Result

FORMATS = ("dot", "mermaid", "json", "html")
NAMES_SHOWN = 5


@main.command()
@scope_options
@click.option(
    "--format",
    "output_format",
    type=click.Choice(FORMATS),
    default="dot",
    show_default=True,
    help="dot: for Graphviz; mermaid: for Markdown; json: for programs; html: a page of its own.",
)
@click.option(
    "--focus",
    metavar="NAME",
    help="Only what leads to this place, or from this entry point: its dotted name, or the end of it.",
)
@click.option("--all", "every", is_flag=True, help="All shared places, not only those that findings are about.")
@click.option("--output-file", type=click.Path(path_type=Path), metavar="F", help="Write the graph to this file.")
def graph(
    paths: tuple[Path, ...],
    project: Path | None,
    config_file: Path | None,
    library: bool | None,
    jobs: int | None,
    cache_dir: Path | str | None,
    no_cache: bool,
    no_color: bool,
    verbose: bool,
    output_format: str,
    focus: str | None,
    every: bool,
    output_file: Path | None,
) -> None:
    """Draw how entry points lead to shared places: the calls between them, and the locks held at each access.

    Shown are the places that findings are about, in files in PATHS (default: all of them); races are red and bold.

    \b
    racelint graph | dot -Tsvg > graph.svg
    racelint graph --format html --output-file graph.html
    """
    scope = find_scope(
        paths, project, config_file, {"library": library, "jobs": jobs}, cache_folder(cache_dir, no_cache)
    )
    with internal_errors(scope.project, verbose):
        drawn, result = _draw(scope, focus, every)
        text: str = import_module(f"racelint.report.graph.{output_format}").render(drawn)
    diagnose(result)
    write(text, output_file)


def _draw(scope: Scope, focus: str | None, every: bool) -> tuple[Graph, Result]:
    from racelint import pipeline
    from racelint.stack import with_deep_stack

    with Progress() as progress, kept(scope) as cache, reading(scope, cache) as read:

        def work() -> tuple[Graph, Result]:
            program, result = pipeline.examine(scope.project, scope.settings, progress.update, read)
            return _part(program, result, scope, focus, every), result

        return with_deep_stack(work)


def _part(program: Program, result: Result, scope: Scope, focus: str | None, every: bool) -> Graph:
    """The part of the program that was asked for. Raises click.UsageError."""
    from racelint import select
    from racelint.graph import build, model

    findings = select.reported(select.narrow(result, scope.settings, scope.inside).findings)

    def within(places: frozenset[str]) -> frozenset[str]:
        if not scope.inside:
            return places
        return build.places_in(program, places, lambda path: select.inside(path, scope.inside))

    if focus is None:
        about = frozenset(finding.place for finding in findings)
        return build.build(program, findings, about | within(build.shared_places(program)) if every else about)
    places, entries = within(build.all_places(program)), build.entry_names(program)
    name = named(focus, places | entries, "--focus", "no shared place and no entry point")
    if name in places:
        return build.build(program, findings, {name})
    return model.from_entry(build.build(program, findings, within(build.shared_places(program))), name)


def named(word: str, names: frozenset[str], option: str, nothing: str) -> str:
    """The one of ``names`` that ``word`` is or ends. Raises click.UsageError, which begins with ``option``."""
    from racelint.config import suggestion
    from racelint.graph.model import matching, short_names

    found = matching(word, names)
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(found[:NAMES_SHOWN]) + (", ..." if len(found) > NAMES_SHOWN else "")
        raise click.UsageError(shown(f"{option}: '{word}' may be any of {listed}"))
    near = suggestion(word, [*names, *short_names(names).values(), *(name.rpartition(".")[2] for name in names)])
    raise click.UsageError(shown(f"{option}: {nothing} is called '{word}'{near}"))
