"""The Procfile as Heroku runs it: work through the web process, SIGTERM to every process, nothing lost."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.cli.shells import ROOT, SECONDS
from tests.conftest import execute
from tests.support import free_port, wait_until
from worker.engine.core import CONNECTIONS

HANDLERS = """
    import asyncio, os, time
    from pathlib import Path
    from worker import on_task

    HERE = Path(os.environ["STORY_FOLDER"])

    @on_task(agent_id="quick")
    async def quick(task):
        return "done"

    @on_task(agent_id="soon")
    async def soon(task):
        (HERE / f"begun-{task.id}").touch()
        await asyncio.sleep(0.5)
        return "finished in the drain"

    @on_task(agent_id="long")
    async def long(task):
        (HERE / f"begun-{task.id}").touch()
        while not (HERE / "second-life").exists():
            await asyncio.sleep(0.05)
        return "done elsewhere"

    @on_task(agent_id="thread")
    def thread(task):
        (HERE / f"begun-{task.id}").touch()
        while not (HERE / "second-life").exists():
            time.sleep(0.05)
        return "done elsewhere"

    @on_task(agent_id="child")
    async def child(task):
        (HERE / f"begun-{task.id}").touch()
        if (HERE / "second-life").exists():
            return "done elsewhere"
        process = await asyncio.create_subprocess_exec("sleep", "60")
        if await process.wait() != 0:
            raise RuntimeError("the child was killed")
"""
HONCHO = """
import honcho.manager
from honcho.command import main
honcho.manager.KILL_WAIT = 30  # seconds, as Heroku's dyno manager; honcho's own are 5
main()
"""
KEY = "the-web-process-wants-this-key"


class Dynos:
    """What honcho started, with all that they started themselves."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def lines(self) -> list[str]:
        """What the dynos' processes wrote, without honcho's own lines and prefix."""
        found = re.findall(r"^[\d:]+ ((?:web|worker|release)\.\d+) +\| (.*)$", self._log.read_text(), re.MULTILINE)
        return [line for _, line in found]

    @property
    def exits(self) -> dict[str, int]:
        """How each process ended."""
        return {
            name: int(code)
            for name, code in re.findall(r"system +\| (\S+) stopped \(rc=(-?\d+)\)", self._log.read_text())
        }

    async def says(self, text: str, count: int = 1) -> None:
        def said() -> bool:
            return sum(text in line for line in self.lines) >= count or self.process.poll() is not None

        await wait_until(said, f"{count} times {text!r} in the log", SECONDS)
        assert sum(text in line for line in self.lines) >= count, self._log.read_text()

    def terminate(self) -> None:
        """SIGTERM to every process, as Heroku's dyno manager does; honcho itself is no part of a dyno."""
        for pid in list(descendants(self.process.pid)):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                if b"honcho" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGTERM)


