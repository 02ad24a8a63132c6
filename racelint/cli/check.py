"""``racelint check``: analyse, mend, report, and say by the exit status what was found."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from racelint.cli import adopt
from racelint.cli.adopt import Adoption, Focus, adoption_options
from racelint.cli.app import main
from racelint.cli.help import Sectioned
from racelint.cli.job_summary import append
from racelint.cli.scope import (
    Scope,
    analyse,
    cache_folder,
    find_scope,
    folder_in_checkout,
    kept,
    reading,
    rule_option,
    scope_options,
    sources,
    wanted,
)
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
from racelint.model.findings import OUTPUT_FORMATS
from racelint.report import formats

if TYPE_CHECKING:
    from racelint.cache import Store
    from racelint.mend import Mended
    from racelint.model.findings import Result
    from racelint.reading import Read
    from racelint.remedies import Question
    from racelint.report.text import Sources

SEVERITY = click.Choice(["note", "warning", "error"])
CONFIDENCE = click.Choice(["low", "medium", "high"])


SECTIONS = {
    "What is analysed": ("--project", "--config", "--library"),
    "What is reported": (
        "--select",
        "--ignore",
        "--min-severity",
        "--min-confidence",
        "--baseline",
        "--no-baseline",
        "--since",
        "--staged",
    ),
    "Known findings": ("--update-baseline", "--add-ignore", "--reason"),
    "How it is reported": (
        "--output-format",
        "--output-file",
        "--statistics",
        "--edits",
        "--verbose",
        "--no-color",
    ),
    "Fixes": ("--fix", "--unsafe-fixes", "--diff"),
    "Exit status": ("--fail-on", "--exit-zero", "--exit-non-zero-on-fix"),
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
@adoption_options
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
    help="Work out the edits of fixes where the format shows them. It takes time: the project is analysed again.",
)
@click.option(
    "--exit-non-zero-on-fix", is_flag=True, help="Exit with 1 when --fix changed a file, also when no finding is left."
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 also when there are findings.")
@click.option(
    "--output-format",
    type=click.Choice(OUTPUT_FORMATS),
    help="full: code and call paths of both sides; concise: one line for each finding; json: for programs; the others: "
    "for what they are named after; auto: github or azure where these run, else full [default: full].",
)
@click.option("--output-file", type=click.Path(path_type=Path), metavar="F", help="Write the report to this file.")
@click.option("--show-settings", is_flag=True, help="Show every setting and where it comes from, and stop.")
def check(
    paths: tuple[Path, ...],
    project: Path | None,
    config_file: Path | None,
    library: bool | None,
    jobs: int | None,
    cache_dir: Path | str | None,
    no_cache: bool,
    no_color: bool,
    verbose: bool,
    statistics: bool,
    fix: bool,
    unsafe_fixes: bool,
    diff: bool,
    edits: bool,
    exit_zero: bool,
    exit_non_zero_on_fix: bool,
    output_file: Path | None,
    show_settings: bool,
    adoption: Adoption,
    **given: Any,
) -> None:
    """Analyse the project and report the findings that touch PATHS (default: all of them).

    The whole project is analysed in any case, since a changed file can race with an unchanged one. Options win over
    the configuration.
    """
    scope = find_scope(
        paths, project, config_file, {**given, "library": library, "jobs": jobs}, cache_folder(cache_dir, no_cache)
    )
    if show_settings:
        write(settings_text(scope), None)
        return
    focus = adopt.find_focus(scope, adoption, edits=fix or unsafe_fixes or diff)
    if diff:
        _write_diff(focus, unsafe_fixes, verbose, output_file, exit_zero)
        return
    from racelint import select

    name = formats.resolve(scope.settings.output_format, os.environ)
    chosen = formats.FORMATS[name]
    if statistics and chosen.counts:
        chosen = formats.STATISTICS
    changed = False
    with internal_errors(scope.project, verbose):
        if fix or unsafe_fixes:
            mended = _mend(focus, unsafe_fixes)
            whole, result = mended.before, focus.still(mended.before, mended.after)
            changed = bool(mended.changes)
        else:
            marks_only = adoption.update_baseline or adoption.add_ignore
            whole = _with_fixes(focus) if edits and chosen.edits and not marks_only else analyse(scope)
            result = focus.narrow(whole)
        if adoption.add_ignore:
            left = adopt.add_ignores(scope, select.reported(result.findings), adoption.reason)
            result = replace(result, findings=left)
        color = not no_color and output_file is None and colored(sys.stdout)
        style = formats.Style(color, verbose, terminal_width(sys.stdout) if color else None)
        shown_result, lines = _as_seen(result, scope, chosen)
        text = chosen.render(shown_result, lines, style)
        failed = bool(select.failing(result.findings, scope.settings))
        diagnose(result)
        if adoption.update_baseline:
            adopt.update_baseline(focus, whole)
        else:
            adopt.tell(focus, whole, verbose=verbose)
            if not adoption.add_ignore or result.findings:
                write(text, output_file)
                if name == "github":
                    append(shown_result, lines, os.environ.get("GITHUB_STEP_SUMMARY"))
    from racelint.report.text import INTERNAL_ERROR
    from racelint.suppress import UNKNOWN_LOCK

    if any(problem.rule in (INTERNAL_ERROR, UNKNOWN_LOCK) for problem in result.problems):
        sys.exit(FAILED)
    found = failed and not adoption.update_baseline
    if (found or (changed and exit_non_zero_on_fix)) and not exit_zero:
        sys.exit(FOUND)


def _with_fixes(focus: Focus) -> Result:
    scope = focus.scope
    with Progress() as progress, kept(scope) as cache, reading(scope, cache) as read:
        if cache is None:
            from racelint import mend

            about = wanted(scope)
            return mend.with_fixes(
                scope.project, scope.settings, about, progress.update, narrow=focus.narrow, read=read
            )
        from racelint import remedies

        return remedies.with_fixes(_question(focus, progress, cache, read))


def _mended(focus: Focus, unsafe: bool) -> Mended:
    scope = focus.scope
    with Progress() as progress, kept(scope) as cache, reading(scope, cache) as read:
        if cache is None:
            from racelint import mend

            return mend.mend(
                scope.project,
                scope.settings,
                wanted(scope),
                unsafe=unsafe,
                progress=progress.update,
                narrow=focus.narrow,
                read=read,
            )
        from racelint import remedies

        return remedies.mend(_question(focus, progress, cache, read), unsafe=unsafe)


def _question(focus: Focus, progress: Progress, cache: Store, read: Read) -> Question:
    from racelint.remedies import Question

    scope = focus.scope
    return Question(
        scope.project, scope.settings, scope.inside, wanted(scope), focus.narrow, progress.update, read, cache
    )


def _mend(focus: Focus, unsafe: bool) -> Mended:
    """Write the fixes, and say what was changed and what was left."""
    from racelint.fix import write as files

    mended = _mended(focus, unsafe)
    try:
        files.write_all(mended.changes, focus.scope.project)
    except files.NotWritten as error:
        raise Failure(f"nothing was fixed: {shown(str(error))}") from None
    for offer in mended.done:
        say(f"fixed {offer.plan.place}: {offer.plan.title}")
    _say_left(mended)
    return mended


def _say_left(mended: Mended) -> None:
    for left in mended.left:
        say(f"left {left.place} as it is: {left.reason}")


def _write_diff(focus: Focus, unsafe: bool, verbose: bool, output_file: Path | None, exit_zero: bool) -> None:
    """Show the fixes as a unified diff; exit status 1 when there is something to change."""
    from racelint.fix import write as files

    with internal_errors(focus.scope.project, verbose):
        mended = _mended(focus, unsafe)
        text = "".join(files.unified(change) for change in mended.changes)
    diagnose(mended.before)
    _say_left(mended)
    write(text, output_file)
    if text and not exit_zero:
        sys.exit(FOUND)


def _as_seen(result: Result, scope: Scope, chosen: formats.Format) -> tuple[Result, Sources]:
    """The result and the lines of its files, under the paths that the readers of the format know."""
    from racelint.report.checkout import below

    lines = sources(scope.project, result.findings)
    folder = folder_in_checkout(scope.project) if chosen.checkout else ""
    if not folder:
        return result, lines
    return below(result, folder), {f"{folder}/{path}": text for path, text in lines.items()}
