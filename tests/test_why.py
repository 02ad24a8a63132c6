"""``racelint why``: what is told about a place, above all why it is not reported."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from racelint import cli
from racelint.model.explanation import Explanation, Location, Silence, Touched
from racelint.model.findings import Context
from racelint.report import why as report

SCHEMA = json.loads(resources.files("racelint.report").joinpath("why_schema_v1.json").read_text("utf-8"))
APP = """\
import threading

LOCK = threading.Lock()
GUARDED = {}
SEEN = {}
STOP = False
BEFORE = []
HIDDEN = {}
MINE = {}  # racelint: confined


def work():
    with LOCK:
        GUARDED["a"] = GUARDED.get("a", 0) + 1
    HIDDEN["x"] = HIDDEN.get("x", 0) + 1  # racelint: ignore[read-modify-write] only a rough number
    MINE["x"] = MINE.get("x", 0) + 1
    global STOP
    STOP = True
    return len(BEFORE)


def note():
    SEEN["key"] = 1


def main():
    BEFORE.append(1)
    first = threading.Thread(target=work)
    second = threading.Thread(target=work)
    first.start()
    second.start()
    threading.Thread(target=note).start()
    print(SEEN.get("key"), STOP, GUARDED)


main()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in which every place is silent for another reason."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    return tmp_path


def why(folder: Path, place: str, *options: str) -> Result:
    """``racelint why PLACE``."""
    return CliRunner().invoke(cli.main, ["why", place, "--project", str(folder), *options])


