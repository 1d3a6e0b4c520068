"""What is posted, to whom, and what becomes of each answer."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.webhooks.receivers import is_signed_with, receiving
from worker import GiveUp
from worker.inputs import addresses
from worker.settings import Settings
from worker.webhooks import DAY, Webhooks, signing
from worker.webhooks.posting import Post, WebhookRefused
from worker.words.errors import ConfigurationError
from worker.words.events import TaskUpdateEvent
from worker.words.requests import InputRequest, RequestKind
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "bmV3ZXItc2VjcmV0LW9mLTI0LWJ5dGVzIQ=="
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def ended(**fields: Any) -> TaskUpdateEvent:
    values: dict[str, Any] = {
        "id": "task-1",
        "agent_id": "analyst",
        "input": AgentExecutionInput(text="x"),
        "status": Status.Completed,
        "result": "42 ✓",
        "created_at": NOW,
        "finished_at": NOW,
        "user_tokens": {"crm": "canary"},
        "user_oidc_token": "canary",
        "payload_extension": {"note": "canary"},
        **fields,
    }
    task = TaskRecord.model_validate(values)
    return TaskUpdateEvent(type=Type.TaskFinished, task_id="task-1", number=7, time=NOW, data=task)


def webhooks(url: str | None = None, secret: str = OLD, *, allow_private: bool = False) -> Webhooks:
    return Webhooks(signing.secrets_of(secret), url, allow_private=allow_private)


def test_a_signature_is_the_one_that_the_specification_gives_as_an_example() -> None:
    body = b'{"test": 2432232314}'
    headers = signing.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, signing.secrets_of(OLD))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_finished_task_is_posted_signed_and_without_what_is_secret() -> None:
    async with receiving() as receiver:
        hooks = webhooks(receiver.url("/hook?key=1"))
        await hooks.post(ended())
        await hooks.close()
    (message,) = receiver.messages
    assert is_signed_with(message, OLD)
    assert not is_signed_with(message, NEW)
    assert message.path == "/hook?key=1"
    assert abs(int(message.headers["webhook-timestamp"]) - time.time()) < 60
    assert message.headers["content-type"] == "application/json"
    assert (message.told["type"], message.told["timestamp"]) == ("task.finished", "2026-01-02T03:04:05Z")
    assert (message.told["data"]["id"], message.told["data"]["result"]) == ("task-1", "42 ✓")
    assert b"canary" not in message.body


async def test_a_question_is_posted_with_its_link_to_the_operators_url_alone() -> None:
    asked = InputRequest.create(["here"], RequestKind.Question, question="May it?").model_copy(
        update={"answer_url": "https://worker.example/ui/answer?token=canary", "asked_at": NOW}
    )
    event = TaskUpdateEvent(type=Type.InputRequested, task_id="task-1", number=5, time=NOW, data=asked)
    async with receiving() as receiver, receiving() as own:
        for hooks, url in ((webhooks(receiver.url()), None), (webhooks(allow_private=True), own.url())):
            await hooks.post(event, TaskRecord.model_validate({**ended().data.model_dump(), "webhook_url": url}))
            await hooks.close()
    (to_operator,), (to_client,) = receiver.messages, own.messages
    assert is_signed_with(to_operator, OLD)
    assert to_operator.told["type"] == to_client.told["type"] == "task.input_requested"
    assert to_operator.told["data"]["task"]["id"] == "task-1"
    assert to_operator.told["data"]["request"]["question"] == to_client.told["data"]["request"]["question"] == "May it?"
    assert "answer_url" in to_operator.told["data"]["request"]
    assert b"canary" not in to_client.body


async def test_every_secret_in_use_signs_while_one_replaces_another() -> None:
    async with receiving() as receiver:
        hooks = webhooks(receiver.url(), f"{NEW} {OLD}")
        await hooks.post(ended())
        await hooks.close()
    (message,) = receiver.messages
    assert is_signed_with(message, OLD)
    assert is_signed_with(message, NEW)


async def test_each_try_is_the_same_message_and_another_end_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving(503, 200) as receiver:
        hooks = webhooks(receiver.url())
        with pytest.raises(WebhookRefused, match="responded with 503 Service Unavailable"):
            await hooks.post(ended())
        await hooks.post(ended())
        await hooks.post(ended().model_copy(update={"number": 12}))
        await hooks.close()
    first, second, third = receiver.messages
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert third.headers["webhook-id"] != first.headers["webhook-id"]


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (302, WebhookRefused, "redirects are not followed"),
        (404, WebhookRefused, "responded with 404"),
        (410, GiveUp, "receives no further events"),
        (599, WebhookRefused, "responded with 599"),
    ],
)
async def test_only_success_is_success(status: int, kind: type[Exception], said: str) -> None:
    async with receiving(status) as receiver:
        hooks = webhooks(receiver.url("/path-canary?query=canary"))
        with pytest.raises(kind, match=said) as refused:
            await hooks.post(ended())
        await hooks.close()
    assert len(receiver.messages) == 1
    assert "canary" not in str(refused.value)


async def test_a_receiver_that_does_not_answer_in_time_is_tried_again() -> None:
    async with receiving(0) as receiver:
        post = Post(trusted=True, seconds=0.3)
        with pytest.raises(WebhookRefused, match=r"did not respond within 0\.3 seconds"):
            await post.send(receiver.url(), {}, b"{}")
        await post.close()


async def test_a_receiver_that_is_not_there_is_tried_again() -> None:
    hooks = webhooks("http://127.0.0.1:1/hook?canary")
    with pytest.raises(WebhookRefused, match="does not accept connections") as refused:
        await hooks.post(ended())
    assert "canary" not in str(refused.value)


async def test_a_tasks_own_url_comes_before_the_one_for_all() -> None:
    async with receiving() as own, receiving() as common:
        hooks = webhooks(common.url(), allow_private=True)
        await hooks.post(ended(webhook_url=own.url()))
        await hooks.close()
    assert (len(own.messages), len(common.messages)) == (1, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]", "127.1"])
async def test_a_tasks_own_url_leads_to_no_private_address(host: str) -> None:
    hooks = webhooks()
    with pytest.raises(GiveUp, match=r"which is not allowed \(WORKER_ALLOW_PRIVATE_URLS\)"):
        await hooks.post(ended(webhook_url=f"https://{host}/canary"))
    await hooks.close()


async def test_a_name_of_a_private_address_is_refused_at_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def inside(host: str, port: int) -> list[str]:
        assert (host, port) == ("hooks.example", 443)
        return ["127.0.0.1"]

    monkeypatch.setattr(addresses, "resolve", inside)
    hooks = webhooks()
    with pytest.raises(GiveUp, match=r"hooks\.example has a loopback address"):
        await hooks.post(ended(webhook_url="https://hooks.example/x"))
    await hooks.close()


async def test_a_tasks_own_url_is_https() -> None:
    async with receiving() as receiver:
        hooks = webhooks()
        with pytest.raises(GiveUp, match="must use https"):
            await hooks.post(ended(webhook_url=receiver.url()))
    assert receiver.messages == []


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://a.example/", "https://", "https://u:p@a.example/", "https://a b/", "https://a:x/", "file:///etc"],
)
def test_what_is_no_url_is_refused_when_the_task_is_created(url: str) -> None:
    with pytest.raises(ValueError, match="webhook_url must be an https URL"):
        NewTask(agent_id="a", input=AgentExecutionInput(text="x"), webhook_url=url)


def test_a_url_is_not_shown_with_its_task() -> None:
    task = NewTask(agent_id="a", input=AgentExecutionInput(text="x"), webhook_url="https://a.example/canary")
    assert "canary" not in repr(task)
    assert "canary" not in repr(webhooks("https://a.example/canary"))


@pytest.mark.parametrize("secret", ["x", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", f"{OLD} short", "whsec_" + "A" * 120])
def test_a_secret_that_is_none_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="openssl rand") as refused:
        Webhooks.of_environment(Settings.model_validate({"webhook_secret": secret}))
    assert secret.removeprefix("whsec_") not in refused.value.description or len(secret) < 8


def test_a_url_without_a_secret_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="set without WORKER_WEBHOOK_SECRET"):
        Webhooks.of_environment(Settings.model_validate({"webhook_url": "https://a.example/"}))


def test_tries_go_on_for_about_a_day() -> None:
    waits = [min(DAY.cap, DAY.base * 2**tries) for tries in range(DAY.attempts - 1)]
    assert 24 * 3600 < sum(waits) < 26 * 3600
    assert waits[0] <= 5
