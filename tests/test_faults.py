"""What may happen to a run: files that are none, disks that are full, projects that mean harm. It ends, and says so.

What cannot be parsed is in ``test_cli.py``, faults of the cache and of processes are in ``test_cache.py`` and
``test_workers.py``; ``docs/reliability.md`` has the list.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks.trial import trial
from racelint import config, discover, pipeline
from racelint.cli import main
from racelint.files import read_regular
from racelint.reading import read_all
from racelint.stack import with_deep_stack

RACY = """\
import threading

PODS = {}


def add(pod):
    if pod not in PODS:
        PODS[pod] = 1


threading.Thread(target=add, args=("a",)).start()
threading.Thread(target=add, args=("b",)).start()
"""
FIXED = "PODS.setdefault(pod, 1)"
SOON_S = 60


def run(*words: str) -> Result:
    """A command in this process. Whatever happens, it ends with a status and not with an exception."""
    result = CliRunner().invoke(main, list(words), prog_name="racelint")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def process(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    command = [sys.executable, "-m", "racelint", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SOON_S, **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one race."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "good.py").write_text(RACY)
    return folder


NESTED: dict[str, Callable[[int], str]] = {
    "brackets": lambda n: "x = " + "(" * n + ")" * n,
    "lists": lambda n: "x = " + "[" * n + "]" * n,
    "calls": lambda n: "x = " + "f(" * n + ")" * n,
    "chained calls": lambda n: "x = f" + "()" * n,
    "subscripts": lambda n: "x = a" + "[0]" * n,
    "attributes": lambda n: "x = a" + ".b" * n,
    "signs": lambda n: "x = " + "-" * n + "1",
    "not": lambda n: "x = " + "not " * n + "1",
    "sums": lambda n: "x = " + "1 + " * n + "1",
    "powers": lambda n: "x = " + "1 ** " * n + "1",
    "comparisons": lambda n: "x = " + "a < " * n + "1",
    "and": lambda n: "x = " + "a and " * n + "1",
    "conditionals": lambda n: "x = " + "a if b else " * n + "1",
    "lambdas": lambda n: "x = " + "lambda: " * n + "1",
    "strings": lambda n: "x = " + "'a' " * n,
    "targets": lambda n: "x = " * n + "1",
    "tuples of targets": lambda n: "(" * n + "x" + ",)" * n + " = 1",
    "elif": lambda n: "if a:\n    pass\n" + "elif b:\n    pass\n" * n,
    "if": lambda n: "".join(" " * level + "if a:\n" for level in range(n)) + " " * n + "pass",
    "try": lambda n: (
        "".join(" " * level + "try:\n" for level in range(n))
        + " " * n
        + "pass\n"
        + "".join(" " * level + "finally: pass\n" for level in reversed(range(n)))
    ),
    "with": lambda n: "".join(" " * level + "with a:\n" for level in range(n)) + " " * n + "b[0] = 1",
    "functions": lambda n: "".join(" " * level + "def f():\n" for level in range(n)) + " " * n + "pass",
    "classes": lambda n: "".join(" " * level + "class A:\n" for level in range(n)) + " " * n + "pass",
    "decorators": lambda n: "@a\n" * n + "def f(): pass",
    "comprehensions": lambda n: "x = " + "[" * n + "1" + " for a in b]" * n,
    "loops of a comprehension": lambda n: "x = [1" + " for a in b" * n + "]",
    "annotations": lambda n: "x: " + "list[" * n + "int" + "]" * n,
    "await": lambda n: "async def f():\n    " + "await " * n + "g()",
    "patterns": lambda n: "match a:\n    case " + "[" * n + "]" * n + ":\n        pass",
    "f-strings": lambda n: "x = " + "f'{" * n + "1" + "}'" * n,
}


@pytest.mark.parametrize("kind", NESTED)
def test_400_deep_nesting(kind: str, project: Path) -> None:
    source = f"import threading\n\n{NESTED[kind](400)}\n"
    (project / "deep.py").write_text(source)
    found = with_deep_stack(lambda: trial(source.encode()))
    assert found.kind in ("read", "refused"), found
    result = run("check", "--project", str(project), "--jobs", "1")
    assert result.exit_code == 1, result.output
    assert "good.py:8:" in result.stdout
    assert "internal-error" not in result.stderr
    if found.kind == "refused":
        assert re.search(rf"deep\.py:{found.line}: warning\[parse-error\]: ", result.stderr)


class TestOddFiles:
    """Things in the place of a file that is read: nothing waits, nothing reads without end."""

    KINDS = ("pipe", "endless", "folder", "huge", "gone")

    def put(self, kind: str, path: Path) -> None:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "endless":
            path.symlink_to("/dev/zero")
        elif kind == "folder":
            path.mkdir()
        elif kind == "huge":
            with path.open("wb") as stream:
                stream.truncate(100 * 1024 * 1024)
        else:
            path.symlink_to("nowhere")

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", ["bad.py", ".gitignore", "racelint.toml", "pyproject.toml", "known.toml"])
    def test_they_are_told_or_passed_over(self, project: Path, name: str, kind: str) -> None:
        if name == "known.toml":
            (project / "racelint.toml").write_text('baseline = "known.toml"\n')
        self.put(kind, project / name)
        done = process("check", "--project", str(project), "--jobs", "1")
        assert "Traceback" not in done.stderr
        if name in ("bad.py", ".gitignore") or (kind == "gone" and name != "known.toml"):
            assert done.returncode == 1
            assert "good.py:8:" in done.stdout
            assert ("bad.py" in done.stderr) == (name == "bad.py")
        else:
            assert (done.returncode, done.stdout) == (2, "")
            assert name in done.stderr

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_file_that_has_become_one_since_it_was_found(self, project: Path, kind: str) -> None:
        files, _ = discover.discover(project)
        (project / "good.py").unlink()
        self.put(kind, project / "good.py")
        (item,) = read_all(files)
        assert item.facts is None
        assert item.problem is not None
        assert (item.problem.path, item.problem.rule) == ("good.py", "unreadable-file")

    @pytest.mark.parametrize("text", [None, "", "x = 1\n", RACY * 2])
    def test_a_file_that_is_gone_or_another_when_the_report_is_written(
        self, project: Path, text: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = pipeline.judge

        def judge(*given: object, **named: object) -> object:
            result = real(*given, **named)  # type: ignore[arg-type]
            (project / "good.py").unlink()
            if text is not None:
                (project / "good.py").write_text(text)
            return result

        monkeypatch.setattr(pipeline, "judge", judge)
        for output_format in ("full", "json", "sarif", "github", "markdown"):
            (project / "good.py").write_text(RACY)
            done = run("check", "--project", str(project), "--no-edits", "--output-format", output_format)
            assert done.exit_code == 1
            assert "check-then-act" in done.stdout

    def test_a_file_that_is_gone_when_fixes_are_written(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from racelint.fix import write

        real = write.write_all

        def write_all(changes: object, folder: Path) -> None:
            (project / "good.py").unlink()
            real(changes, folder)  # type: ignore[arg-type]

        monkeypatch.setattr(write, "write_all", write_all)
        done = run("check", "--fix", "--project", str(project))
        assert (done.exit_code, list(project.iterdir())) == (2, [])
        assert "nothing was fixed: good.py cannot be read: No such file or directory" in done.stderr


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A project in a folder of somebody who may not do everything; the tests are often run by root, who may."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "good.py").write_text(RACY)
        run("check", "--project", name)  # whatever has to be imported is
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(folder, 65534, 65534)
            os.chown(folder / "good.py", 65534, 65534)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)


class TestPermissions:
    def test_files_and_folders_that_may_not_be_read(self, unprivileged: Path) -> None:
        (unprivileged / "bad.py").write_text("x = 1\n")
        (unprivileged / "closed").mkdir()
        for path in ("bad.py", "closed"):
            (unprivileged / path).chmod(0)
        done = run("check", "--project", str(unprivileged), "--jobs", "1", "--no-cache")
        (unprivileged / "closed").chmod(0o700)
        assert done.exit_code == 1
        assert "good.py:8:" in done.stdout
        assert "bad.py: warning[unreadable-file]: Permission denied" in done.stderr
        assert "closed: warning[unreadable-folder]: folder cannot be read: Permission denied" in done.stderr

    def test_a_configuration_that_may_not_be_read(self, unprivileged: Path) -> None:
        (unprivileged / "racelint.toml").write_text("jobs = 1\n")
        (unprivileged / "racelint.toml").chmod(0)
        done = run("check", "--project", str(unprivileged))
        assert done.exit_code == 2
        assert "racelint.toml: cannot be read: Permission denied" in done.stderr

    def test_a_cache_that_may_only_be_read(self, unprivileged: Path) -> None:
        cache = unprivileged / "cache"
        plain = run("check", "--project", str(unprivileged), "--no-cache")
        cache.mkdir(mode=0o500)
        done = run("check", "--project", str(unprivileged), "--cache-dir", str(cache))
        assert (done.exit_code, timeless(done.stdout)) == (1, timeless(plain.stdout))
        assert "nothing can be kept in the cache" in done.stderr

    def test_fixes_in_a_folder_that_may_only_be_read(self, unprivileged: Path) -> None:
        unprivileged.chmod(0o500)
        done = run("check", "--fix", "--project", str(unprivileged), "--no-cache")
        unprivileged.chmod(0o700)
        assert done.exit_code == 2
        assert "nothing was fixed: good.py cannot be written: Permission denied" in done.stderr
        assert (unprivileged / "good.py").read_text() == RACY


def timeless(text: str) -> str:
    """A report without how long it took."""
    return re.sub(r"in [\d.]+ ?s\b", "", text)


class TestFullDisk:
    def test_fixes_leave_the_file_as_it_was(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        for words in (["--fix"], ["--add-ignore"], ["--update-baseline", "--baseline", str(project / "known.toml")]):
            done = run("check", "--project", str(project), *words)
            assert done.exit_code == 2
            assert "No space left on device" in done.stderr
            assert [path.name for path in project.iterdir()] == ["good.py"]
            assert (project / "good.py").read_text() == RACY

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
    @pytest.mark.parametrize("output_format", ["full", "json"])
    def test_a_report_that_cannot_be_written_is_an_error(self, project: Path, output_format: str) -> None:
        words = ["check", "--project", str(project), "--output-format", output_format]
        done = run(*words, "--output-file", "/dev/full")
        assert (done.exit_code, "No space left on device" in done.stderr) == (2, True)
        with open("/dev/full", "w") as full:
            command = [sys.executable, "-m", "racelint", *words]
            shown = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (shown.returncode, "Traceback" in shown.stderr) == (2, False)
        assert "No space left on device" in shown.stderr

    def test_a_cache_on_a_full_disk(self, project: Path, tmp_path: Path) -> None:
        # Files of at most 0 bytes may be written, which fails like a full disk and needs no device.
        def limited() -> None:
            import resource
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

        plain = process("check", "--project", str(project), "--no-cache")
        words = ("check", "--project", str(project), "--cache-dir", str(tmp_path / "cache"))
        done = process(*words, preexec_fn=limited)
        assert (done.returncode, timeless(done.stdout)) == (1, timeless(plain.stdout))
        assert "nothing can be kept in the cache" in done.stderr
        assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.stat().st_size]
        assert process(*words).stderr == plain.stderr


def test_two_runs_at_once_share_a_cache(project: Path, tmp_path: Path) -> None:
    for number in range(30):
        (project / f"m{number}.py").write_text(RACY.replace("PODS", f"PODS{number}"))
    words = ("check", "--project", str(project), "--output-format", "concise", "--jobs", "2")
    plain = process(*words, "--no-cache")
    assert plain.stdout.count("check-then-act") == 31
    found: list[subprocess.CompletedProcess[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(process(*words, "--cache-dir", str(tmp_path / "cache"))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for done in (*found, process(*words, "--cache-dir", str(tmp_path / "cache"))):
        assert (done.returncode, timeless(done.stdout), done.stderr) == (1, timeless(plain.stdout), plain.stderr)
    assert len(found) == 2


# With RACELINT_FUZZ set, as for the long profile of the made-up programs, there are 100,000 of them.
FOLDERS = 200 if os.environ.get("RACELINT_FUZZ") else 30


@pytest.mark.slow
def test_very_many_files(tmp_path: Path) -> None:
    for number in range(FOLDERS):
        folder = tmp_path / f"p{number}"
        folder.mkdir()
        for other in range(500):
            (folder / f"m{other}.py").touch()
    (tmp_path / "good.py").write_text(RACY)
    done = run("check", "--project", str(tmp_path), "--no-cache")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1].startswith(f"1 finding (1 error) in {FOLDERS * 500 + 1} files")


TRAP = "import os\nopen(os.environ['TRAP'], 'a').write(__file__ + '\\n')\n"


BOMBS = {
    "nested arrays": ("exclude = " + "[" * 100_000 + "]" * 100_000, "is nested too deeply"),
    "nested tables": ("exclude = " + "{a=" * 20_000 + "1" + "}" * 20_000, "is nested too deeply"),
    "a long key": (".".join(["a"] * 20_000) + " = 1\n", ":1: has a key of more than 100 parts"),
    "a long header": ("[" + ".".join(["'a'"] * 20_000) + "]\n", ":1: has a key of more than 100 parts"),
    "many keys": ("".join(f"k{number} = 1\n" for number in range(100_000)), "is larger than 1 MB"),
    "many rows": (
        "".join(f'[[entrypoints]]\nfunction = "a.b{n}"\ncontext = "thread"\n' for n in range(10_000)),
        "",
    ),
    "many patterns": ("exclude = [" + ", ".join(f"'a{number}'" for number in range(2_000)) + "]", ""),
}


class TestUntrustedProjects:
    """A project is text to be read: nothing in it is run, and it has no say in what is written elsewhere."""

    @pytest.mark.parametrize("command", ["check", "entrypoints", "graph", "init", "rules", "fix"])
    def test_none_of_its_code_is_run(self, project: Path, tmp_path: Path, command: str) -> None:
        names = ("conftest", "setup", "sitecustomize", "usercustomize", "click", "libcst", "msgspec", "networkx", "ast")
        for name in (*names, "pathspec", "rich", "racelint_plugin", "__init__", "typing", "re", "tomllib", "tomli"):
            (project / f"{name}.py").write_text(TRAP)
        (project / "evil.pth").write_text("import conftest\n")
        (project / "multiprocessing").mkdir()
        (project / "multiprocessing" / "__init__.py").write_text(TRAP)
        (project / "pyproject.toml").write_text(
            "[build-system]\nrequires = []\nbuild-backend = 'setup'\nbackend-path = ['.']\n"
            "[project.entry-points.racelint]\nplugin = 'racelint_plugin'\n[tool.pytest.ini_options]\n"
        )
        (project / "setup.cfg").write_text("[options]\n")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        own = os.pathsep.join(path for path in sys.path if path)
        environment |= {"TRAP": str(tmp_path / "ran"), "PYTHONPATH": own, "PYTHONDONTWRITEBYTECODE": "1"}
        words = {"fix": ["check", "--fix", "--jobs", "2"], "rules": ["rules"]}.get(command, [command, "--project", "."])
        done = process(*words, cwd=project, env=environment)
        assert done.returncode in (0, 1), done.stderr
        assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()

    def test_fixes_do_not_follow_a_link_out_of_it(self, project: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside.py"
        outside.write_text(RACY)
        (project / "linked.py").symlink_to(outside)
        (project / "inside.py").symlink_to("good.py")
        done = run("check", "--fix", "--unsafe-fixes", "--project", str(project))
        assert outside.read_text() == RACY
        assert FIXED in (project / "good.py").read_text()
        assert "left linked.PODS as it is: linked.py is a link to a file outside the project" in done.stderr
        assert (project / "linked.py").is_symlink()

    def test_comments_are_not_written_through_a_link_out_of_it(self, project: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside.py"
        outside.write_text(RACY)
        (project / "good.py").unlink()
        (project / "linked.py").symlink_to(outside)
        done = run("check", "--add-ignore", "--project", str(project))
        assert done.exit_code == 2
        assert "nothing was marked: linked.py is a link to a file outside the project" in done.stderr
        assert outside.read_text() == RACY

    @pytest.mark.parametrize("name", ["../known.toml", "linked.toml"])
    def test_its_configuration_does_not_say_what_is_overwritten_elsewhere(
        self, project: Path, tmp_path: Path, name: str
    ) -> None:
        (tmp_path / "known.toml").write_text("version = 1\n")
        (project / "linked.toml").symlink_to(tmp_path / "known.toml")
        (project / "racelint.toml").write_text(f'baseline = "{name}"\n')
        done = run("check", "--update-baseline", "--project", str(project))
        assert done.exit_code == 2
        assert "the configuration names a baseline outside the project" in done.stderr
        assert (tmp_path / "known.toml").read_text() == "version = 1\n"

    @pytest.mark.parametrize("kind", BOMBS)
    def test_no_configuration_takes_long(self, project: Path, kind: str) -> None:
        text, message = BOMBS[kind]
        (project / config.CONFIG_NAME).write_text(text)
        started = time.process_time()
        if message:
            with pytest.raises(config.ConfigError, match=re.escape(message)):
                config.load(project)
        else:
            discover.discover(project, config.load(project).exclude)
        assert time.process_time() - started < 20  # minutes, before

    @pytest.mark.parametrize("pattern", ["*a*a*a*a*a*a*a*b", "**/a/**/a/**/a/**/a/**/a/**/b", "a*?*?*?*?*b"])
    def test_no_pattern_takes_long(self, project: Path, pattern: str) -> None:
        folder = project.joinpath(*["a"] * 60)
        folder.mkdir(parents=True)
        (folder / f"{'a' * 200}.py").touch()
        (project / ".gitignore").write_text(f"{pattern}\n*_*_*_pb2.py\n")
        started = time.process_time()
        files, problems = discover.discover(project)
        assert time.process_time() - started < 20
        assert [(problem.path, problem.line, problem.rule) for problem in problems] == [
            (".gitignore", 1, discover.BAD_IGNORE)
        ]
        assert len(files) == 2


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100))
    assert read_regular(tmp_path / "a", 100) == bytes(100)
    with pytest.raises(OSError, match="is larger than 0 MB"):
        read_regular(tmp_path / "a", 99)
