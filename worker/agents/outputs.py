"""Return values of handlers that run agents themselves: Agno's output, or its text, classified by how the run ended."""

import sys
from contextlib import suppress
from typing import Any

from worker.agents.errors import AgentFailed
from worker.agents.instrumentation import installed
from worker.agents.runs.endings import Ending, check_steps, hitl_request
from worker.current import Run
from worker.words.bare_runs import BareRuns
from worker.words.errors import ConfigurationError
from worker.words.events import NewEvent, note_event

ERROR_CHARACTERS = 1_000  # of an error's text in a note; the provider may have sent a whole page


def of_bare(value: Any, run: Run) -> Ending:
    """Classify a handler's return value.

    Args:
        value: An Agno output, a text that may come from one, or anything else, which is passed through.
        run: The attempt, which knows how the runs made by its code ended.

    Raises:
        AgentFailed: The value comes from a run that failed or was cancelled.
    """
    if is_output(value):
        return _of_output(value, run.bare)
    known = run.bare.of_result(value) if isinstance(value, str | None) and run.bare.ended else None
    if known is None:
        return Ending(value)
    if known.output is not None:
        return Ending(paused=hitl_request(known.output))
    raise AgentFailed(known.text, known.error)


async def watch_bare_runs() -> None:
    """Start watching the runs that handlers make themselves, once Agno is imported.

    A version of Agno that cannot be watched does not fail handlers that never asked for it.
    """
    if "agno.agent.agent" in sys.modules:
        with suppress(ConfigurationError):
            await installed()


def failed_run(name: str, text: str) -> NewEvent:
    """Return the note that a run made outside ``run_agent`` ended in an error."""
    said = f"A run of {name} outside run_agent ended in an error: {text[:ERROR_CHARACTERS]}"
    return note_event(said, "agent")


def is_output(value: Any) -> bool:
    """Return whether a value is Agno's RunOutput, TeamRunOutput or WorkflowRunOutput."""
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
