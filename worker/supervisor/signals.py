"""Signal handling in a separate thread, so that a blocked event loop delays neither the notification nor the exit."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from queue import SimpleQueue
from types import FrameType
from typing import Any

from worker.current import Run, run_in_hand
from worker.words.loop_notices import SignalHandlerFailed
from worker.words.notices import announce

EXIT_SECONDS = 5.0
"""Time after the drain, of which hand-backs, final writes and hooks may use four seconds. Then the process exits, even
if a database does not answer, a handler blocks the loop, or no process reads its output."""


def handle_signals(
    numbers: Collection[signal.Signals], heard: Callable[[int], None], *, immediate: Callable[[], None] | None = None
) -> None:
    """Call a function for each of these signals, in a thread. Must be called on the main thread.

    Args:
        numbers: The signals.
        heard: Called with each received signal, in order.
        immediate: Also called on the main thread, by the signal handler itself and so before that thread continues,
            unless a library handles the signal: the thread may be a moment too late to explain why a child has died.
    """
    global _hearing  # noqa: PLW0603 - signal handlers are global to the process
    _hearing = _Hearing(frozenset(numbers), heard, immediate)
    signal.signal = _set
    restore_reception()


def restore_reception() -> None:
    """Restore the reception of signals, since libraries and event loops replace handlers and the wake-up descriptor.

    Does nothing before ``handle_signals``, or outside the main thread, which alone may change signal handlers.
    """
    if _hearing is None or threading.current_thread() is not threading.main_thread():
        return
    for number in _hearing.numbers:
        if signal.getsignal(number) in _PYTHONS_OWN:  # handlers of libraries are left in place
            _python_set(number, _noted)
    for number in _OFTEN_HANDLED:
        handler = signal.getsignal(number)
        if _is_users(handler):
            _python_set(number, _Contained(handler, None))
    try:
        _hearing.listen()
    except (OSError, ValueError):  # code of this process has closed or replaced the descriptors
        with suppress(OSError, RuntimeError):  # if there are no more descriptors or threads, the next call retries
            _hearing.renew()
            _hearing.listen()


class _Hearing:
    """Receives the numbers of signals from the kernel.

    Args:
        numbers: The signals.
        heard: Called with each received signal.
        immediate: Called by the signal handler itself.
    """

    def __init__(
        self, numbers: frozenset[int], heard: Callable[[int], None], immediate: Callable[[], None] | None
    ) -> None:
        self.numbers = numbers
        self.heard = heard
        self.immediate = immediate
        self.other = -1  # the previous wake-up descriptor, of an event loop that has its own signal handlers
        self.descriptor = -1  # written to by the kernel
        self.renew()

    def renew(self) -> None:
        """Open descriptors, and start the thread that reads from them until the other end is closed."""
        ours, kernels = socket.socketpair()
        kernels.setblocking(False)
        self.descriptor = kernels.detach()
        threading.Thread(target=self._read, args=(ours,), name="signals", daemon=True).start()

    def listen(self) -> None:
        """Have the kernel write signals to the descriptor."""
        woken = signal.set_wakeup_fd(self.descriptor, warn_on_full_buffer=False)
        if woken not in (-1, self.descriptor):
            self.other = woken

    def _read(self, ours: socket.socket) -> None:
        with suppress(OSError):
            while received := ours.recv(64):
                self._forward(received.replace(_LOOK, b""))
                for number in received:
                    if number in self.numbers:
                        self.heard(number)
                while not _failures.empty():
                    announce(_failures.get())

    def _forward(self, received: bytes) -> None:
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
    if _hearing is not None and _hearing.immediate is not None:
        _hearing.immediate()


class _Contained:
    """A user's signal handler, whose errors reach only the code of the run that set it.

    A signal may come at any time, and the worker's own code cannot handle an exception between any two of its steps.

    Args:
        handler: The user's handler.
        run: The run that set it; None means that its errors reach the code of every run.
    """

    def __init__(self, handler: Any, run: Run | None) -> None:
        self.handler = handler
        self.run = run

    def __call__(self, number: int, frame: FrameType | None) -> None:
        try:
            self.handler(number, frame)
        except BaseException as error:
            run = run_in_hand.get()
            if run is not None and (self.run is None or self.run is run):
                raise
            _failures.put(SignalHandlerFailed(signal.Signals(number).name, error))  # it needs no lock
            if _hearing is not None:
                with suppress(OSError):
                    os.write(_hearing.descriptor, _LOOK)

    def __eq__(self, other: object) -> bool:
        return self.handler == (other.handler if isinstance(other, _Contained) else other)

    def __hash__(self) -> int:
        return hash(self.handler)


_python_set = signal.signal
_failures: SimpleQueue[SignalHandlerFailed] = SimpleQueue()
_LOOK = b"\0"  # no signal: it wakes the thread that reports failures

_OFTEN_HANDLED = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2)
"""By modules, too, which had imported ``signal.signal`` before it was replaced."""


def _is_users(handler: Any) -> bool:
    return callable(handler) and not isinstance(handler, _Contained) and handler not in _PYTHONS_OWN


def _set(signalnum: int, handler: Any) -> Any:
    """Replaces ``signal.signal``."""
    return _python_set(signalnum, _Contained(handler, run_in_hand.get()) if _is_users(handler) else handler)


class LastExit:
    """Ends the process when its time is up.

    Its thread is started in advance: by the time it is needed, code may have used up all threads, or closed the
    descriptors that receive signals.

    Args:
        seconds: From ``begin`` on.
        exit_process: Called with the exit code.
    """

    def __init__(self, seconds: float, exit_process: Callable[[int], None] = os._exit) -> None:
        self._seconds = seconds
        self._exit = exit_process
        self.code = 0
        """The exit code."""
        self._begun, self._never = threading.Lock(), threading.Lock()
        self._begun.acquire()
        self._never.acquire()
        threading.Thread(target=self._end, name="last exit", daemon=True).start()

    def begin(self) -> None:
        """Start the countdown; further calls have no effect. Signal handlers may call it at any point."""
        with suppress(RuntimeError):
            self._begun.release()

    def _end(self) -> None:
        self._begun.acquire()
        self._never.acquire(timeout=self._seconds)  # no code that patches ``time.sleep`` can change this
        self._exit(self.code)
