"""Processes that handlers fork: they share the worker's descriptors, and must not answer its signals."""

import os
import signal
import threading
from contextlib import suppress

_handled: set[int] = set()
_before = threading.local()  # the forking thread's mask of signals


def leave_signals(*numbers: int) -> None:
    """Have forked processes treat signals as if no worker had asked for them.

    A signal to a child would otherwise be written to the descriptor that wakes the worker's event loop, and end the
    worker in place of the child.

    Args:
        numbers: The signals that this process handles.
    """
    if not _handled:
        os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_begin_anew)
    _handled.update(numbers)


def _hold() -> None:
    """Have no signal reach the child before it is one of its own."""
    _before.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _handled)


def _let_go() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _before.mask)


def _begin_anew() -> None:
    with suppress(ValueError):  # not the child's main thread: no Python known to us does that
        signal.set_wakeup_fd(-1)
        for number in _handled:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _let_go()
