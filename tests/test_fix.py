"""Fixes: where the lock goes, what is refused, and that a file keeps everything else it had."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from racelint import config, mend, select
from racelint.cli import main
from racelint.fix import write
from racelint.mend import Mended

ROOT = Path(__file__).parent.parent
HEAD = """\
import threading

CACHE = {}


def start():
    threading.Thread(target=work).start()
    threading.Thread(target=work).start()


"""
WORK = """\
def work():
    if "a" not in CACHE:
        CACHE["a"] = object()
"""
HELD = """\
def work():
    with _cache_lock:
        if "a" not in CACHE:
            CACHE["a"] = object()
"""


def mended(folder: Path, *, unsafe: bool = True, library: bool = False) -> Mended:
    """The fixes for everything that is reported in a folder."""
    settings = config.load(folder)
    settings = dataclasses.replace(settings, library=library or settings.library)
    return mend.mend(folder, settings, lambda finding: select.is_grave(finding, settings), unsafe=unsafe)


def fixed(folder: Path, source: str | bytes, **options: bool) -> str:
    """What becomes of a program of one file; the text as it was when nothing is done."""
    data = source.encode() if isinstance(source, str) else source
    (folder / "main.py").write_bytes(data)
    result = mended(folder, **options)
    return (result.changes[0].new if result.changes else data).decode()


def test_submariner_gets_one_lock(tmp_path: Path) -> None:
    """The crash it began with: a lock beside the dictionary, held from the look to the insert, and nothing else."""
    folder = tmp_path / "submariner"
    shutil.copytree(ROOT / "fixtures" / "submariner", folder)
    runner = CliRunner()
    before = {path: path.read_bytes() for path in folder.rglob("*.py")}
    first = runner.invoke(main, ["check", "--fix", "--project", str(folder)])
    assert first.exit_code == 0, first.output
    changed = [path for path, text in before.items() if path.read_bytes() != text]
    assert [path.name for path in changed] == ["images.py"]
    old, new = before[changed[0]].decode().splitlines(), changed[0].read_text().splitlines()
    assert [line.strip() for line in new if line.strip() not in {line.strip() for line in old}] == [
        "import threading",
        "_logged_images_lock = threading.Lock()",
        "with _logged_images_lock:",
    ]
    text = changed[0].read_bytes()
    assert runner.invoke(main, ["check", "--fix", "--project", str(folder)]).exit_code == 0
    assert changed[0].read_bytes() == text


def test_the_difference_is_shown_and_nothing_written(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + WORK)
    result = CliRunner().invoke(main, ["check", "--diff", "--project", str(tmp_path)])
    assert result.exit_code == 1
    assert "+_cache_lock = threading.Lock()" in result.stdout
    assert (tmp_path / "main.py").read_text() == HEAD + WORK


def test_a_safe_fix_for_a_module_dictionary(tmp_path: Path) -> None:
    wanted = HEAD.replace("CACHE = {}\n", "CACHE = {}\n_cache_lock = threading.Lock()\n") + HELD
    assert fixed(tmp_path, HEAD + WORK, unsafe=False) == wanted


def test_a_slow_call_makes_it_unsafe(tmp_path: Path) -> None:
    source = HEAD.replace("import threading", "import socket\nimport threading") + WORK.replace(
        "object()", 'socket.create_connection(("host", 1))'
    )
    assert fixed(tmp_path, source, unsafe=False) == source
    assert "with _cache_lock:" in fixed(tmp_path, source, unsafe=True)


def test_no_lock_over_a_yield(tmp_path: Path) -> None:
    source = HEAD.replace("target=work", "target=use") + textwrap.dedent(
        """\
        def use():
            for _ in work():
                pass


        def work():
            if "a" not in CACHE:
                yield 1
                CACHE["a"] = object()
        """
    )
    assert fixed(tmp_path, source) == source
    (left,) = mended(tmp_path).left
    assert "over a yield" in left.reason


def test_a_region_that_reaches_itself_needs_a_reentrant_lock(tmp_path: Path) -> None:
    source = HEAD + textwrap.dedent(
        """\
        def work():
            if "a" not in CACHE:
                CACHE["a"] = deeper()


        def deeper():
            if "b" not in CACHE:
                CACHE["b"] = object()
            return 1
        """
    )
    assert "_cache_lock = threading.RLock()" in fixed(tmp_path, source)


EARLY = """\
import threading


class Base:
    def __init__(self):
        self.reset()

    def reset(self):
        pass


class Counter(Base):
    def __init__(self):
        super().__init__()
        self.count = 0

    def reset(self):
        self.count = 0

    def start(self):
        threading.Thread(target=self.work).start()
        threading.Thread(target=self.work).start()

    def work(self):
        self.count += 1
        if self.count > 100:
            self.reset()


