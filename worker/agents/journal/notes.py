"""Notes of a journal: what was not kept, not reused, or is done again."""

from worker.agents.journal import rows
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType


def too_large(what: str) -> NewEvent:
    """The event that says that a call was not journaled."""
    size = rows.VALUE_BYTES // 1024**2
    return _note(
        "journal", f"{what} is larger than {size} MiB and is not journaled: a retry would make the call again."
    )


def not_reused() -> NewEvent:
    """The event that says that completed calls are made again."""
    return _note(
        "journal",
        "Some calls that an earlier attempt completed are made again: the agent, its model, tools, instructions or"
        " input have changed, so the earlier answers no longer fit.",
    )


def discard_text() -> NewEvent:
    """The event that takes back streamed text whose answer was never completed."""
    return _note("discard", "Discard the unfinished text: the answer broke off and is given again from the start.")


def answers_again() -> NewEvent:
    """The event that takes back an answer after which somebody has said more, which the agent answers, too."""
    return _note("discard", "Discard the last answer: somebody has said more, and is answered in its place.")


def _note(kind: str, text: str) -> NewEvent:
    return NewEvent(type=TaskUpdateEventType.Note, data={"text": text, "kind": kind})
