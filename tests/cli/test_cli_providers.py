"""``worker provider …``: what is away, and what becomes of the tasks that wait for it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.contract.steps import run
from worker.cli.app import app
from worker.engine.engine import Engine
from worker.words.outcomes import HandBack
from worker.words.providers import ProviderFailure
from worker.words.statuses import AgentExecutionStatus as Status

REFUSED = ProviderFailure("openai-1", "auth", "no such key", "invalid_api_key", opens=True)
WAITS = HandBack(error="away", error_code="auth", provider_code="invalid_api_key", waits_for="openai-1")

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def database(environment: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)


async def ran(*arguments: str, code: int = 0) -> str:
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


async def waiting(engine: Engine) -> Any:
    """A task that waits for a provider."""
    await engine.work.provider_failed(REFUSED)
    _, held = await run(engine)
    await engine.work.hand_back(held.task.id, held.attempt, WAITS)
    return held.task


@pytest.mark.usefixtures("database")
async def test_a_provider_that_is_away_is_listed_and_resumed(engine: Engine) -> None:
    task = await waiting(engine)
    (found,) = json.loads(await ran("provider", "list", "--json"))
    assert (found["id"], found["error_code"], found["waiting"]) == ("openai-1", "auth", 1)
    shown = await ran("provider", "list")
    assert "openai-1" in shown
    assert "no such key" in shown
    assert "1 tasks will be tried again" in await ran("provider", "resume", "openai-1")
    assert (await engine.tasks.get(task.id)).available_at is not None
    await ran("provider", "resume", "nobody", code=1)


@pytest.mark.usefixtures("database")
async def test_its_tasks_may_be_ended(engine: Engine) -> None:
    task = await waiting(engine)
    assert "1 tasks have ended as errors" in await ran("provider", "fail", "openai-1")
    ended = await engine.tasks.get(task.id)
    assert (ended.status, ended.error_code) == (Status.Error, "auth")
