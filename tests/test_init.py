"""``racelint init``: what is detected, what is written, and that nothing else changes."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from racelint import cli, config, discover, starter
from racelint.config import Settings

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - exercised on 3.10 only
    import tomli as tomllib

HANDLERS = "import kopf\n\n\n@kopf.on.create('pods')\ndef on_create(**_):\n    pass\n"
KOPF_WHY = "kopf runs plain handlers in a thread pool, and handlers of different objects at the same time"


def write(folder: Path, name: str, text: str = "") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def init(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(cli.main, ["init", "--project", str(folder), *options])


def comments(path: Path) -> str:
    """The comments of a file as running text."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(" ".join(line.removeprefix("#") for line in lines if line.startswith("#")).split())


class TestWhatIsWritten:
    """Settings like the defaults, but for what was detected."""

    def test_an_empty_project(self, tmp_path: Path) -> None:
        shown = init(tmp_path)
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert shown.stdout.splitlines() == [
            f"wrote {tmp_path.resolve()}/racelint.toml",
            "next: racelint entrypoints shows what runs concurrently, racelint check what can go wrong",
        ]
        settings = config.load(tmp_path)
        assert settings == Settings(origin="racelint.toml")
        assert settings.stated == ()
        assert "Nothing is used that racelint knows" in comments(tmp_path / "racelint.toml")

    @pytest.mark.parametrize("pyproject", [None, "", '[project]\nname = "x"\n'])
    def test_what_is_used_and_what_is_left_out(self, tmp_path: Path, pyproject: str | None) -> None:
        if pyproject is not None:
            write(tmp_path, "pyproject.toml", pyproject)
        write(tmp_path, "op/handlers.py", HANDLERS)
        for name in ("op/api_pb2.py", "op/_vendor/six.py", "tests/test_x.py", "op/conftest.py", "op/load_tests/x.py"):
            write(tmp_path, name)
        shown = init(tmp_path)
        assert (shown.exit_code, shown.stderr) == (0, "")
        name = "racelint.toml" if pyproject is None else "pyproject.toml"
        settings = config.load(tmp_path)
        assert settings == Settings(exclude=("*_pb2.py", "_vendor/", "load_tests/"), origin=name)
        assert settings.warnings == ()
        text = comments(tmp_path / name)
        assert f"kopf.on.create: {KOPF_WHY}" in text
        assert "Test code (here: conftest.py, tests/) is left out" in text
        assert "kopf.timer" not in text
        assert f"knows kopf.on.create: {KOPF_WHY}\n" in shown.stdout
        assert "leaves out *_pb2.py\nleaves out _vendor/\n" in shown.stdout

    @pytest.mark.parametrize("prefix", ["", "tool.racelint."])
    def test_the_commented_settings_are_the_defaults(self, tmp_path: Path, prefix: str) -> None:
        detected = starter.Detected((), (), ())
        text = starter.settings(detected, prefix)
        keys = [line.removeprefix("# ") for line in text.splitlines() if " = " in line and "[[" not in line]
        plain = "\n".join(line for line in keys if not line.startswith(("function", "context")))
        write(tmp_path, "racelint.toml", plain)
        settings = config.load(tmp_path)
        assert settings == Settings(origin="racelint.toml")
        assert set(settings.stated) == {
            "include-tests", "exclude", "min-severity", "min-confidence", "fail-on", "library",
        }  # fmt: skip
        example = text[text.index("# [[") :].replace("# ", "")
        write(tmp_path, "pyproject.toml" if prefix else "racelint.toml", example)
        if prefix:
            (tmp_path / "racelint.toml").unlink()
        (entry,) = config.load(tmp_path).entrypoints
        assert (entry.function, entry.context) == ("package.module.function", "thread")

    def test_the_racelint_run_that_follows_takes_it(self, tmp_path: Path) -> None:
        write(tmp_path, "pyproject.toml", "")
        write(tmp_path, "handlers.py", HANDLERS)
        init(tmp_path)
        shown = CliRunner().invoke(cli.main, ["check", "--project", str(tmp_path)])
        assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "no findings in 1 file\n", "")

    def test_hostile_names_of_folders_are_not_repeated(self, tmp_path: Path) -> None:
        write(tmp_path, 'x"]\n\x1b[31m_tests/x.py')
        write(tmp_path, "tests/\x1b[31m.py")
        write(tmp_path, "test_\x1b[31m\n.py")
        assert init(tmp_path).exit_code == 0
        assert config.load(tmp_path) == Settings(origin="racelint.toml")
        assert b"\x1b" not in (tmp_path / "racelint.toml").read_bytes()

    @pytest.mark.parametrize("text", ["def f(:\n", "\0", "(" * 5000, "x = '\\d'\n", "\xff"])
    def test_odd_files_do_no_harm(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "x.py").write_bytes(text.encode("latin-1"))
        assert init(tmp_path).exit_code == 0


