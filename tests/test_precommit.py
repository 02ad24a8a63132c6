"""The hooks for pre-commit, run by pre-commit itself in git repositories made for the purpose.

What is tested is ``.pre-commit-hooks.yaml``: its entries, types and settings. Most tests run the installed racelint, as
``language: system`` does; one installs the hook from this source tree, as its users do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import racelint

ROOT = Path(racelint.__file__).parent.parent
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
STORE = """\
PODS = {}


def sync(name):
    PODS[name] = object()
"""
APP = """\
import threading

import store


def work():
    for name in "ab":
        store.sync(name)


threading.Thread(target=work).start()
"""
SWEEP = """\
import threading

import store


def sweep():
    for name in list(store.PODS):
        store.PODS[name] = None


threading.Thread(target=sweep).start()
"""
COUNTER = """\
import threading

total = 0


def work():
    global total
    total += 1


for _ in range(3):
    threading.Thread(target=work).start()
"""


class Repository:
    """A git repository with pre-commit installed in it, and nothing of the user's settings."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder = folder
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PRE_COMMIT"))}
        self.environment = {
            **clean,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(scratch),
            "PRE_COMMIT_HOME": str(scratch / "pre-commit"),
            "PRE_COMMIT_COLOR": "never",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_AUTHOR_NAME": "x",
            "GIT_AUTHOR_EMAIL": "x@example.org",
            "GIT_COMMITTER_NAME": "x",
            "GIT_COMMITTER_EMAIL": "x@example.org",
        }
        folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )

    def git(self, *arguments: str) -> str:
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def commit(self) -> subprocess.CompletedProcess[str]:
        """Commit what is staged; pre-commit may stop it."""
        return self.run("git", "commit", "-m", "x")

    def pre_commit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "pre_commit", *arguments)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")

    def use(self, repos: list[dict[str, Any]]) -> None:
        """Make this the configuration of pre-commit, and let it stop commits."""
        self.write(".pre-commit-config.yaml", json.dumps({"repos": repos}))
        installed = self.pre_commit("install")
        assert installed.returncode == 0, installed.stdout


def installed(name: str, **changes: Any) -> list[dict[str, Any]]:
    """A hook of ``.pre-commit-hooks.yaml`` that runs the racelint of this environment."""
    return [{"repo": "local", "hooks": [{**HOOKS[name], "language": "system", **changes}]}]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "project", tmp_path)
    where = shutil.which("racelint", path=made.environment["PATH"])
    assert where is not None, "racelint is not installed: pip install -e '.[test]'"
    return made


@pytest.fixture
def two_files(repository: Repository) -> Repository:
    """A thread that fills a dict of another file, committed."""
    repository.use(installed("racelint"))
    repository.write("store.py", STORE)
    repository.write("app.py", APP)
    repository.git("add", "-A")
    repository.git("commit", "-q", "--no-verify", "-m", "x")
    return repository


def head(repository: Repository) -> str:
    return repository.git("rev-parse", "HEAD")


def test_both_hooks_are_there() -> None:
    assert {name: hook["entry"] for name, hook in HOOKS.items()} == {
        "racelint": "racelint check",
        "racelint-fix": "racelint check --fix --exit-non-zero-on-fix",
    }
    for hook in HOOKS.values():
        assert (hook["language"], hook["types"], hook["require_serial"]) == ("python", ["python"], True)


def test_they_are_what_pre_commit_takes(repository: Repository) -> None:
    checked = repository.pre_commit("validate-manifest", str(ROOT / ".pre-commit-hooks.yaml"))
    assert checked.returncode == 0, checked.stdout


