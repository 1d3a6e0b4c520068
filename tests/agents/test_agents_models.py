import asyncio
import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from agno.agent import Agent
from agno.models.anthropic import Claude
from agno.models.cohere import Cohere
from agno.models.deepseek import DeepSeek
from agno.models.fallback import FallbackConfig
from agno.models.google import Gemini
from agno.models.openai import OpenAIChat, OpenAIResponses
from agno.models.openai.like import OpenAILike
from agno.team import Team
from agno.workflow import Step

from tests.agents.runs import Runner, flow, task
from worker.agents.answers.results import wanted
from worker.agents.errors import AgentFailed
from worker.agents.models import models
from worker.agents.models.capabilities import (
    GEMINI,
    OPENAI,
    OPENAI_AUDIO,
    SCRIPTED,
    capabilities,
    declare_capabilities,
    of_model,
)
from worker.agents.models.clients import disable_retries
from worker.agents.models.models import (
    default_model,
    knows_effort,
    model_by_name,
    named_model,
    set_effort,
    shared_model,
)
from worker.agents.models.providers import provider_of
from worker.agents.overrides import Overrides
from worker.agents.tools.arguments import agent_arguments
from worker.settings import Settings
from worker.testing import Call, ScriptedModel
from worker.words.agents import AgentRecord, Instructions
from worker.words.errors import ConfigurationError, ValidationError
from worker.words.models import ModelCapabilities
from worker.words.statuses import LLMReasoningEffort, OutputFormat
from worker.words.tasks import AgentExecutionInput, NewTask, TaskSettings


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - pytest uses it
    for name in (*models.KEYS.values(), "WORKER_MODEL"):
        monkeypatch.delenv(name, raising=False)
    models.forget_shared_models()


def settings(model: str | None) -> Settings:
    return Settings.model_validate({"model": model})


@pytest.fixture
def both_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-none")


def test_a_model_is_made_by_its_name(both_keys: None) -> None:
    model = model_by_name("openai:gpt-5")
    assert isinstance(model, OpenAIResponses)
    assert model.id == "gpt-5"
    assert isinstance(model_by_name("anthropic:claude-sonnet-5-5"), Claude)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("openai:gpt-5", "OPENAI_API_KEY"),
        ("gpt-5", "is not a valid model"),
        ("nobody:x", "is not a valid model"),
        ("groq:llama", "groq"),
        ("", "is not a valid model"),
    ],
)
def test_what_is_missing_is_named(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        model_by_name(name)


def test_a_missing_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("agno.models.openai")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ConfigurationError, match=r"agno-worker\[openai\]"):
        model_by_name("openai:gpt-5")


def test_the_default_model_is_the_one_that_agno_gives_an_agent_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    agent: Any = Agent()
    agent.initialize_agent()
    assert default_model(settings(None)).id == agent.model.id


def test_each_event_loop_has_a_model_and_a_client_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")

    async def made() -> Any:
        assert shared_model("openai:gpt-5") is shared_model("openai:gpt-5")
        return shared_model("openai:gpt-5")

    assert asyncio.run(made()) is not asyncio.run(made())


def test_the_default_model_is_named_or_that_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="WORKER_MODEL"):
        default_model(settings(None))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-none")
    assert isinstance(default_model(settings(None)), Claude)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    assert isinstance(default_model(settings(None)), OpenAIResponses)
    assert default_model(settings("openai-chat:gpt-4o")).id == "gpt-4o"


@pytest.mark.parametrize(
    ("settings", "effort"),
    [
        ({}, None),
        ({"think_mode": "default"}, None),
        ({"think_mode": "harder"}, LLMReasoningEffort.High),
        ({"think_mode": "harder", "llm_reasoning_effort": "low"}, LLMReasoningEffort.Low),
    ],
)
def test_to_think_harder_is_an_effort_unless_one_is_named(
    settings: dict[str, str], effort: LLMReasoningEffort | None
) -> None:
    assert TaskSettings.model_validate(settings).reasoning_effort is effort


def test_effort_is_said_in_the_providers_words() -> None:
    openai, claude = OpenAIResponses(id="gpt-5"), Claude(id="claude-sonnet-5-5", output_config={"kept": 1})
    set_effort(openai, LLMReasoningEffort.XHigh)
    assert openai.reasoning_effort == "xhigh"
    set_effort(claude, LLMReasoningEffort.High)
    assert claude.thinking == {"type": "adaptive"}
    assert claude.output_config == {"kept": 1, "effort": "high"}
    assert not knows_effort(ScriptedModel([]))


