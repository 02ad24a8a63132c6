"""What frameworks do to the containers they hand out, as it is reported."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from racelint import config, mend, pipeline
from racelint.frameworks.schema import Matcher, builtin
from racelint.model.findings import Finding

INDEX = """
import kopf


@kopf.index("pods", id={name!r})
def index_pods(name, **_):
    return {{name: 1}}


@kopf.timer("services", interval=1)
def refresh({name}, **_):
    {body}
"""


def findings(project: Path, text: str, settings: str = "") -> tuple[Finding, ...]:
    (project / "main.py").write_text(text)
    (project / "racelint.toml").write_text(settings)
    return pipeline.analyse(project, config.load(project)).findings


def in_handler(project: Path, body: str, name: str = "pods") -> tuple[Finding, ...]:
    return findings(project, INDEX.format(name=name, body=body))


@pytest.mark.parametrize("row", builtin().fed, ids=[row.name[0] for row in builtin().fed])
def test_rows_say_what_the_container_is_and_who_gets_it(row) -> None:  # type: ignore[no-untyped-def]
    containers = Matcher.of(builtin().container)
    entries = Matcher.of([entry for entry in builtin().entry if entry.form == "decorator"])
    assert all(containers.first(name) for name in (row.type, row.values) if name)
    assert all(entries.first(name.replace("*", "event")) for name in row.takers)
    assert row.changes


def test_both_sides_are_shown_and_the_framework_says_why(tmp_path: Path) -> None:
    (found,) = in_handler(tmp_path, "print([v for v in pods.values()])")
    handler, framework = found.sides
    assert (found.rule, found.severity, found.confidence) == ("mutate-while-iterating", "error", "high")
    assert (handler.line, framework.line) == (12, 6)
    assert framework.context.kind == "event-loop"
    assert "whoever is reading it" in framework.context.why
    assert "in parallel with kopf.index (event loop)" in found.message
    assert "async def" in found.help
    assert not found.notes


@pytest.mark.parametrize(
    "body",
    [
        "list(pods.values())",
        "dict(pods)",
        "sorted(pods)",
        "list(pods)",
        "[k for k in pods]",
        "list(pods['a'])",
        "any(v for v in pods.get('a', ()))",
    ],
)
def test_no_copy_of_an_index_is_one_step(tmp_path: Path, body: str) -> None:
    assert [found.rule for found in in_handler(tmp_path, body)] == ["mutate-while-iterating"]


@pytest.mark.parametrize(
    "body", ["len(pods)", "pods.get('a')", "pods['a']", "'a' in pods", "bool(pods)", "len(pods['a'])"]
)
def test_one_look_is_one_step(tmp_path: Path, body: str) -> None:
    assert not in_handler(tmp_path, body)


def test_an_entry_that_goes_between_two_looks_is_a_warning(tmp_path: Path) -> None:
    (found,) = in_handler(tmp_path, "return pods['a'] if 'a' in pods else None")
    assert (found.rule, found.severity) == ("check-then-act", "warning")
    assert "no lock keeps kopf.index out" in found.help


def test_a_lock_of_the_project_keeps_no_framework_out(tmp_path: Path) -> None:
    text = INDEX.format(name="pods", body="with LOCK:\n        print([v for v in pods.values()])")
    again = text[text.index("@kopf.timer") :].replace("refresh", "again")
    found = findings(tmp_path, f"import threading\n{text}\n\n{again}\n\nLOCK = threading.Lock()\n")
    assert [one.rule for one in found] == ["mutate-while-iterating"] * 2


def test_a_thread_of_an_async_handler_is_no_event_loop(tmp_path: Path) -> None:
    text = INDEX.format(name="pods", body="await asyncio.to_thread(show, pods)").replace(
        "def refresh", "async def refresh"
    )
    show = "\n\ndef show(pods):\n    for pod in pods:\n        print(pod)\n"
    (found,) = findings(tmp_path, f"import asyncio\n{text}{show}")
    assert (found.rule, found.sides[0].line) == ("mutate-while-iterating", 17)
    assert not findings(
        tmp_path, f"import asyncio\n{text.replace('await asyncio.to_thread(show, pods)', 'show(pods)')}{show}"
    )


@pytest.mark.parametrize("handler", ["kopf.on.startup()", "kopf.unknown()", "timer(1)"])
def test_not_every_function_gets_it_while_it_changes(tmp_path: Path, handler: str) -> None:
    text = INDEX.format(name="pods", body="print([v for v in pods.values()])")
    assert not findings(tmp_path, text.replace('kopf.timer("services", interval=1)', handler))


def test_a_function_that_returns_nothing_fills_nothing(tmp_path: Path) -> None:
    text = INDEX.format(name="pods", body="print([v for v in pods.values()])")
    assert not findings(tmp_path, text.replace("return {name: 1}", "print(name)"))


def test_no_fix_is_offered(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(INDEX.format(name="pods", body="print([v for v in pods.values()])"))
    mended = mend.mend(tmp_path, config.load(tmp_path), lambda _: True, unsafe=True)
    assert not mended.changes
    (left,) = mended.left
    assert "kopf.index" in left.reason


def test_what_is_handed_over_has_the_name_that_the_decorator_says(tmp_path: Path) -> None:
    text = INDEX.format(name="by_app", body="print([v for v in by_app.values()])")
    (found,) = findings(tmp_path, text)
    assert found.place == "main.by_app"
    assert not findings(tmp_path, text.replace("by_app", "index_pods").replace("id=", "param="), "")[1:]
    other = text.replace("def refresh(by_app", "def refresh(index_pods").replace("by_app.values", "index_pods.values")
    assert not findings(tmp_path, other)


def test_a_project_describes_a_framework_of_its_own(tmp_path: Path) -> None:
    settings = """
