"""What a worker does beside its handlers: a tool is called for another process, documents are read.

A task that is one call of a tool has it called in place of the agent's handler.
"""

from dataclasses import replace

from worker.face.ingesting import read_documents
from worker.face.task import Task
from worker.face.tools import ToolsRepository
from worker.registry import Handler
from worker.signatures import filling_of
from worker.words.knowledge import AGENT
from worker.words.operations import WITHOUT_THE_TOOL, failed, operation_of, told
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
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

READER = Handler(
    function=read_documents,
    event_type=TaskUpdateEventType.TaskCreated,
    agent_id=AGENT,
    filling=filling_of(read_documents),
    concurrency=2,  # each document may fill much memory, and the worker has its own agents to serve
)
"""Reads the documents of knowledge bases: every worker has it, beside its own handlers."""
