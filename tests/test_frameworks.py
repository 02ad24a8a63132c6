"""The framework tables: they load, every row says why, essential names are there, and names match as documented."""

from __future__ import annotations

import re
from typing import Any

import pytest

from racelint.frameworks.schema import Argument, Entry, Matcher, Operation, TableError, Tables, builtin, merge, parse

ENTRIES = builtin().entry
FAMILIES = (
    "entry",
    "guard",
    "guard_decorator",
    "container",
    "consumer",
    "calls",
    "hook",
    "carrier",
    "confined",
    "polled",
    "serve",
    "manner",
    "host",
    "fed",
)
DOTTED = re.compile(r"(\*|\*?[A-Za-z_]\w*)(\.(\*|[A-Za-z_]\w*(\(\))?))*")


def matchers() -> dict[str, Matcher]:
    """Rows of each form by name."""
    return {
        form: Matcher.of(row for row in ENTRIES if row.form == form) for form in ("decorator", "call", "base", "assign")
    }


MATCHERS = matchers()


def the(matcher: Matcher, name: str) -> Any:
    """The first row that names ``name``; fails when there is none."""
    row = matcher.first(name)
    assert row is not None, name
    return row


def label(row: object) -> str:
    """A short name of a row for test ids."""
    return f"{getattr(row, 'form', '')}:{row.name[0]}"  # type: ignore[attr-defined]


# -- every row --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_every_why_is_one_sentence(family: str) -> None:
    for row in getattr(builtin(), family):
        assert row.why, row.name
        assert len(row.why) < 200, row.why
        assert "\n" not in row.why, row.why
        assert "  " not in row.why, row.why
        assert len(row.why.split()) >= 4, row.why
        assert not row.why.endswith((".", ",", ";", ":")), row.why
        assert row.why == row.why.strip(), row.why


@pytest.mark.parametrize("family", FAMILIES)
def test_every_name_is_dotted_and_named_once_in_its_row(family: str) -> None:
    for row in getattr(builtin(), family):
        assert row.name
        assert len(row.name) == len(set(row.name)), row.name
        for name in row.name:
            assert DOTTED.fullmatch(name), name


@pytest.mark.parametrize("row", ENTRIES, ids=label)
def test_entry_rows_have_what_their_form_needs(row: Entry) -> None:
    assert bool(row.methods) == (row.form == "base") or row.form == "call"
    assert bool(row.attributes) == (row.form == "assign")
    assert (row.function is not None) == (row.form == "call")
    if row.function is not None:
        assert row.function.position is not None or row.function.keyword
    if row.exclusive:
        assert row.lane
        assert row.self_overlap == "no"
    if row.fresh_self:
        assert row.form == "base"
    if row.loose:
        assert row.form == "call"
    for names in row.serialised_by:
        assert names


def test_no_name_occurs_twice_with_different_contexts() -> None:
    seen: dict[tuple[object, ...], Entry] = {}
    for row in ENTRIES:
        for name in row.name:
            asked = (*row.when.items(), None, *row.unless.items())
            key = (row.form, name, row.function, asked, tuple(row.methods), tuple(row.attributes))
            other = seen.setdefault(key, row)
            assert other.context == row.context, name


EXAMPLES = [row for row in ENTRIES if row.expect or row.reject]


@pytest.mark.parametrize("row", EXAMPLES, ids=label)
def test_examples_on_rows(row: Entry) -> None:
    matcher = Matcher.of([row])
    for name in row.expect:
        assert matcher.first(name) is row, name
    for name in row.reject:
        assert matcher.first(name) is None, name


def test_some_rows_have_examples_of_both_kinds() -> None:
    assert [row for row in EXAMPLES if row.expect and row.reject]


# -- containers, guards and functions that walk containers ------------------------------------------------------------

CONTAINERS = Matcher.of(builtin().container)
GUARDS = Matcher.of(builtin().guard)
CONSUMERS = Matcher.of(builtin().consumer)


