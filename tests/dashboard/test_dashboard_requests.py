"""Tasks that wait for a person: the inbox, the forms, and what is wrong with an answer."""

import asyncio
import html
import threading
from typing import Any

import pytest

from tests.contract.steps import claim, create, worker
from tests.dashboard.browsing import Browser
from tests.dashboard.conftest import Browse
from tests.server.serving import Serving
from worker.dashboard import task_page
from worker.dashboard.request_context import RequestContext
from worker.dashboard.task_page import first_event
from worker.engine.engine import Engine
from worker.words.outcomes import Outcome
from worker.words.requests import InputRequest, RequestKind
from worker.words.roles import Role
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import TaskRecord

Kind = RequestKind

PAY = InputRequest.create(["a"], Kind.Confirmation, agent="payer", tool_name="pay", arguments={"amount": 5})
FORM = InputRequest.create(
    ["b"],
    Kind.UserInput,
    tool_name="book",
    value_schema={
        "type": "object",
        "properties": {
            "seats": {"type": "integer"},
            "city": {"type": "string", "default": "Rome"},
            "window": {"type": "boolean"},
            "class": {"enum": ["first", "second"]},
            "extras": {"type": "array", "items": {"enum": ["meal", "bag"]}},
            "rest": {"type": "object"},
            "day": {"type": "string", "format": "date"},
        },
        "required": ["seats"],
    },
)
ROUTE = InputRequest.create(["c"], Kind.RouteSelection, question="Which <b>way</b>?", choices=["left", "right"])
RESULT = InputRequest.create(["d"], Kind.ExternalExecution, tool_name="measure", arguments={"what": "it"})
REVIEW = InputRequest.create(["e"], Kind.OutputReview, agent="writer", arguments={"output": "a draft"})
QUESTION = InputRequest.create(["f"], Kind.Question, question="May it be sent?")


@pytest.fixture
async def paused(engine: Engine) -> Any:
    async def pause(*requests: InputRequest) -> str:
        await create(engine)
        by = await worker(engine)
        (held,) = await claim(engine, by)
        wanted = {"requests": [each.model_dump(mode="json") for each in requests]}
        await engine.work.finish(held.task.id, held.attempt, Outcome(Status.Paused, {"hitl_request": wanted}))
        return held.task.id

    return pause


async def answered(engine: Engine, task_id: str) -> Any:
    """What was answered, as the log tells it."""
    events = [each async for each in engine.tasks.events(task_id, follow=False)]
    told = [each.data.model_dump(exclude_none=True) for each in events if each.type == "input_received"]
    return [{name: each[name] for name in each if name in ("approve", "value", "note", "arguments")} for each in told]


async def sent(browser: Browser, engine: Engine, task_id: str, request: InputRequest, **fields: Any) -> Any:
    await browser.look(f"/ui/tasks/{task_id}")
    response = await browser.send(f"/ui/tasks/{task_id}/answer", {"request": request.id, **fields})
    assert response.status_code == 303, response.text
    return (await answered(engine, task_id))[-1]


async def test_the_inbox_shows_what_waits_with_its_forms(browser: Browser, paused: Any) -> None:
    assert "No open requests" in await browser.look("/ui/inbox")
    task_id = await paused(PAY, ROUTE)
    page = await browser.look("/ui/inbox")
    assert f"/ui/tasks/{task_id}/answer" in page
    assert PAY.id in page
    assert html.escape("Which <b>way</b>?") in page
    assert "<b>way</b>" not in page
    response = await browser.send(
        f"/ui/tasks/{task_id}/answer", {"request": ROUTE.id, "field:": "left", "decision": "yes", "from": "inbox"}
    )
    assert response.headers["location"] == "/ui/inbox?notice=answered"


