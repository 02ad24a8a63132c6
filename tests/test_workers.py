"""Processes that work for this one: they answer like a call, fail alone, and never stay behind."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

import racelint
from racelint import reading, workers
from racelint.cache import Cache
from racelint.model.source import SourceFile
from racelint.reading import read_all
from racelint.stack import with_deep_stack
from racelint.workers import WorkerDied, Workers

WAIT_S = 60
FIXTURES = Path(racelint.__file__).parent.parent / "fixtures"


@pytest.fixture
def pool() -> Iterator[Workers]:
    """Two processes, started when they are used."""
    with Workers(2) as made:
        yield made


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until_gone(pids: list[int]) -> None:
    """Fail when one of the processes is still there after a while."""
    end = time.monotonic() + WAIT_S
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < end, "a process has stayed behind"
        time.sleep(0.02)


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks for processes in /proc")


class TestCalls:
    def test_calls_are_made_in_other_processes(self, pool: Workers) -> None:
        pids = {pool.submit(os.getpid).result() for _ in range(5)}
        assert os.getpid() not in pids
        assert len(pids) <= 2
        assert pool.submit(int, "ff", base=16).result() == 255
        assert pool.submit(len, bytes(3_000_000)).result() == 3_000_000

    def test_errors_come_back(self, pool: Workers) -> None:
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "x").result()
        assert pool.submit(int, "1").result() == 1

    def test_what_prints_does_no_harm(self, pool: Workers) -> None:
        assert pool.submit(os.write, 1, b"\n").result() == 1
        assert pool.submit(print, "").result() is None
        assert pool.submit(abs, -1).result() == 1

    def test_a_lost_process_costs_one_call(self, pool: Workers) -> None:
        with Workers(1) as one:
            pid = one.submit(os.getpid).result()
            with pytest.raises(WorkerDied, match=r"^ended "):
                one.submit(os.kill, pid, getattr(signal, "SIGKILL", signal.SIGTERM)).result()
            assert one.submit(os.getpid).result() != pid
        with pytest.raises(WorkerDied, match=r"^ended with status 3$"):
            pool.submit(os._exit, 3).result()
        assert [pool.submit(abs, -number).result() for number in range(8)] == list(range(8))

    def test_nothing_is_imported_from_the_current_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("pickle", "multiprocessing", "sitecustomize", "usercustomize", "signal", "racelint"):
            (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        with Workers(1) as pool:
            assert pool.submit(abs, -1).result() == 1
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("executable", ["/does/not/exist", "false"])
    def test_where_none_can_work_none_is_tried_again(self, executable: str, monkeypatch: pytest.MonkeyPatch) -> None:
        found = shutil.which(executable) or executable
        if executable == "false" and found == executable:
            pytest.skip("needs a program that fails")
        monkeypatch.setattr(sys, "executable", found)
        started: list[object] = []
        real = workers._start
        monkeypatch.setattr(workers, "_start", lambda: started.append(None) or real())  # type: ignore[func-returns-value]
        with Workers(1) as pool:
            for _ in range(5):
                with pytest.raises(WorkerDied, match="cannot be started" if executable != "false" else "status 1"):
                    pool.submit(abs, -1).result()
        assert len(started) == 1

    @needs_proc
    def test_they_end_with_the_pool(self) -> None:
        with Workers(2) as pool:
            pids = [pool.submit(os.getpid).result() for _ in range(4)]
        assert not any(map(alive, pids))

    @needs_proc
    def test_stop_ends_them_at_once(self) -> None:
        pool = Workers(2)
        pids = [pool.submit(os.getpid).result() for _ in range(4)]
        futures = [pool.submit(time.sleep, 10 * WAIT_S) for _ in range(6)]
        time.sleep(0.1)
        pool.stop()
        assert not any(map(alive, pids))
        for future in futures:
            with pytest.raises(CancelledError):
                future.result(WAIT_S)
        pool.stop()


PROGRAM = """\
import os, signal, sys, threading, time
from racelint.workers import Workers
signal.signal(signal.SIGINT, signal.default_int_handler)
pool = Workers(2)
try:
    pids = {pool.submit(os.getpid).result() for _ in range(20)}
    for _ in range(6):
        pool.submit(time.sleep, 600)
    time.sleep(0.2)
    print(*pids, flush=True)
    threading.Event().wait()
finally:
    pool.stop()
