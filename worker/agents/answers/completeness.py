"""Whether an answer of a model counts: whole, cut short and marked, or no answer at all."""

from dataclasses import dataclass
from typing import Any

from worker.agents.answers.errors import BAD_GATEWAY, AnswerError, EmptyAnswer, NotAccepted, Withheld, unreadable_in
from worker.agents.answers.reading import Reading
from worker.words.events import NewEvent, Note
from worker.words.finish import FinishReason, is_whole
from worker.words.handler_options import Incomplete
from worker.words.statuses import TaskUpdateEventType

WHY: dict[FinishReason, str] = {
    FinishReason.Length: "the limit on output tokens was reached",
    FinishReason.ContextLength: "the model's context was full",
    FinishReason.ContentFilter: "the provider's content filter kept it back",
    FinishReason.Refusal: "the model refused",
    FinishReason.ToolLimit: "the limit on tool calls was reached",
    FinishReason.ToolLoop: "the model made the same tool call again and again, with the same result",
    FinishReason.Other: "the provider gives no reason that we know",
}
"""Reasons in words, as they stand after "is not whole: "."""

_HELD_BACK = (FinishReason.ContentFilter, FinishReason.Refusal)
_CALLED_TOO_OFTEN = (FinishReason.ToolLimit, FinishReason.ToolLoop)
_CACHE_ASIDE = frozenset({"Claude", "AwsBedrock"})
_MEDIA = ("parsed", "audio", "images", "videos", "files", "tool_executions")


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a model call.

    Args:
        reason: Why the answer ended.
        has_calls: Whether it asks for tools.
        holds: Whether there is anything else in it.
        has_spoken: Whether the same turn has said something before, beside a tool call.
    """

    reason: FinishReason
    has_calls: bool
    holds: bool
    has_spoken: bool = False


def settled(answered: Answered, reading: Reading, policy: Incomplete | None) -> FinishReason:
    """Decide whether an answer counts.

    Args:
        answered: What came.
        reading: What the provider said of it.
        policy: What its handler makes of an answer that is not whole; None: what was cut is accepted and marked, what
            was withheld before a word was said is an error.

    Returns:
        Why the answer ended.

    Raises:
        EmptyAnswer: There is nothing in it.
        Withheld: It was kept back, or the policy does not accept what there is of it.
        NotAccepted: The policy wants another try.
    """
    reason = answered.reason
    if is_whole(reason):
        if answered.has_calls or answered.holds or answered.has_spoken:
            return reason
        raise EmptyAnswer("The model's answer is empty.")
    text = f"The model's answer is not whole: {WHY[reason]} ({reading.word or reason})."
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
    raise EmptyAnswer(f"{text} It is empty.", reading.word, reason)


def says_something(answer: Any) -> bool:
    """Whether an answer, or a piece of one, has anything in it besides tool calls and thoughts."""
    content = answer.content
    if content is not None and (bool(content.strip()) if isinstance(content, str) else bool(content)):
        return True
    return any(getattr(answer, name, None) for name in _MEDIA)


def tokens_of(answer: Any, model: Any) -> list[int]:
    """What an answer, or a piece of one, has cost: prompt, completion, cache read and cache written.

    The prompt is all that the model was given, whatever of it came from a cache: Anthropic and Bedrock count only the
    rest of it as their input, the others all of it.
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
    """The event that says that an answer is not whole.

    Args:
        reason: Why.
        whose: "The answer", or that of a member or helper.
    """
    text = f"{whose[:1].upper()}{whose[1:]} is not whole: {WHY[reason]} ({reason})."
    return NewEvent(type=TaskUpdateEventType.Note, data=Note(text=text, kind="incomplete").model_dump())


async def asked(original: Any, model: Any, arguments: dict[str, Any]) -> Any:
    """Ask a model as Agno does.

    Raises:
        ModelProviderError: Also where what came is no answer of the provider's, which Agno takes for a defect.
    """
    try:
        return await original(model, **arguments)
    except Exception as error:
        _raise_unreadable(error, model)
        raise


def asked_sync(original: Any, model: Any, arguments: dict[str, Any]) -> Any:
    """Ask it from plain code."""
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
    """An error as Agno's own models raise it, so that what an agent has configured for that case is done."""
    from agno.exceptions import ModelProviderError

    return ModelProviderError(str(error), error.status_code or BAD_GATEWAY, model_name=model.name, model_id=model.id)