Counter().start()
"""


def test_a_lock_is_there_before_it_is_taken(tmp_path: Path) -> None:
    """A constructor that calls what takes the lock makes the lock first, and does not hold it over its own lines."""
    text = fixed(tmp_path, EARLY)
    assert "_count_lock" in text
    _, _, rest = text.partition("class Counter(Base):")
    assert rest.index("self._count_lock = threading.Lock()") < rest.index("super().__init__()")
    assert "        self.count = 0\n\n    def reset" in rest
    (tmp_path / "main.py").write_text(text)
    assert subprocess.run([sys.executable, str(tmp_path / "main.py")], check=False).returncode == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("__slots__ = tuple(sorted(['count']))", "__slots__"),
        ("def __getstate__(self): return {}", "neither copied nor pickled"),
    ],
)
def test_no_lock_where_there_is_no_room_for_one(line: str, reason: str, tmp_path: Path) -> None:
    source = f"""\
import threading


class Counter:
    {line}

    def __init__(self):
        self.count = 0

    def run(self):
        threading.Thread(target=self.work).start()
        threading.Thread(target=self.work).start()

    def work(self):
        self.count += 1
"""
    assert fixed(tmp_path, source) == source
    (left,) = mended(tmp_path).left
    assert reason in left.reason


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("('count',)", "('count', '_count_lock')"),
        ("'count'", "('count', '_count_lock')"),
        ('["count", "other"]', '["count", "other", "_count_lock"]'),
        ('("other", "count",)', '("other", "count", "_count_lock",)'),
        (
            '(\n        "other",  # spare\n        "count",\n    )',
            '(\n        "other",  # spare\n        "count",\n        "_count_lock",\n    )',
        ),
    ],
)
def test_a_class_that_lists_its_attributes_gets_room_for_the_lock(before: str, after: str, tmp_path: Path) -> None:
    source = f"""\
import threading


class Counter:
    __slots__ = {before}

    def __init__(self):
        self.count = 0

    def run(self):
        threading.Thread(target=self.work).start()
        threading.Thread(target=self.work).start()

    def work(self):
        self.count += 1


