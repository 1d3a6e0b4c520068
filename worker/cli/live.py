"""A live view of a task: a progress line, its events, and text as it is written."""

import sys
import textwrap
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from worker.cli import output
from worker.cli.event_lines import line_of
from worker.words.events import TaskUpdateEvent
from worker.words.statuses import TaskUpdateEventType

if TYPE_CHECKING:
    from rich.console import RenderableType

TEXT_WIDTH = 100  # columns of streamed text if there is no terminal


class LiveView:
    """Shows events as they arrive: on a terminal above a progress line, elsewhere as plain lines."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._doing = "waiting for a worker"
        self._text = ""  # the last, incomplete line of streamed text
        self._attempt: int | None = None
        self._streaming = False
        self._live: Any = _progress(self._frame) if sys.stdout.isatty() else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_text()
        if self._live is not None:
            self._live.stop()

    def take(self, event: TaskUpdateEvent) -> None:
        """Show an event."""
        if event.type is TaskUpdateEventType.Chunk:
            self._take_text(str(event.data), event.attempt)
            return
        self._end_text()
        self._doing = _doing(event) or self._doing
        self._print(line_of(event))

    def _take_text(self, piece: str, attempt: int | None) -> None:
        if self._streaming and attempt != self._attempt:
            self._end_text()
            self._print("! a new attempt starts: the text above is discarded")
        self._streaming, self._attempt, self._doing = True, attempt, "writing"
        *full, self._text = _lines(self._text + piece, self._width)
        for line in full:
            self._print(line)

    def _end_text(self) -> None:
        if self._text:
            self._print(self._text)
        self._text = ""

    @property
    def _width(self) -> int:
        return TEXT_WIDTH if self._live is None else max(20, min(self._live.console.width - 1, 160))

    def _print(self, line: str) -> None:
        if self._live is None:
            output.say(line)
        else:
            self._live.console.print(output.shown(line))

    def _frame(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        seconds = time.monotonic() - self._started
        spinner = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[int(seconds * 10) % 10]
        progress = Text(f"{spinner} {self._doing} · {seconds:.1f} s", style="cyan")
        return Group(Text(output.shown(self._text)), progress) if self._text else progress


def _progress(frame: Any) -> Any:
    from rich.live import Live

    return Live(console=output.stdout(), get_renderable=frame, refresh_per_second=10, transient=True)


def _doing(event: TaskUpdateEvent) -> str | None:
    match event.type:
        case TaskUpdateEventType.ToolCallRequest:
            return f"calling {event.data.tool_name}"
        case TaskUpdateEventType.ToolCallResult | TaskUpdateEventType.Note:
            return "the model is reading"
        case TaskUpdateEventType.TaskUpdated:
            return str(event.data.status)
        case _:
            return None


def _lines(text: str, width: int) -> list[str]:
    """Break text into lines; the last one is incomplete."""
    *done, growing = text.split("\n")
    full = [part for line in done for part in textwrap.wrap(line, width) or [""]]
    if len(growing) <= width:
        return [*full, growing]
    head, _, tail = growing[: width + 1].rpartition(" ")
    if not head:  # a word longer than the line
        head, tail = growing[:width], growing[width : width + 1]
    return [*full, head, *_lines(tail + growing[width + 1 :], width)]
