"""Whole answers that arrive as one JSON document although a stream was requested."""

import json
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from worker.agents.answers.completeness import provider_error, says_something
from worker.agents.answers.errors import AnswerError, EmptyAnswer, UnreadableAnswer
from worker.agents.answers.reading import Reading, current_reading


class ParsedCall(dict[str, Any]):
    """A complete tool call, of a document or the journal, in place of the chunks of a provider's stream."""


def answer_in(reading: Reading, model: Any) -> Any:
    """Return the answer that a document contains, in a single chunk.

    Args:
        reading: The reading of the answer, which has only a document.
        model: The model.

    Raises:
        ModelProviderError: The document is not an answer.
    """
    text = reading.begin_document()
    token = current_reading.set(reading)
    try:
        answer = _parsed(text, model)
        if not (reading.word or answer.tool_calls or says_something(answer)):
            raise UnreadableAnswer(text)
    except AnswerError as error:
        cause = UnreadableAnswer(text) if isinstance(error, EmptyAnswer) else error
        raise provider_error(cause, model) from cause
    finally:
        current_reading.reset(token)
    answer.tool_calls = [ParsedCall(each) for each in answer.tool_calls or ()]
    return answer


def _parsed(text: str, model: Any) -> Any:
    """Return an answer as Agno parses answers that are not streamed.

    Raises:
        AnswerError: The text is not an answer of the provider.
    """
    try:
        return model._parse_provider_response(_typed(model, json.loads(text)))  # noqa: SLF001 - Agno's own parser
    except (ValueError, TypeError, RecursionError, UnreadableAnswer) as error:
        raise UnreadableAnswer(text) from error


def _typed(model: Any, body: Any) -> Any:
    """Return a response's JSON as the class of the provider's client that the model's parser takes.

    Raises:
        TypeError: The JSON has another structure.
    """
    if not isinstance(body, dict):
        raise TypeError("not a JSON object")
    parser = type(model)._parse_provider_response  # noqa: SLF001 - Agno's own parser
    kind: Any = next(iter(get_type_hints(parser).values()), dict)
    if get_origin(kind) is Union:  # Claude's: messages of the API and of its beta, which are alike
        kind = get_args(kind)[0]
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return body
    return kind.model_construct(**body)  # unchecked, as clients accept deviations of compatible servers
