"""The rows of kopf against kopf: one operator with a handler of each kind, and two objects that it handles.

What to expect is read from the tables, as in ``test_framework_runs``.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from mock_cluster import PATIENCE, mock_cluster, request, wait_for
from overlapping import Meeting

from racelint.frameworks.schema import Entry, Matcher, builtin

kopf = pytest.importorskip("kopf")
kopf_testing = pytest.importorskip("kopf.testing")

DECORATORS = Matcher.of(row for row in builtin().entry if row.form == "decorator")
CALLS = Matcher.of(row for row in builtin().entry if row.form == "call")
API = "example.dev/v1"
WIDGETS = f"/apis/{API}/namespaces/default/widgets"
SEEN = {"pool": "thread", "event-loop": "event-loop"}


def row(name: str) -> Entry:
    """The row of a decorator of kopf."""
    found = DECORATORS.first(name)
    assert isinstance(found, Entry), name
    return found


def overlaps(name: str) -> Meeting:
    """Handlers of different objects, as the row has it."""
    return Meeting(expected=row(name).self_overlap == "yes")


@pytest.mark.usefixtures("quiet_root_logger")
@pytest.mark.filterwarnings("default")
def test_handlers_run_where_the_rows_say(registry: Any) -> None:
    plain = {name: overlaps(name) for name in ("kopf.on.event", "kopf.on.create", "kopf.index", "kopf.timer")}
    coroutine = {name: overlaps(name) for name in ("kopf.on.event", "kopf.timer")}
    widgets = ("example.dev", "v1", "widgets")
    decorators: dict[str, Any] = {
        "kopf.on.event": kopf.on.event(*widgets, id="event", registry=registry),
        "kopf.on.create": kopf.on.create(*widgets, id="create", registry=registry),
        "kopf.index": kopf.index(*widgets, id="index", registry=registry),
        "kopf.timer": kopf.timer(*widgets, id="timer", interval=0.2, registry=registry),
    }
    for name, meeting in plain.items():
        decorators[name](_ignoring(meeting.plain))
    kopf.on.event(*widgets, id="event-async", registry=registry)(_awaiting(coroutine["kopf.on.event"]))
    kopf.timer(*widgets, id="timer-async", interval=0.2, registry=registry)(_awaiting(coroutine["kopf.timer"]))

    # Events of one object come in turn; a timer of the object does not wait for them.
    of_one = Meeting(expected=not row("kopf.on.event").serialised_by)
    beside = Meeting(expected=not row("kopf.timer").serialised_by)
    changed = threading.Event()

    def one(name: str, **_: Any) -> None:
        if name == "a":
            of_one.plain()

    kopf.on.event(*widgets, id="one", registry=registry)(one)

    def beside_event(name: str, spec: Any, **_: Any) -> None:
        if name == "a" and spec.get("size") == 2 and not changed.is_set():
            changed.set()
            beside.plain()

    kopf.on.event(*widgets, id="beside-event", registry=registry)(beside_event)

    def beside_timer(name: str, **_: Any) -> None:
        if name == "a" and changed.is_set() and not beside.runs:
            beside.plain()

    kopf.timer(*widgets, id="beside-timer", interval=0.1, registry=registry)(beside_timer)

    predicate = Meeting(expected=False)
    (when,) = [found for found in CALLS.all("kopf.on.event") if found.function.keyword == "when"]

    def asks(**_: Any) -> bool:
        predicate.plain()
        return False

    kopf.on.event(*widgets, id="never", when=asks, registry=registry)(lambda **_: None)

    startup = Meeting(expected=False)
    early: list[bool] = []

    def starts(**_: Any) -> None:
        early.append(any(meeting.threads for meeting in plain.values()))
        startup.plain()

    kopf.on.startup(id="startup", registry=registry)(starts)

    with mock_cluster(API, {"widgets": "Widget"}) as address:
        kopf.on.login(registry=registry, id="mock")(lambda **_: kopf.ConnectionInfo(server=address))
        with kopf_testing.KopfRunner(
            ["run", "--standalone", "--all-namespaces"], registry=registry, timeout=PATIENCE
        ) as runner:
            for name in ("a", "b"):
                metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": "1"}
                body = {"apiVersion": API, "kind": "Widget", "metadata": metadata, "spec": {"size": 1}}
                request("POST", address + WIDGETS, body)
            for meeting in (*plain.values(), *coroutine.values()):
                meeting.ended(2)
            body = request("GET", f"{address}{WIDGETS}/a")
            request("PATCH", f"{address}{WIDGETS}/a", {**body, "spec": {"size": 2}})
            beside.ended(2)
            of_one.ended(2)
            for name in ("a", "b"):
                request("DELETE", f"{address}{WIDGETS}/{name}")
            wait_for(lambda: not request("GET", address + WIDGETS)["items"], "the deletion")

    assert runner.exception is None
    for name, meeting in plain.items():
        assert meeting.where == {SEEN[row(name).context]}, name
        assert (meeting.most > 1) == meeting.expected, name
    for name, meeting in coroutine.items():
        assert meeting.where == {SEEN[row(name).async_context]}, name
        assert (meeting.most > 1) == meeting.expected, name
    assert (of_one.most > 1) == of_one.expected
    assert (beside.most > 1) == beside.expected
    assert predicate.where == {SEEN[when.context]}
    assert startup.where == {SEEN[row("kopf.on.startup").context]}
    assert early == [not row("kopf.on.startup").before_all]


def _ignoring(function: Any) -> Any:
    """The function as a handler without a result: results of handlers are written to the object."""

    def handler(**_: Any) -> None:
        function()

    return handler


def _awaiting(meeting: Meeting) -> Any:
    async def handler(**_: Any) -> None:
        await meeting.coroutine()

    return handler
