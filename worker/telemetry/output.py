"""Standard output that never holds anybody up: lines are written by a thread, and dropped where nobody reads them.

A pipe holds 64 KB. When its reader stops, the next write waits for it, and with it the event loop, all tasks of the
process, and its exit.
"""

import os
import stat
import sys
import threading
import time
from collections import deque
from typing import Any, TextIO

KEPT_LINES = 10_000  # that wait to be written
SETTLE_SECONDS = 1.0  # what a process that ends gives them


class Output:
    """A text stream in place of another, which a thread of its own writes to."""

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
        """Have a text written, in its turn; it waits for nothing."""
        with self._changed:
            if len(self._lines) >= KEPT_LINES:
                self._dropped += text.count("\n")
            else:
                self._lines.append(text)
            self._changed.notify_all()
        return len(text)

    def writelines(self, texts: list[str]) -> None:
        """Have texts written."""
        self.write("".join(texts))

    def flush(self) -> None:
        """Nothing: whoever prints does not wait for the reader."""

    def settle(self, seconds: float) -> None:
        """Wait until all is written, at most so long."""
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
            except (OSError, ValueError):  # nobody reads any more, or it was closed
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
                text += f"{self._dropped} lines were dropped here: nobody read this output\n"
                self._dropped = 0
            self._writing = True
            return text


def unblock() -> None:
    """Have standard output and errors written by threads, unless they are files, which hold nobody up."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, Output) and _may_block(stream):
            setattr(sys, name, Output(stream))


def settle() -> None:
    """Wait until what was printed is written, at most ``SETTLE_SECONDS``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Output):
            stream.settle(SETTLE_SECONDS / 2)


def _may_block(stream: Any) -> bool:
    try:
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):
        return False
