"""Tasks that are one call of a tool, made for another process: the tool is called in place of the agent's handler."""

from dataclasses import replace

from worker.face.task import Task
from worker.face.tools import ToolsRepository
from worker.registry import Handler
from worker.signatures import filling_of
from worker.words.operations import WITHOUT_THE_TOOL, failed, operation_of, told
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import TaskRecord


def doing(task: TaskRecord, handler: Handler) -> Handler:
    """What does a task: its agent's handler, or what calls the tool that it asks for."""
    return handler if operation_of(task) is None else replace(handler, function=call, filling=_FILLING, timeout=None)


async def call(task: Task) -> Task:
    """Call the tool that a task asks for; what comes of it is the result."""
    asked = operation_of(task)
    if asked is None:
        raise RuntimeError("the task asks for no tool")  # it was looked at before
    found = next((each for each in ToolsRepository(agent_id=task.agent_id).list if each.name == asked.tool), None)
    if found is None:
        result = failed(WITHOUT_THE_TOOL, f"this worker has no tool {asked.tool!r}", asked.tool, asked.payload)
    else:
        result = await found.ainvoke(task.agent_id, asked.payload)
    task.result = told(result)
    if not result.is_success:
        task.status, task.error_code = AgentExecutionStatus.Error, "tool"
    return task


_FILLING = filling_of(call)
