"""Signals, heard on a thread of their own: a loop that is blocked holds up neither the word nor the end."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Collection
from types import FrameType

EXIT_SECONDS = 5.0
"""After the drain: what is handed back, the last writes and the hooks have four of them. Then the process ends,
whatever holds it up: a database that does not answer, a handler that blocks the loop, an output that nobody reads."""


def hear(numbers: Collection[signal.Signals], heard: Callable[[int], None]) -> None:
    """Have a function called for each of these signals, on a thread. Must be called on the main thread."""
    ours, kernels = socket.socketpair()
    kernels.setblocking(False)
    for number in numbers:
        signal.signal(number, _noted)
    signal.set_wakeup_fd(kernels.detach(), warn_on_full_buffer=False)

    def listen() -> None:
        while received := ours.recv(64):
            for number in received:
                if number in numbers:
                    heard(number)

    threading.Thread(target=listen, name="signals", daemon=True).start()


def _noted(number: int, frame: FrameType | None) -> None:
    """Nothing: the kernel's note of the number is what the thread reads."""
    del number, frame


class LastExit:
    """Ends the process when its time is up.

    Args:
        seconds: From ``begin`` on.
        exit_process: Called with the exit code.
    """

    def __init__(self, seconds: float, exit_process: Callable[[int], None] = os._exit) -> None:
        self._seconds = seconds
        self._exit = exit_process
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Let the time run; again: nothing changes."""
        if self._timer is None:
            self._timer = threading.Timer(self._seconds, self._exit, (0,))
            self._timer.daemon = True
            self._timer.start()
