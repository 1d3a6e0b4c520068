"""A workflow's steps, branches and loops as events of the task, and the order in which their text is streamed.

Parallel steps produce text concurrently, and passed on as it arrives, their text would be interleaved. So the text of
one step is passed on as it arrives, and the text of the others is held back until that step has ended.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from worker.agents.event_buffer import plain
from worker.words.events import NewEvent, WorkflowStep
from worker.words.statuses import TaskUpdateEventType

Kind = Literal["step", "steps", "parallel", "loop", "condition", "router"]
Phase = Literal["started", "continued", "completed", "failed"]

_NAMES: dict[str, tuple[Kind, Phase]] = {
    "StepStarted": ("step", "started"),
    "StepCompleted": ("step", "completed"),
    "StepError": ("step", "failed"),
    "StepsExecutionStarted": ("steps", "started"),
    "StepsExecutionCompleted": ("steps", "completed"),
    "ParallelExecutionStarted": ("parallel", "started"),
    "ParallelExecutionCompleted": ("parallel", "completed"),
    "LoopExecutionStarted": ("loop", "started"),
    "LoopIterationStarted": ("loop", "started"),
    "LoopIterationCompleted": ("loop", "completed"),
    "LoopExecutionCompleted": ("loop", "completed"),
    "ConditionExecutionStarted": ("condition", "started"),
    "ConditionExecutionCompleted": ("condition", "completed"),
    "RouterExecutionStarted": ("router", "started"),
    "RouterExecutionCompleted": ("router", "completed"),
}
"""The kind and phase of each of Agno's step events; a pause is reported by the request to the person instead."""


@dataclass(slots=True)
class _Known:
    """A step that has started."""

    name: str
    path: list[str]
    kind: Kind
    place: str | None
    held: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # text, and Agno's id of its run
    has_ended: bool = False
    begun: int = 0  # number of nested steps that have started


class HeldText(str):
    """Text of one or several runs that was held back.

    Args:
        pieces: The text, piece by piece, each with Agno's id of its run.
    """

    __slots__ = ("runs",)
    runs: tuple[str, ...]

    def __new__(cls, pieces: Sequence[tuple[str, str]]) -> Self:
        """Join the pieces."""
        text = super().__new__(cls, "".join(each for each, _ in pieces))
        text.runs = tuple(dict.fromkeys(run_id for _, run_id in pieces))
        return text


Said = NewEvent | str
"""An event, or streamed text."""


class WorkflowSteps:
    """The steps of one workflow run, including those of nested workflows."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}  # by Agno's id of the step
        self._last: str | None = None  # the step that the last event reported as started or continued
        self._speaker: str | None = None
        self._waiting: dict[str, None] = {}  # steps whose text is held back, in the order of their first text

    def is_about_step(self, event: Any) -> bool:
        """Return whether an Agno event is about a step."""
        return event.event in _NAMES

    def translate(self, event: Any) -> Iterator[Said]:
        """Yield the task's event for a step event, and any text that is no longer held back."""
        kind, phase = _NAMES[event.event]
        step_id = event.step_id or f"{event.step_name} {event.step_index}"
        known = self._known.get(step_id)
        if known is None:
            known = self._known[step_id] = self._begun(event, kind)
        if phase == "started":
            self._last = step_id
        yield _event(known, phase, event)
        if phase != "started" and not event.event.startswith("LoopIteration"):
            known.has_ended = True
            yield from self._pass_on(step_id)

    def text(self, event: Any, text: str) -> Iterator[Said]:
        """Yield the text to pass on now, after an event that names its step if that differs from the last one."""
        step_id: str | None = getattr(event, "step_id", None)
        known = self._known.get(step_id or "")
        if step_id is None or known is None:
            yield text
        elif self._speaker in (None, step_id):
            self._speaker = step_id
            yield from self._speak(step_id, text)
        else:
            known.held.append((text, event.run_id))
            self._waiting[step_id] = None

    def rest(self) -> Iterator[Said]:
        """Yield the text that is still held back, if the run ended before its steps did."""
        for step_id in [*self._waiting]:
            yield from self._speak(step_id, HeldText(self._known[step_id].held))
        self._waiting.clear()

    def _begun(self, event: Any, kind: Kind) -> _Known:
        parent = self._known.get(event.parent_step_id or "")
        name = str(event.step_name or kind)
        if parent is None:
            return _Known(name, [name], kind, _place(event.step_index))
        parent.begun += 1
        return _Known(name, [*parent.path, name], kind, _place_within(parent, event))

    def _pass_on(self, ended: str) -> Iterator[Said]:
        """Pass on text held back by other steps after the streaming step has ended, up to the first unfinished one."""
        if self._speaker != ended:
            return
        self._speaker = None
        for step_id in [*self._waiting]:
            del self._waiting[step_id]
            known = self._known[step_id]
            held, known.held = known.held, []
            yield from self._speak(step_id, HeldText(held))
            if not known.has_ended:
                self._speaker = step_id
                return

    def _speak(self, step_id: str, text: str) -> Iterator[Said]:
        if step_id != self._last:
            self._last = step_id
            yield _event(self._known[step_id], "continued", None)
        yield text


def _event(known: _Known, phase: Phase, event: Any) -> NewEvent:
    step = WorkflowStep(
        name=known.name,
        path=known.path,
        place=known.place,
        kind=known.kind,
        phase=phase,
        iteration=getattr(event, "iteration", None),
        chosen=_chosen(event),
        error=getattr(event, "error", None),
    )
    return NewEvent(type=TaskUpdateEventType.Step, data=step.model_dump(exclude_none=True))


def _chosen(event: Any) -> list[str] | None:
    branch: str | None = getattr(event, "branch", None)
    selected: Any = getattr(event, "selected_steps", None)
    return [branch] if branch else [str(plain(each)) for each in selected] if selected else None


def _place_within(parent: _Known, event: Any) -> str | None:
    place = _place(event.step_index)
    if parent.place is None:
        return place
    if event.nested_depth and place is not None and "." not in place:
        return f"{parent.place}.{place}"  # a nested workflow numbers its steps from the start
    if place is None or place == parent.place:  # a router reports its own position for the steps that it chooses
        return f"{parent.place}.{parent.begun}"
    return place


def _place(index: Any) -> str | None:
    """Return a step's number counted from 1; Agno counts from 0, and numbers nested steps by a tuple."""
    numbers = index if isinstance(index, tuple) else (index,)
    counted = [str(each + 1) for each in numbers if isinstance(each, int)]
    return ".".join(counted) or None
