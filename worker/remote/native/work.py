"""The verbs of workers in the native protocol, between our own worker and our own server."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import count
from typing import Any

from worker.contracts.values import NULL, put_aside, put_back
from worker.remote.clients.tasks import RemoteTasks
from worker.remote.flags import Flags
from worker.remote.http.heartbeats import Heartbeats
from worker.remote.http.refusals import Subject
from worker.remote.http.transport import Transport
from worker.remote.native.claiming import Claiming
from worker.remote.native.persistent_requests import PersistentRequests
from worker.remote.native.presence import NativePresence
from worker.remote.native.verb_client import Verb, VerbClient
from worker.wire.deliveries import named
from worker.wire.records import UnreadableRecord, record_of, records_of, task_of
from worker.words.artifacts import Artifact
from worker.words.errors import CutOff, LeaseLost, ValidationError
from worker.words.events import NewEvent
from worker.words.knowledge import DocumentPart, encode_vector
from worker.words.messages import ReceivedMessage
from worker.words.outcomes import HandBack, Outcome
from worker.words.providers import ProviderFailure, ProviderState
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import NewTask, TaskRecord
from worker.words.texts import clean
from worker.words.work import (
    Assignment,
    Delivery,
    DeliveryDemand,
    Demand,
    JournalEntry,
    KeptFile,
    WorkerCard,
    WorkerWear,
)

LARGE_CHARACTERS = 1024 * 1024  # texts of a task beyond this are uploaded, since a request may have 10 MiB in all
BY_FILE = 2  # the first version of the server's verbs that accepts references to texts

FIRST_OF_A_WORKER = 1 << 24
"""The first number of a worker's writes. Its child processes use lower numbers, so the worker has the final write."""


