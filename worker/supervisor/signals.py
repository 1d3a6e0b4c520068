"""Signals, heard on a thread of their own: a loop that is blocked holds up neither the word nor the end."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from types import FrameType

EXIT_SECONDS = 5.0
"""After the drain: what is handed back, the last writes and the hooks have four of them. Then the process ends,
whatever holds it up: a database that does not answer, a handler that blocks the loop, an output that nobody reads."""


def hear(
    numbers: Collection[signal.Signals], heard: Callable[[int], None], *, at_once: Callable[[], None] | None = None
) -> None:
    """Have a function called for each of these signals, on a thread. Must be called on the main thread.

    Args:
        numbers: The signals.
        heard: Called with each that came, in order.
        at_once: Called on the main thread too, as the handler of the signal and so before that thread goes on, unless a
            library handles the signal itself: the thread may come a moment too late to know why a child has died.
    """
    global _hearing  # noqa: PLW0603 - a process has its signals once
    ours, kernels = socket.socketpair()
    kernels.setblocking(False)
    hearing = _hearing = _Hearing(frozenset(numbers), kernels.detach(), at_once)
    keep()

    def listen() -> None:
        while received := ours.recv(64):
            hearing.tell_others(received)
            for number in received:
                if number in hearing.numbers:
                    heard(number)

    threading.Thread(target=listen, name="signals", daemon=True).start()


def keep() -> None:
    """See that signals are still heard: libraries replace handlers, and event loops what wakes them.

    Does nothing before ``hear``, and on any other thread than the main one, which alone may change signals.
    """
    if _hearing is None or threading.current_thread() is not threading.main_thread():
        return
    for number in _hearing.numbers:
        if signal.getsignal(number) in _PYTHONS_OWN:  # what else handles it may go on
            signal.signal(number, _noted)
    woken = signal.set_wakeup_fd(_hearing.descriptor, warn_on_full_buffer=False)
    if woken not in (-1, _hearing.descriptor):
        _hearing.other = woken


class _Hearing:
    """Where the kernel's notes of signals go.

    Args:
        numbers: The signals.
        descriptor: Written to by the kernel.
        at_once: What a signal's handler does itself.
    """

    def __init__(self, numbers: frozenset[int], descriptor: int, at_once: Callable[[], None] | None) -> None:
        self.numbers = numbers
        self.descriptor = descriptor
        self.at_once = at_once
        self.other = -1  # written to by the kernel before: somebody's event loop, which is to hear of its own signals

    def tell_others(self, received: bytes) -> None:
        """Pass on what came to whoever would have been told without us."""
        if self.other >= 0:
            with suppress(OSError):  # it is closed by now
                os.write(self.other, received)


_hearing: _Hearing | None = None

_PYTHONS_OWN = (signal.SIG_DFL, signal.SIG_IGN, None, signal.default_int_handler)
"""Handlers that no library has chosen, or that ignore a signal. The last one raises KeyboardInterrupt in whatever code
runs: Ctrl-C would end a task, and not the worker."""


def _noted(number: int, frame: FrameType | None) -> None:
    """Only what cannot wait: the kernel's note of the number is what the thread reads."""
    del number, frame
    if _hearing is not None and _hearing.at_once is not None:
        _hearing.at_once()


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
