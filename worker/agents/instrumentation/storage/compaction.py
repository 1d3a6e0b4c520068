"""Agno's records of folded history (``Compaction``), which are no part of a session: each task finds its own.

Agno stores such a record before the model is asked. An earlier attempt's record would be found by the next attempt: its
history would be folded already, and its agent would be offered one more tool, a search of the folded messages.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from worker.agents.instrumentation.frames import Frame, current_frame
from worker.agents.instrumentation.places import Original
from worker.agents.instrumentation.stable_ids import id_from_seed
from worker.agents.instrumentation.storage.sessions import is_from_earlier_attempt

Record = dict[str, Any]
"""A row of Agno's table."""

READING = ("get_compactions_for_session", "search_compactions")


def archive(original: Original) -> Original:
    """Make the hook for the records of a session, from which an attempt reads what the task found and adds its own."""

    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        records, frame = original(self, *arguments, **options), current_frame.get()
        if records is not None and frame is not None:
            records.db = _Records(records.db, frame)
        return records

    return hook


def summary(original: Original) -> Original:
    """Make the hook for summarizing: the answer is journaled before Agno stores it."""

    async def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        made, frame = await original(self, *arguments, **options), current_frame.get()
        if frame is not None:
            await frame.run.buffer.all_stored()
        return made

    return hook


def summary_sync(original: Original) -> Original:
    """Sync version of ``summary``, without the wait if this code blocks the loop."""

    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        made, frame = original(self, *arguments, **options), current_frame.get()
        if frame is not None and threading.get_ident() != frame.run.thread:
            frame.run.on_loop(frame.run.buffer.all_stored)
        return made

    return hook


class _Records:
    """A database without the records of this task's earlier attempts.

    Args:
        db: Agno's database.
        frame: The frame in which its records are read and written.
    """

    def __init__(self, db: Any, frame: Frame) -> None:
        self._db = db
        self._frame = frame

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._db, name)
        if name == "upsert_compaction":
            return partial(self._added, method)
        return partial(self._found, method) if name in READING else method

    def _added(self, add: Callable[[Record], None], row: Record) -> None:
        """Add a record with an id derived from its place, so that the database keeps one for all attempts."""
        made = id_from_seed(f"{row['run_id']}:{row['first_kept_message_id']}").hex
        self._frame.run.folds.add(made)
        add({**row, "compaction_id": made})

    def _found(self, read: Callable[..., list[Record]], *arguments: Any, **options: Any) -> list[Record]:
        return [each for each in read(*arguments, **options) if self._is_found(each)]

    def _is_found(self, row: Record) -> bool:
        known = self._frame.run.folds
        return row["compaction_id"] in known or not is_from_earlier_attempt(row["run_id"], self._frame)