class NativeWork:
    """The verbs of workers on our own server."""

    def __init__(self, transport: Transport, tasks: RemoteTasks, flags: Flags, heartbeats: Heartbeats) -> None:
        self._tasks = tasks
        self._flags = flags
        self._client = VerbClient(transport)
        self._claiming = Claiming(self._client, flags)
        self._presence = NativePresence(
            transport, self._client.url, flags, heartbeats, self._introduce, lease=self._claiming.lease
        )
        self._persistent = PersistentRequests()
        self._sequence = count(1)  # numbers of writes, by which the server recognizes repeats

    async def register(self, card: WorkerCard) -> None:
        """Register the worker, then start its heartbeats and its stream of hints."""
        await self._introduce(card)
        if self._client.worker_id is None:
            self._sequence = count(FIRST_OF_A_WORKER)
        self._client.worker_id = card.id
        self._presence.begin(card)

    async def _introduce(self, card: WorkerCard) -> None:
        await self._client.single(Verb({"verb": "register", "card": asdict(card)}), card.id)

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:
        """Claim tasks that the worker can start; the server waits until there are some."""
        return await self._claiming.assignments(worker_id, demand, seconds)

    async def emit(
        self, task_id: str, attempt: int, events: Sequence[NewEvent], journal: Sequence[JournalEntry] = ()
    ) -> None:
        """Append events and journal entries."""
        if events or journal:
            entries = await self._persistent.ask(
                task_id, "storing a large value", lambda: put_aside(self._tasks.store_file, journal)
            )
            rows = [[part for part in entry if part is not None] for entry in entries]
            what = {"events": list(events), "journal": rows}
            await self._write("emit", task_id, attempt, what)
            self._check_claimed(task_id, attempt)

    async def journal(self, task_id: str) -> dict[str, str]:
        """Return the task's journal."""
        verb = Verb({"verb": "journal", "task_id": task_id}, Subject(task_id=task_id))

        async def once() -> dict[str, str]:
            read = await self._client.batched(verb)
            if not isinstance(read, dict):
                raise UnreadableRecord("a journal", "not an object")
            return await put_back(self._tasks.open_file, (_entry(key, value) for key, value in read.items()))

        return await self._persistent.ask(task_id, "reading a journal", once)

    async def messages(self, task_id: str, after: int = 0) -> list[ReceivedMessage]:
        """Return the messages sent to the task; none from a server that is too old for them."""
        verb = Verb({"verb": "messages", "task_id": task_id, "after": after}, Subject(task_id=task_id))

        async def once() -> list[ReceivedMessage]:
            try:
                read = await self._client.batched(verb)
            except ValidationError:
                return []
            if not isinstance(read, list):
                raise UnreadableRecord("messages", "not a list")
            return [record_of(ReceivedMessage, each) for each in read]

        return await self._persistent.ask(task_id, "reading messages", once)

    async def earlier_events(self, task_id: str, attempt: int) -> list[str]:
        """Return the events that earlier attempts have already sent; none from a server that is too old."""
        verb = Verb({"verb": "told", "task_id": task_id, "attempt": attempt}, Subject(task_id=task_id))

        async def once() -> list[str]:
            try:
                read = await self._client.batched(verb)
            except ValidationError:
                return []
            if not isinstance(read, list) or not all(isinstance(each, str) for each in read):
                raise UnreadableRecord("sent events", "not a list of strings")
            return read

        return await self._persistent.ask(task_id, "reading sent events", once)

    async def save(
        self, task_id: str, changes: Mapping[str, Any], attempt: int, origin: str | None = None
    ) -> TaskRecord:
        """Store a run's changes of its task, and return the task."""
        rest, files = await self._by_file(task_id, changes)
        what = {"changes": rest, "files": files, "origin": origin}
        saved = task_of(await self._write("save", task_id, attempt, what))
        self._check_claimed(task_id, attempt)
        return saved

    def _check_claimed(self, task_id: str, attempt: int) -> None:
        """Raise CutOff if the attempt's lease has expired, since another attempt may have started in the meantime."""
        if self._claiming.is_cut_off(task_id, attempt):
            raise CutOff(task_id, attempt)

    async def _by_file(self, task_id: str, changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Upload texts that are too large for a request; return the other changes, and the references by field.

        Raises:
            TooLarge: A text is larger than any file may be.
        """
        rest, files = dict(changes), dict[str, str]()
        for name, value in changes.items():
            if isinstance(value, str) and len(value) > LARGE_CHARACTERS and self._client.server_version >= BY_FILE:
                content = clean(value).encode()
                files[name] = await self._persistent.ask(
                    task_id, f"storing a large {name}", partial(self._tasks.store_file, name, "text/plain", content)
                )
                del rest[name]
        return rest, files

    async def keep_files(self, task_id: str, attempt: int, files: Sequence[KeptFile]) -> None:
        """Record with the task the files that were downloaded from its URLs."""
        if files:
            await self._write("keep_files", task_id, attempt, {"files": [asdict(each) for each in files]})

    async def store_document(self, task_id: str, attempt: int, part: DocumentPart) -> None:
        """Store a part of a document that the task reads for a knowledge base."""
        chunks = [
            {**each._asdict(), "vector": None if each.vector is None else encode_vector(each.vector)}
            for each in part.chunks
        ]
        body = {"verb": "store_document", "task_id": task_id, "attempt": attempt, **part._asdict(), "chunks": chunks}
        verb = Verb(body, Subject(task_id=task_id, attempt=attempt))
        await self._persistent.ask(task_id, "storing a document", lambda: self._client.batched(verb))

    async def finish(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """End or pause the attempt with its outcome."""
        changes, files = await self._by_file(task_id, outcome.changes)
        what = {"status": outcome.status, "changes": changes, "files": files}
        what |= {"taken": outcome.taken} if outcome.taken else {}
        await self._end("finish", task_id, attempt, {"outcome": what})

    async def hand_back(self, task_id: str, attempt: int, back: HandBack) -> None:
        """Hand back the task, so that it is queued again."""
        await self._end("hand_back", task_id, attempt, asdict(back))

    async def save_artifacts(self, task_id: str, attempt: int, artifacts: Sequence[Artifact]) -> None:
        """Record files that a run has produced."""
        if artifacts:
            await self._write(
                "save_artifacts", task_id, attempt, {"artifacts": [each.model_dump() for each in artifacts]}
            )

    async def make_children(self, task_id: str, attempt: int, children: Mapping[str, NewTask]) -> None:
        """Create those children of a run that do not exist yet."""
        made = [{**new.model_dump(), "child_id": child} for child, new in children.items()]
        await self._write("make_children", task_id, attempt, {"children": made})

    async def children(self, task_id: str, children: Sequence[str]) -> list[TaskRecord]:
        """Return some of a task's children."""
        verb = Verb({"verb": "children", "task_id": task_id, "children": list(children)}, Subject(task_id=task_id))
        read = await self._persistent.ask(task_id, "reading the task's children", partial(self._client.batched, verb))
        if not isinstance(read, list):
            raise UnreadableRecord("children", "not a list")
        return [task_of(each) for each in read]

    async def providers(self) -> list[ProviderState]:
        """Return the providers whose last call failed; none from a server that is too old to track them."""
        try:
            rows = await self._client.batched(Verb({"verb": "providers"}))
        except ValidationError:
            return []
        return records_of(ProviderState, rows)

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState | None:
        """Count a failed call of a provider."""
        try:
            state = await self._client.batched(Verb({"verb": "provider_failed", **asdict(failure)}))
            return record_of(ProviderState, state)
        except ValidationError:
            return None

    async def provider_answered(self, provider_id: str) -> None:
        """Record that a provider answers again."""
        with suppress(ValidationError):
            await self._client.batched(Verb({"verb": "provider_answered", "id": provider_id}))

    async def crashed(self, task_id: str, attempt: int, reason: str, delay: float = 0.0) -> None:
        """Charge the task with a crash, and queue it again or fail it."""
        await self._end("crashed", task_id, attempt, {"reason": reason, "delay": delay})

    async def _end(self, verb: str, task_id: str, attempt: int, what: Mapping[str, Any]) -> None:
        """Write an attempt's outcome, and stop tracking its task unless the write fails and another will follow."""
        try:
            await self._write(verb, task_id, attempt, what)
        except LeaseLost:
            self._claiming.drop(task_id, attempt)
            raise
        self._claiming.drop(task_id, attempt)

    async def _write(self, verb: str, task_id: str, attempt: int, what: Mapping[str, Any]) -> Any:
        """Carry out a run's write exactly once, repeating its request until it is answered."""
        numbered: list[Verb] = []

        async def once() -> Any:
            if not numbered:  # numbered when its turn comes, so that numbers grow in the order of sending
                body = {"verb": verb, "task_id": task_id, "attempt": attempt, "sequence": next(self._sequence), **what}
                numbered.append(Verb(body, Subject(task_id=task_id, attempt=attempt)))
            return await self._client.batched(numbered[0])

        return await self._persistent.ask(task_id, "storing a run's changes", once)

    async def lost(self, claimed: Mapping[str, int]) -> dict[str, AgentExecutionStatus]:
        """Return the attempts that have lost their lease, with the status of each task."""
        if not claimed:
            return {}
        answer = await self._client.batched(Verb({"verb": "lost", "held": dict(claimed)}))
        if not isinstance(answer, dict):
            raise UnreadableRecord("an answer", "not an object")
        lost = {task_id: _status(status) for task_id, status in answer.items() if task_id in claimed}
        for task_id in lost:
            self._claiming.drop(task_id, claimed[task_id])
        return lost

    def cut_off(self, claimed: Mapping[str, int]) -> list[str]:
        """Return the attempts whose lease has expired by this process's clock."""
        return [task_id for task_id, attempt in claimed.items() if self._claiming.is_cut_off(task_id, attempt)]

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:
        """Claim due deliveries for this worker's subscriptions, waiting until there are some."""
        return await self._claiming.deliveries(worker_id, demand, seconds)

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """Settle a delivery: as handled, or if it failed, retry it later or set it aside."""
        subject = Subject(task_id=delivery.event.task_id, attempt=delivery.claim)
        surely = False
        try:
            verb = Verb({"verb": "settle", "delivery": named(delivery), "error": error, "final": final}, subject)
            set_aside = bool(await self._client.batched(verb))
            surely = True
        except LeaseLost:
            surely = True
            raise
        finally:
            self._claiming.settled(delivery, surely=surely)
        return set_aside

    async def renew(self, worker_id: str) -> None:
        """Renew a worker's leases."""
        await self._client.single(Verb({"verb": "renew"}), worker_id)

    async def report(self, worker_id: str, wear: WorkerWear) -> None:
        """Report the worker's memory use, hung threads and other signs of wear; an old server refuses the verb."""
        await self._client.single(Verb({"verb": "report", **asdict(wear)}), worker_id)

    async def drain(self, worker_id: str) -> None:
        """Report that the worker is draining."""
        await self._client.single(Verb({"verb": "drain"}), worker_id)

    async def leave(self, worker_id: str) -> None:
        """Remove the worker from the list."""
        stream = self._presence.end(worker_id)
        await self._client.single(Verb({"verb": "leave"}), worker_id)
        if stream is not None:
            stream.cancel()
            await asyncio.gather(stream, return_exceptions=True)

    async def close(self) -> None:
        """Stop all background work."""
        self._persistent.end()
        await self._presence.close()
        await self._client.close()

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Register a listener for changed tasks; return a function that removes it."""
        return self._flags.listen(wake)


def _status(text: Any) -> AgentExecutionStatus:
    """Parse a status; an unknown one counts as stopped, so that a lost run ends."""
    try:
        return AgentExecutionStatus(text)
    except ValueError:
        return AgentExecutionStatus.Stopped


def _entry(key: str, value: Any) -> JournalEntry:
    """Parse an entry of the journal: a value, or the reference of a large one."""
    if isinstance(value, dict):
        return JournalEntry(key, NULL, str(value.get("reference")))
    return JournalEntry(key, str(value))