@pytest.mark.parametrize(
    ("name", "method", "effect"),
    [
        ("dict", "get", "read"),
        ("dict", "pop", "delete"),
        ("dict", "setdefault", "claim"),
        ("dict", "items", "view"),
        ("dict", "copy", "snapshot"),
        ("collections.defaultdict", "update", "update"),
        ("collections.OrderedDict", "move_to_end", "order"),
        ("list", "append", "insert"),
        ("list", "sort", "order"),
        ("list", "index", "item"),
        ("set", "discard", "discard"),
        ("set", "remove", "delete"),
        ("collections.deque", "popleft", "delete"),
        ("weakref.WeakSet", "copy", "iterate"),
        ("weakref.WeakValueDictionary", "items", "view"),
        ("cachetools.TTLCache", "setdefault", "claim"),
        ("configparser.ConfigParser", "set", "insert"),
        ("queue.Queue", "get_nowait", "delete"),
    ],
)
def test_effects_of_methods(name: str, method: str, effect: str) -> None:
    assert the(CONTAINERS, name).methods[method] == effect


def test_no_container_is_described_twice() -> None:
    names = [name for row in builtin().container for name in row.name]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "atomic", "safe", "snapshot_safe"),
    [
        ("dict", True, False, True),
        ("list", True, False, True),
        ("collections.deque", True, False, True),
        ("weakref.WeakValueDictionary", True, False, False),
        ("weakref.WeakSet", True, False, False),
        ("cachetools.LRUCache", False, False, False),
        ("collections.UserDict", False, False, False),
        ("configparser.ConfigParser", False, False, False),
        ("queue.Queue", True, True, True),
        ("queue.SimpleQueue", True, True, True),
    ],
)
def test_what_containers_promise(name: str, atomic: bool, safe: bool, snapshot_safe: bool) -> None:
    row = the(CONTAINERS, name)
    assert (row.atomic, row.safe, row.snapshot_safe) == (atomic, safe, snapshot_safe)


def test_the_ends_of_a_deque_are_safe_and_its_middle_is_not() -> None:
    safe = set(the(CONTAINERS, "collections.deque").safe_methods)
    assert {"append", "appendleft", "pop", "popleft"} <= safe
    assert not safe & {"remove", "insert", "rotate", "clear"}


@pytest.mark.parametrize(
    ("name", "threads", "tasks", "reentrant"),
    [
        ("threading.Lock", True, False, False),
        ("threading.RLock", True, False, True),
        ("threading.Condition", True, False, True),
        ("multiprocessing.Lock", True, False, False),
        ("filelock.FileLock", True, False, True),
        ("asyncio.Lock", False, True, False),
        ("asyncio.Condition", False, True, False),
        ("anyio.Lock", False, True, False),
        ("trio.Lock", False, True, False),
    ],
)
def test_what_locks_exclude(name: str, threads: bool, tasks: bool, reentrant: bool) -> None:
    row = the(GUARDS, name)
    assert (row.threads, row.tasks, row.reentrant) == (threads, tasks, reentrant)
    assert not row.process_only


@pytest.mark.parametrize("name", ["threading.Semaphore", "threading.BoundedSemaphore", "asyncio.Semaphore"])
def test_a_semaphore_is_a_lock_only_when_it_admits_one(name: str) -> None:
    assert the(GUARDS, name).mutex_when == Argument(position=0, keyword="value")


@pytest.mark.parametrize("name", ["threading.Condition", "asyncio.Condition"])
def test_a_condition_wraps_a_lock(name: str) -> None:
    assert the(GUARDS, name).wraps == Argument(position=0, keyword="lock")


def test_the_halves_of_readers_writer_locks() -> None:
    fair = the(GUARDS, "readerwriterlock.rwlock.RWLockFair")
    assert (fair.read_side, fair.write_side) == (["gen_rlock"], ["gen_wlock"])
    fasteners = the(GUARDS, "fasteners.ReaderWriterLock")
    assert (fasteners.read_side, fasteners.write_side) == (["read_lock"], ["write_lock"])


@pytest.mark.parametrize(
    "name",
    [
        "contextlib.nullcontext",
        "threading.Event",
        "threading.Barrier",
        "threading.local",
        "functools.lru_cache",
        "types.MappingProxyType",
    ],
)
def test_what_guards_nothing_is_no_guard(name: str) -> None:
    assert GUARDS.first(name) is None


