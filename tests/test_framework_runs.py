"""The rows of the tables against the frameworks themselves: where an entry point runs, and whether it overlaps itself.

Each case registers one function as the row says and has it called twice. What to expect is read from the row, so a
wrong row fails here. Overlapping calls wait for each other; calls that must not overlap stay a moment, and never meet.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
import urllib.request
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from overlapping import PATIENCE, Meeting, in_threads

from racelint.frameworks.schema import Entry, Matcher, builtin

# The frameworks warn of what they will drop; that is not the matter here.
pytestmark = pytest.mark.filterwarnings("default")

ROWS = {
    form: Matcher.of(row for row in builtin().entry if row.form == form)
    for form in ("call", "decorator", "base", "assign")
}
# How a context of the table shows at run time.
SEEN = {"thread": "thread", "pool": "thread", "event-loop": "event-loop", "signal": "main"}


class Case(NamedTuple):
    """A row by form and name (``keyword`` tells rows of one name apart) and what uses it with a ``Meeting``."""

    form: str
    name: str
    run: Callable[[Meeting], None]
    is_async: bool = False
    keyword: str | None = None
    # Whether the calls are those of one registration, for rows that overlap themselves per start only.
    one_start: bool = False

    @property
    def row(self) -> Entry:
        """The row; fails when there is none."""
        for found in ROWS[self.form].all(self.name):
            if self.keyword is None or (found.function is not None and found.function.keyword == self.keyword):
                assert isinstance(found, Entry)
                return found
        raise AssertionError(f"no row for {self.name}")

    def __str__(self) -> str:
        kind = "async" if self.is_async else "def"
        return f"{self.form}:{self.name}:{self.keyword or ''}:{kind}{':once' if self.one_start else ''}"


CASES: list[Case] = []


def case(
    form: str, name: str, *, is_async: bool = False, keyword: str | None = None, one_start: bool = False
) -> Callable[[Callable[[Meeting], None]], Callable[[Meeting], None]]:
    """A case by a decorator of what it runs."""

    def add(run: Callable[[Meeting], None]) -> Callable[[Meeting], None]:
        CASES.append(Case(form, name, run, is_async, keyword, one_start))
        return run

    return add


# -- threads and pools ------------------------------------------------------------------------------------------------


@case("call", "threading.Thread")
def two_threads(meeting: Meeting) -> None:
    threads = [threading.Thread(target=meeting.plain) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


@case("base", "threading.Thread")
def two_thread_objects(meeting: Meeting) -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            meeting.plain()

    threads = [Worker(), Worker()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


@case("call", "threading.Timer")
def two_timers(meeting: Meeting) -> None:
    timers = [threading.Timer(0.01, meeting.plain) for _ in range(2)]
    for timer in timers:
        timer.start()
    for timer in timers:
        timer.join(PATIENCE)


@case("call", "_thread.start_new_thread")
def two_low_threads(meeting: Meeting) -> None:
    import _thread

    for _ in range(2):
        _thread.start_new_thread(meeting.plain, ())
    meeting.ended(2)


@case("call", "concurrent.futures.ThreadPoolExecutor.submit")
def submitted_twice(meeting: Meeting) -> None:
    with ThreadPoolExecutor(2) as pool:
        pool.submit(meeting.plain)
        pool.submit(meeting.plain)


@case("call", "concurrent.futures.ThreadPoolExecutor.map")
def mapped(meeting: Meeting) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(meeting.plain, range(2)))


@case("call", "concurrent.futures.ThreadPoolExecutor", keyword="initializer")
def initialised(meeting: Meeting) -> None:
    with ThreadPoolExecutor(2, initializer=meeting.plain) as pool:
        list(pool.map(str, range(2)))
        pool.submit(str)


@case("call", "concurrent.futures.Future.add_done_callback")
def done_callbacks(meeting: Meeting) -> None:
    go = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            future: Future[bool] = pool.submit(go.wait, PATIENCE)
            future.add_done_callback(meeting.plain)
        go.set()


@case("call", "multiprocessing.pool.ThreadPool.map", keyword="func")
def thread_pool_map(meeting: Meeting) -> None:
    from multiprocessing.pool import ThreadPool

    with ThreadPool(2) as pool:
        pool.map(meeting.plain, range(2), chunksize=1)


@case("call", "multiprocessing.pool.ThreadPool.apply_async", keyword="func")
def thread_pool_apply(meeting: Meeting) -> None:
    from multiprocessing.pool import ThreadPool

    with ThreadPool(2) as pool:
        for answer in [pool.apply_async(meeting.plain) for _ in range(2)]:
            answer.get(PATIENCE)


@case("call", "multiprocessing.pool.ThreadPool.apply_async", keyword="callback")
def thread_pool_callback(meeting: Meeting) -> None:
    from multiprocessing.pool import ThreadPool

    with ThreadPool(2) as pool:
        for _ in range(2):
            pool.apply_async(str, callback=meeting.plain)
        meeting.ended(2)


@case("assign", "threading")
def failing_threads(meeting: Meeting) -> None:
    before, threading.excepthook = threading.excepthook, meeting.plain
    try:
        in_two_failing_threads()
    finally:
        threading.excepthook = before


def in_two_failing_threads() -> None:
    def fail() -> None:
        raise ValueError

    threads = [threading.Thread(target=fail) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


@case("call", "weakref.finalize")
def finalizers(meeting: Meeting) -> None:
    class Thing:
        pass

    things = [Thing(), Thing()]
    for thing in things:
        weakref.finalize(thing, meeting.plain)
    del thing
    in_threads(things.pop, things.pop)


@case("call", "signal.signal")
def signals(meeting: Meeting) -> None:
    before = signal.signal(signal.SIGUSR1, meeting.plain)
    main = threading.main_thread().ident
    assert main is not None
    again = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGUSR1))
    try:
        again.start()
        signal.raise_signal(signal.SIGUSR1)
        again.join(PATIENCE)
    finally:
        signal.signal(signal.SIGUSR1, before)


# -- asyncio ----------------------------------------------------------------------------------------------------------


@case("call", "asyncio.create_task", is_async=True)
def two_tasks(meeting: Meeting) -> None:
    async def main() -> None:
        for task in [asyncio.create_task(meeting.coroutine()) for _ in range(2)]:
            await task

    asyncio.run(main())


@case("call", "asyncio.gather", is_async=True)
def gathered(meeting: Meeting) -> None:
    async def main() -> None:
        await asyncio.gather(meeting.coroutine(), meeting.coroutine())

    asyncio.run(main())


@case("call", "asyncio.to_thread")
def moved_to_threads(meeting: Meeting) -> None:
    async def main() -> None:
        await asyncio.gather(asyncio.to_thread(meeting.plain), asyncio.to_thread(meeting.plain))

    asyncio.run(main())


@case("call", "asyncio.AbstractEventLoop.run_in_executor")
def in_executor(meeting: Meeting) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, meeting.plain) for _ in range(2)))

    asyncio.run(main())


@case("call", "asyncio.AbstractEventLoop.call_soon_threadsafe")
def called_from_a_thread(meeting: Meeting) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(lambda: [loop.call_soon_threadsafe(meeting.plain) for _ in range(2)])
        while meeting.runs < 2:
            await asyncio.sleep(0.01)

    asyncio.run(main())


@case("call", "asyncio.AbstractEventLoop.call_later")
def called_later(meeting: Meeting) -> None:
    async def main() -> None:
        for _ in range(2):
            asyncio.get_running_loop().call_later(0.001, meeting.plain)
        while meeting.runs < 2:
            await asyncio.sleep(0.01)

    asyncio.run(main())


@case("call", "asyncio.run_coroutine_threadsafe", is_async=True)
def coroutines_from_a_thread(meeting: Meeting) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def ask() -> None:
            for future in [asyncio.run_coroutine_threadsafe(meeting.coroutine(), loop) for _ in range(2)]:
                future.result(PATIENCE)

        await asyncio.to_thread(ask)

    asyncio.run(main())


@case("call", "asyncio.Task.add_done_callback")
def task_callbacks(meeting: Meeting) -> None:
    async def main() -> None:
        for _ in range(2):
            asyncio.create_task(asyncio.sleep(0)).add_done_callback(meeting.plain)
        while meeting.runs < 2:
            await asyncio.sleep(0.01)

    asyncio.run(main())


@case("call", "asyncio.start_server", is_async=True)
def connections(meeting: Meeting) -> None:
    async def main() -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await meeting.coroutine()
            writer.close()

        async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            for _ in range(2):
                _, writer = await asyncio.open_connection(*address)
                writer.close()
            while meeting.runs < 2:
                await asyncio.sleep(0.01)

    asyncio.run(main())


# -- servers of the standard library ----------------------------------------------------------------------------------


class Serving:
    """A server of ``socketserver`` that runs in a thread of its own as long as the block lasts."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> tuple[str, int]:
        self.thread.start()
        address: tuple[str, int] = self.server.server_address[:2]
        return address

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join(PATIENCE)
        self.server.server_close()


