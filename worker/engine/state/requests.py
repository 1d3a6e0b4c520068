"""Input requests of paused tasks: recorded when a run pauses, and answered by a person. No I/O.

The answers stay in the task's ``state`` until it runs from the start again: repeating an answer changes nothing, and
giving a different one is refused. A row of the journal carries each answer to the run that continues.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from worker.engine.state.rows import Effect, LoggedEvent, Row, log, note_error, put
from worker.engine.state.transitions import end, requeue, requeue_skipped
from worker.words.error_codes import ErrorCode
from worker.words.errors import Conflict
from worker.words.outside_rows import answer_row
from worker.words.requests import (
    REQUESTS,
    InputAnswer,
    InputRequest,
    ReceivedAnswer,
    check_answer,
    matched,
    no_request,
    open_requests,
    requests_of,
)
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.texts import clean, plain

Status = AgentExecutionStatus

ANSWERS = "_answers"
"""Key in a task's ``state``: the answers, by the request's id."""

ASKED = "_asked"
"""Key in a task's ``state``: the requests that it last waited for, answered ones with the time of their answers."""

ANSWERED = "_answered"
"""Key in the event of a task made pending again: present if a person's answer caused that, not a retry."""

ANSWER_WITHIN, UNANSWERED, FAIL = "answer_within", "unanswered", "fail"
"""In ``hitl_request``: seconds until a request expires, the policy for unanswered requests, and its one value."""

NEVER = timedelta(days=36500)  # a paused task without a deadline continues only when it is answered


def pause(row: Row, changes: Mapping[str, Any], attempt: int | None, origin: str | None = None) -> Effect:
    """Pause a task: store its requests, and log those that were not asked before.

    Args:
        row: The task.
        changes: Fields saved with the pause, including ``hitl_request``.
        attempt: The attempt that pauses the task, or None.
        origin: The delivery handler that saves, if any.
    """
    known = {each.id: each for each in requests_of(row.state.get(ASKED))}
    changes = {name: value for name, value in changes.items() if name != "status"}
    found = _timed(requests_of(changes.get("hitl_request")), known, row, changes.get("hitl_request") or {})
    if found:
        listed = [each.model_dump(mode="json", exclude_none=True) for each in found]
        changes["hitl_request"] = {**changes["hitl_request"], REQUESTS: listed}
    delta = put(row, changes)
    fresh = [each for each in found if each.id not in known]
    events = [_event(row, TaskUpdateEventType.InputRequested, each, attempt) for each in fresh]
    row.set(status=Status.Paused, worker_id=None, paused_at=row.now, available_at=_due(found, row.now))
    if found:
        row.set(state={**row.state, ASKED: {REQUESTS: changes["hitl_request"][REQUESTS]}})
    events.append(log(row, TaskUpdateEventType.TaskUpdated, {**delta, "status": Status.Paused}, attempt, origin))
    return Effect(events=events)


def _timed(
    requests: Sequence[InputRequest], known: Mapping[str, InputRequest], row: Row, wanted: Mapping[str, Any]
) -> list[InputRequest]:
    """Set when each request was asked and until when it is open; a repeated request keeps its times."""
    within = wanted.get(ANSWER_WITHIN)
    seconds = float(within) if isinstance(within, int | float) and not isinstance(within, bool) else None
    timed: list[InputRequest] = []
    for each in requests:
        before = known.get(each.id)
        asked_at = (before.asked_at if before is not None else None) or row.now
        until = each.answer_by or (None if seconds is None else asked_at + timedelta(seconds=seconds))
        until = before.answer_by if before is not None else until  # a repeated request gets no new deadline
        timed.append(each.model_copy(update={"asked_at": asked_at, "answer_by": until, "answered_at": None}))
    return timed


def _due(requests: Sequence[InputRequest], now: datetime) -> datetime:
    return min((each.answer_by for each in requests if each.answer_by is not None), default=now + NEVER)


