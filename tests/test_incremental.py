"""A run that has a cache, other processes, or neither: the answer is the same, byte for byte, whatever was edited."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

import racelint
from racelint import cli, reading
from racelint.model.source import SourceFile

FIXTURES = Path(racelint.__file__).parent.parent / "fixtures"
FORMATS = ("full", "json", "concise", "sarif", "github", "markdown")
COMMAND = [sys.executable, "-m", "racelint"]
WAIT_S = 120


def answer(project: Path, *options: str, output_format: str = "json") -> tuple[int, str, str]:
    """Exit status and both streams of a check, without what says how long it took and what it did not have to do."""
    arguments = ["check", "--project", str(project), "--output-format", output_format, "--min-confidence", "low"]
    shown = CliRunner().invoke(cli.main, [*arguments, *options], prog_name="racelint")
    assert shown.exit_code in (0, 1), shown.output
    text = re.sub(r'"(elapsed_s|from_cache)": [\d.]+', r'"\1": 0', shown.stdout)
    return shown.exit_code, re.sub(r"in [\d.]+ ?s\b", "in 0 s", text), shown.stderr


EDITS = (
    *("drop", "double", "insert", "break", "move", "copy", "remove", "empty", "comment", "silence", "rename"),
    "configure",
)


def edit(project: Path, chance: random.Random) -> str:
    """Change something in a project: give what was done where."""
    files = sorted(project.rglob("*.py"))
    path = chance.choice(files)
    lines = path.read_bytes().splitlines(keepends=True) or [b"\n"]
    start = chance.randrange(len(lines))
    end = min(len(lines), start + chance.randint(1, 5))
    how = chance.choice(EDITS)
    if how == "drop":
        path.write_bytes(b"".join(lines[:start] + lines[end:]))
    elif how == "double":
        path.write_bytes(b"".join(lines[:end] + lines[start:]))
    elif how == "insert":
        path.write_bytes(b"# moved down\n" + b"".join(lines))
    elif how == "comment":
        path.write_bytes(b"".join([*lines[:start], b"# nothing\n" * chance.randint(1, 40), *lines[start:]]))
    elif how == "silence":
        place = chance.choice([number for number, line in enumerate(lines) if line.strip()] or [0])
        lines[place] = lines[place].rstrip() + b"  # racelint: ignore[check-then-act] fine\n"
        path.write_bytes(b"".join(lines))
    elif how == "rename":
        name = chance.choice(re.findall(rb"[a-z_]{3,}", lines[start]) or [b"self"])
        path.write_bytes(re.sub(rb"\b%s\b" % name, name + b"_again", b"".join(lines)))
    elif how == "configure":
        text = chance.choice(("library = true", "include-tests = true", "min-severity = 'error'", "ignore = ['RL102']"))
        (project / "racelint.toml").write_text(text)
    elif how == "break":
        path.write_bytes(b"".join(lines) + b"def (:\n")
    elif how == "move":
        path.rename(path.with_name(f"{path.stem}_moved.py"))
    elif how == "copy":
        shutil.copy(chance.choice(files), path.with_name(f"{path.stem}_copy.py"))
    elif how == "remove" and len(files) > 2:
        path.unlink()
    else:
        path.write_bytes(b"")
    return f"{how} {path.name}"


def compare(project: Path, cache: Path, seed: int, edits: int) -> None:
    """Edit a project again and again: with the cache of all runs before, and without, the answer is the same."""
    chance = random.Random(seed)
    done = ["nothing"]
    for _ in range(edits + 1):
        for output_format in FORMATS if done == ["nothing"] else chance.sample(FORMATS, 2):
            cold = answer(project, "--no-cache", "--jobs", "1", output_format=output_format)
            kept = ["--cache-dir", str(cache)]
            assert answer(project, *kept, "--jobs", "2", output_format=output_format) == cold, done
            assert answer(project, *kept, "--jobs", "1", output_format=output_format) == cold, done
        done.append(edit(project, chance))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_edits_of_a_small_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(reading, "WORTH_SHARING_BYTES", 1)
    project = tmp_path / "project"
    shutil.copytree(FIXTURES / "submariner", project)
    compare(project, tmp_path / "cache", seed, edits=12)


@pytest.mark.network
@pytest.mark.slow
def test_edits_of_a_released_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.releases import fetch

    monkeypatch.setattr(reading, "WORTH_SHARING_BYTES", 1)
    project = tmp_path / "project"
    shutil.copytree(fetch("kopf", "1.45.2"), project)
    compare(project, tmp_path / "cache", 1, edits=6)


def test_what_came_from_the_cache_is_counted(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(FIXTURES / "submariner", project)

    def counts() -> tuple[int, int]:
        shown = CliRunner().invoke(cli.main, ["check", "--project", str(project), "--output-format", "json"])
        summary = json.loads(shown.stdout)["summary"]
        return summary["files"], summary["from_cache"]

    files, cached = counts()
    assert (files > 2, cached) == (True, 0)
    assert counts() == (files, files)
    next(iter(sorted(project.rglob("*.py")))).write_text("x = 1\n")
    assert counts() == (files, files - 1)
    assert counts() == (files, files)


def test_every_command_and_the_fixes_use_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    shutil.copytree(FIXTURES / "submariner", project)
    commands = (["check"], ["check", "--diff"], ["entrypoints"], ["graph"])
    before = [CliRunner().invoke(cli.main, [*words, "--project", str(project)]).stdout for words in commands]
    read: list[str] = []
    real = reading.outcome

    def noting(source: bytes, module: str, is_package: bool) -> reading.Outcome:
        read.append(module)
        return real(source, module, is_package)

    def never(file: SourceFile, source: bytes) -> reading.Extracted:
        return reading._extracted(file, source, real(source, file.module, file.is_package))

    monkeypatch.setattr(reading, "outcome", noting)
    monkeypatch.setattr("racelint.mend.parse", never)  # what fixes change is read again
    after = [CliRunner().invoke(cli.main, [*words, "--project", str(project)]).stdout for words in commands]
    assert [re.sub(r"in [\d.]+ ?s\b", "", text) for text in after] == [
        re.sub(r"in [\d.]+ ?s\b", "", text) for text in before
    ]
    assert read == []


class TestCommands:
    def test_a_cache_that_cannot_be_written_is_said_and_does_no_harm(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "project").mkdir()
        (tmp_path / "project" / "a.py").write_text("x = 1\n")
        status, text, said = answer(tmp_path / "project", "--cache-dir", str(tmp_path / "file" / "cache"))
        assert (status, json.loads(text)["problems"]) == (0, [])
        assert said.startswith("racelint: nothing can be kept in the cache ")
        assert said.endswith("cache: Not a directory\n")

    def test_info_and_clean(self, tmp_path: Path) -> None:
        (tmp_path / "a.py").write_text("x = 1\n")
        folder = tmp_path / "cache"

        def run(*words: str) -> str:
            shown = CliRunner().invoke(cli.main, [*words, "--cache-dir", str(folder)])
            assert shown.exit_code == 0
            return shown.stdout

        assert run("cache", "info") == f"{folder}\n0 files, 0.0 MB, at most 256.0 MB\n"
        run("check", "--project", str(tmp_path))
        assert run("cache", "info") == f"{folder}\n3 files, 0.0 MB, at most 256.0 MB\n"
        assert run("cache", "clean") == f"removed 3 files, 0.0 MB from {folder}\n"
        assert run("cache", "info") == f"{folder}\n0 files, 0.0 MB, at most 256.0 MB\n"

    def test_without_a_place_for_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("RACELINT_CACHE_DIR")
        monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: Path("~/.cache"))
        shown = CliRunner().invoke(cli.main, ["cache", "info"])
        assert (shown.exit_code, shown.stdout) == (2, "")


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks for processes in /proc")
def test_ctrl_c_while_reading_stops_at_once(tmp_path: Path) -> None:
    for number in range(60):  # minutes of work
        text = "".join(f"def f{index}(a):\n    return [a, {number}, {{'x': a + {index}}}]\n\n" for index in range(1500))
        (tmp_path / f"m{number}.py").write_text(text)
    process = subprocess.Popen(
        [*COMMAND, "check", "--project", str(tmp_path), "--jobs", "2", "--no-cache"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores the interrupt, and so would this.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + WAIT_S
    while len(children := _children(process.pid)) < 2:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.02)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=WAIT_S)
    assert time.monotonic() - started < 10
    assert (process.returncode, out, said.strip()) == (130, "", "")
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def _children(pid: int) -> list[int]:
    """The processes that a process has started, and that are still there."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in task.read_text().split()]
        except OSError:
            continue
    return found


