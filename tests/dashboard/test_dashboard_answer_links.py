"""Links by which a request is answered without a key: who is told them, what they open, and when they stop."""

import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.contract.steps import AGENT, claim, create, worker
from tests.dashboard.browsing import KEY
from tests.server.conftest import Start
from tests.server.serving import Serving
from worker.engine.engine import Engine
from worker.redaction import Redactor
from worker.words import answer_links
from worker.words.audit import AuditQuery
from worker.words.outcomes import Outcome
from worker.words.requests import InputAnswer, InputRequest, RequestKind, RequestQuery
from worker.words.roles import Role
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import DeliveryDemand, Subscription

PAY = InputRequest.create(["a"], RequestKind.Confirmation, agent="payer", tool_name="pay", arguments={"amount": 5})
SEATS = InputRequest.create(["b"], RequestKind.UserInput, tool_name="book", value_schema={"type": "integer"})
YES = {"request": PAY.id, "decision": "yes"}


@pytest.fixture
async def stranger() -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a key."""
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


@pytest.fixture
async def told(database_url: str, serving: Serving) -> AsyncIterator[Engine]:
    """A program with the database, which knows where the server is."""
    engine = Engine(database_url, public_url=serving.base)
    await engine.open()
    yield engine
    await engine.close()


async def pause(engine: Engine, *requests: InputRequest, **more: Any) -> str:
    task = await create(engine)
    by = await worker(engine)
    (held,) = await claim(engine, by)
    wanted = {"requests": [each.model_dump(mode="json") for each in requests or (PAY,)], **more}
    await engine.work.finish(held.task.id, held.attempt, Outcome(Status.Paused, {"hitl_request": wanted}))
    return task.id


async def link_of(platform: Engine, task_id: str) -> str:
    """The link of the first request, as a program with the database sees it."""
    return ((await platform.tasks.get(task_id)).hitl_request or {})["requests"][0]["answer_url"]


async def of_key(serving: Serving, task_id: str, key: str) -> Any:
    """The same, as it is told over HTTP."""
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": key}, timeout=30) as client:
        task = (await client.get(f"/agent-execution/{task_id}/status")).raise_for_status().json()
        return task["hitl_request"]["requests"][0].get("answer_url")


async def test_a_link_takes_an_answer_from_somebody_without_a_key_once(
    told: Engine, stranger: httpx.AsyncClient
) -> None:
    task_id = await pause(told)
    link = await link_of(told, task_id)
    before = await told.tasks.get(task_id)
    for method in ("GET", "HEAD", "GET"):  # a chat's preview looks, too
        page = await stranger.request(method, link)
        assert page.status_code == 200
    assert "pay" in page.text
    assert "Approve" in page.text
    assert not stranger.cookies
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in page.headers["x-robots-tag"]
    assert (await told.tasks.get(task_id)).last_event == before.last_event, "looking changes nothing"

    form = re.search(r'<form class="fields" method="post" action="([^"]+)"', page.text)
    assert form is not None
    done = await stranger.post(httpx.URL(link).join(form[1].replace("&amp;", "&")), data={**YES, "note": "soon"})
    assert (done.status_code, "Thank you" in done.text) == (200, True), done.text
    task = await told.tasks.get(task_id)
    assert task.status is Status.Pending
    (received,) = [each async for each in told.tasks.events(task_id, follow=False) if each.type is Type.InputReceived]
    assert (received.data.approve, received.data.note) == (True, "soon")
    for again in (await stranger.get(link), await stranger.post(link, data={**YES, "decision": "no"})):
        assert again.status_code == 410
        assert "already been answered" in again.text
    (line,) = await told.tasks.audit(AuditQuery(action="task.answer"))
    assert (line.door, line.key_name, line.subject, line.error) == ("link", "operator", f"task {task_id}", None)


async def test_links_are_told_to_those_who_may_answer(serving: Serving, engine: Engine) -> None:
    task_id = await pause(engine)
    for role, sees in ((Role.Client, True), (Role.Admin, True), (Role.Viewer, False), (Role.Worker, False)):
        key, _ = await engine.keys.create("default", role=role)
        assert bool(await of_key(serving, task_id, key)) is sees, role
        async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": key}, timeout=30) as client:
            for path in ("/requests", f"/agent-execution/{task_id}/events?follow=false"):
                for native in ({}, {"x-dialect": "native"}):
                    answer = await client.get(path, headers=native)
                    assert ("/ui/answer?token=" in answer.text) is sees, (role, path)
    assert (await of_key(serving, task_id, KEY)).startswith(f"{serving.base}/ui/answer?token=")


async def test_a_link_ends_with_the_key_it_was_told_to(
    serving: Serving, engine: Engine, stranger: httpx.AsyncClient
) -> None:
    task_id = await pause(engine)
    key, known = await engine.keys.create("default", role=Role.Client, agents=[AGENT])
    other, _ = await engine.keys.create("default", role=Role.Client)
    link, others = await of_key(serving, task_id, key), await of_key(serving, task_id, other)
    assert (await stranger.get(link)).status_code == 200
    await engine.keys.revoke(known.id)
    serving.service.keyring.forget()
    ended = await stranger.post(link, data=YES)
    assert (ended.status_code, "has been revoked" in ended.text) == (410, True)
    assert (await engine.tasks.get(task_id)).status is Status.Paused
    assert (await stranger.post(others, data=YES)).status_code == 200


async def test_a_link_ends_with_its_time_its_deadline_and_its_task(told: Engine, stranger: httpx.AsyncClient) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    task_id = await pause(told, PAY.model_copy(update={"answer_by": until}))
    secret = (await told._links._secrets.of(answer_links.SECRET, answer_links.SECRET_PERIOD_SECONDS))[0]
    link = await link_of(told, task_id)
    read = answer_links.AnswerLink.read(link.partition("token=")[2], [secret], 0.0)
    assert read.expires == int(until.timestamp()), "no longer than its deadline"
    expired = replace(read, expires=int(time.time()) - 1)
    late = await stranger.get(expired.url(link.partition("/ui/")[0], secret))
    assert (late.status_code, "has expired" in late.text) == (410, True)
    await told.tasks.stop(task_id)
    gone = await stranger.get(link)
    assert (gone.status_code, "already been answered" in gone.text) == (410, True)


async def test_what_is_asked_anew_has_another_link(told: Engine, stranger: httpx.AsyncClient) -> None:
    task_id = await pause(told)
    first = await link_of(told, task_id)
    await told.tasks.stop(task_id)
    await told.tasks.retry(task_id, resume=False)  # from its start, and it asks the same
    by = await worker(told)
    (held,) = await claim(told, by)
    wanted = {"requests": [PAY.model_dump(mode="json")]}
    await told.work.finish(task_id, held.attempt, Outcome(Status.Paused, {"hitl_request": wanted}))
    assert (await stranger.get(first)).status_code == 410
    assert (await stranger.get(await link_of(told, task_id))).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "e30.x", "äö.ß", "A" * 5000, "W10.W10"])
async def test_what_nobody_signed_opens_nothing(serving: Serving, stranger: httpx.AsyncClient, token: str) -> None:
    for method in ("GET", "POST"):
        answer = await stranger.request(method, f"{serving.base}/ui/answer", params={"token": token})
        assert (answer.status_code, "not valid" in answer.text) == (404, True)


async def test_a_log_line_with_a_link_hides_what_is_secret_in_it(told: Engine) -> None:
    link = await link_of(told, await pause(told))
    line = Redactor()(f"posted {link} to the channel")
    assert line == f"posted {link.partition('?')[0]}?*** to the channel"


async def test_a_link_cut_or_changed_opens_nothing(told: Engine, stranger: httpx.AsyncClient) -> None:
    link = await link_of(told, await pause(told))
    for changed in (link[:-1], link.replace("token=", "token=A"), link.replace("token=", "").replace("?", "?token=.")):
        assert (await stranger.get(changed)).status_code == 404


async def test_an_answer_that_does_not_fit_is_shown_again(told: Engine, stranger: httpx.AsyncClient) -> None:
    task_id = await pause(told, SEATS, PAY)
    link = await link_of(told, task_id)
    wrong = await stranger.post(link, data={"request": SEATS.id, "decision": "yes", "field:": '"two"'})
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (422, True)
    right = await stranger.post(link, data={"request": PAY.id, "decision": "yes", "field:": "2"})
    assert right.status_code == 200, "a link answers its own request, whatever the form says"
    (open_one,) = await told.tasks.requests(RequestQuery())
    assert open_one.id == PAY.id
    assert open_one.answer_url is not None
    assert (await stranger.get(open_one.answer_url)).status_code == 200


async def test_handlers_are_told_links_and_nothing_stores_them(told: Engine, engine: Engine) -> None:
    subscriptions = [Subscription("tell", Type.InputRequested, AGENT)]
    by = await worker(told, subscriptions=subscriptions)
    task_id = await pause(told)
    (delivery,) = await told.work.deliveries(by.id, lambda: DeliveryDemand(1), 10)
    assert "/ui/answer?token=" in delivery.event.data.answer_url
    assert delivery.task.hitl_request is not None
    # whoever saves what he read saves no link
    await told.tasks.update(task_id, {"hitl_request": (await told.tasks.get(task_id)).hitl_request})
    for record in (
        (await engine.tasks.get(task_id)),
        *[each async for each in engine.tasks.events(task_id, follow=False)],
    ):
        assert "token=" not in record.model_dump_json()
    await told.tasks.answer(task_id, [InputAnswer(approve=True)])


async def test_a_server_without_keys_tells_links_that_end_with_its_first_key(
    start: Start, engine: Engine, stranger: httpx.AsyncClient
) -> None:
    serving = await start()
    task_id = await pause(engine)
    (listed,) = (await stranger.get(f"{serving.base}/requests")).json()
    assert (await stranger.get(listed["answer_url"])).status_code == 200
    await engine.keys.create("default", role=Role.Admin)
    serving.service.keyring.forget()
    assert (await stranger.get(listed["answer_url"])).status_code == 410
    assert (await engine.tasks.get(task_id)).status is Status.Paused
