"""File locks: one process at a time may start or stop a server, and a shared lock counts its users.

The kernel drops the locks of a process that dies, so no count can go stale.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from worker.engine.embedded.errors import EmbeddedFailed

WAIT_SECONDS = 150  # longer than one start (60) and one stop (40) together, so a queue of two gets through
POLL_SECONDS = 0.02  # a start takes about 100 ms; flock itself cannot wait with a limit


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Hold the lock file exclusively.

    Args:
        path: The lock file; created if missing, never removed (after that, two processes could hold "the" lock).

    Raises:
        EmbeddedFailed: Another process held it all that time.
    """
    handle = _open(path)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not _try_exclusive(handle):
            if time.monotonic() > deadline:
                raise EmbeddedFailed(
                    f"another process has been starting or stopping PostgreSQL for {WAIT_SECONDS} s ({path})"
                )
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(handle)


class UserLock:
    """One user's share in a server: a shared lock on the users file. Change it only while holding the start lock."""

    def __init__(self, path: Path) -> None:
        import fcntl  # not on Windows, where this module is imported too

        self._handle = _open(path)
        fcntl.flock(self._handle, fcntl.LOCK_SH)

    def is_last(self) -> bool:
        """Return whether the server has no other user. The share may be lost by this: call it only when leaving."""
        return _try_exclusive(self._handle)

    def release(self) -> None:
        """Release the share."""
        os.close(self._handle)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _try_exclusive(handle: int) -> bool:
    import fcntl  # not on Windows, where this module is imported too

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
