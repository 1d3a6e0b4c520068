import pytest
from agno.agent import Agent as AgnoAgent

from worker.current import Run, run_in_hand
from worker.engine.engine import Engine
from worker.face import bridge
from worker.face.backend import Backend
from worker.face.configuration import Configuration
from worker.face.tasks import Tasks
from worker.words.agents import AgentRecord, Instructions
from worker.words.errors import AgentNotFound, ConfigurationError, Unsupported

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture(autouse=True)
async def _agents(place: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    for name, model in (("ann", "gpt-5"), ("bob", None)):
        record = AgentRecord(
            id=name,
            name=name.title(),
            unique_name=name,
            model_provider="openai" if model else None,
            model_name=model,
            instructions=Instructions(role=["an analyst"], general="Be brief."),
        )
        await bridge.across(lambda platform, record=record: platform.tasks.save_agent(record))


async def test_the_arguments_make_the_agent() -> None:
    agent = AgnoAgent(**await Backend().aget_args("ann"))
    assert (agent.id, agent.name, agent.model and agent.model.id) == ("ann", "Ann", "gpt-5")
    assert "Be brief." in str(agent.instructions)


async def test_the_agent_is_the_tasks_else_the_runs_else_the_configurations(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await Tasks().acreate("ann", "x", llm_model_provider="openai", llm_model_name="gpt-4o")
    arguments = Backend().get_args(task=task)
    assert (arguments["id"], arguments["model"].id) == ("ann", "gpt-4o")
    assert Backend(Configuration(agent_id="bob")).get_args()["id"] == "bob"
    monkeypatch.setenv("XPANDER_AGENT_ID", "bob")
    assert Backend().get_args()["id"] == "bob"
    token = run_in_hand.set(Run("t", "ann", engine.work))
    try:
        assert (await Backend().aget_args())["id"] == "ann"
    finally:
        run_in_hand.reset(token)


async def test_arguments_can_be_overridden() -> None:
    arguments = await Backend().aget_args("ann", override={"name": "Anna", "markdown": True})
    assert (arguments["name"], arguments["markdown"]) == ("Anna", True)


async def test_what_cannot_be_answered_is_said_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="no agent is given"):
        await Backend().aget_args()
    with pytest.raises(AgentNotFound):
        await Backend().aget_args("nobody")
    with pytest.raises(Unsupported, match="version 99"):
        await Backend().aget_args("ann", agent_version=99)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        await Backend().aget_args("bob")


async def test_a_task_that_continues_another_has_its_history() -> None:
    first = await Tasks().acreate("ann", "My name is Zebedee.")
    assert "add_history_to_context" not in await Backend().aget_args(task=first)
    later = await Tasks().acreate("ann", "What is my name?", conversation_id=first.id)
    assert (await Backend().aget_args(task=later))["add_history_to_context"] is True
    await Tasks().aupdate(first.id, status="completed")
    again = await Tasks().acreate("ann", "And now?", existing_task_id=first.id)
    assert (await Backend().aget_args(task=again))["add_history_to_context"] is True
