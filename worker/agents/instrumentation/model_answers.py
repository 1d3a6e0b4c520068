"""Answers of models, as the journal has them and as they are given again."""

from typing import Any

from worker.agents.instrumentation.frames import turn_in_hand
from worker.agents.translation.values import packed, said_by

MADE_ANEW = frozenset({"created_at", "event"})
"""Fields of an answer that are made again when it is given again."""


NOT_IN_PIECES = MADE_ANEW | {"tool_calls"}
"""And those that are put together from all pieces of a stream."""


class ParsedCall(dict[str, Any]):
    """A tool call as it stands in the conversation, where a provider's stream would have pieces of one."""


def parsed(model: Any, pieces: list[Any]) -> list[dict[str, Any]]:
    """Tool calls of a stream, as they stand in the conversation.

    Args:
        model: Whose pieces they are.
        pieces: Those of the journal are whole already.
    """
    whole_already = all(isinstance(each, ParsedCall) for each in pieces)
    calls = [dict(each) for each in pieces] if whole_already else model.parse_tool_calls(pieces)
    turn = turn_in_hand.get()
    if turn is not None:
        turn.conversation.give_ids(calls, turn.position)
    return calls


def pack(answer: Any, left_out: frozenset[str]) -> dict[str, Any]:
    """The fields of a ModelResponse that say something."""
    fields = said_by(answer) or {}
    return {name: each if type(each) is str else packed(each) for name, each in fields.items() if name not in left_out}


def as_asked(value: Any, form: Any) -> Any:
    """A parsed answer, in the class that it was asked for in; what does not fit is parsed by Agno again."""
    from pydantic import BaseModel, ValidationError

    if not (isinstance(form, type) and issubclass(form, BaseModel)):
        return value
    try:
        return form.model_validate(value)
    except ValidationError:
        return None


def failure_of(failure: dict[str, Any]) -> Exception:
    """Return the error that Agno raises for a failure that the journal has."""
    from agno.exceptions import ModelProviderError

    if failure["provider"] and failure["status_code"]:
        return ModelProviderError(failure["text"], failure["status_code"])
    return RuntimeError(failure["text"])
