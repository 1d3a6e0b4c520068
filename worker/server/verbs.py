"""The verbs of a native worker, from JSON to the platform and back."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from worker.server.service import Access, Service
from worker.words.errors import LeaseLost, ModuleException, NotFound, TaskNotFound, ValidationError
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.ids import check_id
from worker.words.outcomes import HandBack, Outcome
from worker.words.retry import DELIVERY_RETRIES, RetryPolicy
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.tasks import TaskRecord
from worker.words.work import Delivery, Demand, JournalEntry, KeptFile, Subscription, WorkerCard

VERSION = 1
POLLS = frozenset({"assignments", "deliveries"})
"""Verbs that wait."""

POLL_SECONDS = 25.0
LEASE_SECONDS = 6.0  # promise 5: a remote worker is dead when its stream is gone and three heartbeats are missed
MOST = 10_000  # tasks or deliveries at once

YEAR_SECONDS = 31_536_000

Count = Annotated[int, Field(ge=0, le=MOST)]
Seconds = Annotated[float, Field(ge=0, le=POLL_SECONDS)]
Delay = Annotated[float, Field(ge=0, le=31_536_000)]  # seconds; a year
Attempt = Annotated[int, Field(ge=0, le=2**31 - 1)]
Form = TypeVar("Form", bound=BaseModel)


class _Form(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Retries(_Form):
    attempts: Annotated[int, Field(ge=1, le=10_000)] = DELIVERY_RETRIES.attempts
    base: Annotated[float, Field(gt=0, le=YEAR_SECONDS)] = DELIVERY_RETRIES.base
    cap: Annotated[float, Field(gt=0, le=YEAR_SECONDS)] = DELIVERY_RETRIES.cap


class _Subscription(_Form):
    handler: Annotated[str, Field(min_length=1, max_length=500)]
    event_type: TaskUpdateEventType
    agent_id: str | None = None
    retries: _Retries = Field(default_factory=_Retries)
    needs: Annotated[str, Field(max_length=100)] | None = None

    def subscription(self) -> Subscription:
        retries = RetryPolicy(self.retries.attempts, self.retries.base, self.retries.cap)
        needs = None if self.needs is None else self.needs.replace("\0", "")
        return Subscription(self.handler, self.event_type, self.agent_id, retries, needs)


class _Card(_Form):
    id: str
    name: Annotated[str, Field(max_length=500)]
    agents: list[str] = Field(default_factory=list[str])
    any_agent: bool = False
    concurrency: Annotated[int, Field(ge=1, le=MOST)] = 10
    isolates: bool = False
    lease_seconds: Annotated[float, Field(gt=0, le=3600)] = LEASE_SECONDS
    subscriptions: list[_Subscription] = Field(default_factory=list[_Subscription])


class _Register(_Form):
    card: _Card


class _Demand(_Form):
    total: Count
    agents: dict[str, Count] = Field(default_factory=dict[str, int])
    others: Count = 0
    suspects: Count | None = None


class _Assignments(_Form):
    demand: _Demand
    seconds: Seconds = 0
    held: list[str] | None = None


class _Task(_Form):
    task_id: str


class _Run(_Task):
    attempt: Attempt


class _Event(_Form):
    type: str
    data: Any = None


class _Emit(_Run):
    events: list[_Event] = Field(default_factory=list[_Event])
    journal: list[tuple[str, str]] = Field(default_factory=list[tuple[str, str]])


class _File(_Form):
    url_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reference: Annotated[str, Field(max_length=2000)]
    media_type: Annotated[str, Field(max_length=500)] = ""
    name: Annotated[str, Field(max_length=500)] = ""


class _KeepFiles(_Run):
    files: Annotated[list[_File], Field(max_length=MOST)]


class _Save(_Task):
    attempt: Attempt | None = None
    origin: str | None = None
    changes: dict[str, Any]


class _Outcome(_Form):
    status: AgentExecutionStatus
    changes: dict[str, Any] = Field(default_factory=dict[str, Any])


class _Finish(_Run):
    outcome: _Outcome


class _HandBack(_Run):
    delay: Delay = 0
    error: str | None = None


class _Crashed(_Run):
    reason: Annotated[str, Field(min_length=1, max_length=10_000)]
    delay: Delay = 0


class _Lost(_Form):
    held: dict[str, Attempt]


class _Deliveries(_Form):
    limit: Count
    seconds: Seconds = 0


class _Delivery(_Form):
    subscription_id: Annotated[int, Field(ge=0, le=2**63 - 1)]
    task_id: str
    number: Annotated[int, Field(ge=0, le=2**63 - 1)]
    claim: Attempt
    tries: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class _Settle(_Form):
    delivery: _Delivery
    error: str | None = None
    final: bool = False


class Clerk:
    """Carries out one worker's verbs.

    Args:
        service: The server.
        access: What the worker may reach.
        worker_id: Which worker it is; none: it has not registered yet.
    """

    def __init__(self, service: Service, access: Access, worker_id: str | None) -> None:
        self._service = service
        self._access = access
        self._room = access.room
        self._worker_id = worker_id
        self._known = False
        self.gone = False

    def leave(self) -> None:
        """Note that the client has gone."""
        self.gone = True
        self._room.work.nudge()

    async def carry_out(self, verb: dict[str, Any]) -> Any:
        """Do what a verb says. Raises: ModuleException, its own outcome."""
        name = verb.get("verb")
        do = _VERBS.get(name) if isinstance(name, str) else None
        if do is None:
            raise ValidationError(f"verb is none of {', '.join(_VERBS)}", field="verb")
        return await do(self, verb)

    async def take_back(self, result: dict[str, Any]) -> None:
        """Queue again what was claimed for somebody who has gone."""
        for each in result.get("value") or ():
            if "attempt" in each:
                try:
                    await self._room.work.hand_back(each["task"]["id"], each["attempt"], HandBack())
                except ModuleException:
                    continue

    async def _worker(self) -> str:
        """The worker's id, once it is known to be one of this organization."""
        if self._worker_id is None:
            raise ValidationError("worker_id is needed here", field="worker_id")
        if not self._known:
            worker = await self._room.presence.worker(self._worker_id)
            if self._access.agents is not None and not all(self._access.reaches(agent) for agent in worker.agents):
                raise NotFound(f"There is no worker {self._worker_id!r}.")
            self._known = True
        return self._worker_id

    async def register(self, verb: dict[str, Any]) -> Any:
        """List the worker; its lease holds for three missed heartbeats."""
        card = _read(_Register, verb).card
        check_id(card.id, "card.id")
        for agent in [*card.agents, *(each.agent_id for each in card.subscriptions if each.agent_id is not None)]:
            check_id(agent, "card.agents")
            self._access.check(agent)
        if self._access.agents is not None and (
            card.any_agent or any(not each.agent_id for each in card.subscriptions)
        ):
            raise ValidationError("this key reaches some agents only, so a worker names them", field="card.any_agent")
        if self._worker_id is not None and self._worker_id != card.id:
            raise ValidationError("card.id is not worker_id", field="card.id")
        await self._refuse_foreign(card.id)
        subscriptions = tuple(each.subscription() for each in card.subscriptions)
        await self._room.work.register(
            WorkerCard(
                id=card.id,
                name=card.name.replace("\0", ""),
                agents=tuple(card.agents),
                any_agent=card.any_agent,
                concurrency=card.concurrency,
                isolates=card.isolates,
                lease_seconds=min(card.lease_seconds, LEASE_SECONDS),
                subscriptions=subscriptions,
            ),
            remote=True,
        )
        self._worker_id = card.id
        can = self._service.host.capabilities
        return {"server": "agno-worker", "version": VERSION, "capabilities": asdict(can)}

    async def _refuse_foreign(self, worker_id: str) -> None:
        """An id that another organization's worker has is not to be taken over."""
        try:
            await self._room.presence.worker(worker_id)
        except NotFound:
            if not await self._room.presence.free(worker_id):
                raise

    async def assignments(self, verb: dict[str, Any]) -> Any:
        """Claim tasks, waiting for them; what it was given and never got is queued again."""
        asked = _read(_Assignments, verb)
        try:
            worker_id = await self._worker()
        except NotFound:  # who never registered is given nothing
            return []
        if self._access.agents is not None:
            for agent in asked.demand.agents:
                self._access.check(agent)
        others = asked.demand.others if self._access.agents is None else 0
        demand = Demand(asked.demand.total, asked.demand.agents, others, asked.demand.suspects)
        if asked.held is not None:
            await self._recall(worker_id, set(asked.held))
        claimed = await self._room.work.assignments(
            worker_id, lambda: Demand(0) if self.gone or self._service.closing.is_set() else demand, asked.seconds
        )
        holdings = self._service.holdings.get(worker_id)
        if holdings is not None:
            holdings.update({each.task.id: each.attempt for each in claimed})
        return [{"task": _dump(each.task), "attempt": each.attempt} for each in claimed]

    async def _recall(self, worker_id: str, held: set[str]) -> None:
        """Queue again what was claimed for this worker in an answer that it never got."""
        missing = [each for each in await self._room.presence.held(worker_id) if each.task_id not in held]
        await self._room.presence.give_back(missing)

    async def emit(self, verb: dict[str, Any]) -> None:
        """Append events and journal entries."""
        asked = _read(_Emit, verb)
        await self._access.check_task(asked.task_id)
        events = [NewEvent(type=_type(each.type), data=each.data) for each in asked.events]
        journal = [JournalEntry(*entry) for entry in asked.journal]
        await self._room.work.emit(asked.task_id, asked.attempt, events, journal)

    async def keep_files(self, verb: dict[str, Any]) -> None:
        """Keep with a task what was read of its files."""
        asked = _read(_KeepFiles, verb)
        await self._access.check_task(asked.task_id)
        files = [KeptFile(each.url_digest, each.reference, each.media_type, each.name) for each in asked.files]
        await self._room.work.keep_files(asked.task_id, asked.attempt, files)

    async def save(self, verb: dict[str, Any]) -> Any:
        """Store changed fields."""
        asked = _read(_Save, verb)
        await self._access.check_task(asked.task_id)
        task = await self._room.tasks.update(asked.task_id, asked.changes, attempt=asked.attempt, origin=asked.origin)
        return _dump(task)

    async def journal(self, verb: dict[str, Any]) -> dict[str, str]:
        """Read a task's journal."""
        asked = _read(_Task, verb)
        await self._access.check_task(asked.task_id)
        return await self._room.work.journal(asked.task_id)

    async def finish(self, verb: dict[str, Any]) -> None:
        """Write an attempt's last word."""
        asked = _read(_Finish, verb)
        await self._access.check_task(asked.task_id)
        last_word = Outcome(asked.outcome.status, asked.outcome.changes)
        await self._ending(asked, self._room.work.finish(asked.task_id, asked.attempt, last_word))

    async def hand_back(self, verb: dict[str, Any]) -> None:
        """Queue a task again."""
        asked = _read(_HandBack, verb)
        await self._access.check_task(asked.task_id)
        back = HandBack(asked.delay, asked.error)
        await self._ending(asked, self._room.work.hand_back(asked.task_id, asked.attempt, back))

    async def crashed(self, verb: dict[str, Any]) -> None:
        """Charge a task with the death of the process that ran it alone."""
        asked = _read(_Crashed, verb)
        await self._access.check_task(asked.task_id)
        write = self._room.work.crashed(asked.task_id, asked.attempt, asked.reason, asked.delay)
        await self._ending(asked, write)

    async def _ending(self, run: _Run, last_word: Awaitable[None]) -> None:
        holdings = self._service.holdings.get(self._worker_id or "", {})
        known = holdings.pop(run.task_id, None)  # it ends by its own word, so it need not be told
        try:
            await last_word
        except ModuleException as error:
            if known is not None and not isinstance(error, LeaseLost | TaskNotFound):
                holdings[run.task_id] = known
            raise

    async def lost(self, verb: dict[str, Any]) -> dict[str, str]:
        """Say which attempts own their task no longer."""
        asked = _read(_Lost, verb)
        held = {task_id: attempt for task_id, attempt in asked.held.items() if "\0" not in task_id}
        return {task_id: str(status) for task_id, status in (await self._room.work.lost(held)).items()}

    async def deliveries(self, verb: dict[str, Any]) -> Any:
        """Claim due events, waiting for them."""
        asked = _read(_Deliveries, verb)
        worker_id = await self._worker()
        found = await self._room.work.deliveries(
            worker_id, lambda: 0 if self.gone or self._service.closing.is_set() else asked.limit, asked.seconds
        )
        return [_delivery(each) for each in found]

    async def settle(self, verb: dict[str, Any]) -> bool:
        """Settle a delivery."""
        asked = _read(_Settle, verb)
        await self._access.check_task(asked.delivery.task_id)
        return await self._room.work.settle(await self._given(asked.delivery), asked.error, final=asked.final)

    async def _given(self, given: _Delivery) -> Delivery:
        """The delivery that a worker names; its event need not be read again to settle it."""
        task = await self._room.tasks.get(given.task_id)
        event = TaskUpdateEvent.model_construct(
            type=TaskUpdateEventType.TaskUpdated, task_id=task.id, number=given.number
        )
        nobody = Subscription("", TaskUpdateEventType.TaskUpdated)
        return Delivery(nobody, given.subscription_id, event, task, given.claim, given.tries)

    async def renew(self, verb: dict[str, Any]) -> None:
        """Hold on to the worker's leases."""
        del verb
        await self._room.work.renew(await self._worker())

    async def leave_platform(self, verb: dict[str, Any]) -> None:
        """Take the worker off the list."""
        del verb
        await self._room.work.leave(await self._worker())