"""


@needs_proc
class TestTheEnd:
    def test_nothing_stays_behind_an_interruption(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert pids
        assert all(map(alive, pids))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT_S)
        wait_until_gone(pids)

    def test_idle_ones_end_when_their_parent_is_killed(self) -> None:
        program = PROGRAM.replace("pool.submit(time.sleep, 600)", "pool.submit(abs, 1)")
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        process.kill()
        process.communicate(timeout=WAIT_S)
        assert pids
        wait_until_gone(pids)


class Dying(Executor):
    """Loses every second call."""

    def __init__(self) -> None:
        self.calls = 0

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        from concurrent.futures import Future

        self.calls += 1
        future: Future[object] = Future()
        if self.calls % 2:
            future.set_exception(WorkerDied("ended by signal 9"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


DASK = """
import sys
from functools import partial
from pathlib import Path

from distributed import Client, LocalCluster

from racelint import config, pipeline, reading


def main():
    reading.WORTH_SHARING_BYTES = 1
    project = Path(sys.argv[1])
    settings = config.load(project)
    alone = pipeline.analyse(project, settings)
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster, Client(cluster) as client:
        read = partial(reading.read_all, executor=client.get_executor())
        found = pipeline.analyse(project, settings, read=read)
        assert sum(client.run(lambda: "libcst" in __import__("sys").modules).values()), "nothing was done there"
    print("the same" if (found.findings, found.problems) == (alone.findings, alone.problems) else "something else")


if __name__ == "__main__":
    main()
"""


class TestReading:
    @pytest.fixture
    def files(self, tmp_path: Path) -> list[SourceFile]:
        """Some files of different size, two of which have no facts."""
        found = []
        for number in range(6):
            path = tmp_path / f"m{number}.py"
            path.write_text(f"X{number} = {{}}\n" + f"def f(a):\n    X{number}[a] = {number}\n" * (number + 1))
            found.append(SourceFile(path, path.name, f"m{number}"))
        found[2].path.write_text("def (:\n")
        found[4].path.unlink()
        return found

    @pytest.mark.parametrize("kind", ["workers", "threads", "processes", "dying"])
    def test_any_executor_gives_the_same(
        self, kind: str, files: list[SourceFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "WORTH_SHARING_BYTES", 1)
        expected = read_all(files)
        assert [item.file for item in expected] == files
        executor: Executor = Workers(2)
        if kind == "processes":
            executor = ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
        elif kind != "workers":
            executor = Dying() if kind == "dying" else ThreadPoolExecutor(2)
        said: list[str] = []
        with executor:
            assert read_all(files, executor=executor, tell=said.append, cache=Cache(tmp_path / "c")) == expected
        lost = "the process that was to read m1.py and 2 more ended by signal 9: that is done again, by this one"
        assert said == ([lost] if kind == "dying" else [])
        warm = read_all(files, cache=Cache(tmp_path / "c"))
        assert [(item.facts, item.problem, item.text, item.source) for item in warm] == [
            (item.facts, item.problem, item.text, item.source) for item in expected
        ]

    def test_deeply_nested_source_is_the_same_in_any_thread(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "WORTH_SHARING_BYTES", 1)
        files = []
        for number, depth in enumerate((400, 2500, 400, 2500)):
            path = tmp_path / f"m{number}.py"
            path.write_text(f"x = {'[' * depth}{number}{']' * depth}\n")
            files.append(SourceFile(path, path.name, f"m{number}"))
        before = sys.getrecursionlimit(), threading.stack_size()
        expected = with_deep_stack(lambda: read_all(files))
        processes = ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
        for executor in (Workers(2), ThreadPoolExecutor(3), processes):
            with executor:
                assert read_all(files, executor=executor) == expected
        assert (sys.getrecursionlimit(), threading.stack_size()) == before

    @pytest.mark.network
    @pytest.mark.slow
    def test_a_cluster_of_dask(self, tmp_path: Path) -> None:
        there = tmp_path / "lib"
        pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(there), "distributed"]
        subprocess.run(pip, check=True)
        program = tmp_path / "program.py"
        program.write_text(DASK)
        roots = [str(Path(racelint.__file__).parent.parent), str(there)]
        shown = subprocess.run(
            [sys.executable, str(program), str(FIXTURES / "submariner")],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(roots)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        assert shown.stdout == "the same\n"

    def test_the_largest_files_are_begun_first(self, files: list[SourceFile], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "WORTH_SHARING_BYTES", 1)
        sizes: list[int] = []

        class Noting(ThreadPoolExecutor):
            def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
                sizes.append(len(args[0]))
                return super().submit(fn, *args, **kwargs)

        with Noting(1) as executor:
            read_all(files, executor=executor)
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) == 5

    def test_few_files_are_read_here(self, files: list[SourceFile], monkeypatch: pytest.MonkeyPatch) -> None:
        def start() -> None:
            raise AssertionError("a process was started")

        monkeypatch.setattr(workers, "_start", start)
        with Workers(2) as executor:
            assert read_all(files, executor=executor) == read_all(files)
