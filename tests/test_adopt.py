"""Ignores written into the code, rules left out by file, the exit status after a fix, and the layout of statements."""

from __future__ import annotations

import io
import json
import stat
import tokenize
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from handmade import finding, side
from hypothesis import given
from hypothesis import strategies as st

from racelint import cli, select, suppress
from racelint.config import ConfigError, Settings, load
from racelint.fix.ignore import NotMarked, marked
from racelint.layout import layout
from racelint.model.source import source_lines

RACY = """\
import threading

PODS = {}


def work(name):
    if name not in PODS:
        PODS[name] = object()


for index in range(3):
    threading.Thread(target=work, args=(str(index),)).start()
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project as the working directory."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["check", *arguments], prog_name="racelint")


def mark(source: str, line: int, *rules: str, reason: str = "why") -> str:
    wanted = [finding(side("x.py", line), rule=rule) for rule in rules or ("check-then-act",)]
    return marked(source.encode(), wanted, reason).decode()


class TestLayout:
    """Which lines belong together."""

    def test_statements(self) -> None:
        text = 'if (a and\n        b):\n    c = """\n    """\n\n    d = 1 + \\\n        2  # x\nclass E: f = 1\n# y\n'
        shape = layout(text.split("\n"))
        assert [shape.statement(line) for line in range(1, 10)] == [
            *[(1, 2)] * 2,
            *[(3, 4)] * 2,
            (5, 5),
            *[(6, 7)] * 2,
            (8, 8),
            (9, 9),
        ]
        assert shape.open_ended >= {1, 2, 4, 5, 7, 8, 9}
        assert shape.open_ended.isdisjoint({3, 6})
        assert shape.comments == {7: 11, 9: 0}

    @pytest.mark.parametrize("text", ["x = (", "'''", "x = 1\n  y = 2", "\0", "if x:\n\ty\n        z", "é = ?", ""])
    def test_what_is_broken_does_no_harm(self, text: str) -> None:
        assert layout(text.split("\n")).statement(1)[0] == 1

    def test_a_comment_silences_the_statement_it_stands_in(self) -> None:
        text = ["PODS[", "    name", "] = 1", "other = 1", ""]
        for line, silences in ((1, True), (2, True), (3, True), (4, False)):
            comments = {"op/registry.py": [(line, "# racelint: ignore")]}
            found, _ = suppress.apply([finding(side(line=2))], comments, {"RL102"}, sources={"op/registry.py": text})
            assert (found[0].suppressed is not None) == silences

    def test_the_line_above_is_that_of_the_statement(self) -> None:
        text = ["# racelint: ignore", "PODS[", "    name", "] = 1", ""]
        comments = {"op/registry.py": [(1, "# racelint: ignore")]}
        found, _ = suppress.apply([finding(side(line=4))], comments, {"RL102"}, sources={"op/registry.py": text})
        assert found[0].suppressed is not None


class TestMarked:
    """Where a comment goes."""

    @pytest.mark.parametrize(
        ("source", "line", "result"),
        [
            ("x = 1\n", 1, "x = 1  # racelint: ignore[check-then-act] why\n"),
            ("x = 1", 1, "x = 1  # racelint: ignore[check-then-act] why"),
            ("x = 1  \t\r\ny\r\n", 1, "x = 1  # racelint: ignore[check-then-act] why\r\ny\r\n"),
            ("a\rx = 1\rb", 2, "a\rx = 1  # racelint: ignore[check-then-act] why\rb"),
            ("x = 1  # noqa: E501\n", 1, "x = 1  # noqa: E501  # racelint: ignore[check-then-act] why\n"),
            ("x = '#'\n", 1, "x = '#'  # racelint: ignore[check-then-act] why\n"),
            ("x = 1 + \\\n    2\n", 1, "x = 1 + \\\n    2  # racelint: ignore[check-then-act] why\n"),
            ('x = """\n{y}\n"""\n', 2, 'x = """\n{y}\n"""  # racelint: ignore[check-then-act] why\n'),
            ('x = f"""\n{y}\n"""\n', 2, 'x = f"""\n{y}\n"""  # racelint: ignore[check-then-act] why\n'),
            ('x = f"""{\n    y\n}\n"""\n', 2, 'x = f"""{\n    y\n}\n"""  # racelint: ignore[check-then-act] why\n'),
            ("f(\n    a,\n    b,\n)\n", 2, "f(\n    a,  # racelint: ignore[check-then-act] why\n    b,\n)\n"),
            ("if x:\n    y\n", 1, "if x:  # racelint: ignore[check-then-act] why\n    y\n"),
            ("x = 1\n# \x0c\ny = 2\n", 3, "x = 1\n# \x0c\ny = 2  # racelint: ignore[check-then-act] why\n"),
            (
                "x = 1  # racelint: ignore[unguarded-write] both write the same\n",
                1,
                "x = 1  # racelint: ignore[unguarded-write, check-then-act] both write the same\n",
            ),
            (
                "x = 1  # n # racelint :ignore[ RL101 ]\n",
                1,
                "x = 1  # n # racelint :ignore[RL101, check-then-act] why\n",
            ),
            ("x = 1  # racelint: ignore[check-then-act] old\n", 1, "x = 1  # racelint: ignore[check-then-act] old\n"),
            (
                "if x:\n    f(\n        y)  # racelint: confined\n",
                3,
                "if x:\n    # racelint: ignore[check-then-act] why\n    f(\n        y)  # racelint: confined\n",
            ),
            (
                "\tx = 1 \\\n\t  + 2  # racelint: ingore\r\n",
                2,
                "\t# racelint: ignore[check-then-act] why\n\tx = 1 \\\n\t  + 2  # racelint: ingore\r\n",
            ),
        ],
    )
    def test_at(self, source: str, line: int, result: str) -> None:
        source, result = (f"if 1:\n{text}" if text.startswith("\t") else text for text in (source, result))
        line += source != result and source.startswith("if 1:")
        assert mark(source, line) == result

    def test_rules_share_a_comment(self) -> None:
        assert mark("x = 1\n", 1, "unguarded-write", "check-then-act", "unguarded-write") == (
            "x = 1  # racelint: ignore[check-then-act, unguarded-write] why\n"
        )

    def test_findings_of_one_statement_keep_to_their_lines_where_they_can(self) -> None:
        wanted = [finding(side("x.py", line), rule=rule) for line, rule in ((1, "a-b"), (2, "c-d"))]
        assert marked(b"x = a \\\n    + b\n", wanted, "") == b"x = a \\\n    + b  # racelint: ignore[a-b, c-d]\n"
        assert marked(b"f(a,\n  b)\n", wanted, "") == (
            b"f(a,  # racelint: ignore[a-b]\n  b)  # racelint: ignore[c-d]\n"
        )

    @pytest.mark.parametrize(
        ("head", "encoding"), [("\ufeff", "utf-8"), ("# coding: latin-1\n", "latin-1"), ("# coding: cp932\n", "cp932")]
    )
    def test_encodings_are_kept(self, head: str, encoding: str) -> None:
        text = "é" if encoding != "cp932" else "表"
        source = f"{head}x = '{text}'\ny = '{text}'\n".encode(encoding)
        line = head.count("\n") + 1
        wanted = [finding(side("x.py", line)), finding(side("x.py", line + 1))]
        result = marked(source, wanted, text)
        assert result.decode(encoding).startswith(head)
        assert result.decode(encoding).count(f"  # racelint: ignore[check-then-act] {text}\n") == 2
        assert result.replace(f"  # racelint: ignore[check-then-act] {text}".encode(encoding), b"") == source

    def test_a_reason_that_cannot_be_written(self) -> None:
        with pytest.raises(NotMarked, match="cannot be written in its encoding, iso-8859-1"):
            marked(b"# coding: latin-1\nx = 1\n", [finding(side("x.py", 2))], "\u20ac")

    @given(
        st.lists(
            st.sampled_from(
                [
                    "x = 1",
                    "f(",
                    ")",
                    "a, \\",
                    '"""',
                    "# n",
                    "# racelint: ignore[RL101] old",
                    "if x:",
                    "    y",
                    "",
                    "'s' \\",
                ]
            ),
            min_size=1,
            max_size=12,
        ),
        st.data(),
    )
    def test_whatever_parses_parses_as_before_and_is_silent(self, lines: list[str], data: st.DataObject) -> None:
        source = "\n".join(lines) + "\n"
        try:
            compile(source, "x.py", "exec")
        except SyntaxError:
            return
        code = [line for line in range(1, len(lines) + 1) if layout(lines).statements.get(line)]
        if not code:
            return
        line = data.draw(st.sampled_from(code))
        result = marked(source.encode(), [finding(side("x.py", line))], "why").decode()
        assert tokens(result) == tokens(source)
        comments = {"x.py": [(number, text) for number, text in remarks(result) if "racelint" in text]}
        moved = line + result.count("\n") - source.count("\n")
        known = {"RL102", "check-then-act", "RL101"}
        subject = finding(side("x.py", moved))
        (silent,), problems = suppress.apply([subject], comments, known, sources={"x.py": result.split("\n")})
        assert silent.suppressed is not None
        assert not [item for item in problems if item.rule != "unused-ignore"]


