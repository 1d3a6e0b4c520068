"""The audit log: what changes what others may do, or ends or repeats their work, is written down by its verb."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.conftest import OpenPlatform, Sql
from tests.contract.steps import AGENT, create, run
from worker.contracts import Platform
from worker.words.actors import AuditAction
from worker.words.agents import AgentRecord
from worker.words.audit import AuditQuery
from worker.words.deliveries import DeliveryRetry
from worker.words.errors import Conflict, NotFound
from worker.words.providers import ProviderFailure

REFUSED = ProviderFailure("openai-1", "auth", "no such key", "invalid_api_key", opens=True)


async def actions(platform: Platform, **query: Any) -> list[tuple[str, str, str | None]]:
    found = await platform.tasks.audit(AuditQuery(**query))
    return [(each.action, each.subject, each.agent_id) for each in found][::-1]


async def test_every_verb_that_an_operator_answers_for_is_written_down(platform: Platform) -> None:
    task = await create(platform)
    await platform.tasks.stop(task.id)
    await platform.tasks.retry(task.id)
    await platform.tasks.update(task.id, {"status": "stopped"})
    await create(platform, id=task.id)
    await platform.tasks.save_agent(AgentRecord(id="made", name="made", unique_name="made"))
    await platform.tasks.delete_agent("made")
    await platform.work.provider_failed(REFUSED)
    await platform.tasks.resume_provider("openai-1")
    await platform.work.provider_failed(REFUSED)
    await platform.tasks.fail_provider("openai-1")
    await platform.deliveries.retry(DeliveryRetry(agent_id=AGENT))
    assert await actions(platform) == [
        ("task.stop", f"task {task.id}", AGENT),
        ("task.retry", f"task {task.id}", AGENT),
        ("task.stop", f"task {task.id}", AGENT),
        ("task.retry", f"task {task.id}", AGENT),
        ("agent.save", "agent made", "made"),
        ("agent.delete", "agent made", "made"),
        ("provider.resume", "provider openai-1", None),
        ("provider.fail", "provider openai-1", None),
        ("delivery.retry", "deliveries", AGENT),
    ]
    lines = await platform.tasks.audit(AuditQuery())
    assert {each.error for each in lines} == {None}
    assert all(
        each.key_id and each.address and each.role == "admin" and each.door in ("api", "database") for each in lines
    )
    assert all(abs(each.at - datetime.now(UTC)) < timedelta(minutes=5) for each in lines)


async def test_what_a_run_does_is_no_operators(platform: Platform) -> None:
    _, held = await run(platform)
    await platform.tasks.update(held.task.id, {"title": "t", "status": "completed"}, attempt=held.attempt)
    assert await actions(platform) == []


async def test_what_failed_is_written_down_with_the_reason(platform: Platform) -> None:
    task = await create(platform)
    with pytest.raises(Conflict):
        await platform.tasks.retry(task.id)
    with pytest.raises(NotFound):
        await platform.tasks.resume_provider("nobody")
    first, second = await platform.tasks.audit(AuditQuery())
    assert (first.action, first.subject) == ("provider.resume", "provider nobody")
    assert first.error
    assert second.error
    assert (second.action, second.subject) == ("task.retry", f"task {task.id}")


async def test_lines_are_found_by_what_they_say_and_page_by_page(platform: Platform) -> None:
    tasks = [await create(platform) for _ in range(3)]
    for task in tasks:
        await platform.tasks.stop(task.id)
    await platform.tasks.retry(tasks[0].id)
    assert len(await actions(platform, action=AuditAction.TaskStopped)) == 3
    assert await actions(platform, subject=tasks[0].id) == await actions(platform, subject=f"task {tasks[0].id}")
    assert len(await actions(platform, subject=tasks[0].id)) == 2
    (newest, *_), whole = await platform.tasks.audit(AuditQuery(limit=1)), await platform.tasks.audit(AuditQuery())
    assert await platform.tasks.audit(AuditQuery(before=newest.id)) == whole[1:]
    assert len(await actions(platform, key=newest.key_id)) == 4
    assert len(await actions(platform, address=newest.address)) == 4
    assert await actions(platform, key="nobody") == []
    assert await platform.tasks.audit(AuditQuery(after=newest.at)) == whole[:1]
    assert await platform.tasks.audit(AuditQuery(until=newest.at)) == whole[1:]


async def test_every_organization_has_its_own(open_platform: OpenPlatform, sql: Sql) -> None:
    ours, theirs = await open_platform("ours"), await open_platform("theirs")
    await ours.tasks.stop((await create(ours)).id)
    assert len(await ours.tasks.audit(AuditQuery())) == 1
    assert await theirs.tasks.audit(AuditQuery()) == []
    assert await sql("select count(*) from worker.audit") == [(1,)]
