"""``--since`` and ``--staged``: which lines git calls changed, and which findings have to do with them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from handmade import finding, side
from hypothesis import given
from hypothesis import strategies as st

from racelint import cli
from racelint.changes import Changes, Hunk, carried, changes, parse, touches
from racelint.cli import git as asked
from racelint.model.findings import Context, Step

DIFF = b"""\
diff --git a/a.py b/a.py
index 1..2 100644
--- a/a.py
+++ b/a.py
@@ -3 +3,2 @@ def f():
-old
+++ b/not_a_header.py
+@@ -1 +1 @@
@@ -9,2 +10,0 @@
--- a/neither.py
-gone
\\ No newline at end of file
diff --git a/gone.py b/gone.py
--- a/gone.py
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/b c.py b/b c.py
--- a/b c.py\t
+++ b/b c.py\t
@@ -0,0 +1 @@
+x
diff --git "a/q\\"\\t\\303\\274.py" "b/q\\"\\t\\303\\274.py"
--- "a/q\\"\\t\\303\\274.py"
+++ "b/q\\"\\t\\303\\274.py"
@@ -1,0 +2 @@
+x
"""
STORE = """\
PODS = {}


def sync(name):
    PODS[name] = object()


def size():
    return len(PODS)
"""
APP = """\
import threading

import store


def work():
    for name in "ab":
        store.sync(name)


threading.Thread(target=work).start()
"""
# A second thread, started in another file, that makes an old write a race.
MORE = """\
import threading

import store


def sweep():
    for name in list(store.PODS):
        if name.isupper():
            store.PODS[name] = input()


threading.Thread(target=sweep).start()
"""


class TestParse:
    """What is read from a diff."""

    def test_hunks_by_path(self) -> None:
        assert parse(DIFF) == {
            "a.py": [Hunk(3, 1, 3, 2), Hunk(9, 2, 10, 0)],
            "b c.py": [Hunk(0, 0, 1, 1)],
            'q"\t\xfc.py': [Hunk(1, 0, 2, 1)],
        }

    @pytest.mark.parametrize("cut", range(0, len(DIFF), 7))
    def test_half_a_diff_is_read_as_far_as_it_goes(self, cut: int) -> None:
        assert set(parse(DIFF[:cut])) <= {"a.py", "b c.py", 'q"\t\xfc.py'}

    def test_lines(self) -> None:
        assert changes(parse(DIFF), ["new.py"]) == Changes(
            {"a.py": frozenset({3, 4, 10, 11}), "b c.py": frozenset({1}), 'q"\t\xfc.py': frozenset({2})},
            frozenset({"new.py"}),
        )

    def test_what_is_taken_from_the_top_changes_the_first_line(self) -> None:
        assert list(Hunk(1, 2, 0, 0).lines()) == [1]


class TestTouches:
    """Which findings have to do with a change."""

    @pytest.mark.parametrize(
        ("path", "line", "touched"),
        [
            ("op/registry.py", 3, True),
            ("op/registry.py", 5, True),
            ("op/registry.py", 2, False),
            ("op/registry.py", 6, False),
            ("op/handlers.py", 40, True),
            ("op/handlers.py", 38, True),
            ("op/handlers.py", 39, False),
            ("op/gc.py", 9, True),
            ("op/gc.py", 20, True),
            ("op/gc.py", 3, False),
        ],
    )
    def test_a_line(self, path: str, line: int, touched: bool) -> None:
        other = side(
            "op/gc.py",
            9,
            context=Context("op.gc.sweep", "thread", "op/gc.py", 20, "a thread"),
            trace=(Step("op/gc.py", 9, "op.gc.sweep", "drop"),),
        )
        assert touches(finding(side(end_line=5), other), Changes({path: frozenset({line})})) == touched

    def test_a_new_file(self) -> None:
        assert touches(finding(), Changes(files=frozenset({"op/handlers.py"})))
        assert not touches(finding(), Changes(files=frozenset({"op/other.py"})))


def hunks(old: list[str], new: list[str]) -> list[Hunk]:
    return [
        Hunk(a + (b > a), b - a, c + (d > c), d - c)
        for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if tag != "equal"
    ]


@given(st.lists(st.sampled_from("abcdef"), max_size=9), st.lists(st.sampled_from("abcdef"), max_size=9), st.data())
def test_lines_that_stay_are_carried_to_where_they_stand(old: list[str], new: list[str], data: st.DataObject) -> None:
    marked = data.draw(st.sets(st.integers(1, len(old)))) if old else set()
    later = hunks(old, new)
    moved = carried(Changes({"a": frozenset(marked)}), {"a": later}).lines["a"]
    stays = {line: new for hunk in [()] for line, new in kept(old, later)}
    assert {stays[line] for line in marked if line in stays} <= moved
    if not later:
        assert moved == marked
    if marked <= set(stays):
        assert moved == {stays[line] for line in marked}


def kept(old: list[str], later: list[Hunk]) -> Iterator[tuple[int, int]]:
    """The lines of ``old`` that no hunk takes away, with their new numbers, counted one by one."""
    number = 0
    at = {hunk.start + (hunk.count == 0): hunk for hunk in later}
    gone = {line for hunk in later for line in range(hunk.start, hunk.start + hunk.count)}
    for line in range(1, len(old) + 1):
        number += at[line].new_count if line in at else 0
        if line not in gone:
            number += 1
            yield line, number


class Repository:
    """A git repository that knows nothing of the user's settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "x")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "x")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "x@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    made = Repository(tmp_path / "project")
    monkeypatch.chdir(made.folder)
    made.write("store.py", STORE)
    made.write("app.py", APP)
    made.commit()
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["check", "--output-format", "concise", *arguments], prog_name="racelint")


