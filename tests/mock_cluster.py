"""A Kubernetes mock server on the loopback interface, for operators that are run by kopf."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

VERBS = {"get", "list", "watch", "create", "patch", "delete"}
PATIENCE = 10.0


@contextlib.contextmanager
def mock_cluster(version: str, kinds: Mapping[str, str]) -> Iterator[str]:
    """The address of a Kubernetes mock server that knows some kinds (by plurals) of one API version, in a thread."""
    kmock = pytest.importorskip("kmock", reason="kmock needs Python 3.11")
    address: list[str] = []
    failures: list[BaseException] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with kmock.KubernetesEmulator() as cluster, kmock.Server(cluster) as server:
            # kopf looks at namespaces and definitions before anything else, and posts what it did as events.
            for resource in ("v1/namespaces", "apiextensions.k8s.io/v1/customresourcedefinitions"):
                cluster.resources[resource] = {"namespaced": False, "verbs": VERBS}
            cluster.resources["v1/events"] = {"namespaced": True, "verbs": VERBS}
            for plural, kind in kinds.items():
                cluster.resources[f"{version}/{plural}"] = {
                    "kind": kind,
                    "singular": kind.lower(),
                    "namespaced": True,
                    "verbs": VERBS,
                }
            address.append(str(server.url).rstrip("/"))
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            failures.append(error)
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run, name="mock-cluster", daemon=True)
    thread.start()
    try:
        assert ready.wait(PATIENCE), "the mock server did not start"
        assert address, failures
        yield address[0]
    finally:
        with contextlib.suppress(RuntimeError):  # the loop is closed when the server has failed
            loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
    assert not failures
    assert not thread.is_alive()


def request(method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call of the mock server's interface. Raises urllib.error.HTTPError for an error status."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(url, data=data, method=method, headers=headers), timeout=PATIENCE
    ) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until the condition holds. Fails the test when it does not come to hold in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {PATIENCE:.0f} s")
        time.sleep(0.02)
