"""Standard output that never blocks: a thread writes the lines, which are dropped if nobody reads them.

A pipe holds 64 KB. When its reader stops, the next write blocks, and with it the event loop, all tasks of the process,
and its exit.
"""

import os
import stat
import sys
import threading
import time
from collections import deque
from typing import Any, TextIO

KEPT_LINES = 10_000  # waiting to be written
SETTLE_SECONDS = 1.0  # for which a process waits for them at its end


class Output:
    """A text stream that replaces another one, and passes texts on to it from a thread of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._changed = threading.Condition()
        self._writing = False
        threading.Thread(target=self._run, name="output", daemon=True).start()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Queue a text to be written, without waiting."""
        with self._changed:
            if len(self._lines) >= KEPT_LINES:
                self._dropped += text.count("\n")
            else:
                self._lines.append(text)
            self._changed.notify_all()
        return len(text)

    def writelines(self, texts: list[str]) -> None:
        """Queue texts to be written."""
        self.write("".join(texts))

    def flush(self) -> None:
        """Do nothing: printing must not wait for the reader."""

    def settle(self, seconds: float) -> None:
        """Wait until all texts are written, at most the given seconds."""
        until = time.monotonic() + seconds
        with self._changed:
            while (self._lines or self._writing) and time.monotonic() < until:
                self._changed.wait(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while True:
            text = self._next()
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):  # the reader is gone, or the stream was closed
                pass
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _next(self) -> str:
        with self._changed:
            while not self._lines:
                self._changed.wait()
            text = "".join(self._lines)
            self._lines.clear()
            if self._dropped:
                text += f"{self._dropped} lines were dropped because the output was not read\n"
                self._dropped = 0
            self._writing = True
            return text


def unblock() -> None:
    """Let threads write standard output and errors, unless these are files, which never block."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, Output) and _may_block(stream):
            setattr(sys, name, Output(stream))


def settle() -> None:
    """Wait until all output is written, at most ``SETTLE_SECONDS``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Output):
            stream.settle(SETTLE_SECONDS / 2)


def _may_block(stream: Any) -> bool:
    try:
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):
        return False
