"""Signal handling in a separate thread, so that a blocked event loop delays neither the notification nor the exit."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from types import FrameType

EXIT_SECONDS = 5.0
"""Time after the drain, of which hand-backs, final writes and hooks may use four seconds. Then the process exits, even
if a database does not answer, a handler blocks the loop, or no process reads its output."""


def hear(
    numbers: Collection[signal.Signals], heard: Callable[[int], None], *, at_once: Callable[[], None] | None = None
) -> None:
    """Call a function for each of these signals, in a thread. Must be called on the main thread.

    Args:
        numbers: The signals.
        heard: Called with each received signal, in order.
        at_once: Also called on the main thread, by the signal handler itself and so before that thread continues,
            unless a library handles the signal: the thread may be a moment too late to explain why a child has died.
    """
    global _hearing  # noqa: PLW0603 - signal handlers are global to the process
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
    """Restore the reception of signals, since libraries and event loops replace handlers and the wake-up descriptor.

    Does nothing before ``hear``, or outside the main thread, which alone may change signal handlers.
    """
    if _hearing is None or threading.current_thread() is not threading.main_thread():
        return
    for number in _hearing.numbers:
        if signal.getsignal(number) in _PYTHONS_OWN:  # handlers of libraries are left in place
            signal.signal(number, _noted)
    woken = signal.set_wakeup_fd(_hearing.descriptor, warn_on_full_buffer=False)
    if woken not in (-1, _hearing.descriptor):
        _hearing.other = woken


class _Hearing:
    """Receives the numbers of signals from the kernel.

    Args:
        numbers: The signals.
        descriptor: Written to by the kernel.
        at_once: Called by the signal handler itself.
    """

    def __init__(self, numbers: frozenset[int], descriptor: int, at_once: Callable[[], None] | None) -> None:
        self.numbers = numbers
        self.descriptor = descriptor
        self.at_once = at_once
        self.other = -1  # the previous wake-up descriptor, of an event loop that has its own signal handlers

    def tell_others(self, received: bytes) -> None:
        """Forward received signals to the previous wake-up descriptor."""
        if self.other >= 0:
            with suppress(OSError):  # the descriptor may be closed
                os.write(self.other, received)


_hearing: _Hearing | None = None

_PYTHONS_OWN = (signal.SIG_DFL, signal.SIG_IGN, None, signal.default_int_handler)
"""Default handlers, which may be replaced. The last one raises KeyboardInterrupt in any running code, so that Ctrl-C
would end a task instead of the worker."""


def _noted(number: int, frame: FrameType | None) -> None:
    """Call only the immediate function; the thread reads the signal's number from the descriptor."""
    del number, frame
    if _hearing is not None and _hearing.at_once is not None:
        _hearing.at_once()


class LastExit:
    """Exits the process after a time limit.

    Args:
        seconds: The time from ``begin`` to the exit.
        exit_process: Called with the exit code.
    """

    def __init__(self, seconds: float, exit_process: Callable[[int], None] = os._exit) -> None:
        self._seconds = seconds
        self._exit = exit_process
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Start the timer, unless it was started before."""
        if self._timer is None:
            self._timer = threading.Timer(self._seconds, self._exit, (0,))
            self._timer.daemon = True
            self._timer.start()
