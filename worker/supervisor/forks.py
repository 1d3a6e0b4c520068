"""Protection against handlers that fork: a fork shares the worker's descriptors and must not handle its signals."""

import os
import signal
import threading
from contextlib import suppress

_handled: set[int] = set()
_before = threading.local()  # the forking thread's signal mask


def reset_signals_in_forks(*numbers: int) -> None:
    """Restore the default handling of signals in forked processes.

    Otherwise a signal to a forked process would be written to the descriptor that wakes the worker's event loop, and
    would stop the worker instead of the forked process.

    Args:
        numbers: The signals that this process handles.
    """
    if not _handled:
        os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_reset_after_fork)
    _handled.update(numbers)


def _hold() -> None:
    """Block signals until the forked process has restored its default handlers."""
    _before.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _handled)


def _let_go() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _before.mask)


def _reset_after_fork() -> None:
    with suppress(ValueError):  # not the main thread, which happens in no Python version that we know
        signal.set_wakeup_fd(-1)
        for number in _handled:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _let_go()
