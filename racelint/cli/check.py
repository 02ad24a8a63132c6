"""``racelint check``: analyse, mend, report, and say by the exit status what was found."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from racelint.cli.app import main
from racelint.cli.help import Sectioned
from racelint.cli.scope import Scope, analyse, find_scope, rule_option, scope_options, sources, wanted
from racelint.cli.settings import settings_text
from racelint.cli.speak import (
    FAILED,
    FOUND,
    Failure,
    Progress,
    colored,
    diagnose,
    internal_errors,
    say,
    shown,
    terminal_width,
    write,
)

if TYPE_CHECKING:
    from racelint.mend import Mended
    from racelint.model.findings import Result

SEVERITY = click.Choice(["note", "warning", "error"])
CONFIDENCE = click.Choice(["low", "medium", "high"])
CHECK_FORMATS = ("full", "concise", "json")


SECTIONS = {
    "What is analysed": ("--project", "--config", "--library"),
    "What is reported": ("--select", "--ignore", "--min-severity", "--min-confidence"),
    "How it is reported": (
        "--output-format",
        "--output-file",
        "--statistics",
        "--edits",
        "--verbose",
        "--no-color",
    ),
    "Fixes": ("--fix", "--unsafe-fixes", "--diff"),
    "Exit status": ("--fail-on", "--exit-zero"),
}


@main.command(cls=Sectioned, sections=SECTIONS)
@scope_options
@rule_option("--select", "Only these rules: names or codes, with commas between them or in several options.")
@rule_option("--ignore", "All rules but these.")
@click.option("--min-severity", type=SEVERITY, help="Show findings of this severity or above [default: warning].")
@click.option(
    "--fail-on", type=SEVERITY, help="Exit with 1 for shown findings of this severity or above [default: warning]."
)
@click.option("--min-confidence", type=CONFIDENCE, help="Show findings that are at least this sure [default: medium].")
@click.option("--statistics", is_flag=True, help="Show the number of findings per rule instead of the findings.")
@click.option("--fix", is_flag=True, help="Mend what can be mended safely, then report what is left.")
@click.option(
    "--unsafe-fixes",
    is_flag=True,
    help="Mend also where a reader must judge whether the change is right; with --diff, show these changes as well.",
)
@click.option(
    "--diff",
    is_flag=True,
    help="Show what --fix would change, and change nothing. Exit with 1 if it would change anything.",
)
@click.option(
    "--edits/--no-edits",
    default=True,
    show_default=True,
    help="Put the edits of fixes into JSON. Working them out takes time: the project is analysed again.",
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 also when there are findings.")
@click.option(
    "--output-format",
    type=click.Choice(CHECK_FORMATS),
    default="full",
    show_default=True,
    help="full: code and call paths of both sides; concise: one line for each finding; json: for programs.",
)
@click.option("--output-file", type=click.Path(path_type=Path), metavar="F", help="Write the report to this file.")
@click.option("--show-settings", is_flag=True, help="Show every setting and where it comes from, and stop.")
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
    """Analyse the project and report the findings that touch PATHS (default: all of them).

    The whole project is analysed in any case, since a changed file can race with an unchanged one. Options win over
    the configuration.
    """
    scope = find_scope(paths, project, config_file, {**given, "library": library, "jobs": jobs})
    if show_settings:
        write(settings_text(scope), None)
        return
    if diff:
        _write_diff(scope, unsafe_fixes, verbose, output_file, exit_zero)
        return
    from racelint import select

    with internal_errors(scope.project, verbose):
        if fix or unsafe_fixes:
            result = _mend(scope, unsafe_fixes)
        elif edits and output_format == "json":
            result = _with_fixes(scope)
        else:
            result = analyse(scope)
        result = select.narrow(result, scope.settings, scope.inside)
        color = not no_color and output_file is None and colored(sys.stdout)
        text = _report(result, scope, output_format, statistics, color, verbose)
        failed = bool(select.failing(result.findings, scope.settings))
    diagnose(result)
    write(text, output_file)
    from racelint.report.text import INTERNAL_ERROR

    if any(problem.rule == INTERNAL_ERROR for problem in result.problems):
        sys.exit(FAILED)
    if failed and not exit_zero:
        sys.exit(FOUND)


def _with_fixes(scope: Scope) -> Result:
    from racelint import mend

    with Progress() as progress:
        return mend.with_fixes(scope.project, scope.settings, wanted(scope), progress.update)


def _mended(scope: Scope, unsafe: bool) -> Mended:
    from racelint import mend

    with Progress() as progress:
        return mend.mend(scope.project, scope.settings, wanted(scope), unsafe=unsafe, progress=progress.update)


def _mend(scope: Scope, unsafe: bool) -> Result:
    """Write the fixes, say what was changed and what was left, and give the findings that remain."""
    from racelint.fix import write as files

    mended = _mended(scope, unsafe)
    try:
        files.write_all(mended.changes)
    except files.NotWritten as error:
        raise Failure(f"nothing was fixed: {shown(str(error))}") from None
    for offer in mended.done:
        say(f"fixed {offer.plan.place}: {offer.plan.title}")
    _say_left(mended)
    return mended.after


def _say_left(mended: Mended) -> None:
    for left in mended.left:
        say(f"left {left.place} as it is: {left.reason}")


def _write_diff(scope: Scope, unsafe: bool, verbose: bool, output_file: Path | None, exit_zero: bool) -> None:
    """Show the fixes as a unified diff; exit status 1 when there is something to change."""
    from racelint.fix import write as files

    with internal_errors(scope.project, verbose):
        mended = _mended(scope, unsafe)
        text = "".join(files.unified(change) for change in mended.changes)
    diagnose(mended.before)
    _say_left(mended)
    write(text, output_file)
    if text and not exit_zero:
        sys.exit(FOUND)


def _report(result: Result, scope: Scope, output_format: str, statistics: bool, color: bool, verbose: bool) -> str:
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

    width = None if not color else terminal_width(sys.stdout)
    return full.render(result, sources(scope.project, result.findings), color=color, verbose=verbose, width=width)
