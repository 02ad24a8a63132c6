"""Settings: what is read, and how each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from racelint import config
from racelint.config import ConfigError, ProjectEntryPoint, Settings


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    settings = config.load(tmp_path)
    assert settings == Settings()
    assert (settings.min_severity, settings.fail_on, settings.min_confidence) == ("warning", "warning", "medium")
    assert (settings.select, settings.library, settings.jobs, settings.origin) == ((), False, None, "")


@pytest.mark.parametrize(("name", "header"), [("racelint.toml", ""), ("pyproject.toml", "[tool.racelint]\n")])
def test_every_setting_is_read(tmp_path: Path, name: str, header: str) -> None:
    keys = (
        'select = ["check-then-act", "RL101"]\nignore = ["RL103"]\nmin-severity = "note"\nfail-on = "error"\n'
        'min-confidence = "low"\nlibrary = true\ninclude-tests = true\nexclude = ["/vendor", "*_pb2.py"]\njobs = 3\n'
    )
    write(tmp_path, name, header + keys)
    assert config.load(tmp_path) == Settings(
        select=("check-then-act", "RL101"),
        ignore=("RL103",),
        min_severity="note",
        fail_on="error",
        min_confidence="low",
        library=True,
        include_tests=True,
        exclude=("/vendor", "*_pb2.py"),
        jobs=3,
        origin=name,
    )


def test_a_pyproject_without_a_section_is_no_configuration(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[tool.other]\nselect = 1\n")
    assert config.load(tmp_path) == Settings()


def test_racelint_toml_wins_and_says_so(tmp_path: Path) -> None:
    write(tmp_path, "racelint.toml", "jobs = 1\n")
    write(tmp_path, "pyproject.toml", "[tool.racelint]\njobs = 2\n")
    settings = config.load(tmp_path)
    assert (settings.jobs, settings.origin) == (1, "racelint.toml")
    assert settings.warnings == ("racelint.toml is used; the [tool.racelint] section of pyproject.toml is not read",)


def test_racelint_toml_beside_a_plain_pyproject_is_no_conflict(tmp_path: Path) -> None:
    write(tmp_path, "racelint.toml", "jobs = 1\n")
    write(tmp_path, "pyproject.toml", '[project]\nname = "x"\n')
    assert config.load(tmp_path).warnings == ()


def test_a_file_that_is_named_wins(tmp_path: Path) -> None:
    write(tmp_path, "racelint.toml", "jobs = 1\n")
    assert config.load(tmp_path, write(tmp_path, "other/ci.toml", "jobs = 7\n")).jobs == 7
    assert config.load(tmp_path, write(tmp_path, "other/pyproject.toml", "[tool.racelint]\njobs = 8\n")).jobs == 8


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "racelint.toml").write_bytes(b"\xef\xbb\xbfjobs = 4\n")
    assert config.load(tmp_path).jobs == 4


def test_rows_of_framework_tables_are_read(tmp_path: Path) -> None:
    text = (
        '[[tool.racelint.entry]]\nform = "decorator"\nname = ["op.every"]\ncontext = "thread"\nwhy = "a timer"\n'
        '[[tool.racelint.guard]]\nname = ["op.Lock"]\nwhy = "a lock"\nreentrant = true\n'
    )
    write(tmp_path, "pyproject.toml", text)
    tables = config.load(tmp_path).tables
    assert [(row.name, row.context) for row in tables.entry] == [(["op.every"], "thread")]
    assert [(row.name, row.reentrant) for row in tables.guard] == [(["op.Lock"], True)]


def test_entry_points_of_the_project_are_read(tmp_path: Path) -> None:
    text = (
        '[[entrypoints]]\nfunction = "op.work.Worker.step"\ncontext = "pool"\nwhy = "called by the C++ side"\n'
        '[[entrypoints]]\nfunction = "op.tick"\ncontext = "thread"\n'
        '[[entrypoints]]\nfunction = "op.tock"\ncontext = "thread"\nself_overlap = true\n'
    )
    write(tmp_path, "racelint.toml", text)
    settings = config.load(tmp_path)
    why = "racelint.toml says it runs in context 'thread'"
    assert settings.entrypoints == (
        ProjectEntryPoint("op.work.Worker.step", "pool", True, "called by the C++ side"),
        ProjectEntryPoint("op.tick", "thread", False, why),
        ProjectEntryPoint("op.tock", "thread", True, why),
    )
    assert settings.entrypoint_specs()[1] == ("op.tick", "thread", False, why)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nselct = []\n", "racelint.toml:2: unknown key 'selct', did you mean 'select'?"),
        ("min_severity = 1\n", "racelint.toml:1: unknown key 'min_severity', did you mean 'min-severity'?"),
        ("zzz = 1\n", "racelint.toml:1: unknown key 'zzz'"),
        ("a.b = 1\n", "racelint.toml:1: unknown key 'a'"),
        ('select = "RL101"\n', "racelint.toml:1: 'select' must be an array of rule names, not 'RL101'"),
        ("select = [1]\n", "racelint.toml:1: 'select' must be an array of rule names, not an array"),
        ('exclude = [""]\n', "racelint.toml:1: 'exclude' must be an array of patterns, not an array"),
        ("library = 1\n", "racelint.toml:1: 'library' must be true or false, not 1"),
        ("jobs = 0\n", "racelint.toml:1: 'jobs' must be a whole number above 0, not 0"),
        ("jobs = true\n", "racelint.toml:1: 'jobs' must be a whole number above 0, not true"),
        ("jobs = 2020-01-01\n", "racelint.toml:1: 'jobs' must be a whole number above 0, not a date or time"),
        ('fail-on = "never"\n', "racelint.toml:1: 'fail-on' must be one of 'note', 'warning', 'error', not 'never'"),
        ("min-confidence = {}\n", "'min-confidence' must be one of 'low', 'medium', 'high', not a table"),
        ("jobs = 1\nlibrary = maybe\n", "racelint.toml:2: is not valid TOML: Invalid value"),
        ("[entrypoints", "racelint.toml:1: is not valid TOML"),
        ("[tool.racelint]\njobs = 1\n", "racelint.toml:1: in this file the keys stand at the top"),
        ("entry = 3\n", "racelint.toml:1: 'entry' must be an array of tables, [[entry]], not a number"),
        ("[guard]\n", "racelint.toml:1: 'guard' must be an array of tables, [[guard]], not a table"),
        (
            '[[guard]]\nname = ["a"]\nwhy = ""\n[[guard]]\nnam = ["b"]\n',
            "racelint.toml:4: unknown key 'nam' in [[guard]], did you mean 'name'?",
        ),
        ('[[guard]]\nname = "b"\nwhy = ""\n', "racelint.toml:1: Expected `array`, got `str` - at `guard.name`"),
        ('[[guard]]\nname = ["b"]\n', "racelint.toml:1: Object missing required field `why` - at `guard`"),
        ("[[entrypoints]]\ncontext = 'thread'\n", "racelint.toml:1: 'function' must be a dotted name"),
        ("[[entrypoints]]\nfunction = 'main'\n", "racelint.toml:1: 'function' must be a dotted name"),
        (
            "[[entrypoints]]\nfunction = 'a.b'\ncontext = 'threads'\n",
            "racelint.toml:1: 'context' of a.b must be one of 'thread', 'pool', 'event-loop', 'signal', 'any', 'main', "
            "did you mean 'thread'?",
        ),
        ("[[entrypoints]]\nfunction = 'a.b'\n", "racelint.toml:1: 'context' of a.b must be one of"),
        (
            "[[entrypoints]]\nfunction = 'a.b'\ncontext = 'any'\nself_overlap = 'yes'\n",
            "racelint.toml:1: 'self_overlap' of a.b must be true or false, not 'yes'",
        ),
        (
            "[[entrypoints]]\nfunction = 'a.b'\ncontext = 'any'\nwhy = 1\n",
            "racelint.toml:1: 'why' of a.b must be a string, not 1",
        ),
        (
            "[[entrypoints]]\nfunction = 'a.b'\ncontext = 'any'\nself-overlap = true\n",
            "racelint.toml:1: unknown key 'self-overlap' in [[entrypoints]], did you mean 'self_overlap'?",
        ),
    ],
)
def test_mistakes_name_file_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "racelint.toml", text)
    with pytest.raises(ConfigError) as error:
        config.load(tmp_path)
    assert message in str(error.value)
    assert str(error.value).startswith("racelint.toml:")


def test_a_key_is_looked_for_in_its_own_section_of_pyproject(tmp_path: Path) -> None:
    text = "[tool.ruff]\njobs = 1\nselct = []\n[tool.racelint]\n# selct\nselct = []\n"
    write(tmp_path, "pyproject.toml", text)
    with pytest.raises(ConfigError, match=r"^pyproject\.toml:6: unknown key 'selct'"):
        config.load(tmp_path)


def test_a_section_that_is_no_table(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[tool]\nracelint = 1\n")
    with pytest.raises(ConfigError, match=r"pyproject\.toml: tool\.racelint must be a table, not a number"):
        config.load(tmp_path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read: No such file"):
        config.load(tmp_path, tmp_path / "gone.toml")
    (tmp_path / "racelint.toml").mkdir()
    with pytest.raises(ConfigError, match=r"racelint\.toml: cannot be read"):
        config.load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.toml: is not UTF-8 \(byte 2\)"):
        config.load(tmp_path, tmp_path / "latin.toml")
    plain = write(tmp_path, "x/pyproject.toml", "")
    with pytest.raises(ConfigError, match=r"there is no \[tool\.racelint\] section"):
        config.load(tmp_path, plain)


def test_unknown_rules_are_told_with_the_nearest(tmp_path: Path) -> None:
    known = ["check-then-act", "RL102", "unguarded-write", "RL101"]
    config.check_rules(["check-then-act", "RL101"], known, "--select")
    with pytest.raises(ConfigError, match="--select: unknown rule 'check-than-act', did you mean 'check-then-act'"):
        config.check_rules(["RL101", "check-than-act"], known, "--select")
    with pytest.raises(ConfigError, match="unknown rule 'rl102', did you mean 'RL102'"):
        config.check_rules(["rl102"], known, "x")
    with pytest.raises(ConfigError, match=r"unknown rule 'qqqqqq'$"):
        config.check_rules(["qqqqqq"], known, "x")


class TestProjectFolder:
    """Which folder is the project."""

    @pytest.mark.parametrize(
        ("name", "text"),
        [("racelint.toml", ""), ("pyproject.toml", "[tool.racelint]\n"), (".git/HEAD", ""), (".hg/x", "")],
    )
    def test_the_nearest_marked_folder(self, tmp_path: Path, name: str, text: str) -> None:
        write(tmp_path, ".git/HEAD", "")
        write(tmp_path, f"a/{name}", text)
        file = write(tmp_path, "a/b/c/x.py", "")
        assert config.find_project([file], tmp_path) == (tmp_path / "a").resolve()
        assert config.find_project([], file.parent) == (tmp_path / "a").resolve()

    def test_a_plain_pyproject_counts_only_without_anything_better(self, tmp_path: Path) -> None:
        write(tmp_path, "a/pyproject.toml", "[project]\n# racelint\n")
        file = write(tmp_path, "a/b/x.py", "")
        assert config.find_project([file], tmp_path) == (tmp_path / "a").resolve()
        write(tmp_path, ".git/HEAD", "")
        assert config.find_project([file], tmp_path) == tmp_path.resolve()

    def test_a_broken_section_still_marks_the_folder(self, tmp_path: Path) -> None:
        write(tmp_path, ".git/HEAD", "")
        write(tmp_path, "a/pyproject.toml", "[tool.racelint]\njobs =\n")
        assert config.find_project([Path("a")], tmp_path) == (tmp_path / "a").resolve()

    def test_without_marks_it_is_what_the_paths_share(self, tmp_path: Path) -> None:
        one, two = write(tmp_path, "p/a/x.py", ""), write(tmp_path, "p/b/y.py", "")
        assert config.find_project([one, two], tmp_path) == (tmp_path / "p").resolve()
        assert config.find_project([Path("p/a")], tmp_path) == (tmp_path / "p/a").resolve()
        assert config.find_project([], tmp_path) == tmp_path.resolve()
