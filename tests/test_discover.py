"""Which files are found and what they are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from racelint import discover
from racelint.discover import module_aliases
from racelint.model.source import Problem, source_lines


def tree(root: Path, *paths: str) -> Path:
    """Empty files at ``paths`` (folders where they end in a slash)."""
    for path in paths:
        if path.endswith("/"):
            (root / path).mkdir(parents=True, exist_ok=True)
        else:
            write(root, path, "")
    return root


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


def modules(project: Path, *exclude: str) -> dict[str, str]:
    """Display path to module name; there must be no problem."""
    files, problems = discover.discover(project, exclude)
    assert problems == []
    assert [file.display for file in files] == sorted(file.display for file in files)
    assert len({file.module for file in files}) == len(files)
    return {file.display: file.module for file in files}


def aliases(project: Path) -> dict[str, str]:
    return module_aliases(discover.discover(project)[0])


class TestNames:
    """Module names."""

    def test_packages_modules_and_scripts(self, tmp_path: Path) -> None:
        tree(tmp_path, "pkg/__init__.py", "pkg/a.py", "pkg/sub/__init__.py", "pkg/sub/__main__.py", "run.py", "x.txt")
        assert modules(tmp_path) == {
            "pkg/__init__.py": "pkg",
            "pkg/a.py": "pkg.a",
            "pkg/sub/__init__.py": "pkg.sub",
            "pkg/sub/__main__.py": "pkg.sub.__main__",
            "run.py": "run",
        }
        packages = {file.display for file in discover.discover(tmp_path)[0] if file.is_package}
        assert packages == {"pkg/__init__.py", "pkg/sub/__init__.py"}

    def test_src_layout(self, tmp_path: Path) -> None:
        tree(tmp_path, "pyproject.toml", "src/pkg/__init__.py", "src/pkg/a.py", "tests/test_a.py")
        assert modules(tmp_path) == {
            "src/pkg/__init__.py": "pkg",
            "src/pkg/a.py": "pkg.a",
            "tests/test_a.py": "tests.test_a",
        }
        assert aliases(tmp_path) == {"src.pkg": "pkg", "src.pkg.a": "pkg.a", "test_a": "tests.test_a"}

    def test_a_package_named_src(self, tmp_path: Path) -> None:
        tree(tmp_path, "src/__init__.py", "src/a.py")
        assert modules(tmp_path) == {"src/__init__.py": "src", "src/a.py": "src.a"}

    def test_namespace_packages(self, tmp_path: Path) -> None:
        tree(tmp_path, "ns/one/__init__.py", "ns/one/a.py", "ns/two/b.py")
        assert list(modules(tmp_path).values()) == ["ns.one", "ns.one.a", "ns.two.b"]
        assert aliases(tmp_path) == {
            "b": "ns.two.b",
            "one": "ns.one",
            "one.a": "ns.one.a",
            "two.b": "ns.two.b",
        }

    def test_the_project_is_a_package_itself(self, tmp_path: Path) -> None:
        project = tree(tmp_path / "operator_x", "__init__.py", "a.py", "sub/__init__.py", "sub/b.py")
        assert modules(project) == {
            "__init__.py": "operator_x",
            "a.py": "operator_x.a",
            "sub/__init__.py": "operator_x.sub",
            "sub/b.py": "operator_x.sub.b",
        }
        assert aliases(project) == {"a": "operator_x.a", "sub": "operator_x.sub", "sub.b": "operator_x.sub.b"}

    def test_the_project_lies_inside_a_package(self, tmp_path: Path) -> None:
        tree(tmp_path, "top/__init__.py", "top/mid/__init__.py", "top/mid/a.py")
        assert modules(tmp_path / "top/mid") == {"__init__.py": "top.mid", "a.py": "top.mid.a"}

    def test_several_roots_in_one_repository(self, tmp_path: Path) -> None:
        tree(
            tmp_path,
            "libs/one/pyproject.toml",
            "libs/one/one/__init__.py",
            "libs/one/one/a.py",
            "libs/two/setup.py",
            "libs/two/src/two/__init__.py",
            "app/main.py",
        )
        assert modules(tmp_path) == {
            "app/main.py": "app.main",
            "libs/one/one/__init__.py": "one",
            "libs/one/one/a.py": "one.a",
            "libs/two/setup.py": "setup",
            "libs/two/src/two/__init__.py": "two",
        }

    def test_a_root_that_is_a_package_is_named_with_it(self, tmp_path: Path) -> None:
        tree(tmp_path, "plug/__init__.py", "plug/in/__init__.py", "plug/in/setup.py", "plug/in/a.py")
        assert modules(tmp_path)["plug/in/a.py"] == "plug.in.a"
        tree(tmp_path / "x", "libs/foo/__init__.py", "libs/foo/setup.py", "libs/foo/a.py")
        assert modules(tmp_path / "x")["libs/foo/a.py"] == "foo.a"

    def test_one_name_in_two_roots_moves_both_packages(self, tmp_path: Path) -> None:
        for root in ("one", "two"):
            tree(tmp_path, f"{root}/setup.cfg", f"{root}/pyproject.toml", f"{root}/pkg/a.py", f"{root}/{root}.py")
        tree(tmp_path, "one/pkg/only.py")
        assert modules(tmp_path) == {
            "one/one.py": "one",
            "one/pkg/a.py": "one.pkg.a",
            "one/pkg/only.py": "one.pkg.only",
            "two/pkg/a.py": "two.pkg.a",
            "two/two.py": "two",
        }
        found = aliases(tmp_path)
        assert found["pkg.only"] == "one.pkg.only"
        assert "pkg.a" not in found

    def test_a_module_beside_a_package_of_its_name(self, tmp_path: Path) -> None:
        tree(tmp_path, "x.py", "x/__init__.py", "a.b.py", "a/b.py")
        assert modules(tmp_path) == {"a.b.py": "a.b#2", "a/b.py": "a.b", "x.py": "x#2", "x/__init__.py": "x"}

    def test_names_that_are_not_utf8(self, tmp_path: Path) -> None:
        try:
            (tmp_path / os.fsdecode(b"caf\xe9.py")).write_text("")
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
        assert modules(tmp_path) == {"caf\\xe9.py": "caf\\xe9"}


class TestAliases:
    """Other names for modules."""

    def test_scripts_import_each_other_by_bare_name(self, tmp_path: Path) -> None:
        tree(tmp_path, "tools/lock.py", "tools/sub/deep.py", "pkg/__init__.py", "pkg/inner.py")
        assert aliases(tmp_path) == {"deep": "tools.sub.deep", "lock": "tools.lock", "sub.deep": "tools.sub.deep"}

    def test_ambiguous_names_are_left_out(self, tmp_path: Path) -> None:
        tree(tmp_path, "a/util.py", "b/util.py")
        assert aliases(tmp_path) == {}

    def test_real_names_and_their_packages_win(self, tmp_path: Path) -> None:
        tree(tmp_path, "util.py", "a/util.py", "ns/x.py", "b/ns.py")
        assert aliases(tmp_path) == {"x": "ns.x"}

    def test_the_standard_library_and_reserved_names_win(self, tmp_path: Path) -> None:
        tree(tmp_path, "a/queue.py", "b/kopf.py", "c/json/__init__.py")
        files, _ = discover.discover(tmp_path)
        assert module_aliases(files) == {"kopf": "b.kopf"}
        assert module_aliases(files, {"kopf"}) == {}


class TestIgnored:
    """What is left out."""

    def test_folders_of_tools(self, tmp_path: Path) -> None:
        tree(
            tmp_path,
            *(f"{name}/x.py" for name in (".git", ".hg", ".tox", ".nox", ".venv", "node_modules", "__pycache__")),
            "env/pyvenv.cfg",
            "env/lib/x.py",
            "conda/conda-meta/",
            "conda/x.py",
            "venv/x.py",
            "build/x.py",
            "dist.py",
        )
        assert list(modules(tmp_path)) == ["build/x.py", "dist.py", "venv/x.py"]

    def test_a_project_that_is_an_environment_was_asked_for(self, tmp_path: Path) -> None:
        assert list(modules(tree(tmp_path, "pyvenv.cfg", "x.py"))) == ["x.py"]

    def test_gitignore_at_every_level(self, tmp_path: Path) -> None:
        tree(tmp_path, "gen.py", "keep.py", "a/gen.py", "a/gen2.py", "a/b/gen.py", "build/x.py", "a/top.py", "top.py")
        write(tmp_path, ".gitignore", "gen.py\nbuild/\n/top.py\n")
        write(tmp_path, "a/.gitignore", "gen2.py\n# gen.py\n")
        write(tmp_path, "a/b/.gitignore", "!gen.py\n")
        assert list(modules(tmp_path)) == ["a/b/gen.py", "a/top.py", "keep.py"]

    def test_nothing_comes_back_from_an_ignored_folder(self, tmp_path: Path) -> None:
        write(tmp_path, ".gitignore", "build/\n!build/keep.py\n")
        assert modules(tree(tmp_path, "build/keep.py")) == {}

    def test_ignore_files_above_the_project(self, tmp_path: Path) -> None:
        tree(tmp_path, ".git/", "a/b/gen.py", "a/b/local.py", "a/b/x.py", "a/b/c/x.py")
        write(tmp_path, ".gitignore", "gen.py\n/a/b/c\n")
        write(tmp_path, ".git/info/exclude", "local.py\n")
        assert list(modules(tmp_path / "a/b")) == ["x.py"]
        assert list(modules(tmp_path)) == ["a/b/x.py"]

    def test_a_project_in_an_ignored_folder_was_asked_for(self, tmp_path: Path) -> None:
        tree(tmp_path, ".git/", "cache/wheel/pkg/x.py")
        write(tmp_path, ".gitignore", "cache/\n*.py\n")
        assert list(modules(tmp_path / "cache/wheel")) == ["pkg/x.py"]
        assert modules(tmp_path) == {}

    def test_ignore_files_outside_a_repository_do_not_count(self, tmp_path: Path) -> None:
        tree(tmp_path, "a/x.py")
        write(tmp_path, ".gitignore", "x.py\n")
        assert list(modules(tmp_path / "a")) == ["x.py"]

    def test_exclude_is_relative_to_the_project(self, tmp_path: Path) -> None:
        tree(tmp_path, "x.py", "a/x.py", "a/y_pb2.py", "vendor/z.py")
        assert list(modules(tmp_path, "/x.py", "*_pb2.py", "vendor/")) == ["a/x.py"]
        write(tmp_path, ".gitignore", "!/vendor\n")
        assert "vendor/z.py" not in modules(tmp_path, "vendor/")

    def test_patterns_that_mean_nothing_are_told(self, tmp_path: Path) -> None:
        tree(tmp_path, "x.py", "y.py")
        write(tmp_path, ".gitignore", "x.py\n!\n")
        files, problems = discover.discover(tmp_path, ("!",))
        assert [file.display for file in files] == ["y.py"]
        assert [(item.path, item.line, item.rule) for item in problems] == [
            (".gitignore", 2, "bad-ignore-file"),
            ("exclude", 1, "bad-ignore-file"),
        ]


class TestProblems:
    """What cannot be looked at is told, and the rest is found."""

    def found(self, project: Path) -> tuple[list[str], list[tuple[str, str]]]:
        files, problems = discover.discover(project)
        return [file.display for file in files], [(item.path, item.rule) for item in problems]

    def test_an_empty_project(self, tmp_path: Path) -> None:
        assert self.found(tmp_path) == ([], [])

    def test_links(self, tmp_path: Path) -> None:
        project = tree(tmp_path / "p", "x.py", "a/y.py")
        tree(tmp_path, "other/z.py", "lone.py")
        (project / "a/up").symlink_to("..")
        (project / "self").symlink_to("self")
        (project / "self.py").symlink_to("self.py")
        (project / "gone.py").symlink_to("nowhere")
        (project / "gone").symlink_to("nowhere")
        (project / "again").symlink_to("a")
        (project / "out").symlink_to("../other")
        (project / "lone.py").symlink_to("../lone.py")
        files, problems = self.found(project)
        assert files == ["a/y.py", "lone.py", "x.py"]
        assert problems == [
            ("a/up", "symlink-loop"),
            ("gone.py", "unreadable-file"),
            ("out", "symlink-outside"),
            ("self.py", "unreadable-file"),
        ]

    def test_ignored_links_are_not_told(self, tmp_path: Path) -> None:
        (tmp_path / "out").symlink_to("/")
        write(tmp_path, ".gitignore", "out\n")
        assert self.found(tmp_path) == ([], [])

    def test_things_that_are_no_files(self, tmp_path: Path) -> None:
        tree(tmp_path, "x.py/inner.py", "ok.py")
        os.mkfifo(tmp_path / "pipe.py")
        files, problems = self.found(tmp_path)
        assert files == ["ok.py", "x.py/inner.py"]
        assert problems == [("pipe.py", "unreadable-file"), ("x.py", "unreadable-file")]

    def test_a_gitignore_that_is_no_file(self, tmp_path: Path) -> None:
        assert self.found(tree(tmp_path, ".gitignore/", "x.py")) == (["x.py"], [])

    def test_huge_files(self, tmp_path: Path) -> None:
        for name, size in (("big.py", discover.MAX_BYTES), ("huge.py", discover.MAX_BYTES + 1)):
            with (tmp_path / name).open("wb") as file:
                file.truncate(size)
        files, problems = discover.discover(tmp_path)
        assert [file.display for file in files] == ["big.py"]
        message = "20 MB is too large to be analysed (the limit is 20 MB)"
        assert problems == [Problem("huge.py", 0, "huge-file", message)]

    def test_folders_that_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        project = tree(tmp_path, "closed/x.py", "open/y.py")
        scandir = os.scandir

        def refusing(path: str) -> object:
            if str(path).endswith("closed"):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refusing)
        files, problems = discover.discover(project)
        assert [file.display for file in files] == ["open/y.py"]
        assert problems == [Problem("closed", 0, "unreadable-folder", "folder cannot be read: Permission denied")]

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        assert self.found(tmp_path / "gone") == ([], [(".", "unreadable-folder")])

    def test_deep_trees(self, tmp_path: Path) -> None:
        deep = tmp_path.joinpath(*["d"] * 400)
        deep.mkdir(parents=True)
        (deep / "x.py").write_text("")
        (name,) = modules(tmp_path)
        assert name.count("/") == 400


def test_lines_are_split_where_python_splits_them() -> None:
    assert source_lines(b"a\n\x0cb\r\nc\rd\x1c\xe2\x80\xa8\n") == ["a", "\x0cb", "c", "d\x1c\u2028", ""]
    assert source_lines(b"# coding: latin-1\n\xe9") == ["# coding: latin-1", "é"]
    assert source_lines(b"\xef\xbb\xbfx") == ["x"]
    assert source_lines(b"# coding: nonsense\n\xe9") == ["# coding: nonsense", "\ufffd"]
