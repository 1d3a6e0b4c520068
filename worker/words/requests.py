"""Requests for human input, and the answers to them.

A request's id is a digest of the question and its place: code that asks something else uses another id, so no answer is
ever applied to a question that nobody has seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import ConfigDict, Field

from worker.words.digests import digest
from worker.words.errors import Conflict, NotFound, ValidationError
from worker.words.records import Words
from worker.words.task_lists import AgentsQuery
from worker.words.texts import plain

REQUESTS = "requests"
"""The key of the list of requests in a task's ``hitl_request``."""

NOTE_CHARACTERS = 10_000  # of an answer's note, which a model reads
ID_CHARACTERS = 16  # 64 bits, enough to distinguish the requests of one task


class RequestKind(StrEnum):
    """The kind of a request. All but ``Question`` correspond to Agno's own pauses."""

    Confirmation = "confirmation"  # may this tool be called, or this step be done?
    UserInput = "user_input"  # a form
    UserFeedback = "user_feedback"  # questions with choices
    ExternalExecution = "external_execution"  # the result of a tool that is called elsewhere
    OutputReview = "output_review"  # is the output of a step good enough?
    RouteSelection = "route_selection"  # which of a workflow's routes is taken?
    Question = "question"  # asked by a handler, see ``context.ask``


APPROVED = frozenset({RequestKind.Confirmation, RequestKind.OutputReview})
"""Kinds answered by yes or no. So is a question without schema and choices; all others are answered by a value."""

Unanswered = Literal["reject", "fail"]
"""The effect of a request that is not answered in time: it counts as rejected, or the task fails."""


class InputRequest(Words):
    """One request that a paused task waits for.

    Args:
        id: The id, unique within the task and derived from the question.
        kind: The kind of answer expected, see ``RequestKind``.
        agent: The name or id of the agent or step that asks.
        tool_name: The tool that waits.
        arguments: The arguments that the tool would be called with.
        question: The question in words.
        value_schema: The JSON Schema of the answer's ``value``; ``schema`` in JSON. None accepts any value.
        choices: The possible choices.
        several: Whether more than one choice may be selected.
        asked_at: When the request was first made.
        answer_by: When the task continues without an answer.
        answered_at: When it was answered, while other requests of the task are still open.
        answer_url: A page where anyone with this link may answer, once and without a key. A fresh link is made whenever
            a reader who may answer reads the request, if the server's address is set (``WORKER_PUBLIC_URL``).
    """

    model_config = ConfigDict(serialize_by_alias=True)

    id: str
    kind: RequestKind
    agent: str | None = None
    tool_name: str | None = None
    arguments: dict[str, Any] | None = None
    question: str | None = None
    value_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    choices: list[str] | None = None
    several: bool = False
    asked_at: datetime | None = None
    answer_by: datetime | None = None
    answered_at: datetime | None = None
    answer_url: str | None = None

    @classmethod
    def create(cls, place: Sequence[Any], kind: RequestKind, **what: Any) -> "InputRequest":
        """Create a request and derive its id.

        Args:
            place: The place in the run, as JSON values that are the same in every attempt.
            kind: The kind of answer expected.
            what: The other fields.
        """
        fields = {name: plain(value) for name, value in what.items() if value is not None}
        made = cls.model_validate({"id": "", "kind": kind, **fields})
        unbound = {"id", "asked_at", "answer_by", "answered_at", "answer_url"}
        unbound |= {"question"} if made.tool_name else set()
        asked = made.model_dump(mode="json", exclude=unbound)  # approval covers the tool call, not its description
        made.id = digest([*place, asked])[:ID_CHARACTERS]
        return made

    @property
    def is_approved(self) -> bool:
        """Whether the request is answered by yes or no."""
        is_plain = self.kind is RequestKind.Question and self.value_schema is None and self.choices is None
        return is_plain or self.kind in APPROVED


class InputAnswer(Words):
    """A person's answer to a request.

    Args:
        id: The request's id; optional if there is only one request.
        approve: Yes or no; no also declines a request for a value.
        value: The value asked for: the form's fields, the choices, the tool's result, the edited output.
        note: A note for the agent.
        arguments: Arguments to call the tool with in place of the original ones.
        unanswered: Set by the platform alone: nobody answered in time.
    """

    id: str | None = None
    approve: bool | None = None
    value: Any = None
    note: str | None = Field(default=None, max_length=NOTE_CHARACTERS)
    arguments: dict[str, Any] | None = None
    unanswered: bool | None = None

    def stored(self) -> dict[str, Any]:
        """Return the answer in its stored form."""
        return self.model_dump(mode="json", exclude={"id"}, exclude_none=True)


class ReceivedAnswer(InputAnswer):
    """An answer as sent in the event ``input_received``.

    Args:
        kind: The kind of the request.
        tool_name: The tool that waited.
        answered_by: The name of the key or user that answered; None if unknown.
    """

    kind: RequestKind
    tool_name: str | None = None
    answered_by: str | None = None