def test_the_tasks_model_and_effort_are_set_on_the_copy_alone(both_keys: None) -> None:
    agent = Agent(model=ScriptedModel([]))
    record = task(llm_model_provider="openai", llm_model_name="gpt-5", llm_reasoning_effort="high")
    own = Overrides(record, wanted(agent, record)).applied(agent, "agent")
    assert isinstance(own.model, OpenAIResponses)
    assert (own.model.id, own.model.reasoning_effort) == ("gpt-5", "high")
    assert isinstance(agent.model, ScriptedModel)
    shared: Any = shared_model("openai:gpt-5")
    assert shared.reasoning_effort is None
    assert own.model.async_client is shared.async_client is not None, "runs share the model's connections"


def test_a_name_without_a_provider_finds_its_maker(both_keys: None) -> None:
    agent = Agent(model=ScriptedModel([]))
    for name, kind in (("gpt-5", OpenAIResponses), ("claude-sonnet-5-5", Claude), ("openai-chat:x", OpenAIChat)):
        record = task(llm_model_name=name)
        assert isinstance(Overrides(record, wanted(agent, record)).applied(agent, "agent").model, kind)


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("huggingface", "http://127.0.0.1:9/steal"),
        ("huggingface:http", "//127.0.0.1:9"),
        (None, "litellm:x/https://a.b"),
    ],
)
def test_the_name_of_a_model_is_no_address(provider: str | None, name: str) -> None:
    """Some clients would send their key there."""
    with pytest.raises(ValidationError, match="must not be a URL or path"):
        named_model(task(llm_model_provider=provider, llm_model_name=name))
    with pytest.raises(ValidationError, match="must not be a URL or path"):
        named_model(None, AgentRecord(id="a", name="a", unique_name="a", model_provider=provider, model_name=name))
    if provider != "huggingface:http":
        with pytest.raises(ValidationError, match="must not be a URL or path"):
            NewTask(
                agent_id="a",
                input=AgentExecutionInput(text="x"),
                llm_model_provider=provider,
                llm_model_name=name,
            )


def test_members_that_share_the_leaders_model_follow_it(both_keys: None) -> None:
    leader, other = ScriptedModel([]), ScriptedModel([])
    members: list[Any] = [Agent(id="a", model=leader), Agent(id="b"), Agent(id="c", model=other)]
    record = task(llm_model_name="gpt-5")
    team = Team(members=members, model=leader)
    own = Overrides(record, wanted(team, record)).applied(team, "team")
    assert [type(each.model).__name__ for each in own.members] == ["OpenAIResponses"] * 2 + ["ScriptedModel"]


async def test_a_model_without_effort_says_so_in_the_log(running: Runner) -> None:
    await running(Agent(model=ScriptedModel(["ok"])), llm_reasoning_effort="high")
    (note,) = running.log.data("note")
    assert "llm_reasoning_effort" in note["text"]


async def test_what_the_task_wants_of_the_agent_reaches_the_model(running: Runner) -> None:
    model = ScriptedModel(["ok"])
    agent = Agent(model=model, instructions="Be long.", additional_context="It rains.", description="You are a clerk.")
    wishes: dict[str, Any] = {
        "instructions_override": "Be short.",
        "additional_context": "It is May.",
        "expected_output": "One word.",
    }
    before = vars(agent).copy()
    await running(agent, **wishes)
    system = model.requests[0].system
    for said in ("You are a clerk.", "Be short.", "It rains.", "It is May.", "One word."):
        assert said in system
    assert "Be long." not in system
    assert vars(agent) == before
    assert type(agent.model) is ScriptedModel
    assert vars(model).keys() == vars(ScriptedModel([])).keys()


async def test_an_own_system_message_is_added_to(running: Runner) -> None:
    model = ScriptedModel(["ok"])
    await running(Agent(model=model, system_message="Mine."), additional_context="It is May.")
    assert model.requests[0].system == "Mine.\n\nIt is May."


async def test_the_tool_call_limit_is_kept(running: Runner) -> None:
    ran = list[int]()

    def count(number: int) -> str:
        ran.append(number)
        return "counted"

    turns = [Call("count", {"number": 1}), Call("count", {"number": 2}), "enough"]
    await running(Agent(model=ScriptedModel(turns), tools=[count]), tool_call_limit=1)
    assert ran == [1]


async def test_a_fallback_model_answers_when_the_first_fails(running: Runner) -> None:
    agent = Agent(
        model=ScriptedModel([ConnectionError("gone")]),
        fallback_config=FallbackConfig(on_error=[ScriptedModel(["from the second"], id="second")]),
    )
    with pytest.raises(AgentFailed, match="gone"):
        await running(agent)  # Agno falls back on its own errors alone
    from agno.exceptions import ModelProviderError

    agent.model = ScriptedModel([ModelProviderError("overloaded", status_code=503)])
    assert (await running(agent)).content == "from the second"