class TestUses:
    """Which names a file uses."""

    @pytest.mark.parametrize(
        ("source", "names"),
        [
            ("import threading\nthreading.Thread()", {"threading.Thread"}),
            ("import threading as t\nt.Thread()", {"threading.Thread"}),
            ("import logging\nlogging.getLogger()", {"logging.getLogger"}),
            ("import a.b\na.b.c()", {"a.b", "a.b.c"}),
            ("import a.b as x\nx.c()", {"a.b.c"}),
            ("from a import b as x\nx.c.d()", {"a.b", "a.b.c", "a.b.c.d"}),
            ("def f():\n    from a import *", {"a.*"}),
            ("from .a import b\nb.c", set()),
            ("from . import a", set()),
            ("x = y.z", set()),
            ("import (", set()),
        ],
    )
    def test_names(self, source: str, names: set[str]) -> None:
        assert starter.uses(source.encode()).names == names

    @pytest.mark.parametrize(
        ("source", "found"),
        [
            ("import threading\nthreading.Thread(target=print)", True),
            ("from threading import Thread", True),
            ("import threading\nthreading.Lock()", False),
            ("import asyncio\nasyncio.get_running_loop().run_in_executor(None, f)", True),
            ("loop.run_in_executor(None, f)", False),
            ("from concurrent.futures import ThreadPoolExecutor\n", True),
            ("import logging\nlogging.getLogger()", False),
        ],
    )
    def test_rows(self, tmp_path: Path, source: str, found: bool) -> None:
        write(tmp_path, "x.py", source)
        assert bool(starter.detect(tmp_path, discover.is_test).beliefs) == found