counter = Counter()
counter.run()
"""
    text = fixed(tmp_path, source)
    assert f"    __slots__ = {after}\n" in text
    (tmp_path / "main.py").write_text(text)
    assert subprocess.run([sys.executable, str(tmp_path / "main.py")], check=False).returncode == 0


def test_a_taken_name_is_not_shadowed(tmp_path: Path) -> None:
    text = fixed(tmp_path, HEAD.replace("CACHE = {}", "CACHE = {}\n_cache_lock = None") + WORK)
    assert "_cache_lock_2 = threading.Lock()" in text
    assert "_cache_lock = None" in text


def test_the_file_s_own_way_of_importing(tmp_path: Path) -> None:
    source = (
        (HEAD + WORK).replace("import threading", "from threading import Thread").replace("threading.Thread", "Thread")
    )
    text = fixed(tmp_path, source)
    assert text.startswith("from threading import Thread, Lock\n")
    assert "_cache_lock = Lock()" in text


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda data: b"\xef\xbb\xbf" + data, id="BOM"),
        pytest.param(lambda data: data.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda data: data.replace(b"    ", b"\t"), id="tabs"),
        pytest.param(lambda data: data.rstrip(b"\n"), id="no final newline"),
        pytest.param(lambda data: b"\x0c\n" + data, id="form feed"),
        pytest.param(lambda data: b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + data, id="latin-1"),
        pytest.param(lambda data: data.replace(b":\n", b":  # why  \n"), id="comments"),
    ],
)
def test_the_rest_of_a_file_stays_as_it_was(change: object, tmp_path: Path) -> None:
    assert callable(change)
    data = change((HEAD + WORK).encode())
    (tmp_path / "main.py").write_bytes(data)
    (only,) = mended(tmp_path).changes
    held = [line.strip() for line in only.new.splitlines()]
    for line in data.splitlines():
        assert line.strip() in held
    added = len(only.new.splitlines()) - len(data.splitlines())
    assert added == 2
    prefix = data.split(b"CACHE")[0]
    assert only.new.startswith(prefix)
    assert (b"\r\n" in only.new) == (b"\r\n" in data)
    assert only.new.endswith(b"\n") == data.endswith(b"\n")


def test_a_file_that_changed_meanwhile_is_left(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + WORK)
    result = mended(tmp_path)
    (tmp_path / "main.py").write_text("# mine\n")
    with pytest.raises(write.NotWritten, match="has changed"):
        write.write_all(result.changes, tmp_path)
    assert (tmp_path / "main.py").read_text() == "# mine\n"


def test_a_read_only_file_is_left(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text(HEAD + WORK)
    path.chmod(0o444)
    result = CliRunner().invoke(main, ["check", "--fix", "--project", str(tmp_path)])
    assert result.exit_code == 2
    assert "read-only" in result.output
    assert path.read_text() == HEAD + WORK


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need rights there")
def test_a_link_stays_a_link_and_the_mode_is_kept(tmp_path: Path) -> None:
    real = tmp_path / "real.txt"
    real.write_text(HEAD + WORK)
    real.chmod(0o640)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "main.py").symlink_to(real)
    change = write.Change(folder / "main.py", "main.py", real.read_bytes(), b"x = 1\n")
    write.write_all([change], tmp_path)
    assert (folder / "main.py").is_symlink()
    assert real.read_bytes() == b"x = 1\n"
    assert os.stat(real).st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["project", "real.txt"]


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    """What an editor makes of a text: lines as Python has them, edits from the bottom up."""
    lines = re.split(r"(?<=\n)", text)
    for edit in sorted(edits, key=lambda edit: edit["start_line"], reverse=True):
        start, end = edit["start_line"] - 1, edit["end_line"] - 1
        before = lines[start][: edit["start_column"] - 1] if start < len(lines) else ""
        after = lines[end][edit["end_column"] - 1 :] if end < len(lines) else ""
        lines[start : end + 1] = [before + edit["text"] + after]
    return "".join(lines)


@pytest.mark.parametrize("tail", ["", "\n", "\n\x0c\n# end", "\n# end\n\n"])
def test_the_edits_in_json_are_those_of_fix(tail: str, tmp_path: Path) -> None:
    source = HEAD + WORK.rstrip() + tail
    (tmp_path / "main.py").write_bytes(source.encode())
    shown = CliRunner().invoke(main, ["check", "--project", str(tmp_path), "--output-format", "json"])
    (finding,) = json.loads(shown.stdout)["findings"]
    assert finding["fix"]["applicability"] == "safe"
    assert {edit["path"] for edit in finding["fix"]["edits"]} == {"main.py"}
    assert applied(source, finding["fix"]["edits"]) == fixed(tmp_path, source)


def test_json_says_why_there_are_no_edits(tmp_path: Path) -> None:
    lambdas = HEAD + "work = lambda: CACHE.update(a=1) if 'a' not in CACHE else CACHE['a']\n"
    (tmp_path / "main.py").write_text(lambdas, "utf-8")
    shown = CliRunner().invoke(main, ["check", "--project", str(tmp_path), "--output-format", "json"])
    for finding in json.loads(shown.stdout)["findings"]:
        assert finding["fix"]["applicability"] == "display"
        assert "in a lambda" in finding["fix"]["title"]
        assert finding["fix"]["edits"] == []
    shown = CliRunner().invoke(main, ["check", "--project", str(tmp_path), "--output-format", "json", "--no-edits"])
    assert {finding["fix"] for finding in json.loads(shown.stdout)["findings"]} == {None}


def test_a_lock_that_is_taken_inside_already_is_not_taken_twice(tmp_path: Path) -> None:
    source = (
        HEAD.replace("CACHE = {}", "CACHE = {}\nLOCK = threading.Lock()")
        + """\
def put(value):
    with LOCK:
        CACHE["b"] = value


def work():
    if "a" not in CACHE:
        put(1)
        # only one of them
        with LOCK:  # held
            CACHE["a"] = object()
"""
    )
    result = fixed(tmp_path, source.replace("        put(1)\n", ""))
    assert (
        """\
    with LOCK:
        if "a" not in CACHE:
            # only one of them
            # held
            CACHE["a"] = object()
"""
        in result
    )
    assert fixed(tmp_path, source) == source  # put() would take it a second time


def test_what_takes_the_lock_by_hand_is_left(tmp_path: Path) -> None:
    source = (
        HEAD.replace("CACHE = {}", "CACHE = {}\nLOCK = threading.Lock()")
        + """\
def put(value):
    with LOCK:
        CACHE["b"] = value


def work():
    put(2)
    if "a" not in CACHE:
        LOCK.acquire()
        CACHE["a"] = object()
        LOCK.release()
"""
    )
    assert fixed(tmp_path, source) == source


TWO = """\
import threading

JOBS = {}
SEEN = {}


def start():
    threading.Thread(target=work, args=("a",)).start()
    threading.Thread(target=rest, args=("a",)).start()


"""


def test_two_places_in_one_statement(tmp_path: Path) -> None:
    source = (
        TWO
        + """\
def work(key):
    if key not in JOBS and key not in SEEN:
        JOBS[key] = SEEN[key] = object()


def rest(key):
    if key not in SEEN and key not in JOBS:
        SEEN[key] = JOBS[key] = object()
