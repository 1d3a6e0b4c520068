"""Requests to Agno: a run, and the repair of an answer that does not have the requested form."""

from typing import Any

from worker.agents.answers.results import Wanted, repair_request
from worker.agents.history import session_of
from worker.agents.overrides import workflow_input
from worker.agents.runs.material import Material
from worker.words.tasks import TaskRecord


def request_of(agent: Any, kind: str, record: TaskRecord, material: Material, want: Wanted) -> dict[str, Any]:
    """Return the arguments of ``arun``, except for the run's id."""
    user = record.input.user
    request: dict[str, Any] = {
        "input": material.input,
        "session_id": session_of(agent, record),
        "user_id": user.id if user else None,
        **{name: list(media) or None for name, media in material.media.items()},
        **material.options,
    }
    if kind == "workflow":
        request["input"] = workflow_input(material.input, record, want)
    else:
        request["yield_run_output"] = True
    return request


def repair_of(message: str, answer: str, problem: str) -> list[Any]:
    """Return the messages that ask a model for a repair: the original request, its answer, and the problem."""
    from agno.models.message import Message

    return [
        Message(role="user", content=message),
        Message(role="assistant", content=answer),
        Message(role="user", content=repair_request(problem)),
    ]
