"""The webhook handler of this repository, in a real worker, with a real receiver."""

import json
from pathlib import Path

import pytest

from tests.cli.shells import SECONDS, Shell
from tests.support import wait_until
from tests.webhooks.receivers import is_signed_with, receiving
from worker.engine.engine import Engine
from worker.words.requests import InputAnswer
from worker.words.tasks import AgentExecutionInput, NewTask

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HANDLERS = """
    from worker import Task, on_task

    @on_task(agent_id="greeter")
    async def greet(task: Task) -> str:
        task.internal_status = "greeted"
        return f"Hello, {task.input.text}!"
"""


ASKING = """
    from worker import Context, Task, on_task

    @on_task(agent_id="letters")
    async def letters(task: Task, context: Context) -> str:
        return str(await context.ask("May it be sent?"))
"""


@pytest.fixture
def with_webhooks(here: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    here.handlers(HANDLERS)
    source = (Path(__file__).parents[2] / "handlers" / "webhook.py").read_text()
    (here.folder / "handlers" / "webhook.py").write_text(source)
    monkeypatch.setenv("WORKER_WEBHOOK_SECRET", SECRET)
    return here


async def test_every_finished_task_is_posted_until_it_is_taken(
    with_webhooks: Shell, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving(503, 204) as receiver:
        monkeypatch.setenv("WORKER_WEBHOOK_URL", receiver.url("/path-canary?query-canary"))
        running = with_webhooks.start("run")
        await running.says("worker ready")
        await engine.tasks.create(NewTask(agent_id="greeter", input=AgentExecutionInput(text="Ada")))
        await wait_until(lambda: receiver.messages, "the webhook was called", SECONDS)
        await running.says("the webhook at 127.0.0.1 responded with 503")
        (waiting,) = json.loads(with_webhooks.worker("delivery", "list", "--json").stdout)
        assert (waiting["state"], waiting["handler"]) == ("waiting", "handlers.webhook.post_finished_task")
        await engine.core.rows("update worker.cursors set available_at = now()")
        await wait_until(lambda: len(receiver.messages) > 1, "the webhook was called again", SECONDS)
        assert running.end() == 0
    refused, taken = receiver.messages
    assert refused.body == taken.body
    assert is_signed_with(taken, SECRET)
    data = taken.told["data"]
    assert (data["status"], data["result"], data["internal_status"]) == ("completed", "Hello, Ada!", "greeted")
    assert "canary" not in running.log


async def test_a_question_reaches_who_may_answer_it(
    here: Shell, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.handlers(ASKING)
    source = (Path(__file__).parents[2] / "handlers" / "webhook.py").read_text()
    (here.folder / "handlers" / "webhook.py").write_text(source)
    monkeypatch.setenv("WORKER_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("WORKER_PUBLIC_URL", "https://worker.example")
    async with receiving() as receiver:
        monkeypatch.setenv("WORKER_WEBHOOK_URL", receiver.url("/hook"))
        running = here.start("run")
        await running.says("worker ready")
        task = await engine.tasks.create(NewTask(agent_id="letters", input=AgentExecutionInput(text="Ada")))
        await wait_until(lambda: receiver.messages, "the question was posted", SECONDS)
        await engine.tasks.answer(task.id, [InputAnswer(approve=True)])
        await wait_until(lambda: len(receiver.messages) > 1, "the end was posted", SECONDS)
        assert running.end() == 0
    question, end = (each.told for each in receiver.messages)
    assert (question["type"], end["type"]) == ("task.input_requested", "task.finished")
    assert question["data"]["task"]["id"] == end["data"]["id"] == task.id
    assert question["data"]["request"]["answer_url"].startswith("https://worker.example/ui/answer?token=")


async def test_a_tasks_own_webhook_is_checked_given_up_and_retried_by_hand(
    with_webhooks: Shell, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as receiver:
        running = with_webhooks.start("run")
        await running.says("worker ready")
        url = receiver.url("/own?canary")
        created = with_webhooks.worker(
            "task", "create", "--agent", "greeter", "--text", "Ada", "--webhook-url", url, "--wait"
        )
        assert created.stdout.strip() == "Hello, Ada!", created.stderr
        await running.says("must use https")
        assert running.end() == 0
        (item,) = json.loads(with_webhooks.worker("delivery", "list", "--json").stdout)
        assert item["state"] == "set_aside"
        assert receiver.messages == []
        monkeypatch.setenv("WORKER_ALLOW_PRIVATE_URLS", "true")
        running = with_webhooks.start("run")
        assert with_webhooks.worker("delivery", "retry", "--task", item["task_id"]).returncode == 0
        await wait_until(lambda: receiver.messages, "the webhook was called", SECONDS)
        plain = with_webhooks.worker("task", "create", "--agent", "greeter", "--text", "B", "--wait")
        assert plain.returncode == 0
        assert running.end() == 0
    assert [each.path for each in receiver.messages] == ["/own?canary"]
    assert is_signed_with(receiver.messages[0], SECRET)
    assert "canary" not in running.log
    rows = await engine.core.rows("select count(*) as n from worker.cursors")
    assert rows[0]["n"] == 1, "a task without a URL costs no cursor"
