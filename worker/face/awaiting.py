"""The other tasks that a run waits for, as its calls show: it follows their events, or polls their state."""

import math
import time
from collections.abc import Generator
from contextlib import contextmanager

from worker.current import run_in_hand
from worker.words.tasks import TaskRecord


def note_polled(record: TaskRecord) -> None:
    """Note the state in which the current run found another task."""
    run = run_in_hand.get()
    if run is None or record.id == run.task_id:
        return
    if record.status.is_terminal:
        run.awaits.pop(record.id, None)
    else:
        run.awaits[record.id] = time.monotonic()


@contextmanager
def note_following(task_id: str) -> Generator[None]:
    """Note that the current run follows another task, for the duration of the block."""
    run = run_in_hand.get()
    if run is None or task_id == run.task_id:
        yield
        return
    run.awaits[task_id] = math.inf
    try:
        yield
    finally:
        run.awaits.pop(task_id, None)
