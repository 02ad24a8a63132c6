"""``racelint why``: everything known about one shared place, also why it was not reported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from racelint.cli.app import main
from racelint.cli.graph import named
from racelint.cli.inform import FORMAT_HELP, TABLE_FORMATS
from racelint.cli.scope import Scope, cache_folder, find_scope, kept, project_options, reading
from racelint.cli.speak import Progress, colored, diagnose, internal_errors, write

if TYPE_CHECKING:
    from racelint.model.explanation import Explanation
    from racelint.model.findings import Result


@main.command()
@click.argument("place")
@project_options
@click.option("--output-format", type=click.Choice(TABLE_FORMATS), default="text", show_default=True, help=FORMAT_HELP)
def why(
    place: str,
    project: Path | None,
    config_file: Path | None,
    library: bool | None,
    jobs: int | None,
    cache_dir: Path | str | None,
    no_cache: bool,
    no_color: bool,
    verbose: bool,
    output_format: str,
) -> None:
    """Tell everything known about PLACE: who touches it under which locks, and why that is reported or not.

    PLACE is a variable of a module or an attribute, by its dotted name as in reports or the end of it.

    \b
    racelint why op.registry.Registry.pods
    racelint why Registry.pods
    """
    scope = find_scope((), project, config_file, {"library": library, "jobs": jobs}, cache_folder(cache_dir, no_cache))
    from racelint.report import why as report

    with internal_errors(scope.project, verbose):
        explanation, result = _explained(scope, place)
        if output_format == "json":
            text = report.render_json(explanation)
        else:
            text = report.render(explanation, color=not no_color and colored(sys.stdout), verbose=verbose)
    diagnose(result)
    write(text, None)


def _explained(scope: Scope, place: str) -> tuple[Explanation, Result]:
    from racelint import pipeline, why
    from racelint.analysis.verdicts import Record
    from racelint.stack import with_deep_stack

    record = Record()
    with Progress() as progress, kept(scope) as cache, reading(scope, cache) as read:

        def work() -> tuple[Explanation, Result]:
            program, result = pipeline.examine(scope.project, scope.settings, progress.update, read, record.judges)
            name = named(place, why.places(program), "PLACE", "no variable and no attribute")
            return why.explain(program, result, scope.settings, record, name), result

        return with_deep_stack(work)
