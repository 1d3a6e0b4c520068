"""The verbs of a native worker, from JSON to the platform and back."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from worker.contracts import HeldDelivery
from worker.server.forms import (
    LEASE_SECONDS,
    AssignmentsForm,
    CrashedForm,
    DeliveriesForm,
    EmitForm,
    FinishForm,
    HandBackForm,
    KeepFilesForm,
    LostForm,
    OutcomeForm,
    RegisterForm,
    RunForm,
    SaveForm,
    SettleForm,
    TaskForm,
    read,
)
from worker.server.service import Access, Service
from worker.words.errors import LeaseLost, ModuleException, NotFound, TaskNotFound, ValidationError
from worker.words.events import NewEvent
from worker.words.ids import check_id
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord
from worker.words.texts import clean
from worker.words.work import Delivery, Demand, JournalEntry, WorkerCard

VERSION = 2  # since 2: ``files`` beside ``changes``
POLLS = frozenset({"assignments", "deliveries"})
"""Verbs that wait."""


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
        do = VERBS.get(name) if isinstance(name, str) else None
        if do is None:
            raise ValidationError(f"verb is none of {', '.join(VERBS)}", field="verb")
        return await do(self, verb)

    async def take_back(self, result: dict[str, Any]) -> None:
        """Queue again what was claimed for somebody who has gone."""
        given = result.get("value") or ()
        with suppress(ModuleException):
            mail = [each for each in given if "claim" in each]
            await self._room.presence.give_back_mail([_held(each) for each in mail])
        for each in given:
            if "attempt" in each:
                with suppress(ModuleException):
                    await self._room.work.hand_back(each["task"]["id"], each["attempt"], HandBack())

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
        card = read(RegisterForm, verb).card
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
                name=clean(card.name),
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
        asked = read(AssignmentsForm, verb)
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
        asked = read(EmitForm, verb)
        await self._access.check_task(asked.task_id)
        events = [NewEvent(type=_type(each.type), data=each.data) for each in asked.events]
        journal = [JournalEntry(*entry) for entry in asked.journal]
        await self._room.work.emit(asked.task_id, asked.attempt, events, journal, sequence=asked.sequence)

    async def keep_files(self, verb: dict[str, Any]) -> None:
        """Keep with a task what was read of its files."""
        asked = read(KeepFilesForm, verb)
        await self._access.check_task(asked.task_id)
        await self._room.work.keep_files(asked.task_id, asked.attempt, [each.file() for each in asked.files])

    async def save(self, verb: dict[str, Any]) -> Any:
        """Store changed fields."""
        asked = read(SaveForm, verb)
        await self._access.check_task(asked.task_id)
        task = await self._room.tasks.update(
            asked.task_id, await self._whole(asked), attempt=asked.attempt, origin=asked.origin, sequence=asked.sequence
        )
        return _dump(task)

    async def _whole(self, asked: SaveForm | OutcomeForm) -> dict[str, Any]:
        """Changes with the texts that came as files in their places. Raises: FileNotStored."""
        read = {name: await self._room.tasks.open_file(reference) for name, reference in asked.files.items()}
        return {**asked.changes, **{name: file.content.decode("utf-8", "replace") for name, file in read.items()}}

    async def journal(self, verb: dict[str, Any]) -> dict[str, Any]:
        """Read a task's journal; a large value is named by its reference."""
        asked = read(TaskForm, verb)
        await self._access.check_task(asked.task_id)
        return {
            key: value if reference is None else {"reference": reference}
            for key, value, reference in await self._room.work.entries(asked.task_id)
        }

    async def told(self, verb: dict[str, Any]) -> list[str]:
        """Read what earlier attempts have told."""
        asked = read(RunForm, verb)
        await self._access.check_task(asked.task_id)
        return await self._room.work.told(asked.task_id, asked.attempt)

    async def finish(self, verb: dict[str, Any]) -> None:
        """Write an attempt's last word."""
        asked = read(FinishForm, verb)
        await self._access.check_task(asked.task_id)
        last_word = Outcome(asked.outcome.status, await self._whole(asked.outcome))
        write = self._room.work.finish(asked.task_id, asked.attempt, last_word, sequence=asked.sequence)
        await self._ending(asked, write)

    async def hand_back(self, verb: dict[str, Any]) -> None:
        """Queue a task again."""
        asked = read(HandBackForm, verb)
        await self._access.check_task(asked.task_id)
        back = HandBack(asked.delay, asked.error, asked.error_code, asked.provider_code)
        write = self._room.work.hand_back(asked.task_id, asked.attempt, back, sequence=asked.sequence)
        await self._ending(asked, write)

    async def crashed(self, verb: dict[str, Any]) -> None:
        """Charge a task with the death of the process that ran it alone."""
        asked = read(CrashedForm, verb)
        await self._access.check_task(asked.task_id)
        write = self._room.work.crashed(
            asked.task_id, asked.attempt, asked.reason, asked.delay, sequence=asked.sequence
        )
        await self._ending(asked, write)

    async def _ending(self, run: RunForm, last_word: Awaitable[None]) -> None:
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
        asked = read(LostForm, verb)
        held = {task_id: attempt for task_id, attempt in asked.held.items() if "\0" not in task_id}
        return {task_id: str(status) for task_id, status in (await self._room.work.lost(held)).items()}

    async def deliveries(self, verb: dict[str, Any]) -> Any:
        """Claim due events, waiting for them; what it was given and never got is due again."""
        asked = read(DeliveriesForm, verb)
        worker_id = await self._worker()
        if asked.held is not None:
            known = {HeldDelivery(each.subscription_id, each.task_id, each.claim) for each in asked.held}
            missing = [each for each in await self._room.presence.mail(worker_id) if each not in known]
            await self._room.presence.give_back_mail(missing)
        found = await self._room.work.deliveries(
            worker_id, lambda: 0 if self.gone or self._service.closing.is_set() else asked.limit, asked.seconds
        )
        return [_delivery(each) for each in found]

    async def settle(self, verb: dict[str, Any]) -> bool:
        """Settle a delivery."""
        asked = read(SettleForm, verb)
        task = await self._access.task(asked.delivery.task_id)
        return await self._room.work.settle(asked.delivery.of(task), asked.error, final=asked.final)

    async def renew(self, verb: dict[str, Any]) -> None:
        """Hold on to the worker's leases."""
        del verb
        await self._room.work.renew(await self._worker())

    async def drain(self, verb: dict[str, Any]) -> None:
        """Note that the worker begins to leave."""
        del verb
        await self._room.work.drain(await self._worker())

    async def leave_platform(self, verb: dict[str, Any]) -> None:
        """Take the worker off the list."""
        del verb
        await self._room.work.leave(await self._worker())


VERBS: dict[str, Callable[[Clerk, dict[str, Any]], Awaitable[Any]]] = {
    "register": Clerk.register,
    "assignments": Clerk.assignments,
    "emit": Clerk.emit,
    "keep_files": Clerk.keep_files,
    "save": Clerk.save,
    "journal": Clerk.journal,
    "told": Clerk.told,
    "finish": Clerk.finish,
    "hand_back": Clerk.hand_back,
    "crashed": Clerk.crashed,
    "lost": Clerk.lost,
    "deliveries": Clerk.deliveries,
    "settle": Clerk.settle,
    "renew": Clerk.renew,
    "drain": Clerk.drain,
    "leave": Clerk.leave_platform,
}


def _type(text: str) -> TaskUpdateEventType:
    try:
        return TaskUpdateEventType(text)
    except ValueError:
        raise ValidationError("an event's type is not known", field="events.type") from None


def _dump(task: TaskRecord) -> dict[str, Any]:
    return task.model_dump(mode="json", warnings="none")


def _held(told: dict[str, Any]) -> HeldDelivery:
    return HeldDelivery(told["subscription_id"], told["task"]["id"], told["claim"])


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
