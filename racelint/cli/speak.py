"""What reaches the user: reports on standard output or in a file, everything about the run on standard error."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from pathlib import Path

    from racelint.model.findings import Result

FOUND, FAILED, INTERRUPTED = 1, 2, 130
PROGRESS_AFTER_S = 1.0


class Failure(click.ClickException):
    """Something outside racelint that keeps it from doing what was asked."""

    exit_code = FAILED


class Progress:
    """A bar on standard error, when that is a terminal and the run takes longer than a moment."""

    def __enter__(self) -> Progress:
        import time

        self._now = time.monotonic
        self._started = self._now()
        self._wanted = is_terminal(sys.stderr)
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
def internal_errors(project: Path, verbose: bool) -> Iterator[None]:
    """Turn whatever goes wrong inside racelint into a plain message and exit status 2."""
    try:
        yield
    except click.ClickException:
        raise
    except (Exception, RecursionError) as error:
        import traceback

        notes = [str(note) for note in getattr(error, "__notes__", ())]
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(frame.filename)}:{frame.lineno}"
        say(f"this is a bug in racelint: {type(error).__name__}: {error} (in {where}, while analysing {project})")
        for note in notes:
            say(note)
        if verbose:
            say("".join(traceback.format_exception(error)), multiline=True)
        else:
            say("--verbose shows the traceback, which is what a report of this bug should contain")
        sys.exit(FAILED)


def diagnose(result: Result) -> None:
    """Say on standard error what was wrong with the files."""
    from racelint.report.text import problem_line

    put(sys.stderr, "".join(f"{problem_line(problem)}\n" for problem in result.problems))


def say(message: str, multiline: bool = False) -> None:
    lines = message.splitlines() if multiline else [message]
    put(sys.stderr, "".join(f"racelint: {shown(line)}\n" for line in lines))


def shown(text: str) -> str:
    from racelint.report.text import safe

    return safe(text)


def write(text: str, output_file: Path | None) -> None:
    """Write a report. Raises click.ClickException when the file cannot be written."""
    if output_file is None:
        put(sys.stdout, text)
        return
    try:
        output_file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise Failure(f"cannot write {shown(str(output_file))}: {error.strerror or error}") from None


def put(stream: TextIO, text: str) -> None:
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


def terminal_width(stream: TextIO) -> int | None:
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def colored(stream: TextIO) -> bool:
    return is_terminal(stream) and not os.environ.get("NO_COLOR")
