"""The input and the result of a run."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.agents.runs.produced_media import Produced
from worker.agents.tools.file_tools import FileTools
from worker.words.conversations import ConversationTurn
from worker.words.tasks import Tokens


@dataclass(frozen=True, slots=True)
class Material:
    """A task's input in the form that an agent takes.

    Args:
        message: The text.
        files: Agno ``File`` objects.
        images: Agno ``Image`` objects.
        audio: Agno ``Audio`` objects.
        videos: Agno ``Video`` objects.
        given: A structured input, instead of the text.
        options: Other keyword arguments of the agent's own ``arun``.
        streams: Whether the run's text may be streamed, if the task asks for streaming.
        file_tools: Tools that read more of the files.
        history: Earlier turns of the conversation.
    """

    message: str
    files: Sequence[Any] = ()
    images: Sequence[Any] = ()
    audio: Sequence[Any] = ()
    videos: Sequence[Any] = ()
    given: Any = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    streams: bool = True
    file_tools: FileTools | None = None
    history: Sequence[ConversationTurn] = ()

    @property
    def input(self) -> Any:
        """The input for Agno."""
        return self.message if self.given is None else self.given

    @property
    def media(self) -> dict[str, Sequence[Any]]:
        """The media that accompany the message, by the parameter names of ``arun``."""
        return {"images": self.images, "files": self.files, "audio": self.audio, "videos": self.videos}


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run.

    Args:
        content: The result as text, JSON text if JSON was wanted; None if the run is paused.
        tokens: Of all models that took part, including members', helpers' and a repair's.
        used_tools: Names in order of first use, including members' tools, without Agno's own delegation tools.
        paused: The task's ``hitl_request`` if the run waits for a person.
        run_id: Agno's id of the run.
        duration: Seconds.
        output: Agno's own output of the run; None if an earlier attempt finished the run.
    """

    content: str | None
    tokens: Tokens = field(default_factory=Tokens)
    used_tools: list[str] = field(default_factory=list[str])
    paused: dict[str, Any] | None = None
    run_id: str = ""
    duration: float = 0.0
    output: Any = None


Produce = Callable[[Sequence[Produced]], Awaitable[None]]
"""Stores the media that a run has made besides its text. Raises LeaseLost if the attempt no longer owns the task."""
