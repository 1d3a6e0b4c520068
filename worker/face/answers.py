"""Answers, messages and signals to tasks, built from the arguments of user code."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import pydantic

from worker.face.changes import as_json, as_validation_error
from worker.words.errors import ValidationError
from worker.words.messages import NewMessage
from worker.words.requests import InputAnswer, open_requests
from worker.words.signals import NewSignal

Given = InputAnswer | Mapping[str, Any]


class Said(TypedDict, total=False):
    """One answer.

    ``approve`` is yes or no; no declines a request for a value. ``value`` is the requested value: the form's fields,
    the choice, the tool's result or the edited output. ``note`` is a message to the agent. ``arguments`` replace those
    of the tool call. ``answers`` holds several answers instead, each with the ``id`` of its request.
    """

    approve: bool | None
    value: Any
    note: str | None
    arguments: dict[str, Any] | None
    answers: Sequence[Given] | None


def answers_of(request_id: str | None, said: Said) -> list[InputAnswer]:
    """Return the answers, validated as far as possible without the requests.

    Raises:
        ValidationError: An answer is malformed.
    """
    fields = dict(said)
    listed = fields.pop("answers", None)
    if listed is None:
        return [_answer({"id": request_id, **fields})]
    if request_id is not None or any(value is not None for value in fields.values()):
        raise ValidationError("Give an answer or a list of answers.", field="answers")
    return [_answer(each) for each in said.get("answers") or ()]


def _answer(given: Given) -> InputAnswer:
    try:
        return given if isinstance(given, InputAnswer) else InputAnswer.model_validate(given)
    except pydantic.ValidationError as error:
        raise as_validation_error(error) from None


def message_of(text: str) -> NewMessage:
    """Build a message to a task.

    Raises:
        ValidationError: The text is empty or too long.
    """
    try:
        return NewMessage(text=text)
    except pydantic.ValidationError as error:
        raise as_validation_error(error) from None


def named(answers: Sequence[InputAnswer], hitl_request: Mapping[str, Any] | None) -> list[InputAnswer]:
    """Assign an answer without an id to its request: the only open one that the caller has seen.

    With an id, the answer may be repeated safely: it cannot answer a later request.

    Args:
        answers: The given answers.
        hitl_request: The task's ``hitl_request``, as the caller has it.
    """
    waits = open_requests(hitl_request)
    if len(waits) != 1:
        return list(answers)
    return [each if each.id is not None else each.model_copy(update={"id": waits[0].id}) for each in answers]


def signal_of(name: str, data: Any) -> NewSignal:
    """Build a signal.

    Raises:
        ValidationError: The name is invalid, or the data is too large or cannot be put into JSON.
    """
    try:
        return NewSignal(name=name, data=json.loads(as_json(data, "data")))
    except pydantic.ValidationError as error:
        raise as_validation_error(error) from None