def tokens(source: str) -> list[str]:
    return [
        item.string
        for item in tokenize.generate_tokens(io.StringIO(source).readline)
        if item.type not in (tokenize.COMMENT, tokenize.NL)
    ]


def remarks(source: str) -> list[tuple[int, str]]:
    found = tokenize.generate_tokens(io.StringIO(source).readline)
    return [(item.start[0], item.string) for item in found if item.type == tokenize.COMMENT]


class TestAddIgnore:
    """``--add-ignore`` as a command."""

    def test_a_run_afterwards_is_clean_and_a_second_one_changes_nothing(self, project: Path) -> None:
        (project / "x.py").write_text(RACY)
        shown = run("--add-ignore")
        assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "", "racelint: marked 1 finding in 1 file\n")
        text = (project / "x.py").read_text()
        assert text == RACY.replace("PODS:", "PODS:  # racelint: ignore[check-then-act] TODO: judge")
        shown = run("--output-format", "json")
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert [item["suppressed"] for item in json.loads(shown.stdout)["findings"]] == ["TODO: judge"]
        assert run("--add-ignore", "--reason", "other").stderr == "racelint: marked 0 findings in 0 files\n"
        assert (project / "x.py").read_text() == text

    @pytest.mark.parametrize(
        ("check", "act"),
        [
            ("if name \\\n            not in PODS:", "PODS[name] = object()"),
            ("if (\n        name not in PODS\n    ):", "PODS[name] = open(f'''\n{name}\n''')"),
            ("if not PODS.get(\n        name,\n        None):  # racelint: ignore[RL101]", "PODS[name] = object()"),
            ("if name not in PODS:  # racelint: confined", "PODS[name] = object()"),
            ("if f'''{\n        PODS.get(name)\n    }''' == 'None':", "PODS[name] = object()"),
        ],
    )
    def test_lines_that_are_hard_to_comment(self, project: Path, check: str, act: str) -> None:
        text = RACY.replace("if name not in PODS:", check).replace("PODS[name] = object()", act)
        (project / "x.py").write_bytes(text.replace("\n", "\r\n").encode())
        before = run("--output-format", "concise").stdout
        assert ": error[check-then-act]" in before
        assert run("--add-ignore", "--reason", "one caller").exit_code == 0
        shown = run()
        assert (shown.exit_code, shown.stdout) == (0, "no findings, 1 suppressed in 1 file\n")
        written = (project / "x.py").read_bytes()
        assert written.count(b"\n") == written.count(b"\r\n")
        assert written.count(b"one caller") == 1
        assert "racelint: marked 0 findings in 0 files\n" in run("--add-ignore").stderr

    def test_only_what_would_be_reported(self, project: Path) -> None:
        for name in ("a", "b", "c", "d"):
            (project / f"{name}.py").write_text(RACY)
        run("--baseline", "b.toml", "--update-baseline", "a.py")
        (project / "racelint.toml").write_text('[per-file-ignores]\n"b.py" = ["RL102"]\n')
        assert run("--add-ignore", "--baseline", "b.toml", "a.py", "b.py", "c.py").exit_code == 0
        changed = [path.name for path in sorted(project.glob("*.py")) if path.read_text() != RACY]
        assert changed == ["c.py"]

    def test_what_cannot_be_marked_is_reported(self, project: Path) -> None:
        (project / "x.py").write_text(f"# coding: latin-1\n{RACY}")
        (project / "y.py").write_text(RACY)
        shown = run("--add-ignore", "--reason", "10 \u20ac", "--output-format", "concise")
        assert shown.exit_code == 1
        assert shown.stdout.startswith("x.py:8:20: error[check-then-act]")
        assert "left x.py as it is: the reason cannot be written in its encoding, iso-8859-1" in shown.stderr
        assert "10 \u20ac" in (project / "y.py").read_text("utf-8")

    def test_the_mode_is_kept(self, project: Path) -> None:
        (project / "x.py").write_text(RACY)
        (project / "x.py").chmod(0o750)
        run("--add-ignore")
        assert stat.S_IMODE((project / "x.py").stat().st_mode) == 0o750
        assert [path.name for path in project.iterdir() if path.is_file()] == ["x.py"]

    def test_a_read_only_file_stays(self, project: Path) -> None:
        (project / "x.py").write_text(RACY)
        (project / "y.py").write_text(RACY)
        (project / "y.py").chmod(0o440)
        shown = run("--add-ignore")
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert "nothing was marked: y.py is read-only" in shown.stderr
        assert (project / "x.py").read_text() == RACY

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--reason", "x"], "--reason goes with --add-ignore"),
            (["--add-ignore", "--reason", " "], "--reason wants text on one line"),
            (["--add-ignore", "--reason", "a\nb"], "--reason wants text on one line"),
            (["--add-ignore", "--reason", "a\x1b[31m"], "--reason wants text on one line"),
            (["--add-ignore", "--fix"], "--add-ignore goes without --fix"),
            (["--add-ignore", "--diff"], "--add-ignore goes without --fix"),
            (["--add-ignore", "--update-baseline", "--baseline", "b"], "--add-ignore goes without --fix"),
        ],
    )
    def test_wrong_usage(self, project: Path, options: list[str], message: str) -> None:
        (project / "x.py").write_text(RACY)
        shown = run(*options)
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert message in " ".join(shown.stderr.split())
        assert (project / "x.py").read_text() == RACY