async def test_an_agent_without_a_model_takes_the_default(running: Runner) -> None:
    with pytest.raises(ConfigurationError, match="The agent has no model"):
        await running(Agent())


def test_a_helper_without_a_model_does_not_keep_the_runs_model() -> None:
    from agno.memory import MemoryManager

    manager = MemoryManager()
    agent = Agent(model=ScriptedModel([]), memory_manager=manager)
    record = task()
    own = Overrides(record, wanted(agent, record)).applied(agent, "agent")
    own.initialize_agent()
    assert manager.model is None
    assert own.memory_manager.model is own.model


async def test_a_run_asks_the_users_own_model(running: Runner) -> None:
    model = ScriptedModel(["x"])
    before = vars(model).keys()
    own = Overrides(task(), wanted(None, task())).applied(Agent(model=model), "agent")
    assert own.model is model
    await running(Agent(model=model))
    assert (len(model.requests), vars(model).keys()) == (1, before)


CASES: list[tuple[Any, ModelCapabilities]] = [
    (OpenAIResponses(id="gpt-5"), OPENAI),
    (OpenAIChat(id="gpt-4o"), OPENAI),
    (OpenAIChat(id="gpt-3.5-turbo"), ModelCapabilities(pdfs=False, images=False)),
    (OpenAIChat(id="x", base_url="https://models.example/v1"), ModelCapabilities(pdfs=False, images=False)),
    (Claude(id="claude-sonnet-5-5"), ModelCapabilities(pdf_pages=600)),
    (Claude(id="claude-sonnet-4-5"), ModelCapabilities()),
    (DeepSeek(id="deepseek-chat"), ModelCapabilities(pdfs=False, images=False)),
    (OpenAILike(id="mine", base_url="http://models.lan/v1"), ModelCapabilities(pdfs=False, images=False)),
    (
        OpenAILike(id="mine", base_url="http://127.0.0.1:9/v1"),
        ModelCapabilities(pdfs=False, images=False, context=16_000, tools=False),
    ),
    (
        OpenAILike(id="SmolLM2-135M-Instruct", base_url="http://127.0.0.1:9/v1"),
        ModelCapabilities(pdfs=False, images=False, prompt_tokens=1500, tools=False),
    ),
    (Gemini(id="gemini-2.5-pro"), GEMINI),
    (OpenAIChat(id="gpt-audio-mini"), OPENAI_AUDIO),
    (OpenAIChat(id="gpt-4o-audio-preview"), OPENAI_AUDIO),
    (OpenAIResponses(id="gpt-audio"), OPENAI),  # Agno sends no audio there
    (ScriptedModel([]), SCRIPTED),
]


@pytest.mark.parametrize(("model", "takes"), CASES, ids=lambda value: getattr(value, "id", ""))
def test_what_a_model_takes(model: Any, takes: ModelCapabilities) -> None:
    found = capabilities(Agent(model=model), task())
    pictures = replace(found.pictures, tokens=takes.pictures.tokens)
    assert replace(found, context=takes.context, pictures=pictures) == takes


@pytest.mark.parametrize(
    ("model", "tokens"),  # of a picture of 2,000 by 1,500 pixels
    [
        (Claude(id="claude-sonnet-4-5"), 1_600),
        (Claude(id="claude-sonnet-5-5"), 3_888),
        (OpenAIChat(id="gpt-4o"), 2_500),
        (OpenAIResponses(id="gpt-5.5"), 3_554),
        (Gemini(id="gemini-3-pro-preview"), 1_120),
    ],
    ids=lambda value: getattr(value, "id", ""),
)
def test_how_many_tokens_a_picture_takes(model: Any, tokens: int) -> None:
    assert capabilities(Agent(model=model), task()).pictures.tokens.of((2_000, 1_500)) == tokens


CONTEXTS: list[tuple[Any, int | None, bool]] = [
    (Claude(id="claude-sonnet-5-5"), 1_000_000, True),
    (Claude(id="claude-sonnet-4-5-20250929"), 200_000, True),
    (Claude(id="us.anthropic.claude-opus-4-6-v1:0"), 1_000_000, True),
    (OpenAIChat(id="gpt-4"), 8_192, True),
    (OpenAIChat(id="gpt-4o-mini"), 128_000, True),
    (OpenAIResponses(id="gpt-5.4-mini"), 400_000, True),
    (OpenAIResponses(id="gpt-5.4"), 1_000_000, True),
    (Gemini(id="gemini-2.5-pro"), 1_000_000, True),
    (OpenAILike(id="anthropic/claude-sonnet-4", base_url="https://models.example/v1"), 200_000, True),
    (OpenAILike(id="mine", base_url="https://models.example/v1"), None, True),
    (OpenAILike(id="llama-3.1-8b", base_url="http://127.0.0.1:9/v1"), 16_000, False),
    (OpenAILike(id="gpt-5", base_url="http://127.0.0.1:9/v1"), 400_000, True),  # a gateway: nobody has it at home
]


