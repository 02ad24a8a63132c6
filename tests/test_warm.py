"""What an earlier run came to is told again only where this one would come to the same, and told byte for byte."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import racelint
from racelint import cli, mend, pipeline, warm
from racelint.cache import Cache
from racelint.config import Settings
from racelint.judged import Judged
from racelint.model.findings import OUTPUT_FORMATS
from racelint.model.source import Problem
from racelint.model.spots import line_of, moved, plain, spot
from racelint.reading import Extracted, Progress, Read, outcome

FIXTURES = Path(racelint.__file__).parent.parent / "fixtures"
SUBMARINER = FIXTURES / "submariner"

APP = '''"""An app."""
import threading

pods = {}
lock = threading.Lock()


def add(key):
    """Add one."""
    found = key
    if found not in pods:
        pods[found] = 1
    handlers = [lambda: pods.pop(key)]
    return handlers


def work():
    add("a")


def main():
    for _ in range(2):
        threading.Thread(target=work).start()
'''
OTHER = '''"""Says nothing."""


def area(width, height):
    return width * height
'''


def shape(source: str) -> str:
    return outcome(source.encode(), "app", False).outline.shape


SAME = {
    "a comment": ("pods = {}", "pods = {}  # by name"),
    "a comment of its own": ("def add", "# adds\n# things\ndef add"),
    "lines": ("\n\ndef work", "\n\n\n\n\ndef work"),
    "a docstring": ("Add one.", "Add one to the others.\n\n    And so on.\n    "),
    "no docstring": ('    """Add one."""\n', ""),
    "a local": ("found", "wanted"),
    "a local, longer": ("found", "what_was_found_in_the_end"),
    "an argument on a line of its own": ('add("a")', 'add(\n        "a"\n    )'),
}
OTHERS = {
    "a key": ('add("a")', 'add("b")'),
    "another step": ("pods[found] = 1", "pods[found] = 1; pods.clear()"),
    "no step": ("        pods[found] = 1\n", "        pass\n"),
    "a lock": ("    if found not in pods:\n        pods", "    with lock:\n      if found not in pods:\n        pods"),
    "a parameter": ("def add(key)", "def add(key, more=None)"),
    "a line in two": ("[lambda", "[\n        lambda"),
}


@pytest.mark.parametrize("edit", SAME.values(), ids=SAME)
def test_what_says_nothing_about_values_keeps_the_shape(edit: tuple[str, str]) -> None:
    assert APP.replace(*edit) != APP
    assert shape(APP.replace(*edit)) == shape(APP)


@pytest.mark.parametrize("edit", [*OTHERS.values()], ids=OTHERS)
def test_what_says_something_changes_it(edit: tuple[str, str]) -> None:
    assert APP.replace(*edit) != APP
    assert shape(APP.replace(*edit)) != shape(APP)


def test_two_lines_that_become_one_change_it() -> None:
    assert shape("a = f()\nb = g()\n") != shape("a = f(); b = g()\n")


def test_texts_are_told_on_other_lines() -> None:
    text = f"held from {spot('a/b.py', 9)} when the step at line {line_of('c.py', 3)} is taken"
    assert plain(text) == "held from a/b.py:9 when the step at line 3 is taken"
    later = moved(text, lambda path, line: line + (100 if path == "c.py" else 1))
    assert plain(later) == "held from a/b.py:10 when the step at line 103 is taken"
    assert plain("a/b.py:9 is no mark, nor is \ufdd0 alone") == "a/b.py:9 is no mark, nor is \ufdd0 alone"


def of_analysis() -> list[Path]:
    """The modules whose work is kept."""
    root = Path(racelint.__file__).parent
    found = [root / f"{name}.py" for name in ("serving", "polling")]
    for folder in ("contexts", "analysis", "link", "rules"):
        found += sorted((root / folder).glob("*.py"))
    return found


def is_line(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name == "line" or name.endswith("_line") or name in ("gap", "release", "made")


@pytest.mark.parametrize("path", of_analysis(), ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_the_analysis_neither_counts_with_lines_nor_tells_them_without_a_mark(path: Path) -> None:
    """What rests on more than the order of lines would be wrong when they move; see ``outline.py``."""
    counted, told = [], []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.BinOp) and (is_line(node.left) or is_line(node.right)):
            counted.append(node.lineno)
        elif isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Attribute) and is_line(node.value):
            told.append(node.lineno)
    # Contracts in comments are looked for line by line: their files count with all of their bytes.
    assert counted == [] or path.stem == "contracts"
    assert told == []


def untimed(text: str) -> str:
    text = re.sub(r'"(elapsed_s|from_cache)": [\d.]+', r'"\1": 0', text)
    return re.sub(r'time="[\d.]+"', 'time="0"', re.sub(r"in [\d.]+ ?s\b", "in 0 s", text))


class Bench:
    """A project, a cache for it, and how often the whole program has been judged, or fixes been sought."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project = folder / "project"
        self.cache = folder / "cache"
        self.judged = 0
        self.sought = 0
        self._count(monkeypatch, pipeline, "assess", self._judge)
        self._count(monkeypatch, mend, "_attempt", self._seek)

    def _count(self, monkeypatch: pytest.MonkeyPatch, module: object, name: str, note: Callable[[], None]) -> None:
        real = getattr(module, name)

        def counted(*args: object, **kwargs: object) -> object:
            note()
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)

    def _judge(self) -> None:
        self.judged += 1

    def _seek(self) -> None:
        self.sought += 1

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.project / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run(self, *options: str, cold: bool = False) -> tuple[int, str, str]:
        """Exit status and both streams."""
        kept = ["--no-cache"] if cold else ["--cache-dir", str(self.cache)]
        words = ["check", "--project", str(self.project), "--min-confidence", "low", "--jobs", "1", *kept]
        shown = CliRunner().invoke(cli.main, [*words, *options], prog_name="racelint")
        assert shown.exit_code in (0, 1), shown.output
        return shown.exit_code, untimed(shown.stdout), shown.stderr

    def warm(self, *options: str) -> bool:
        """Whether a run has judged nothing and sought nothing, and told what a run without a cache does."""
        before = self.judged, self.sought
        told = self.run(*options)
        after = self.judged, self.sought
        assert told == self.run(*options, cold=True)
        return before == after


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A project with a race."""
    made = Bench(tmp_path, monkeypatch)
    made.write(app=APP, other=OTHER)
    made.run()
    return made


class TestResults:
    @pytest.mark.parametrize("output_format", [name for name in OUTPUT_FORMATS if name != "auto"])
    def test_every_format_is_the_same(self, bench: Bench, output_format: str) -> None:
        bench.run("--output-format", output_format)
        assert bench.warm("--output-format", output_format, "--verbose")
        bench.write(app=APP.replace("pods = {}", "\n" * 90 + "pods = {}"))
        edits = output_format in ("json", "sarif", "rdjson")
        assert bench.warm("--output-format", output_format, "--verbose") == (not edits)

    @pytest.mark.parametrize("edit", SAME.values(), ids=SAME)
    def test_an_edit_that_keeps_the_shape(self, bench: Bench, edit: tuple[str, str]) -> None:
        bench.write(app=APP.replace(*edit))
        assert bench.warm("--verbose")

    @pytest.mark.parametrize("edit", OTHERS.values(), ids=OTHERS)
    def test_an_edit_that_changes_it(self, bench: Bench, edit: tuple[str, str]) -> None:
        bench.write(app=APP.replace(*edit))
        assert not bench.warm("--verbose")
        assert bench.warm("--verbose")

    def test_columns_are_those_of_the_new_text(self, bench: Bench) -> None:
        def columns() -> list[str]:
            return re.findall(r"app\.py:\d+:(\d+)", bench.run("--output-format", "concise")[1])

        before = columns()
        bench.write(app=APP.replace("    if found not in pods:", "    if  found  not  in  pods:"))
        assert bench.warm()
        assert columns() != before

    def test_files_that_come_go_and_move(self, bench: Bench) -> None:
        bench.write(third=OTHER)
        assert not bench.warm()
        (bench.project / "third.py").rename(bench.project / "fourth.py")
        assert not bench.warm()
        (bench.project / "fourth.py").unlink()
        assert bench.warm()

    def test_a_broken_file_says_nothing_however_it_is_broken(self, bench: Bench) -> None:
        bench.write(other="def (:\n")
        assert not bench.warm()
        bench.write(other="\n\ndef (((:\n")
        assert bench.warm()

    def test_test_code_says_nothing_unless_it_is_asked_for(self, bench: Bench) -> None:
        bench.write(test_app="import app\n")
        bench.run()
        bench.write(test_app="import app\napp.pods.clear()\n")
        assert bench.warm()
        (bench.project / "racelint.toml").write_text("include-tests = true\n")
        assert not bench.warm()
        bench.write(test_app="import app\napp.pods.copy()\n")
        assert not bench.warm()

    def test_comments_that_silence_are_applied_in_each_run(self, bench: Bench) -> None:
        bench.write(
            app=APP.replace("    if found not in pods:", "    # racelint: ignore fine\n    if found not in pods:")
        )
        assert bench.warm("--verbose")
        assert "(fine)" in bench.run("--verbose")[1]
        bench.write(app=APP.replace("pods = {}", "pods = {}  # racelint: ignore[check-then-act]"))
        assert bench.warm("--verbose")
        assert "silences no 'check-then-act'" in bench.run("--verbose")[2]

    def test_contracts_in_comments_are_looked_at_anew(self, bench: Bench) -> None:
        bench.write(app=APP.replace("pods = {}", "pods = {}  # racelint: guarded-by(lock)"))
        assert not bench.warm("--verbose")
        bench.write(app=APP.replace("pods = {}", "# racelint: guarded-by(lock)\n\npods = {}"))
        assert not bench.warm("--verbose")
        bench.write(other=f"# anything\n{OTHER}")
        assert bench.warm("--verbose")
        bench.write(app=APP.replace("def work", "# racelint: entrypoint(thread)\ndef work"))
        assert not bench.warm("--verbose")

    def test_contracts_in_code_move_with_their_lines(self, bench: Bench) -> None:
        imports = "import threading\nfrom typing import Annotated\nfrom racelint.annotations import GuardedBy"
        text = APP.replace("pods = {}", 'pods: Annotated[dict, GuardedBy("lock")] = {}')
        text = text.replace("import threading", imports)
        bench.write(app=text)
        assert "the contract is written at app.py:6" in bench.run("--verbose")[1]
        bench.write(app=f"#\n#\n{text}")
        assert bench.warm("--verbose")
        assert "the contract is written at app.py:8" in bench.run("--verbose")[1]

    def test_settings_that_say_what_is_found_count_and_others_do_not(self, bench: Bench) -> None:
        assert bench.warm("--min-severity", "error", "--statistics")
        assert bench.warm("--exit-zero", str(bench.project / "other.py"))
        assert not bench.warm("--select", "RL102")
        assert not bench.warm("--library")
        (bench.project / "racelint.toml").write_text('exclude = ["other.py"]\n')
        assert not bench.warm()
        (bench.project / "racelint.toml").write_text(
            '[[entrypoints]]\nfunction = "app.add"\ncontext = "pool"\nwhy = "so"\n'
        )
        assert not bench.warm()

    def test_another_racelint_starts_anew(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        assert bench.warm()
        monkeypatch.setattr(warm, "version", lambda: "another")
        assert not bench.warm()

    def test_other_commands(self, bench: Bench) -> None:
        def entry_points(*options: str) -> str:
            words = ["entrypoints", "--project", str(bench.project), *options]
            return CliRunner().invoke(cli.main, words).stdout

        bench.write(app=f"#\n{APP}")
        before = bench.judged
        kept = entry_points("--cache-dir", str(bench.cache))
        assert bench.judged == before
        assert kept == entry_points("--no-cache")


class TestTheCache:
    def entries(self, bench: Bench) -> list[Path]:
        return sorted(path for path in bench.cache.rglob("*") if path.is_file() and len(path.name) == 62)

    @pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-1], lambda data: data[::-1]])
    def test_damage_costs_time_and_nothing_else(self, bench: Bench, damage: Callable[[bytes], bytes]) -> None:
        for path in self.entries(bench):
            path.write_bytes(damage(path.read_bytes()))
        assert not bench.warm("--verbose")
        assert bench.warm("--verbose")

    def test_any_entry_may_be_missing(self, bench: Bench) -> None:
        for path in self.entries(bench):
            kept = path.read_bytes()
            path.unlink()
            bench.warm("--verbose")
            if not path.exists():  # that of what was not needed
                path.write_bytes(kept)

    def test_an_entry_that_nobody_would_write(self, bench: Bench) -> None:
        def told(place: int) -> None:
            run = warm.look(bench.project, Settings(), None, no_read, Cache(bench.cache))
            judged = Judged((), (Problem("app.py", place, "x", "y"),), (), (), ())
            run.cache.put(run.key, warm._encode(judged))
            assert run.known() is None

        told(1_000_000)
        told(-1)
        assert not bench.warm()

    def test_it_can_be_taken_elsewhere(self, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        there = tmp_path / "there"
        there.mkdir()
        shutil.copytree(bench.project, there / "project", copy_function=shutil.copyfile)  # with other times
        shutil.move(str(bench.cache), there / "cache")
        other = Bench(there, monkeypatch)
        assert other.warm()

    def test_nothing_is_written_elsewhere(self, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        monkeypatch.setenv("HOME", str(tmp_path / "here"))

        def files() -> dict[Path, int]:
            found = (path for path in tmp_path.rglob("*") if bench.cache not in (path, *path.parents))
            return {path: path.stat().st_mtime_ns for path in found}

        before = files()
        for options in ([], ["--output-format", "json"], ["--diff"]):
            bench.run(*options)
        assert files() == before

    def test_two_runs_at_once(self, bench: Bench) -> None:
        shutil.rmtree(bench.cache)
        words = [
            "check",
            "--project",
            str(bench.project),
            "--cache-dir",
            str(bench.cache),
            "--output-format",
            "concise",
        ]
        command = [sys.executable, "-m", "racelint", *words]
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        told = {run.communicate(timeout=120)[0] for run in runs}
        assert len(told) == 1
        assert {run.returncode for run in runs} == {1}
        assert bench.warm()

    def test_a_file_that_changes_while_it_is_read(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        real = warm.Run.with_facts

        def late(self: warm.Run, progress: Progress | None, read: Read) -> warm.Run:
            bench.write(other="import app\n\n\ndef clear():\n    app.pods.clear()\n")
            return real(self, progress, read)

        bench.write(app=APP.replace("key", "name"))
        with monkeypatch.context() as patch:
            patch.setattr(warm.Run, "with_facts", late)
            told = bench.run()
        assert told == bench.run(cold=True)
        assert bench.warm()
        bench.write(other=OTHER)
        assert not bench.warm()

    def test_what_has_no_place_is_not_kept(self, bench: Bench) -> None:
        run = warm.look(bench.project, Settings(), None, no_read, Cache(bench.cache))
        lines = warm.Lines(run.extracted, run.settings)
        assert lines.line("app.py", lines.place("app.py", 4)) == 4
        for path, line in (("app.py", 3), ("gone.py", 4)):
            with pytest.raises(warm.NotKept):
                lines.place(path, line)

    def test_a_warm_run_needs_no_analysis(self, bench: Bench) -> None:
        words = ["racelint", "check", "--project", str(bench.project), "--cache-dir", str(bench.cache), "--exit-zero"]
        program = (
            f"import sys; sys.argv = {words!r}\nfrom racelint.cli import main\n"
            "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)\n"
        )
        shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        modules = set(shown.stderr.split())
        assert "racelint.warm" in modules
        assert not modules & {"networkx", "libcst", "racelint.analysis", "racelint.link", "racelint.pipeline"}


def no_read(files: object, progress: object) -> list[Extracted]:
    raise AssertionError("nothing is to be read")


class TestFixes:
    @pytest.fixture
    def bench(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
        """A project with fixes and things that cannot be fixed."""
        made = Bench(tmp_path, monkeypatch)
        shutil.copytree(SUBMARINER, made.project)
        made.write(bystander=OTHER)
        made.run("--output-format", "json")
        return made

    def test_they_are_kept(self, bench: Bench) -> None:
        assert '"edits": [\n' in bench.run("--output-format", "json")[1]
        for output_format in ("json", "sarif", "rdjson"):
            assert bench.warm("--output-format", output_format)
        bench.write(bystander=f"# moved\n{OTHER}")
        assert bench.warm("--output-format", "json")

    def test_another_question_is_another_answer(self, bench: Bench) -> None:
        assert not bench.warm("--output-format", "json", "--min-severity", "error")
        assert not bench.warm("--output-format", "json", str(bench.project / "bystander.py"))

    def test_a_file_they_depend_on_counts_with_all_of_its_text(self, bench: Bench) -> None:
        path = next(path for path in sorted(bench.project.rglob("*.py")) if "logged_images" in path.read_text())
        path.write_text(f"# moved\n{path.read_text()}")
        assert not bench.warm("--output-format", "json")
        assert bench.warm("--output-format", "json")

    def test_a_comment_that_silences_is_another_question(self, bench: Bench) -> None:
        for path in sorted(bench.project.rglob("*.py")):
            text = path.read_text()
            if "logged_images[key]" in text:
                path.write_text(text.replace("    previous =", "    # racelint: ignore fine\n    previous ="))
                assert path.read_text() != text
                assert not bench.warm("--output-format", "json")
        bench.write(bystander=f"{OTHER}x = 1  # racelint: ignore\n")
        assert not bench.warm("--output-format", "json")

    def test_fixing_comes_to_the_same(self, bench: Bench, tmp_path: Path) -> None:
        cold = tmp_path / "cold"
        shutil.copytree(bench.project, cold)
        told = [bench.run("--fix") for _ in range(3)]
        fixed = {path.name: path.read_bytes() for path in bench.project.rglob("*.py")}
        shutil.rmtree(bench.project)
        cold.rename(bench.project)
        assert told == [bench.run("--fix", cold=True) for _ in range(3)]
        assert fixed == {path.name: path.read_bytes() for path in bench.project.rglob("*.py")}

    def test_that_nothing_can_be_fixed_is_kept(self, bench: Bench) -> None:
        bench.run("--fix")
        bench.run("--fix")
        before = bench.judged, bench.sought
        bench.run("--fix")
        bench.run("--diff")
        assert (bench.judged, bench.sought) == before
        bench.run("--fix", "--unsafe-fixes")
        assert (bench.judged, bench.sought) != before

    def test_changed_lines_are_another_question(self, bench: Bench) -> None:
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        git = ["git", "-c", "user.name=a", "-c", "user.email=b"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
            subprocess.run([*git, *words], cwd=bench.project, env=environment, check=True)
        bench.run("--output-format", "json")
        assert not bench.warm("--output-format", "json", "--since", "HEAD")
        assert bench.warm("--output-format", "json", "--since", "HEAD")
