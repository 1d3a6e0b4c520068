"""The verbs of workers, on PostgreSQL."""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from worker.contracts import WorkerSession
from worker.contracts.values import put_aside, put_back
from worker.engine.core import Core
from worker.engine.database.payloads import encode
from worker.engine.database.statements import deliveries as sql_deliveries
from worker.engine.database.statements import log as sql_log
from worker.engine.database.statements import presence as sql_presence
from worker.engine.database.statements import tasks as sql_tasks
from worker.engine.database.statements import workers as sql_workers
from worker.engine.state.artifacts import Produce
from worker.engine.state.messages import last_read
from worker.engine.state.references import kept_rows
from worker.engine.state.run_changes import Append, Crash, Finish, GiveBack, Keep
from worker.engine.verbs.children import children_of, make_children, wake_if_ready
from worker.engine.verbs.claims import ClaimVerbs
from worker.engine.verbs.deliveries import DeliveryQueue
from worker.engine.verbs.files import FileStore
from worker.engine.verbs.knowledge.storing import Storing
from worker.engine.verbs.providers import Providers
from worker.engine.verbs.tasks import EngineTasks
from worker.words.artifacts import Artifact
from worker.words.changes import check_changes
from worker.words.digests import mark
from worker.words.errors import Conflict, NotFound, ValidationError
from worker.words.events import NewEvent
from worker.words.knowledge import DocumentPart
from worker.words.messages import ReceivedMessage
from worker.words.outcomes import HandBack, Outcome
from worker.words.outside_rows import message_in
from worker.words.providers import ProviderFailure, ProviderState
from worker.words.statuses import EMITTED_ONCE, AgentExecutionStatus
from worker.words.tasks import NewTask, TaskRecord
from worker.words.texts import clean
from worker.words.work import (
    MAX_TROUBLES,
    TROUBLE_CHARACTERS,
    Delivery,
    DeliveryDemand,
    JournalEntry,
    KeptFile,
    WorkerCard,
    WorkerWear,
)

EVENTS_PER_READ = 100  # events per read; a tool's result may be as large as a file


