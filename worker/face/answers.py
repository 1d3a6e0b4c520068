"""What a person answers, as user code says it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import pydantic

from worker.face.changes import as_json, as_refusal
from worker.words.errors import ValidationError
from worker.words.messages import NewMessage
from worker.words.requests import InputAnswer, open_requests
from worker.words.signals import NewSignal

Given = InputAnswer | Mapping[str, Any]


class Said(TypedDict, total=False):
    """One answer.

    ``approve``: yes or no; no declines what asks for a value. ``value``: what was asked for: the form's fields, the
    choice, the tool's result, the edited output. ``note``: to the agent. ``arguments``: what the tool is to be called
    with instead. ``answers``: instead of all these, several answers at once, each with the ``id`` of its request.
    """

    approve: bool | None
    value: Any
    note: str | None
    arguments: dict[str, Any] | None
    answers: Sequence[Given] | None


def answers_of(request_id: str | None, said: Said) -> list[InputAnswer]:
    """The answers, checked as far as that can be done here.

    Raises:
        ValidationError: One has not the form of an answer.
    """
    fields = dict(said)
    listed = fields.pop("answers", None)
    if listed is None:
        return [_answer({"id": request_id, **fields})]
    if request_id is not None or any(value is not None for value in fields.values()):
        raise ValidationError("Give one answer, or a list of them.", field="answers")
    return [_answer(each) for each in said.get("answers") or ()]


def _answer(given: Given) -> InputAnswer:
    try:
        return given if isinstance(given, InputAnswer) else InputAnswer.model_validate(given)
    except pydantic.ValidationError as error:
        raise as_refusal(error) from None


def message_of(text: str) -> NewMessage:
    """A message to a task. Raises: ValidationError."""
    try:
        return NewMessage(text=text)
    except pydantic.ValidationError as error:
        raise as_refusal(error) from None


def named(answers: Sequence[InputAnswer], hitl_request: Mapping[str, Any] | None) -> list[InputAnswer]:
    """Say which request an answer without an id is for: the only one that the caller has seen.

    Sent like that it may be repeated: it never answers what is asked later.

    Args:
        answers: What was given.
        hitl_request: The task's, as the caller has it.
    """
    waits = open_requests(hitl_request)
    if len(waits) != 1:
        return list(answers)
    return [each if each.id is not None else each.model_copy(update={"id": waits[0].id}) for each in answers]


def signal_of(name: str, data: Any) -> NewSignal:
    """Put together a signal. Raises: ValidationError."""
    try:
        return NewSignal(name=name, data=json.loads(as_json(data, "data")))
    except pydantic.ValidationError as error:
        raise as_refusal(error) from None