async def test_every_kind_is_answered_by_its_form(browser: Browser, engine: Engine, paused: Any) -> None:
    task_id = await paused(PAY, FORM, ROUTE, RESULT, REVIEW, QUESTION)
    assert await sent(browser, engine, task_id, PAY, decision="yes", arguments='{"amount": 3}', note="less") == {
        "approve": True,
        "arguments": {"amount": 3},
        "note": "less",
    }
    fields = {"field:seats": "2", "field:city": "Rome", "field:window": "true", "field:class": "first"}
    assert '<input name="field:day" type="date"' in await browser.look(f"/ui/tasks/{task_id}")
    fields["field:day"] = "2026-12-01"
    more = {"field:extras": ["meal", "bag"], "field:rest": '{"a": [1]}'}
    assert await sent(browser, engine, task_id, FORM, decision="yes", **fields, **more) == {
        "value": {
            "seats": 2,
            "city": "Rome",
            "window": True,
            "class": "first",
            "extras": ["meal", "bag"],
            "rest": {"a": [1]},
            "day": "2026-12-01",
        }
    }
    assert await sent(browser, engine, task_id, ROUTE, decision="yes", **{"field:": "right"}) == {"value": "right"}
    assert await sent(browser, engine, task_id, RESULT, decision="yes", **{"field:": "80 cm"}) == {"value": "80 cm"}
    edited = {"approve": True, "value": "a poem"}
    assert await sent(browser, engine, task_id, REVIEW, decision="yes", **{"field:": "a poem"}) == edited
    assert await sent(browser, engine, task_id, QUESTION, decision="no") == {"approve": False}
    assert (await engine.tasks.get(task_id)).status is Status.Pending


async def test_a_task_that_pauses_while_its_page_is_read_is_shown_paused(
    browser: Browser, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream continues after the events that the page shows: it would not bring an earlier change again."""
    await create(engine)
    (held,) = await claim(engine, await worker(engine))
    was_read, may_continue = threading.Event(), threading.Event()

    def between(context: RequestContext, task: TaskRecord) -> int:
        was_read.set()
        assert may_continue.wait(30)
        return first_event(context, task)

    monkeypatch.setattr(task_page, "first_event", between)
    looking = asyncio.create_task(browser.look(f"/ui/tasks/{held.task.id}"))
    assert await asyncio.to_thread(was_read.wait, 30)
    wanted = {"requests": [PAY.model_dump(mode="json")]}
    await engine.work.finish(held.task.id, held.attempt, Outcome(Status.Paused, {"hitl_request": wanted}))
    may_continue.set()
    page = await looking
    assert PAY.id in page
    assert "sse-connect" in page, "the page stays live"


async def test_an_answer_that_does_not_fit_is_shown_again(browser: Browser, engine: Engine, paused: Any) -> None:
    task_id = await paused(FORM)
    await browser.look(f"/ui/tasks/{task_id}")
    fields = {"request": FORM.id, "decision": "yes", "field:seats": "two", "field:city": "Bonn"}
    for seats in ("two", "1.5", ""):
        response = await browser.send(f"/ui/tasks/{task_id}/answer", {**fields, "field:seats": seats})
        assert response.status_code == 422
        assert 'role="alert"' in response.text
        assert 'value="Bonn"' in response.text, "what was typed is still there"
    assert await answered(engine, task_id) == []


async def test_what_was_answered_meanwhile_is_said(browser: Browser, engine: Engine, paused: Any) -> None:
    task_id = await paused(QUESTION)
    await sent(browser, engine, task_id, QUESTION, decision="yes")
    response = await browser.send(f"/ui/tasks/{task_id}/answer", {"request": QUESTION.id, "decision": "no"})
    assert response.headers["location"].endswith("notice=answered+before")
    assert await answered(engine, task_id) == [{"approve": True}]
    page = await browser.look(f"/ui/tasks/{task_id}")
    assert "Asks a person" in page


async def test_who_may_only_read_gets_no_form(serving: Serving, browse: Browse, engine: Engine, paused: Any) -> None:
    task_id = await paused(PAY)
    secret, _ = await engine.keys.create("default", role=Role.Viewer)
    reader = await browse(serving)
    await reader.sign_in(secret)
    for path in ("/ui/inbox", f"/ui/tasks/{task_id}"):
        page = await reader.look(path)
        assert "pay" in page
        assert "/answer" not in page
