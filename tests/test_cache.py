"""What is kept from run to run: it is only ever what was put there, and nothing that happens to it does harm."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from racelint import cache as module
from racelint.cache import Cache
from racelint.frontends.python import version
from racelint.model.source import SourceFile
from racelint.reading import Extracted, key, read_all

KEY, OTHER = "ab" * 32, "cd" * 32
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def entry(folder: Path, key: str = KEY) -> Path:
    """The file of an entry."""
    return folder / module.FOLDER / key[:2] / key[2:]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache folder that is not there yet."""
    return tmp_path / "cache"


class TestEntries:
    def test_what_is_put_is_got_by_another_run(self, folder: Path) -> None:
        Cache(folder).put(KEY, b"facts")
        assert Cache(folder).get(KEY) == b"facts"
        assert Cache(folder).get(OTHER) is None
        assert (Cache(folder).use().entries, Cache(folder).failure) == (1, "")

    @pytest.mark.parametrize(
        "damage",
        [b"", b"x", b"\0" * 100],
        ids=["empty", "cut", "other"],
    )
    def test_a_damaged_entry_is_missing_and_can_be_put_again(self, folder: Path, damage: bytes) -> None:
        Cache(folder).put(KEY, b"facts")
        entry(folder).write_bytes(damage)
        assert Cache(folder).get(KEY) is None
        Cache(folder).put(KEY, b"facts")
        assert Cache(folder).get(KEY) == b"facts"

    def test_every_flipped_bit_is_seen(self, folder: Path) -> None:
        Cache(folder).put(KEY, b"facts")
        whole = entry(folder).read_bytes()
        for place in range(len(whole)):
            entry(folder).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert Cache(folder).get(KEY) is None

    def test_an_entry_under_another_name_is_missing(self, folder: Path) -> None:
        Cache(folder).put(KEY, b"facts")
        Cache(folder).put(OTHER, b"more")
        os.replace(entry(folder), entry(folder, OTHER))
        assert Cache(folder).get(OTHER) is None

    def test_a_folder_in_the_place_of_an_entry(self, folder: Path) -> None:
        entry(folder).mkdir(parents=True)
        cache = Cache(folder)
        assert cache.get(KEY) is None
        cache.put(KEY, b"facts")
        assert cache.failure
        assert list(entry(folder).parent.iterdir()) == [entry(folder)]

    def test_runs_at_the_same_time_see_whole_entries(self, folder: Path) -> None:
        contents = [bytes([number]) * 200_000 for number in range(4)]
        seen: set[bytes | None] = set()

        def write(content: bytes) -> None:
            for _ in range(25):
                cache = Cache(folder, limit=300_000)
                cache.put(KEY, content)
                seen.add(cache.get(KEY))
                cache.put(OTHER, content)
                cache.settle()

        threads = [threading.Thread(target=write, args=(content,)) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen - {None} <= set(contents)
        assert seen - {None}
        assert not list(folder.rglob(f"*{module.TEMPORARY}"))


class TestSize:
    def test_what_was_used_longest_ago_goes_first(self, folder: Path) -> None:
        keys = [f"{number:02x}" * 32 for number in range(4)]
        for age, name in enumerate(keys):
            Cache(folder).put(name, bytes(1000))
            os.utime(entry(folder, name), (1e9 - age, 1e9 - age))
        assert Cache(folder).get(keys[3]) is not None  # the oldest is used once more
        cache = Cache(folder, limit=2500)
        cache.put(KEY, bytes(1000))
        cache.settle()
        assert [name for name in [*keys, KEY] if Cache(folder).get(name)] == [keys[3], KEY]

    def test_a_run_that_writes_nothing_removes_nothing(self, folder: Path) -> None:
        Cache(folder).put(KEY, bytes(1000))
        Cache(folder, limit=1).settle()
        assert Cache(folder).get(KEY) is not None

    def test_what_a_killed_run_left_is_removed(self, folder: Path) -> None:
        Cache(folder).put(KEY, b"facts")
        old, new = (entry(folder).with_name(f"{name}{module.TEMPORARY}") for name in ("old", "new"))
        old.touch()
        new.touch()
        os.utime(old, (1e9, 1e9))
        cache = Cache(folder)
        cache.put(OTHER, b"facts")
        cache.settle()
        assert (old.exists(), new.exists()) == (False, True)


class TestFolder:
    def test_other_tools_are_told_what_it_is(self, folder: Path) -> None:
        Cache(folder).put(KEY, b"facts")
        tag = (folder / module.FOLDER / "CACHEDIR.TAG").read_bytes()
        assert tag.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
        subprocess.run(["git", "init", "-q", folder.parent], check=True)
        status = subprocess.run(["git", "status", "--porcelain"], cwd=folder.parent, capture_output=True, check=True)
        assert status.stdout == b""

    def test_a_folder_with_other_things_keeps_them(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "mine").touch()
        Cache(folder).put(KEY, b"facts")
        assert {path.name for path in folder.iterdir()} == {"mine", module.FOLDER}
        assert Cache(folder).clean().entries == 1
        assert {path.name for path in folder.iterdir()} == {"mine"}

    def test_a_file_in_its_place(self, folder: Path) -> None:
        folder.touch()
        cache = Cache(folder)
        cache.put(KEY, b"facts")
        cache.settle()
        assert cache.get(KEY) is None
        assert cache.failure
        assert cache.clean().entries == 0

    @pytest.mark.skipif(ROOT or sys.platform == "win32", reason="root may write everywhere")
    def test_a_folder_that_cannot_be_written(self, folder: Path) -> None:
        Cache(folder).put(KEY, b"facts")
        for path in (folder / module.FOLDER, entry(folder).parent):
            path.chmod(0o500)
        cache = Cache(folder)
        cache.put(OTHER, b"more")
        for path in (folder / module.FOLDER, entry(folder).parent):
            path.chmod(0o700)
        assert (cache.get(KEY), cache.get(OTHER), cache.failure) == (b"facts", None, "Permission denied")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
    def test_a_full_disk(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Cache(folder).put(OTHER, b"facts")
        made: list[Path] = []

        def full(_self: Cache, path: str) -> int:
            made.append(Path(path))
            made[-1].parent.mkdir(exist_ok=True)
            made[-1].touch()
            return os.open("/dev/full", os.O_WRONLY)

        monkeypatch.setattr(Cache, "_new", full)
        cache = Cache(folder)
        cache.put(KEY, b"facts")
        cache.put(KEY, b"facts")
        assert cache.failure == "No space left on device"
        assert len(made) == 1
        assert not made[0].exists()
        assert cache.get(OTHER) == b"facts"


class TestFacts:
    """What the reader keeps: facts of files, by everything they depend on."""

    def file(self, tmp_path: Path, text: str, module: str = "pkg.a", is_package: bool = False) -> SourceFile:
        path = tmp_path / "a.py"
        path.write_text(text)
        return SourceFile(path, "a.py", module, is_package)

    def read(self, file: SourceFile, folder: Path) -> Extracted:
        (found,) = read_all([file], cache=Cache(folder))
        return found

    def test_facts_are_extracted_once(self, tmp_path: Path, folder: Path) -> None:
        file = self.file(tmp_path, "import threading\nPODS = {}\n\ndef f(x, *, y=1):\n    PODS[x] = [y, b'0', 1j]\n")
        first, second = self.read(file, folder), self.read(file, folder)
        assert (first.cached, second.cached) == (False, True)
        assert first.facts == second.facts == read_all([file])[0].facts != None  # noqa: E711

    @pytest.mark.parametrize("text", ["def (:\n", "x = 1\n# coding: nonsense\n", "x = " + "(" * 300, "\xff"])
    def test_what_cannot_be_parsed_is_remembered_too(self, tmp_path: Path, folder: Path, text: str) -> None:
        file = self.file(tmp_path, "")
        file.path.write_bytes(text.encode("latin-1"))
        first, second = self.read(file, folder), self.read(file, folder)
        assert second.cached
        assert (first.facts, first.problem) == (second.facts, second.problem)

    def test_the_key_is_made_of_all_that_facts_depend_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = self.file(tmp_path, "")
        keys = [
            key(file, b"x"),
            key(file, b"y"),
            key(self.file(tmp_path, "", "pkg.b"), b"x"),
            key(self.file(tmp_path, "", is_package=True), b"x"),
        ]
        monkeypatch.setattr("racelint.reading.version", lambda: "another")
        keys.append(key(file, b"x"))
        assert len(set(keys)) == 5

    def test_the_key_does_not_depend_on_where_a_file_lies(self, tmp_path: Path) -> None:
        there = SourceFile(tmp_path / "elsewhere.py", "elsewhere.py", "pkg.a")
        assert key(there, b"x") == key(self.file(tmp_path, ""), b"x")

    def test_a_bug_is_not_remembered(self, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = self.file(tmp_path, "x = 1\n")
        with monkeypatch.context() as patch:

            def broken(*_: object, **__: object) -> None:
                raise KeyError("x")

            patch.setattr("racelint.frontends.python.extract.extract", broken)
            problem = self.read(file, folder).problem
            assert problem is not None
            assert problem.rule == "internal-error"
        again = self.read(file, folder)
        assert (again.cached, again.problem) == (False, None)

    @pytest.mark.parametrize("content", [b"", b"\xc1", b"\x92\xc0\xc0", b"\x91\x93\x01", b"\x80"])
    def test_content_that_is_no_facts_is_replaced(self, tmp_path: Path, folder: Path, content: bytes) -> None:
        file = self.file(tmp_path, "x = 1\n")
        name = key(file, b"x = 1\n")
        Cache(folder).put(name, content)
        found = self.read(file, folder)
        assert (found.cached, found.facts is None) == (False, False)
        assert self.read(file, folder).cached

    def test_all_code_that_takes_part_in_extraction_is_part_of_the_version(self) -> None:
        script = "import racelint.frontends.python.extract, sys; print(*sys.modules)"
        shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        packages = {"racelint", "racelint.model", "racelint.frontends", "racelint.frontends.python"}
        imported = {name for name in shown.stdout.split() if name.partition(".")[0] == "racelint"}
        assert imported - packages == {f"{package}.{name.removesuffix('.py')}" for package, name in version.SOURCES}

    def test_the_version_names_what_else_it_depends_on(self) -> None:
        from libcst._version import __version__

        assert f"libcst {__version__}" in version.version()
        assert ".".join(map(str, sys.version_info[:3])) in version.version()
