"""How a model's answer ended, in its provider's own terms, which Agno's models receive and discard.

Providers are distinguished by the format of their responses, so that compatible services are read the same way.
"""

import functools
import inspect
import json
from contextvars import ContextVar
from typing import Any

from worker.agents.answers import cohere_events
from worker.agents.answers.errors import BrokenOff, EmptyAnswer, ProviderFailed, UnreadableAnswer, failed
from worker.words.finish import FinishReason

REASONS: dict[FinishReason, tuple[str, ...]] = {
    FinishReason.Stop: (
        "stop",
        "end_turn",
        "stop_sequence",
        "eos",
        "eos_token",
        "complete",
        "completed",
        "done",
        "end",
    ),
    FinishReason.ToolCalls: ("tool_calls", "tool_call", "function_call", "tool_use"),
    FinishReason.Length: ("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "error_limit"),
    FinishReason.ContextLength: ("model_length", "model_context_window_exceeded", "context_length_exceeded"),
    FinishReason.ContentFilter: (
        "content_filter",
        "content_filtered",
        "guardrail_intervened",
        "error_toxic",
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "image_safety",
        "image_prohibited_content",
        "image_recitation",
    ),
    FinishReason.Refusal: ("refusal",),
}
"""Finish reasons as named by OpenAI, Anthropic, Google, AWS, Mistral, Groq, Cohere, Ollama, watsonx, Hugging Face."""

FAILURES = frozenset(
    {
        "abort",
        "cancelled",
        "canceled",
        "error",
        "failed",
        "insufficient_system_resource",
        "load",
        "malformed_function_call",
        "malformed_model_output",
        "malformed_response",
        "malformed_tool_use",
        "not_finished",
        "time_limit",
        "timeout",
        "too_many_tool_calls",
        "unexpected_tool_call",
        "unload",
        "user_cancel",
    }
)
"""Finish reasons that mean that no answer was given."""


_BY_WORD = {word: reason for reason, words in REASONS.items() for word in words}
_ANTHROPIC = frozenset(
    {
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
    }
)
_BEDROCK = frozenset({"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "metadata"})
_ABSENT: Any = object()


class Reading:
    """A provider's account of one answer, read as Agno parses the response.

    Args:
        streamed: Whether the answer arrives in chunks, so that its end may be missing.
    """

    def __init__(self, *, streamed: bool) -> None:
        self._streamed = streamed
        self._is_known = False
        self._has_ended = False
        self._arguments = self._broken_arguments = ""  # of the tool call that Anthropic is streaming, and of a cut one
        self.word = ""  # the provider's reason
        self.refusal = ""  # the model's refusal, if its provider has a field for refusals
        self.document: str | None = None  # what came where a stream was requested

    @property
    def has_only_document(self) -> bool:
        """Whether a document came in place of a stream, and the client found no chunk in it."""
        return self.document is not None and not self._is_known

    def begin_document(self) -> str:
        """Return the text of the document, which is whole, and whose end is therefore not missing."""
        self._streamed = False
        return self.document or ""

    def take(self, response: Any) -> None:  # noqa: C901 - one branch per provider
        """Read a response, or a chunk of one.

        Raises:
            ProviderFailed: The response is an error.
        """
        inner = _get(response, "data")
        if _get(inner, "choices") is not _ABSENT:  # Mistral wraps its chunks
            response = inner
        kind = _get(response, "type")
        if isinstance(kind, str):
            self._take_kind(kind, response)
        elif _get(response, "choices") is not _ABSENT:
            self._chat(response)
        elif _get(response, "object") == "response":
            self._responses(response)
        elif _get(response, "candidates") is not _ABSENT:
            self._gemini(response)
        elif isinstance(response, dict) and ("stopReason" in response or "messageStop" in response):
            self._ends(_get(response.get("messageStop", response), "stopReason"))
        elif isinstance(response, dict) and _BEDROCK & response.keys():
            self._is_known = True
        elif isinstance(done := _get(response, "done"), bool):  # Ollama
            self._is_known = True
            if done:
                self._ends(_get(response, "done_reason") or "stop")
        elif _get(response, "finish_reason") is not _ABSENT:  # Cohere, not streamed
            self._ends(_get(response, "finish_reason"))

    def settle(self, *, has_calls: bool) -> FinishReason:
        """Return why the answer ended, after its last chunk.

        Raises:
            BrokenOff: The answer did not end.
            ProviderFailed: The provider gave up.
            UnreadableAnswer: The arguments of a tool call are not JSON.
        """
        if self._streamed and self._is_known and not self._has_ended:
            raise BrokenOff(
                "The model's answer was interrupted: the connection was closed before the answer was complete."
            )
        if self.word in FAILURES:
            raise ProviderFailed(f"The provider ended the answer with {self.word!r}.")
        if self.refusal:
            return FinishReason.Refusal
        reason = _BY_WORD.get(self.word, FinishReason.Other if self.word else FinishReason.Stop)
        if reason in (FinishReason.Stop, FinishReason.ToolCalls):
            if self._broken_arguments:
                raise UnreadableAnswer(self._broken_arguments, what="A tool call's arguments")
            return FinishReason.ToolCalls if has_calls else FinishReason.Stop
        return reason

    def _take_kind(self, kind: str, response: Any) -> None:  # noqa: C901 - one branch per kind
        if kind.startswith("response."):
            self._is_known = True
            if kind == "response.refusal.delta":
                self.refusal += str(response.delta)
            elif kind in ("response.completed", "response.incomplete", "response.failed"):
                self._responses(response.response)
        elif kind == "error":
            said = _get(response, "error")
            raise failed(response if said in (_ABSENT, None) else said)
        elif kind in _ANTHROPIC:
            self._is_known = True
            self._read_arguments(kind, response)
            if kind == "message_delta":
                self._ends(_get(response.delta, "stop_reason"))
            elif kind == "message_stop":
                self._ends(_get(_get(response, "message"), "stop_reason"))
        elif kind == "message":
            self._ends(_get(response, "stop_reason"))
        elif kind == "message-end":
            self._is_known = True
            self._cohere(response.delta)
        elif kind in ("message-start", "content-start", "content-delta", "tool-call-start"):
            self._is_known = True

    def _read_arguments(self, kind: str, response: Any) -> None:
        """Read whether a tool call's arguments are whole: Anthropic's client completes any that are cut."""
        if kind == "content_block_delta":
            piece = _get(response.delta, "partial_json")
            self._arguments += piece if isinstance(piece, str) else ""
        elif kind == "content_block_stop":
            arguments, self._arguments = self._arguments, ""
            try:
                json.loads(arguments or "{}")
            except (ValueError, RecursionError):
                self._broken_arguments = arguments

    def _chat(self, response: Any) -> None:
        """Read a response of OpenAI's Chat Completions API, or a compatible one."""
        self._is_known = True
        _raise_error_of(response)
        all_choices = _get(response, "choices") or ()
        choices = [each for each in all_choices if _get(each, "index") in (0, None, _ABSENT)]
        if all_choices and not choices:
            other = all_choices[0]  # of another answer to the same request (n=2), which Agno would mix with the first
            other.delta = type(other.delta)()
            return
        if not choices:
            if _get(response, "usage") not in (_ABSENT, None):  # the usage chunk after the last chunk of the answer
                self._has_ended = True
            elif not self._streamed:
                raise EmptyAnswer("The provider's response contains no answer.")
            return
        choice = choices[0]
        _raise_error_of(choice)
        said = _get(choice, "delta") if _get(choice, "delta") not in (_ABSENT, None) else _get(choice, "message")
        refusal = _get(said, "refusal")
        if isinstance(refusal, str):
            self.refusal += refusal
        self._ends(_get(choice, "finish_reason"))

    def _responses(self, response: Any) -> None:
        """Read a response of OpenAI's Responses API."""
        status = _get(response, "status")
        if status == "failed" or _get(response, "error") not in (_ABSENT, None):
            raise failed(_get(response, "error"))
        if status == "incomplete":
            self._ends(_get(_get(response, "incomplete_details"), "reason") or "length")
        else:
            self._ends("stop" if status in (_ABSENT, None) else status)
        for item in _get(response, "output") or ():
            for content in (_get(item, "content") or ()) if _get(item, "type") == "message" else ():
                if _get(content, "type") == "refusal" and not self.refusal:
                    self.refusal = str(_get(content, "refusal"))

    def _gemini(self, response: Any) -> None:
        self._is_known = True
        blocked = _get(_get(response, "prompt_feedback"), "block_reason")
        if blocked not in (_ABSENT, None):
            self._ends("content_filter")
        for candidate in list(_get(response, "candidates") or ())[:1]:
            self._ends(_get(candidate, "finish_reason"))

    def _cohere(self, end: Any) -> None:
        error = _get(end, "error")
        if error not in (_ABSENT, None):
            raise failed(str(error))
        self._ends(_get(end, "finish_reason"))

    def _ends(self, word: Any) -> None:
        if word in (_ABSENT, None, ""):
            return
        self._is_known = self._has_ended = True
        self.word = str(getattr(word, "value", word)).lower()


current_reading: ContextVar[Reading | None] = ContextVar("current_reading", default=None)
"""The reading of the current call."""

PARSERS = ("_parse_provider_response", "_parse_provider_response_delta")
"""The methods in which every provider's model class parses a response."""

_hooked: set[type] = set()


def read_answers_of(model: type) -> None:
    """Hook a model class, once, to read its provider's responses: each class has parsing methods of its own."""
    if model in _hooked:
        return
    for each in model.__mro__:
        if each in _hooked or each.__module__ == "agno.models.base":
            continue
        _hooked.add(each)
        for name in PARSERS:
            if inspect.isfunction(each.__dict__.get(name)):
                setattr(each, name, _reading(each.__dict__[name]))
    cohere_events.watch(lambda: current_reading.get() is not None)


def _reading(original: Any) -> Any:
    given = [*inspect.signature(original).parameters][1]  # the name varies, and Agno sometimes passes it by keyword

    @functools.wraps(original)
    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        reading = current_reading.get()
        if reading is None:
            return original(self, *arguments, **options)
        response = arguments[0] if arguments else options[given]
        if isinstance(response, str | bytes):  # some clients pass on responses that are not JSON
            raise UnreadableAnswer(response)
        token = current_reading.set(None)  # the method may call its base class's hooked method
        try:
            reading.take(response)
            made = original(self, *arguments, **options)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise UnreadableAnswer(response, error) from error
        finally:
            current_reading.reset(token)
        if _get(response, "type") == "response.incomplete":
            _add_usage(self, response.response, made)
        return made

    return hook


def _add_usage(model: Any, response: Any, made: Any) -> None:
    """Add the usage of a truncated OpenAI Responses answer: Agno reads the usage of complete answers only."""
    usage = _get(response, "usage")
    answer = made[0] if isinstance(made, tuple) else made
    if usage not in (_ABSENT, None) and answer.response_usage is None:
        answer.response_usage = model._get_metrics(usage)  # noqa: SLF001 - Agno's own parser


def _raise_error_of(response: Any) -> None:
    error = _get(response, "error")
    if error not in (_ABSENT, None, "", {}):
        raise failed(error)


def _get(thing: Any, name: str) -> Any:
    """Return a field of an object or a dictionary."""
    if thing is _ABSENT or thing is None:
        return _ABSENT
    return thing.get(name, _ABSENT) if isinstance(thing, dict) else getattr(thing, name, _ABSENT)
