"""The fixture operator, run by kopf against a Kubernetes mock server on the loopback interface.

It shows what the analysis of the fixture only claims: that the delete handlers of two controllers are in
``log_if_changed`` at the same moment, in different threads.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from mock_cluster import PATIENCE, mock_cluster, request, wait_for

from racelint.cli import main

kopf = pytest.importorskip("kopf")
kopf_testing = pytest.importorskip("kopf.testing")
pytest.importorskip("kmock", reason="kmock needs Python 3.11")

FIXTURE = Path(__file__).parent.parent / "fixtures" / "submariner"
API = "/apis/submariner.io/v1alpha1"
KINDS = {"submariners": "Submariner", "servicediscoveries": "ServiceDiscovery", "gateways": "Gateway"}
QUIET = 0.5


@dataclass(frozen=True)
class Span:
    """One run of a function: for which controller, in which thread, from when to when."""

    controller: str
    function: str
    thread: int
    started: float
    ended: float

    def overlaps(self, other: Span) -> bool:
        """Whether both ran at some moment."""
        return self.started < other.ended and other.started < self.ended


@dataclass
class Recorder:
    """Notes runs of functions. Once ``meeting`` is set, a controller's first logging call waits there for the other's.

    Only code that runs in two threads at once can get through such a meeting: were the handlers run one after the
    other, the first would wait in vain until the barrier breaks.
    """

    spans: list[Span] = field(default_factory=list)
    meeting: threading.Barrier | None = None
    met: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _local: threading.local = field(default_factory=threading.local)

    def around(self, module: ModuleType, function: str, controller: str) -> Callable[..., Any]:
        """``module.function``, which runs as before and is recorded as the start of the controller's work."""
        original = getattr(module, function)

        def recorded(*args: Any, **kwargs: Any) -> Any:
            self._local.controller = controller
            self._local.waited = False
            try:
                return self._run(original, function, *args, **kwargs)
            finally:
                self._local.controller = None

        return recorded

    def around_logging(self, original: Callable[..., str]) -> Callable[..., str]:
        """The fixture's ``log_if_changed``, which runs as before and is recorded, after the meeting if there is one."""

        def recorded(*args: Any, **kwargs: Any) -> Any:
            if self.meeting is not None and not self._local.waited:
                self._local.waited = True
                with contextlib.suppress(threading.BrokenBarrierError):
                    self.meeting.wait(PATIENCE / 2)
                    with self._lock:
                        self.met.append(self._local.controller)
            return self._run(original, "log_if_changed", *args, **kwargs)

        return recorded

    def is_quiet(self) -> bool:
        """Whether nothing has run for a while."""
        with self._lock:
            return bool(self.spans) and time.perf_counter() - self.spans[-1].ended > QUIET

    def of(self, controller: str, function: str) -> list[Span]:
        """What was recorded of one function on behalf of one controller."""
        with self._lock:
            return [span for span in self.spans if (span.controller, span.function) == (controller, function)]

    def _run(self, original: Callable[..., Any], function: str, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            span = Span(self._local.controller, function, threading.get_ident(), started, time.perf_counter())
            with self._lock:
                self.spans.append(span)


def is_settled(url: str) -> bool:
    """Whether kopf has finished with the object: held by a finalizer, remembered as seen, no handler under way."""
    metadata = request("GET", url)["metadata"]
    annotations = metadata.get("annotations") or {}
    return bool(metadata.get("finalizers")) and "kopf.zalando.org/last-handled-configuration" in annotations


def is_empty(url: str) -> bool:
    """Whether no object of the kind is left."""
    return not request("GET", url)["items"]


def forget_operator() -> None:
    """Drop the fixture's modules, so that the next import registers their handlers again."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "submariner_operator"]:
        del sys.modules[name]


@pytest.fixture(params=["as it is", "mended"])
def clean_imports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The fixture's folder (or a mended copy) on the path, and no trace of its modules before and after."""
    folder = FIXTURE
    if request.param == "mended":
        folder = tmp_path / "submariner"
        shutil.copytree(FIXTURE, folder)
        shown = CliRunner().invoke(main, ["check", "--fix", "--project", str(folder), str(folder)])
        assert shown.exit_code == 0, shown.output
        assert "with _logged_images_lock:" in (folder / "submariner_operator" / "images.py").read_text("utf-8")
    monkeypatch.syspath_prepend(str(folder))
    forget_operator()
    yield
    forget_operator()


@pytest.mark.usefixtures("clean_imports", "quiet_root_logger")
def test_both_controllers_are_in_the_logger_at_once(registry: Any) -> None:
    operator = importlib.import_module("submariner_operator.__main__")
    images: Any = importlib.import_module("submariner_operator.images")
    submariner, servicediscovery, _ = operator.CONTROLLERS

    recorder = Recorder()
    submariner.reconcile_workloads = recorder.around(submariner, "reconcile_workloads", "submariner")
    servicediscovery.reconcile_deployments = recorder.around(
        servicediscovery, "reconcile_deployments", "servicediscovery"
    )
    images.log_if_changed = recorder.around_logging(images.log_if_changed)

    with mock_cluster("submariner.io/v1alpha1", KINDS) as address:
        kopf.on.login(registry=registry, id="mock")(lambda **_: kopf.ConnectionInfo(server=address))
        objects = {
            "submariners": {"clusterID": "east", "version": "0.18.0"},
            "servicediscoveries": {"clusterID": "east", "version": "0.18.0"},
        }
        urls = {plural: f"{address}{API}/namespaces/default/{plural}" for plural in objects}
        arguments = ["run", "--standalone", "--all-namespaces", "--verbose"]
        with kopf_testing.KopfRunner(arguments, registry=registry, timeout=PATIENCE) as runner:
            for plural, spec in objects.items():
                metadata = {"name": "broker", "namespace": "default", "uid": f"uid-{plural}"}
                metadata["resourceVersion"] = "1"  # kopf's patches ask for it, and the mock server gives out none
                body = {"apiVersion": API[6:], "kind": KINDS[plural], "metadata": metadata, "spec": spec}
                request("POST", urls[plural], body)
            wait_for(lambda: recorder.of("submariner", "reconcile_workloads"), "the creation of the Submariner")
            wait_for(
                lambda: recorder.of("servicediscovery", "reconcile_deployments"), "the creation of the ServiceDiscovery"
            )
            # kopf notes on the object that its creation is dealt with; only then is a deletion a new event.
            for url in urls.values():
                wait_for(partial(is_settled, f"{url}/broker"), "the end of the creation")
            # An event that was under way when the note was written makes kopf deal with the creation once more.
            wait_for(recorder.is_quiet, "the end of all creations")

            created = len(recorder.spans)
            recorder.meeting = threading.Barrier(2)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda url: request("DELETE", f"{url}/broker"), urls.values()))
            for url in urls.values():
                wait_for(partial(is_empty, url), "the end of the deletion")

    assert runner.exit_code == 0
    assert runner.exception is None
    assert sorted(recorder.met) == ["servicediscovery", "submariner"]
    recorder.spans[:] = recorder.spans[created:]
    (one,) = recorder.of("submariner", "reconcile_workloads")
    (other,) = recorder.of("servicediscovery", "reconcile_deployments")
    assert one.overlaps(other)
    assert one.thread != other.thread
    assert threading.get_ident() not in (one.thread, other.thread)
    logged = {span.controller: span.thread for span in recorder.spans if span.function == "log_if_changed"}
    assert logged == {"submariner": one.thread, "servicediscovery": other.thread}
    assert {key[3] for key in images.logged_images} >= {"submariner-gateway", "submariner-lighthouse-agent"}
