"""Whether a model answer counts: complete, cut short and marked, or no answer at all."""

from dataclasses import dataclass
from typing import Any

from worker.agents.answers.errors import BAD_GATEWAY, AnswerError, EmptyAnswer, NotAccepted, Withheld, unreadable_in
from worker.agents.answers.reading import Reading
from worker.words.events import NewEvent, note_event
from worker.words.finish import FinishReason, is_whole
from worker.words.handler_options import Incomplete

WHY: dict[FinishReason, str] = {
    FinishReason.Length: "the limit on output tokens was reached",
    FinishReason.ContextLength: "the model's context was full",
    FinishReason.ContentFilter: "the provider's content filter withheld it",
    FinishReason.Refusal: "the model refused",
    FinishReason.ToolLimit: "the limit on tool calls was reached",
    FinishReason.ToolLoop: "the model kept making the same tool call with the same result",
    FinishReason.Other: "the provider gave no known reason",
}
"""Descriptions of finish reasons, to follow the words "is not whole: "."""

_HELD_BACK = (FinishReason.ContentFilter, FinishReason.Refusal)
_CALLED_TOO_OFTEN = (FinishReason.ToolLimit, FinishReason.ToolLoop)
_CACHE_ASIDE = frozenset({"Claude", "AwsBedrock"})
_MEDIA = ("parsed", "audio", "images", "videos", "files", "tool_executions")


@dataclass(frozen=True, slots=True)
class Answered:
    """The outcome of a model call.

    Args:
        reason: Why the answer ended.
        has_calls: Whether the answer calls tools.
        holds: Whether the answer contains anything else.
        has_spoken: Whether the same turn already contained text alongside a tool call.
    """

    reason: FinishReason
    has_calls: bool
    holds: bool
    has_spoken: bool = False


def settled(answered: Answered, reading: Reading, policy: Incomplete | None) -> FinishReason:
    """Decide whether an answer counts.

    Args:
        answered: The answer.
        reading: The provider's account of the answer.
        policy: How the handler treats an incomplete answer. None accepts and marks an answer that was cut short, and
            rejects one that was withheld before it contained anything.

    Returns:
        Why the answer ended.

    Raises:
        EmptyAnswer: The answer is empty.
        Withheld: The answer was withheld, or the policy does not accept the part that arrived.
        NotAccepted: The policy asks for another attempt.
    """
    reason = answered.reason
    if is_whole(reason):
        if answered.has_calls or answered.holds or answered.has_spoken:
            return reason
        raise EmptyAnswer("The model's answer is empty.")
    text = f"The model's answer is incomplete: {WHY[reason]} ({reading.word or reason})."
    if reading.refusal:
        text = f"The model refused: {reading.refusal}"
    if policy == "error":
        raise Withheld(text, reading.word, reason)
    if policy == "retry":
        raise NotAccepted(text, reading.word, reason)
    if answered.holds:
        return reason
    if reason in _HELD_BACK:
        if policy == "accept":
            return reason
        raise Withheld(text, reading.word, reason)
    if reason in _CALLED_TOO_OFTEN:
        raise Withheld(text, reading.word, reason)
    raise EmptyAnswer(f"{text} It contains nothing.", reading.word, reason)


def says_something(answer: Any) -> bool:
    """Return whether an answer, or a chunk of one, contains anything besides tool calls and reasoning."""
    content = answer.content
    if content is not None and (bool(content.strip()) if isinstance(content, str) else bool(content)):
        return True
    return any(getattr(answer, name, None) for name in _MEDIA)


def tokens_of(answer: Any, model: Any) -> list[int]:
    """Return the tokens of an answer, or a chunk of one: prompt, completion, cache read and cache written.

    The prompt counts all input, cached or not: Anthropic and Bedrock exclude cached tokens from their input count,
    while other providers include them.
    """
    usage = answer.response_usage
    if usage is None:
        return [0, 0, 0, 0]
    prompt, completion = int(usage.input_tokens or 0), int(usage.output_tokens or 0)
    read, written = int(usage.cache_read_tokens or 0), int(usage.cache_write_tokens or 0)
    if any(each.__name__ in _CACHE_ASIDE for each in type(model).__mro__):
        prompt += read + written
    return [prompt, completion, read, written]


def cut_short(reason: FinishReason, whose: str) -> NewEvent:
    """Return the note that an answer is incomplete.

    Args:
        reason: Why the answer ended.
        whose: "The answer", or the answer of a member or helper.
    """
    text = f"{whose[:1].upper()}{whose[1:]} is incomplete: {WHY[reason]} ({reason})."
    return note_event(text, "incomplete")


async def call_model(original: Any, model: Any, arguments: dict[str, Any]) -> Any:
    """Call a model as Agno does.

    Raises:
        ModelProviderError: The call failed, or the response is not an answer of the provider, which Agno would treat as
            a programming error.
    """
    try:
        return await original(model, **arguments)
    except Exception as error:
        _raise_unreadable(error, model)
        raise


def call_model_sync(original: Any, model: Any, arguments: dict[str, Any]) -> Any:
    """Sync version of ``call_model``."""
    try:
        return original(model, **arguments)
    except Exception as error:
        _raise_unreadable(error, model)
        raise


def _raise_unreadable(error: BaseException, model: Any) -> None:
    unreadable = unreadable_in(error)
    if unreadable is not None:
        raise provider_error(unreadable, model) from unreadable


def provider_error(error: AnswerError, model: Any) -> Exception:
    """Convert an error to the type that Agno's own models raise, so that the agent's own error handling applies."""
    from agno.exceptions import ModelProviderError

    return ModelProviderError(str(error), error.status_code or BAD_GATEWAY, model_name=model.name, model_id=model.id)
