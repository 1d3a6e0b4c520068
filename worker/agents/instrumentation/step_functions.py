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
from worker.agents.instrumentation import states
from worker.agents.instrumentation.frames import Frame
from worker.agents.translation.values import is_json, packed, unpacked
from worker.words.digests import digest

MEDIA = ("images", "videos", "audio", "files")
LEFT = ("content", "stop", "error", *MEDIA)
"""Fields of a step's output that later steps use."""


def kept(frame: Frame, step: Any, options: dict[str, Any]) -> Any:
    """Return a step whose function is answered from the journal, if an earlier attempt has stored its result.

    Args:
        frame: The step's frame.
        step: Agno's step, with its function in async form.
        options: The options with which Agno executes the step.

    Returns:
        A copy; the step itself if it is not a function, or is streamed.
    """
    function, context = step.active_executor, options.get("run_context")
    is_function = step.executor_type == "function" and inspect.iscoroutinefunction(function)
    if not (is_function and context is not None and frame.run.journal.is_kept):
        return step

    @functools.wraps(function)
    async def call(step_input: Any, **given: Any) -> Any:
        match = _match(step_input)
        entry = frame.run.journal.take(frame.scope, "step", "", match)
        if entry is not None:
            for each in frame.scope.children:  # the step's own rows may belong to another try
                frame.run.pass_over(each, frame.run.count)
            return _restored(entry.value, context.session_state)
        before, found = states.copied(context.session_state), states.found(context.session_state)
        result = await function(step_input, **given)
        value = _left(result)
        if value is not None and not frame.is_paused:
            state = states.copied(context.session_state)
            if state != before:
                value |= {"state": state, "same": states.kept(context.session_state, found)}
            number = frame.run.journal.next_number()
            what = f"The result of the step {step.name}"
            write = partial(frame.run.written, frame.scope, "step", "", value, match=match, what=what, number=number)
            frame.run.keep_back(write)
        return result

    own = copy(step)
    own.active_executor = call
    return own


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
        states.restore(state, value["state"], value["same"])
    return StepOutput(**{name: unpacked(value[name]) for name in LEFT if name in value})
