import asyncio
from typing import Any

import pytest
from agno.agent import Agent
from agno.team import Team
from agno.workflow import Parallel, Step

from tests.agents.attempts import Task
from tests.agents.runs import Runner, flow
from tests.support import is_retryable
from worker.agents.errors import AgentFailed
from worker.testing import Call, Pieces, ScriptedModel


def look_up(word: str) -> str:
    return f"{word}: found"


def researcher() -> Agent:
    model = ScriptedModel([Call("look_up", {"word": "x"}), Pieces(["member ", "text"])])
    return Agent(id="researcher", model=model, tools=[look_up])


def delegate(member: str, work: str) -> Call:
    return Call("delegate_task_to_member", {"member_id": member, "task": work})


async def test_a_delegation_is_told_and_the_members_tokens_and_tools_count(running: Runner) -> None:
    leader = ScriptedModel([delegate("researcher", "find x"), "the answer"])
    result = await running(Team(members=[researcher()], model=leader), events_streaming=True)
    assert result.content == "the answer"
    assert running.log.types == ["sub_agent_trigger", "tool_call_request", "tool_call_result", "chunk"]
    assert running.log.data("sub_agent_trigger") == [{"agent_id": "researcher", "query": "find x"}]
    assert running.log.data("chunk") == ["the answer"], "a member's text is not the answer"
    calls = [*running.log.data("tool_call_request"), *running.log.data("tool_call_result")]
    assert [call["graph_node_id"] for call in calls] == ["researcher", "researcher"], (
        "a member's calls say whose they are"
    )
    assert result.used_tools == ["look_up"]
    assert result.tokens.prompt_tokens == 40
    assert result.tokens.completion_tokens == 20


async def test_parallel_delegations_keep_their_own_queries(running: Runner) -> None:
    members: list[Any] = [Agent(id=name, model=ScriptedModel([f"{name} did it"])) for name in ("one", "two")]
    turn = [delegate("two", "second work"), delegate("one", "first work")]
    await running(Team(members=members, model=ScriptedModel([turn, "done"])))
    told = {data["agent_id"]: data["query"] for data in running.log.data("sub_agent_trigger")}
    assert told == {"one": "first work", "two": "second work"}


async def test_a_task_for_all_members_is_told_for_each(running: Runner) -> None:
    members: list[Any] = [Agent(id=name, model=ScriptedModel(["ok"])) for name in ("one", "two")]
    model = ScriptedModel([Call("delegate_task_to_members", {"task": "vote"}), "done"])
    await running(Team(members=members, model=model, delegate_to_all_members=True))
    assert sorted(data["agent_id"] for data in running.log.data("sub_agent_trigger")) == ["one", "two"]
    assert {data["query"] for data in running.log.data("sub_agent_trigger")} == {"vote"}


async def test_a_team_within_a_team_works_and_counts(running: Runner) -> None:
    inner = Team(
        id="inner", members=[researcher()], model=ScriptedModel([delegate("researcher", "deep"), "inner said"])
    )
    outer = Team(members=[inner], model=ScriptedModel([delegate("inner", "wide"), "outer said"]))
    result = await running(outer)
    assert result.content == "outer said"
    assert [data["query"] for data in running.log.data("sub_agent_trigger")] == ["wide", "deep"]
    assert result.tokens.prompt_tokens == 60


async def test_a_member_without_a_model_takes_the_leaders_and_the_users_objects_stay(running: Runner) -> None:
    def turn(messages: list[Any]) -> Any:
        text = str(messages[-1].content)
        if "the question" in text:
            return delegate("plain", "just say it")
        return "said" if messages[-1].role == "user" else "done"

    member = Agent(id="plain")
    team = Team(members=[member], model=ScriptedModel(turn))
    before = (vars(member).copy(), {key: value for key, value in vars(team).items() if key != "members"})
    assert (await running(team)).content == "done"
    assert (vars(member), {key: value for key, value in vars(team).items() if key != "members"}) == before
    assert team.members == [member]


