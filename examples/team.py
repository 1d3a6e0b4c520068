"""A team of two members, coordinated by a leader: one collects facts, the other one writes.

    OPENAI_API_KEY=… worker run --handlers examples
    worker task create --agent team --text "What is PostgreSQL's SKIP LOCKED good for?" --follow

Each delegation by the leader to a member is an event, `sub_agent_trigger`. The task's tokens and tools cover all
members.
"""

from typing import TYPE_CHECKING

from worker import Task, TaskUpdateEventType, on, run_agent

if TYPE_CHECKING:
    from agno.models.base import Model
    from agno.team import Team


@on(TaskUpdateEventType.TaskCreated, agent_id="team", timeout=600)
async def work_together(task: Task) -> Task:
    await run_agent(make_team(), task)
    task.internal_status = "written by a team of two"
    return task


def make_team(model: "Model | None" = None) -> "Team":
    """Return a team on one model; by default that of WORKER_MODEL, or of the API key in the environment."""
    from agno.agent import Agent
    from agno.team import Team

    from worker.agents.models.models import default_model

    model = model or default_model()
    researcher = Agent(
        id="researcher", name="Researcher", role="Collects facts, as short notes.", model=model, telemetry=False
    )
    writer = Agent(id="writer", name="Writer", role="Makes a short text of notes.", model=model, telemetry=False)
    return Team(
        name="team",
        model=model,
        members=[researcher, writer],
        instructions=["Have the researcher collect facts first, then the writer make a short text of them."],
        telemetry=False,
    )
