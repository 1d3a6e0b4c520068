"""What a run asks of a person, and what the person answers.

A request's id is a digest of what is asked and where: code that asks something else asks under another id, so that no
answer is ever given to a question which nobody has seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, Field

from worker.words.conversations import ConversationQuery
from worker.words.digests import digest
from worker.words.errors import Conflict, NotFound, ValidationError
from worker.words.records import Words
from worker.words.task_lists import TaskQuery
from worker.words.texts import plain

REQUESTS = "requests"
"""Key in a task's ``hitl_request``: the list of what it waits for."""

NOTE_CHARACTERS = 10_000  # of a note, which a model reads
ID_CHARACTERS = 16  # 64 bits; what is told apart are the requests of one task


class RequestKind(StrEnum):
    """What is asked for. All but ``Question`` are Agno's own pauses."""

    Confirmation = "confirmation"  # may this tool be called, or this step be done?
    UserInput = "user_input"  # a form
    UserFeedback = "user_feedback"  # questions with choices
    ExternalExecution = "external_execution"  # the result of a tool that somebody else calls
    OutputReview = "output_review"  # is what a step has made good enough?
    RouteSelection = "route_selection"  # which of a workflow's routes is taken?
    Question = "question"  # a handler's own, see ``context.ask``


APPROVED = frozenset({RequestKind.Confirmation, RequestKind.OutputReview})
"""Kinds that are answered by yes or no, as is a question without schema and choices; the others by a value."""

Unanswered = Literal["reject", "fail"]
"""What becomes of a task whose request nobody answers in time: the answer is no, or the task fails."""


class InputRequest(Words):
    """One thing that a paused task waits for.

    Args:
        id: Names it among those of its task, and is bound to what is asked.
        kind: What is asked for, see ``RequestKind``.
        agent: Who asks: the name or id of the agent or step.
        tool_name: The tool that waits.
        arguments: What the tool would be called with.
        question: In words.
        value_schema: JSON Schema of the answer's ``value``; ``schema`` in JSON. None: any value will do.
        choices: What may be chosen from.
        several: Whether several of them may be chosen.
        asked_at: When it was asked first.
        answer_by: When the task goes on without an answer.
        answered_at: When it was answered, where others of its task are still open.
        answer_url: A page where whoever has this link may answer it, once and without a key; it is made whenever the
            request is read by somebody who may answer, where the server's address is known (``WORKER_PUBLIC_URL``).
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
    def asked(cls, place: Sequence[Any], kind: RequestKind, **what: Any) -> "InputRequest":
        """Make one.

        Args:
            place: Where it is asked, as JSON has it: the same in every attempt.
            kind: What is asked for.
            what: The other fields.
        """
        fields = {name: plain(value) for name, value in what.items() if value is not None}
        made = cls.model_validate({"id": "", "kind": kind, **fields})
        unbound = {"id", "asked_at", "answer_by", "answered_at", "answer_url"}
        unbound |= {"question"} if made.tool_name else set()
        asked = made.model_dump(mode="json", exclude=unbound)  # a tool's call is approved, not how it is described
        made.id = digest([*place, asked])[:ID_CHARACTERS]
        return made

    @property
    def is_approved(self) -> bool:
        """Whether it is answered by yes or no."""
        is_plain = self.kind is RequestKind.Question and self.value_schema is None and self.choices is None
        return is_plain or self.kind in APPROVED


class InputAnswer(Words):
    """What a person answers.

    Args:
        id: Of the request; it may be left out where there is only one.
        approve: Yes or no; no declines what asks for a value.
        value: What was asked for: the form's fields, the choices, the tool's result, the edited output.
        note: To the agent.
        arguments: What the tool is to be called with instead.
        unanswered: The platform's own word: nobody has answered in time.
    """

    id: str | None = None
    approve: bool | None = None
    value: Any = None
    note: str | None = Field(default=None, max_length=NOTE_CHARACTERS)
    arguments: dict[str, Any] | None = None
    unanswered: bool | None = None

    def said(self) -> dict[str, Any]:
        """What was answered, as it is kept."""
        return self.model_dump(mode="json", exclude={"id"}, exclude_none=True)


class ReceivedAnswer(InputAnswer):
    """An answer as the event ``input_received`` tells it.

    Args:
        kind: What had been asked for.
        tool_name: The tool that waited.
        answered_by: Who answered: a key's name, a user's; none where nobody says.
    """

    kind: RequestKind
    tool_name: str | None = None
    answered_by: str | None = None


class OpenRequest(InputRequest):
    """A request as an inbox shows it: with the task that waits.

    Args:
        task_id: The task.
        agent_id: The agent that the task is for.
        title: The task's.
        text: How the task's input begins.
    """

    task_id: str
    agent_id: str
    title: str | None = None
    text: str | None = None


class RequestQuery(Words):
    """Which open requests to list, the longest waiting first.

    Args:
        agent_id: Only this agent's tasks'; None means any agent's.
        agents: Only these agents'; None means any agent's.
        limit: How many tasks at the most, 1 to 1,000.
        after: Page on: the id of the last task of the page before.
    """

    agent_id: str | None = None
    agents: tuple[str, ...] | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    after: str | None = None

    @property
    def wanted(self) -> tuple[str, ...] | None:
        """The agents that both filters leave; None means all."""
        if self.agent_id is None:
            return self.agents
        return (self.agent_id,) if self.agents is None or self.agent_id in self.agents else ()


OfAgents = TypeVar("OfAgents", TaskQuery, RequestQuery, ConversationQuery)
"""What is asked of some agents' tasks."""


