from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from worker.face import bridge
from worker.face.agent import Agent
from worker.face.agents import Agents
from worker.face.configuration import Configuration
from worker.face.task import Task
from worker.face.tasks import Tasks
from worker.words.activity import AgentActivityThreadMessage
from worker.words.agents import AgentRecord
from worker.words.errors import AgentNotFound, ConfigurationError, ModuleException, TooLarge, ValidationError
from worker.words.statuses import LLMReasoningEffort, OutputFormat, ThinkMode
from worker.words.tasks import User

pytestmark = pytest.mark.usefixtures("place")


class Report(BaseModel):
    total: int


async def test_every_option_arrives() -> None:
    options: dict[str, Any] = {
        "user_details": User(id="u1", email="ann@example.com"),
        "agent_version": "3",
        "payload_extension": {"a": 1},
        "tool_call_payload_extension": {"b": 2},
        "source": "script",
        "worker_id": "somebody",
        "run_locally": True,
        "output_format": OutputFormat.Json,
        "output_schema": Report,
        "events_streaming": True,
        "additional_context": "context",
        "instructions_override": "instructions",
        "expected_output": "a number",
        "mcp_servers": [{"url": "https://example.com"}],
        "triggering_agent_id": "boss",
        "title": "title",
        "think_mode": "harder",
        "tool_call_limit": 4,
        "llm_model_provider": "openai",
        "llm_model_name": "gpt-5",
        "llm_reasoning_effort": "high",
    }
    task = await Task.aload((await Tasks().acreate("agent", "x", ["https://example.com/a.pdf"], **options)).id)
    assert (task.input.text, task.input.files) == ("x", ["https://example.com/a.pdf"])
    assert task.input.user is not None
    assert task.input.user.email == "ann@example.com"
    assert task.payload_extension == {"a": 1, "b": 2}
    assert task.output_schema == Report.model_json_schema()
    assert (task.think_mode, task.llm_reasoning_effort) == (ThinkMode.Harder, LLMReasoningEffort.High)
    plain = options.keys() - {
        "user_details",
        "payload_extension",
        "tool_call_payload_extension",
        "output_schema",
    }
    assert {name: getattr(task, name) for name in plain} == {name: options[name] for name in plain}


