"""A worker is killed with -9 in the middle of four runs; another one, which knows nothing of it, finishes them."""

import asyncio
import signal
from collections import Counter

from tests.cli.shells import Shell
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord, Tokens

HANDLERS = """
    import asyncio
    from pathlib import Path

    from agno.agent import Agent
    from agno.team import Team

    from worker import Task, ToolsRepository, idempotency_key, on_task, register_tool, run_agent
    from worker.testing import Call, Pieces, ScriptedModel

    effects = Path("effects")


    async def stuck(place):
        if not Path(place).exists():
            Path(place).touch()
            await asyncio.Event().wait()


    def note(word: str) -> str:
        with effects.open("a") as file:
            file.write(f"{word} {idempotency_key()}\\n")
        return f"noted {word}"


    async def slow_note(word: str) -> str:
        note(word)
        await stuck(f"stuck-{word}")
        return f"noted {word}"


    async def slow_model(messages):
        if messages[-1].role == "tool":
            await stuck("stuck-model")


    def noting(word, tool="note"):
        return Call(tool, {"word": word})


    def delegate(work):
        return Call("delegate_task_to_member", {"member_id": "scribe", "task": work})


    model = ScriptedModel([noting("model-1"), Pieces(["all ", "noted"])], before=slow_model)
    in_model = Agent(id="in-model", model=model, tools=[note])

    batch = [noting("tool-1"), noting("tool-2", "slow_note"), noting("tool-3")]
    in_tool = Agent(id="in-tool", model=ScriptedModel([batch, "all noted"]), tools=[note, slow_note])

    work = [noting("member-1"), noting("member-2", "slow_note"), "noted"]
    scribe = Agent(id="scribe", model=ScriptedModel(work), tools=[note, slow_note])
    in_member = Team(id="in-member", members=[scribe], model=ScriptedModel([delegate("note it"), "all noted"]))


    register_tool(note, name="plain_note")
    register_tool(slow_note)


    @on_task(agent_id="in-code")
    async def four(task: Task) -> str:
        tools = ToolsRepository()
        for word, name in (("code-1", "plain_note"), ("code-2", "slow_note")):
            result = await tools.get_tool_by_name(name).ainvoke(task.agent_id, {"word": word})
            assert result.result == f"noted {word}"
        return "all noted"


    @on_task(agent_id="in-model")
    async def one(task: Task) -> Task:
        return await run_agent(in_model, task)


    @on_task(agent_id="in-tool")
    async def two(task: Task) -> Task:
        return await run_agent(in_tool, task)


    @on_task(agent_id="in-member")
    async def three(task: Task) -> Task:
        return await run_agent(in_member, task)
"""

AGENTS = {"in-model": 1, "in-tool": 2, "in-member": 1, "in-code": 1}
"""With how many results each has told when it is stuck."""


async def told(engine: Engine, task: TaskRecord) -> list[str]:
    events = [event async for event in engine.tasks.events(task.id, follow=False)]
    assert [event.number for event in events] == list(range(1, len(events) + 1)), "gapless and in order"
    return [str(event.type) for event in events]


async def test_what_a_killed_worker_had_completed_is_not_done_again(here: Shell, engine: Engine) -> None:
    here.handlers(HANDLERS)
    first = here.start("run")
    await first.says("worker ready")
    tasks = {
        agent: await engine.tasks.create(NewTask(agent_id=agent, input=AgentExecutionInput(text="go")))
        for agent in AGENTS
    }

    call = asyncio.create_task(engine.tasks.invoke_tool("in-code", "slow_note", {"word": "outside"}))

    async def all_stuck() -> bool:
        results = {agent: (await told(engine, task)).count("tool_call_result") for agent, task in tasks.items()}
        return results == AGENTS and len(list(here.folder.glob("stuck-*"))) == 5

    await wait_until(all_stuck, "each run is stuck where it should be", 40)
    second = here.start("run")
    await second.says("worker ready")
    assert first.end(signal.SIGKILL) == -signal.SIGKILL

    async def all_ended() -> bool:
        return all([(await engine.tasks.get(task.id)).status.is_terminal for task in tasks.values()])

    await wait_until(all_ended, "the second worker has finished them", 40)
    answered = await call
    assert (answered.is_success, answered.result) == (True, "noted outside"), "who called it has its answer"
    ended = {agent: await engine.tasks.get(task.id) for agent, task in tasks.items()}
    assert {task.status for task in ended.values()} == {Status.Completed}
    assert {task.result for task in ended.values()} == {"all noted"}
    assert {(task.suspicions, task.crashes) for task in ended.values()} == {(1, 0)}
    lines = (here.folder / "effects").read_text().splitlines()
    times = Counter(line.split()[0] for line in lines)
    once = ("model-1", "tool-1", "tool-3", "member-1", "code-1")
    assert times == dict.fromkeys(once, 1) | dict.fromkeys(("tool-2", "member-2", "code-2", "outside"), 2)
    assert len(set(lines)) == len(times), "a call that was cut off has the same key when it is made again"
    kinds = {agent: Counter(await told(engine, task)) for agent, task in tasks.items()}
    for agent, calls in {"in-model": 1, "in-tool": 3, "in-member": 2, "in-code": 2}.items():
        assert (kinds[agent]["tool_call_request"], kinds[agent]["tool_call_result"]) == (calls, calls)
    assert kinds["in-member"]["sub_agent_trigger"] == 1
    assert ended["in-tool"].used_tools == ["note", "slow_note"]
    assert ended["in-code"].used_tools == ["plain_note", "slow_note"]
    assert ended["in-tool"].tokens == Tokens(prompt_tokens=20, completion_tokens=10)
    assert ended["in-member"].tokens == Tokens(prompt_tokens=50, completion_tokens=25), "the member's calls count"
