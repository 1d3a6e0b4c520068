"""What a handler returns that runs agents by itself: Agno's output, or the text of one, classified by how it ended."""

import sys
from contextlib import suppress
from typing import Any

from worker.agents.errors import AgentFailed
from worker.agents.instrumentation import install
from worker.agents.runs.endings import Ending, check_steps, hitl_request
from worker.current import Run
from worker.words.bare_runs import BareRuns
from worker.words.errors import ConfigurationError
from worker.words.events import NewEvent, Note
from worker.words.statuses import TaskUpdateEventType

ERROR_CHARACTERS = 1_000  # of an error's text in a note; the provider may have sent a page


def of_bare(value: Any, run: Run) -> Ending:
    """Look at what a handler returned.

    Args:
        value: An output of Agno's, a text that may be one's, or anything else, which is passed on.
        run: The attempt, which knows how the runs ended that its code has made.

    Raises:
        AgentFailed: It is of a run that failed, or was cancelled.
    """
    if is_output(value):
        return _of_output(value, run.bare)
    known = run.bare.of_result(value) if isinstance(value, str) and run.bare.ended else None
    if known is None:
        return Ending(value)
    if known.output is not None:
        return Ending(paused=hitl_request(known.output))
    raise AgentFailed(known.text, known.error)


def watch_bare_runs() -> None:
    """Have the runs watched that handlers make by themselves, once there is an Agno to make them.

    A version of Agno that cannot be watched is no reason to fail a handler that does not ask for it.
    """
    if "agno.agent.agent" in sys.modules:
        with suppress(ConfigurationError):
            install()


def failed_run(name: str, text: str) -> NewEvent:
    """The event that says that a run which a handler has made by itself ended in an error."""
    said = f"A run of {name} outside run_agent ended in an error: {text[:ERROR_CHARACTERS]}"
    return NewEvent(type=TaskUpdateEventType.Note, data=Note(text=said, kind="agent").model_dump())


def is_output(value: Any) -> bool:
    """Whether something is Agno's RunOutput, TeamRunOutput or WorkflowRunOutput."""
    return type(value).__module__.startswith("agno.run.") and hasattr(value, "status") and hasattr(value, "content")


def _of_output(output: Any, bare: BareRuns) -> Ending:
    status = str(getattr(output.status, "value", output.status))
    text = str(output.content or "")
    if status == "ERROR":
        raise AgentFailed(text or "The run ended in an error.", bare.behind(text))
    if status == "CANCELLED":
        raise AgentFailed(f"The run was cancelled within Agno: {text or 'no reason given'}")
    if status == "PAUSED":
        return Ending(paused=hitl_request(output))
    check_steps(getattr(output, "step_results", None), frozenset(), bare.behind)
    return Ending(output.content)
