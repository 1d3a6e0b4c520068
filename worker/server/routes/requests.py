"""Routes of requests to people by paused tasks, their answers, and of signals and messages to tasks."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field, model_validator
from starlette.responses import Response

from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import Admitted, answers, base_of, service_of, task_answer
from worker.wire.bodies import OwnBody
from worker.words.messages import NewMessage
from worker.words.requests import InputAnswer, OpenRequest, RequestQuery
from worker.words.signals import NewSignal
from worker.words.tasks import TaskRecord

router = APIRouter(tags=["tasks"], route_class=JsonRoute)

ANSWERS = 100  # most answers in one request


class AnswerFields(InputAnswer, OwnBody):
    """One answer."""

    unanswered: None = None  # pyright: ignore[reportIncompatibleVariableOverride] - only the platform may set it


class AnswerBody(OwnBody):
    """Answers to a task's requests: a list, or the fields of a single answer."""

    answers: list[AnswerFields] = Field(min_length=1, max_length=ANSWERS)

    @model_validator(mode="before")
    @classmethod
    def _single(cls, value: Any) -> Any:
        if isinstance(value, dict) and "answers" not in value and value:
            return {"answers": [value]}
        return value


@router.post("/agent-execution/{task_id}/answer", response_model=TaskRecord, responses=documented(404, 409))
async def answer(request: Request, access: Admitted, task_id: str, body: AnswerBody) -> Response:
    """Answer the requests of a paused task, which resumes once none is open. Repeating an answer changes nothing.

    The body is ``{"answers": [{"id", "approve", "value", "note", "arguments"}]}``, or the fields of one answer. The id
    may be omitted if the task has only one request.
    """
    return task_answer(request, await access.organization.tasks.answer(task_id, body.answers))


class SignalBody(NewSignal, OwnBody):
    """A signal."""


@router.post("/agent-execution/{task_id}/signals", response_model=TaskRecord, responses=documented(404, 409))
async def signal(request: Request, access: Admitted, task_id: str, body: SignalBody) -> Response:
    """Send a named signal to a task: ``{"name", "data"}``. It is stored until the task ends, and ends its wait."""
    return task_answer(request, await access.organization.tasks.signal(task_id, body))


class MessageBody(NewMessage, OwnBody):
    """A message."""


@router.post("/agent-execution/{task_id}/messages", response_model=TaskRecord, responses=documented(404, 409))
async def send(request: Request, access: Admitted, task_id: str, body: MessageBody) -> Response:
    """Send a message to a task's agent: ``{"text"}``. The agent reads it before its next model call."""
    return task_answer(request, await access.organization.tasks.send(task_id, body))


@router.post("/agent-execution/{task_id}/skip", response_model=TaskRecord, responses=documented(404, 409))
async def skip(request: Request, access: Admitted, task_id: str) -> Response:
    """Let the other tasks of a conversation pass a waiting task, which then runs last, when it can."""
    return task_answer(request, await access.organization.tasks.skip(task_id))


@router.get("/requests", response_model=list[OpenRequest], responses=documented())
async def requests(
    request: Request,
    access: Admitted,
    agent_id: Annotated[str | None, Query(description="Only this agent's tasks.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="The most tasks to list.")] = 100,
    after: Annotated[
        str | None, Query(description="Continue after this id, the last one on the previous page.")
    ] = None,
) -> Response:
    """List the requests that wait for a person, longest wait first; keys that may answer also get an ``answer_url``."""
    query = RequestQuery(agent_id=agent_id or None, limit=limit, after=after or None)
    links, base = service_of(request).answer_links, base_of(request)
    found = await access.organization.tasks.requests(access.within(query))
    return answers(list[OpenRequest], [links.with_links(each, access, base) for each in found])