@pytest.mark.parametrize(("model", "context", "tools"), CONTEXTS, ids=lambda value: getattr(value, "id", ""))
def test_how_much_a_models_context_holds(model: Any, context: int | None, tools: bool) -> None:
    takes = of_model(model)
    assert (takes.context, takes.tools) == (context, tools)
    assert takes.text_tokens == (context or 32_000) // 2


def test_the_leader_the_first_step_and_the_tasks_choice_decide(both_keys: None) -> None:
    plain: Any = OpenAILike(id="mine", base_url="http://models.lan/v1")
    member = Agent(model=plain)
    assert capabilities(Team(members=[member], model=ScriptedModel([])), task()).pdfs
    assert not capabilities(flow(Step(name="s", agent=member)), task()).pdfs
    assert capabilities(member, task(llm_model_name="gpt-5")).pdfs


def test_a_user_can_say_what_a_model_takes() -> None:
    declare_capabilities("Declared-", pdfs=False, images=False)
    declare_capabilities("declared-vision", pdfs=False, images=True, prompt_tokens=900)
    agent = Agent(model=OpenAILike(id="declared-Vision-7b", base_url="http://models.lan/v1"))
    assert capabilities(agent, task()) == ModelCapabilities(pdfs=False, images=True, prompt_tokens=900)


def test_an_agents_record_becomes_arguments_that_agno_takes(both_keys: None) -> None:
    record = AgentRecord(
        id="clerk",
        name="Clerk",
        unique_name="clerk",
        instructions=Instructions(role=["clerk"], goal=["order"], general="Be kind."),
        model_provider="openai",
        model_name="gpt-5",
        llm_reasoning_effort=LLMReasoningEffort.Low,
        output_format=OutputFormat.Markdown,
        expected_output="A list.",
    )
    agent = Agent(**agent_arguments(record))
    assert (agent.id, agent.name, agent.markdown, agent.telemetry) == ("clerk", "Clerk", True, False)
    assert agent.instructions == ["Your role: clerk", "Your goal: order", "Be kind."]
    model: Any = agent.model
    assert (model.id, model.reasoning_effort) == ("gpt-5", "low")
    override: Any = agent_arguments(record, task=task(llm_model_name="claude-sonnet-5-5"))["model"]
    assert override.id == "claude-sonnet-5-5"


def test_arguments_without_any_model_leave_it_to_the_caller() -> None:
    record = AgentRecord(id="clerk", name="Clerk", unique_name="clerk")
    assert "model" not in agent_arguments(record, settings=settings(None))


@pytest.mark.parametrize(
    ("options", "retries"),
    [({}, 0), ({"max_retries": 3}, 3), ({"num_retries": 1}, None)],
    ids=["default", "own", "all"],
)
def test_litellm_makes_one_request_of_one_unless_it_is_told_to(options: dict[str, int], retries: int | None) -> None:
    module: Any = ModuleType("litellm")  # it takes long to load, and is not among the tests' requirements
    module.completion = dict

    class Model:
        client: Any = None

        def __init__(self) -> None:
            self.client = None

        def get_client(self) -> Any:
            return self.client or module

    model = Model()
    disable_retries(model, "async_client")
    assert model.get_client().completion(**options).get("max_retries") == retries


def test_coheres_clients_make_one_request_of_one() -> None:
    model = Cohere(id="m", api_key="k")
    for attribute in ("client", "async_client"):
        disable_retries(model, attribute)
        client: Any = getattr(model, attribute)
        assert client._client_wrapper.httpx_client.base_max_retries == 0


def test_the_state_of_a_provider_is_kept_by_key_address_and_the_provider_behind_a_gateway(both_keys: None) -> None:
    asked: dict[str, Any] = {"api_key": "k", "base_url": "http://a"}
    kept = provider_of(OpenAIChat("anthropic/x", **asked))
    assert provider_of(OpenAIChat("anthropic/y", **asked)) == kept
    others = [OpenAIChat("openai/x", **asked), OpenAIChat("x", **asked), OpenAIChat("anthropic/x", api_key="j")]
    assert len({kept, *map(provider_of, others)}) == 4