class TestComments:
    """What is wrong with comments is told, and does not fail the run."""

    def test_unused_and_malformed_ones(self, project: Path) -> None:
        (project / "x.py").write_text("a = 1  # racelint: ignore[RL102] x\nb = 1  # racelint: ingore\n")
        shown = run("--output-format", "json")
        assert shown.exit_code == 0
        problems = json.loads(shown.stdout)["problems"]
        assert [(item["line"], item["rule"]) for item in problems] == [(1, "unused-ignore"), (2, "malformed-comment")]
        assert "x.py:1: warning[unused-ignore]: this ignore silences no 'RL102'" in shown.stderr
        assert "x.py:2: warning[malformed-comment]: unknown comment 'ingore', did you mean 'ignore'?" in shown.stderr


class TestPerFileIgnores:
    """Rules that are left out by file."""

    @pytest.mark.parametrize(
        ("pattern", "silent"),
        [
            ("legacy/", True),
            ("legacy", True),
            ("**/x.py", True),
            ("x.py", True),
            ("legacy/*.py", True),
            ("legacy/sub/*.py", True),
            ("/x.py", False),
            ("egacy/", False),
            ("app.py", False),
            ("!app.py", True),
            ("!legacy/", False),
        ],
    )
    def test_patterns(self, pattern: str, silent: bool) -> None:
        settings = Settings(per_file_ignores=((pattern, ("RL102",)),))
        path = "legacy/sub/x.py" if "sub" in pattern else "legacy/x.py"
        assert select.is_selected(finding(side(path), side("app.py")), settings) != silent

    def test_only_the_first_side_counts_and_only_the_rules_named(self) -> None:
        first, second = finding(side("a.py"), side("b.py")), finding(side("b.py"), side("a.py"))
        settings = Settings(per_file_ignores=(("a.py", ("check-then-act",)),))
        assert [select.is_selected(item, settings) for item in (first, second)] == [False, True]
        other = Settings(per_file_ignores=(("a.py", ("RL101",)),))
        assert select.is_selected(first, other)

    def test_a_command(self, project: Path) -> None:
        (project / "old").mkdir()
        (project / "old/x.py").write_text(RACY)
        (project / "new.py").write_text(RACY)
        (project / "racelint.toml").write_text('[per-file-ignores]\n"old/**" = ["check-then-act"]\n')
        shown = run("--output-format", "json")
        assert [item["sides"][0]["path"] for item in json.loads(shown.stdout)["findings"]] == ["new.py"]
        assert run("old").exit_code == 0
        assert run("--select", "RL102", "old").exit_code == 0
        assert "old/**: check-then-act" in run("--show-settings").stdout
        run("--fix")
        assert (project / "old/x.py").read_text() == RACY
        assert (project / "new.py").read_text() != RACY

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('per-file-ignores = ["x"]\n', "racelint.toml:1: 'per-file-ignores' must be a table, not an array"),
            (
                '[per-file-ignores]\nx = "RL102"\n',
                "racelint.toml:1: 'x' in 'per-file-ignores' must be an array of rule",
            ),
            ("[per-file-ignores]\nx = [3]\n", "'x' in 'per-file-ignores' must be an array of rule names"),
            ('[per-file-ignores]\n"" = ["RL102"]\n', "racelint.toml:1: '' in 'per-file-ignores' is no pattern"),
            ('[per-file-ignores]\n"# x" = ["RL102"]\n', "'# x' in 'per-file-ignores' is no pattern"),
            ('[per-file-ignores]\n"!" = ["RL102"]\n', "'!' in 'per-file-ignores' is no pattern"),
            (
                '[per-file-ignores]\n"old/" = ["RL1O2"]\n',
                "racelint.toml: per-file-ignores of 'old/': unknown rule 'RL1O2', did you mean 'RL102'?",
            ),
            ('[per-file-ignore]\nx = ["RL102"]\n', "unknown key 'per-file-ignore', did you mean 'per-file-ignores'?"),
        ],
    )
    def test_wrong_configuration(self, project: Path, text: str, message: str) -> None:
        (project / "racelint.toml").write_text(text)
        shown = run()
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert message in " ".join(shown.stderr.split())

    def test_in_pyproject(self, project: Path) -> None:
        (project / "pyproject.toml").write_text('[tool.racelint.per-file-ignores]\n"a" = ["RL102"]\n"b" = []\n')
        assert load(project).per_file_ignores == (("a", ("RL102",)), ("b", ()))
        (project / "pyproject.toml").write_text("[tool.racelint.per-file-ignores]\na = 3\n")
        with pytest.raises(ConfigError, match=r"pyproject\.toml:1: "):
            load(project)