class TestCheck:
    """The hook ``racelint``."""

    def test_a_second_writer_in_another_file_is_stopped_and_both_sides_are_shown(self, two_files: Repository) -> None:
        before = head(two_files)
        two_files.write("sweep.py", SWEEP)
        two_files.git("add", "sweep.py")
        done = two_files.commit()
        assert done.returncode == 1
        assert head(two_files) == before
        assert "Failed" in done.stdout
        first = done.stdout.index("sweep.py:8:")
        for shown in ("store.PODS[name] = None", "PODS[name] = object()", "app.py:11", "sweep.py:11"):
            assert shown in done.stdout[first:]
        assert two_files.read("sweep.py") == SWEEP

    def test_the_other_file_alone_is_enough(self, two_files: Repository) -> None:
        """The race is told of when either side is committed."""
        two_files.write("sweep.py", SWEEP)
        two_files.git("add", "sweep.py")
        two_files.git("commit", "-q", "--no-verify", "-m", "x")
        two_files.write("store.py", f"# touched\n{STORE}")
        two_files.git("add", "store.py")
        done = two_files.commit()
        assert done.returncode == 1
        assert "sweep.py:8:" in done.stdout
        two_files.git("checkout", "-q", "HEAD", "--", "store.py")
        two_files.write("other.py", "x = 1\n")
        two_files.git("add", "other.py")
        assert two_files.commit().returncode == 0

    def test_a_clean_one_passes(self, two_files: Repository) -> None:
        two_files.write("more.py", "import store\n\nprint(store.PODS)\n")
        two_files.git("add", "more.py")
        done = two_files.commit()
        assert (done.returncode, "Passed" in done.stdout) == (0, True), done.stdout

    def test_a_start_in_a_third_file_is_stopped(self, two_files: Repository) -> None:
        """Both sides are old and in other files; what is new is that they meet."""
        two_files.write("sweep.py", SWEEP.replace("threading.Thread(target=sweep).start()\n", ""))
        two_files.git("add", "-A")
        assert two_files.commit().returncode == 0
        two_files.write(
            "start.py", "import threading\n\nimport sweep\n\nthreading.Thread(target=sweep.sweep).start()\n"
        )
        two_files.git("add", "-A")
        done = two_files.commit()
        assert (done.returncode, "sweep.py:8:" in done.stdout) == (1, True), done.stdout

    def test_without_python_files_it_is_skipped(self, two_files: Repository) -> None:
        two_files.write("notes.txt", "x\n")
        two_files.git("add", "notes.txt")
        done = two_files.commit()
        assert (done.returncode, "(no files to check)Skipped" in done.stdout) == (0, True), done.stdout

    def test_all_files(self, two_files: Repository) -> None:
        done = two_files.pre_commit("run", "--all-files")
        assert (done.returncode, "Passed" in done.stdout) == (0, True), done.stdout
        two_files.write("sweep.py", SWEEP)
        two_files.git("add", "sweep.py")
        done = two_files.pre_commit("run", "--all-files")
        assert done.returncode == 1
        assert done.stdout.count("Find") + done.stdout.count("- hook id: racelint\n") == 1
        assert "sweep.py:8:" in done.stdout

    def test_what_is_not_staged_does_not_count(self, two_files: Repository) -> None:
        """pre-commit takes unstaged changes away while hooks run, and puts them back."""
        two_files.write("sweep.py", "import store\n\nprint(store.PODS)\n")
        two_files.git("add", "sweep.py")
        two_files.write("sweep.py", SWEEP)
        done = two_files.commit()
        assert done.returncode == 0, done.stdout
        assert two_files.read("sweep.py") == SWEEP
        assert two_files.git("show", "HEAD:sweep.py") == "import store\n\nprint(store.PODS)\n"

    def test_what_is_staged_counts_although_it_was_mended_since(self, two_files: Repository) -> None:
        two_files.write("sweep.py", SWEEP)
        two_files.git("add", "sweep.py")
        two_files.write("sweep.py", "x = 1\n")
        done = two_files.commit()
        assert (done.returncode, "sweep.py:8:" in done.stdout) == (1, True), done.stdout
        assert two_files.read("sweep.py") == "x = 1\n"

    def test_odd_file_names(self, two_files: Repository) -> None:
        two_files.write("my sweep é.py", SWEEP)
        two_files.git("add", "-A")
        done = two_files.commit()
        assert (done.returncode, "my sweep é.py:8:" in done.stdout) == (1, True), done.stdout

    def test_arguments_and_the_baseline(self, two_files: Repository) -> None:
        two_files.write("sweep.py", SWEEP)
        two_files.write("racelint.toml", 'baseline = "known.toml"\n')
        two_files.git("add", "-A")
        assert two_files.run("racelint", "check", "--update-baseline").returncode == 0
        two_files.git("add", "-A")
        assert two_files.commit().returncode == 0
        two_files.write("new.py", COUNTER)
        two_files.use(installed("racelint", args=["--output-format", "concise"]))
        two_files.git("add", "-A")
        done = two_files.commit()
        assert done.returncode == 1
        assert [line.partition(":")[0] for line in done.stdout.splitlines() if ": error[" in line] == ["new.py"]

    def test_only_what_is_staged(self, two_files: Repository) -> None:
        two_files.write("new.py", COUNTER)
        two_files.git("add", "-A")
        two_files.git("commit", "-q", "--no-verify", "-m", "x")
        two_files.use(installed("racelint", args=["--staged"]))
        two_files.write("new.py", f"{COUNTER}\n\ndone = True\n")
        two_files.git("add", "-A")
        done = two_files.commit()
        assert done.returncode == 0, done.stdout
        two_files.write("new.py", COUNTER.replace("total += 1", "total += 2"))
        two_files.git("add", "-A")
        assert two_files.commit().returncode == 1


