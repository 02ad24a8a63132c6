"""Options of the test run."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` writes what fixes do today into the golden files, to be read in the diff."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are written in this run."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(autouse=True)
def no_build_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports do not depend on the server that the tests happen to run on, and write nothing there."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "TF_BUILD", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test keeps anything in the user's cache, or reads what another test has kept."""
    folder = tmp_path_factory.getbasetemp() / "caches" / secrets.token_hex(8)
    monkeypatch.setenv("RACELINT_CACHE_DIR", str(folder))


@pytest.fixture
def quiet_root_logger() -> Iterator[None]:
    """The root logger as it was: kopf configures it for its process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def registry() -> Iterator[Any]:
    """The registry that the operator's handlers go into when its modules are imported."""
    kopf = pytest.importorskip("kopf")
    before = kopf.get_default_registry()
    new = kopf.OperatorRegistry()
    kopf.set_default_registry(new)
    yield new
    kopf.set_default_registry(before)
