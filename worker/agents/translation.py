"""Agno's events as the task's events: streamed text and reasoning. Calls and runs are emitted where they are made."""

from collections.abc import Sequence
from typing import Any

from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType

_NOTHING: tuple[NewEvent, ...] = ()


class Translation:
    """Turns one run's events, its members' included, into events of the task."""

    def __init__(self) -> None:
        self._teams: set[str] = set()

    def events(self, event: Any) -> Sequence[NewEvent]:
        """What an event of Agno's means for the task's log; mostly nothing."""
        match event.event:
            case "TeamRunStarted":
                self._teams.add(event.run_id)
            case "ReasoningStep" | "TeamReasoningStep":
                return _reasoning_step(event)
            case _:
                pass
        return _NOTHING

    def text(self, event: Any) -> str | None:
        """The text that an event adds to the answer; a member's text is not the answer."""
        if event.event not in ("RunContent", "TeamRunContent") or not isinstance(event.content, str):
            return None
        return None if getattr(event, "parent_run_id", None) in self._teams else event.content


def _reasoning_step(event: Any) -> Sequence[NewEvent]:
    step = event.content
    if step is None or isinstance(step, str):
        return _NOTHING
    analysis = bool(step.result) and step.action is None  # the form that Agno gives the tool `analyze`
    data = {
        "type": "analyze" if analysis else "think",
        "title": step.title or "",
        "confidence": step.confidence,
        "action": step.action or None,
        "result": step.result or None,
        "analysis" if analysis else "thought": step.reasoning,
    }
    return [NewEvent(type=TaskUpdateEventType.Analyze if analysis else TaskUpdateEventType.Think, data=data)]