@dataclass(frozen=True, slots=True)
class AnswerRequests:
    """Answers to the requests of a paused task.

    Args:
        answers: The answers, whose values fit the requests' schemas.
        by: Who answers.
    """

    organization_id: str
    task_id: str
    answers: Sequence[InputAnswer]
    by: str | None = None
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Store the answers, and queue the task again once no request is open.

        Raises:
            Conflict: The task waits for nothing, or a request already has another answer.
            NotFound: The task has no open request with that id.
            ValidationError: An answer is not of the requested kind.
        """
        waits = open_requests(row.state.get("hitl_request")) if row.status == Status.Paused else []
        given: dict[str, Any] = row.state.get(ANSWERS) or {}
        fresh: list[tuple[InputRequest, InputAnswer]] = []
        for request_id, answer in matched(self.answers, waits or requests_of(row.state.get(ASKED))).items():
            request = next((each for each in waits if each.id == request_id), None)
            if request is not None:
                check_answer(request, answer)
                fresh.append((request, answer))
            elif request_id not in given:
                raise no_request(request_id, waits)
            elif given[request_id] != plain(answer.stored()):
                raise Conflict(f"Request {request_id!r} of task {row.id!r} has already been answered differently.")
        return _answered(row, fresh, clean(self.by)) if fresh else Effect()


@dataclass(frozen=True, slots=True)
class ExpireRequests:
    """The deadline of a paused task's unanswered requests."""

    organization_id: str
    task_id: str
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Reject overdue requests or fail the task, as its handler chose; do nothing if none is overdue."""
        if row.status != Status.Paused:
            return Effect()
        wanted: dict[str, Any] = row.state.get("hitl_request") or {}
        waits = open_requests(wanted)
        late = [each for each in waits if each.answer_by is not None and each.answer_by <= row.now]
        if not late:
            row.set(available_at=_due(waits, row.now))
            return Effect()
        if wanted.get(UNANSWERED) == FAIL:
            what = late[0].question or late[0].tool_name or late[0].kind
            reason = f"Nobody answered within {_hours(late[0])}: {what}"
            row.set(result=reason)
            return Effect(
                events=[end(row, Status.Failed, {"result": reason, **note_error(row, ErrorCode.Unanswered)}, None)]
            )
        said = InputAnswer(approve=False, note=f"Nobody answered within {_hours(late[0])}.", unanswered=True)
        return _answered(row, [(each, said) for each in late], None)


def _hours(request: InputRequest) -> str:
    if request.asked_at is None or request.answer_by is None:
        return "the time limit"
    seconds = (request.answer_by - request.asked_at).total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _answered(row: Row, fresh: Sequence[tuple[InputRequest, InputAnswer]], by: str | None) -> Effect:
    said = {request.id: plain(answer.stored()) for request, answer in fresh}
    events = [_received(row, request, answer, by) for request, answer in fresh]
    hitl_request: dict[str, Any] = row.state["hitl_request"]
    left = [
        each.model_copy(update={"answered_at": row.now}) if each.id in said else each
        for each in requests_of(hitl_request)
    ]
    listed = [each.model_dump(mode="json", exclude_none=True) for each in left]
    state = {**row.state, ANSWERS: {**(row.state.get(ANSWERS) or {}), **said}, ASKED: {REQUESTS: listed}}
    row.set(state=state)
    waits = [each for each in left if each.answered_at is None]
    if waits:
        delta = put(row, {"hitl_request": {**hitl_request, REQUESTS: listed}})
        row.set(available_at=_due(waits, row.now))
    else:
        delta = put(row, {"hitl_request": None})
        delta |= {**requeue(row, paused_at=None), ANSWERED: True, **requeue_skipped(row)}
    events.append(log(row, TaskUpdateEventType.TaskUpdated, delta))
    rows = [answer_row(request_id, each) for request_id, each in said.items()]
    return Effect(events=events, journal=rows, wakes_work=not waits)


def _received(row: Row, request: InputRequest, answer: InputAnswer, by: str | None) -> LoggedEvent:
    received = ReceivedAnswer(
        **answer.model_dump(exclude={"id"}),
        id=request.id,
        kind=request.kind,
        tool_name=request.tool_name,
        answered_by=by,
    )
    return _event(row, TaskUpdateEventType.InputReceived, received, None)


def _event(
    row: Row, kind: TaskUpdateEventType, what: InputRequest | ReceivedAnswer, attempt: int | None
) -> LoggedEvent:
    return log(row, kind, plain(what.model_dump(mode="json", exclude_none=True)), attempt)