def told(folder: Path, place: str) -> dict[str, Any]:
    """What it tells programs."""
    result = why(folder, place, "--output-format", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    return found


def reasons(found: dict[str, Any]) -> set[tuple[str, str]]:
    """Kind and text of every reason for silence."""
    return {(silence["kind"], silence["text"]) for silence in found["silences"]}


def test_a_lock(project: Path) -> None:
    found = told(project, "app.GUARDED")
    assert ("lock", "both hold `app.LOCK`") in reasons(found)
    rows = {row["line"]: row for row in found["accesses"]}
    assert rows[14]["locks"] == ["app.LOCK"]
    assert {context["kind"] for context in rows[14]["contexts"]} == {"thread"}
    assert rows[4]["imported"]


def test_one_step(project: Path) -> None:
    found = told(project, "SEEN")
    assert found["place"] == "app.SEEN"
    assert ("harmless", "each is one step in CPython, and nothing done later relies on what was read") in reasons(found)
    assert found["findings"] == []


def test_a_constant(project: Path) -> None:
    assert ("harmless", "a constant is assigned: done twice it is done once") in reasons(told(project, "STOP"))


def test_order(project: Path) -> None:
    found = told(project, "BEFORE")
    assert {kind for kind, _ in reasons(found)} == {"order"}
    assert any("before app.work is started" in text for _, text in reasons(found))


def test_nothing_concurrent(project: Path) -> None:
    (project / "lonely.py").write_text("LONELY = {}\n\n\ndef lonely():\n    LONELY['x'] = 1\n", encoding="utf-8")
    found = told(project, "LONELY")
    assert found["summary"] == [
        "not reported: nothing that runs concurrently is seen to touch it (see `racelint entrypoints`)"
    ]
    assert [row["line"] for row in found["accesses"]] == [1, 5]
    assert found["accesses"][1]["contexts"] == []


def test_a_comment(project: Path) -> None:
    found = told(project, "HIDDEN")
    (finding,) = found["findings"]
    assert finding["rule"] == "read-modify-write"
    assert finding["hidden"] == "silenced by a comment: only a rough number"
    assert found["summary"] == ["not reported: what was found is hidden"]


def test_confined(project: Path) -> None:
    found = told(project, "MINE")
    assert found["declared"] == {"kind": "confined", "lock": "", "path": "app.py", "line": 9}
    assert found["silences"] == []
    assert found["summary"] == ["not reported: it is declared never to be shared, and that is believed"]


def test_other_objects(tmp_path: Path) -> None:
    text = (
        "import threading\n\n\nclass Worker(threading.Thread):\n    def __init__(self):\n        super().__init__()\n"
        "        self.done = []\n\n    def run(self):\n        for n in range(9):\n            if n not in self.done:\n"
        "                self.done.append(n)\n\n\nfor _ in range(4):\n    Worker().start()\n"
    )
    (tmp_path / "app.py").write_text(text, encoding="utf-8")
    found = told(tmp_path, "Worker.done")
    assert found["findings"] == []
    assert {kind for kind, _ in reasons(found)} <= {"order", "object"}
    assert found["silences"]


def test_handlers_of_one_object_take_turns(tmp_path: Path) -> None:
    text = (
        "import kopf\n\nSEEN = {}\n\n\n@kopf.on.create('pods')\ndef on_create(uid, **_):\n"
        "    if uid not in SEEN:\n        SEEN[uid] = 1\n"
    )
    (tmp_path / "app.py").write_text(text, encoding="utf-8")
    found = told(tmp_path, "SEEN")
    assert found["findings"] == []
    assert (
        "order",
        "each is to the entry of the object that its handler was called for, and these calls take turns",
    ) in (reasons(found))


def test_a_set_up_on_first_use(tmp_path: Path) -> None:
    text = (
        "import threading\n\nNAMES = {}\nREADY = None\n\n\ndef load():\n    NAMES['a'] = object()\n\n\n"
        "def work():\n    global READY\n    if READY is None:\n        load()\n        READY = object()\n\n\n"
        "for _ in range(2):\n    threading.Thread(target=work).start()\n"
    )
    (tmp_path / "app.py").write_text(text, encoding="utf-8")
    assert [finding["rule"] for finding in told(tmp_path, "READY")["findings"]] == ["unsafe-publication"]
    found = told(tmp_path, "NAMES")
    assert found["findings"] == []
    text = "it is part of a set-up on first use: what guards the check before it guards it"
    assert ("harmless", text) in reasons(found)


def test_tasks_take_turns(tmp_path: Path) -> None:
    text = (
        "import asyncio\n\nSEEN = {}\n\n\nasync def note(name):\n    if name not in SEEN:\n        SEEN[name] = 1\n"
        "    await asyncio.sleep(1)\n\n\nasync def main():\n    for name in 'ab':\n"
        "        asyncio.create_task(note(name))\n    await asyncio.sleep(5)\n\n\nasyncio.run(main())\n"
    )
    (tmp_path / "app.py").write_text(text, encoding="utf-8")
    found = told(tmp_path, "SEEN")
    assert found["findings"] == []
    assert "turns" in {kind for kind, _ in reasons(found)}


def test_a_guard_by_custom(tmp_path: Path) -> None:
    holders = "".join(f"def f{n}():\n    with LOCK:\n        PODS[{n}] = 1\n" for n in range(7))
    text = f"import threading\nLOCK = threading.Lock()\nPODS = {{}}\n{holders}def bad():\n    PODS.pop(1)\n"
    (tmp_path / "app.py").write_text(text, encoding="utf-8")
    found = told(tmp_path, "PODS")
    assert found["guard"] == {"lock": "app.LOCK", "held": 7, "total": 8, "usual": True}
    (finding,) = found["findings"]
    assert "without `LOCK`, which 7 of 8 accesses hold" in finding["message"]
    assert "guard: `app.LOCK`, which 7 of 8 accesses hold" in why(tmp_path, "PODS").stdout


def test_a_contract_that_is_kept(tmp_path: Path) -> None:
    text = (
        "import threading\nLOCK = threading.Lock()\nPODS = {}  # racelint: guarded-by(LOCK)\n"
        "def add(name):\n    with LOCK:\n        PODS[name] = 1\n"
    )
    (tmp_path / "app.py").write_text(text, encoding="utf-8")
    found = told(tmp_path, "PODS")
    assert found["declared"] == {"kind": "guarded-by", "lock": "app.LOCK", "path": "app.py", "line": 3}
    assert found["summary"] == [
        "judged by its contract: every access holds the lock, or is made before others can see it"
    ]


def test_the_text_says_the_same(project: Path) -> None:
    shown = why(project, "GUARDED").stdout
    assert shown.startswith("app.GUARDED\n  not reported: ")
    assert "  app.py:14: insert, read in app.work, holding `app.LOCK`\n" in shown
    assert "  both hold `app.LOCK` (" in shown


def test_a_finding_is_told(project: Path) -> None:
    (project / "more.py").write_text(
        "import app\nimport threading\n\n\ndef more():\n    if 'b' not in app.SEEN:\n        app.SEEN['b'] = 2\n\n\n"
        "for _ in range(2):\n    threading.Thread(target=more).start()\n",
        encoding="utf-8",
    )
    found = told(project, "app.SEEN")
    assert [finding["hidden"] for finding in found["findings"] if finding["rule"] == "check-then-act"] == [None]
    assert found["summary"][0].startswith("reported: ")
    assert "more.py:6:" in why(project, "app.SEEN").stdout


def test_an_unknown_place(project: Path) -> None:
    result = why(project, "app.SEEM")
    assert result.exit_code == 2
    assert "PLACE: no variable and no attribute is called 'app.SEEM', did you mean 'app.SEEN'?" in result.output
    assert why(project, "\x1b[31m").exit_code == 2
    assert "\x1b" not in why(project, "\x1b[31m").output


def test_a_name_that_several_have(project: Path) -> None:
    (project / "more.py").write_text("SEEN = {}\n", encoding="utf-8")
    result = why(project, "SEEN")
    assert result.exit_code == 2
    assert "'SEEN' may be any of app.SEEN, more.SEEN" in result.output


def test_no_name_steers_a_terminal() -> None:
    bad = "\x1b[31m\n::error::x\u202e"
    context = Context(bad, bad, bad, 1, bad)
    explanation = Explanation(
        bad,
        (bad,),
        None,
        None,
        (Touched(bad, 1, bad, (bad,), (bad,), (bad,), (context,), False),),
        (),
        (Silence("lock", bad, ((Location(bad, 1), Location(bad, 2)),)),),
    )
    for shown in (report.render(explanation), report.render_json(explanation)):
        assert not any(char in shown for char in "\x1b\u202e")
        assert not any(line.startswith("::") for line in shown.splitlines())