async def test_a_leaders_model_error_fails_the_team(running: Runner) -> None:
    team = Team(members=[researcher()], model=ScriptedModel([delegate("researcher", "find"), ConnectionError("gone")]))
    with pytest.raises(AgentFailed, match="gone") as caught:
        await running(team)
    assert is_retryable(caught.value)


async def test_a_members_model_error_is_the_leaders_to_answer(running: Runner) -> None:
    member = Agent(id="weak", model=ScriptedModel([ConnectionError("gone")]))
    team = Team(members=[member], model=ScriptedModel([delegate("weak", "try"), "it could not be done"]))
    assert (await running(team)).content == "it could not be done"


async def test_a_workflow_ends_with_its_last_steps_result_and_counts_all(running: Runner) -> None:
    first = Step(name="search", agent=researcher())
    last = Agent(name="writer", model=ScriptedModel([Pieces(["writ", "ten"])]))
    result = await running(flow(first, last))
    assert result.content == "written"
    assert result.used_tools == ["look_up"]
    assert result.tokens.prompt_tokens == 30
    assert [each for each in running.log.types if each != "step"] == ["tool_call_request", "tool_call_result"]
    assert "graph_node_id" not in running.log.data("tool_call_request")[0], "a step is no member"


async def test_a_failed_step_fails_the_workflow_with_the_real_exception(running: Runner) -> None:
    broken = Step(name="call", agent=Agent(model=ScriptedModel([ConnectionError("gone")])), max_retries=0)
    with pytest.raises(AgentFailed, match="Step 'call' failed: gone") as caught:
        await running(flow(broken, researcher()))
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert is_retryable(caught.value)


async def test_a_step_that_may_fail_may(running: Runner) -> None:
    def broken(step_input: Any) -> Any:
        raise ValueError("never mind")

    step = Step(name="optional", executor=broken, max_retries=0, skip_on_failure=True)
    assert (await running(flow(step, researcher()))).content == "member text"


async def test_a_step_within_a_container_fails_the_workflow_too(running: Runner) -> None:
    broken = Step(name="call", agent=Agent(model=ScriptedModel([ValueError("bad")])), max_retries=0)
    good = Step(name="good", agent=Agent(model=ScriptedModel(["fine"])))
    steps: list[Any] = [good, broken]
    both = Parallel(*steps, name="both")
    with pytest.raises(AgentFailed, match="bad"):
        await running(flow(both))


async def test_steps_beside_each_other_are_joined_in_their_own_order_though_none_has_a_name() -> None:
    has_ended = asyncio.Event()

    async def wait(_: Any) -> None:
        await has_ended.wait()

    async def end(_: Any) -> None:
        asyncio.get_running_loop().call_later(0.05, has_ended.set)

    steps: list[Any] = [
        Agent(model=ScriptedModel(["first"], before=wait)),
        Agent(model=ScriptedModel(["second"], before=end)),
    ]
    result = await Task().attempted(lambda run_agent: run_agent(flow(Parallel(*steps, name="both"))))
    assert result.content == "second", "what a workflow ends with is what its last step says, not the slowest"


async def test_a_workflows_own_steps_stay_as_they_are(running: Runner) -> None:
    agent = researcher()
    step = Step(name="search", agent=agent)
    both = flow(step, agent)
    before = vars(agent).copy()
    await running(both, tool_call_limit=5)
    assert both.steps == [step, agent]
    assert step.agent is agent
    assert vars(agent) == before
    assert type(agent.model) is ScriptedModel


async def test_what_a_task_wants_stands_in_a_workflows_input(running: Runner) -> None:
    model = ScriptedModel(["ok"])
    wishes: dict[str, Any] = {"additional_context": "It is Monday.", "expected_output": "One word."}
    await running(flow(Agent(model=model)), **wishes)
    assert "It is Monday." in model.requests[0].user
    assert "One word." in model.requests[0].user
