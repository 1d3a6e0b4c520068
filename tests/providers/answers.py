"""What a stand-in for a provider answers: what its model says, and what goes wrong on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from worker.testing import Call

Finish = Literal["stop", "tool_calls", "length", "content_filter", "refusal", "context_length"]
"""Why a model stopped, in our words; each wire has its own."""

Trouble = Literal["cut", "close", "fail", "stall", "delay", "comments"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, each counted once; a wire adds them up as its provider does."""

    fresh: int = 10  # of the prompt, neither read from the cache nor written to it
    output: int = 5
    read: int = 0
    written: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens in place of one event of a stream, or of the halves of an answer that comes in one piece.

    Args:
        kind: ``cut``: the connection is reset. ``close``: the stream ends as if it were whole. ``fail``: the provider
            says that it failed, by a status before the first event, else by an event. ``stall``: nothing more comes.
            ``delay``: the event is late. ``comments``: nothing more comes but signs of life, where the wire has them.
        at: Before which event; the first is 0.
        status: Of ``fail``.
        code: The provider's own word, of ``fail``.
        message: The provider's text, of ``fail``.
        seconds: Of ``delay``.
    """

    kind: Trouble
    at: int = 0
    status: int = 503
    code: str = "server_error"
    message: str = "The server had an error."
    seconds: float = 0.3


@dataclass(frozen=True, slots=True)
class Says:
    """An answer of the model.

    Args:
        text: In the pieces in which it streams.
        calls: Tools that it asks for.
        finish: Why it stopped; by default what fits. None: it never says so, though the stream ends.
        reasoning: What it thinks aloud before.
        usage: What it costs.
        fault: What goes wrong.
    """

    text: Sequence[str] = ()
    calls: Sequence[Call] = ()
    finish: Finish | Literal["fits"] | None = "fits"
    reasoning: str = ""
    usage: Usage = field(default_factory=Usage)
    fault: Fault | None = None

    @property
    def reason(self) -> Finish | None:
        """Why it stopped, if it says so."""
        if self.finish == "fits":
            return "tool_calls" if self.calls else "stop"
        return self.finish


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that the provider answers with an error status.

    Args:
        status: The HTTP status.
        message: The provider's text.
        code: The provider's own word for it; Bedrock's name of the exception.
        headers: More headers, such as ``retry-after``.
    """

    status: int
    message: str = "The server had an error."
    code: str = "server_error"
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Raw:
    """Any other answer, as it stands.

    Args:
        events: What is sent, piece by piece.
        media_type: Of it; by default what the wire has for an answer in one piece.
        status: The HTTP status.
    """

    events: Sequence[bytes]
    media_type: str | None = None
    status: int = 200


Reply = Says | Refused | Raw