def requests_of(hitl_request: Mapping[str, Any] | None) -> list[InputRequest]:
    """What a task waits for, answered ones included; nothing where its ``hitl_request`` has another form."""
    listed = (hitl_request or {}).get(REQUESTS)
    if not isinstance(listed, list):
        return []
    try:
        return [InputRequest.model_validate(each) for each in listed]
    except ValueError:
        return []


def open_requests(hitl_request: Mapping[str, Any] | None) -> list[InputRequest]:
    """What a task still waits for."""
    return [each for each in requests_of(hitl_request) if each.answered_at is None]


def matched(answers: Iterable[InputAnswer], requests: Sequence[InputRequest]) -> dict[str, InputAnswer]:
    """Find which request each answer is for.

    Args:
        answers: What was given.
        requests: What the task waits for, or has waited for last; without an id the only one that is open is meant,
            or the only one there is.

    Returns:
        The answers by the requests' ids.

    Raises:
        ValidationError: One names no request, and there are several; or two name the same one.
        Conflict: There is nothing to answer.
    """
    still_open = [each for each in requests if each.answered_at is None]
    found: dict[str, InputAnswer] = {}
    for answer in answers:
        if not requests and answer.id is None:
            raise Conflict("The task waits for no answer.")
        only = still_open if len(still_open) == 1 else requests
        if answer.id is None and len(only) != 1:
            known = ", ".join(each.id for each in still_open or requests)
            raise ValidationError(f"The task waits for several answers: name the id of one of {known}.", field="id")
        request_id = answer.id if answer.id is not None else only[0].id
        if request_id in found:
            raise ValidationError(f"Request {request_id!r} is answered twice.", field="id")
        found[request_id] = answer
    if not found:
        raise ValidationError("There is no answer in it.", field="answers")
    return found


def check_answer(request: InputRequest, answer: InputAnswer) -> None:
    """See whether an answer is of the kind that was asked for; whether its value fits the schema is another check.

    Raises:
        ValidationError: It is not, and says what is wanted.
    """
    if answer.unanswered is not None:
        raise ValidationError("That nobody has answered is not for anybody to say.", field="unanswered")
    if request.is_approved:
        if answer.approve is None:
            raise ValidationError(f"A {request.kind} is answered with approve: true or false.", field="approve")
    elif answer.approve is False:
        if answer.value is not None:
            raise ValidationError("approve: false declines; it has no value.", field="value")
    elif answer.value is None:
        raise ValidationError(f"A {request.kind} is answered with a value.", field="value")
    if answer.value is not None and request.is_approved and request.kind is not RequestKind.OutputReview:
        raise ValidationError(f"A {request.kind} has no value; it is answered by yes or no.", field="value")
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
        raise ValidationError("Arguments can be changed only where a tool is approved.", field="arguments")


def no_request(request_id: str, still_open: Sequence[InputRequest]) -> NotFound | Conflict:
    """The error for an answer to what was not asked."""
    if not still_open:
        return Conflict("The task waits for no answer.")
    known = ", ".join(each.id for each in still_open)
    return NotFound(f"The task asks for nothing under the id {request_id!r}; it waits for {known}.")