[[entry]]
form = "decorator"
name = ["ours.on_request"]
context = "thread"
self_overlap = "yes"
why = "ours runs each request in a thread of its own"

[[container]]
name = ["ours.Peers"]
why = "peers are Python code over a live dictionary"
snapshot_safe = false

[[fed]]
name = ["ours.peers"]
takers = ["ours.on_request"]
type = "ours.Peers"
context = "thread"
changes = ["insert"]
instead = "ask `ours.peers_now()`"
why = "ours adds peers in its own thread as they turn up"
"""
    text = """
import ours


@ours.peers
def known(address):
    return address


@ours.on_request
def answer(known):
    return [peer for peer in known]
"""
    (found,) = findings(tmp_path, text, settings)
    assert (found.sides[0].line, found.sides[1].line, found.help) == (12, 6, "ask `ours.peers_now()`")
    assert found.sides[1].context.why == "ours adds peers in its own thread as they turn up"
    with pytest.raises(config.ConfigError, match=r"missing required field `instead`"):
        findings(tmp_path, text, settings.replace("instead", "# instead"))


@pytest.mark.parametrize("walk", [list, lambda index: list(index.values()), lambda index: list(index["all"])])
def test_an_index_of_kopf_raises_where_a_thread_copies_it(walk) -> None:  # type: ignore[no-untyped-def]
    """The claim of the rows, tried without chance: the loop comes in at the first line of Python code inside a copy."""
    indexing = pytest.importorskip("kopf._core.engines.indexing")
    index = indexing.Index()
    for number in range(3):
        index._replace(("ns", f"pod{number}", f"{number}"), {number: number, "all": number})
    come = itertools.count(3)

    def loop(frame, event, _):  # type: ignore[no-untyped-def]
        """Another thread may run before each line; here it always does, once the copy has begun."""
        if event == "line" and frame.f_code.co_name in ("__len__", "__getitem__", "__iter__"):
            sys.settrace(None)
            number = next(come)
            index._replace(("ns", f"pod{number}", f"{number}"), {number: number, "all": number})
            sys.settrace(loop)
        return loop

    before = sys.gettrace()
    sys.settrace(loop)
    try:
        with pytest.raises(RuntimeError, match="changed size"):
            walk(index)
    finally:
        sys.settrace(before)
