"""A cache at a URL: it gives what was put there, whole or not at all, and whatever goes wrong there does no harm."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from racelint import cli, pipeline, remote
from racelint.cache import FOLDER, Use
from racelint.remote import NoSuchPlace, RemoteCache

fsspec: Any = pytest.importorskip("fsspec")
KEY, OTHER = "ab" * 32, "cd" * 32
RACE = """import threading
pods = {}
def add(key):
    if key not in pods:
        pods[key] = 1
def main():
    for _ in range(2):
        threading.Thread(target=add, args=("a",)).start()
"""


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place where nothing is yet."""
    yield "memory://racelint/cache" if request.param == "memory" else f"file://{tmp_path}/cache"
    fsspec.filesystem("memory").store.clear()


def files_at(url: str) -> tuple[Any, list[str]]:
    """The file system of a URL, and the files there."""
    system, root = fsspec.core.url_to_fs(url)
    return system, sorted(system.find(root))


class TestEntries:
    def test_what_is_put_is_got_by_another_run(self, url: str) -> None:
        first = RemoteCache(url)
        first.put(KEY, b"facts")
        assert first.get(KEY) == b"facts"
        assert RemoteCache(url).get(KEY) is None
        first.put(OTHER, b"more")
        first.settle()
        assert RemoteCache(url).get_many([KEY, OTHER, "ef" * 32]) == {KEY: b"facts", OTHER: b"more"}
        assert RemoteCache(f"{url}/").get(KEY) == b"facts"
        assert first.failure == ""

    def test_much_is_sent_at_once(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote, "SEND_BYTES", 3)
        RemoteCache(url).put(KEY, b"facts")
        assert RemoteCache(url).get(KEY) == b"facts"

    def test_a_damaged_or_misplaced_entry_is_missing(self, url: str) -> None:
        cache = RemoteCache(url)
        cache.put(KEY, b"facts")
        cache.put(OTHER, b"more")
        cache.settle()
        system, (path, other) = files_at(url)
        whole = system.cat_file(other)
        system.pipe_file(path, system.cat_file(path)[:-1])
        assert RemoteCache(url).get_many([KEY, OTHER]) == {OTHER: b"more"}
        system.pipe_file(path, whole)
        assert RemoteCache(url).get_many([KEY, OTHER]) == {OTHER: b"more"}
        cache.put(KEY, b"facts")
        cache.settle()
        assert RemoteCache(url).get(KEY) == b"facts"

    def test_use_and_clean(self, url: str) -> None:
        cache = RemoteCache(url)
        assert (cache.use(), cache.clean(), cache.use()) == (Use(0, 0), Use(0, 0), Use(0, 0))
        cache = RemoteCache(url)
        cache.put(KEY, b"facts")
        cache.settle()
        assert cache.use() == Use(1, 21)
        assert cache.clean() == Use(1, 21)
        assert (cache.use(), RemoteCache(url).get(KEY)) == (Use(0, 0), None)

    def test_nothing_that_goes_wrong_is_raised(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        cache = RemoteCache(url)

        def broken(*_args: object, **_kwargs: object) -> None:
            raise RuntimeError("the network\nis away")

        for name in ("cat", "pipe", "find", "rm"):
            monkeypatch.setattr(cache._files, name, broken)
        cache.put(KEY, b"facts")
        cache.settle()
        assert cache.failure == "the network"
        assert cache.get(KEY) is None
        assert cache.use() == cache.clean() == Use(0, 0)


def test_a_url_that_cannot_be_used() -> None:
    with pytest.raises(NoSuchPlace, match="none-such"):
        RemoteCache("none-such://x")


class TestCommands:
    def run(self, *words: str, status: int = 0) -> str:
        shown = CliRunner().invoke(cli.main, [*words], prog_name="racelint")
        assert shown.exit_code == status, shown.output
        return re.sub(r"in [\d.]+ ?s\b", "", shown.output)

    def test_a_run_finds_what_another_has_kept(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        project = tmp_path / "project"
        project.mkdir()
        (project / "app.py").write_text(RACE)
        words = ["check", "--project", str(project), "--output-format", "concise", "--jobs", "1"]
        cold = self.run(*words, "--no-cache", status=1)
        assert self.run(*words, "--cache-dir", url, status=1) == cold
        monkeypatch.setattr(pipeline, "assess", None)  # not called any more
        monkeypatch.setenv("RACELINT_CACHE_DIR", url)
        assert self.run(*words, status=1) == cold
        (project / "app.py").write_text(f"# moved\n{RACE}")
        assert "app.py:5:" in self.run(*words, status=1)
        _, kept = files_at(url)
        assert len(kept) > 2
        assert all(f"/{FOLDER}/" in path for path in kept)

    def test_info_and_clean(self, url: str, tmp_path: Path) -> None:
        (tmp_path / "project").mkdir()
        (tmp_path / "project" / "a.py").write_text("x = 1\n")
        self.run("check", "--project", str(tmp_path / "project"), "--cache-dir", url)
        assert self.run("cache", "info", "--cache-dir", url) == f"{url}\n3 files, 0.0 MB\n"
        assert self.run("cache", "clean", "--cache-dir", url) == f"removed 3 files, 0.0 MB from {url}\n"

    def test_a_place_that_cannot_be_is_wrong_usage(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        words = ["check", "--project", str(tmp_path), "--cache-dir"]
        assert "no cache can be at none-such://x" in self.run(*words, "none-such://x", status=2)
        monkeypatch.setitem(sys.modules, "fsspec", None)
        assert "pip install 'racelint[remote]'" in self.run(*words, "memory://x", status=2)
