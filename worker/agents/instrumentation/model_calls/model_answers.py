"""Model answers: their form in the journal, and their replay."""

from typing import Any, cast

from worker.agents.answers.unstreamed import ParsedCall
from worker.agents.instrumentation.frames import current_turn
from worker.agents.translation.values import changed_fields, packed

MADE_ANEW = frozenset({"created_at", "event"})
"""Fields of an answer that are generated again on replay."""


_JOINED = {name: frozenset({name, "role", "provider_data"}) for name in ("content", "reasoning_content")}
"""A text of an answer, and what each of its chunks may repeat."""

NOT_IN_PIECES = MADE_ANEW | {"tool_calls"}
"""Fields that are not stored with a stream's chunks: generated ones, and those assembled from all chunks."""


def parsed(model: Any, pieces: list[Any]) -> list[dict[str, Any]]:
    """Return the complete tool calls of a stream.

    Args:
        model: The model that streamed the chunks.
        pieces: The chunks, or complete calls.
    """
    calls = assembled(model, pieces)
    turn = current_turn.get()
    if turn is not None:
        turn.conversation.give_ids(calls, turn.position)
    return calls


def assembled(model: Any, pieces: list[Any]) -> list[dict[str, Any]]:
    """Return the tool calls of a stream, without ids of ours.

    Args:
        model: The model that streamed the chunks.
        pieces: The chunks, or complete calls.
    """
    if are_whole(pieces):
        return [dict(each) for each in pieces]
    return model.parse_tool_calls(pieces)


def are_whole(pieces: list[Any]) -> bool:
    """Return whether these are complete tool calls, rather than chunks of a provider's stream."""
    return all(isinstance(each, ParsedCall) for each in pieces)


def pack(answer: Any, left_out: frozenset[str]) -> dict[str, Any]:
    """Return the packed fields of a ModelResponse that differ from their defaults."""
    fields = changed_fields(answer) or {}
    return {name: each if type(each) is str else packed(each) for name, each in fields.items() if name not in left_out}


def append_piece(pieces: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Append a packed chunk; a chunk that differs from the one before it in nothing but one text is joined to it.

    Agno concatenates the texts of chunks; of what else such chunks contain, it keeps the last.
    """
    name = "content" if "content" in piece else "reasoning_content"
    if pieces and _differ_in_text(pieces[-1], piece, name):
        pieces[-1][name] += piece[name]
    else:
        pieces.append(piece)


def _differ_in_text(last: dict[str, Any], piece: dict[str, Any], name: str) -> bool:
    if type(piece.get(name)) is not str or type(last.get(name)) is not str or not piece.keys() <= _JOINED[name]:
        return False
    return {**piece, name: ""} == {**last, name: ""} and not _has_lists(piece.get("provider_data"))


def _has_lists(provider_data: Any) -> bool:
    """Return whether Agno would add the data of two chunks up, rather than keep the last."""
    return isinstance(provider_data, dict) and any(
        isinstance(each, list) for each in cast("dict[str, Any]", provider_data).values()
    )


def drops_calls() -> bool:
    """Return whether the tool calls of the current answer are ignored."""
    turn = current_turn.get()
    return turn is not None and turn.drops_calls


def as_asked(value: Any, form: Any) -> Any:
    """Return a parsed answer as the requested class; None if it does not fit, so that Agno parses the text again."""
    from pydantic import BaseModel, ValidationError

    if not (isinstance(form, type) and issubclass(form, BaseModel)):
        return value
    try:
        return form.model_validate(value)
    except ValidationError:
        return None


def failure_of(failure: dict[str, Any]) -> Exception:
    """Return the error with which Agno reports a failure stored in the journal."""
    from agno.exceptions import ModelProviderError

    if failure["provider"] and failure["status_code"]:
        return ModelProviderError(failure["text"], failure["status_code"])
    return RuntimeError(failure["text"])
