"""What paused tasks ask of people, and the answers, over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field, model_validator
from starlette.responses import Response

from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import Admitted, answers, base_of, service_of, task_answer
from worker.wire.bodies import Body, Storable
from worker.words.messages import NewMessage
from worker.words.requests import InputAnswer, OpenRequest, RequestQuery
from worker.words.signals import NewSignal
from worker.words.tasks import TaskRecord

router = APIRouter(tags=["tasks"], route_class=JsonRoute)

ANSWERS = 100  # at once


class AnswerBody(Body):
    """Answers to what a task asks: a list, or the fields of a single one."""

    answers: list[InputAnswer] = Field(min_length=1, max_length=ANSWERS)

    @model_validator(mode="before")
    @classmethod
    def _single(cls, value: Any) -> Any:
        if isinstance(value, dict) and "answers" not in value and value:
            return {"answers": [value]}
        return value


@router.post("/agent-execution/{task_id}/answer", response_model=TaskRecord, responses=documented(404, 409))
async def answer(request: Request, access: Admitted, task_id: str, body: AnswerBody) -> Response:
    """Answer what a paused task asks; once nothing is open, it goes on. The same answer again changes nothing.

    ``{"answers": [{"id", "approve", "value", "note", "arguments"}]}``, or one answer's fields by themselves. The id may
    be left out where the task asks for one thing only.
    """
    return task_answer(request, await access.organization.tasks.answer(task_id, body.answers))


class SignalBody(Storable, NewSignal):
    """A signal."""


@router.post("/agent-execution/{task_id}/signals", response_model=TaskRecord, responses=documented(404, 409))
async def signal(request: Request, access: Admitted, task_id: str, body: SignalBody) -> Response:
    """Tell a task something by name, ``{"name", "data"}``: it is kept until the task ends; one that waits goes on."""
    return task_answer(request, await access.organization.tasks.signal(task_id, body))


class MessageBody(Storable, NewMessage):
    """A message."""


@router.post("/agent-execution/{task_id}/messages", response_model=TaskRecord, responses=documented(404, 409))
async def send(request: Request, access: Admitted, task_id: str, body: MessageBody) -> Response:
    """Say something to a task's agent, ``{"text"}``: it reads that before its next model call."""
    return task_answer(request, await access.organization.tasks.send(task_id, body))


@router.post("/agent-execution/{task_id}/skip", response_model=TaskRecord, responses=documented(404, 409))
async def skip(request: Request, access: Admitted, task_id: str) -> Response:
    """Have the others of its conversation go on without a task that waits; it goes on when it can, as the last."""
    return task_answer(request, await access.organization.tasks.skip(task_id))


@router.get("/requests", response_model=list[OpenRequest], responses=documented())
async def requests(
    request: Request,
    access: Admitted,
    agent_id: Annotated[str | None, Query(description="only this agent's tasks")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many tasks at the most")] = 100,
    after: Annotated[str | None, Query(description="the id of the last task of the page before")] = None,
) -> Response:
    """List what waits for a person, the longest waiting first; ``answer_url`` for keys that may answer."""
    query = RequestQuery(agent_id=agent_id or None, limit=limit, after=after or None)
    links, base = service_of(request).answer_links, base_of(request)
    found = await access.organization.tasks.requests(access.within(query))
    return answers(list[OpenRequest], [links.told(each, access, base) for each in found])
