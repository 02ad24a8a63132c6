"""What helps an old code base: a baseline of what is known, only what was changed, and comments to be judged later."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from racelint.cli.scope import Scope, known_rules
from racelint.cli.speak import Failure, say, shown

if TYPE_CHECKING:
    from racelint.baseline import Entry
    from racelint.changes import Changes
    from racelint.model.findings import Finding, Result

DEFAULT_REASON = "TODO: judge"


@dataclass(frozen=True, slots=True)
class Adoption:
    """The options of ``check`` as they were given."""

    baseline: Path | None
    no_baseline: bool
    update_baseline: bool
    since: str | None
    staged: bool
    add_ignore: bool
    reason: str | None


def adoption_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, which it takes as one argument ``adoption``."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        own = {name: given.pop(name) for name in Adoption.__slots__}
        command(adoption=Adoption(**own), **given)

    for option in (
        click.option(
            "--reason",
            metavar="TEXT",
            help=f"With --add-ignore: why the findings may stay [default: {DEFAULT_REASON}].",
        ),
        click.option(
            "--add-ignore",
            is_flag=True,
            help="Write `# racelint: ignore[rule] reason` where to act on each finding that would be reported, instead "
            "of reporting it.",
        ),
        click.option("--staged", is_flag=True, help="The same for lines that are staged for the next commit."),
        click.option(
            "--since",
            metavar="REV",
            help="Report only findings with a side, a call on the way to it, or the start of its thread or task on a "
            "line changed since the last common ancestor of HEAD and REV, committed or not, as a pull request to REV "
            "shows it. Files unknown to git count as changed.",
        ),
        click.option(
            "--update-baseline",
            is_flag=True,
            help="Write what would be reported to the baseline, drop what is gone, and exit with 0. PATHS, --select "
            "and the like limit what is added and dropped.",
        ),
        click.option("--no-baseline", is_flag=True, help="Report also what the configured baseline knows."),
        click.option(
            "--baseline",
            type=click.Path(path_type=Path),
            metavar="F",
            help="Report only findings that are not in this file [default: `baseline` of the configuration].",
        ),
    ):
        run = option(run)
    return run


@dataclass(frozen=True, slots=True)
class Baseline:
    """A file of known findings and what it holds."""

    path: Path
    shown: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Focus:
    """Which of a project's findings a run is about."""

    scope: Scope
    changes: Changes | None = None
    baseline: Baseline | None = None

    def asked_for(self, result: Result) -> Result:
        """What the settings, PATHS and changed lines leave, known or not; suppressed findings stay in, marked."""
        from racelint import select
        from racelint.changes import touches

        result = select.narrow(result, self.scope.settings, self.scope.inside)
        changed = self.changes
        if changed is None:
            return result
        return replace(result, findings=tuple(item for item in result.findings if touches(item, changed)))

    def narrow(self, result: Result) -> Result:
        """The same without what the baseline knows."""
        from racelint.baseline import match

        asked = self.asked_for(result)
        if self.baseline is None:
            return asked
        known = match(self.baseline.entries, _open(result))
        return replace(asked, findings=tuple(item for item in asked.findings if item not in known))

    def still(self, before: Result, after: Result) -> Result:
        """What there is ``after`` edits, without what the run was not about ``before`` them."""
        from racelint import select

        out = select.left_out(before, self.narrow)
        asked = select.narrow(after, self.scope.settings, self.scope.inside)
        return replace(asked, findings=tuple(item for item in asked.findings if item.fingerprint not in out))

    def judges(self, entry: Entry, result: Result) -> bool:
        """Whether an entry would have been matched if its finding were still there."""
        from racelint import pipeline, select

        running = {rule.name for rule in pipeline.selected(self.scope.settings)}
        unread = {problem.path for problem in result.problems if not _is_comment(problem.rule)}
        return (
            self.changes is None
            and (entry.rule in running or entry.rule not in {rule.name for rule in known_rules()})
            and (not self.scope.inside or select.inside(entry.path, self.scope.inside))
            and entry.path not in unread
        )


def _is_comment(rule: str) -> bool:
    from racelint.suppress import COMMENT_PROBLEMS

    return rule in COMMENT_PROBLEMS


def _open(result: Result) -> tuple[Finding, ...]:
    """What no comment silences."""
    from racelint.select import reported

    return reported(result.findings)


def find_focus(scope: Scope, given: Adoption, *, edits: bool) -> Focus:
    """Check the options, and read the baseline and the changes. ``edits``: whether fixes were asked for.

    Raises click.UsageError, Failure.
    """
    if given.since is not None and given.staged:
        raise click.UsageError("--since and --staged cannot go together")
    if given.reason is not None and not given.add_ignore:
        raise click.UsageError("--reason goes with --add-ignore")
    if given.reason is not None and not (given.reason.strip() and given.reason.isprintable()):
        raise click.UsageError("--reason wants text on one line")
    if given.add_ignore and (edits or given.update_baseline):
        raise click.UsageError("--add-ignore goes without --fix, --unsafe-fixes, --diff and --update-baseline")
    if given.update_baseline and edits:
        raise click.UsageError("--update-baseline goes without --fix, --unsafe-fixes and --diff")
    if given.no_baseline and (given.baseline is not None or given.update_baseline):
        raise click.UsageError("--no-baseline goes without --baseline and --update-baseline")
    return Focus(scope, _changes(scope, given), _baseline(scope, given))