def test_an_interprocess_lock_guards_no_threads() -> None:
    assert the(GUARDS, "fasteners.InterProcessLock").process_only


@pytest.mark.parametrize("name", ["threading.local", "contextvars.ContextVar"])
def test_values_of_one_thread_are_confined(name: str) -> None:
    assert Matcher.of(builtin().confined).first(name) is not None


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("list", "snapshot"),
        ("sorted", "snapshot"),
        ("dict", "snapshot"),
        ("copy.copy", "snapshot"),
        ("sum", "read"),
        ("any", "read"),
        ("next", "iterate"),
        ("max", "iterate"),
        ("copy.deepcopy", "iterate"),
        ("dataclasses.asdict", "iterate"),
        ("json.dump", "iterate"),
        ("json.dumps", "iterate"),
        ("zip", "view"),
        ("enumerate", "view"),
        ("iter", "view"),
        ("heapq.heappush", "insert"),
        ("heapq.heappop", "delete"),
    ],
)
def test_how_functions_walk_what_they_are_given(name: str, effect: str) -> None:
    assert the(CONSUMERS, name).effect == effect


def test_functions_that_walk_step_by_step_only_when_told_so() -> None:
    assert the(CONSUMERS, "max").if_keyword == ["key"]
    assert the(CONSUMERS, "json.dumps").if_keyword == ["indent"]
    assert the(CONSUMERS, "json.dumps").unless_keyword == ["sort_keys"]
    assert the(CONSUMERS, "json.dump").if_keyword == []


# -- essential names --------------------------------------------------------------------------------------------------