def fetch(address: tuple[str, int], path: str = "/") -> None:
    """One request."""
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}{path}", timeout=2 * PATIENCE) as response:
        response.read()


@case("base", "http.server.BaseHTTPRequestHandler")
def http_requests(meeting: Meeting) -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            meeting.plain()
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with Serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        in_threads(lambda: fetch(address), lambda: fetch(address))


@case("base", "socketserver.BaseRequestHandler")
def socket_requests(meeting: Meeting) -> None:
    import socketserver

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            meeting.plain()

    with Serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as address:
        for _ in range(2):
            socket.create_connection(address).close()
        meeting.ended(2)


@case("call", "xmlrpc.server.SimpleXMLRPCServer.register_function")
def remote_calls(meeting: Meeting) -> None:
    from xmlrpc.client import ServerProxy
    from xmlrpc.server import SimpleXMLRPCServer

    server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
    server.register_function(meeting.plain, "work")
    with Serving(server) as (host, port):

        def call() -> None:
            with ServerProxy(f"http://{host}:{port}") as proxy:
                proxy.work()

        in_threads(call, call)


# -- schedulers -------------------------------------------------------------------------------------------------------


def two_jobs(scheduler: Any, meeting: Meeting) -> None:
    """Two jobs of one function."""
    for _ in range(2):
        scheduler.add_job(meeting.plain)


