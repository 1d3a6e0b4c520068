"""Recording of tasks that ran elsewhere, which the platform then stores like its own."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypedDict

from worker.contracts import Platform
from worker.face.changes import checked
from worker.words.errors import TaskNotFound
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord, Tokens

REPORTED = "report"
NO_INPUT = "(a run reported without its input)"


class Report(TypedDict, total=False):
    """The report of a task that ran elsewhere.

    ``id`` is the id of an existing task, or of the run where it took place, whose task has an id of its own; reported
    again, it stays as first reported. ``input`` is the prompt. ``result`` is the result; default: ``llm_response``.
    ``duration`` is in seconds.
    """

    id: str | None
    input: str | None
    llm_response: Any
    tokens: Tokens | Mapping[str, int] | None
    is_success: bool | None
    result: Any
    duration: float | None
    used_tools: Sequence[str] | None


async def report(platform: Platform, agent_id: str, details: Report) -> TaskRecord:
    """Record a task that ran elsewhere.

    Raises:
        ModuleException: 422 if a value is invalid.
    """
    succeeded = details.get("is_success")
    said = details.get("result") if details.get("result") is not None else details.get("llm_response")
    status = AgentExecutionStatus.Error if succeeded is False else AgentExecutionStatus.Completed
    given: dict[str, Any] = {"status": status, "result": said, "duration": details.get("duration") or None}
    given |= {"tokens": details.get("tokens"), "used_tools": list(details.get("used_tools") or ()) or None}
    changes = checked({name: value for name, value in given.items() if value is not None})
    return await platform.tasks.update((await _reported(platform, agent_id, details)).id, changes)


async def _reported(platform: Platform, agent_id: str, details: Report) -> TaskRecord:
    known = details.get("id")
    if known is not None:
        with suppress(TaskNotFound):
            task = await platform.tasks.get(known)
            if task.agent_id == agent_id:
                return task
    text = AgentExecutionInput(text=details.get("input") or NO_INPUT)
    new = NewTask(agent_id=agent_id, input=text, run_locally=True, worker_id=REPORTED, source=REPORTED)
    return await platform.tasks.create(new, key=known)
