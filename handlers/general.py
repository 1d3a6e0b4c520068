"""Any agent that no other handler names: the platform's own description of it, run as an Agno agent.

A more specific handler, `@on(TaskUpdateEventType.TaskCreated, agent_id="…")` in a module beside this one, beats it.
"""

from worker import Backend, Task, TaskUpdateEventType, on, run_agent


@on(TaskUpdateEventType.TaskCreated)
async def run_named_agent(task: Task) -> Task:
    """Run the agent that the task is for."""
    from agno.agent import Agent

    agent = Agent(**await Backend(task.configuration).aget_args(task=task))
    return await run_agent(agent, task)
