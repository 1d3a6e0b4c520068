"""A task taken up several times: each attempt may die at any of its writes, the next one finds what was stored."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, cast

from tests.agents.runs import task
from worker.agents.journal import Journal, ReplayOrder, not_reused
from worker.agents.journal.call_sites import call_site
from worker.agents.running import run
from worker.agents.runs.material import Material, RunResult
from worker.contracts import Work
from worker.current import STORE_SECONDS, Run, position, run_in_hand
from worker.words.digests import mark
from worker.words.errors import LeaseLost
from worker.words.events import NewEvent
from worker.words.messages import ReceivedMessage
from worker.words.providers import ProviderFailure, ProviderState
from worker.words.statuses import EMITTED_ONCE
from worker.words.work import JournalEntry

GRACE = 0.1  # seconds; what is replayed here asks within milliseconds

Handler = Callable[[Callable[..., Awaitable[RunResult]]], Awaitable[Any]]


class Effect(NamedTuple):
    """What a tool or a function did, the key of its call, and the attempt that made it."""

    what: str
    key: str | None
    attempt: int | None


def current_attempt() -> int | None:
    """The attempt that calls: of one that was killed, threads may go on for a moment."""
    run = run_in_hand.get()
    return None if run is None else run.attempt


class Task:
    """What a platform keeps of one task: events and journal, written together or not at all."""

    def __init__(self, **wishes: Any) -> None:
        self.record = task(**wishes)
        self.log: list[tuple[int, NewEvent]] = []  # each with the attempt that emitted it
        self.rows: dict[str, str] = {}
        self.attempt = 0
        self.writes = 0
        self.last_run: Run | None = None
        self.leaving = False
        self.saved: dict[str, Any] = {}  # what a handler saves on the task, as it skips what is done
        self._dies_at: int | None = None
        self._died = asyncio.Event()
        self._tasks: list[asyncio.Task[Any]] = []

    async def journal(self, task_id: str) -> dict[str, str]:
        assert task_id == self.record.id
        return dict(self.rows)

    async def earlier_events(self, task_id: str, attempt: int) -> list[str]:
        assert task_id == self.record.id
        events = [event for told_by, event in self.log if told_by < attempt and event.type in EMITTED_ONCE]
        return [mark(NewEvent(type=event.type, data=json.loads(json.dumps(event.data)))) for event in events]

    async def messages(self, task_id: str, after: int) -> list[ReceivedMessage]:
        """Nobody says anything to it."""
        assert (task_id, after) == (self.record.id, 0)
        return []

    async def providers(self) -> list[ProviderState]:
        return []

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState | None:
        """Keep no account of providers, as a bare platform."""

    def emitter(self) -> Callable[..., Awaitable[None]]:
        """Write in the name of the attempt that begins now."""
        attempt = self.attempt

        async def emit(events: Sequence[NewEvent], rows: Sequence[JournalEntry] = ()) -> None:
            await asyncio.sleep(0)
            if attempt != self.attempt:
                raise LeaseLost(self.record.id, attempt)
            if self.writes == self._dies_at:
                self._died.set()
                await asyncio.Event().wait()
            self.writes += 1
            self.log += [(attempt, event) for event in events]
            assert not {row.key for row in rows} & self.rows.keys(), "a key was given twice"
            self.rows |= {row.key: row.value for row in rows}

        return emit

    async def attempted(self, handler: Handler, *, dies_at: int | None = None, has_tries: bool = False) -> Any:
        """Run a handler.

        Args:
            handler: What is run.
            dies_at: How many writes it stores before it dies.
            has_tries: Whether another try is left, so that a transient failure ends this one.

        Returns:
            What it answered; None if it died.
        """
        self.attempt += 1
        self.writes, self._dies_at = 0, dies_at
        self._died.clear()
        emit = self.emitter()
        record = Run(
            self.record.id,
            "agent-1",
            cast("Work", self),
            attempt=self.attempt,
            journal=Journal(self.record.id, self.attempt, order=ReplayOrder(GRACE)),
            leaving=lambda: self.leaving,
            has_tries=has_tries,
            store_within=STORE_SECONDS if dies_at is None else 0.0,  # a process that is killed has no last seconds
        )
        self.last_run = record

        async def run_agent(agent: Any, material: Material | None = None) -> RunResult:
            place, saved = call_site(record.home), dict(self.saved)
            return await run(agent, self.record, material or Material("the question"), emit, place=place, saved=saved)

        async def going() -> Any:
            run_in_hand.set(record)
            record.home = position()
            result = await handler(run_agent)
            if record.journal is not None and record.journal.has_unclaimed_answers():
                await emit([not_reused()])
            return result

        running, died = asyncio.create_task(going()), asyncio.create_task(self._died.wait())
        await asyncio.wait([running, died], return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if self._died.is_set():
            self.attempt += 1  # whatever it still tries to write is refused
            running.cancel()
            await asyncio.wait([running])
            return None
        return await running

    def is_alive(self) -> bool:
        """Whether the attempt that runs has not died."""
        return not self._died.is_set()

    def forget_last_answer(self) -> None:
        """What a worker does before another try, where the error came of what the model said."""
        assert self.last_run is not None
        assert self.last_run.journal is not None
        row = self.last_run.journal.without_last_answer()
        assert row is not None
        self.rows[row.key] = row.value

    def rows_of(self, kind: str) -> list[dict[str, Any]]:
        return [body for text in self.rows.values() if (body := json.loads(text))["kind"] == kind]

    @property
    def events(self) -> list[NewEvent]:
        return [event for _, event in self.log]

    def said(self) -> list[tuple[str, Any]]:
        """The events, but for streamed text."""
        return [(str(event.type), event.data) for event in self.events if event.type != "chunk"]

    def notes(self) -> list[str]:
        return [event.data["kind"] for event in self.events if event.type == "note"]

    @property
    def text(self) -> str:
        return "".join(event.data for event in self.events if event.type == "chunk")