# form, name, context, async context (where it matters), self-overlap
ESSENTIAL = [
    ("decorator", "kopf.on.create", "pool", "event-loop", "yes"),
    ("decorator", "kopf.on.event", "pool", "event-loop", "yes"),
    ("decorator", "kopf.on.field", "pool", "event-loop", "yes"),
    ("decorator", "kopf.on.resume", "pool", "event-loop", "yes"),
    ("decorator", "kopf.index", "pool", "event-loop", "yes"),
    ("decorator", "kopf.timer", "pool", "event-loop", "yes"),
    ("decorator", "kopf.daemon", "pool", "event-loop", "yes"),
    ("decorator", "kopf.on.validate", "pool", "event-loop", "yes"),
    ("decorator", "kopf.on.mutate", "pool", "event-loop", "yes"),
    ("decorator", "kopf.on.startup", "pool", "event-loop", "no"),
    ("decorator", "kopf.on.cleanup", "pool", "event-loop", "no"),
    ("decorator", "kopf.on.login", "pool", "event-loop", "no"),
    ("decorator", "kopf.on.probe", "pool", "event-loop", "no"),
    ("call", "kopf.on.create", "event-loop", "event-loop", "no"),
    ("call", "threading.Thread", "thread", None, "per-start"),
    ("base", "threading.Thread", "thread", None, "per-start"),
    ("call", "threading.Timer", "thread", None, "per-start"),
    ("call", "concurrent.futures.ThreadPoolExecutor.submit", "pool", None, "per-call"),
    ("call", "concurrent.futures.ThreadPoolExecutor.map", "pool", None, "yes"),
    ("call", "concurrent.futures.Future.add_done_callback", "pool", None, "per-call"),
    ("call", "concurrent.futures.ProcessPoolExecutor.submit", "process", None, None),
    ("call", "concurrent.futures.ProcessPoolExecutor.submit().add_done_callback", "thread", None, "no"),
    ("call", "multiprocessing.pool.ThreadPool.map", "pool", None, "yes"),
    ("call", "multiprocessing.pool.ThreadPool.apply_async", "pool", None, "per-call"),
    ("call", "multiprocessing.dummy.Process", "thread", None, "per-start"),
    ("call", "_thread.start_new_thread", "thread", None, "per-start"),
    ("call", "asyncio.gather", "event-loop", None, "yes"),
    ("call", "asyncio.TaskGroup.create_task", "event-loop", None, "yes"),
    ("call", "asyncio.run", "event-loop", None, "no"),
    ("call", "asyncio.Task.add_done_callback", "event-loop", None, "no"),
    ("call", "asyncio.AbstractEventLoop.run_in_executor", "pool", None, "per-call"),
    ("call", "asyncio.AbstractEventLoop.call_soon_threadsafe", "event-loop", None, "no"),
    ("base", "asyncio.Protocol", "event-loop", None, "no"),
    ("call", "anyio.abc.TaskGroup.start_soon", "event-loop", None, "yes"),
    ("call", "trio.Nursery.start_soon", "event-loop", None, "yes"),
    ("call", "tornado.ioloop.PeriodicCallback", "event-loop", None, "no"),
    ("call", "gevent.spawn", "event-loop", None, "yes"),
    ("call", "eventlet.spawn", "event-loop", None, "yes"),
    ("call", "multiprocessing.Process", "process", None, None),
    ("call", "asyncio.create_task", "event-loop", None, "yes"),
    ("call", "asyncio.to_thread", "pool", None, "per-call"),
    ("base", "http.server.BaseHTTPRequestHandler", "thread", None, "yes"),
    ("base", "http.server.SimpleHTTPRequestHandler", "thread", None, "yes"),
    ("base", "socketserver.BaseRequestHandler", "thread", None, "yes"),
    ("base", "socketserver.StreamRequestHandler", "thread", None, "yes"),
    ("call", "xmlrpc.server.SimpleXMLRPCServer.register_function", "thread", None, "no"),
    ("decorator", "flask.Flask.route", "thread", "thread", "yes"),
    ("decorator", "flask.Flask.get", "thread", "thread", "yes"),
    ("decorator", "flask.Blueprint.route", "thread", "thread", "yes"),
    ("decorator", "flask.Flask.errorhandler", "thread", "thread", "yes"),
    ("decorator", "flask.Blueprint.before_request", "thread", "thread", "yes"),
    ("decorator", "fastapi.FastAPI.get", "pool", "event-loop", "yes"),
    ("decorator", "fastapi.APIRouter.post", "pool", "event-loop", "yes"),
    ("call", "fastapi.Depends", "pool", "event-loop", "yes"),
    ("call", "fastapi.BackgroundTasks.add_task", "pool", "event-loop", "yes"),
    ("call", "starlette.routing.Route", "pool", "event-loop", "yes"),
    ("base", "django.views.View", "thread", "event-loop", "yes"),
    ("base", "rest_framework.views.APIView", "thread", None, "yes"),
    ("base", "rest_framework.viewsets.ModelViewSet", "thread", None, "yes"),
    ("call", "django.urls.path", "thread", None, "yes"),
    ("decorator", "django.dispatch.receiver", "thread", None, "yes"),
    ("call", "asgiref.sync.sync_to_async", "thread", None, "no"),
    ("decorator", "aiohttp.web.RouteTableDef.get", "event-loop", "event-loop", "yes"),
    ("base", "tornado.web.RequestHandler", "event-loop", None, "yes"),
    ("base", "shop_pb2_grpc.ShopServicer", "pool", "event-loop", "yes"),
    ("assign", "paho.mqtt.client.Client", "thread", None, "no"),
    ("call", "paho.mqtt.client.Client.message_callback_add", "thread", None, "no"),
    ("call", "kazoo.client.KazooClient.ChildrenWatch", "thread", None, "no"),
    ("call", "kazoo.recipe.watchers.DataWatch", "thread", None, "no"),
    ("call", "etcd3.Etcd3Client.add_watch_callback", "thread", None, "no"),
    ("base", "watchdog.events.FileSystemEventHandler", "thread", None, "no"),
    ("base", "watchdog.events.PatternMatchingEventHandler", "thread", None, "no"),
    ("base", "zeroconf.ServiceListener", "thread", None, "no"),
    ("call", "websocket.WebSocketApp", "thread", None, "no"),
    ("call", "can.Notifier", "thread", None, "no"),
    ("call", "rospy.Subscriber", "thread", None, "yes"),
    ("base", "PyQt5.QtCore.QThread", "thread", None, "per-start"),
    ("base", "PySide6.QtCore.QThread", "thread", None, "per-start"),
    ("call", "apscheduler.schedulers.background.BackgroundScheduler.add_job", "pool", "event-loop", "per-start"),
    ("decorator", "apscheduler.schedulers.asyncio.AsyncIOScheduler.scheduled_job", "pool", "event-loop", "per-start"),
    ("decorator", "celery.Celery.task", "process", None, None),
    ("decorator", "celery.shared_task", "process", None, None),
    ("decorator", "dramatiq.actor", "thread", None, "yes"),
    ("decorator", "huey.RedisHuey.task", "thread", None, "no"),
    ("call", "twisted.internet.threads.deferToThread", "pool", None, "per-call"),
    ("call", "twisted.internet.reactor.callInThread", "pool", None, "per-call"),
    ("call", "kubernetes.informer.SharedInformer.add_event_handler", "thread", None, "no"),
    ("call", "kubernetes.leaderelection.electionconfig.Config", "thread", None, "no"),
    ("base", "prometheus_client.registry.Collector", "thread", None, "yes"),
    ("call", "signal.signal", "signal", None, "yes"),
    ("call", "weakref.finalize", "thread", None, "yes"),
    ("base", "logging.handlers.QueueListener", "thread", None, "no"),
    ("base", "knete.Controller", "thread", None, "no"),
    ("decorator", "knete.Manager.watch().reconcile", "thread", None, "no"),
    ("call", "cloudcoil.caching.SyncInformer.on_add", "thread", None, "no"),
    ("call", "cloudcoil.caching.AsyncInformer.on_add", "pool", "event-loop", "no"),
    ("call", "prometheus_client.REGISTRY.register", "thread", None, "yes"),
    ("call", "twisted.internet.defer.Deferred.addCallback", "event-loop", None, "no"),
    ("call", "confluent_kafka.aio.AIOConsumer.subscribe", "pool", None, "yes"),
    ("call", "redis.client.PubSub.subscribe", "thread", None, "no"),
    ("call", "rq.Queue.enqueue", "process", None, None),
    ("call", "ops.Framework.observe", "process", None, None),
    ("call", "atexit.register", "main", None, "no"),
]


