"""What code for xpander-sdk uses, with the package's name changed."""

import inspect
from typing import Any

import pydantic
import pytest
from agno.agent import Agent as AgnoAgent
from agno.db import SessionType

from worker import (
    AgentDeploymentType,
    Agents,
    Backend,
    Configuration,
    Events,
    MCPServerDetails,
    MCPServerTransport,
    MCPServerType,
    OutputFormat,
    Principal,
    PrincipalKind,
    ProviderUnreachableError,
    Task,
    Tasks,
    Tokens,
    ToolsRepository,
    Unavailable,
    User,
    build_model_from_schema,
    is_promise_only_answer,
    on_auth_event,
    on_boot,
    on_shutdown,
    on_task,
    register_tool,
)
from worker import registry as registries
from worker.face import bridge
from worker.registry import Registry
from worker.testing import ScriptedModel
from worker.words.agents import AgentRecord, Instructions
from worker.words.errors import Unsupported, ValidationError

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture(autouse=True)
async def registry(place: object, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """An empty registry, and an agent."""
    fresh = Registry()
    monkeypatch.setattr(registries, "default", fresh)
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    told = Instructions(role=["Read.", "Sum."], goal=["Be right.", "Be brief."], general="An analyst.")
    record = AgentRecord(id="ann", name="Ann Analyst-2", unique_name="ann", instructions=told)
    await bridge.across(lambda platform: platform.tasks.save_agent(record))
    return fresh


def test_what_a_task_names_can_be_written_down_as_before() -> None:
    server = MCPServerDetails(type=MCPServerType.Local, command="npx")
    assert server.transport is MCPServerTransport.STDIO
    assert MCPServerDetails(url="https://example.com", transport=None).transport == "streamable-http"
    assert Principal(kind=PrincipalKind.slack, id=" u1 ").id == "u1"
    with pytest.raises(ValueError, match="spaces or colons"):
        Principal(kind=PrincipalKind.user, id="a:b")
    assert ProviderUnreachableError is Unavailable


async def test_an_agent_is_read_and_used_as_before() -> None:
    @register_tool(add_to_graph=True)
    def total(region: str) -> str:
        """Add up."""
        return f"3 in {region}"

    agent = await Agents(configuration=Configuration()).aget("ann", version=1)
    assert agent.sanitized_name == "Ann_Analyst_2"
    told = agent.instructions
    assert (told.description, told.goal_str) == ("An analyst.", "Be right.\nBe brief.")
    assert told.instructions == "Read.\nSum.\nBe right.\nBe brief."
    assert told.full == "An analyst.\nRead.\nSum.\nBe right.\nBe brief."
    with pytest.raises(Unsupported, match="version 7"):
        Agents().get("ann", version=7)
    (tool,) = agent.tools.list
    assert (await agent.ainvoke_tool(tool=tool, payload={"region": "north"})).result == "3 in north"
    assert agent.invoke_tool(tool, {"region": "south"}).result == "3 in south"
    (listed,) = await Agents().alist()
    assert (await listed.aload()).id == listed.load().id == "ann"
    assert agent.model_dump_safe()["status"] == "ACTIVE"


async def test_the_forms_of_results_and_payloads_are_models() -> None:
    schema = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
    record = AgentRecord(id="form", name="F", unique_name="f", output_format=OutputFormat.Json, output_schema=schema)
    await bridge.across(lambda platform: platform.tasks.save_agent(record))
    output = (await Agents().aget("form")).output
    assert (output.is_markdown, output.use_json_mode) == (False, True)
    assert output.output_schema is not None
    with pytest.raises(pydantic.ValidationError):
        output.output_schema(total="many")
    assert (await Agents().aget("ann")).output.output_schema is None

    @register_tool
    def weather(place: str) -> str:
        return f"sunny in {place}"

    (tool,) = ToolsRepository().list
    assert tool.payload_schema(payload={"place": "Rome"}).model_dump() == {"payload": {"place": "Rome"}}
    with pytest.raises(pydantic.ValidationError):
        tool.payload_schema(payload={})
    assert weather("Rome") == "sunny in Rome"


async def test_arguments_are_made_as_before() -> None:
    def more(region: str) -> str:
        """Find out."""
        return region

    register_tool(more, name="registered")
    agent = await Agents().aget("ann")
    arguments = await Backend().aget_args(agent=agent, tools=[more], is_async=True, auth_events_callback=print)
    assert [getattr(each, "name", None) or each.__name__ for each in arguments["tools"]] == ["registered", "more"]
    assert arguments["id"] == "ann"
    assert Backend().get_args("ann", override={"tools": []})["tools"] == []


async def test_a_task_is_created_by_position_in_either_order() -> None:
    agent, urls = await Agents().aget("ann"), ["https://a.example/a"]
    by = [
        await Tasks().acreate("ann", "Sum it", urls),
        await Tasks().acreate("ann", None, "Sum it", urls),
        Tasks().create("ann", None, "Sum it", urls, User(id="u")),
        await agent.acreate_task("Sum it", urls),
        await agent.acreate_task("Sum it", None, urls),
        await Backend().ainvoke_agent(agent_id="ann", prompt="Sum it", file_urls=urls),
    ]
    assert {(task.input.text, *(task.input.files or ())) for task in by} == {("Sum it", *urls)}
    assert by[2].input.user is not None
    await by[0].aset_status("completed", "6")  # type: ignore[arg-type]
    again = await Tasks().acreate("ann", by[0].id, "Once more")
    assert (again.id, again.input.text) == (by[0].id, "Once more")
    with pytest.raises(ValidationError, match="pass the others by name"):
        await Tasks().acreate("ann", "Sum it", urls, User(id="u"))


async def test_a_task_is_handled_as_before() -> None:
    task = await Tasks().acreate("ann", "Sum it")
    assert task.configuration.organization_id == "default"
    assert task.configuration.get_full_url() == ""
    other = await Task.aload(task.id, task.configuration)
    await other.aset_status("completed", {"sum": 6})  # type: ignore[arg-type]
    assert (await task.areload()).result == '{"sum": 6}'.replace(" ", "")
    assert task.reload().status == "completed"
    assert task.get_audios() == []
    assert task.to_message() == task.to_message(retry_count=1, with_timestamp=False) == "Sum it"
    assert task.to_message(with_timestamp=True).startswith("[2")
    assert task.model_dump_safe(include={"status"}) == {"status": "completed"}
    (item,) = await Tasks().alist("ann")
    assert (await item.aload(configuration=task.configuration)).id == item.load().id == task.id
    await task.areport_metrics()
    assert (await task.asave(with_deep_plan_update=True)).id == task.save(with_deep_plan_update=False).id


@pytest.mark.parametrize("sync", [False, True])
async def test_a_task_that_was_done_elsewhere_is_reported(sync: bool) -> None:
    told: dict[str, Any] = {
        "agent_id": "ann",
        "input": "Sum it",
        "result": "6",
        "tokens": Tokens(prompt_tokens=5, completion_tokens=2),
        "used_tools": ["total"],
        "duration": 1.5,
    }
    task = Task.report_external_task(**told) if sync else await Task.areport_external_task(**told)
    loaded = await Task.aload(task.id)
    assert (loaded.status, loaded.result, loaded.used_tools, loaded.duration) == ("completed", "6", ["total"], 1.5)
    assert (loaded.input.text, loaded.tokens) == ("Sum it", told["tokens"])
    agent = await Agents().aget("ann")
    failed = await Backend().areport_external_task(agent=agent, llm_response={"error": "none"}, is_success=False)
    assert (failed.status, failed.result) == ("error", '{"error":"none"}')
    elsewhere = [await Backend().areport_external_task(agent_id="ann", id="run-17", result="x") for _ in range(2)]
    assert len({each.id for each in elsewhere}) == 1, "the same run again is the same task"
    known = await Backend().areport_external_task(agent_id="ann", id=elsewhere[0].id, result="x")
    assert known.id == elsewhere[0].id


def test_a_schema_becomes_a_model() -> None:
    schema: dict[str, Any] = {
        "description": "An order.",
        "properties": {
            "number": {"type": "integer", "description": "Its number."},
            "state": {"enum": ["open", "paid"], "default": "open"},
            "lines": {"type": "array", "items": {"properties": {"text": {"type": "string"}}, "required": ["text"]}},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "discount": {"type": ["number", "null"]},
            "more": {"type": "object"},
        },
        "required": ["number", "note"],
    }
    model: Any = build_model_from_schema("Order", schema)
    order = model(number=1, note=None, lines=[{"text": "a chair"}])
    assert (order.state, order.lines[0].text, order.discount, order.more) == ("open", "a chair", None, None)
    assert set(model.model_json_schema()["required"]) == {"number", "note"}
    for wrong in ({"note": None}, {"number": 1}, {"number": 1, "note": None, "state": "lost"}):
        with pytest.raises(pydantic.ValidationError):
            model(**wrong)
    bare: Any = build_model_from_schema("Bare", {}, with_defaults=True)
    assert bare().model_dump() == {"body_params": {}, "query_params": {}, "path_params": {}}


@pytest.mark.parametrize(
    ("text", "calls", "expected"),
    [
        ("I will read the file and then answer.", 0, True),
        ("I will read the file and then answer.", 2, False),
        ("Now generating the report…", 3, True),
        ("The report is done: 6 lines.", 0, False),
        ("Shall I go on? I will then read the file.", 0, False),
        ("I will say it at length. " * 40, 0, False),
        (None, 0, False),
    ],
)
def test_a_mere_promise_is_told_from_an_answer(text: str | None, calls: int, expected: bool) -> None:
    assert is_promise_only_answer(text, calls) is expected


async def test_an_agents_sessions_are_in_agnos_storage() -> None:
    agent = await Agents().aget("ann")
    assert agent.is_active
    assert not agent.has_knowledge_bases
    assert (agent.mcp_servers, agent.graph, agent.llm_credentials) == ([], None, None)
    assert agent.deployment_type is AgentDeploymentType.Container
    model = ScriptedModel(["Hello.", "Hello again."])
    for session, user, who in (("s1", "u1", "ann"), ("s2", "u2", "ann"), ("s3", "u1", "bob")):
        await AgnoAgent(id=who, model=model, db=await agent.aget_db()).arun("Hi", session_id=session, user_id=user)
    (session,) = await agent.aget_user_sessions("u1")
    assert (session.session_id, [each.session_id for each in agent.get_user_sessions("u2")]) == ("s1", ["s2"])
    found = await agent.aget_session("s1")
    assert found.runs[0].content == "Hello."
    assert agent.get_session("s3") is None, "it is another agent's"
    await agent.adelete_session("s3")
    await agent.adelete_session("s1")
    assert (await agent.aget_session("s1"), agent.get_db().get_session("s3", SessionType.AGENT) is None) == (
        None,
        False,
    )


async def test_decorators_are_taken_as_before(registry: Registry) -> None:
    @on_boot(configuration=Configuration())
    def boot() -> None: ...

    @on_shutdown
    async def shutdown() -> None: ...

    @on_task(Configuration(), agent_id="one")
    async def one(task: Task) -> Task:
        return task

    @on_task(configuration=None, test_task=None, agent_id="two")
    async def two(task: Task) -> Task:
        return task

    @on_auth_event
    async def signed_in(agent: Any, task: Any, event: Any) -> None: ...

    def three(task: Task) -> Task:
        return task

    Events(configuration=Configuration()).register(on_task=three)
    Events.register_boot_handler(boot)
    Events.register_shutdown_handler(shutdown)
    registry.check()
    assert registry.boot_hooks == [boot, boot]
    assert registry.shutdown_hooks == [shutdown, shutdown]
    assert [each.agent_id for each in registry.tasks()] == ["one", "two", None]
    assert inspect.iscoroutinefunction(signed_in)
    assert isinstance(ToolsRepository().list, list)
