"""``worker dev``, by the real command line: start, edit while a task runs, break, mend, leave."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.cli.shells import SECONDS, Running, Shell
from tests.support import wait_until

GREETER = """
    from worker import on_task

    @on_task(agent_id="greeter")
    async def greet(task):
        return f"Hello, {task.input.text}!"
"""

SLOW = """
    import asyncio
    from pathlib import Path
    from worker import on_task

    @on_task(agent_id="slow")
    async def slow(task):
        Path("begun").touch()
        while not Path("go-on").exists():
            await asyncio.sleep(0.01)
        return "WORD"
"""

BAD_BOOT = """
    from worker import on_boot, on_task

    @on_boot
    def boot():
        1 / 0

    @on_task
    async def good(task): ...
"""


@pytest.fixture
def here(here: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("WORKER_LOG", "logfmt")
    return here


async def started(shell: Shell, *options: str) -> Running:
    running = shell.start("dev", *options)
    await running.says("Try it")
    await running.says("--follow")
    return running


def url_of(running: Running) -> str:
    found = re.search(r"Ready in [\d.]+ s:  (http://\S+)", running.log)
    assert found is not None, running.log
    return found[1]


async def ask(url: str, agent: str, text: str = "Ada") -> dict[str, Any]:
    """Create a task over HTTP and wait for its end."""
    async with httpx.AsyncClient(base_url=url, timeout=SECONDS) as client:
        task = (await client.post(f"/agent-execution/{agent}", json={"input": {"text": text}})).json()
        return await end_of(client, task["id"])


async def end_of(client: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    """Wait for a task's end."""
    task: dict[str, Any] = {}

    async def ended() -> bool:
        nonlocal task
        task = (await client.get(f"/agent-execution/{task_id}/status")).json()
        return task["status"] not in ("pending", "executing")

    await wait_until(ended, f"task {task_id} ended", SECONDS)
    return task


async def says_so_often(running: Running, text: str, count: int) -> None:
    await wait_until(lambda: running.log.count(text) >= count, f"{count} times {text!r} in its log", SECONDS)


@contextmanager
def taken_port() -> Generator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