@pytest.mark.parametrize(
    ("form", "name", "context", "async_context", "overlap"), ESSENTIAL, ids=[f"{e[0]}:{e[1]}" for e in ESSENTIAL]
)
def test_essential_names_are_known(
    form: str, name: str, context: str, async_context: str | None, overlap: str | None
) -> None:
    row = the(MATCHERS[form], name)
    assert row is not None
    assert row.context == context
    if async_context is not None:
        assert row.async_context == async_context
    if overlap is not None:
        assert row.self_overlap == overlap


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("sched.scheduler.enter", "sched.scheduler.run"),
        ("schedule.every.seconds.do", "schedule.run_pending"),
        (
            "pika.adapters.blocking_connection.BlockingChannel.basic_consume",
            "pika.adapters.blocking_connection.BlockingChannel.start_consuming",
        ),
        ("confluent_kafka.Producer.produce", "confluent_kafka.Producer.poll"),
        ("kombu.Consumer", "kombu.Connection.drain_events"),
        ("rclpy.node.Node.create_subscription", "rclpy.spin"),
        ("redis.client.PubSub.subscribe", "redis.client.PubSub.get_message"),
        ("logging.Filter", "logging.Logger.info"),
    ],
)
def test_who_calls_what_has_no_thread_of_its_own(name: str, runs: str) -> None:
    assert runs in the(Matcher.of(builtin().polled), name).runs


@pytest.mark.parametrize(
    ("name", "context", "overlap"),
    [
        ("http.server.HTTPServer", "thread", "no"),
        ("http.server.ThreadingHTTPServer", "thread", "yes"),
        ("socketserver.ForkingMixIn", "process", "yes"),
    ],
)
def test_how_servers_call_the_handlers_of_a_class(name: str, context: str, overlap: str) -> None:
    row = the(Matcher.of(builtin().host), name)
    assert (row.context, row.self_overlap) == (context, overlap)