def found(*arguments: str) -> list[str]:
    """Path, line and rule of each reported finding."""
    shown = run(*arguments)
    assert shown.exit_code == (1 if shown.stdout.count("\n") > 1 else 0), shown.output
    lines = [re.match(r"([^:]+:\d+):\d+: \w+(\[.*?\])", line) for line in shown.stdout.splitlines()]
    return ["".join(line.groups()) for line in lines if line]


# What becomes a race with MORE: each of two changes, seen from the other.
RACES = ["more.py:9[unguarded-write]", "store.py:5[unguarded-write]"]


class TestCommand:
    """Real repositories."""

    def test_nothing_changed(self, repository: Repository) -> None:
        repository.write("more.py", MORE)
        repository.commit()
        assert found() == RACES
        assert found("--since", "HEAD") == found("--staged") == []

    def test_a_file_unknown_to_git(self, repository: Repository) -> None:
        repository.write("more.py", MORE)
        assert found("--since", "HEAD") == RACES
        assert found("--staged") == []
        repository.git("add", "more.py")
        assert found("--staged") == RACES

    def test_ignored_files_are_no_changes(self, repository: Repository) -> None:
        repository.write(".gitignore", "more.py\n")
        repository.write("more.py", MORE)
        assert found("--since", "HEAD") == []

    def test_the_old_side_of_a_new_race(self, repository: Repository) -> None:
        """What was changed is where a thread is started: both sides are old lines."""
        repository.write("more.py", MORE.replace("threading.Thread(target=sweep).start()\n", ""))
        repository.commit()
        assert found() == []
        with (repository.folder / "more.py").open("a") as file:
            file.write("threading.Thread(target=sweep).start()\n")
        assert found("--since", "HEAD") == RACES

    @pytest.mark.parametrize(
        ("name", "old", "new", "reported"),
        [
            ("store.py", "    PODS[name] = object()", "    PODS[name] = dict()", True),
            ("more.py", "        if name.isupper():", "        if  name.isupper():", False),
            ("more.py", "            store.PODS[name] = input()", "            store.PODS[name] =  input()", True),
            ("app.py", "        store.sync(name)", "        store.sync(name )", True),
            ("app.py", "threading.Thread(target=work)", "threading.Thread(target=work )", True),
            ("store.py", "    return len(PODS)", "    return len(PODS) + 1", False),
            ("app.py", "import store", "import store  # our store", False),
        ],
    )
    def test_which_lines_count(self, repository: Repository, name: str, old: str, new: str, reported: bool) -> None:
        repository.write("more.py", MORE)
        repository.commit()
        text = (repository.folder / name).read_text()
        assert text.count(old) == 1
        repository.write(name, text.replace(old, new))
        expected = RACES if reported else []
        assert found("--since", "HEAD") == expected
        repository.git("add", "-A")
        assert found("--staged") == expected

    def test_a_lock_that_was_taken_away(self, repository: Repository) -> None:
        locked = STORE.replace("PODS = {}", "import threading\n\nLOCK = threading.Lock()\nPODS = {}")
        held = "    made = object()\n    LOCK.acquire()\n    PODS[name] = made\n    LOCK.release()\n"
        locked = locked.replace("    PODS[name] = object()\n", held)
        race = "        if name.isupper():\n            store.PODS[name] = input()\n"
        store = "        row = input()\n        store.LOCK.acquire()\n        store.PODS[name] = row\n"
        store += "        store.LOCK.release()\n"
        guarded = MORE.replace(race, store)
        repository.write("store.py", locked)
        repository.write("more.py", guarded)
        repository.commit()
        assert found() == []
        repository.write("more.py", guarded.replace("        store.LOCK.acquire()\n", ""))
        assert len(found()) == len(found("--since", "HEAD")) == 2

    def test_since_is_since_the_common_ancestor(self, repository: Repository) -> None:
        repository.git("checkout", "-q", "-b", "topic")
        repository.write("other.py", "x = 1\n")
        repository.commit()
        repository.git("checkout", "-q", "main")
        repository.write("more.py", MORE)
        repository.commit()
        repository.git("checkout", "-q", "topic")
        repository.git("merge", "-q", "--no-edit", "main")
        assert found() == RACES
        assert found("--since", "main") == []
        assert found("--since", "HEAD^") == RACES
        repository.git("checkout", "-q", "main")
        assert found("--since", "topic") == []

    def test_lines_are_those_of_the_working_tree(self, repository: Repository) -> None:
        """What is staged stands elsewhere once more is written above it."""
        repository.write("more.py", MORE)
        repository.commit()
        repository.write("store.py", STORE.replace("object()", "dict()"))
        repository.git("add", "store.py")
        repository.write("store.py", "\n\n\n\n\n" + STORE.replace("object()", "dict()"))
        assert found("--staged") == [RACES[0], "store.py:10[unguarded-write]"]
        repository.git("reset", "-q")
        repository.write("store.py", "# one\n" + STORE)
        repository.git("add", "store.py")
        repository.write("store.py", "# one\n" + STORE.replace("object()", "dict()"))
        assert found("--staged") == []

    def test_paths_narrow_further(self, repository: Repository) -> None:
        repository.write("more.py", MORE)
        repository.write("other.py", "x = 1\n")
        assert found("--since", "HEAD", "other.py") == []
        assert found("--since", "HEAD", "more.py") == RACES

    def test_a_project_below_the_repository(self, repository: Repository) -> None:
        for name, text in (("store.py", STORE), ("app.py", APP), ("more.py", MORE)):
            repository.write(f"sub/dir/{name}", text)
        repository.write("sub/dir/racelint.toml", "")
        assert found("--project", "sub/dir", "--since", "HEAD") == RACES
        repository.git("add", "-A")
        assert found("--project", "sub/dir", "--staged") == RACES
        repository.commit()
        assert found("--project", "sub/dir", "--since", "HEAD") == []

    @pytest.mark.parametrize("name", ["mo re.py", "m\u00f6re.py", 'mo"re\t.py', "mo\nre.py", "b\\x.py", " .py"])
    def test_odd_names(self, repository: Repository, name: str) -> None:
        repository.write(name, MORE)
        assert [run(*options).exit_code for options in (["--since", "HEAD"], ["--staged"])] == [1, 0]
        repository.git("add", "-A")
        assert [run(*options).exit_code for options in (["--since", "HEAD"], ["--staged"])] == [1, 1]
        repository.commit()
        assert run("--since", "HEAD").exit_code == 0

    def test_settings_of_git_do_no_harm(self, repository: Repository, tmp_path: Path) -> None:
        script = tmp_path / "evil"
        script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        script.chmod(0o755)
        for key, value in {
            "diff.external": script,
            "core.fsmonitor": script,
            "core.pager": script,
            "diff.evil.textconv": script,
            "diff.evil.command": script,
            "diff.noprefix": "true",
            "diff.mnemonicPrefix": "true",
            "diff.context": "5",
            "diff.interHunkContext": "9",
            "color.ui": "always",
            "diff.relative": "false",
            "core.quotePath": "true",
        }.items():
            repository.git("config", key, str(value))
        repository.write(".git/info/attributes", "*.py diff=evil -text\napp.py binary\n")
        repository.write("more.py", MORE)
        repository.git("-c", "core.fsmonitor=false", "add", "-A")
        (tmp_path / "ran").unlink(missing_ok=True)
        assert found("--staged") == found("--since", "HEAD") == RACES
        assert not (tmp_path / "ran").exists()
        repository.git("-c", "core.fsmonitor=false", "commit", "-q", "-m", "x")
        (tmp_path / "ran").unlink(missing_ok=True)
        repository.write("app.py", APP.replace("store.sync(name)", "store.sync(name )"))
        assert found("--since", "HEAD") == RACES
        assert not (tmp_path / "ran").exists()

    def test_nothing_is_written(self, repository: Repository) -> None:
        repository.write("more.py", MORE)
        os.utime(repository.folder / "app.py", (1, 1))  # git would like to note the new time in its index
        index = (repository.folder / ".git/index").read_bytes()
        found("--since", "HEAD")
        found("--staged")
        assert (repository.folder / ".git/index").read_bytes() == index

    def test_before_the_first_commit(self, repository: Repository, tmp_path: Path) -> None:
        new = Repository(tmp_path / "new")
        for name, text in (("store.py", STORE), ("app.py", APP), ("more.py", MORE)):
            new.write(name, text)
        new.git("add", "-A")
        assert found("--project", str(new.folder), "--staged") == RACES
        shown = run("--project", str(new.folder), "--since", "HEAD")
        assert (shown.exit_code, "git knows no commit 'HEAD'" in shown.stderr) == (2, True)

    def test_the_baseline_is_neither_shortened_nor_called_gone(self, repository: Repository) -> None:
        repository.write("more.py", MORE)
        run("--baseline", "b.toml", "--update-baseline")
        before = (repository.folder / "b.toml").read_text()
        repository.write("more.py", MORE.replace("threading.Thread(target=sweep).start()\n", ""))
        assert "nothing any more" in run("--baseline", "b.toml").stderr
        assert "nothing any more" not in run("--baseline", "b.toml", "--since", "HEAD").stderr
        run("--baseline", "b.toml", "--update-baseline", "--since", "HEAD")
        assert (repository.folder / "b.toml").read_text() == before

    def test_fixes_are_for_what_is_reported(self, repository: Repository) -> None:
        """A fix moves lines, and findings that were not asked for stay so although they stand elsewhere then."""
        old = (
            "import threading\n\nseen = []\n\n\ndef note(name):\n    if name not in seen:\n        seen.append(name)\n"
        )
        old += '\n\nfor index in "ab":\n    threading.Thread(target=note, args=(index,)).start()\n'
        repository.write("old.py", old)
        repository.commit()
        repository.write("more.py", MORE)
        shown = run("--since", "HEAD", "--fix", "--unsafe-fixes")
        assert (shown.exit_code, shown.stdout) == (0, "no findings in 4 files\n"), shown.output
        assert (repository.folder / "old.py").read_text() == old
        assert (repository.folder / "more.py").read_text() != MORE

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--since", "nowhere"], "--since: git knows no commit 'nowhere'"),
            (["--since", "--output=x"], "--since wants a revision of git, not '--output=x'"),
            (["--since=-x"], "--since wants a revision of git, not '-x'"),
            (["--since", ""], "--since wants a revision of git, not ''"),
            (["--since", "HEAD..HEAD"], "--since: git knows no commit 'HEAD..HEAD'"),
            (["--since", "\x1b[31m"], "git knows no commit '\\x1b[31m'"),
            (["--since", "HEAD:app.py"], "git knows no commit 'HEAD:app.py'"),
            (["--since", "orphan"], "--since: 'orphan' and HEAD have no common ancestor"),
            (["--since", "HEAD", "--staged"], "--since and --staged cannot go together"),
        ],
    )
    def test_wrong_usage(self, repository: Repository, options: list[str], message: str) -> None:
        repository.git("checkout", "-q", "--orphan", "orphan")
        repository.write("other.py", "x = 1\n")
        repository.commit()
        repository.git("checkout", "-q", "main")
        shown = run(*options)
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert message in " ".join(shown.stderr.split())

    @pytest.mark.parametrize("option", ["--since=HEAD", "--staged"])
    def test_no_repository(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Repository, option: str
    ) -> None:
        (tmp_path / "plain").mkdir()
        monkeypatch.chdir(tmp_path / "plain")
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
        shown = run(option)
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert f"{option.partition('=')[0]} needs the working tree of a git repository" in shown.stderr
        monkeypatch.chdir(repository.folder)
        assert run("--project", ".git", option).exit_code == 2

    def test_no_git(self, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(repository.folder))
        shown = run("--staged")
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert "git cannot be run: No such file or directory" in shown.stderr


def test_changes_are_those_git_knows(repository: Repository) -> None:
    repository.write("store.py", STORE.replace("object()", "dict()") + "\n")
    repository.write("new.py", "x = 1\n")
    assert asked.since(repository.folder, "HEAD") == Changes({"store.py": frozenset({5, 10})}, frozenset({"new.py"}))
    assert asked.staged(repository.folder) == Changes()