class EngineWork(ClaimVerbs):
    """The verbs of workers, for one organization."""

    def __init__(self, core: Core, organization_id: str, tasks: EngineTasks) -> None:
        super().__init__(core, organization_id)
        self._tasks = tasks
        self._files = FileStore(core, organization_id, patient=True)
        self.delivery_queue = DeliveryQueue(core, organization_id, tasks)
        self._providers = Providers(core, organization_id)
        self._storing = Storing(core, organization_id)
        self._conversations = tasks.conversations

    async def register(self, card: WorkerCard, *, session: WorkerSession | None = None) -> None:
        """Register the worker with its agents and subscriptions, and start to renew its lease.

        Args:
            card: The worker.
            session: The session of a remote worker, whose lease is its only sign of life, and is renewed only by
                ``renew``.

        Raises:
            Conflict: Another worker has its id.
            ConfigurationError: The secrets of tasks are encrypted with a key that this process does not have.
        """
        if session is None:
            await self._core.check_rights()
        await self._core.check_key()
        remote = session is not None
        rows = await self._core.rows(
            sql_workers.REGISTER,
            {
                "id": card.id,
                "organization": self._organization,
                "name": clean(card.name),
                "agents": list(card.agents),
                "any_agent": card.any_agent,
                "concurrency": card.concurrency,
                "isolates": card.isolates,
                "reads_documents": card.reads_documents,
                "has_lock": not self._core.pooled and not remote,
                "lease": card.lease_seconds,
                "registered_by": session.key if session else sql_workers.LOCAL,
                "session": session.secret if session else None,
                "tools": encode([each.model_dump() for each in card.tools]) if card.tools else None,
            },
        )
        if not rows:
            raise Conflict(f"Another worker already has the id {card.id!r}.")
        row = rows[0]
        if card.agents:
            await self._core.rows(sql_workers.ANNOUNCE_AGENTS, (self._organization, list(card.agents)))
        await self._conversations.set_modes(card.conversations)
        subscriptions = await self.delivery_queue.subscribe(card, remote=remote)
        if remote:
            self._core.guard()
            return
        self._local.add(card.id)
        self._core.beat(card.id, row["lock_key"], card.lease_seconds, subscriptions)
        await asyncio.to_thread(self._core.heartbeat.ready, 5)

    @property
    def session(self) -> str | None:
        """The worker's session: None, since every process with access to the database is trusted."""
        return None

    def take_over(self, session: str | None) -> None:
        """Do nothing: there is no session to take over."""

    async def emit(
        self,
        task_id: str,
        attempt: int,
        events: Sequence[NewEvent],
        journal: Sequence[JournalEntry] = (),
        *,
        sequence: int | None = None,
    ) -> None:
        """Append events and journal entries."""
        if events or journal:
            entries = await put_aside(self._files.store, journal)
            change = Append(self._organization, task_id, attempt, events, entries, sequence, last_read(journal))
            await self._core.writer.write(change)

    async def journal(self, task_id: str) -> dict[str, str]:
        """Read a task's journal."""
        return await put_back(self._files.open, await self.entries(task_id))

    async def entries(self, task_id: str) -> list[JournalEntry]:
        """Read a task's journal as it is stored, with references for large values."""
        keys = clean(task_id), self._organization
        rows = await self._core.read(sql_log.READ_JOURNAL, keys, patient=True)
        return [
            JournalEntry(
                row["key"], self._core.vault.opened_entry(row["value"]), row["sha256"] and f"worker:{row['sha256']}"
            )
            for row in rows
        ]

    async def messages(self, task_id: str, after: int = 0) -> list[ReceivedMessage]:
        """Read the messages sent to a task."""
        keys = clean(task_id), self._organization
        rows = await self._core.read(sql_log.READ_MESSAGES, keys, patient=True)
        found = [message_in(json.loads(self._core.vault.opened_entry(row["value"]))) for row in rows]
        known = sorted((each for each in found if each is not None), key=lambda each: each.number)
        return [each for each in known if each.number > max(after, rows[0]["heard"])]

    async def earlier_events(self, task_id: str, attempt: int) -> list[str]:
        """Return marks of the events of earlier attempts, reading a few events at a time, since one may be large."""
        marks, after = list[str](), 0
        while True:
            keys = clean(task_id), self._organization, attempt, list(EMITTED_ONCE), after, EVENTS_PER_READ
            rows = await self._core.read(sql_log.READ_EARLIER_EVENTS, keys, patient=True)
            marks += [mark(NewEvent(type=row["type"], data=row["data"])) for row in rows]
            if len(rows) < EVENTS_PER_READ:
                return marks
            after = rows[-1]["number"]

    async def keep_files(self, task_id: str, attempt: int, files: Sequence[KeptFile]) -> None:
        """Record the files that an attempt has read for its task."""
        if files:
            await self._core.writer.write(Keep(self._organization, task_id, attempt, kept_rows(files)))

    async def store_document(self, task_id: str, attempt: int, part: DocumentPart) -> None:
        """Store a part of a document that the task reads."""
        await self._storing.store(task_id, attempt, part)

    async def finish(self, task_id: str, attempt: int, outcome: Outcome, *, sequence: int | None = None) -> None:
        """Store the attempt's outcome."""
        if not outcome.status.is_terminal and outcome.status is not AgentExecutionStatus.Paused:
            raise ValidationError(f"an attempt cannot end as {outcome.status}", field="status")
        checked = replace(outcome, changes=check_changes(outcome.changes))
        await self._core.writer.write(Finish(self._organization, task_id, attempt, checked, sequence))
        self._given.pop(task_id, None)

    async def hand_back(self, task_id: str, attempt: int, back: HandBack, *, sequence: int | None = None) -> None:
        """Queue the task again."""
        await self._core.writer.write(GiveBack(self._organization, task_id, attempt, back, sequence))
        self._given.pop(task_id, None)
        if back.awaits:
            await wake_if_ready(self._core, task_id)

    async def save_artifacts(self, task_id: str, attempt: int, artifacts: Sequence[Artifact]) -> None:
        """Record files that a run has made."""
        if artifacts:
            await self._files.check(each.url for each in artifacts if each.sha256 is not None)
            await self._core.writer.write(Produce(self._organization, task_id, attempt, artifacts))

    async def make_children(self, task_id: str, attempt: int, children: Mapping[str, NewTask]) -> None:
        """Create those of a run's children that do not exist yet."""
        await make_children(self._core, self._tasks.create, self._organization, (task_id, attempt), children)

    async def children(self, task_id: str, children: Sequence[str]) -> list[TaskRecord]:
        """Return some of a task's children."""
        return await children_of(self._core, self._organization, task_id, children)

    async def providers(self) -> list[ProviderState]:
        """List the providers whose last call failed."""
        return await self._providers.listed()

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState:
        """Count a failed call to a provider."""
        return await self._providers.failed(failure)

    async def provider_answered(self, provider_id: str) -> None:
        """End the wait for a provider."""
        await self._providers.answered(provider_id)

    async def crashed(
        self, task_id: str, attempt: int, reason: str, delay: float = 0.0, *, sequence: int | None = None
    ) -> None:
        """Charge a crash, and queue the task again or fail it."""
        await self._core.writer.write(Crash(self._organization, task_id, attempt, reason, delay, sequence))
        self._given.pop(task_id, None)

    async def lost(self, claimed: Mapping[str, int]) -> dict[str, AgentExecutionStatus]:
        """Return the attempts that have lost their lease."""
        if not claimed:
            return {}
        rows = await self._core.rows(sql_tasks.LOST, (list(claimed), list(claimed.values()), self._organization))
        self._core.writer.owned_rows.forget(row["id"] for row in rows)
        for row in rows:
            self._given.pop(row["id"], None)
        return {row["id"]: AgentExecutionStatus(row["status"]) for row in rows}

    def cut_off(self, claimed: Mapping[str, int]) -> list[str]:
        """Return the tasks whose attempts may have been superseded, by this process's own clock."""
        return [task_id for task_id, attempt in claimed.items() if self._core.writer.is_cut_off(task_id, attempt)]

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Register a function to be called with ids of changed tasks, and return a function that removes it."""
        return self._core.wakeups.listen(wake)

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:
        """Claim due events of the worker's subscriptions, waiting if there are none."""
        return await self.delivery_queue.deliveries(worker_id, demand, seconds)

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """Advance the cursor, or schedule a retry, or set the event aside."""
        return await self.delivery_queue.settle(delivery, error, final=final)

    async def renew(self, worker_id: str) -> None:
        """Renew a remote worker's lease."""
        if not await self._core.rows(sql_presence.RENEW_OF, (worker_id, self._organization)):
            raise NotFound(f"There is no worker {worker_id!r}.")

    async def report(self, worker_id: str, wear: WorkerWear) -> None:
        """Report the state of a worker's process."""
        troubles = [clean(each[:TROUBLE_CHARACTERS]) for each in wear.troubles[:MAX_TROUBLES]]
        said = (wear.hung_threads, wear.memory, wear.runs, list(wear.recent), troubles)
        if not await self._core.rows(sql_workers.REPORT, (*said, worker_id, self._organization)):
            raise NotFound(f"There is no worker {worker_id!r}.")

    async def drain(self, worker_id: str) -> None:
        """Record that a worker is draining."""
        if not await self._core.rows(sql_workers.DRAIN, (worker_id, self._organization)):
            raise NotFound(f"There is no worker {worker_id!r}.")

    async def leave(self, worker_id: str) -> None:
        """Remove the worker, and queue again the tasks that it still holds, without a charge.

        They are handed back while the worker is still listed and its lock is held: otherwise a rescuer might be faster,
        and charge a suspicion.
        """
        claimed = await self._core.read(sql_workers.TASKS_OF_WORKER, (worker_id,))
        await self._core.rescue.give_back(claimed)
        await self._core.by_index(sql_deliveries.RELEASE_CURSORS, (worker_id,))
        if worker_id in self._local:
            self._local.discard(worker_id)
            self._core.heartbeat.release()
        self.delivery_queue.forget(worker_id)
        self._found_all.pop(worker_id, None)
        await self._core.rows(sql_workers.LEAVE, (worker_id,))
