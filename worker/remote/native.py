"""The verbs of workers in the native dialect: batches to ``POST /{org}/work``, hints from one event stream."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar, cast

from worker.remote.batches import Batches
from worker.remote.heart import Beat, Heart
from worker.remote.hub import DELIVERIES, NUDGE, WORK, Hub
from worker.remote.refusals import NOTHING, Subject, refusal
from worker.remote.repeating import forever
from worker.remote.transport import Repeat, Transport
from worker.remote.wire import Unreadable, decode, encode, event_of, task_of
from worker.words.errors import ModuleException, NotFound, Unavailable, ValidationError
from worker.words.events import NewEvent
from worker.words.ids import new_id
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.work import Assignment, Delivery, Demand, JournalEntry, KeptFile, Subscription, WorkerCard

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

T = TypeVar("T")

LONGEST_WAIT_SECONDS = 25.0  # the server's limit
SPARE_SECONDS = 15.0  # for the answer itself
POLL = 1.0  # seconds between looks where nobody hints


class Verb:
    """One verb of a batch, encoded.

    Args:
        body: What is asked.
        subject: What it is about, for errors.
    """

    def __init__(self, body: Mapping[str, Any], subject: Subject = NOTHING) -> None:
        self.content = encode(body)
        self.subject = subject


class NativeWork:
    """What workers ask for, of our own server."""

    def __init__(self, transport: Transport, hub: Hub, heart: Heart) -> None:
        self._transport = transport
        self._url = f"{transport.addresses.organization}/work"
        self._hub = hub
        self._heart = heart
        self._batches = Batches(self._send, lambda verb: len(verb.content))
        self._worker_id: str | None = None
        self._held: dict[str, int] = {}  # attempts by task: what this process knows to be its own
        self._unsure = False  # an answer with tasks may have been lost on its way
        self._claiming = asyncio.Lock()  # what is held is known between two answers, not while one is under way
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._again: set[asyncio.Task[None]] = set()

    async def register(self, card: WorkerCard) -> None:
        """Introduce the worker; from then on heartbeats hold its lease and a stream brings hints."""
        await self._introduce(card)
        self._worker_id = card.id
        self._heart.keep(card.id, self._beat(card))
        if card.id not in self._streams:
            self._streams[card.id] = asyncio.create_task(self._listen(card.id), name=f"hints {card.id}")

    async def _introduce(self, card: WorkerCard) -> None:
        await self._ask(Verb({"verb": "register", "card": asdict(card)}), card.id)

    def _beat(self, card: WorkerCard) -> Beat:
        body = encode({"worker_id": card.id, "verbs": [{"verb": "renew"}]})
        loop = asyncio.get_running_loop()

        def answered(status: int, content: bytes) -> None:
            if _is_unknown(status, content) and not loop.is_closed():
                loop.call_soon_threadsafe(self._introduce_again, card)

        return Beat(self._url, lambda: body, answered)

    def _introduce_again(self, card: WorkerCard) -> None:
        """The worker was taken for dead: what it ran is others' now, but it can claim anew."""
        if card.id not in self._streams or self._again:
            return
        task = asyncio.create_task(forever("registering again", lambda _: self._introduce(card)))
        self._again.add(task)
        task.add_done_callback(self._again.discard)

    async def _listen(self, worker_id: str) -> None:
        params = {"worker_id": worker_id, "native": 1}

        async def once(well: Callable[[], None]) -> None:
            async with self._transport.stream("/events/-/", params=params, redirects=True) as sent:
                well()
                self._hub.wake(WORK, DELIVERIES)  # what was hinted at meanwhile went unheard
                async for each in sent:
                    self._hint(each)
            raise Unavailable("The stream of hints ended.")

        await forever("listening for hints", once)

    def _hint(self, sent: "ServerSentEvent") -> None:
        match sent.event:
            case "work":
                self._hub.wake(WORK)
            case "deliveries":
                self._hub.wake(DELIVERIES)
            case "task-stop":
                task_id = _told(sent.data).get("task_id")
                if isinstance(task_id, str):
                    self._hub.changed(task_id)
            case _:
                return

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:
        """Claim what the worker can start; the platform waits for it where there is none."""

        async def claim(left: float) -> list[Assignment] | None:
            self._hub.lower(NUDGE)
            wanted = demand()
            return await self._claim(worker_id, wanted, left) if wanted.total > 0 else None

        return await self._until_found(claim, WORK, seconds)

    async def _claim(self, worker_id: str, wanted: Demand, seconds: float) -> list[Assignment]:
        """Claim once. After a request whose answer was lost, what came in it is queued again by naming what is held."""
        async with self._claiming:
            body: dict[str, Any] = {"verb": "assignments", "demand": asdict(wanted), "seconds": seconds}
            if self._unsure:
                body["held"] = list(self._held)
            self._unsure = True
            try:
                found = await self._unless_nudged(self._ask(Verb(body), worker_id, Repeat.UNSENT, seconds))
            except NotFound:  # it was never registered, or taken for dead: the next heartbeat mends that
                found = []
            if found is None:
                return []
            self._unsure = False
            assignments = [Assignment(task_of(each["task"]), each["attempt"]) for each in found]
            self._held.update({each.task.id: each.attempt for each in assignments})
            return assignments

    async def _unless_nudged(self, asking: Coroutine[Any, Any, T]) -> T | None:
        """Wait for an answer; a nudge ends the wait, and the connection with it, so that the platform knows."""
        answer = asyncio.create_task(asking)
        nudge = asyncio.create_task(self._hub.flagged(NUDGE, LONGEST_WAIT_SECONDS + SPARE_SECONDS))
        try:
            await asyncio.wait([answer, nudge], return_when=asyncio.FIRST_COMPLETED)
            return await answer if answer.done() else None
        finally:
            answer.cancel()
            nudge.cancel()
            await asyncio.gather(answer, nudge, return_exceptions=True)

    async def emit(
        self, task_id: str, attempt: int, events: Sequence[NewEvent], journal: Sequence[JournalEntry] = ()
    ) -> None:
        """Append events and journal entries."""
        if events or journal:
            what = {"events": list(events), "journal": [list(entry) for entry in journal]}
            await self._write("emit", task_id, attempt, what)

    async def journal(self, task_id: str) -> dict[str, str]:
        """Read the journal."""
        return await self._batches.ask(Verb({"verb": "journal", "task_id": task_id}, Subject(task_id=task_id)))

    async def keep_files(self, task_id: str, attempt: int, files: Sequence[KeptFile]) -> None:
        """Keep with the task what was read of its files."""
        if files:
            await self._write("keep_files", task_id, attempt, {"files": [asdict(each) for each in files]})

    async def finish(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """Write the attempt's last word."""
        await self._write(
            "finish", task_id, attempt, {"outcome": {"status": outcome.status, "changes": outcome.changes}}
        )

    async def hand_back(self, task_id: str, attempt: int, back: HandBack) -> None:
        """Queue the task again."""
        await self._end("hand_back", task_id, attempt, {"delay": back.delay, "error": back.error})

    async def crashed(self, task_id: str, attempt: int, reason: str, delay: float = 0.0) -> None:
        """Charge a crash and queue the task again, or end it."""
        await self._end("crashed", task_id, attempt, {"reason": reason, "delay": delay})

    async def _end(self, verb: str, task_id: str, attempt: int, what: Mapping[str, Any]) -> None:
        """Write a last word; after it, or where it is refused for good, the task is held no more."""
        try:
            await self._write(verb, task_id, attempt, what)
        except (Unavailable, ValidationError):
            raise  # it is written again
        except ModuleException:
            self._drop(task_id, attempt)
            raise
        self._drop(task_id, attempt)

    def _drop(self, task_id: str, attempt: int) -> None:
        if self._held.get(task_id) == attempt:
            del self._held[task_id]

    async def _write(self, verb: str, task_id: str, attempt: int, what: Mapping[str, Any]) -> None:
        body = {"verb": verb, "task_id": task_id, "attempt": attempt, **what}
        await self._batches.ask(Verb(body, Subject(task_id=task_id, attempt=attempt)))

    async def lost(self, held: Mapping[str, int]) -> dict[str, AgentExecutionStatus]:
        """Which attempts own their task no longer."""
        if not held:
            return {}
        answer = await self._batches.ask(Verb({"verb": "lost", "held": dict(held)}))
        for task_id in answer:
            self._drop(task_id, held[task_id])
        return {task_id: AgentExecutionStatus(status) for task_id, status in answer.items()}

    async def deliveries(self, worker_id: str, limit: Callable[[], int], seconds: float) -> list[Delivery]:
        """Claim due events of this worker's subscriptions; wait where there is none.

        The wait is on this side, between short requests: an answer that is lost keeps its events from everybody.
        """

        async def claim(_: float) -> list[Delivery] | None:
            count = limit()
            if count <= 0:
                return None
            found = await self._ask(Verb({"verb": "deliveries", "limit": count, "seconds": 0}), worker_id)
            return [delivery_of(each) for each in found]

        return await self._until_found(claim, DELIVERIES, seconds)

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """Move the cursor on, try again later, or set the event aside."""
        named = {
            "subscription_id": delivery.subscription_id,
            "task_id": delivery.event.task_id,
            "number": delivery.event.number,
            "claim": delivery.claim,
            "tries": delivery.tries,
        }
        subject = Subject(task_id=delivery.event.task_id, attempt=delivery.claim)
        verb = {"verb": "settle", "delivery": named, "error": error, "final": final}
        return bool(await self._batches.ask(Verb(verb, subject)))

    async def renew(self, worker_id: str) -> None:
        """Hold on to a worker's leases."""
        await self._ask(Verb({"verb": "renew"}), worker_id)

    async def leave(self, worker_id: str) -> None:
        """Take the worker off the list."""
        self._heart.drop(worker_id)
        stream = self._streams.pop(worker_id, None)
        await self._ask(Verb({"verb": "leave"}), worker_id)
        if stream is not None:
            stream.cancel()
            await asyncio.gather(stream, return_exceptions=True)

    async def close(self) -> None:
        """End what runs in the background."""
        tasks = [*self._streams.values(), *self._again]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._batches.close()

    async def _until_found(
        self, claim: Callable[[float], Awaitable[list[T] | None]], flag: str, seconds: float
    ) -> list[T]:
        until = time.monotonic() + seconds
        while True:
            self._hub.lower(flag)
            found = await claim(min(LONGEST_WAIT_SECONDS, max(0.0, until - time.monotonic())))
            if found is None:
                return []
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            await self._hub.flagged(flag, min(left, POLL))

    async def _ask(self, verb: Verb, worker_id: str, repeat: Repeat = Repeat.ALWAYS, seconds: float = 0) -> Any:
        """Ask one verb, which may wait so long, in a request of its own."""
        (outcome,) = await self._request([verb], worker_id, repeat, seconds)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _send(self, verbs: Sequence[Verb]) -> list[Any]:
        return await self._request(verbs, self._worker_id, Repeat.ALWAYS)

    async def _request(
        self, verbs: Sequence[Verb], worker_id: str | None, repeat: Repeat, seconds: float = 0
    ) -> list[Any]:
        content = b'{"worker_id":%b,"verbs":[%b]}' % (encode(worker_id), b",".join(verb.content for verb in verbs))
        headers = {"content-type": "application/json", "idempotency-key": new_id()}
        answer = await self._transport.call(
            "POST", self._url, content=content, headers=headers, repeat=repeat, seconds=seconds + SPARE_SECONDS
        )
        results = decode(answer.content, "an answer").get("results", [])
        if len(results) != len(verbs):
            raise Unreadable("an answer", f"it has {len(results)} results for {len(verbs)} verbs")
        return [self._outcome(result, verb.subject) for result, verb in zip(results, verbs, strict=True)]

    def _outcome(self, result: Mapping[str, Any], subject: Subject) -> Any:
        error = result.get("error")
        if error is None:
            return result.get("value")
        return refusal(int(error.get("status_code", 500)), error, subject, self._transport.addresses.shown)

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Hear of changed tasks."""
        return self._hub.listen(wake)


def delivery_of(data: Mapping[str, Any]) -> Delivery:
    """Read a delivery.

    Raises:
        Unreadable: Its event is none that we know.
    """
    asked = data["subscription"]
    event = event_of(data["event"])
    if event is None:
        raise Unreadable("a delivery", "its event is of no type that is known here")
    return Delivery(
        subscription=Subscription(asked["handler"], TaskUpdateEventType(asked["event_type"]), asked.get("agent_id")),
        subscription_id=data["subscription_id"],
        event=event,
        task=task_of(data["task"]),
        claim=data["claim"],
        tries=data.get("tries", 0),
    )


def _told(data: str) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except ValueError:
        return {}
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _is_unknown(status: int, content: bytes) -> bool:
    """Whether an answer to a heartbeat says that there is no such worker."""
    if status != 200:  # noqa: PLR2004 - HTTP
        return False
    try:
        error = json.loads(content)["results"][0].get("error") or {}
    except (ValueError, KeyError, IndexError, AttributeError):
        return False
    return error.get("status_code") == NotFound.status
