"""The pytest plugin, found automatically where agno-worker is installed; it imports little until a test needs it."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from worker.testing.local import LocalPlatform

FOREIGN = ("XPANDER_", "WORKER_", "DATABASE_URL", "PORT", "DYNO")
"""Prefixes of this machine's variables that would lead a test to another platform."""


@pytest.fixture
def worker_platform(monkeypatch: pytest.MonkeyPatch) -> "Iterator[LocalPlatform]":
    """Provide an empty platform for this test alone, used by ``Tasks()``, ``Task`` and ``run_handler``.

    It is a real PostgreSQL, started once per session from the extra ``embedded``.
    """
    import os

    from worker.testing.local import local_platform

    for name in list(os.environ):
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    with local_platform() as platform:
        monkeypatch.setenv("DATABASE_URL", platform.url)
        yield platform


def pytest_sessionfinish() -> None:
    """Stop the PostgreSQL of the session, if a test has started it."""
    databases = sys.modules.get("worker.testing.databases")
    if databases is not None:
        databases.end()