async def test_the_day_of_someone_who_writes_handlers(here: Shell, elsewhere: Shell) -> None:
    here.handlers(GREETER)
    here.handlers(SLOW.replace("WORD", "old"), "slow")
    running = await started(here, "--port", "0")
    url = url_of(running)

    async with httpx.AsyncClient(base_url=url, timeout=SECONDS, follow_redirects=True) as client:
        page = await client.get("/", headers={"accept": "text/html"})
        assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")

    # The printed command works when copied into another shell, in another folder.
    (command,) = re.findall(r"^    (XPANDER_BASE_URL=.*)$", running.log, flags=re.MULTILINE)
    copied = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", command],
        cwd=elsewhere.folder,
        env={name: value for name, value in here.environment.items() if name != "DATABASE_URL"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert copied.returncode == 0, copied.stderr
    assert "Hello, Hello!" in copied.stdout
    assert not (elsewhere.folder / ".worker").exists()

    # A handler is edited while it runs: the run ends with the old code, new tasks get the new.
    async with httpx.AsyncClient(base_url=url, timeout=SECONDS) as client:
        under_way = (await client.post("/agent-execution/slow", json={"input": {"text": "x"}})).json()
        await wait_until((here.folder / "begun").exists, "the slow task runs", SECONDS)
        here.handlers(SLOW.replace("WORD", "new"), "slow")
        await running.says("handlers reloaded")
        (here.folder / "go-on").touch()
        assert (await ask(url, "slow"))["result"] == "new"
        assert (await end_of(client, under_way["id"]))["result"] == "old"

    # It is broken: the place is shown, the old code goes on. It is mended.
    here.handlers("\nfrom worker import on_task\nx = (\n", "slow")
    await running.says('problem="handlers/slow.py:3: SyntaxError')
    assert (await ask(url, "slow"))["result"] == "new"
    here.handlers(SLOW.replace("WORD", "mended"), "slow")
    await says_so_often(running, "handlers reloaded", 2)
    assert (await ask(url, "slow"))["result"] == "mended"

    assert running.end(signal.SIGINT) == 0
    assert "worker stopped" in running.log
    assert "Traceback" not in running.log


async def test_modules_come_and_go_and_what_handlers_import_is_reloaded_too(here: Shell) -> None:
    here.handlers("WORD = 'one'\n", "words")
    here.handlers("""
        from handlers import words
        from worker import on_task

        @on_task(agent_id="speaker")
        def speak(task):
            return words.WORD
    """)
    running = await started(here, "--port", "0")
    url = url_of(running)
    assert (await ask(url, "speaker"))["result"] == "one"
    here.handlers("WORD = 'two'\n", "words")  # as long as before, and within the same second
    await running.says("handlers reloaded")
    assert (await ask(url, "speaker"))["result"] == "two"
    here.handlers(GREETER, "another")
    await says_so_often(running, "handlers reloaded", 2)
    assert (await ask(url, "greeter"))["result"] == "Hello, Ada!"
    (here.folder / "handlers" / "another.py").unlink()
    await says_so_often(running, "handlers reloaded", 3)
    here.handlers("""
        from worker import on_task

        @on_task
        def anyone(task):
            return "anyone"
    """)
    await says_so_often(running, "handlers reloaded", 4)
    assert (await ask(url, "greeter"))["result"] == "anyone"
    assert running.end() == 0


async def test_every_kind_of_mistake_leaves_the_old_handlers_at_work(here: Shell) -> None:
    here.handlers(GREETER)
    running = await started(here, "--port", "0")
    mistakes = [
        ("import nowhere_at_all\n", "handlers/mine.py:1: ModuleNotFoundError"),
        ("raise SystemExit(3)\n", "handlers/mine.py:1: SystemExit"),
        ("x = 1\n", "no handler is registered"),
        (
            "from worker import on_task\n\n@on_task\nasync def bad(tsk): ...\n",
            "handlers/mine.py:3: parameter 'tsk' of bad is unknown",
        ),
        (
            f"{GREETER}\n    @on_task(agent_id='greeter')\n    async def twice(task): ...\n",
            "a second task_created handler",
        ),
        (BAD_BOOT, "a boot hook raised ZeroDivisionError"),
    ]
    for number, (source, problem) in enumerate(mistakes):
        here.handlers(source)
        await running.says(problem)
        assert "handlers reloaded" not in running.log
        assert (await ask(url_of(running), "greeter", str(number)))["result"] == f"Hello, {number}!"
    assert running.end() == 0


async def test_a_start_with_broken_handlers_waits_for_them_to_be_mended(here: Shell) -> None:
    here.handlers("x = (\n")
    running = await started(here, "--port", "0")
    assert 'problem="handlers/mine.py:1: SyntaxError' in running.log
    assert "none yet" in running.log
    here.handlers(GREETER)
    await running.says("handlers reloaded")
    assert (await ask(url_of(running), "greeter"))["result"] == "Hello, Ada!"
    assert running.end() == 0


async def test_a_folder_that_goes_and_comes_back_is_watched_on(here: Shell) -> None:
    here.handlers(GREETER)
    running = await started(here, "--port", "0")
    (here.folder / "handlers").rename(here.folder / "aside")
    await running.says("there is no folder 'handlers'")
    here.handlers(GREETER.replace("Hello", "Welcome back"))
    await running.says("handlers reloaded")
    here.handlers(GREETER.replace("Hello", "Good morning"))
    await says_so_often(running, "handlers reloaded", 2)
    assert (await ask(url_of(running), "greeter"))["result"] == "Good morning, Ada!"
    assert running.end() == 0


async def test_without_a_database_it_lives_on_the_embedded_one_and_finds_it_made_the_second_time(
    here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    here.handlers(GREETER)
    running = await started(here, "--port", "0")
    assert "the embedded PostgreSQL in .worker" in running.log
    assert (await ask(url_of(running), "greeter"))["result"] == "Hello, Ada!"
    # The short way works in this folder too: another process, the same server.
    done = await asyncio.to_thread(here.worker, "task", "create", "--agent", "greeter", "--text", "B", "--wait")
    assert (done.returncode, done.stdout) == (0, "Hello, B!\n")
    assert running.end() == 0
    made = (here.folder / ".worker" / "postgres" / "18" / "PG_VERSION").stat()

    again = await started(here, "--port", "0")
    assert re.search(r"Ready in [\d.]+ s", again.log)
    found = (here.folder / ".worker" / "postgres" / "18" / "PG_VERSION").stat()
    assert (found.st_ino, found.st_mtime_ns) == (made.st_ino, made.st_mtime_ns)  # making it is what takes long
    listed = await asyncio.to_thread(here.worker, "task", "list", "--json")
    assert len(json.loads(listed.stdout)) == 2
    assert again.end() == 0


async def test_ctrl_c_lets_a_task_finish_and_a_second_one_hands_it_back(here: Shell) -> None:
    here.handlers(SLOW.replace("WORD", "done"))
    running = await started(here, "--port", "0")
    async with httpx.AsyncClient(base_url=url_of(running), timeout=SECONDS) as client:
        task = (await client.post("/agent-execution/slow", json={"input": {"text": "x"}})).json()
    await wait_until((here.folder / "begun").exists, "the slow task runs", SECONDS)
    running.process.send_signal(signal.SIGINT)
    await running.says("worker draining")
    running.process.send_signal(signal.SIGTERM)  # changes nothing
    began = time.monotonic()
    assert running.end(signal.SIGINT) == 0
    assert time.monotonic() - began < 15  # seconds; the drain alone is 24
    assert "handed_back=1" in running.log
    shown = json.loads(here.worker("task", "show", task["id"], "--json").stdout)
    assert (shown["status"], shown["errors"], shown["crashes"]) == ("pending", 0, 0)


async def test_a_port_that_was_asked_for_and_is_taken_is_a_clear_error(
    here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.handlers(GREETER)
    with taken_port() as port:
        refused = here.worker("dev", "--port", str(port))
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert (
            f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another port with --port N"
            in refused.stderr
        )
        monkeypatch.setenv("PORT", str(port))
        assert here.worker("dev").returncode == 1


def test_without_a_wish_the_next_free_port_is_taken() -> None:
    from worker.dev.listening import listen_near

    with taken_port() as port, listen_near("127.0.0.1", port, exactly=False) as listening:
        assert port < listening.getsockname()[1] <= port + 20


@pytest.mark.parametrize("name", ["XPANDER_BASE_URL", "XPANDER_API_KEY"])
def test_another_platform_is_refused_kindly(here: Shell, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    here.handlers(GREETER)
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    refused = here.worker("dev")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"worker: {name} points to another platform")
    assert "worker run" in refused.stderr


def test_beyond_loopback_it_wants_a_key(here: Shell) -> None:
    here.handlers(GREETER)
    refused = here.worker("dev", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - what is refused
    assert refused.returncode == 1
    assert "WORKER_API_KEY" in refused.stdout + refused.stderr


def test_a_folder_without_handlers_is_a_clear_error(here: Shell) -> None:
    refused = here.worker("dev")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "there is no folder 'handlers': create it" in refused.stderr


def test_an_old_schema_says_what_to_do(here: Shell, empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here.handlers(GREETER)
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    refused = here.worker("dev", "--port", "0")
    assert refused.returncode == 1
    assert "run `worker migrate`" in refused.stdout + refused.stderr
