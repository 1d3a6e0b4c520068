"""The worker's side of a child process."""

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from typing import Any

from worker.supervisor.child_protocol import CANNOT_START, STARTED, Order, line

# Uses this process's module search path. An environment variable would be inherited by the processes of tools, too.
START = "import sys; sys.path[:] = {paths!r}; from worker.supervisor.isolated import main; main({descriptor})"

LAST_WORDS_SECONDS = 1.0  # to read a dead child's last messages; its forks may hold the socket open for longer
NOT_CHARGED = (signal.SIGTERM, signal.SIGINT)


class TaskChild:
    """A child process that runs one task and exits.

    Args:
        process: The process.
        reader: Receives its messages.
        writer: Sends messages to it.
    """

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process = process
        self._writer = writer
        self._listening = asyncio.create_task(self._listen(reader), name=f"child {process.pid}")
        self.unfit: str | None = None
        self.begun = asyncio.Event()

    @classmethod
    async def start(cls, order: Order) -> "TaskChild":
        """Start a child process. It is not a fork, so it shares no threads and connections with this process.

        Raises:
            OSError: The system has no more processes, memory or descriptors.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                code = START.format(paths=sys.path, descriptor=theirs.fileno())
                # The child shares the worker's standard output. The kernel kills it with the thread that started it.
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", code, stdin=DEVNULL, pass_fds=[theirs.fileno()]
                )
            reader, writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        child = cls(process, reader, writer)
        child._say(order.write())
        return child

    def send(self, word: str, reason: str | None = None) -> None:
        """Send a message; a child that has exited ignores it."""
        self._say(line({"word": word, "reason": reason}))

    def kill(self) -> None:
        """Kill the process immediately."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> int:
        """Wait for the process to exit, and for its last messages.

        Returns:
            The exit code; negative if a signal with that number killed the process.
        """
        try:
            code = await self._process.wait()
            await asyncio.wait([self._listening], timeout=LAST_WORDS_SECONDS)
        finally:
            self.kill()
            self._listening.cancel()
            self._writer.close()
        return code

    def _say(self, message: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(message)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError, ValueError):
            async for message in reader:
                heard: dict[str, Any] = json.loads(message)
                if heard["word"] == STARTED:
                    self.begun.set()
                elif heard["word"] == CANNOT_START:
                    self.unfit = str(heard["reason"])


def describe_exit(code: int, unfit: str | None = None) -> str:
    """Return a description of how a process died.

    Args:
        code: The exit code; negative if a signal with that number killed the process.
        unfit: The reason why it could not begin, if it sent one.
    """
    if unfit is not None:
        return f"could not start: {unfit}"
    if code >= 0:
        return f"exited with code {code} before the task finished"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"was killed by signal {-code}"
    return f"was killed by {name} ({_meaning(-code)})"


def _meaning(number: int) -> str:
    if number == signal.SIGKILL:
        return "out of memory?"
    return (signal.strsignal(number) or "no description").lower()
