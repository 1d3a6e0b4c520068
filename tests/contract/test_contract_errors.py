"""What a task failed of: in one word, with the provider's own beside it, wherever the task is shown."""

from tests.contract.steps import claim, create, finish, log, run, worker
from worker.contracts import Platform
from worker.words.attempts import Attempt
from worker.words.outcomes import HandBack
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.task_lists import TaskQuery
from worker.words.tasks import TaskRecord

FAILED = HandBack(error="Too many requests", error_code="rate_limited", provider_code="ThrottlingException")


async def told(platform: Platform, task_id: str) -> list[str | None]:
    whole = [event.data for event in await log(platform, task_id) if isinstance(event.data, TaskRecord)]
    return [each.error_code for each in whole if each.error_code]


async def last_attempt(platform: Platform, task_id: str) -> Attempt:
    return (await platform.tasks.attempts(task_id))[-1]


async def test_a_try_that_failed_says_of_what_on_the_task_the_attempt_and_its_event(platform: Platform) -> None:
    by, held = await run(platform)
    await platform.work.hand_back(held.task.id, held.attempt, FAILED)
    task = await platform.tasks.get(held.task.id)
    assert (task.status, task.error_code, task.provider_code) == (Status.Pending, "rate_limited", "ThrottlingException")
    attempt = await last_attempt(platform, task.id)
    assert (attempt.error_code, attempt.provider_code) == ("rate_limited", "ThrottlingException")
    (again,) = await claim(platform, by)
    await finish(platform, again, Status.Error, result="no", error_code="handler")
    task = await platform.tasks.get(task.id)
    assert (task.error_code, (await last_attempt(platform, task.id)).error_code) == ("handler", "handler")
    assert await told(platform, task.id) == ["rate_limited", "rate_limited", "handler"]


async def test_a_completed_task_failed_of_nothing(platform: Platform) -> None:
    by, held = await run(platform)
    await platform.work.hand_back(held.task.id, held.attempt, FAILED)
    (again,) = await claim(platform, by)
    await finish(platform, again, result="R")
    task = await platform.tasks.get(held.task.id)
    assert (task.status, task.error_code, task.provider_code) == (Status.Completed, None, None)
    assert (await log(platform, task.id))[-1].data.error_code is None


async def test_a_retry_by_hand_begins_without_the_error(platform: Platform) -> None:
    _, held = await run(platform)
    await finish(platform, held, Status.Error, result="no", error_code="auth", provider_code="invalid_api_key")
    task = await platform.tasks.retry(held.task.id)
    assert (task.error_code, task.provider_code) == (None, None)


async def test_tasks_are_found_by_what_they_failed_of(platform: Platform) -> None:
    for _ in range(3):
        await create(platform)
    first, second, third = await claim(platform, await worker(platform), 3)
    await finish(platform, first, Status.Error, result="no", error_code="quota", provider_code="insufficient_quota")
    await finish(platform, second, Status.Error, result="no", error_code="handler")
    await finish(platform, third, result="R")
    (item,) = await platform.tasks.find(TaskQuery(error_code="quota"))
    assert (item.id, item.error_code, item.provider_code) == (first.task.id, "quota", "insufficient_quota")
    (item,) = await platform.tasks.find(TaskQuery(error_code="handler", agent_id=second.task.agent_id))
    assert item.id == second.task.id
    assert await platform.tasks.find(TaskQuery(error_code="quota", status=Status.Completed)) == []
