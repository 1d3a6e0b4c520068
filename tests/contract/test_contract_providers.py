"""Providers of models that are away: counted, waited for, resumed or given up, however the platform is reached."""

import pytest

from tests.contract.steps import claim, run
from worker.contracts import Platform
from worker.words.errors import NotFound
from worker.words.outcomes import HandBack
from worker.words.providers import ProviderFailure
from worker.words.statuses import AgentExecutionStatus as Status

DOWN = ProviderFailure("openai-1", "unavailable", "be right back", "server_error", wait_seconds=3600)
REFUSED = ProviderFailure("openai-1", "auth", "no such key", "invalid_api_key", opens=True)
WAITS = HandBack(error="away", error_code="auth", provider_code="invalid_api_key", waits_for="openai-1")


async def test_the_third_failure_in_a_row_begins_the_wait(platform: Platform) -> None:
    states = [await platform.work.provider_failed(DOWN) for _ in range(3)]
    assert [each and each.is_away for each in states] == [False, False, True]
    (state,) = await platform.tasks.providers()
    assert (state.id, state.failures, state.message) == ("openai-1", 3, "be right back")
    assert (state.error_code, state.provider_code) == ("unavailable", "server_error")
    assert await platform.work.providers() == [state]


async def test_an_answer_in_between_counts(platform: Platform) -> None:
    await platform.work.provider_failed(DOWN)
    await platform.work.provider_failed(DOWN)
    await platform.work.provider_answered("openai-1")
    state = await platform.work.provider_failed(DOWN)
    assert state is not None
    assert (state.failures, state.is_away) == (1, False)


async def test_a_task_that_waits_is_not_charged_and_nobody_claims_it_until_the_provider_is_resumed(
    platform: Platform,
) -> None:
    await platform.work.provider_failed(REFUSED)
    by, held = await run(platform)
    await platform.work.hand_back(held.task.id, held.attempt, WAITS)
    task = await platform.tasks.get(held.task.id)
    assert (task.status, task.errors, task.error_code, task.available_at) == (Status.Pending, 0, "auth", None)
    assert (await platform.tasks.attempts(task.id))[-1].error == "away"
    assert (await platform.tasks.providers())[0].waiting == 1
    state = await platform.tasks.resume_provider("openai-1")
    assert state.waiting == 1
    (again,) = await claim(platform, by)
    assert again.task.id == task.id
    assert await platform.tasks.providers() == []


async def test_tasks_that_wait_may_be_ended(platform: Platform) -> None:
    await platform.work.provider_failed(REFUSED)
    _, held = await run(platform)
    await platform.work.hand_back(held.task.id, held.attempt, WAITS)
    await platform.tasks.fail_provider("openai-1")
    task = await platform.tasks.get(held.task.id)
    assert (task.status, task.error_code) == (Status.Error, "auth")
    assert "no such key" in (task.result or "")


async def test_one_that_does_not_fail_cannot_be_resumed(platform: Platform) -> None:
    with pytest.raises(NotFound):
        await platform.tasks.resume_provider("anthropic-1")
