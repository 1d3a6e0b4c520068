"""Run the benchmarks: ``python -m benchmarks [NAME …] [--scale 0.1]``.

They run on their own embedded PostgreSQL. With ``BENCH_URL`` they use a new database on that server instead, which is
dropped at the end.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks import http, scenarios
from benchmarks.files import files
from benchmarks.full import full
from benchmarks.journal import journal
from benchmarks.knowledge import knowledge, quality
from benchmarks.machine import describe, fsync_milliseconds
from benchmarks.profile import profile
from benchmarks.rescue import rescue
from benchmarks.scenarios import LINES
from benchmarks.sleepers import sleepers
from benchmarks.streams import streams
from worker.engine.database.urls import normal_url
from worker.engine.embedded import Embedded
from worker.engine.engine import Engine

Scenario = Callable[[Engine, int], Awaitable[LINES]]


def _of(scenario: Callable[[Engine, str, int], Awaitable[LINES]], agent: str) -> Scenario:
    return lambda engine, count: scenario(engine, agent, count)


SCENARIOS: dict[str, tuple[Scenario, int]] = {
    "ceiling": (scenarios.ceiling, 10_000),
    "backlog": (_of(scenarios.backlog, "noop"), 10_000),
    "live": (_of(scenarios.live, "noop"), 10_000),
    "bare-agent": (scenarios.bare_agent, 3_000),
    "burst": (scenarios.burst, 100_000),
    "agent-backlog": (_of(scenarios.backlog, "agent"), 5_000),
    "agent-live": (_of(scenarios.live, "agent"), 5_000),
    "profile": (profile, 5_000),
    "latency-floor": (scenarios.latency_floor, 200),
    "latency-near": (scenarios.latency_one_process, 200),
    "latency-far": (scenarios.latency_two_processes, 200),
    "journal": (journal, 200),
    "streams": (streams, 40),
    "knowledge": (knowledge, 100_000),
    "knowledge-quality": (quality, 100_000),
    "rescue": (rescue, 20),
    "sleepers": (sleepers, 10_000),
    "http-creates": (http.creates, 5_000),
    "http-events": (http.events, 5_000),
    "http-lives": (http.lives, 5_000),
    "http-latency": (http.latency, 200),
    "history": (full, 1_000_000),
    "files": (files, 300),
    "memory": (scenarios.memory, 1_000),
    "import": (scenarios.import_time, 9),
}


async def run(names: list[str], scale: float, home: Path) -> None:
    """Run scenarios on a database of their own, with fsync on."""
    with _own_server(home) if "BENCH_URL" not in os.environ else _own_database(os.environ["BENCH_URL"]) as url:
        os.environ["DATABASE_URL"] = url
        await _run(names, scale, home, Engine(url))


@contextmanager
def _own_server(home: Path) -> Generator[str]:
    embedded = Embedded.start(home)
    try:
        yield embedded.url
    finally:
        embedded.close()


@contextmanager
def _own_database(server: str) -> Generator[str]:
    name = f"bench_{token_hex(4)}"
    with psycopg.connect(normal_url(server), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        try:
            yield make_conninfo(normal_url(server), dbname=name)
        finally:
            connection.execute(f"drop database {name} with (force)".encode())


async def _run(names: list[str], scale: float, home: Path, engine: Engine) -> None:
    try:
        await engine.migrate()
        await engine.open()
        print(f"machine: {describe(home)}")
        for name in names:
            scenario, count = SCENARIOS[name]
            lines = await scenario(engine, max(5, int(count * scale)))
            fsync = f"  [one fsync {fsync_milliseconds(home):.2f} ms]"
            for label, figure in lines:
                print(f"{label:<86} {figure}{fsync}", flush=True)
        print(f"machine: {describe(home)}")
    finally:
        await engine.close()


def main() -> None:
    """Parse the arguments and run the scenarios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*SCENARIOS, []], help="scenarios; none: all")
    parser.add_argument("--scale", type=float, default=1.0, help="share of each scenario's count, for a quick look")
    options = parser.parse_args()
    os.environ.setdefault("AGNO_TELEMETRY", "false")
    os.environ["WORKER_LOG_LEVEL"] = os.environ.get("WORKER_LOG_LEVEL", "info")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o711)  # as root, the server runs under another account, which must be able to enter
        asyncio.run(run(options.names or list(SCENARIOS), options.scale, Path(folder)))


if __name__ == "__main__":
    main()
