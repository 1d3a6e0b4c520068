"""A run's way to the journal: what was completed is answered from it, what completes is noted.

The position of a model call is the number of messages it is asked with; history and system text count for nothing,
since both may differ in another attempt. A tool call stands at the answer that asked for it. A delegation is not
answered from the journal itself: its member's calls are, so that tokens, tools and the member's own records are whole.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from worker.agents.conversation import Conversation
from worker.agents.journal import Journal, Number, Place, discard_text, too_large
from worker.agents.outlet import Outlet
from worker.current import REASON_DRAIN, Run
from worker.words.digests import digest
from worker.words.events import NewEvent
from worker.words.work import JournalEntry


@dataclass(slots=True, eq=False)
class Scope:
    """Within which delegating calls model calls are made.

    Args:
        path: Those calls, from the outside in, each behind who made it.
        asks: How many model calls were made within.
    """

    path: tuple[str, ...] = ()
    asks: int = 0


@dataclass(slots=True)
class Turn:
    """The model answer that tool calls come from: whose it is, and at how many messages."""

    path: tuple[str, ...] = ()
    position: int = 0


scope_of_models: ContextVar[Scope | None] = ContextVar("scope_of_model_calls", default=None)
turn_of_tools: ContextVar[Turn | None] = ContextVar("turn_of_tool_calls", default=None)


class Replay:
    """The journal as one run uses it.

    Args:
        journal: Loaded.
        run: The attempt.
        run_id: Of the agent's run.
        outlet: Where events and rows go.
        by_beginning: Tell callers apart by how their conversation begins: a workflow's steps may share an agent.
    """

    def __init__(self, journal: Journal, run: Run, run_id: str, outlet: Outlet, *, by_beginning: bool = False) -> None:
        self.journal = journal
        self.run_id = run_id
        self.outlet = outlet
        self.by_beginning = by_beginning
        self.answered: Counter[str] = Counter()  # tool calls whose result Agno will tell once more
        self.asked: Counter[str] = Counter()  # told by Agno's event (+) or by the call itself (-), the other to come
        self.states: dict[int, Number] = {}  # by session state: which entry it was last set from
        self.contents: dict[int, tuple[Any, str]] = {}  # digests of attachments, which are the same in every call
        self.conversations: dict[str, Conversation] = {}  # by Agno's run
        self._run = run
        self._streams: dict[str, bool] = {}  # Agno's runs that stream an answer now; whether text of it was told
        self._broken_off = journal.unfinished(run_id)

    def tell(self, events: Sequence[NewEvent], *, at_once: bool = False) -> None:
        """Tell events, but for those that an earlier attempt has told."""
        fresh = self.journal.untold(events)
        if fresh:
            (self.outlet.add if at_once else self.outlet.add_soon)(fresh)

    def is_answered(self, call_id: str) -> bool:
        """Whether a tool's result was told, or has been in an earlier attempt; asked by Agno's event, once a call."""
        answered = self.answered[call_id] > 0
        self.answered[call_id] -= answered
        return answered

    def is_due(self, call_id: str, *, by_event: bool) -> bool:
        """Whether a tool call is still to be told: its event and the call itself come in either order, each once."""
        step = 1 if by_event else -1
        due = self.asked[call_id] * step >= 0
        self.asked[call_id] += step
        return due

    def opens(self, agno_run_id: str) -> list[JournalEntry]:
        """The row that goes with the first text of an answer that is not complete yet."""
        if self._streams.get(agno_run_id) is not False:
            return []
        self._streams[agno_run_id] = True
        row = self.journal.row(Place(self.run_id, (), "open", ""))
        return [row] if row else []

    def take_back(self) -> None:
        """Say that text was told whose answer was never completed, if that is so."""
        if self._broken_off:
            self._broken_off = False
            row = self.journal.row(Place(self.run_id, (), "discard", ""))
            self.outlet.add([discard_text()], [row] if row else [])

    def begin_stream(self, agno_run_id: str) -> None:
        """An answer is about to stream."""
        self._streams[agno_run_id] = False

    def end_stream(self, agno_run_id: str, *, complete: bool) -> bool:
        """It has ended; whether text of it was told."""
        told = self._streams.pop(agno_run_id, False)
        self._broken_off |= told and not complete
        return told

    def note(self, place: Place, value: Any, events: Sequence[NewEvent], what: str) -> None:
        """Note what was completed, in one transaction with the events that tell of it."""
        row = self.journal.row(place, value)
        self.outlet.add([*events, *([] if row else [too_large(what)])], [row] if row else [])

    @property
    def is_leaving(self) -> bool:
        """Whether the worker leaves."""
        return self._run.leaving()

    def suspend(self) -> asyncio.CancelledError:
        """End the run so that it goes on elsewhere; answers what to raise."""
        self._run.stopping.set(REASON_DRAIN)
        return asyncio.CancelledError(REASON_DRAIN)


def place_of(function_call: Any, replay: Replay | None) -> Place:
    """Where a tool call stands."""
    turn = turn_of_tools.get() or Turn()
    match = digest([function_call.function.name, function_call.arguments])
    at = f"{turn.position}.{function_call.call_id}"
    return Place(replay.run_id if replay else "", turn.path, "tool", at, match)


def key_of(task_id: str, place: Place, function_call: Any) -> str:
    """A tool call's idempotency key. Some providers give the same id to a call of every turn, so its place counts."""
    return f"{task_id}:{function_call.call_id}:{digest(place)[:12]}"
