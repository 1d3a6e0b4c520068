from typing import Any

import pytest
from agno.agent import Agent
from agno.models.message import Message
from agno.team import Team
from agno.tools import tool

from tests.agents.runs import Runner
from worker.agents.errors import AgentFailed
from worker.testing import Call, Pieces, ScriptedModel


def conversation(turns: int) -> list[Message]:
    return [Message(role="user", content="q"), *(Message(role="assistant", content="a") for _ in range(turns))]


async def test_the_turn_follows_from_the_conversation_alone() -> None:
    model = ScriptedModel(["first", "second"])
    for _ in range(2):
        assert (await model.ainvoke(messages=conversation(1))).content == "second"
        assert (await model.ainvoke(messages=conversation(0))).content == "first"


async def test_one_turn_may_say_and_call_several_things() -> None:
    model = ScriptedModel([["Look: ", Call("a", {"x": 1}, "1"), Call("b")]])
    answer = await model.ainvoke(messages=conversation(0))
    assert answer.content == "Look: "
    assert [each["function"]["name"] for each in answer.tool_calls] == ["a", "b"]
    assert answer.tool_calls[0]["id"] == "1"


async def test_pieces_come_one_by_one_with_the_hook_between() -> None:
    between = list[int]()

    async def pause(messages: list[Message]) -> None:
        between.append(len(messages))

    model = ScriptedModel([Pieces(["a", "b", "c"])], between=pause)
    deltas = [each async for each in model.ainvoke_stream(messages=conversation(0))]
    assert [each.content for each in deltas if each.content] == ["a", "b", "c"]
    assert between == [1, 1]
    assert (await model.ainvoke(messages=conversation(0))).content == "abc"


def test_the_sync_twins_say_the_same() -> None:
    model = ScriptedModel(lambda messages: f"{len(messages)} so far", prompt_tokens=7)
    answer = model.invoke(messages=conversation(2))
    assert answer.content == "3 so far"
    assert answer.response_usage is not None
    assert answer.response_usage.input_tokens == 7
    assert [each.content for each in model.invoke_stream(messages=conversation(0))] == ["1 so far"]


async def test_a_script_that_is_too_short_says_so(running: Runner) -> None:
    with pytest.raises(AgentFailed, match="script has 0 turns"):
        await running(Agent(model=ScriptedModel([])))


async def test_a_member_that_needs_a_person_pauses_the_team(running: Runner) -> None:
    @tool(requires_confirmation=True)
    def pay(amount: int) -> str:
        return f"paid {amount}"

    member = Agent(id="payer", model=ScriptedModel([Call("pay", {"amount": 5}, "call-9"), "paid"]), tools=[pay])
    members: list[Any] = [member]
    leader = ScriptedModel([Call("delegate_task_to_member", {"member_id": "payer", "task": "pay"}), "done"])
    result = await running(Team(members=members, model=leader))
    assert result.paused is not None
    assert result.paused["wait_node_id"] == "call-9"
    assert result.paused["requirements"][0]["member_agent_id"] == "payer"
