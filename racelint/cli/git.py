"""What git knows about changed lines. Nothing is written to the repository, and none of its programs is run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import click

from racelint.changes import Changes, carried, changes, parse, shown_path
from racelint.cli.speak import Failure, shown

# Settings of the user and the repository that would change the form of a diff, run a program to make it, or write.
DIFF = (
    *("-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "diff.autoRefreshIndex=false"),
    *("diff", "--unified=0", "--inter-hunk-context=0"),
    *("--no-ext-diff", "--no-textconv", "--no-color", "--text", "--find-renames", "--ignore-submodules=all"),
    *("--relative", "--src-prefix=a/", "--dst-prefix=b/"),
)


def since(project: Path, revision: str) -> Changes:
    """What the working tree has changed since it left ``revision``, with files git does not know yet.

    That is since the last common ancestor of HEAD and the revision, as a pull request shows it: what others have done
    to the revision meanwhile does not count. Raises click.UsageError, Failure.
    """
    _check_repository(project, "--since")
    if not revision or revision.startswith("-"):
        raise click.UsageError(f"--since wants a revision of git, not '{shown(revision)}'")
    commit = _try(project, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        raise click.UsageError(f"--since: git knows no commit '{shown(revision)}'; in a shallow clone, fetch it first")
    base = _try(project, "merge-base", commit.decode().strip(), "HEAD")
    if base is None:
        hint = "in a shallow clone, fetch more of the history"
        raise click.UsageError(f"--since: '{shown(revision)}' and HEAD have no common ancestor; {hint}")
    names = _run(project, "-c", "core.fsmonitor=false", "ls-files", "--others", "--exclude-standard", "-z")
    diff = parse(_run(project, *DIFF, base.decode().strip()))
    return changes(diff, (shown_path(name) for name in names.split(b"\0") if name))


def staged(project: Path) -> Changes:
    """What the next commit changes, by the lines of the working tree. Raises click.UsageError, Failure."""
    _check_repository(project, "--staged")
    return carried(changes(parse(_run(project, *DIFF, "--cached"))), parse(_run(project, *DIFF)))


def _check_repository(project: Path, option: str) -> None:
    done = _git(project, "rev-parse", "--is-inside-work-tree")
    if done.returncode or done.stdout.strip() != b"true":
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        why = f": {shown(said)}" if said else ""
        raise click.UsageError(f"{option} needs the working tree of a git repository at {shown(str(project))}{why}")


def _try(project: Path, *arguments: str) -> bytes | None:
    done = _git(project, *arguments)
    return None if done.returncode else done.stdout


def _run(project: Path, *arguments: str) -> bytes:
    done = _git(project, *arguments)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        raise Failure(f"git failed with exit status {done.returncode}: {shown(said)}")
    return done.stdout


def _git(project: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise Failure(f"git cannot be run: {error.strerror or error}") from None
