"""Run the benchmarks: ``python -m benchmarks [NAME …] [--scale 0.1]``."""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from benchmarks import http, scenarios
from benchmarks.full import full
from benchmarks.journal import journal
from benchmarks.machine import describe, fsync_milliseconds
from benchmarks.profile import profile
from benchmarks.rescue import rescue
from benchmarks.scenarios import LINES
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
    "agent-backlog": (_of(scenarios.backlog, "agent"), 5_000),
    "agent-live": (_of(scenarios.live, "agent"), 5_000),
    "profile": (profile, 5_000),
    "latency-floor": (scenarios.latency_floor, 200),
    "latency-near": (scenarios.latency_one_process, 200),
    "latency-far": (scenarios.latency_two_processes, 200),
    "journal": (journal, 200),
    "rescue": (rescue, 20),
    "http-creates": (http.creates, 5_000),
    "http-events": (http.events, 5_000),
    "http-lives": (http.lives, 5_000),
    "http-latency": (http.latency, 200),
    "history": (full, 1_000_000),
    "memory": (scenarios.memory, 1_000),
    "import": (scenarios.import_time, 9),
}


async def run(names: list[str], scale: float, home: Path) -> None:
    """Run scenarios on an embedded PostgreSQL of their own, fsync on."""
    embedded = await asyncio.to_thread(partial(Embedded.start, home))
    os.environ["DATABASE_URL"] = embedded.url
    engine = Engine(embedded.url)
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
        await asyncio.to_thread(embedded.close)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*SCENARIOS, []], help="scenarios; none: all")
    parser.add_argument("--scale", type=float, default=1.0, help="share of each scenario's count, for a quick look")
    options = parser.parse_args()
    os.environ.setdefault("AGNO_TELEMETRY", "false")
    os.environ["WORKER_LOG_LEVEL"] = os.environ.get("WORKER_LOG_LEVEL", "info")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o711)  # as root the server runs under another account, and keeps its data where it gets in
        asyncio.run(run(options.names or list(SCENARIOS), options.scale, Path(folder)))


if __name__ == "__main__":
    main()