_VERBS: dict[str, Callable[[Clerk, dict[str, Any]], Awaitable[Any]]] = {
    "register": Clerk.register,
    "assignments": Clerk.assignments,
    "emit": Clerk.emit,
    "keep_files": Clerk.keep_files,
    "save": Clerk.save,
    "journal": Clerk.journal,
    "finish": Clerk.finish,
    "hand_back": Clerk.hand_back,
    "crashed": Clerk.crashed,
    "lost": Clerk.lost,
    "deliveries": Clerk.deliveries,
    "settle": Clerk.settle,
    "renew": Clerk.renew,
    "leave": Clerk.leave_platform,
}


def _read(form: type[Form], verb: dict[str, Any]) -> Form:
    """Read a verb. Raises: ValidationError, naming the field."""
    try:
        return form.model_validate(verb)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "verb"
        raise ValidationError(f"{field}: {first['msg']}", field=field) from None


def _type(text: str) -> TaskUpdateEventType:
    try:
        return TaskUpdateEventType(text)
    except ValueError:
        raise ValidationError("an event's type is not known", field="events.type") from None


def _dump(task: TaskRecord) -> dict[str, Any]:
    return task.model_dump(mode="json", warnings="none")


def _delivery(delivery: Delivery) -> dict[str, Any]:
    subscription = delivery.subscription
    return {
        "subscription": {
            "handler": subscription.handler,
            "event_type": subscription.event_type,
            "agent_id": subscription.agent_id,
        },
        "subscription_id": delivery.subscription_id,
        "event": delivery.event.model_dump(mode="json", warnings="none"),
        "task": _dump(delivery.task),
        "claim": delivery.claim,
        "tries": delivery.tries,
    }
