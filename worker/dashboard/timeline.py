"""A task's events as rows of a timeline: model text, tool calls with results, thoughts, sub-agents, attempts.

The same events always produce the same rows: a page is rendered from the existing events, and its stream continues
after the last one, perhaps in another process. A row is identified by the number of its first event.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel

from worker.words.events import (
    CustomData,
    Note,
    SubAgentTrigger,
    TaskUpdateEvent,
    Thought,
    ToolCallRequest,
    ToolCallResult,
    WorkflowStep,
)
from worker.words.messages import ReceivedMessage
from worker.words.requests import InputRequest, ReceivedAnswer
from worker.words.signals import ReceivedSignal
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord

Type = TaskUpdateEventType
EVENTS_SHOWN = 4_000  # events of a task on one page; earlier ones are on other pages


@dataclass(slots=True)
class TimelineRow:
    """A row of the timeline.

    Args:
        number: The number of the event that started the row.
        kind: The style: ``created``, ``attempt``, ``text``, ``call``, ``thought``, ``agent``, ``step``, ``note``,
            ``status``, ``finished``, ``other``.
        at: Milliseconds since the task was created.
        until: The end, also in milliseconds; None for a row that is still running or takes no time.
        is_running: Whether the row is still running.
        facts: Further details to show.
    """

    number: int
    kind: str
    title: str
    at: int
    until: int | None = None
    is_running: bool = False
    depth: int = 0
    text: str = ""
    payload: Any = None
    result: Any = None
    is_error: bool = False
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


class TimelineChange(NamedTuple):
    """A change that an event makes to the timeline.

    Args:
        what: ``add`` (a new row), ``update`` (an existing row changed), ``text`` (text was appended to a row), ``task``
            (the state of the task changed).
    """

    what: str
    row: TimelineRow | None = None
    text: str = ""


Handler = Callable[[TaskUpdateEvent, Any], list[TimelineChange]]
"""Adds an event with its data to the timeline."""


class Timeline:
    """The rows of a task, built by adding its events in order.

    Args:
        created_at: When the task was created; times are relative to this.
    """

    def __init__(self, created_at: datetime) -> None:
        self.rows: list[TimelineRow] = []
        self.number = 0
        self.task: TaskRecord | None = None
        self._created_at = created_at
        self._calls: dict[str, TimelineRow] = {}
        self._steps: dict[tuple[str, ...], TimelineRow] = {}  # started workflow steps, by path
        self._text: TimelineRow | None = None
        self._attempt = 0
        self._handlers: dict[TaskUpdateEventType, tuple[type, Handler]] = {
            Type.Chunk: (object, self._chunk),
            Type.ToolCallRequest: (ToolCallRequest, self._call),
            Type.ToolCallResult: (ToolCallResult, self._answer),
            Type.Think: (Thought, self._thought),
            Type.Analyze: (Thought, self._thought),
            Type.SubAgentTrigger: (SubAgentTrigger, self._agent),
            Type.Step: (WorkflowStep, self._step),
            Type.Custom: (CustomData, self._custom),
            Type.Note: (Note, self._note),
            Type.InputRequested: (InputRequest, self._input_requested),
            Type.InputReceived: (ReceivedAnswer, self._answered),
            Type.MessageReceived: (ReceivedMessage, self._message),
            Type.SignalReceived: (ReceivedSignal, self._signal),
            Type.TaskCreated: (TaskRecord, self._whole),
            Type.TaskUpdated: (TaskRecord, self._whole),
            Type.TaskFinished: (TaskRecord, self._whole),
        }

    def take(self, event: TaskUpdateEvent) -> list[TimelineChange]:
        """Add an event, and return the changes that it makes."""
        self.number = event.number or self.number
        kind, handler = self._handlers.get(event.type, (object, self._other))
        if not isinstance(event.data, kind):
            handler = self._other
        changes = [] if event.type is Type.Chunk else self._end_text()
        return changes + handler(event, event.data)

    def _at(self, event: TaskUpdateEvent) -> int:
        return max(0, int((event.time - self._created_at).total_seconds() * 1000))

    def _add(self, event: TaskUpdateEvent, kind: str, title: str, **facts: Any) -> list[TimelineChange]:
        row = TimelineRow(self.number, kind, title, self._at(event), **facts)
        self.rows.append(row)
        return [TimelineChange("add", row)]

    def _chunk(self, event: TaskUpdateEvent, data: object) -> list[TimelineChange]:
        text = data if isinstance(data, str) else ""
        changes: list[TimelineChange] = []
        if self._text is None:
            changes = self._add(event, "text", "Model", is_running=True)
            self._text = self.rows[-1]
        row = self._text
        row.text += text
        row.until = self._at(event)
        return changes or [TimelineChange("text", row, text)]

    def _end_text(self) -> list[TimelineChange]:
        row, self._text = self._text, None
        if row is None:
            return []
        row.until, row.is_running = max(row.until or 0, row.at), False
        return [TimelineChange("update", row)]

    def _call(self, event: TaskUpdateEvent, call: ToolCallRequest) -> list[TimelineChange]:
        why = call.reasoning.title if call.reasoning else None
        changes = self._add(
            event,
            "call",
            call.tool_name or call.operation_id,
            payload=call.payload,
            is_running=True,
            text=why or "",
            depth=_depth(call),
        )
        self._calls[call.request_id] = self.rows[-1]
        return changes

    def _answer(self, event: TaskUpdateEvent, answer: ToolCallResult) -> list[TimelineChange]:
        row = self._calls.pop(answer.request_id, None)
        what = "update"
        if row is None:
            name = answer.tool_name or answer.operation_id
            self._add(event, "call", name, payload=answer.payload, depth=_depth(answer))
            row, what = self.rows[-1], "add"
        row.result, row.is_error, row.is_running, row.until = (
            answer.result,
            bool(answer.is_error),
            False,
            self._at(event),
        )
        row.facts["answered"] = True
        return [TimelineChange(what, row)]

    def _thought(self, event: TaskUpdateEvent, thought: Thought) -> list[TimelineChange]:
        said = [thought.thought, thought.analysis, thought.action and f"Next: {thought.action}", thought.result]
        return self._add(
            event,
            "thought",
            thought.title or ("Analysis" if event.type is Type.Analyze else "Thought"),
            text="\n".join(each for each in said if each),
        )

    def _agent(self, event: TaskUpdateEvent, trigger: SubAgentTrigger) -> list[TimelineChange]:
        return self._add(event, "agent", trigger.agent_id, text=trigger.query or "", depth=1)

    def _step(self, event: TaskUpdateEvent, step: WorkflowStep) -> list[TimelineChange]:
        known = self._steps.get(tuple(step.path))
        if step.iteration is not None or step.phase == "continued":
            title = f"{step.name}, again" if step.iteration is None else f"{step.name}, round {step.iteration}"
            return [] if step.phase == "completed" else self._add(event, "step", title, depth=_level(step))
        if step.phase == "started" or known is None:
            title = step.name if step.kind == "step" else f"{step.name} ({step.kind})"
            is_running = step.phase == "started"
            changes = self._add(event, "step", title, depth=_level(step), is_running=is_running)
            self._steps[tuple(step.path)] = self.rows[-1]
            return changes
        known.until, known.is_running, known.is_error = self._at(event), False, step.phase == "failed"
        known.text = step.error or ", ".join(step.chosen or ())
        return [TimelineChange("update", known)]

    def _custom(self, event: TaskUpdateEvent, said: CustomData) -> list[TimelineChange]:
        return self._add(event, "other", said.name, payload=said.data)

    def _note(self, event: TaskUpdateEvent, note: Note) -> list[TimelineChange]:
        return self._add(event, "note", "Note" if note.kind == "note" else note.kind.capitalize(), text=note.text)

    def _input_requested(self, event: TaskUpdateEvent, request: InputRequest) -> list[TimelineChange]:
        title = f"Asks a person: {request.tool_name or request.kind.replace('_', ' ')}"
        return self._add(event, "note", title, text=request.question or "")

    def _answered(self, event: TaskUpdateEvent, answer: ReceivedAnswer) -> list[TimelineChange]:
        said = "no" if answer.approve is False else "yes" if answer.value is None else "answered"
        who = f" by {answer.answered_by}" if answer.answered_by else ""
        title = f"{answer.tool_name or answer.kind.replace('_', ' ').capitalize()}: {said}{who}"
        return self._add(event, "note", title, text=answer.note or "", payload=answer.value)

    def _message(self, event: TaskUpdateEvent, message: ReceivedMessage) -> list[TimelineChange]:
        title = f"Message from {message.sent_by}" if message.sent_by else "Message"
        return self._add(event, "note", title, text=message.text)

    def _signal(self, event: TaskUpdateEvent, signal: ReceivedSignal) -> list[TimelineChange]:
        return self._add(event, "note", f"Signal {signal.name}", payload=signal.data)

    def _other(self, event: TaskUpdateEvent, data: Any) -> list[TimelineChange]:
        said = data.model_dump(mode="json") if isinstance(data, BaseModel) else data
        return self._add(event, "other", event.type.replace("_", " "), payload=said)

    def _whole(self, event: TaskUpdateEvent, task: TaskRecord) -> list[TimelineChange]:
        """Add rows for the changes since the previous state of the task, from an event that contains the whole task."""
        before, self.task = self.task, task
        changes = [TimelineChange("task")]
        if event.type is Type.TaskCreated:
            changes += self._add(event, "created", "Created")
        elif event.type is Type.TaskFinished:
            changes += self._cut_off(event) + self._add(event, "finished", task.status.capitalize())
        elif task.execution_attempts > self._attempt and task.status == "executing":
            self._attempt = task.execution_attempts
            changes += self._cut_off(event) + self._add(event, "attempt", f"Attempt {task.execution_attempts}")
        elif before is not None and task.status != before.status:
            changes += self._cut_off(event) + self._add(event, "status", _moved(task))
        if before is not None and task.internal_status and task.internal_status != before.internal_status:
            changes += self._add(event, "status", task.internal_status)
        return changes

    def _cut_off(self, event: TaskUpdateEvent) -> list[TimelineChange]:
        """End the unfinished calls and steps of an attempt that has ended."""
        rows = [*self._calls.values(), *(each for each in self._steps.values() if each.is_running)]
        self._calls, self._steps = {}, {}
        for row in rows:
            row.is_running, row.until = False, self._at(event)
        return [TimelineChange("update", row) for row in rows]


def _moved(task: TaskRecord) -> str:
    if task.status == "pending":
        return f"{task.waiting_for[0].upper()}{task.waiting_for[1:]}" if task.waiting_for else "Queued again"
    return "Waiting for a person" if task.status == "paused" else task.status.capitalize()


def _level(step: WorkflowStep) -> int:
    return len(step.path) - 1


def _depth(call: ToolCallRequest) -> int:
    """Return the indentation of a call; a team member's calls are indented below the delegation."""
    return 1 if call.graph_node_id else 0
