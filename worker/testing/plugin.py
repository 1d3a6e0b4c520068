"""The pytest plugin: found by itself wherever agno-worker is installed, and nothing heavy until a test asks for it."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from worker.testing.local import LocalPlatform

FOREIGN = ("XPANDER_", "WORKER_", "DATABASE_URL", "PORT", "DYNO")
"""Variables of this machine that would lead a test elsewhere."""


@pytest.fixture
def worker_platform(monkeypatch: pytest.MonkeyPatch) -> "Iterator[LocalPlatform]":
    """A platform with nothing in it, of this test alone: ``Tasks()``, ``Task`` and ``run_handler`` are on it.

    A real PostgreSQL, started once a session from the extra ``embedded``.
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
    """End the PostgreSQL of the session, if a test has started it."""
    databases = sys.modules.get("worker.testing.databases")
    if databases is not None:
        databases.end()