def _changes(scope: Scope, given: Adoption) -> Changes | None:
    if given.since is None and not given.staged:
        return None
    from racelint.cli import git

    return git.staged(scope.project) if given.since is None else git.since(scope.project, given.since)


def _baseline(scope: Scope, given: Adoption) -> Baseline | None:
    path, name, limit = given.baseline, str(given.baseline), None
    if path is None and scope.settings.baseline and not given.no_baseline:
        from racelint.config import find_checkout
        from racelint.files import BASELINE_BYTES, is_inside

        path, name, limit = scope.project / scope.settings.baseline, scope.settings.baseline, BASELINE_BYTES
        if given.update_baseline and not is_inside(path, find_checkout(scope.project)):
            raise click.UsageError(f"the configuration names a baseline outside the project: {shown(name)}")
    if path is None:
        if given.update_baseline:
            where = "--baseline F, or `baseline` in the configuration"
            raise click.UsageError(f"--update-baseline has to know which file: {where}")
        return None
    from racelint import baseline, config

    if given.update_baseline and not os.path.exists(path):
        return Baseline(path, name, ())
    if not os.path.exists(path):
        raise click.UsageError(f"there is no baseline {shown(name)}; --update-baseline makes it")
    try:
        return Baseline(path, name, baseline.parse(config.read_text(path, name, limit), name))
    except (config.ConfigError, baseline.BaselineError) as error:
        raise click.UsageError(shown(str(error))) from None


def tell(focus: Focus, result: Result, *, verbose: bool) -> None:
    """Say what the baseline kept out of the report, and what in it is out of date."""
    from racelint.baseline import match
    from racelint.report.text import plural

    known = focus.baseline
    if known is None:
        return
    pairs = match(known.entries, _open(result))
    hidden = [finding for finding in _open(focus.asked_for(result)) if finding in pairs]
    if hidden:
        say(f"{plural(len(hidden), 'finding')} not shown: known from the baseline {known.shown}")
    moved = [finding for finding in hidden if finding.fingerprint in pairs.moved]
    if moved:
        say(f"{len(moved)} of them under another module's name: --update-baseline writes the new one")
        for finding in moved if verbose else ():
            side = finding.sides[0]
            say(f"moved: {finding.rule} of {finding.place}, {pairs.moved[finding.fingerprint].path} -> {side.path}")
    gone = [entry for entry in pairs.gone if focus.judges(entry, result)]
    if gone:
        words = "entry of the baseline matches" if len(gone) == 1 else "entries of the baseline match"
        say(f"{len(gone)} {words} nothing any more: --update-baseline drops what is gone")
        for entry in gone if verbose else ():
            say(f"gone: {entry.rule} of {entry.place} in {entry.function} ({entry.path})")


def update_baseline(focus: Focus, result: Result) -> None:
    """Write what the run is about to the baseline. Raises Failure."""
    from racelint import baseline
    from racelint.fix.write import write_whole
    from racelint.report.text import plural

    file = focus.baseline
    assert file is not None, "find_focus has seen to it"
    entries = baseline.updated(
        file.entries, _open(result), _open(focus.asked_for(result)), lambda entry: focus.judges(entry, result)
    )
    try:
        write_whole(file.path, baseline.render(entries).encode("utf-8"))
    except OSError as error:
        raise Failure(f"cannot write {shown(file.shown)}: {error.strerror or error}") from None
    new, dropped = len(set(entries) - set(file.entries)), len(set(file.entries) - set(entries))
    say(f"wrote {plural(len(entries), 'finding')} to {file.shown}: {new} new, {dropped} dropped")


def add_ignores(scope: Scope, findings: Iterable[Finding], reason: str | None) -> tuple[Finding, ...]:
    """Write a comment where to act on each finding; give those that could not be marked. Raises Failure."""
    from racelint.files import SOURCE_BYTES, read_regular
    from racelint.fix import write
    from racelint.fix.ignore import NotMarked, marked
    from racelint.report.text import plural

    by_path: dict[str, list[Finding]] = {}
    for finding in findings:
        by_path.setdefault(finding.sides[0].path, []).append(finding)
    changes: list[write.Change] = []
    left: list[Finding] = []
    for path, here in sorted(by_path.items()):
        try:
            source = read_regular(scope.project / path, SOURCE_BYTES)
            changes.append(
                write.Change(scope.project / path, path, source, marked(source, here, reason or DEFAULT_REASON))
            )
        except OSError as error:
            raise Failure(f"cannot read {shown(path)}: {error.strerror or error}") from None
        except NotMarked as error:
            say(f"left {path} as it is: {error}")
            left.extend(here)
    try:
        write.write_all(changes, scope.project)
    except write.NotWritten as error:
        raise Failure(f"nothing was marked: {shown(str(error))}") from None
    done = sum(len(here) for here in by_path.values()) - len(left)
    say(f"marked {plural(done, 'finding')} in {plural(len(changes), 'file')}")
    return tuple(left)