class TestExitStatusOfFixes:
    """``--exit-non-zero-on-fix``."""

    @pytest.mark.parametrize(
        ("options", "status"),
        [
            (["--fix"], 0),
            (["--fix", "--exit-non-zero-on-fix"], 1),
            (["--fix", "--exit-non-zero-on-fix", "--exit-zero"], 0),
            (["--unsafe-fixes", "--exit-non-zero-on-fix"], 1),
        ],
    )
    def test_when_a_file_was_changed(self, project: Path, options: list[str], status: int) -> None:
        (project / "x.py").write_text(RACY)
        shown = run(*options)
        assert shown.exit_code == status, shown.output
        assert (project / "x.py").read_text() != RACY
        assert shown.stdout == "no findings in 1 file\n"
        assert run(*options).exit_code == 0

    def test_without_a_change_findings_count_as_ever(self, project: Path) -> None:
        (project / "x.py").write_text("x = 1\n")
        assert run("--fix", "--exit-non-zero-on-fix").exit_code == 0
        (project / "x.py").write_text(RACY)
        assert run("--exit-non-zero-on-fix", "--exit-zero").exit_code == 0


def test_lines_are_counted_as_reports_count_them() -> None:
    source = b"a = 1\r\nb = '\x0c'\rc = '\xc2\x85'\nx = 2\n"
    assert source_lines(source)[3] == "x = 2"
    assert marked(source, [finding(side("x.py", 4))], "why").endswith(
        b"\nx = 2  # racelint: ignore[check-then-act] why\n"
    )