@case("call", "apscheduler.schedulers.background.BackgroundScheduler.add_job")
def background_jobs(meeting: Meeting) -> None:
    scheduler = pytest.importorskip("apscheduler.schedulers.background").BackgroundScheduler()
    scheduler.start()
    two_jobs(scheduler, meeting)
    meeting.ended(2)
    scheduler.shutdown()


@case("call", "apscheduler.schedulers.background.BackgroundScheduler.add_job", one_start=True)
def background_job_again(meeting: Meeting) -> None:
    scheduler = pytest.importorskip("apscheduler.schedulers.background").BackgroundScheduler()
    scheduler.add_job(meeting.plain, "interval", seconds=0.02)
    scheduler.start()
    meeting.ended(3)
    scheduler.shutdown()


@case("call", "apscheduler.schedulers.asyncio.AsyncIOScheduler.add_job")
def loop_jobs_in_threads(meeting: Meeting) -> None:
    schedulers = pytest.importorskip("apscheduler.schedulers.asyncio")

    async def main() -> None:
        scheduler = schedulers.AsyncIOScheduler()
        scheduler.start()
        two_jobs(scheduler, meeting)
        await asyncio.to_thread(meeting.ended, 2)
        scheduler.shutdown()

    asyncio.run(main())


@case("call", "apscheduler.schedulers.asyncio.AsyncIOScheduler.add_job", is_async=True)
def loop_jobs(meeting: Meeting) -> None:
    schedulers = pytest.importorskip("apscheduler.schedulers.asyncio")

    async def main() -> None:
        scheduler = schedulers.AsyncIOScheduler()
        scheduler.start()
        for _ in range(2):
            scheduler.add_job(meeting.coroutine)
        await asyncio.to_thread(meeting.ended, 2)
        scheduler.shutdown()

    asyncio.run(main())


# -- web --------------------------------------------------------------------------------------------------------------


