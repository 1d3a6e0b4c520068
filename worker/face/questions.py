"""A handler's questions to a person. Each is asked once; later attempts get its answer from the journal."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from worker.current import Run
from worker.face import bridge
from worker.face.journaling import journal_of, load
from worker.words.errors import ValidationError
from worker.words.requests import InputAnswer, InputRequest, RequestKind


def request_of(
    run: Run,
    question: str,
    schema: dict[str, Any] | None,
    choices: Sequence[str] | None,
    timeout: timedelta | float | None,
) -> InputRequest:
    """Build the request for a question at this position in the handler.

    Raises:
        ValidationError: The question, schema or choices are invalid.
        Conflict: The platform does not keep journals, so the handler could not continue after the answer.
    """
    if not isinstance(question, str) or not question.strip():
        raise ValidationError("The question must be a non-empty string.", field="question")
    if schema is not None and choices is not None:
        raise ValidationError("A question can have a schema or choices, but not both.", field="choices")
    if choices is not None and (not choices or not all(isinstance(each, str) for each in choices)):
        raise ValidationError("Choices must be a non-empty list of strings.", field="choices")
    journal = journal_of(run)
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    until = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
    place = ["handler", journal.step(f"ask {question}")]
    what = {"question": question, "value_schema": schema, "choices": choices, "agent": run.agent_id}
    return InputRequest.create(place, RequestKind.Question, **what, answer_by=until)


async def ask(run: Run, request: InputRequest) -> Any:
    """Return the person's answer, or end the attempt to wait for it.

    Raises:
        asyncio.CancelledError: There is no answer yet.
    """
    await bridge.across(partial(load, run))
    return _answer(run, request)


def _answer(run: Run, request: InputRequest) -> Any:
    answer = journal_of(run).answer(request.id)
    if answer is None:
        raise run.pause([request])
    return result_of(request, answer)


def result_of(request: InputRequest, answer: InputAnswer) -> Any:
    """Return the handler's result: True or False for an approval, else the value, which is None if the person declined.

    Args:
        request: The request.
        answer: The person's answer.
    """
    return bool(answer.approve) if request.is_approved else answer.value
