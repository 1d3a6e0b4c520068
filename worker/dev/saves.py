"""Saves in a folder, noticed by notifications of the system, and by a check once a second where there are none."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch

POLL_SECONDS = 1.0  # network folders, containers' mounts and folders created again send no notifications
SETTLE_MILLISECONDS = 50  # an editor's save is several changes, and ends when there is none for this long
LONGEST_MILLISECONDS = 400  # after which a save counts even if changes continue

_ignored = DefaultFilter()  # bytecode, hidden folders, editors' own files

Look = dict[str, tuple[int, int, int]]


class Saves:
    """The saves in a folder since the creation of this object.

    Args:
        folder: The folder, which may disappear and come back.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = look(folder)

    async def each(self) -> AsyncGenerator[None]:
        """Yield after each save; several at the same time count as one."""
        while True:
            async for _ in self._hints():
                now = look(self._folder)
                if now != self._seen:
                    self._seen = now
                    yield

    async def _hints(self) -> AsyncGenerator[None]:
        """Yield whenever the folder should be checked, until it is replaced by another one."""
        watched = _identity(self._folder)
        if watched is None:
            await asyncio.sleep(POLL_SECONDS)
            yield
            return
        hints = awatch(
            self._folder,
            watch_filter=_ignored,
            debounce=LONGEST_MILLISECONDS,
            step=SETTLE_MILLISECONDS,
            rust_timeout=int(POLL_SECONDS * 1000),
            yield_on_timeout=True,
        )
        try:
            async for _ in hints:
                yield
                if _identity(self._folder) != watched:
                    return
        except FileNotFoundError:
            return
        finally:
            await hints.aclose()


def look(folder: Path) -> Look:
    """Return every relevant file, with the metadata that changes when it is saved."""
    found: Look = {}
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if _counts(os.path.join(place, name))]  # noqa: PTH118 - many, each second
        for name in files:
            path = os.path.join(place, name)  # noqa: PTH118 - the same
            if _counts(path):
                try:
                    status = os.stat(path)  # noqa: PTH116 - the same
                except FileNotFoundError:
                    continue
                found[path] = status.st_mtime_ns, status.st_size, status.st_ino
    return found


def _counts(path: str) -> bool:
    return _ignored(Change.modified, path)


def _identity(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino
    except OSError:
        return None