async def test_what_is_left_out_or_none_takes_its_default() -> None:
    task = await Tasks().acreate("agent", "x", source=None, events_streaming=None, mcp_servers=None)
    assert (task.source, task.events_streaming, task.mcp_servers) == ("sdk", False, [])


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"prompt": ""}, "input"),
        ({"prompt": None, "file_urls": []}, "input"),
        ({"output_format": "pdf"}, "output_format"),
        ({"tool_call_limit": 0}, "tool_call_limit"),
        ({"agent_id": "no spaces"}, "agent_id"),
        ({"existing_task_id": "no spaces"}, "id"),
        ({"file_urls": ["/etc/passwd"]}, "file_urls"),
        ({"file_urls": ["file:///etc/passwd"]}, "file_urls"),
        ({"file_urls": ["report.pdf"]}, "file_urls"),
        ({"file_urls": "https://example.com/a.pdf"}, "file_urls"),
        ({"file_urls": [Path("missing.pdf")]}, "file_urls"),
        ({"promt": "x"}, "promt"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(arguments: dict[str, Any], field: str) -> None:
    acreate: Any = Tasks().acreate
    with pytest.raises(ValidationError) as refused:
        await acreate(**{"agent_id": "agent", "prompt": "x", **arguments})
    assert refused.value.field == field
    assert refused.value.status_code == 422
    assert await Tasks().alist() == []


async def test_a_refused_option_keeps_files_from_being_uploaded(place: Path) -> None:
    (place / "a.txt").write_text("x")
    with pytest.raises(ValidationError):
        await Tasks().acreate("agent", "x", [place / "a.txt"], output_format="pdf")
    rows = await bridge.across(lambda platform: platform.core.rows("select count(*) as n from worker.files", ()))  # type: ignore[attr-defined] # the engine's
    assert rows[0]["n"] == 0


async def test_local_files_are_uploaded_and_read_back(place: Path) -> None:
    (place / "data.csv").write_text("city,people\nKöln,1\n")
    task = await Tasks().acreate("agent", "count", [place / "data.csv", "data:text/plain,hello"])
    again = await Task.aload(task.id)
    stored = again.input.files or []
    assert stored[0].startswith("worker:")
    assert [each["content"] for each in again.get_human_readable_files()] == ["city,people\nKöln,1\n", "hello"]
    message = again.to_message()
    assert message.startswith("count\n\nFiles:\ndata.csv\ndata:text/plain (5 bytes)\n\nFile contents:\n")
    assert "Köln" in message
    assert (again.get_files(), again.get_images()) == ([], [])


async def test_a_file_that_is_too_large_is_refused_before_it_is_sent(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_FILE_BYTES", "3")
    (place / "big.txt").write_text("1234")
    with pytest.raises(TooLarge, match=r"big\.txt has 4 bytes"):
        await Tasks().acreate("agent", "x", [place / "big.txt"])


async def test_bytes_can_be_uploaded_beforehand() -> None:
    reference = Tasks().upload(b"a,b\n", "small.csv")
    task = await Tasks().acreate("agent", "x", [reference])
    assert task.get_human_readable_files() == [{"url": reference, "content": "a,b\n"}]
    assert await Tasks().aupload(b"a,b\n", "small.csv") == reference


async def test_a_file_that_cannot_be_read_is_a_note() -> None:
    task = await Tasks().acreate("agent", "x", ["http://127.0.0.1:9/secret.txt", f"worker:{'0' * 64}/lost.txt"])
    message = task.to_message()
    assert "secret.txt could not be read" in message
    assert "lost.txt could not be read: there is no such uploaded file" in message


async def test_a_task_without_files_asks_nobody() -> None:
    task = await Tasks().acreate("agent", '{"a": 1}')
    bridge.close()
    assert task.to_message() == '{"a": 1}'
    assert (task.get_files(), task.get_images(), task.get_human_readable_files()) == ([], [], [])


async def test_lists_show_newest_first_and_load_whole() -> None:
    tasks = Tasks()
    first = await tasks.acreate("agent", "1", user_details=User(id="u1"))
    second = await tasks.acreate("agent", "2")
    await tasks.acreate("other", "3", user_details=User(id="u1"))
    await second.astop()
    assert [item.id for item in await tasks.alist("agent")] == [second.id, first.id]
    assert [item.id for item in tasks.list("agent", status="stopped")] == [second.id]
    assert [item.id for item in await tasks.alist("agent", {"user_id": "u1"})] == [first.id]
    assert [item.agent_id for item in await tasks.alist_user_tasks("u1")] == ["other", "agent"]
    assert [item.id for item in tasks.list_user_tasks("u1", before=tasks.list_user_tasks("u1")[0].id)] == [first.id]
    (item,) = tasks.list("agent", limit=1)
    assert (await item.aload()).input.text == "2" == item.load().input.text
    with pytest.raises(ValidationError, match="stauts"):
        await tasks.alist("agent", {"stauts": "x"})  # type: ignore[typeddict-unknown-key] # that is the test


async def test_one_call_changes_stops_and_retries() -> None:
    tasks = Tasks()
    task = await tasks.acreate("agent", "x")
    updated = await tasks.aupdate(task_id=task.id, internal_status="a", result={"b": 1}, title=None)
    assert (updated.internal_status, updated.result) == ("a", '{"b":1}')
    assert tasks.update(task.id, title="t").title == "t"
    assert (await tasks.astop(task.id)).status == "stopped" == tasks.stop(task.id).status
    assert (await tasks.aretry(task.id)).status == "pending"
    assert tasks.stop(task.id).status == "stopped"
    assert tasks.retry(task.id).status == "pending"
    with pytest.raises(ModuleException) as conflict:
        await tasks.aretry(task.id)
    assert conflict.value.status_code == 409
    with pytest.raises(ValidationError, match="agent_id is set"):
        await tasks.aupdate(task.id, agent_id="other")


async def test_a_finished_task_can_be_given_new_input() -> None:
    task = await Tasks().acreate("agent", "first")
    await task.astop()
    again = await Tasks().acreate("agent", "second", existing_task_id=task.id)
    assert (again.id, again.status, again.input.text) == (task.id, "pending", "second")


async def test_agents_are_found_and_given_work() -> None:
    record = AgentRecord(id="a1", name="Ann", unique_name="ann")
    await bridge.across(lambda platform: platform.tasks.save_agent(record))
    agent = await Agent.aload("a1")
    task = await agent.acreate_task("hello", title="t")
    assert (task.agent_id, task.title, task.input.text) == ("a1", "t", "hello")
    assert agent.create_task(prompt="again").agent_id == "a1" == Agent.load("a1").id
    assert [each.id for each in await Agent.alist()] == ["a1"] == [each.id for each in Agents().list()]
    assert (await Agents().aget("a1")).name == "Ann"
    with pytest.raises(AgentNotFound):
        Agents().get("nobody")


async def test_the_agent_that_is_not_named_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="no agent is given"):
        await Agent.aload()
    monkeypatch.setenv("XPANDER_AGENT_ID", "a1,a2")
    with pytest.raises(ConfigurationError, match="several"):
        await Agent.aload()
    record = AgentRecord(id="a1", name="Ann", unique_name="ann")
    await bridge.across(lambda platform: platform.tasks.save_agent(record))
    monkeypatch.setenv("XPANDER_AGENT_ID", "a1")
    assert Agent.load().id == "a1" == Agent.load(configuration=Configuration()).id


async def test_what_is_said_to_a_task_and_read_of_its_conversation_has_twins() -> None:
    task = await Tasks().acreate("agent", "one", conversation_id="talk")
    assert (await task.asend("two")).id == task.id
    assert (await Tasks().asend(task.id, "three")).id == task.id
    assert task.send("four") is task
    assert Tasks().send(task.id, "five").id == task.id
    activity = await task.aget_activity_log()
    said = [each.content.text for each in activity.messages if isinstance(each, AgentActivityThreadMessage)]
    assert said == ["one", "two", "three", "four", "five"]
    with pytest.raises(ValidationError):
        task.send("")
    for told in (await Tasks().aconversation("talk"), Tasks().conversation("talk", "agent")):
        assert [each.question for each in told.turns] == ["one"]
    for listed in (await Tasks().aconversations(), Tasks().conversations("agent")):
        assert [each.id for each in listed] == ["talk"]
    for skip in (Tasks().skip, Tasks().conversation):
        with pytest.raises(ModuleException):
            skip("none")
    with pytest.raises(ModuleException):
        await Tasks().askip("none")
    with pytest.raises(ValidationError) as refused:
        await Tasks().acreate("agent", "x", conversation_id="x" * 401)
    assert refused.value.field == "conversation_id"
