"""What the samples need around them: a database, a website with their files and a model, and a worker process."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.seeds.website import Website, website
from tests.server.serving import Serving
from worker.face import bridge

if TYPE_CHECKING:
    from tests.conftest import Databases

FOREIGN_VARIABLES = ("XPANDER_", "WORKER_", "DATABASE_URL", "OPENAI", "ANTHROPIC", "AGNO_", "PORT")
ROOT = Path(__file__).parents[2]
READY_SECONDS = 60  # Agno alone takes several to load on a busy machine


@pytest.fixture(scope="session")
def site() -> Iterator[Website]:
    """The website, on loopback."""
    with website() as site:
        yield site


@pytest.fixture(scope="module")
def seeds_database(databases: "Databases", postgres_version: int) -> Iterator[str]:
    """One database for all samples: they see each other's tasks as the tasks of one platform do."""
    url = databases.take(postgres_version)
    yield url
    databases.give(postgres_version, url)


@pytest.fixture(scope="module", params=["engine", "remote"])
def platform_variables(request: pytest.FixtureRequest, seeds_database: str) -> Iterator[dict[str, str]]:
    """What says where the platform is: a database, or a server on it."""
    if request.param == "engine":
        yield {"DATABASE_URL": seeds_database}
        return
    serving = Serving(seeds_database).start()
    asyncio.run(serving.started())
    yield {"XPANDER_BASE_URL": serving.base}
    serving.stop()


@pytest.fixture(scope="module")
def platform_environment(
    platform_variables: dict[str, str], site: Website, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The environment of a process that uses the framework: its platform, an agent, a key for a model."""
    folder = tmp_path_factory.mktemp("seeds")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(FOREIGN_VARIABLES):
                patch.delenv(name)
        patch.setenv("AGNO_TELEMETRY", "false")
        for name, value in platform_variables.items():
            patch.setenv(name, value)
        patch.setenv("XPANDER_AGENT_ID", "agent-123")
        patch.setenv("OPENAI_API_KEY", "unused")
        patch.setenv("OPENAI_BASE_URL", f"{site.url}v1")
        patch.setenv("WORKER_ALLOW_PRIVATE_URLS", "true")
        patch.chdir(folder)
        yield folder
        bridge.close()


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a worker says that it is ready; one that never will be is shown with what it said."""
    deadline = time.monotonic() + READY_SECONDS
    while b"worker ready" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the worker did not become ready:\n{log.read_text()}")
        time.sleep(0.02)


@pytest.fixture(scope="module")
def worker_process(platform_environment: Path) -> Iterator[int]:
    """A worker in a process of its own; its number."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("XPANDER_AGENT_ID")  # it serves the agents of its handlers
    log = platform_environment / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("serving.py"))],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_ready(process, log)
            yield process.pid
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
        finally:
            process.kill()
            process.wait()
    assert code == 0, log.read_text()