def test_each_access_of_the_language_is_an_operation() -> None:
    known = {row.access for row in builtin().operation if row.effect}
    assert known - {""} == {"load", "store", "unset", "get", "set", "del", "has", "iter", "grow"}


@pytest.mark.parametrize("row", builtin().operation, ids=lambda row: str(row.name[0]))
def test_operations_say_why_and_what_breaks_them(row: Operation) -> None:
    assert row.why
    assert row.source
    assert not (row.atomic and row.rule)


@pytest.mark.parametrize("kind", ["create", "update", "delete", "resume", "event", "field"])
def test_kopf_serialises_the_events_of_one_object(kind: str) -> None:
    row = the(MATCHERS["decorator"], f"kopf.on.{kind}")
    assert row.serialised_by == [["uid"], ["namespace", "name"]]


@pytest.mark.parametrize("name", ["kopf.timer", "kopf.daemon", "kopf.on.validate", "kopf.on.mutate"])
def test_kopf_does_not_serialise_timers_daemons_and_webhooks_with_the_events(name: str) -> None:
    assert the(MATCHERS["decorator"], name).serialised_by == []


def test_only_startup_functions_run_before_all() -> None:
    early = {name for row in ENTRIES if row.before_all for name in row.name}
    assert "kopf.on.startup" in early
    words = ("start", "serving", "cleanup_ctx")
    assert all(any(word in name for word in words) or row_of_startup(name) for name in early)


def row_of_startup(name: str) -> bool:
    """Whether a class is named for the startup functions that it is given or has."""
    rows = [row for row in ENTRIES if row.before_all and name in row.name]
    keywords = ("on_startup", "lifespan", "after_in_child")
    methods = ["setup_hook"]
    return all((row.function and row.function.keyword in keywords) or row.methods == methods for row in rows)


def test_request_handlers_have_a_fresh_self_and_servicers_do_not() -> None:
    for name in (
        "http.server.BaseHTTPRequestHandler",
        "socketserver.BaseRequestHandler",
        "django.views.View",
        "rest_framework.views.APIView",
    ):
        assert the(MATCHERS["base"], name).fresh_self, name
    for name in ("x_pb2_grpc.XServicer", "socketserver.ThreadingMixIn", "watchdog.events.FileSystemEventHandler"):
        assert not the(MATCHERS["base"], name).fresh_self, name


@pytest.mark.parametrize(
    "method",
    [
        "get",
        "post",
        "put",
        "delete",
        "patch",
        "route",
        "before_request",
        "after_request",
        "teardown_request",
        "errorhandler",
        "context_processor",
    ],
)
@pytest.mark.parametrize("owner", ["flask.Flask", "flask.app.Flask", "flask.Blueprint", "flask.blueprints.Blueprint"])
def test_flask_is_known_under_all_its_names(owner: str, method: str) -> None:
    assert MATCHERS["decorator"].first(f"{owner}.{method}") is not None


@pytest.mark.parametrize(
    "key", ["on_open", "on_message", "on_error", "on_close", "on_ping", "on_pong", "on_data", "on_cont_message"]
)
def test_each_websocket_callback_has_a_row(key: str) -> None:
    rows = MATCHERS["call"].all("websocket.WebSocketApp")
    assert [row for row in rows if row.function == Argument(keyword=key)]


def test_callbacks_of_one_network_thread_exclude_each_other() -> None:
    first = the(MATCHERS["assign"], "paho.mqtt.client.Client")
    second = the(MATCHERS["call"], "paho.mqtt.client.Client.message_callback_add")
    assert first.exclusive
    assert second.exclusive
    assert first.lane == second.lane


LOOSE = ["add_job", "add_event_handler", "deferToThread", "callInThread", "add_watch_callback"]


@pytest.mark.parametrize("method", LOOSE)
def test_telling_method_names_match_any_receiver(method: str) -> None:
    assert any(row.loose and name.endswith(f".{method}") for row in ENTRIES for name in row.name)


