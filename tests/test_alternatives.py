"""What is said beside the lock: the other means that fit how a place is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from racelint import config, pipeline

HEAD = """\
import threading

STATE = {}


def start():
    for _ in range(3):
        threading.Thread(target=work, args=("a",)).start()


"""
READS = "".join(f"    print(STATE.get('{name}'))\n" for name in "bcdefgh")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    if key in STATE:\n        del STATE[key]\n", "`pop(key, None)`"),
        ("    if key in STATE:\n        print(STATE[key])\n    STATE.pop(key, None)\n", "`get(key)`"),
        ("    if key not in STATE:\n        STATE[key] = object()\n", "`setdefault(key, value)`"),
        ("    for name in STATE:\n        print(name)\n    STATE[key] = 1\n", "a copy to iterate over"),
        (f"    STATE[key] = object()\n{READS}", "copy-on-write"),
    ],
)
def test_the_note_fits(body: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(f"{HEAD}def work(key):\n{body}", "utf-8")
    findings = pipeline.analyse(tmp_path, config.load(tmp_path)).findings
    assert any(said in note for finding in findings for note in finding.notes), findings


def test_readers_and_writers(tmp_path: Path) -> None:
    source = HEAD.replace("STATE = {}", "STATE = {}\nLOCK = threading.Lock()") + (
        "def work(key):\n    with LOCK:\n        STATE[key] = 1\n"
        + "".join(f"    with LOCK:\n        print(STATE.get('{name}'))\n" for name in "bcdefg")
        + "    STATE.update(b=2)\n"
    )
    (tmp_path / "main.py").write_text(source, "utf-8")
    (finding,) = pipeline.analyse(tmp_path, config.load(tmp_path)).findings
    assert finding.rule == "inconsistent-guard"
    assert any("a readers-writer lock would let the reads overlap" in note for note in finding.notes)


def test_a_counter_of_several_contexts(tmp_path: Path) -> None:
    source = HEAD.replace("target=work", "target=other") + "def work():\n    STATE['n'] += 1\n\n\n"
    source += "def other(key):\n    STATE['n'] += 1\n\n\nthreading.Thread(target=work).start()\n"
    (tmp_path / "main.py").write_text(source, "utf-8")
    findings = pipeline.analyse(tmp_path, config.load(tmp_path)).findings
    assert any("queue.Queue" in note for finding in findings for note in finding.notes)


@pytest.mark.parametrize(
    ("made", "advice"),
    [("{}", "such as `list(STATE)`"), ("weakref.WeakValueDictionary()", "or walk what `valuerefs()` or `keyrefs()`")],
)
def test_a_copy_is_advised_where_it_helps(made: str, advice: str, tmp_path: Path) -> None:
    source = "import weakref\n" + HEAD.replace("{}", made)
    source += "def work(key):\n    for name in STATE.values():\n        print(name)\n    STATE[key] = work\n"
    (tmp_path / "main.py").write_text(source, "utf-8")
    findings = pipeline.analyse(tmp_path, config.load(tmp_path)).findings
    (finding,) = (finding for finding in findings if finding.rule == "mutate-while-iterating")
    assert advice in finding.help
