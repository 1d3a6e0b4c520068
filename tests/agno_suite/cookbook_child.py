"""Runs programs of Agno's cookbook, each pass in a process of its own: a script that ``tests.agno_suite`` starts.

Agno is imported once, and each pass is a fork of this process. A program goes on until it makes its first run, which is
then made as the pass makes it, in place; with that the pass ends. It reads programs from its input, one a line.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

PROJECT = Path(__file__).parents[2]
MEMORY = 6 * 1024**3  # bytes of addresses that a pass may take
HEAVY = ("pandas", "yfinance", "rich.pretty", "sqlalchemy.ext.asyncio", "google.genai", "anthropic", "agno.os")
"""What many programs import, where it is installed."""
WAYS = ("bare", "again", "worker", "retry", "twice")


def main() -> None:
    """Run all passes of all programs that are named on the input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    sys.path.insert(0, str(PROJECT))
    folder = tempfile.mkdtemp(prefix="cookbook-")
    environment, database = _surroundings(chosen.seed, folder)
    os.environ.update(environment)
    _prepare()
    with chosen.log.open("a", buffering=1) as log:
        for program in map(str.strip, sys.stdin):
            for way in WAYS:
                if database is not None:
                    database.empty()
                line = _forked(program, way, chosen.seconds)
                log.write(json.dumps({"program": program, "way": way, **line}, default=repr) + "\n")
                if way == "bare" and line["end"] != "ran":
                    break


def _surroundings(seed: int, folder: str) -> tuple[dict[str, str], Any]:
    """Start the provider and the database in a process that ends with this one; the environment, and the database."""
    from tests.agno_suite.database import Database

    read, write = os.pipe()
    parent = os.getpid()
    if os.fork() == 0:
        os.close(read)
        from tests.agno_suite.provider import Provider

        made, server = None, None
        with contextlib.suppress(OSError):  # another measurement has the port, and with it the database
            made, server = Database.start(Path(folder))
        told = json.dumps([Provider(seed).environment(), made and [made.url, str(made.used)]])
        os.write(write, told.encode())
        os.close(write)
        while os.getppid() == parent:
            time.sleep(1)
        if made is not None and server is not None:
            made.end(server, Path(folder))
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        environment, there = json.loads(answer.read())
    return environment, Database(there[0], Path(there[1])) if there else None


def _prepare() -> None:
    """Import once what nearly all programs import, and what Agno imports on the way through a run."""
    import asyncio
    import functools
    import ssl

    ssl.create_default_context = functools.cache(ssl.create_default_context)

    from agno.agent import Agent
    from agno.db.sqlite import SqliteDb
    from agno.models.openai import OpenAIChat, OpenAIResponses
    from agno.utils import http

    from tests.agno_suite import programs
    from tests.agno_suite.provider import lead_here

    _ = programs  # and with it teams and workflows
    for name in HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    lead_here(os.environ["OPENAI_BASE_URL"])

    async def warm_up(folder: str) -> None:
        db = SqliteDb(db_file=f"{folder}/agno.db")
        for model in (OpenAIResponses(id="m"), OpenAIChat(id="m")):
            async for _ in Agent(model=model, db=db).arun("hello", stream=True):
                pass

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(warm_up(folder))
    http._global_async_client = http._global_sync_client = None  # they belong to a loop that has ended
    gc.collect()
    gc.freeze()


def _forked(program: str, way: str, seconds: float) -> dict[str, Any]:
    """Run one pass in a fork; what it wrote, or how it ended without."""
    with tempfile.TemporaryDirectory(prefix="cookbook-") as folder:
        result = Path(folder) / "result.json"
        child = os.fork()
        if child == 0:
            _carry_out(program, way, result, folder)
        status = _ended(child, seconds)
        if result.exists():
            return json.loads(result.read_text())
        return {"end": "time is up" if status is None else f"exit {status}"}


def _ended(child: int, seconds: float) -> int | None:
    """Wait for a process; its exit status, or None if it took too long and was killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _carry_out(program: str, way: str, result: Path, folder: str) -> NoReturn:
    from tests.agno_suite.programs import run_program

    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    nothing = os.open(os.devnull, os.O_RDWR)
    output = os.open(os.environ.get("COOKBOOK_OUTPUT", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream, target in ((0, nothing), (1, output), (2, output)):
        os.dup2(target, stream)
    os.chdir(folder)
    run_program(program, way, result)
    os._exit(0)


if __name__ == "__main__":
    main()
