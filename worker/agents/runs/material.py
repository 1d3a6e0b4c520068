"""What a run is given, and what came of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.agents.runs.produced import Produced
from worker.agents.tools.file_tools import FileTools
from worker.words.conversations import ConversationTurn
from worker.words.tasks import Tokens


@dataclass(frozen=True, slots=True)
class Material:
    """A task's input as an agent takes it.

    Args:
        message: The text.
        files: Agno ``File`` objects.
        images: Agno ``Image`` objects.
        audio: Agno ``Audio`` objects.
        videos: Agno ``Video`` objects.
        given: A structured input, in place of the text.
        options: Other keywords of the agent's own ``arun``.
        streams: Whether its text may be streamed, where the task wants that.
        file_tools: Tools by which it reads on in the files.
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
        """What Agno takes as the input."""
        return self.message if self.given is None else self.given

    @property
    def media(self) -> dict[str, Sequence[Any]]:
        """What goes with the message, by the names of ``arun``."""
        return {"images": self.images, "files": self.files, "audio": self.audio, "videos": self.videos}


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of a run.

    Args:
        content: The result as text, JSON text where JSON was wanted; None where the run is paused.
        tokens: Of all models that took part: members', helpers' and a repair's included.
        used_tools: Names in order of first use, members' included, Agno's own delegation tools left out.
        paused: The task's ``hitl_request`` if the run waits for a person.
        run_id: Agno's id of the run.
        duration: Seconds.
        output: Agno's own output of the run; None where an earlier attempt has finished it.
    """

    content: str | None
    tokens: Tokens = field(default_factory=Tokens)
    used_tools: list[str] = field(default_factory=list[str])
    paused: dict[str, Any] | None = None
    run_id: str = ""
    duration: float = 0.0
    output: Any = None


Produce = Callable[[Sequence[Produced]], Awaitable[None]]
"""Keeps what a run has made beside text. Raises: LeaseLost."""
