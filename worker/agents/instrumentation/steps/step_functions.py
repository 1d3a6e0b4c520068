"""Functions among a workflow's steps: their results are journaled if the workflow waits for a person.

Agno continues after them once there is an answer. Called again, they might repeat their side effects and return
something new: the person's decision would then no longer match the request. Without a pause, functions run once in each
attempt.
"""

import functools
import inspect
from copy import copy
from functools import partial
from typing import Any

from worker.agents.event_buffer import plain
from worker.agents.instrumentation.frames import Frame
from worker.agents.instrumentation.tool_calls import session_state
from worker.agents.translation.values import is_json, packed, unpacked
from worker.words.digests import digest

MEDIA = ("images", "videos", "audio", "files")
LEFT = ("content", "stop", "error", *MEDIA)
"""Fields of a step's output that later steps use."""


def journaled(frame: Frame, step: Any, options: dict[str, Any]) -> Any:
    """Return a step whose function is answered from the journal, if an earlier attempt has stored its result.

    Args:
        frame: The step's frame.
        step: Agno's step; if it is executed on the event loop, with its function in async form.
        options: The options with which Agno executes the step.

    Returns:
        A copy; the step itself if it is not a function, or is streamed.
    """
    function, context = step.active_executor, options.get("run_context")
    is_function = step.executor_type == "function" and not inspect.isgeneratorfunction(function)
    if not is_function or inspect.isasyncgenfunction(function) or context is None or not frame.run.journal.is_kept:
        return step
    kept_one = partial(_JournaledFunction, frame, step.name, context)

    @functools.wraps(function)
    async def call(step_input: Any, **given: Any) -> Any:
        one = kept_one(step_input)
        return one.from_journal() or one.keep(await function(step_input, **given))

    @functools.wraps(function)
    def call_plain(step_input: Any, **given: Any) -> Any:
        one = frame.run.call(kept_one, step_input)
        return frame.run.call(one.from_journal) or frame.run.call(one.keep, function(step_input, **given))

    own = copy(step)
    own.active_executor = call if inspect.iscoroutinefunction(function) else call_plain
    return own


class _JournaledFunction:
    """One call of a step's function; ``context`` is Agno's ``RunContext``, which holds the session state."""

    def __init__(self, frame: Frame, name: str, context: Any, given: Any) -> None:
        self._frame = frame
        self._name = name
        self._context = context
        self._match = _match(given)
        self._before: Any = None
        self._found: Any = None

    def from_journal(self) -> Any:
        """Return the result from an earlier attempt, or None if the function has to be called."""
        run, scope, state = self._frame.run, self._frame.scope, self._context.session_state
        entry = run.journal.take(scope, "step", "", self._match)
        if entry is not None:
            for each in scope.children:  # the step's own rows may belong to another try
                run.pass_over(each, run.count)
            return _restored(entry.value, state)
        self._before, self._found = session_state.copied(state), session_state.found(state)
        return None

    def keep(self, result: Any) -> Any:
        """Store a result, and return it."""
        run, scope, value = self._frame.run, self._frame.scope, _left(result)
        if value is not None and not self._frame.is_paused:
            state = session_state.copied(self._context.session_state)
            if state != self._before:
                value |= {"state": state, "same": session_state.same_objects(self._context.session_state, self._found)}
            number, what = run.journal.next_number(), f"The result of the step {self._name}"
            run.store_if_paused(
                partial(run.written, scope, "step", "", value, match=self._match, what=what, number=number)
            )
        return result


def _match(given: Any) -> str:
    media = [plain(getattr(given, name, None)) for name in MEDIA]
    return digest([plain(given.input), plain(given.previous_step_content), plain(given.additional_data), media])


def _left(result: Any) -> dict[str, Any] | None:
    """Return the result of a function step as JSON; None if it has failed, or JSON cannot express it."""
    from agno.run.agent import RunOutput
    from agno.run.team import TeamRunOutput
    from agno.workflow.types import StepOutput

    if isinstance(result, StepOutput):
        said = {name: each for name in LEFT if (each := getattr(result, name)) is not None}
        is_whole = result.success and not result.steps
    else:
        said = {"content": result.content if isinstance(result, RunOutput | TeamRunOutput) else str(result)}
        is_whole = True
    return packed(said) if is_whole and is_json(said.get("content")) else None


def _restored(value: dict[str, Any], state: Any) -> Any:
    from agno.workflow.types import StepOutput

    if "state" in value and isinstance(state, dict):
        session_state.restore(state, value["state"], value["same"])
    return StepOutput(**{name: unpacked(value[name]) for name in LEFT if name in value})