class TestFix:
    """The hook ``racelint-fix``."""

    def test_files_are_changed_and_the_commit_fails_until_they_are_added(self, repository: Repository) -> None:
        repository.use(installed("racelint-fix"))
        repository.write("counter.py", COUNTER)
        repository.git("add", "-A")
        done = repository.commit()
        assert done.returncode == 1
        assert "- files were modified by this hook" in done.stdout
        assert "fixed counter.total" in done.stdout
        fixed = repository.read("counter.py")
        assert "with _total_lock:\n        total += 1" in fixed
        repository.git("add", "-A")
        done = repository.commit()
        assert (done.returncode, repository.read("counter.py")) == (0, fixed), done.stdout

    def test_a_change_in_a_file_git_does_not_see_fails_too(self, repository: Repository) -> None:
        """pre-commit looks for changes by ``git diff``, which knows no files that are not tracked."""
        repository.use(installed("racelint-fix"))
        repository.write("counter.py", COUNTER.partition("for")[0])
        body = "for _ in range(3):\n    threading.Thread(target=counter.work).start()\n"
        repository.write("start.py", f"import threading\n\nimport counter\n\n{body}")
        repository.git("add", "start.py")
        done = repository.commit()
        assert done.returncode == 1, done.stdout
        assert "files were modified" not in done.stdout
        assert "with _total_lock" in repository.read("counter.py")

    def test_a_clean_one_passes_and_stays(self, repository: Repository) -> None:
        repository.use(installed("racelint-fix"))
        repository.write("app.py", "x = 1\n")
        repository.git("add", "-A")
        done = repository.commit()
        assert (done.returncode, repository.read("app.py")) == (0, "x = 1\n"), done.stdout

    def test_what_is_not_staged_comes_back(self, repository: Repository) -> None:
        repository.use(installed("racelint-fix"))
        repository.write("counter.py", COUNTER)
        repository.write("notes.py", "x = 1\n")
        repository.git("add", "-A")
        repository.write("notes.py", "x = 2\n")
        done = repository.commit()
        assert done.returncode == 1
        assert "with _total_lock" in repository.read("counter.py")
        assert repository.read("notes.py") == "x = 2\n"
        repository.git("add", "counter.py")
        assert repository.commit().returncode == 0
        assert repository.git("show", "HEAD:notes.py") == "x = 1\n"
        assert repository.read("notes.py") == "x = 2\n"

    def test_unstaged_changes_win_where_they_conflict_with_a_fix(self, repository: Repository) -> None:
        """pre-commit rolls fixes back when they conflict with what was not staged."""
        mine = COUNTER.replace("total += 1", "total += 2  # mine").replace("total = 0", "total = 0  # mine")
        repository.use(installed("racelint-fix"))
        repository.write("counter.py", COUNTER)
        repository.git("add", "-A")
        repository.write("counter.py", mine)
        done = repository.commit()
        assert done.returncode == 1
        assert "Rolling back fixes" in done.stdout
        assert repository.read("counter.py") == mine


@pytest.mark.network
def test_the_hook_as_users_install_it(tmp_path: Path) -> None:
    """From a clone of this source tree, by pre-commit, into an environment of its own."""
    source = Repository(tmp_path / "racelint", tmp_path)
    for name in ("racelint", "README.md", "LICENSE", "pyproject.toml", ".pre-commit-hooks.yaml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source.folder / name)
    source.git("add", "-A")
    source.git("commit", "-q", "-m", "x")
    user = Repository(tmp_path / "project", tmp_path)
    hooks = [{"id": name} for name in HOOKS]
    user.use([{"repo": str(source.folder), "rev": head(source).strip(), "hooks": hooks}])
    user.environment["PATH"] = os.environ["PATH"]
    user.write("counter.py", COUNTER)
    user.git("add", "-A")
    done = user.commit()
    assert done.returncode == 1, done.stdout
    assert "counter.py:8:" in done.stdout
    assert "files were modified by this hook" in done.stdout
    user.git("add", "-A")
    done = user.commit()
    assert (done.returncode, done.stdout.count("Passed")) == (0, 2), done.stdout
    tried = user.pre_commit("try-repo", str(source.folder), "racelint", "--all-files")
    assert (tried.returncode, "Passed" in tried.stdout) == (0, True), tried.stdout
