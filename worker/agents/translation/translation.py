"""Translation of Agno's events to the task's: streamed text, reasoning, workflow steps, and data alongside the text.

Tool calls and runs are emitted by the code that makes them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from worker.agents.event_buffer import plain
from worker.agents.translation.values import ReplayedText, replayed_event
from worker.agents.translation.workflow_steps import Said, WorkflowSteps
from worker.words.events import CustomData, NewEvent
from worker.words.statuses import TaskUpdateEventType

CONTENT = ("RunContent", "TeamRunContent")
DELTAS = ("ReasoningContentDelta", "TeamReasoningContentDelta")
REASONING = ("ReasoningStep", "TeamReasoningStep")
COMPLETED = ("RunCompleted", "TeamRunCompleted")
ENDS = frozenset({*COMPLETED, "ModelRequestCompleted", "TeamModelRequestCompleted", "RunError", "TeamRunError"})
"""Events after which the reasoning of a model's answer is complete."""

OF_SESSIONS = frozenset({"current_session_id", "current_run_id", "current_user_id", "reasoning_steps"})
"""Keys that Agno itself puts into a session's state; reasoning has events of its own."""

OF_EVENTS = frozenset(
    {
        *("created_at", "event", "agent_id", "agent_name", "team_id", "team_name", "run_id", "parent_run_id"),
        *("session_id", "workflow_id", "workflow_name", "workflow_run_id", "step_id", "step_name", "step_index"),
        *("parent_step_id", "nested_depth", "tools", "tool_call_id"),
    }
)
"""Fields that all of Agno's events share; an event that a tool yields may have others of its own."""


class Translation:
    """A translator of one run's events, including its members', to events of the task.

    Args:
        streams: Whether text is passed on as it arrives.
        repeats: Whether text that an earlier attempt has passed on is passed on again.
        is_in_log: Whether a text of a run is in the log already, apart from text that is marked as replayed.
    """

    def __init__(
        self,
        *,
        streams: bool = True,
        repeats: bool = False,
        is_in_log: Callable[[str, str], bool] = lambda _run_id, _text: False,
    ) -> None:
        self._streams = streams
        self._is_in_log = is_in_log
        self._repeats = repeats
        self._teams: set[str] = set()
        self._thoughts: dict[str, list[str]] = {}  # by run, until the reasoning is complete
        self._steps = WorkflowSteps()

    def translate(self, event: Any) -> Iterator[Said]:
        """Yield the task's events and text for an Agno event; mostly none."""
        name: str = event.event
        if name in CONTENT or name in DELTAS:
            yield from self._content(event, name)
            return
        if name in REASONING:
            yield from self._reasoning_step(event)
        elif name == "TeamRunStarted":
            self._teams.add(event.run_id)
        elif name == "CustomEvent":
            yield _custom(event, _class_name(event), _own_fields(event), event.__dict__.get("tool_call_id"))
        elif name.endswith("FollowupsCompleted") and event.followups:
            yield _custom(event, "followups", event.followups)
        elif self._steps.is_about_step(event):
            yield from (each for each in self._steps.translate(event) if self._streams or not isinstance(each, str))
        if name in ENDS:
            yield from self._thought(event.run_id)
            if name in COMPLETED:
                yield from _beside_the_text(event)

    def rest(self) -> Iterator[Said]:
        """Yield the text that is still held back at the end of the run."""
        yield from self._steps.rest()

    def _content(self, event: Any, name: str) -> Iterator[Said]:
        """Handle a chunk of an answer, or of the reasoning before it."""
        if thought := event.reasoning_content:
            self._thoughts.setdefault(event.run_id, []).append(thought)
        if name in DELTAS or not isinstance(event.content, str) or not event.content:
            return
        yield from self._thought(event.run_id)
        if not self._streams or (isinstance(event.content, ReplayedText) and not self._repeats):
            return
        if self._is_in_log(event.run_id, event.content):
            return
        if getattr(event, "parent_run_id", None) not in self._teams:  # a member's text is not the answer
            yield from self._steps.text(event, event.content)

    def _thought(self, run_id: str) -> Iterator[NewEvent]:
        thought = "".join(self._thoughts.pop(run_id, ()))
        if thought.strip():
            yield NewEvent(type=TaskUpdateEventType.Think, data={"type": "think", "title": "", "thought": thought})

    def _reasoning_step(self, event: Any) -> Iterator[NewEvent]:
        step = event.content
        if step is None or isinstance(step, str):
            return
        if "".join(self._thoughts.get(event.run_id, ())).strip() == (step.reasoning or "").strip():
            self._thoughts.pop(event.run_id, None)  # the step repeats the streamed reasoning
        analysis = bool(step.result) and step.action is None  # the form that Agno gives the tool `analyze`
        data = {
            "type": "analyze" if analysis else "think",
            "title": step.title or "",
            "confidence": step.confidence,
            "action": step.action or None,
            "result": step.result or None,
            "analysis" if analysis else "thought": step.reasoning,
        }
        yield NewEvent(type=TaskUpdateEventType.Analyze if analysis else TaskUpdateEventType.Think, data=data)


def _beside_the_text(event: Any) -> Iterator[NewEvent]:
    """Yield events for the citations and session state that a completed run has besides its text."""
    if event.citations is not None:
        yield _custom(event, "citations", event.citations.model_dump(exclude={"raw"}, exclude_none=True))
    if getattr(event, "parent_run_id", None):
        return  # members share the state of their team's session
    state = {name: value for name, value in (event.session_state or {}).items() if name not in OF_SESSIONS}
    if state:
        yield _custom(event, "session_state", state)


def _custom(event: Any, name: str, data: Any, tool_call_id: str | None = None) -> NewEvent:
    agent: str | None = getattr(event, "agent_name", None) or getattr(event, "team_name", None)
    said = CustomData(name=name, data=plain(data), tool_call_id=tool_call_id, agent=agent or None)
    return NewEvent(type=TaskUpdateEventType.Custom, data=said.model_dump(exclude_none=True))


def _class_name(event: Any) -> str:
    return event.class_name if isinstance(event, replayed_event()) else type(event).__name__


def _own_fields(event: Any) -> Mapping[str, Any]:
    """Return the fields that a tool has added to its own event."""
    found: dict[str, Any] = vars(event)
    return {name: value for name, value in found.items() if name not in OF_EVENTS and value is not None}
