"""Baselines: the file, which findings it knows, and that it goes on knowing them when the code around them changes."""

from __future__ import annotations

import ast
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import black
import pytest
from click.testing import CliRunner, Result
from handmade import finding, side
from hypothesis import given
from hypothesis import strategies as st

from racelint import cli, config, pipeline
from racelint.baseline import BaselineError, Entry, entry, match, parse, render, updated
from racelint.model.findings import Finding

FIXTURES = Path(__file__).parent.parent / "fixtures"
ENTRIES = (
    Entry("a.py", "check-then-act", "a.pods", "a.sync", "f1", "l1"),
    Entry("b.py", "unguarded-write", "b.pods", "b.sync", "f2", "l2"),
)
# A check in one file that races with itself because of threads started in another, and a second race.
STORE = """\
class Registry:
    def __init__(self) -> None:
        self.pods: dict[str, int] = {}

    def sync(self, name: str) -> None:
        if name not in self.pods:
            self.pods[name] = 1


registry = Registry()
"""
APP = """\
import threading

from store import registry

total = 0


def work(name: str) -> None:
    global total
    registry.sync(name)
    total += 1


for name in ("a", "b"):
    threading.Thread(target=work, args=(name,)).start()
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, ["check", *map(str, arguments)], prog_name="racelint")


def known(fingerprint: str, local: str = "", **changes: object) -> Finding:
    return finding(fingerprint=fingerprint, local_fingerprint=local, **changes)


class TestFile:
    """What is written, and what is read back."""

    def test_one_line_for_each_entry_and_all_alike(self) -> None:
        lines = render(reversed(ENTRIES)).splitlines()
        assert [line for line in lines if "fingerprint" in line] == [
            '  { path = "a.py", rule = "check-then-act", place = "a.pods", function = "a.sync", '
            'fingerprint = "f1", local-fingerprint = "l1" },',
            '  { path = "b.py", rule = "unguarded-write", place = "b.pods", function = "b.sync", '
            'fingerprint = "f2", local-fingerprint = "l2" },',
        ]

    @given(st.lists(st.builds(Entry, *[st.text()] * 6)))
    def test_what_is_written_is_read(self, entries: list[Entry]) -> None:
        text = render(entries)
        assert parse(text, "b") == tuple(sorted(set(entries)))
        assert render(parse(text, "b")) == text
        assert len(text.splitlines()) == len(set(entries)) + len(render(()).splitlines())

    def test_nothing_in_it_steers_a_terminal(self) -> None:
        text = render([replace(ENTRIES[0], path="\x1b[31m\u202e\udc80", place='"\n]')])
        assert text.isascii()
        assert "\x1b" not in text
        assert parse(text, "b")[0].place == '"\n]'

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "b.toml: is no baseline: there is no version"),
            ("version = 2\n", "b.toml: is no baseline: version 2 is not known (this racelint knows version 1)"),
            ("version = true\n", "version True is not known"),
            ("version = 1\nfinding = []\n", "b.toml: is no baseline: unknown key 'finding'"),
            ("version = 1\nfindings = 3\n", "'findings' must be an array"),
            ("version = 1\nfindings = [\n  {},\n]\n", "b.toml:3: Object missing required field `path`"),
            (render(ENTRIES).replace('"f2"', "2"), "b.toml:6: Expected `str`, got `int` - at `$.fingerprint`"),
            (render(ENTRIES).replace("place =", "plaice ="), "b.toml:5: Object contains unknown field `plaice`"),
            ("version = 1\nfindings = [\n  { path = },\n]\n", "b.toml:3: is not valid TOML"),
            (f"<<<<<<< HEAD\n{render(ENTRIES)}", "b.toml:1: is in a merge conflict"),
            (render(ENTRIES).replace("]\n", "=======\n]\n"), "b.toml:7: is in a merge conflict"),
        ],
    )
    def test_what_is_broken_is_said_with_the_line(self, text: str, message: str) -> None:
        with pytest.raises(BaselineError, match=re.escape(message)):
            parse(text, "b.toml")

    def test_an_entry_that_is_there_twice_counts_once(self) -> None:
        line = render(ENTRIES[:1]).splitlines()[-2]
        assert parse(render(ENTRIES[:1]).replace(line, f"{line}\n{line}"), "b") == ENTRIES[:1]


class TestMatch:
    """Which findings are known."""

    def test_by_fingerprint(self) -> None:
        pairs = match(ENTRIES, [known("f2"), known("f3")])
        assert (list(pairs.known), pairs.moved, pairs.gone) == (["f2"], {}, ENTRIES[:1])
        assert known("f2") in pairs
        assert known("f3") not in pairs

    def test_by_the_names_without_modules_when_the_entry_is_gone(self) -> None:
        pairs = match(ENTRIES, [known("f1", "l1"), known("f9", "l2")])
        assert (list(pairs.known), pairs.moved, pairs.gone) == (["f1"], {"f9": ENTRIES[1]}, ())

    def test_a_copy_is_new_while_the_original_is_there(self) -> None:
        pairs = match(ENTRIES, [known("f1", "l1"), known("f9", "l1")])
        assert pairs.moved == {}
        assert known("f9", "l1") not in pairs

    def test_an_entry_knows_one_finding(self) -> None:
        pairs = match(ENTRIES[:1], [known("f8", "l1"), known("f9", "l1")])
        assert list(pairs.moved) == ["f8"]
        two = [ENTRIES[0], replace(ENTRIES[0], fingerprint="f0")]
        assert match(two, [known("f9", "l1")]).gone == (ENTRIES[0],)

    def test_of_equal_ones_as_many_are_known_as_there_were(self) -> None:
        entries = [entry(item) for item in pipeline.distinct(known("x", place=place) for place in ("a", "b", "c"))]
        assert [item.fingerprint for item in entries] == ["x", "x-2", "x-3"]
        for places in ("ab", "ac", "bc"):
            left = pipeline.distinct(known("x", place=place) for place in places)
            pairs = match(entries, left)
            assert all(item in pairs for item in left)
            assert [item.fingerprint for item in pairs.gone] == ["x-3"]
        four = pipeline.distinct(known("x", place=place) for place in "abcd")
        assert sum(item not in match(entries, four) for item in four) == 1

    def test_entries_without_local_names_are_not_moved(self) -> None:
        pairs = match([replace(ENTRIES[0], local_fingerprint="")], [known("f9", "")])
        assert (pairs.moved, len(pairs.gone)) == ({}, 1)


class TestUpdated:
    """What an update writes."""

    def test_new_ones_come_and_gone_ones_go(self) -> None:
        new = known("f3", "l3")
        assert updated(ENTRIES, [known("f2"), new], [known("f2"), new], lambda _: True) == tuple(
            sorted([entry(known("f2")), entry(new)])
        )

    def test_what_the_run_is_not_about_stays(self) -> None:
        found = [known("f2", "l2"), known("f3")]
        assert updated(ENTRIES, found, [], lambda _: False) == ENTRIES
        assert updated(ENTRIES, found, [], lambda _: True) == ENTRIES[1:]

    def test_a_moved_one_is_written_anew_when_it_is_shown(self) -> None:
        moved = known("f9", "l2")
        assert updated(ENTRIES[1:], [moved], [moved], lambda _: True) == (entry(moved),)
        assert updated(ENTRIES[1:], [moved], [], lambda _: True) == ENTRIES[1:]


def above(text: str) -> str:
    return f"# one\n\n# two\n{text}"


def spread(text: str) -> str:
    return black.format_str(text, mode=black.Mode(line_length=40))


def joined(text: str) -> str:
    return ast.unparse(ast.parse(text)) + "\n"


def prints(folder: Path) -> list[tuple[str, str]]:
    settings = config.load(folder)
    return [(item.fingerprint, item.local_fingerprint) for item in pipeline.analyse(folder, settings).findings]


PROJECTS = sorted(path.parent.name for path in FIXTURES.glob("*/expect.txt"))


class TestStability:
    """Fingerprints say what a finding is about, not where it stands."""

    @pytest.fixture(params=PROJECTS)
    def fixture(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        found = shutil.copytree(FIXTURES / request.param, tmp_path / "p", ignore=shutil.ignore_patterns("fixed"))
        assert isinstance(found, Path)
        return found

    def test_edits_that_change_nothing(self, fixture: Path) -> None:
        before = prints(fixture)
        assert len({fingerprint for fingerprint, _ in before}) == len(before)
        files = {path: path.read_text("utf-8") for path in fixture.rglob("*.py")}
        changes: list[Callable[[str], str]] = [above, spread, joined]
        for change in changes:
            for path, text in files.items():
                path.write_text(change(text), "utf-8")
            assert sorted(prints(fixture)) == sorted(before), change.__name__

    def test_another_name_for_every_package(self, fixture: Path) -> None:
        before = pipeline.analyse(fixture, config.load(fixture)).findings
        roots = {path.relative_to(fixture).parts[0].removesuffix(".py") for path in fixture.rglob("*.py")}
        names = re.compile(rf"\b({'|'.join(map(re.escape, sorted(roots)))})\b(?!\()")
        for path in [*fixture.rglob("*.py"), *fixture.glob("racelint.toml")]:
            path.write_text(names.sub(r"zz_\1", path.read_text("utf-8")), "utf-8")
        for root in roots:
            (path,) = [path for path in fixture.iterdir() if path.name.removesuffix(".py") == root]
            path.rename(path.with_name(f"zz_{path.name}"))
        after = pipeline.analyse(fixture, config.load(fixture)).findings
        pairs = match(map(entry, before), after)
        assert not set(pairs.known)
        assert (len(pairs.moved), pairs.gone) == (len(after), ())
        assert len(after) == len(before)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two races, one of them over two files, as the working directory."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / "store.py").write_text(STORE)
    (folder / "app.py").write_text(APP)
    monkeypatch.chdir(folder)
    return folder


class TestCommand:
    """``--baseline`` and ``--update-baseline``."""

    def test_only_what_is_new_is_reported(self, project: Path) -> None:
        assert run().stdout.endswith("2 findings (2 errors) in 2 files\n")
        written = run("--update-baseline", "--baseline", "b.toml")
        assert (written.exit_code, written.stdout) == (0, "")
        assert written.stderr == "racelint: wrote 2 findings to b.toml: 2 new, 0 dropped\n"
        shown = run("--baseline", "b.toml")
        assert (shown.exit_code, shown.stdout) == (0, "no findings in 2 files\n")
        assert shown.stderr == "racelint: 2 findings not shown: known from the baseline b.toml\n"
        more = f"{STORE}seen = []\n\n\ndef note(name):\n    if name not in seen:\n        seen.append(name)\n"
        (project / "store.py").write_text(f"# moved down\n\n{more}")
        (project / "app.py").write_text(APP.replace("registry.sync(name)", "registry.sync(name)\n    store.note(name)"))
        (project / "app.py").write_text("import store\n" + (project / "app.py").read_text())
        shown = run("--baseline", "b.toml", "--output-format", "concise")
        assert shown.exit_code == 1
        assert [line.partition(" ")[2][:24] for line in shown.stdout.splitlines()[:-1]] == ["error[check-then-act] se"]

    def test_the_configured_one_is_relative_to_the_project(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (project / "racelint.toml").write_text('baseline = "ci/known.toml"\n')
        (project / "ci").mkdir()
        monkeypatch.chdir(project / "ci")
        assert run("--project", "..", "--update-baseline").exit_code == 0
        assert "store.Registry.pods" in (project / "ci/known.toml").read_text("utf-8")
        assert run("--project", "..").exit_code == 0
        assert run("--project", "..", "--no-baseline").exit_code == 1
        assert "ci/known.toml" in run("--project", "..", "--show-settings").stdout

    def test_two_updates_write_the_same(self, project: Path) -> None:
        run("--update-baseline", "--baseline", "b.toml")
        first = (project / "b.toml").read_bytes()
        run("--update-baseline", "--baseline", "b.toml")
        assert (project / "b.toml").read_bytes() == first
        assert sorted(path.name for path in project.iterdir()) == [".git", "app.py", "b.toml", "store.py"]

    def test_a_moved_file_is_known_and_can_be_written_anew(self, project: Path) -> None:
        run("--update-baseline", "--baseline", "b.toml")
        (project / "shop").mkdir()
        (project / "store.py").rename(project / "shop/base.py")
        (project / "app.py").write_text(APP.replace("from store", "from shop.base"))
        shown = run("--baseline", "b.toml", "--verbose")
        assert shown.exit_code == 0
        assert "1 of them under another module's name: --update-baseline writes the new one" in shown.stderr
        assert "moved: check-then-act of shop.base.Registry.pods, store.py -> shop/base.py" in shown.stderr
        assert "gone" not in shown.stderr
        assert "1 new, 1 dropped" in run("--update-baseline", "--baseline", "b.toml").stderr
        assert "another" not in run("--baseline", "b.toml").stderr

    def test_what_is_gone_is_told_and_dropped(self, project: Path) -> None:
        run("--update-baseline", "--baseline", "b.toml")
        (project / "app.py").write_text(APP.replace("    total += 1\n", ""))
        shown = run("--baseline", "b.toml", "--verbose")
        assert shown.exit_code == 0
        gone = "1 entry of the baseline matches nothing any more: --update-baseline drops what is gone\n"
        assert gone in shown.stderr
        assert "gone: read-modify-write of app.total in app.work (app.py)" in shown.stderr
        assert "0 new, 1 dropped" in run("--update-baseline", "--baseline", "b.toml").stderr
        assert "gone" not in run("--baseline", "b.toml").stderr

    @pytest.mark.parametrize(
        "narrowed",
        [
            ["store.py"],
            ["--select", "check-then-act"],
            ["--ignore", "RL103"],
        ],
    )
    def test_what_a_run_is_not_about_is_neither_gone_nor_dropped(self, project: Path, narrowed: list[str]) -> None:
        run("--update-baseline", "--baseline", "b.toml")
        before = (project / "b.toml").read_text("utf-8")
        (project / "app.py").write_text(APP.replace("    total += 1\n", ""))
        assert "gone" not in run("--baseline", "b.toml", *narrowed).stderr
        assert run("--baseline", "b.toml", "--update-baseline", *narrowed).exit_code == 0
        assert (project / "b.toml").read_text("utf-8") == before

    def test_what_a_run_does_not_show_is_not_gone(self, project: Path) -> None:
        run("--update-baseline", "--baseline", "b.toml")
        before = (project / "b.toml").read_text("utf-8")
        assert "gone" not in run("--baseline", "b.toml", "--min-severity", "error").stderr
        assert "gone" not in run("--baseline", "b.toml", "--ignore", "check-then-act").stderr
        (project / "racelint.toml").write_text('[per-file-ignores]\n"*.py" = ["RL103"]\n')
        assert "gone" not in run("--baseline", "b.toml").stderr
        run("--baseline", "b.toml", "--update-baseline")
        assert (project / "b.toml").read_text("utf-8") == before

    def test_a_file_that_cannot_be_read_keeps_its_entries(self, project: Path) -> None:
        run("--update-baseline", "--baseline", "b.toml")
        (project / "app.py").write_text("def (:\n")
        shown = run("--baseline", "b.toml", "--verbose")
        assert "app.total" not in shown.stderr
        run("--baseline", "b.toml", "--update-baseline")
        assert "app.total" in (project / "b.toml").read_text("utf-8")

    def test_a_rule_that_is_no_more_goes(self, project: Path) -> None:
        entries = [replace(ENTRIES[0], rule="no-such-rule", path="app.py")]
        (project / "b.toml").write_text(render(entries))
        assert "1 entry of the baseline matches nothing any more" in run("--baseline", "b.toml").stderr

    def test_a_silenced_finding_needs_no_entry(self, project: Path) -> None:
        run("--update-baseline", "--baseline", "b.toml")
        (project / "app.py").write_text(APP.replace("total += 1", "total += 1  # racelint: ignore[RL103] statistics"))
        shown = run("--baseline", "b.toml")
        assert shown.exit_code == 0
        assert "1 entry of the baseline matches nothing any more" in shown.stderr

    def test_json_has_only_what_is_new(self, project: Path) -> None:
        run("--update-baseline", "--baseline", "b.toml", "--select", "RL103")
        shown = run("--baseline", "b.toml", "--output-format", "json")
        assert shown.exit_code == 1
        assert '"findings": 1,' in shown.stdout
        assert "read-modify-write" not in shown.stdout

    def test_fixes_leave_alone_what_is_known(self, project: Path) -> None:
        run("--update-baseline", "--baseline", "b.toml", "--select", "RL102")
        shown = run("--baseline", "b.toml", "--fix")
        assert shown.exit_code == 0, shown.output
        assert (project / "store.py").read_text() == STORE
        assert "Lock()" in (project / "app.py").read_text()
        assert run("--fix").exit_code == 0
        assert (project / "store.py").read_text() != STORE

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--update-baseline"], "--update-baseline has to know which file"),
            (["--baseline", "no.toml"], "there is no baseline no.toml; --update-baseline makes it"),
            (["--baseline", "app.py"], "app.py:1: is not valid TOML"),
            (["--baseline", "."], "cannot be read"),
            (["--update-baseline", "--baseline", "no/b.toml"], "cannot write no/b.toml: No such file"),
            (["--update-baseline", "--baseline", "app.py"], "app.py:1: is not valid TOML"),
            (["--update-baseline", "--baseline", "b.toml", "--fix"], "--update-baseline goes without --fix"),
            (["--update-baseline", "--baseline", "b.toml", "--diff"], "--update-baseline goes without --fix"),
            (["--no-baseline", "--baseline", "b.toml"], "--no-baseline goes without --baseline"),
        ],
    )
    def test_wrong_usage(self, project: Path, options: list[str], message: str) -> None:
        shown = run(*options)
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert message in " ".join(shown.stderr.split())
        assert (project / "app.py").read_text() == APP
        assert not (project / "b.toml").exists()

    @pytest.mark.parametrize(("text", "kind"), [("baseline = 3\n", "3"), ('baseline = ""\n', "''")])
    def test_wrong_configuration(self, project: Path, text: str, kind: str) -> None:
        (project / "racelint.toml").write_text(text)
        shown = run()
        assert shown.exit_code == 2
        assert f"racelint.toml:1: 'baseline' must be the path of a file, not {kind}" in shown.stderr

    def test_mode_and_link_are_kept(self, project: Path) -> None:
        (project / "real.toml").write_text(render(()))
        (project / "real.toml").chmod(0o640)
        (project / "b.toml").symlink_to("real.toml")
        assert run("--baseline", "b.toml", "--update-baseline").exit_code == 0
        assert (project / "b.toml").is_symlink()
        assert stat.S_IMODE((project / "real.toml").stat().st_mode) == 0o640
        assert "app.total" in (project / "real.toml").read_text("utf-8")

    def test_a_new_file_has_the_mode_of_other_files(self, project: Path) -> None:
        run("--baseline", "b.toml", "--update-baseline")
        (project / "other").touch()
        assert (project / "b.toml").stat().st_mode == (project / "other").stat().st_mode


def test_git_merges_what_two_branches_mended(tmp_path: Path) -> None:
    """Branches that drop or add entries that are not neighbours merge, and a conflict is solved by keeping both."""
    every = [replace(ENTRIES[0], path=f"{name}.py", fingerprint=name) for name in "abcdefg"]
    versions = {"base": every[1:], "ours": every[2:], "theirs": [*every[1:5], *every[6:]]}
    for name, entries in versions.items():
        (tmp_path / name).write_text(render(entries))

    def merge(*options: str) -> str:
        done = subprocess.run(
            ["git", "merge-file", "-p", *options, "ours", "base", "theirs"],
            cwd=tmp_path,
            env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
            capture_output=True,
            text=True,
            check=not options,
        )
        return done.stdout

    assert parse(merge(), "b") == (*every[2:5], every[6])
    new = replace(ENTRIES[0], path="z1.py"), replace(ENTRIES[0], path="z2.py")
    (tmp_path / "ours").write_text(render([*every[1:], new[0]]))
    (tmp_path / "theirs").write_text(render([*every[1:], new[1]]))
    assert parse(merge("--union"), "b") == (*every[1:], *new)


def test_a_finding_of_one_side_has_an_entry() -> None:
    assert entry(finding(side("x.py"), fingerprint="f", local_fingerprint="l")) == Entry(
        "x.py", "check-then-act", "op.registry.Registry.pods", "op.registry.Registry.sync", "f", "l"
    )
