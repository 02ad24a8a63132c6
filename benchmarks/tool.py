"""Runs racelint as a user would, in a process of its own, and measures time and memory."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHOWN_SEVERITIES = {"warning", "error"}
SHOWN_CONFIDENCES = {"medium", "high"}


class ToolError(RuntimeError):
    """racelint did not answer as promised; the message has the command and the end of its stderr."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said, its exit status and what it cost; the memory is that of a Run.

    ``cpu_seconds`` is the time that processors spent on it and on the processes it has waited for.
    """

    command: tuple[str, ...]
    status: int
    out: bytes
    complaint: str
    seconds: float
    peak_mb: float
    total_mb: float
    cpu_seconds: float

    def refused(self) -> ToolError:
        """The error that says that this is not what was promised."""
        return ToolError(f"{shlex.join(self.command)}: exit {self.status}: {self.complaint.strip()[-1500:]}")


@dataclass(frozen=True, slots=True)
class Run:
    """One report (JSON, version 1) and what it cost.

    ``peak_mb`` is the resident memory of the largest single process, ``total_mb`` the largest sum over all processes
    of the run that was seen at one moment (0 where there is no ``/proc``).
    """

    report: dict[str, Any]
    seconds: float
    peak_mb: float
    total_mb: float

    @property
    def lines(self) -> int:
        """Lines of Python analysed."""
        return int(self.report["summary"]["lines"])

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The findings shown by default."""
        return shown(self.report)

    def count(self, severity: str) -> int:
        """How many of the shown findings have this severity."""
        return sum(finding["severity"] == severity for finding in self.findings)

    def density(self, *, errors_only: bool = False) -> float:
        """Shown findings per 1,000 lines."""
        return per_thousand(self.count("error") if errors_only else len(self.findings), self.lines)


def default_command() -> list[str]:
    """The racelint of the running interpreter."""
    return [sys.executable, "-m", "racelint"]


def command_of(text: str | None) -> list[str]:
    """The command given as one string, or the default."""
    return shlex.split(text) if text else default_command()


def shown(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings of a report that a user sees by default: not suppressed, at least warning and medium."""
    return [
        finding
        for finding in report["findings"]
        if finding["suppressed"] is None
        and finding["severity"] in SHOWN_SEVERITIES
        and finding["confidence"] in SHOWN_CONFIDENCES
    ]


def per_thousand(count: float, lines: int) -> float:
    """``count`` per 1,000 lines."""
    return 1000 * count / lines if lines else 0.0


def run(command: Sequence[str], tree: Path, *, library: bool = False) -> Run:
    """Check one tree. Raises ToolError when the exit status is not 0 or the answer is not JSON of version 1."""
    tree = tree.resolve()
    mode = ["--library"] if library else []
    full = [
        *command,
        "check",
        "--project",
        str(tree),
        "--output-format",
        "json",
        "--no-edits",
        "--exit-zero",
        *mode,
        str(tree),
    ]
    done = execute(full)
    report = _parsed(done.out) if done.status == 0 else None
    if report is None:
        raise done.refused()
    return Run(report, done.seconds, done.peak_mb, done.total_mb)


def execute(command: Sequence[str], *, folder: Path = ROOT, environment: Mapping[str, str] | None = None) -> Answer:
    """Run a command in a process of its own, to its end; it finds nothing in its cache.

    It is started in ``folder``; ``environment`` says more than that of this process, or something else.
    """
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        tempfile.TemporaryDirectory(prefix="racelint-") as cache,
    ):
        whole = {**os.environ, "RACELINT_CACHE_DIR": cache, **(environment or {})}
        started = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env=whole)
        watch = _MemoryWatch(process.pid)
        watch.start()
        # wait4 and not wait: it also tells the memory of exactly this process and the children it waited for.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        watch.stop()
        out.seek(0)
        err.seek(0)
        answer, complaint = out.read(), err.read().decode(errors="replace")
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    cpu = usage.ru_utime + usage.ru_stime
    peak = usage.ru_maxrss / unit
    return Answer(tuple(command), process.returncode, answer, complaint, seconds, peak, watch.peak_mb, cpu)


def _parsed(answer: bytes) -> dict[str, Any] | None:
    try:
        report = json.loads(answer)
    except ValueError:
        return None
    return report if isinstance(report, dict) and report.get("version") == 1 else None


class _MemoryWatch(threading.Thread):
    """Looks a few times a second at the memory of a process and its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._done = threading.Event()
        self.peak_mb = 0.0

    def run(self) -> None:
        """Sample until stopped."""
        while not self._done.wait(0.25):
            self.peak_mb = max(self.peak_mb, sum(_resident_mb(pid) for pid in _family(self._pid)))

    def stop(self) -> None:
        """End sampling; ``peak_mb`` is final afterwards."""
        self._done.set()
        self.join()


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in _family(int(child)))]


def _resident_mb(pid: int) -> float:
    try:  # the proportional share, as forked workers have most of their pages in common
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