def flask_server(app: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The server that ``app.run()`` would run, with the options it would give it."""
    serving = pytest.importorskip("werkzeug.serving")
    options: dict[str, Any] = {}
    monkeypatch.setattr(serving, "run_simple", lambda host, port, app, **given: options.update(given))
    app.run()
    return serving.make_server("127.0.0.1", 0, app, threaded=options["threaded"])


def quiet(app: Any) -> None:
    """Werkzeug logs each request."""
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)


@case("decorator", "flask.Flask.route")
def flask_views(meeting: Meeting) -> None:
    app = pytest.importorskip("flask").Flask("shop")
    quiet(app)
    app.route("/")(meeting.plain)
    with pytest.MonkeyPatch.context() as patch, Serving(flask_server(app, patch)) as address:
        in_threads(lambda: fetch(address), lambda: fetch(address))


@case("decorator", "flask.Flask.before_request")
def flask_hooks(meeting: Meeting) -> None:
    app = pytest.importorskip("flask").Flask("shop")
    quiet(app)
    app.before_request(meeting.plain)
    with pytest.MonkeyPatch.context() as patch, Serving(flask_server(app, patch)) as address:
        in_threads(lambda: fetch(address), lambda: fetch(address))


def asked(app: Any, *paths: str) -> None:
    """Two requests of an ASGI application at the same time, without a server."""

    async def ask(path: str) -> None:
        sent: list[dict[str, Any]] = []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await app(scope, receive, send)
        assert sent[0]["status"] == 200, sent

    async def main() -> None:
        await asyncio.gather(*(ask(path) for path in paths))

    asyncio.run(main())


@case("decorator", "fastapi.FastAPI.get")
def fastapi_plain(meeting: Meeting) -> None:
    app = pytest.importorskip("fastapi").FastAPI()
    app.get("/")(lambda: meeting.plain())
    asked(app, "/", "/")


@case("decorator", "fastapi.FastAPI.get", is_async=True)
def fastapi_coroutine(meeting: Meeting) -> None:
    app = pytest.importorskip("fastapi").FastAPI()

    async def view() -> str:
        return await meeting.coroutine()

    app.get("/")(view)
    asked(app, "/", "/")


@case("call", "fastapi.Depends")
def fastapi_dependency(meeting: Meeting) -> None:
    fastapi = pytest.importorskip("fastapi")
    app = fastapi.FastAPI()

    async def view() -> str:
        return "ok"

    app.get("/", dependencies=[fastapi.Depends(lambda: meeting.plain())])(view)
    asked(app, "/", "/")


@case("call", "starlette.background.BackgroundTask")
def background_task(meeting: Meeting) -> None:
    responses = pytest.importorskip("starlette.responses")
    background = pytest.importorskip("starlette.background")
    applications = pytest.importorskip("starlette.applications")
    routing = pytest.importorskip("starlette.routing")

    async def view(request: object) -> Any:
        return responses.PlainTextResponse("ok", background=background.BackgroundTask(meeting.plain))

    asked(applications.Starlette(routes=[routing.Route("/", view)]), "/", "/")


@case("call", "starlette.routing.Route")
def starlette_plain(meeting: Meeting) -> None:
    responses = pytest.importorskip("starlette.responses")
    applications = pytest.importorskip("starlette.applications")
    routing = pytest.importorskip("starlette.routing")

    def view(request: object) -> Any:
        return responses.PlainTextResponse(meeting.plain())

    asked(applications.Starlette(routes=[routing.Route("/", view)]), "/", "/")


@case("call", "anyio.to_thread.run_sync")
def anyio_threads(meeting: Meeting) -> None:
    to_thread = pytest.importorskip("anyio.to_thread")

    async def main() -> None:
        await asyncio.gather(to_thread.run_sync(meeting.plain), to_thread.run_sync(meeting.plain))

    asyncio.run(main())


# -- gRPC -------------------------------------------------------------------------------------------------------------


def registered(grpc: Any, server: Any, behaviour: Callable[..., Any]) -> int:
    """Register a function as the one method of a service; the port."""
    handler = grpc.unary_unary_rpc_method_handler(behaviour)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Shop", {"Get": handler}),))
    port: int = server.add_insecure_port("127.0.0.1:0")
    return port


def call_twice(grpc: Any, port: int) -> None:
    """Two calls of the method at the same time."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.unary_unary("/shop.Shop/Get")
        for future in [method.future(b"") for _ in range(2)]:
            assert future.result(2 * PATIENCE) == b"ok"


@case("call", "grpc.unary_unary_rpc_method_handler")
def grpc_handlers(meeting: Meeting) -> None:
    grpc = pytest.importorskip("grpc")
    server = grpc.server(ThreadPoolExecutor(2))
    port = registered(grpc, server, lambda request, context: meeting.plain().encode())
    server.start()
    call_twice(grpc, port)
    server.stop(None).wait(PATIENCE)


@case("base", "shop_pb2_grpc.ShopServicer")
def grpc_servicer(meeting: Meeting) -> None:
    grpc = pytest.importorskip("grpc")

    class Servicer:
        def Get(self, request: object, context: object) -> bytes:
            return meeting.plain().encode()

    server = grpc.server(ThreadPoolExecutor(2))
    port = registered(grpc, server, Servicer().Get)
    server.start()
    call_twice(grpc, port)
    server.stop(None).wait(PATIENCE)


def aio_server(behaviour: Callable[..., Any]) -> None:
    """Two calls of a method of a server of ``grpc.aio``."""
    grpc = pytest.importorskip("grpc")

    async def main() -> None:
        server = grpc.aio.server()
        port = registered(grpc, server, behaviour)
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            method = channel.unary_unary("/shop.Shop/Get")
            await asyncio.gather(method(b""), method(b""))
        await server.stop(None)

    asyncio.run(main())


@case("base", "shop_pb2_grpc.ShopServicer", is_async=True)
def grpc_aio_coroutine(meeting: Meeting) -> None:
    async def get(request: object, context: object) -> bytes:
        return (await meeting.coroutine()).encode()

    aio_server(get)


@case("call", "grpc.unary_unary_rpc_method_handler", keyword="behavior")
def grpc_aio_plain(meeting: Meeting) -> None:
    aio_server(lambda request, context: meeting.plain().encode())


# -- files ------------------------------------------------------------------------------------------------------------


@case("base", "watchdog.events.FileSystemEventHandler")
def file_events(meeting: Meeting) -> None:
    import tempfile

    events = pytest.importorskip("watchdog.events")
    observers = pytest.importorskip("watchdog.observers")

    made = type("Handler", (events.FileSystemEventHandler,), {"on_created": lambda self, event: meeting.plain()})

    with tempfile.TemporaryDirectory() as folder:
        observer = observers.Observer()
        handler = made()
        for name in ("one", "two"):
            (Path(folder) / name).mkdir()
            observer.schedule(handler, str(Path(folder) / name))
        observer.start()
        for name in ("one", "two"):
            (Path(folder) / name / "new").touch()
        meeting.ended(2)
        observer.stop()
        observer.join(PATIENCE)


# -- what whoever runs it calls ---------------------------------------------------------------------------------------


def polled_in_a_thread(name: str, register: Callable[[Meeting], Callable[[], Any]]) -> None:
    """What is registered as a row of ``[[polled]]`` says runs in the thread that runs it, one after the other."""
    assert Matcher.of(builtin().polled).first(name) is not None
    meeting = Meeting(expected=False)
    run = register(meeting)
    runners: list[int | None] = []

    def poll() -> None:
        runners.append(threading.get_ident())
        run()

    in_threads(poll)
    assert meeting.runs == 2
    assert meeting.most == 1
    assert {thread.ident for thread in meeting.threads} == set(runners)


def test_sched_runs_where_it_is_run() -> None:
    import sched

    def register(meeting: Meeting) -> Callable[[], Any]:
        queue = sched.scheduler()
        queue.enter(0, 1, meeting.plain)
        queue.enter(0, 1, meeting.plain)
        return queue.run

    polled_in_a_thread("sched.scheduler.enter", register)


def test_schedule_runs_where_it_is_run() -> None:
    schedule = pytest.importorskip("schedule")

    def register(meeting: Meeting) -> Callable[[], Any]:
        schedule.every(10).seconds.do(meeting.plain)
        schedule.every(10).seconds.do(meeting.plain)
        run: Callable[[], Any] = schedule.run_all
        return run

    polled_in_a_thread("schedule.every.seconds.do", register)


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Threads of a case end with it, or are nobody's business."""
    before = set(threading.enumerate())
    yield
    end = time.monotonic() + PATIENCE
    while any(not thread.daemon for thread in set(threading.enumerate()) - before) and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize("item", CASES, ids=str)
def test_it_runs_where_the_row_says(item: Case) -> None:
    row = item.row
    overlap = row.self_overlap == "yes" or (row.self_overlap in ("per-start", "per-call") and not item.one_start)
    meeting = Meeting(expected=overlap)
    item.run(meeting)
    assert meeting.runs >= 2
    assert meeting.where == {SEEN[row.async_context if item.is_async else row.context]}
    assert (meeting.most > 1) == overlap
