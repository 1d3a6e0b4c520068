"""Secrets are in no output: canaries everywhere, debug lines, failures and traces on, and every output searched."""

import asyncio
import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.cli.shells import Shell
from tests.conftest import execute
from tests.server.test_server_commands import address
from tests.support import wait_until
from tests.telemetry.collectors import collecting

CANARY = "canary0123456789"
ARGUMENT = "argument0123456789"  # what a tool is called with: in the task's events, and nowhere else
SECRET = "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"  # "canary" four times over
HANDLERS = """
    import logging, os
    from agno.agent import Agent
    from worker import Task, on_task, run_agent
    from worker.testing import Call, ScriptedModel

    log = logging.getLogger("mine")

    def lookup(customer: str) -> str:
        return "found"

    @on_task(agent_id="careless", retries=2)
    async def careless(task: Task, context) -> str:
        log.debug("asking %s", "https://api.example/v1?token=canary0123456789")
        log.debug("with %s", {"Authorization": "Bearer canary0123456789", "x-api-key": "canary0123456789"})
        context.logger.warning("the key", key=os.environ["OPENAI_API_KEY"], url=os.environ["WORKER_WEBHOOK_URL"])
        if context.attempt == 1:
            raise ConnectionError("https://files.example/a.pdf?X-Amz-Signature=canary0123456789 is away")
        raise RuntimeError(f"no idea what to do with {task!r}")

    @on_task(agent_id="careful")
    async def careful(task: Task) -> Task:
        assert task.user_tokens == {"crm": "canary0123456789"}
        model = ScriptedModel([Call("lookup", {"customer": "argument0123456789"}), "done"])
        return await run_agent(Agent(model=model, tools=[lookup], telemetry=False), task)
"""


@pytest.fixture
def secretive(environment: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An environment with a canary in every setting that is secret; the database's URL with a password."""
    parts = urlsplit(database_url)
    with_password = parts._replace(netloc=parts.netloc.replace("@", f":{CANARY}@")).geturl()
    for name, value in {
        "DATABASE_URL": with_password,
        "WORKER_API_KEY": f"key-{CANARY}",
        "XPANDER_API_KEY": f"key-{CANARY}",
        "OPENAI_API_KEY": f"sk-{CANARY}",
        "WORKER_WEBHOOK_SECRET": SECRET,
        "WORKER_WEBHOOK_URL": f"http://127.0.0.1:1/{CANARY}?{CANARY}",
        "WORKER_LOG": "logfmt",
        "WORKER_LOG_LEVEL": "debug",
        "WORKER_METRICS_PORT": "0",
    }.items():
        monkeypatch.setenv(name, value)
    return with_password


async def test_no_output_holds_a_secret(
    secretive: str, here: Shell, elsewhere: Shell, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.handlers(HANDLERS)
    source = (Path(__file__).parents[2] / "handlers" / "webhook.py").read_text()
    (elsewhere.folder / "handlers" / "webhook.py").write_text(source)
    said: list[str] = []
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        serving = here.start("serve", "--port", "0")
        await serving.says("server ready")
        monkeypatch.setenv("XPANDER_BASE_URL", address(serving))
        running = elsewhere.start("run")
        await running.says("worker ready")
        async with httpx.AsyncClient(
            base_url=address(serving), headers={"x-api-key": f"key-{CANARY}"}, timeout=30
        ) as client:
            ids = [
                (
                    await client.post(
                        f"/agent-execution/{agent}",
                        json={
                            "input": {"text": "x", "files": [f"http://127.0.0.1:1/a.pdf?signature={CANARY}"]},
                            "user_tokens": {"crm": CANARY},
                            "user_oidc_token": CANARY,
                            "webhook_url": f"https://127.0.0.1/{CANARY}?{CANARY}" if agent == "careful" else None,
                        },
                    )
                ).json()["id"]
                for agent in ("careless", "careful")
            ]
            await wait_until(lambda: running.log.count("delivery failed") >= 2, "both webhooks were refused", 60)
            await wait_until(lambda: "task error" in running.log and "task completed" in running.log, "both ended", 60)
            assert (await client.get("/health", headers={"x-api-key": f"wrong-{CANARY}"})).status_code == 200
            assert (await client.get("/workers", headers={"x-api-key": f"wrong-{CANARY}"})).status_code == 401
            said.append((await client.get("/metrics")).text)
        metrics = re.search(r"metrics ready.*address=(\S+)|address=(\S+/metrics)", running.log)
        assert metrics is not None
        said.append((await asyncio.to_thread(httpx.get, metrics[1] or metrics[2])).text)
        for arguments in (
            ("task", "show", ids[0], "--json"),
            ("task", "show", ids[1]),
            ("task", "events", ids[0], "--json"),
            ("task", "events", ids[1], "--json"),
            ("delivery", "list", "--json"),
            ("check",),
        ):
            answer = elsewhere.worker(*arguments)
            said += [answer.stdout, answer.stderr]
        assert running.end() == 0
        assert serving.end() == 0
    files = f"http://127.0.0.1:1/a.pdf?signature={CANARY}"
    outputs = {
        "the worker's log": running.log,
        "the server's log": serving.log,
        "traces": collector.raw.decode("latin-1"),
        "what commands and metrics say": "\n".join(said).replace(files, ""),  # its own input, shown to who may see it
        "errors and results": str(execute(database_url, "select result, internal_status from worker.tasks")),
        "deliveries": str(execute(database_url, "select error from worker.deliveries_set_aside"))
        + str(execute(database_url, "select error from worker.cursors")),
    }
    outputs["the event log"] = str(execute(database_url, "select type, data::text from worker.events"))
    for name in ("the worker's log", "the server's log", "traces"):
        assert ARGUMENT not in outputs[name], name
    assert "no idea what to do with" in outputs["errors and results"]
    assert "X-Amz" not in outputs["the event log"]
    for name, output in outputs.items():
        assert output, name
        lines = [line for line in output.splitlines() if CANARY in line or SECRET in line]
        assert not lines, f"{name}: {lines[:3]}"


def test_a_database_that_cannot_be_reached_is_told_without_its_password(
    here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgres://someone:{CANARY}@127.0.0.1:1/app")
    for arguments in (("--debug", "task", "list"), ("check",)):
        answer = here.worker(*arguments)
        assert "127.0.0.1" in answer.stdout + answer.stderr, answer
        assert CANARY not in answer.stdout + answer.stderr
