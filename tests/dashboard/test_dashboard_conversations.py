"""Conversations on pages: listed, read turn by turn, skipped; and what is said to a task."""

from urllib.parse import quote

from tests.contract.steps import AGENT, claim, create, finish, hand_back, worker
from tests.dashboard.browsing import Browser
from tests.dashboard.conftest import Browse
from tests.server.serving import Serving
from worker.engine.engine import Engine
from worker.words.messages import ReceivedMessage
from worker.words.roles import Role
from worker.words.signals import ReceivedSignal


async def test_a_conversation_is_listed_and_read(engine: Engine, browser: Browser) -> None:
    first = await create(engine, "Is <b>this</b> safe?", conversation_id="talk-1")
    second = await create(engine, "And this?", conversation_id="talk-1")
    by = await worker(engine)
    (given,) = await claim(engine, by)
    await finish(engine, given, result="It <i>is</i>.")
    assert "/ui/conversations/talk-1" in await browser.look("/ui/conversations")
    page = await browser.look("/ui/conversations/talk-1")
    assert "Is &lt;b&gt;this&lt;/b&gt; safe?" in page
    assert "It &lt;i&gt;is&lt;/i&gt;." in page
    assert page.index(f"/ui/tasks/{first.id}") < page.index(f"/ui/tasks/{second.id}")
    assert "/ui/conversations/talk-1" in await browser.look(f"/ui/tasks/{second.id}")
    assert 'value="talk-1"' in await browser.look("/ui/new?conversation=talk-1")
    await browser.look("/ui/conversations/none", 404)
    await browser.look("/ui/conversations/a%20b", 404)
    odd = "ann@example.org/50 % of #1?"
    await create(engine, "Any name will do.", conversation_id=odd)
    address = "/ui/conversations/" + quote(odd)
    assert address in await browser.look("/ui/conversations")
    assert "Any name will do." in await browser.look(address)


async def test_a_waiting_task_is_skipped_and_spoken_to(engine: Engine, browser: Browser) -> None:
    first = await create(engine, conversation_id="talk-1")
    second = await create(engine, "next", conversation_id="talk-1")
    by = await worker(engine)
    (given,) = await claim(engine, by)
    await hand_back(engine, given, error="away", delay=300)
    assert f"task {first.id} is pending" in await browser.look(f"/ui/tasks/{second.id}")
    assert f"/ui/tasks/{first.id}/skip" in await browser.look(f"/ui/tasks/{first.id}")
    assert (await browser.send(f"/ui/tasks/{first.id}/send", {"text": "In French, please."})).status_code == 303
    assert (await browser.send(f"/ui/tasks/{first.id}/send", {"text": ""})).status_code == 422
    assert (await browser.send(f"/ui/tasks/{first.id}/skip", {})).status_code == 303
    (given,) = await claim(engine, by)
    assert given.task.id == second.id
    (said,) = [each async for each in engine.tasks.events(first.id, follow=False) if each.type == "message_received"]
    assert ReceivedMessage.model_validate(said.data).text == "In French, please."
    assert "In French, please." in await browser.look(f"/ui/tasks/{first.id}")


async def test_an_answer_in_markdown_looks_like_it(engine: Engine, browser: Browser) -> None:
    await create(engine, "How?", conversation_id="talk-1", output_format="markdown")
    (given,) = await claim(engine, await worker(engine))
    await finish(engine, given, result="**Well.** <script>alert(1)</script>")
    page = await browser.look("/ui/conversations/talk-1")
    assert "<strong>Well.</strong>" in page
    assert "<script>alert" not in page


async def test_a_task_is_told_by_a_signal(engine: Engine, browser: Browser) -> None:
    task = await create(engine)
    address = f"/ui/tasks/{task.id}/signal"
    assert address in await browser.look(f"/ui/tasks/{task.id}")
    for wrong in ({"name": ""}, {"name": "paid", "data": "{"}):
        assert (await browser.send(address, wrong)).status_code == 422
    assert (await browser.send(address, {"name": "invoice.paid", "data": '{"order": 17}'})).status_code == 303
    (sent,) = [each async for each in engine.tasks.events(task.id, follow=False) if each.type == "signal_received"]
    received = ReceivedSignal.model_validate(sent.data)
    assert (received.name, received.data) == ("invoice.paid", {"order": 17})
    page = await browser.look(f"/ui/tasks/{task.id}")
    assert "Signal invoice.paid" in page
    await engine.tasks.stop(task.id)
    assert address not in await browser.look(f"/ui/tasks/{task.id}")
    assert (await browser.send(address, {"name": "invoice.paid"})).status_code == 409


async def test_a_viewer_is_offered_neither(engine: Engine, serving: Serving, browse: Browse) -> None:
    key, _ = await engine.keys.create("default", role=Role.Viewer)
    viewer = await browse(serving)
    await viewer.sign_in(key)
    task = await create(engine, conversation_id="talk-1")
    (given,) = await claim(engine, await worker(engine, AGENT))
    await hand_back(engine, given, error="away", delay=300)
    page = await viewer.look(f"/ui/tasks/{task.id}")
    assert "/skip" not in page
    assert "/send" not in page
    assert "/signal" not in page
