"""Calls of tools in workers, each made by a task whose outcome is awaited."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from worker.words.digests import digest
from worker.words.errors import Conflict, ToolNotFound
from worker.words.operations import failed, new_operation, outcome
from worker.words.tasks import TaskRecord
from worker.words.tools import ToolInvocationResult, ToolRecord

if TYPE_CHECKING:
    from worker.engine.verbs.tasks import EngineTasks

TOO_LONG = 504


async def invoke(
    tasks: "EngineTasks", agent_id: str, name: str, payload: Mapping[str, Any], *, under: str | None, margin: float
) -> ToolInvocationResult:
    """Call a tool in a worker, and wait for the result.

    Args:
        tasks: The tasks of an organization.
        agent_id: The agent that has the tool.
        name: The tool.
        payload: Its arguments.
        under: The id of the call's task (see ``task_id_of``).
        margin: The seconds to wait beyond the tool's own limit.

    Raises:
        AgentNotFound: There is no such agent.
        ToolNotFound: The agent has no such tool.
    """
    agent = await tasks.get_agent(agent_id)
    tool = next((each for each in agent.announced_tools if each.name == name), None)
    if tool is None:
        raise ToolNotFound(agent_id, name)
    task = await _begun(tasks, agent_id, name, payload, under)
    try:
        async with asyncio.timeout(tool.timeout + margin):
            async for _ in tasks.events(task.id):
                pass
    except TimeoutError:
        if not (await tasks.stop(task.id)).is_manually_stopped:
            return outcome(await tasks.get(task.id), name, payload)
        return failed(TOO_LONG, f"{name} did not respond within {tool.timeout:g} s", name, payload)
    return outcome(await tasks.get(task.id), name, payload)


def task_id_of(*asked: Any) -> str:
    """Return the id of the task of a call that may be repeated."""
    return f"tool-{digest(asked)}"


async def _begun(
    tasks: "EngineTasks", agent_id: str, name: str, payload: Mapping[str, Any], under: str | None
) -> TaskRecord:
    """Create the call's task, or return the one created earlier with the same key."""
    try:
        return await tasks.create(new_operation(agent_id, name, payload), under=under)
    except Conflict:
        if under is None:
            raise
        return await tasks.get(under)


def tools_of(agent_id: str, announced: list[dict[str, Any]]) -> list[ToolRecord]:
    """Return an agent's tools among those that workers have announced; for equal names, the newest worker's."""
    records = [ToolRecord.model_validate(each) for each in announced]
    found = {each.name: each for each in records if each.is_for(agent_id)}
    return sorted(found.values(), key=lambda each: each.name)
