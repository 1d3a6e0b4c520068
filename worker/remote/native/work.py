"""The verbs of workers in the native dialect: our own worker and our own server."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import count
from typing import Any, cast

from worker.contracts.values import NULL, put_aside, put_back
from worker.remote.clients.tasks import RemoteTasks
from worker.remote.flags import Flags
from worker.remote.http.heartbeats import Heartbeats
from worker.remote.http.refusals import Subject
from worker.remote.http.transport import Transport
from worker.remote.native.asking import Verb, VerbClient
from worker.remote.native.claiming import Claiming
from worker.remote.native.patience import Patience
from worker.remote.native.presence import NativePresence
from worker.wire.deliveries import named
from worker.wire.records import UnreadableRecord, message_of, provider_of, task_of
from worker.words.artifacts import Artifact
from worker.words.errors import CutOff, LeaseLost, ValidationError
from worker.words.events import NewEvent
from worker.words.knowledge import DocumentPart, vector_text
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

LARGE_CHARACTERS = 1024 * 1024  # of one text of a task: a server takes 10 MiB a request, all that is in it included
BY_FILE = 2  # the version of the server's verbs since which they take texts by reference

FIRST_OF_A_WORKER = 1 << 24
"""A worker numbers its writes from here on, its child processes theirs below: its word on their attempt is the last."""


class NativeWork:
    """What workers ask for, of our own server."""

    def __init__(self, transport: Transport, tasks: RemoteTasks, flags: Flags, heartbeats: Heartbeats) -> None:
        self._tasks = tasks
        self._flags = flags
        self._asking = VerbClient(transport)
        self._claiming = Claiming(self._asking, flags)
        self._presence = NativePresence(
            transport, self._asking.url, flags, heartbeats, self._introduce, lease=self._claiming.lease
        )
        self._patience = Patience()
        self._sequence = count(1)  # of writes: the server knows a repeated one by its number

    async def register(self, card: WorkerCard) -> None:
        """Introduce the worker; from then on heartbeats hold its lease and a stream brings hints."""
        await self._introduce(card)
        if self._asking.worker_id is None:
            self._sequence = count(FIRST_OF_A_WORKER)
        self._asking.worker_id = card.id
        self._presence.begin(card)

    async def _introduce(self, card: WorkerCard) -> None:
        await self._asking.alone(Verb({"verb": "register", "card": asdict(card)}), card.id)

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:
        """Claim what the worker can start; the platform waits for it where there is none."""
        return await self._claiming.assignments(worker_id, demand, seconds)

    async def emit(
        self, task_id: str, attempt: int, events: Sequence[NewEvent], journal: Sequence[JournalEntry] = ()
    ) -> None:
        """Append events and journal entries."""
        if events or journal:
            entries = await self._patience.ask(
                task_id, "storing a large value", lambda: put_aside(self._tasks.store_file, journal)
            )
            rows = [[part for part in entry if part is not None] for entry in entries]
            what = {"events": list(events), "journal": rows}
            await self._write("emit", task_id, attempt, what)
            self._check_held(task_id, attempt)

    async def journal(self, task_id: str) -> dict[str, str]:
        """Read the journal."""
        verb = Verb({"verb": "journal", "task_id": task_id}, Subject(task_id=task_id))

        async def once() -> dict[str, str]:
            read = await self._asking.together(verb)
            if not isinstance(read, dict):
                raise UnreadableRecord("a journal", "it is no object")
            return await put_back(self._tasks.open_file, (_entry(key, value) for key, value in read.items()))

        return await self._patience.ask(task_id, "reading a journal", once)

    async def messages(self, task_id: str, after: int = 0) -> list[ReceivedMessage]:
        """Read what was said to the task; a server of a version before knows no such question."""
        verb = Verb({"verb": "messages", "task_id": task_id, "after": after}, Subject(task_id=task_id))

        async def once() -> list[ReceivedMessage]:
            try:
                read = await self._asking.together(verb)
            except ValidationError:
                return []
            if not isinstance(read, list):
                raise UnreadableRecord("messages", "they are no list")
            return [message_of(each) for each in read]

        return await self._patience.ask(task_id, "reading messages", once)

    async def told(self, task_id: str, attempt: int) -> list[str]:
        """Read what earlier attempts have told; a server of a version before knows no such question."""
        verb = Verb({"verb": "told", "task_id": task_id, "attempt": attempt}, Subject(task_id=task_id))

        async def once() -> list[str]:
            try:
                read = await self._asking.together(verb)
            except ValidationError:
                return []
            if not isinstance(read, list) or not all(isinstance(each, str) for each in read):
                raise UnreadableRecord("what was told", "it is no list of texts")
            return read

        return await self._patience.ask(task_id, "reading what was told", once)

    async def save(
        self, task_id: str, changes: Mapping[str, Any], attempt: int, origin: str | None = None
    ) -> TaskRecord:
        """Store what a run changed of its task; answers the task as it stands then."""
        rest, files = await self._by_file(task_id, changes)
        what = {"changes": rest, "files": files, "origin": origin}
        saved = task_of(await self._write("save", task_id, attempt, what))
        self._check_held(task_id, attempt)
        return saved

    def _check_held(self, task_id: str, attempt: int) -> None:
        """Refuse a late answer to a run that would go on: others may have begun where it stood. Raises: CutOff."""
        if self._claiming.is_cut_off(task_id, attempt):
            raise CutOff(task_id, attempt)

    async def _by_file(self, task_id: str, changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Store texts that are too large for a request as files; what is left, and the references of those by field.

        Raises:
            TooLarge: One is larger than any file may be.
        """
        rest, files = dict(changes), dict[str, str]()
        for name, value in changes.items():
            if isinstance(value, str) and len(value) > LARGE_CHARACTERS and self._asking.server_version >= BY_FILE:
                content = clean(value).encode()
                files[name] = await self._patience.ask(
                    task_id, f"storing a large {name}", partial(self._tasks.store_file, name, "text/plain", content)
                )
                del rest[name]
        return rest, files

    async def keep_files(self, task_id: str, attempt: int, files: Sequence[KeptFile]) -> None:
        """Keep with the task what was read of its files."""
        if files:
            await self._write("keep_files", task_id, attempt, {"files": [asdict(each) for each in files]})

    async def store_document(self, task_id: str, attempt: int, part: DocumentPart) -> None:
        """Store passages of a document that the task reads."""
        chunks = [
            {**each._asdict(), "vector": None if each.vector is None else vector_text(each.vector)}
            for each in part.chunks
        ]
        body = {"verb": "store_document", "task_id": task_id, "attempt": attempt, **part._asdict(), "chunks": chunks}
        verb = Verb(body, Subject(task_id=task_id, attempt=attempt))
        await self._patience.ask(task_id, "storing a document", lambda: self._asking.together(verb))

    async def finish(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """Write the attempt's last word."""
        changes, files = await self._by_file(task_id, outcome.changes)
        what = {"status": outcome.status, "changes": changes, "files": files}
        what |= {"taken": outcome.taken} if outcome.taken else {}
        await self._end("finish", task_id, attempt, {"outcome": what})

    async def hand_back(self, task_id: str, attempt: int, back: HandBack) -> None:
        """Queue the task again."""
        await self._end("hand_back", task_id, attempt, asdict(back))

    async def save_artifacts(self, task_id: str, attempt: int, artifacts: Sequence[Artifact]) -> None:
        """Note files that a run has made."""
        if artifacts:
            await self._write(
                "save_artifacts", task_id, attempt, {"artifacts": [each.model_dump() for each in artifacts]}
            )

    async def make_children(self, task_id: str, attempt: int, children: Mapping[str, NewTask]) -> None:
        """Make what is not there yet of a run's children."""
        made = [{**new.model_dump(), "child_id": child} for child, new in children.items()]
        await self._write("make_children", task_id, attempt, {"children": made})

    async def children(self, task_id: str, children: Sequence[str]) -> list[TaskRecord]:
        """Read some of a task's children."""
        verb = Verb({"verb": "children", "task_id": task_id, "children": list(children)}, Subject(task_id=task_id))
        read = await self._patience.ask(task_id, "reading the task's children", partial(self._asking.together, verb))
        if not isinstance(read, list):
            raise UnreadableRecord("children", "they are no list")
        return [task_of(each) for each in read]

    async def providers(self) -> list[ProviderState]:
        """List the providers whose last call failed; a server of a version before keeps no account of them."""
        try:
            rows = await self._asking.together(Verb({"verb": "providers"}))
        except ValidationError:
            return []
        return [provider_of(row) for row in cast("list[Any]", rows if isinstance(rows, list) else [])]

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState | None:
        """Count a failed call."""
        try:
            return provider_of(await self._asking.together(Verb({"verb": "provider_failed", **asdict(failure)})))
        except ValidationError:
            return None

    async def provider_answered(self, provider_id: str) -> None:
        """Nobody waits for it any more."""
        with suppress(ValidationError):
            await self._asking.together(Verb({"verb": "provider_answered", "id": provider_id}))

    async def crashed(self, task_id: str, attempt: int, reason: str, delay: float = 0.0) -> None:
        """Charge a crash and queue the task again, or end it."""
        await self._end("crashed", task_id, attempt, {"reason": reason, "delay": delay})

    async def _end(self, verb: str, task_id: str, attempt: int, what: Mapping[str, Any]) -> None:
        """Write a last word; after it the task is held no more. Where it is refused, another one follows."""
        try:
            await self._write(verb, task_id, attempt, what)
        except LeaseLost:
            self._claiming.drop(task_id, attempt)
            raise
        self._claiming.drop(task_id, attempt)

    async def _write(self, verb: str, task_id: str, attempt: int, what: Mapping[str, Any]) -> Any:
        """Have a run's write carried out once, however often its request is sent, and however long nobody answers."""
        numbered: list[Verb] = []

        async def once() -> Any:
            if not numbered:  # only when it is its turn: numbers grow in the order of sending
                body = {"verb": verb, "task_id": task_id, "attempt": attempt, "sequence": next(self._sequence), **what}
                numbered.append(Verb(body, Subject(task_id=task_id, attempt=attempt)))
            return await self._asking.together(numbered[0])

        return await self._patience.ask(task_id, "writing what a run did", once)

    async def lost(self, held: Mapping[str, int]) -> dict[str, AgentExecutionStatus]:
        """Which attempts own their task no longer."""
        if not held:
            return {}
        answer = await self._asking.together(Verb({"verb": "lost", "held": dict(held)}))
        if not isinstance(answer, dict):
            raise UnreadableRecord("an answer", "it is no object")
        lost = {task_id: _status(status) for task_id, status in answer.items() if task_id in held}
        for task_id in lost:
            self._claiming.drop(task_id, held[task_id])
        return lost

    def cut_off(self, held: Mapping[str, int]) -> list[str]:
        """Which attempts may be another's by now."""
        return [task_id for task_id, attempt in held.items() if self._claiming.is_cut_off(task_id, attempt)]

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:
        """Claim due events of this worker's subscriptions; wait where there is none."""
        return await self._claiming.deliveries(worker_id, demand, seconds)

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """Move the cursor on, try again later, or set the event aside."""
        subject = Subject(task_id=delivery.event.task_id, attempt=delivery.claim)
        surely = False
        try:
            verb = Verb({"verb": "settle", "delivery": named(delivery), "error": error, "final": final}, subject)
            set_aside = bool(await self._asking.together(verb))
            surely = True
        except LeaseLost:
            surely = True
            raise
        finally:
            self._claiming.settled(delivery, surely=surely)
        return set_aside

    async def renew(self, worker_id: str) -> None:
        """Hold on to a worker's leases."""
        await self._asking.alone(Verb({"verb": "renew"}), worker_id)

    async def report(self, worker_id: str, wear: WorkerWear) -> None:
        """Say how worn the worker is; a server of before refuses it."""
        await self._asking.alone(Verb({"verb": "report", **asdict(wear)}), worker_id)

    async def drain(self, worker_id: str) -> None:
        """Say that the worker begins to leave."""
        await self._asking.alone(Verb({"verb": "drain"}), worker_id)

    async def leave(self, worker_id: str) -> None:
        """Take the worker off the list."""
        stream = self._presence.end(worker_id)
        await self._asking.alone(Verb({"verb": "leave"}), worker_id)
        if stream is not None:
            stream.cancel()
            await asyncio.gather(stream, return_exceptions=True)

    async def close(self) -> None:
        """End what runs in the background."""
        self._patience.end()
        await self._presence.close()
        await self._asking.close()

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Hear of changed tasks."""
        return self._flags.listen(wake)


def _status(text: Any) -> AgentExecutionStatus:
    """A status; one that we do not know is no reason to go on with a run that was lost."""
    try:
        return AgentExecutionStatus(text)
    except ValueError:
        return AgentExecutionStatus.Stopped


def _entry(key: str, value: Any) -> JournalEntry:
    """An entry as the server tells it: its value, or the reference of a large one."""
    if isinstance(value, dict):
        return JournalEntry(key, NULL, str(value.get("reference")))
    return JournalEntry(key, str(value))