"""
    )
    result = fixed(tmp_path, source)
    assert result.count("    with _jobs_lock:\n        with _seen_lock:\n            if key not in ") == 2
    assert mended(tmp_path).left == ()


def test_instead_of_two_locks_in_two_orders_there_is_one(tmp_path: Path) -> None:
    source = (
        TWO
        + """\
def work(key):
    if key not in JOBS:
        JOBS[key] = object()
        SEEN[key] = SEEN.get(key, 0) + 1


def rest(key):
    if SEEN.get(key, 0) < 3:
        SEEN[key] = 3
        if key not in JOBS:
            JOBS[key] = object()
"""
    )
    result = fixed(tmp_path, source)
    assert "_seen_lock" not in result
    assert "    with _jobs_lock:\n        if SEEN.get(key, 0) < 3:\n            SEEN[key] = 3\n" in result
    assert fixed(tmp_path, result) == result
    assert mended(tmp_path).left == ()


def test_locks_that_would_be_taken_in_two_orders_are_not(tmp_path: Path) -> None:
    source = (
        TWO.replace("JOBS = {}", "A, B = threading.Lock(), threading.Lock()\nJOBS = {}")
        + """\
def work(key):
    with A:
        if key not in JOBS:
            JOBS[key] = object()
            if key not in SEEN:
                SEEN[key] = 1


def rest(key):
    with B:
        if key not in SEEN:
            SEEN[key] = 1
            SEEN[key] = 2
            SEEN[key] = 3
            if key not in JOBS:
                JOBS[key] = object()
"""
    )
    (tmp_path / "main.py").write_text(source, "utf-8")
    result = mended(tmp_path)
    assert [offer.plan.place for offer in result.done] == ["main.JOBS"]
    (left,) = (item for item in result.left if item.place == "main.SEEN")
    assert "there would be a new lock-order" in left.reason


@pytest.mark.parametrize(
    ("before", "after", "container"),
    [
        ('if "a" in CACHE:\n        del CACHE["a"]', 'CACHE.pop("a", None)', "{}"),
        ('if "a" in CACHE:\n        CACHE.pop("a")', 'CACHE.pop("a", None)', "{}"),
        ('if "a" in CACHE:  # gone?\n        CACHE.remove("a")', '# gone?\n    CACHE.discard("a")', "set()"),
    ],
)
def test_one_atomic_operation_where_it_is_the_answer(before: str, after: str, container: str, tmp_path: Path) -> None:
    source = HEAD.replace("CACHE = {}", f"CACHE = {container}") + f"def work():\n    {before}\n"
    assert fixed(tmp_path, source) == source.replace(before, after)


def test_a_step_that_needs_the_lock_gets_it_for_all(tmp_path: Path) -> None:
    source = (
        HEAD
        + 'def work():\n    if "a" in CACHE:\n        del CACHE["a"]\n    if "b" in CACHE:\n        print(CACHE["b"])\n'
    )
    result = fixed(tmp_path, source)
    assert "with _cache_lock:" in result
    assert "pop" not in result


def test_no_lock_in_a_signal_handler(tmp_path: Path) -> None:
    source = HEAD.replace("import threading", "import signal\nimport threading") + WORK
    source += "\n\ndef dump(number, frame):\n    for name in CACHE:\n        print(name)\n"
    source += "\n\nsignal.signal(signal.SIGUSR1, dump)\n"
    assert fixed(tmp_path, source) == source
    assert any("in a signal handler" in left.reason for left in mended(tmp_path).left)


def test_a_neighbour_that_holds_the_lock_takes_the_rest_in(tmp_path: Path) -> None:
    source = HEAD.replace("CACHE = {}", "CACHE = {}\nLOCK = threading.Lock()")
    source = source.replace("target=work).start()\n\n", "target=drop).start()\n\n")
    source += """\
def work():
    with LOCK:
        if "a" not in CACHE:
            CACHE["a"] = 1
    return CACHE["a"]


def drop():
    with LOCK:
        CACHE.clear()
"""
    held = """\
    with LOCK:
        if "a" not in CACHE:
            CACHE["a"] = 1
        return CACHE["a"]
"""
    assert held in fixed(tmp_path, source)


def test_a_generator_is_not_computed_in_time_by_naming_it(tmp_path: Path) -> None:
    source = HEAD + WORK + "    send(name.upper() for name in CACHE)\n"
    result = fixed(tmp_path, source)
    assert "        send(name.upper() for name in CACHE)" in result


def test_a_walrus_in_a_test_is_put_in_parentheses(tmp_path: Path) -> None:
    source = HEAD + WORK + '    if found := CACHE.get("a"):\n        send(found)\n'
    result = fixed(tmp_path, source)
    assert '        found_2 = (found := CACHE.get("a"))\n    if found_2:\n        send(found)\n' in result