class OpenRequest(InputRequest):
    """A request as an inbox shows it, with its task.

    Args:
        task_id: The task.
        agent_id: The task's agent.
        title: The task's title.
        text: The beginning of the task's input.
    """

    task_id: str
    agent_id: str
    title: str | None = None
    text: str | None = None


class RequestQuery(AgentsQuery):
    """Filters and paging for open requests; those that have waited longest come first.

    Args:
        limit: The maximum number of tasks, 1 to 1,000.
        after: The id of the last task of the previous page.
    """

    limit: int = Field(default=100, ge=1, le=1000)
    after: str | None = None


def requests_of(hitl_request: Mapping[str, Any] | None) -> list[InputRequest]:
    """Return a task's requests, answered ones included; an empty list if its ``hitl_request`` has another form."""
    listed = (hitl_request or {}).get(REQUESTS)
    if not isinstance(listed, list):
        return []
    try:
        return [InputRequest.model_validate(each) for each in listed]
    except ValueError:
        return []


def open_requests(hitl_request: Mapping[str, Any] | None) -> list[InputRequest]:
    """Return the requests that a task still waits for."""
    return [each for each in requests_of(hitl_request) if each.answered_at is None]


def matched(answers: Iterable[InputAnswer], requests: Sequence[InputRequest]) -> dict[str, InputAnswer]:
    """Match answers to requests.

    Args:
        answers: The answers.
        requests: The requests that the task waits for, or last waited for. An answer without an id belongs to the only
            open request, or to the only request there is.

    Returns:
        The answers by request id.

    Raises:
        ValidationError: An answer has no id and there are several requests, two answers name the same request, or there
            is no answer.
        Conflict: There is nothing to answer.
    """
    still_open = [each for each in requests if each.answered_at is None]
    found: dict[str, InputAnswer] = {}
    for answer in answers:
        if not requests and answer.id is None:
            raise Conflict("The task has no open request.")
        only = still_open if len(still_open) == 1 else requests
        if answer.id is None and len(only) != 1:
            known = ", ".join(each.id for each in still_open or requests)
            raise ValidationError(f"The task has several open requests: set the id to one of {known}.", field="id")
        request_id = answer.id if answer.id is not None else only[0].id
        if request_id in found:
            raise ValidationError(f"Request {request_id!r} is answered twice.", field="id")
        found[request_id] = answer
    if not found:
        raise ValidationError("The request contains no answer.", field="answers")
    return found


def check_answer(request: InputRequest, answer: InputAnswer) -> None:
    """Check that an answer is of the kind asked for; whether its value fits the schema is checked separately.

    Raises:
        ValidationError: The answer is of the wrong kind; the error says which is wanted.
    """
    if answer.unanswered is not None:
        raise ValidationError(
            "`unanswered` is set by the platform only and cannot be part of an answer.", field="unanswered"
        )
    if request.is_approved:
        if answer.approve is None:
            raise ValidationError(
                f"A request of kind {request.kind} must be answered with approve: true or false.", field="approve"
            )
    elif answer.approve is False:
        if answer.value is not None:
            raise ValidationError("approve: false declines the request and cannot have a value.", field="value")
    elif answer.value is None:
        raise ValidationError(f"A request of kind {request.kind} must be answered with a value.", field="value")
    if answer.value is not None and request.is_approved and request.kind is not RequestKind.OutputReview:
        raise ValidationError(
            f"A request of kind {request.kind} cannot be answered with a value; set approve to true or false.",
            field="value",
        )
    if request.choices is not None and answer.value is not None:
        _check_choice(request, answer.value)
    _check_arguments(request, answer)


def _check_choice(request: InputRequest, value: Any) -> None:
    chosen = value if isinstance(value, list) else [value]
    known = request.choices or []
    if len(chosen) != 1 and not (request.several and chosen):
        raise ValidationError("Choose one.", field="value")
    unknown = next((each for each in chosen if each not in known), None)
    if unknown is not None:
        raise ValidationError(f"{unknown!r} is not among the choices: {', '.join(known)}.", field="value")


def _check_arguments(request: InputRequest, answer: InputAnswer) -> None:
    if answer.arguments is None:
        return
    if request.tool_name is None or request.kind is not RequestKind.Confirmation or answer.approve is not True:
        raise ValidationError("Arguments can only be changed when a tool call is approved.", field="arguments")


def no_request(request_id: str, still_open: Sequence[InputRequest]) -> NotFound | Conflict:
    """Return the error for an answer to an unknown request."""
    if not still_open:
        return Conflict("The task has no open request.")
    known = ", ".join(each.id for each in still_open)
    return NotFound(f"The task has no open request {request_id!r}; its open requests are {known}.")