def test_common_method_names_do_not_match_any_receiver() -> None:
    loose = {name.rpartition(".")[2] for row in ENTRIES if row.loose for name in row.name}
    assert not loose & {
        "get",
        "set",
        "add",
        "on",
        "map",
        "run",
        "start",
        "register",
        "subscribe",
        "connect",
        "append",
        "update",
        "task",
    }


# -- errors -----------------------------------------------------------------------------------------------------------


def row(**changes: object) -> dict[str, object]:
    """A valid decorator row with some keys changed."""
    return {"form": "decorator", "name": ["a.b"], "context": "thread", "why": "a.b runs it in a thread", **changes}


def test_a_valid_row_is_parsed() -> None:
    tables = parse({"entry": [row(self_overlap="yes")]}, "mine.toml")
    assert tables.entry == [
        Entry(form="decorator", name=["a.b"], context="thread", why="a.b runs it in a thread", self_overlap="yes")
    ]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"entries": []}, "entries"),
        ({"entry": [row(contxt="thread")]}, "contxt"),
        ({"entry": [row(), row(context="threads")]}, "$.entry[1].context"),
        ({"entry": [row(form="decorate")]}, "$.entry[0].form"),
        ({"entry": [row(name="a.b")]}, "$.entry[0].name"),
        ({"entry": [row(function={"index": 1})]}, "index"),
        ({"entry": [row(self_overlap="maybe")]}, "$.entry[0].self_overlap"),
        ({"entry": [{"form": "decorator", "name": ["a.b"], "context": "thread"}]}, "why"),
        ({"guard": [{"name": ["a.Lock"], "why": "it excludes others", "recursive": True}]}, "recursive"),
        (
            {"container": [{"name": ["a.Box"], "why": "a box of things", "methods": {"put": "write"}}]},
            "$.container[0].methods",
        ),
    ],
)
def test_errors_name_the_file_and_the_key(data: dict[str, object], named: str) -> None:
    with pytest.raises(TableError) as caught:
        parse(data, "mine.toml")
    message = str(caught.value)
    assert message.startswith("mine.toml: ")
    assert named in message


# -- matching ---------------------------------------------------------------------------------------------------------


def entry(*names: str) -> Entry:
    """A row with these names."""
    return Entry(form="decorator", name=list(names), context="thread", why=f"row of {names[0]}")


def test_an_exact_name_matches_only_itself() -> None:
    only = entry("a.b.c")
    matcher = Matcher.of([only])
    assert matcher.first("a.b.c") is only
    assert matcher.first("a.b") is None
    assert matcher.first("a.b.c.d") is None
    assert matcher.first("A.b.c") is None


def test_a_star_matches_any_rest_including_dots() -> None:
    matcher = Matcher.of([entry("a.*")])
    assert matcher.first("a.b") is not None
    assert matcher.first("a.b.c") is not None
    assert matcher.first("ab") is None


def test_a_star_in_front_matches_a_suffix_of_any_module() -> None:
    matcher = Matcher.of([entry("*Servicer")])
    assert matcher.first("pkg.shop_pb2_grpc.ShopServicer") is not None
    assert matcher.first("ShopServicer") is not None
    assert matcher.first("pkg.ShopServicerBase") is None


def test_exact_rows_come_before_patterns() -> None:
    pattern, exact = entry("a.*"), entry("a.b")
    matcher = Matcher.of([pattern, exact])
    assert matcher.all("a.b") == (exact, pattern)
    assert matcher.first("a.b") is exact


def test_every_row_of_a_name_is_found_in_order() -> None:
    one, two = entry("a.b", "a.c"), entry("a.b")
    matcher = Matcher.of([one, two])
    assert matcher.all("a.b") == (one, two)
    assert matcher.all("a.c") == (one,)
    assert matcher.all("a.d") == ()


def test_merge_keeps_the_order_of_tables() -> None:
    mine, shipped = Tables(entry=[entry("a.b")]), Tables(entry=[entry("a.b"), entry("a.c")])
    merged = merge([mine, shipped])
    assert merged.entry == [*mine.entry, *shipped.entry]
    assert Matcher.of(merged.entry).first("a.b") is mine.entry[0]
