"""The worker that the samples wait for, a process of its own."""

from agno.agent import Agent

from worker import Task, on_task, run_agent, tool
from worker.registry import default
from worker.settings import Settings
from worker.supervisor.main import run_worker
from worker.testing import Call, ScriptedModel


def total_sales(region: str) -> int:
    """Add up the sales of a region."""
    return {"north": 3, "south": 4}[region]


analyst = Agent(model=ScriptedModel([Call("total_sales", {"region": "north"}), '{"total": 3}']), tools=[total_sales])


@tool(agent_ids="agent-123")
def repeat(param: str) -> dict[str, str]:
    """Repeat what it is given."""
    return {"repeated": param}


@on_task(agent_id="agent-123")
async def analyse(task: Task) -> Task:
    """Have the agent use its tool and answer."""
    return await run_agent(analyst, task)


@on_task(agent_id="agent-patient")
async def wait_for_the_word(task: Task) -> str:
    """Execute until somebody sets the task's ``internal_status`` to ``go``."""
    async for event in task.aevents():
        if event.type == "task_updated" and event.data.internal_status == "go":
            break
    return "gone"


if __name__ == "__main__":
    run_worker(Settings(), default)
