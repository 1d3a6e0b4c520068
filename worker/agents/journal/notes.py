"""Notes in the task's log about calls and text that were not journaled, not reused, or are repeated."""

from worker.agents.journal import rows
from worker.words.events import NewEvent, note_event


def too_large(what: str) -> NewEvent:
    """Return the note that a call's result is too large to be journaled."""
    size = rows.VALUE_BYTES // 1024**2
    text = f"{what} is larger than {size} MiB and is not recorded in the journal; a retry would repeat the call."
    return note_event(text, "journal")


def not_reused() -> NewEvent:
    """Return the note that completed calls are made again."""
    text = (
        "Some calls that an earlier attempt completed are repeated, because the agent, its model, tools,"
        " instructions or input have changed since."
    )
    return note_event(text, "journal")


def discard_text() -> NewEvent:
    """Return the note that discards streamed text whose answer was never completed."""
    return note_event("Discard the unfinished text: the answer was interrupted and starts again.", "discard")


def superseded_answer() -> NewEvent:
    """Return the note that discards an answer because a new message has arrived, which the agent answers instead."""
    text = "Discard the last answer: a new message has arrived, and the agent answers it instead."
    return note_event(text, "discard")
