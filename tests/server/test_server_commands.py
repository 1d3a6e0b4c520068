"""``worker serve`` and ``worker key`` as real processes."""

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.shells import Running, Shell


@pytest.fixture
def here(environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("WORKER_LOG", "logfmt")
    shell = Shell(environment)
    yield shell
    shell.end_all()


def address(running: Running) -> str:
    found = re.search(r"address=(http://\S+)", running.log)
    assert found is not None, running.log
    return found[1]


async def test_a_server_ends_at_once_on_sigterm_however_many_streams_are_open(here: Shell) -> None:
    running = here.start("serve", "--port", "0")
    await running.says("server ready")
    assert "No API key" in running.log
    async with httpx.AsyncClient(base_url=address(running), timeout=30) as client:
        task = (await client.post("/agent-execution/a", json={"input": {"text": "x"}})).json()
        request = client.build_request("GET", f"/agent-execution/{task['id']}/events")
        stream = await client.send(request, stream=True)
        request = client.build_request("GET", "/default/events/b/", headers={"x-api-key": "any"})
        worker = await client.send(request, stream=True)
        lines = worker.aiter_lines()
        while not (await anext(lines)).startswith("data:"):
            pass
        began = time.monotonic()
        running.process.terminate()
        assert running.end() == 0, "a second signal changes nothing"
        assert time.monotonic() - began < 5
        async for _ in stream.aiter_lines():  # both end as streams end, else this raises
            pass
        async for _ in lines:
            pass
        await stream.aclose()
        await worker.aclose()
    assert "Traceback" not in running.log


SIGNALLED_AT_THE_VERY_END = """
import atexit, os, signal
from worker.cli import main

class Late:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGTERM):
        kill(pid, number)

atexit.register(os.kill, os.getpid(), signal.SIGTERM)
late = Late()  # goes with the modules, when Python has taken its own handlers away
main()
"""


async def test_a_signal_that_comes_when_the_server_has_ended_does_not_spoil_its_exit_code(here: Shell) -> None:
    running = here.launch([sys.executable, "-c", SIGNALLED_AT_THE_VERY_END, "serve", "--port", "0"])
    await running.says("server ready")
    assert running.end() == 0, running.log


async def test_a_key_is_made_used_listed_and_revoked(here: Shell) -> None:
    options = ("--organization", "acme", "--agents", "a, b", "--name", "ci", "--expires", "90d")
    made = here.worker("key", "create", *options)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    (listed,) = json.loads(here.worker("key", "list", "--json").stdout)
    assert (listed["organization_id"], listed["agents"], listed["name"]) == ("acme", ["a", "b"], "ci")
    assert listed["expires_at"] is not None
    assert key not in here.worker("key", "list").stdout
    running = here.start("serve", "--port", "0", "--host", "127.0.0.1")
    await running.says("server ready")
    assert "No API key" not in running.log
    async with httpx.AsyncClient(base_url=address(running), headers={"x-api-key": key}, timeout=30) as client:
        assert (await client.get("/acme/agents/list")).status_code == 200
        assert (await client.get("/agents/list", headers={"x-api-key": "wrong"})).status_code == 401
    revoked = here.worker("key", "revoke", listed["id"])
    assert (revoked.returncode, revoked.stdout) == (0, f"{listed['id']} revoked\n")
    assert here.worker("key", "revoke", "unknown").returncode == 1
    assert running.end() == 0


def test_beyond_loopback_the_command_refuses_in_one_line(here: Shell) -> None:
    refused = here.worker("serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - what is refused
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "WORKER_API_KEY" in refused.stderr


@pytest.mark.parametrize("span", ["90", "d", "0d", "-1d", "9999999w", "1y"])
def test_a_span_that_is_none_is_wrong_usage(here: Shell, span: str) -> None:
    refused = here.worker("key", "create", "--organization", "o", f"--expires={span}")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "such as 90d" in refused.stderr