class TestStart:
    def modules(self, *words: str) -> set[str]:
        """The modules that are imported when a command has ended."""
        program = (
            f"import sys; sys.argv = {['racelint', *words]!r}\n"
            "from racelint.cli import main\n"
            "try:\n    main()\n"
            "finally:\n    print(*sys.modules, file=sys.stderr)\n"
        )
        shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert shown.returncode in (0, 1), shown.stderr
        return set(shown.stderr.splitlines()[-1].split())

    def test_the_version_needs_nothing_but_click(self) -> None:
        program = "import click, sys; print(*sys.modules)"
        base = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        more = self.modules("--version") - set(base.stdout.split())
        assert {name for name in more if name.startswith("racelint")} == {
            "racelint",
            "racelint.cli",
            "racelint.cli.app",
            "racelint.cli.speak",
        }
        assert not more & {"dataclasses", "msgspec", "networkx", "libcst", "rich", "pathspec", "importlib.metadata"}

    @pytest.mark.parametrize("words", [["check"], ["check", "--output-format", "concise"], ["entrypoints"], ["graph"]])
    def test_a_warm_run_does_not_import_libcst(self, words: list[str]) -> None:
        words = [*words, "--project", str(FIXTURES / "submariner")]
        assert "libcst" in self.modules(*words, "--jobs", "1")
        assert "libcst" not in self.modules(*words)