class TestPyproject:
    """Every byte of the rest stays."""

    @pytest.mark.parametrize(
        "old",
        [
            b'[project]\nname = "x"\n',
            b'[project]\nname = "x"',
            b'[project]\r\nname = "x"\r\n\r\n# the end\r\n',
            b"\xef\xbb\xbf[tool.other]\nx = 1\n\n\n",
            b'[tool.other]\nx = """\n[tool.racelint]\n"""\n',
            b"",
            b"\n",
        ],
    )
    def test_the_rest_stays(self, tmp_path: Path, old: bytes) -> None:
        path = tmp_path / "pyproject.toml"
        path.write_bytes(old)
        path.chmod(0o640)
        shown = init(tmp_path)
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert shown.stdout.startswith("wrote [tool.racelint] to ")
        new = path.read_bytes()
        assert new.startswith(old)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert (b"\r\n" in old) == (b"\r\n" in new)
        if b"\r\n" in old:
            assert new.count(b"\n") == new.count(b"\r\n")
        assert config.load(tmp_path) == Settings(origin="pyproject.toml")
        again = init(tmp_path)
        assert (again.exit_code, again.stdout[:13], path.read_bytes()) == (0, "nothing to do", new)
        assert os.listdir(tmp_path) == ["pyproject.toml"]

    @pytest.mark.parametrize(
        ("old", "message"),
        [
            ("[tool.racelint]\njobs = 2\n", "has a [tool.racelint] section already; --force replaces it"),
            ("[[tool.racelint.entrypoints]]\n", "has a [tool.racelint] section already"),
            ("tool = { x = 1 }\n", "pyproject.toml: it is not valid TOML: "),
            ("[project\n", "pyproject.toml: it is not valid TOML: "),
            ("\udcff", "not valid TOML"),
        ],
    )
    def test_what_is_refused(self, tmp_path: Path, old: str, message: str) -> None:
        path = tmp_path / "pyproject.toml"
        path.write_bytes(old.encode("utf-8", "surrogateescape"))
        shown = init(tmp_path)
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert message in shown.stderr
        assert path.read_bytes() == old.encode("utf-8", "surrogateescape")

    def test_force_replaces_the_section_alone(self, tmp_path: Path) -> None:
        rest = '# top\n[project]\nname = "x"\n\n', "[tool.other]\ny = 1 # z\n"
        own = '[tool.racelint]\njobs = 2\n[[tool.racelint.entrypoints]]\nfunction = "a.b"\ncontext = "any"\n'
        path = write(tmp_path, "pyproject.toml", f"{rest[0]}{own}{rest[1]}")
        assert init(tmp_path, "--force").exit_code == 0
        assert path.read_text().startswith(f"{rest[0]}{rest[1]}\n[tool.racelint]\n")
        assert config.load(tmp_path) == Settings(origin="pyproject.toml")

    @pytest.mark.parametrize("old", ["[tool]\nracelint = { jobs = 2 }\n", "tool.racelint.jobs = 2\n"])
    def test_force_needs_a_section_it_can_take_out(self, tmp_path: Path, old: str) -> None:
        path = write(tmp_path, "pyproject.toml", old)
        shown = init(tmp_path, "--force")
        assert (shown.exit_code, shown.stdout, path.read_text()) == (2, "", old)
        assert "are not tables that can be taken out" in shown.stderr

    def test_force_is_not_misled_by_a_string(self, tmp_path: Path) -> None:
        old = '[tool.racelint]\njobs = 2\n[tool.other]\nx = """\n[tool.racelint]\n"""\n'
        path = write(tmp_path, "pyproject.toml", old)
        shown = init(tmp_path, "--force")
        assert (shown.exit_code, path.read_text()) == (2, old)

    @given(
        st.dictionaries(st.sampled_from("abc"), st.text(st.characters(exclude_categories=["Cs", "Cc"])), max_size=3),
        st.booleans(),
    )
    def test_adding_and_taking_out_again(self, values: dict[str, str], windows: bool) -> None:
        lines = [f"{key} = '''{value.replace(chr(39), '')}'''" for key, value in values.items()]
        old = "\n".join(["[project]", *lines, ""]).replace("\n", "\r\n" if windows else "\n").encode()
        detected = starter.Detected((), ("tests/",), ("vendor/",))
        new = starter.with_section(old, starter.section(old, detected))
        assert tomllib.loads(new.decode())["tool"] == {"racelint": {"exclude": ["vendor/"]}}
        assert starter.has_section(new)
        assert starter.without_section(new).rstrip() == old.rstrip()


class TestRacelintToml:
    """A file of its own."""

    def test_it_stays_unless_forced(self, tmp_path: Path) -> None:
        path = write(tmp_path, "racelint.toml", "jobs = 2\n")
        write(tmp_path, "pyproject.toml", "")
        shown = init(tmp_path)
        assert (shown.exit_code, shown.stdout, path.read_text()) == (2, "", "jobs = 2\n")
        assert "racelint.toml: is there already; --force replaces it" in shown.stderr
        assert init(tmp_path, "--force").exit_code == 0
        assert config.load(tmp_path) == Settings(origin="racelint.toml")
        assert (tmp_path / "pyproject.toml").read_bytes() == b""
        assert init(tmp_path).stdout.startswith("nothing to do")

    def test_the_mode_is_that_of_new_files(self, tmp_path: Path) -> None:
        old = os.umask(0o027)
        try:
            init(tmp_path)
        finally:
            os.umask(old)
        assert stat.S_IMODE((tmp_path / "racelint.toml").stat().st_mode) == 0o640

    @pytest.mark.parametrize("options", [[], ["--force"]])
    def test_what_cannot_be_written(self, tmp_path: Path, options: list[str]) -> None:
        (tmp_path / "racelint.toml").mkdir()
        shown = init(tmp_path, *options)
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert "racelint.toml: cannot be read: Is a directory" in shown.stderr

    def test_a_link_that_leads_nowhere_is_not_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "racelint.toml").symlink_to(tmp_path / "gone.toml")
        assert init(tmp_path).exit_code == 2
        assert (tmp_path / "racelint.toml").is_symlink()

    def test_no_such_folder(self, tmp_path: Path) -> None:
        shown = init(tmp_path / "gone")
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert "--project is not a folder" in shown.stderr

    def test_the_nearest_project_is_meant(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path, ".git/HEAD")
        (tmp_path / "a").mkdir()
        monkeypatch.chdir(tmp_path / "a")
        assert CliRunner().invoke(cli.main, ["init"]).exit_code == 0
        assert (tmp_path / "racelint.toml").exists()
