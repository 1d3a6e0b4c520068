"""The processes that benchmarks start: a worker that serves a number of tasks, a creator of tasks, and a server."""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import benchmarks.handlers
from worker import wiring
from worker.engine.engine import Engine
from worker.registry import default
from worker.settings import Settings
from worker.supervisor import Supervisor, garbage
from worker.telemetry import logs
from worker.words.notices import Notice, TaskEnded, subscribe
from worker.words.tasks import AgentExecutionInput, NewTask

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60


@contextmanager
def started(role: str, *arguments: str) -> Generator["subprocess.Popen[str]"]:
    """Start one of this module's roles in a process, which prints ``ready`` and, at the end, measurements as JSON."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.processes", role, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "WORKER_CONCURRENCY": os.environ.get("WORKER_CONCURRENCY", "50"), "WORKER_LOG": "logfmt"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if line.strip() != "ready":
            raise RuntimeError(f"{role} did not start: {line!r}")
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(START_SECONDS)
        if process.stdout is not None:
            process.stdout.close()


def answer(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Wait for the measurements of a process."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            return json.loads(line)
    raise RuntimeError("the process ended without an answer")


async def serve() -> None:
    """Serve HTTP on a free port until stopped, writing the usual logs to the null device."""
    from worker.server.app import create_app
    from worker.server.main import HttpServer, listen

    settings = Settings()
    listening = listen("127.0.0.1", 0)
    server = HttpServer(create_app(wiring.engine(settings), settings))
    with Path(os.devnull).open("w") as log:  # noqa: ASYNC230 - nothing else runs yet
        kept, sys.stdout = sys.stdout, log
        logs.configure(settings)
        sys.stdout = kept
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        print("ready", flush=True)
        print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
        await serving


async def work(count: int, *, warm: bool, bare: bool) -> None:
    """Serve until ``count`` tasks have ended, writing the usual logs to the null device."""
    with Path(os.devnull).open("w") as log:  # noqa: ASYNC230 - nothing else runs yet
        kept, sys.stdout = sys.stdout, log
        logs.configure(Settings())
        sys.stdout = kept
        await _serve(count, warm=warm, bare=bare)


async def _serve(count: int, *, warm: bool, bare: bool) -> None:
    settings = Settings()
    platform = wiring.choose(settings)
    if bare:
        from worker.remote.remote import Remote  # imported here, since a worker on a database does not load it

        assert isinstance(platform, Remote)
        platform.use_bare_protocol()
    await platform.open()
    done, ended = 0, asyncio.Event()

    def count_ends(notice: Notice) -> None:
        nonlocal done
        if isinstance(notice, TaskEnded):
            done += 1
            if done >= count:
                ended.set()

    subscribe(count_ends)
    if warm:
        await benchmarks.handlers.warm_up()
    garbage.tune()
    supervisor = Supervisor(platform, default, settings)
    running = asyncio.create_task(supervisor.run())
    await supervisor.ready()
    core = platform.core if isinstance(platform, Engine) else None
    counted = Counter(commits=core.writer.commits, items=core.writer.items, claims=core.claims) if core else Counter()
    print("ready", flush=True)
    before = cpu_seconds()
    await asyncio.wait([running, asyncio.create_task(ended.wait())], return_when=asyncio.FIRST_COMPLETED)
    measured: dict[str, Any] = {"cpu": cpu_seconds() - before, "cpu_at_all": cpu_seconds()}
    if core is not None:
        now = Counter(commits=core.writer.commits, items=core.writer.items, claims=core.claims)
        measured |= {name: now[name] - counted[name] for name in now}
    supervisor.stop()
    await running
    await platform.close()
    print(json.dumps(measured), flush=True)


async def create(agent: str, count: int, at_once: int) -> None:
    """Create tasks as fast as possible, ``at_once`` at a time."""
    platform = wiring.engine(Settings())
    await platform.open()
    print("ready", flush=True)
    began = time.perf_counter()
    await create_many(platform, agent, count, at_once)
    print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)
    await platform.close()


async def create_many(platform: Any, agent: str, count: int, at_once: int = 200) -> None:
    """Create tasks through the contract, ``at_once`` at a time."""
    new = NewTask(agent_id=agent, input=AgentExecutionInput(text="a question of a few words"))
    for begin in range(0, count, at_once):
        await asyncio.gather(*(platform.tasks.create(new) for _ in range(min(at_once, count - begin))))


def cpu_seconds() -> float:
    """Return the processor time used by this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def cpu_of(pid: int) -> float:
    """Return the processor time used by another process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> None:
    """Run the role given on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["work", "create", "serve"])
    parser.add_argument("--count", type=int, default=1_000_000_000)
    parser.add_argument("--agent", default="noop")
    parser.add_argument(
        "--warm", action="store_true", help="load Agno before the measurement, as a worker that ran has"
    )
    parser.add_argument("--bare", action="store_true", help="over HTTP, speak the bare protocol alone")
    parser.add_argument("--at-once", type=int, default=50)
    options = parser.parse_args()
    if options.role == "work":
        asyncio.run(work(options.count, warm=options.warm, bare=options.bare))
    elif options.role == "serve":
        asyncio.run(serve())
    else:
        asyncio.run(create(options.agent, options.count, options.at_once))


if __name__ == "__main__":
    main()
