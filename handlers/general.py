"""A handler for all agents without a handler of their own: it runs them with Agno, as configured on the platform.

A more specific handler, `@on(TaskUpdateEventType.TaskCreated, agent_id="…")` in another module of this folder, has
priority.
"""

from worker import Backend, Task, TaskUpdateEventType, on, run_agent


@on(TaskUpdateEventType.TaskCreated)
async def run_named_agent(task: Task) -> Task:
    """Run the agent that the task names."""
    from agno.agent import Agent

    agent = Agent(**await Backend(task.configuration).aget_args(task=task))
    return await run_agent(agent, task)
