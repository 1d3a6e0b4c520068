"""Built-in operations of a worker: calling a tool for another process, and reading documents.

A task that consists of one tool call runs that tool instead of the agent's handler.
"""

from dataclasses import replace

from worker.face.ingesting import read_documents
from worker.face.task import Task
from worker.face.tools import ToolsRepository
from worker.registry import Handler
from worker.signatures import filling_of
from worker.words.knowledge import AGENT
from worker.words.operations import WITHOUT_THE_TOOL, failed, operation_of, result_text
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.tasks import TaskRecord


def operation_handler(task: TaskRecord, handler: Handler) -> Handler:
    """Return the handler that runs a task: its agent's handler, or one that calls the requested tool."""
    return handler if operation_of(task) is None else replace(handler, function=call, filling=_FILLING, timeout=None)


async def call(task: Task) -> Task:
    """Call the tool that a task requests, and store its result on the task."""
    asked = operation_of(task)
    if asked is None:
        raise RuntimeError("the task does not call a tool")  # cannot happen: ``operation_handler`` has checked this
    found = next((each for each in ToolsRepository(agent_id=task.agent_id).list if each.name == asked.tool), None)
    if found is None:
        result = failed(WITHOUT_THE_TOOL, f"this worker has no tool {asked.tool!r}", asked.tool, asked.payload)
    else:
        result = await found.ainvoke(task.agent_id, asked.payload)
    task.result = result_text(result)
    if not result.is_success:
        task.status, task.error_code = AgentExecutionStatus.Error, "tool"
    return task


_FILLING = filling_of(call)

READER = Handler(
    function=read_documents,
    event_type=TaskUpdateEventType.TaskCreated,
    agent_id=AGENT,
    filling=filling_of(read_documents),
    concurrency=2,  # documents may need much memory, and the worker also serves its own agents
)
"""Reads the documents of knowledge bases; every worker has this handler in addition to its own."""