def descendants(pid: int) -> Iterator[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            for child in children.read_text().split():
                yield int(child)
                yield from descendants(int(child))


@pytest.fixture
def app(environment: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Path:
    """A folder as Heroku has it after a build, and its config vars."""
    shutil.copy(ROOT / "Procfile", environment)
    (environment / "handlers").mkdir()
    source = "\n".join(line.removeprefix("    ") for line in HANDLERS.splitlines())
    (environment / "handlers" / "mine.py").write_text(source)
    bin_folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("STORY_FOLDER", str(environment))
    monkeypatch.setenv("DATABASE_URL", database_url.replace("postgresql://", "postgres://"))
    monkeypatch.setenv("WORKER_API_KEY", KEY)
    monkeypatch.setenv("WORKER_DRAIN_SECONDS", "2")
    return environment


@pytest.fixture
def honcho(app: Path) -> Iterator[Path]:
    """The folder; whatever still runs when the test ends is killed."""
    yield app
    for pid_file in app.glob("*.pid"):
        pid = int(pid_file.read_text())
        for each in [*descendants(pid), pid]:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)


def start(folder: Path, *arguments: str, port: int = 5000) -> Dynos:
    log = folder / f"log-{'-'.join(arguments)}"
    with log.open("wb") as output:
        command = [sys.executable, "-c", HONCHO, "start", "--no-colour", "-p", str(port), *arguments]
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    (folder / f"{process.pid}.pid").write_text(str(process.pid))
    return Dynos(process, log)


async def test_a_deploy_loses_nothing(honcho: Path, database_url: str) -> None:
    folder, port = honcho, free_port()
    release = start(folder, "release")
    assert await asyncio.to_thread(release.process.wait, SECONDS) == 0

    dynos = start(folder, "-c", "web=1,worker=2", "web", "worker", port=port)
    await dynos.says("server ready")
    await dynos.says("worker ready", 2)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"x-api-key": KEY}, timeout=SECONDS
    ) as web:
        assert (await web.get("/health")).status_code == 200
        assert (await web.post("/agent-execution/quick", headers={"x-api-key": "wrong"})).status_code == 401
        tasks: dict[str, list[str]] = {}
        for agent, count in (("quick", 5), ("soon", 2), ("long", 2), ("thread", 2), ("child", 2)):
            for _ in range(count):
                answer = await web.post(f"/agent-execution/{agent}", json={"input": {"text": "x"}})
                tasks.setdefault(agent, []).append(answer.json()["id"])
    slow = [each for agent, ids in tasks.items() if agent != "quick" for each in ids]
    await wait_until(lambda: all((folder / f"begun-{each}").exists() for each in slow), "all tasks run", SECONDS)

    dynos.terminate()
    await asyncio.to_thread(dynos.process.wait, SECONDS)

    assert dynos.exits == {"web.1": 0, "worker.1": 0, "worker.2": 0}

    def stats(*agents: str) -> set[tuple[object, ...]]:
        ids = [each for agent in agents for each in tasks[agent]]
        rows = execute(database_url, "select id, status, errors, crashes, worker_id from worker.tasks")
        return {tuple(row[1:]) for row in rows if row[0] in ids}

    assert stats("quick", "soon") == {("completed", 0, 0, None)}
    assert stats("long", "thread", "child") == {("pending", 0, 0, None)}
    assert execute(database_url, "select count(*) from worker.workers where gone_at is null") == [(0,)]
    assert [line for line in dynos.lines if not line.startswith("timestamp=")] == []  # one line an entry
    assert sum("worker stopped" in line for line in dynos.lines) == 2

    (folder / "second-life").touch()
    after = start(folder, "worker")

    def all_done() -> bool:
        return execute(database_url, "select count(*) from worker.tasks where status <> 'completed'") == [(0,)]

    await wait_until(all_done, "the next dyno does the rest", SECONDS)
    after.terminate()
    await asyncio.to_thread(after.process.wait, SECONDS)


def connections(url: str) -> int:
    """Who is connected to the database, but for the one that asks."""
    query = """
        select count(*) from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
    """
    ((count,),) = execute(url, query)
    return count


@pytest.fixture
def process(app: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a command of ours; it ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start_one(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "worker", *arguments]
        started.append(subprocess.Popen(command, cwd=app, env=os.environ | environment, stdout=subprocess.DEVNULL))
        return started[-1]

    yield start_one
    for each in started:
        each.terminate()
        each.wait(SECONDS)


async def test_web_and_worker_keep_to_their_connections_at_work(
    app: Path, process: Callable[..., subprocess.Popen[bytes]], database_url: str
) -> None:
    port = free_port()
    most = {"web": 0, "both": 0}

    def count(which: str) -> None:
        most[which] = max(most[which], connections(database_url))

    process("serve", PORT=str(port), DYNO="web.1")
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"x-api-key": KEY}, timeout=SECONDS
    ) as web:
        await wait_until(lambda: _answers(port), "the server answers", SECONDS)

        async def create() -> str:
            answer = await web.post("/agent-execution/quick", json={"input": {"text": "x"}, "events_streaming": True})
            return answer.json()["id"]

        ids = await asyncio.gather(*(create() for _ in range(40)))
        count("web")

        async def follow(task_id: str) -> None:
            async with web.stream("GET", f"/agent-execution/{task_id}/events") as stream:
                async for _ in stream.aiter_lines():
                    pass

        following = [asyncio.create_task(follow(each)) for each in ids]
        count("web")
        process("run", DYNO="worker.7")
        while not all(each.done() for each in following):
            count("both")
            await asyncio.sleep(0.02)
    assert 1 < most["web"] <= CONNECTIONS <= 4
    assert CONNECTIONS < most["both"] <= 2 * CONNECTIONS
    assert execute(database_url, "select name from worker.workers") == [("worker.7",)]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
