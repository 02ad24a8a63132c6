"""A report does not depend on the order that sets of texts have in one process and not in the next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CIRCLE = """\
import threading
from concurrent.futures import ThreadPoolExecutor

FIRST = threading.Lock()
SECOND = threading.Lock()


def forth():
    with FIRST, SECOND:
        print("forth")


def back():
    with SECOND, FIRST:
        print("back")


threading.Thread(target=forth).start()
POOL = ThreadPoolExecutor()
POOL.submit(back)
"""


def test_a_circle_of_locks_is_told_in_one_order(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(CIRCLE, encoding="utf-8")
    command = (sys.executable, "-m", "racelint")
    reports = set()
    for seed in ("1", "3", "5", "6"):
        done = subprocess.run(
            [*command, "check", "--no-cache", "--jobs", "1", "--verbose", "--project", str(tmp_path), str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert "error[lock-order]" in done.stdout
        reports.add(done.stdout)
    assert len(reports) == 1
