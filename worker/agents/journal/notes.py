"""Notes in the task's log about calls and text that were not journaled, not reused, or are repeated."""

from worker.agents.journal import rows
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType


def too_large(what: str) -> NewEvent:
    """Return the note that a call's result is too large to be journaled."""
    size = rows.VALUE_BYTES // 1024**2
    return _note(
        "journal",
        f"{what} is larger than {size} MiB and is not recorded in the journal; a retry would repeat the call.",
    )


def not_reused() -> NewEvent:
    """Return the note that completed calls are made again."""
    return _note(
        "journal",
        "Some calls that an earlier attempt completed are repeated, because the agent, its model, tools,"
        " instructions or input have changed since.",
    )


def discard_text() -> NewEvent:
    """Return the note that discards streamed text whose answer was never completed."""
    return _note("discard", "Discard the unfinished text: the answer was interrupted and starts again.")


def superseded_answer() -> NewEvent:
    """Return the note that discards an answer because a new message has arrived, which the agent answers instead."""
    return _note("discard", "Discard the last answer: a new message has arrived, and the agent answers it instead.")


def _note(kind: str, text: str) -> NewEvent:
    return NewEvent(type=TaskUpdateEventType.Note, data={"text": text, "kind": kind})
