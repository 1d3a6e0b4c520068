"""The verbs of a native worker, from JSON to the platform and back."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, fields, replace
from typing import Any
from uuid import UUID

from worker.contracts import Claimant, HeldDelivery, Scope
from worker.contracts.access import VERBS as RULES
from worker.contracts.lease import REMOTE_SECONDS
from worker.server.access import Access
from worker.server.claims import Claim, Claims
from worker.server.new_tasks import check_new_task
from worker.server.service import Service
from worker.wire.bodies import storable
from worker.wire.deliveries import DeliveriesForm, SettleForm, delivery_json
from worker.wire.forms import Form, RunForm, TaskForm, read
from worker.wire.records import task_json
from worker.wire.verbs import (
    ChildrenForm,
    CrashedForm,
    EmitForm,
    FinishForm,
    HandBackForm,
    KeepFilesForm,
    MakeChildrenForm,
    MessagesForm,
    OutcomeForm,
    SaveArtifactsForm,
    SaveForm,
    StoreDocumentForm,
)
from worker.wire.workers import AssignmentsForm, LostForm, ProviderFailedForm, ProviderForm, RegisterForm, ReportForm
from worker.words.artifacts import Artifact
from worker.words.conversations import ANY_AGENT
from worker.words.digests import digest
from worker.words.errors import LeaseLost, ModuleException, TaskNotFound, ValidationError
from worker.words.events import NewEvent
from worker.words.ids import check_id
from worker.words.knowledge import AGENT as KNOWLEDGE
from worker.words.outcomes import HandBack, Outcome
from worker.words.providers import ProviderFailure
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.texts import clean
from worker.words.tools import ToolRecord
from worker.words.unseen import name_of
from worker.words.work import Delivery, Demand, JournalEntry, WorkerCard, WorkerWear

VERSION = 3  # since 2: ``files`` beside ``changes``; since 3: ``store_document``, and the tasks for it
POLLS = frozenset({"assignments", "deliveries"})
"""Verbs that wait."""


class VerbRunner:
    """Carries out one worker's verbs.

    Args:
        service: The server.
        access: What the worker may reach.
        claims: What it may call its own; it names the worker, if that has registered.
        refused: Told of each verb that the key's role does not allow.
        base: The address by which clients reach the server.
    """

    def __init__(
        self, service: Service, access: Access, claims: Claims, refused: Callable[[ModuleException], None], base: str
    ) -> None:
        self._service = service
        self._access = access
        self._organization = access.organization
        self._claims = claims
        self.gone = False
        self._refused = refused
        self._base = base

    def leave(self) -> None:
        """Note that the client has gone."""
        self.gone = True
        self._organization.work.nudge()

    async def carry_out(self, verb: dict[str, Any]) -> Any:
        """Do what a verb says. Raises: ModuleException, its own outcome."""
        name = verb.get("verb")
        if not isinstance(name, str) or name not in VERBS or name not in RULES:
            raise ValidationError(f"verb must be one of {', '.join(VERBS)}", field="verb")
        form, do = VERBS[name]
        try:
            scope = self._access.permit(RULES[name])
        except ModuleException as error:
            self._refused(error)
            raise
        asked = read(form, verb)
        await self._check(scope, asked)
        return await do(self, asked)

    async def _check(self, scope: Scope, asked: Form) -> None:
        """Let pass only what is about what the table says."""
        match asked:
            case SettleForm():
                given = asked.delivery
                await self._access.check_task(given.task_id)
                await self._claims.delivery(given.task_id, given.subscription_id, given.claim)
            case RunForm() | SaveForm() if asked.attempt is not None:
                await self._access.check_task(asked.task_id)
                await self._claims.attempt(asked.task_id, asked.attempt, scope)
            case TaskForm():
                await self._access.check_task(asked.task_id)
                if scope is Scope.Claim:
                    await self._claims.task_or_event(asked.task_id)
            case _:
                if scope is Scope.Worker and not isinstance(asked, RegisterForm):
                    await self._worker()

    async def take_back(self, result: dict[str, Any]) -> None:
        """Queue again what was claimed for somebody who has gone."""
        given = result.get("value") or ()
        with suppress(ModuleException):
            held_deliveries = [each for each in given if "claim" in each]
            await self._organization.presence.give_back_deliveries([_held(each) for each in held_deliveries])
        for each in given:
            if "attempt" in each:
                with suppress(ModuleException):
                    await self._organization.work.hand_back(each["task"]["id"], each["attempt"], HandBack())

    async def _worker(self) -> str:
        """The worker's id, once it is known to be one of this session. Raises: ValidationError, NotFound."""
        if self._claims.worker_id is None:
            raise ValidationError("worker_id is needed here", field="worker_id")
        await self._claims.worker(self._claims.worker_id)
        return self._claims.worker_id

    async def register(self, asked: RegisterForm) -> Any:
        """List the worker; its lease holds for three missed heartbeats."""
        card = asked.card
        check_id(card.id, "card.id")
        for agent in [*card.agents, *(each.agent_id for each in card.subscriptions if each.agent_id is not None)]:
            check_id(agent, "card.agents")
            self._access.check(agent)
        for agent in card.conversations.keys() - {ANY_AGENT}:
            check_id(agent, "card.conversations")
            self._access.check(agent)
        if self._access.agents is not None and (
            ANY_AGENT in card.conversations or card.any_agent or any(not each.agent_id for each in card.subscriptions)
        ):
            raise ValidationError("this key reaches some agents only, so a worker names them", field="card.any_agent")
        if self._claims.worker_id is not None and self._claims.worker_id != card.id:
            raise ValidationError("card.id is not worker_id", field="card.id")
        subscriptions = tuple(each.subscription() for each in card.subscriptions)
        await self._organization.work.register(
            WorkerCard(
                id=card.id,
                name=name_of(clean(card.name)),
                agents=tuple(card.agents),
                any_agent=card.any_agent,
                concurrency=card.concurrency,
                isolates=card.isolates,
                reads_documents=card.reads_documents and self._access.agents is None,
                lease_seconds=min(card.lease_seconds, REMOTE_SECONDS),
                subscriptions=subscriptions,
                tools=tuple(ToolRecord.model_validate(each.model_dump()) for each in card.tools),
                conversations=card.conversations,
            ),
            session=self._claims.session,
        )
        self._service.claimants.forget(self._access, card.id)
        self._claims.worker_id = card.id
        can = self._service.host.capabilities
        return {"server": "agno-worker", "version": VERSION, "capabilities": asdict(can)}

    async def assignments(self, asked: AssignmentsForm) -> Any:
        """Claim tasks, waiting for them; what it was given and never got is queued again."""
        worker_id = await self._worker()
        agents, others = asked.demand.agents, asked.demand.others
        if self._access.agents is not None:
            agents = {agent: free for agent, free in agents.items() if agent != KNOWLEDGE}  # not within its reach
            others = 0
            for agent in agents:
                self._access.check(agent)
        demand = Demand(asked.demand.total, agents, others, asked.demand.suspects)
        if asked.held is not None:
            await self._recall(worker_id, set(asked.held))
        claimed = await self._organization.work.assignments(
            worker_id, lambda: Demand(0) if self.gone or self._service.closing.is_set() else demand, asked.seconds
        )
        holdings = self._service.holdings.get(worker_id)
        if holdings is not None:
            holdings.update({each.task.id: each.attempt for each in claimed})
        claimant = await self._claims.worker(worker_id)
        own: dict[Claim, Claimant] = {(each.task.id, each.attempt): claimant for each in claimed}
        self._service.claimants.learn(self._organization.organization_id, own)
        return [{"task": task_json(each.task), "attempt": each.attempt} for each in claimed]

    async def _recall(self, worker_id: str, held: set[str]) -> None:
        """Queue again what was claimed for this worker in an answer that it never got."""
        missing = [each for each in await self._organization.presence.held(worker_id) if each.task_id not in held]
        await self._organization.presence.give_back(missing)

    async def emit(self, asked: EmitForm) -> None:
        """Append events and journal entries."""
        events = [NewEvent(type=_type(each.type), data=each.data) for each in asked.events]
        journal = [JournalEntry(*entry) for entry in asked.journal]
        await self._access.check_files(each.reference for each in journal if each.reference is not None)
        await self._organization.work.emit(asked.task_id, asked.attempt, events, journal, sequence=asked.sequence)

    async def keep_files(self, asked: KeepFilesForm) -> None:
        """Keep with a task what was read of its files."""
        await self._access.check_files(each.reference for each in asked.files)
        await self._organization.work.keep_files(asked.task_id, asked.attempt, [each.file() for each in asked.files])

    async def store_document(self, asked: StoreDocumentForm) -> None:
        """Store passages of a document that a task reads."""
        await self._organization.work.store_document(asked.task_id, asked.attempt, asked.part())

    async def save(self, asked: SaveForm) -> Any:
        """Store changed fields."""
        task = await self._organization.tasks.update(
            asked.task_id, await self._whole(asked), attempt=asked.attempt, origin=asked.origin, sequence=asked.sequence
        )
        return task_json(task)

    async def _whole(self, asked: SaveForm | OutcomeForm) -> dict[str, Any]:
        """Changes with the texts that came as files in their places. Raises: FileNotStored."""
        await self._access.check_files(asked.files.values())
        read = {name: await self._organization.tasks.open_file(reference) for name, reference in asked.files.items()}
        return {**asked.changes, **{name: file.content.decode("utf-8", "replace") for name, file in read.items()}}

    async def journal(self, asked: TaskForm) -> dict[str, Any]:
        """Read a task's journal; a large value is named by its reference."""
        return {
            key: value if reference is None else {"reference": reference}
            for key, value, reference in await self._organization.work.entries(asked.task_id)
        }

    async def messages(self, asked: MessagesForm) -> list[dict[str, Any]]:
        """Read what was said to a task."""
        found = await self._organization.work.messages(asked.task_id, asked.after)
        return [each.model_dump(mode="json") for each in found]

    async def told(self, asked: RunForm) -> list[str]:
        """Read what earlier attempts have told."""
        return await self._organization.work.told(asked.task_id, asked.attempt)

    async def finish(self, asked: FinishForm) -> None:
        """Write an attempt's last word."""
        last_word = Outcome(asked.outcome.status, await self._whole(asked.outcome), asked.outcome.taken)
        write = self._organization.work.finish(asked.task_id, asked.attempt, last_word, sequence=asked.sequence)
        await self._ending(asked, write)

    async def hand_back(self, asked: HandBackForm) -> None:
        """Queue a task again."""
        back = HandBack(**{each.name: getattr(asked, each.name) for each in fields(HandBack)})
        if back.waits_for is not None:
            back = replace(back, waits_for=self._kept_as(back.waits_for))
        write = self._organization.work.hand_back(asked.task_id, asked.attempt, back, sequence=asked.sequence)
        await self._ending(asked, write)

    async def make_children(self, asked: MakeChildrenForm) -> None:
        """Make the children of a run."""
        if self._access.agents is not None:
            for each in asked.children:
                _check_unguessable(each.child_id)
        made = {each.child_id: each.new_task(each.agent_id, None) for each in asked.children}
        for new in made.values():
            self._access.check(new.agent_id)
            await check_new_task(self._service, self._access, new)
            await self._service.queues.enter(self._organization, new.agent_id)
        await self._organization.work.make_children(asked.task_id, asked.attempt, made)

    async def save_artifacts(self, asked: SaveArtifactsForm) -> None:
        """Note files that a run has made."""
        made = [Artifact.model_validate(storable(each.model_dump())) for each in asked.artifacts]
        await self._access.check_files(each.url for each in made)
        await self._organization.work.save_artifacts(asked.task_id, asked.attempt, made)

    async def children(self, asked: ChildrenForm) -> Any:
        """Read children of a task."""
        return [task_json(each) for each in await self._organization.work.children(asked.task_id, asked.children)]

    async def providers(self, _asked: Form) -> Any:
        """List the providers whose last call failed."""
        own = self._kept_as("")
        found = [each for each in await self._organization.work.providers() if each.id.endswith(own)]
        return [{**each.model_dump(mode="json"), "id": each.id.removesuffix(own)} for each in found]

    async def provider_failed(self, asked: ProviderFailedForm) -> Any:
        """Count a provider's failed call."""
        failure = ProviderFailure(
            self._kept_as(asked.id),
            asked.error_code,
            asked.message,
            asked.provider_code,
            asked.opens,
            asked.wait_seconds,
        )
        state = await self._organization.work.provider_failed(failure)
        return {**state.model_dump(mode="json"), "id": asked.id}

    async def provider_answered(self, asked: ProviderForm) -> None:
        """Say that a provider answers again."""
        await self._organization.work.provider_answered(self._kept_as(asked.id))

    def _kept_as(self, provider_id: str) -> str:
        """What a provider is kept under: a key of some agents makes only tasks wait, or go on, that it has claimed."""
        access = self._access
        return provider_id if access.agents is None else f"{provider_id}@{digest([access.key])[:8]}"

    async def crashed(self, asked: CrashedForm) -> None:
        """Charge a task with the death of the process that ran it alone."""
        write = self._organization.work.crashed(
            asked.task_id, asked.attempt, asked.reason, asked.delay, sequence=asked.sequence
        )
        await self._ending(asked, write)

    async def _ending(self, run: RunForm, last_word: Awaitable[None]) -> None:
        holdings = self._service.holdings.get(self._claims.worker_id or "", {})
        known = holdings.pop(run.task_id, None)  # it ends by its own word, so it need not be told
        try:
            await last_word
        except ModuleException as error:
            if known is not None and not isinstance(error, LeaseLost | TaskNotFound):
                holdings[run.task_id] = known
            raise

    async def lost(self, asked: LostForm) -> dict[str, str]:
        """Say which attempts own their task no longer."""
        held = {task_id: attempt for task_id, attempt in asked.held.items() if await self._may_ask_of(task_id, attempt)}
        lost = {task_id: str(status) for task_id, status in (await self._organization.work.lost(held)).items()}
        return {**dict.fromkeys(asked.held.keys() - held.keys(), str(AgentExecutionStatus.Stopped)), **lost}

    async def _may_ask_of(self, task_id: str, attempt: int) -> bool:
        """Whether a task is within reach; what the worker claimed is."""
        if "\0" in task_id:
            return False
        if self._access.agents is None or await self._claims.owned([(task_id, attempt)]):
            return True
        with suppress(ModuleException):
            await self._access.check_task(task_id)
            return True
        return False

    async def deliveries(self, asked: DeliveriesForm) -> Any:
        """Claim due events, waiting for them; what it was given and never got is due again."""
        worker_id = await self._worker()
        if asked.held is not None:
            known = {HeldDelivery(each.subscription_id, each.task_id, each.claim) for each in asked.held}
            missing = [
                each for each in await self._organization.presence.held_deliveries(worker_id) if each not in known
            ]
            await self._organization.presence.give_back_deliveries(missing)
        found = await self._organization.work.deliveries(
            worker_id, lambda: asked.demand(leaving=self.gone or self._service.closing.is_set()), asked.seconds
        )
        return [delivery_json(self._linked(each)) for each in found]

    def _linked(self, delivery: Delivery) -> Delivery:
        links, access, base = self._service.answer_links, self._access, self._base
        event = links.told(delivery.event, access, base, to_handler=True)
        return replace(delivery, event=event, task=links.told(delivery.task, access, base, to_handler=True))

    async def settle(self, asked: SettleForm) -> bool:
        """Settle a delivery."""
        task = await self._access.task(asked.delivery.task_id)
        return await self._organization.work.settle(asked.delivery.of(task), asked.error, final=asked.final)

    async def renew(self, asked: Form) -> None:
        """Hold on to the worker's leases."""
        del asked
        await self._organization.work.renew(await self._worker())

    async def report(self, asked: ReportForm) -> None:
        """Note how worn the worker is."""
        wear = WorkerWear(asked.hung_threads, asked.memory, asked.runs, tuple(asked.recent), tuple(asked.troubles))
        await self._organization.work.report(await self._worker(), wear)

    async def drain(self, asked: Form) -> None:
        """Note that the worker begins to leave."""
        del asked
        await self._organization.work.drain(await self._worker())

    async def leave_platform(self, asked: Form) -> None:
        """Take the worker off the list."""
        del asked
        await self._organization.work.leave(await self._worker())


VERBS: dict[str, tuple[type[Form], Callable[[VerbRunner, Any], Awaitable[Any]]]] = {
    "register": (RegisterForm, VerbRunner.register),
    "assignments": (AssignmentsForm, VerbRunner.assignments),
    "emit": (EmitForm, VerbRunner.emit),
    "keep_files": (KeepFilesForm, VerbRunner.keep_files),
    "store_document": (StoreDocumentForm, VerbRunner.store_document),
    "save": (SaveForm, VerbRunner.save),
    "journal": (TaskForm, VerbRunner.journal),
    "told": (RunForm, VerbRunner.told),
    "messages": (MessagesForm, VerbRunner.messages),
    "finish": (FinishForm, VerbRunner.finish),
    "hand_back": (HandBackForm, VerbRunner.hand_back),
    "make_children": (MakeChildrenForm, VerbRunner.make_children),
    "children": (ChildrenForm, VerbRunner.children),
    "save_artifacts": (SaveArtifactsForm, VerbRunner.save_artifacts),
    "crashed": (CrashedForm, VerbRunner.crashed),
    "providers": (Form, VerbRunner.providers),
    "provider_failed": (ProviderFailedForm, VerbRunner.provider_failed),
    "provider_answered": (ProviderForm, VerbRunner.provider_answered),
    "lost": (LostForm, VerbRunner.lost),
    "deliveries": (DeliveriesForm, VerbRunner.deliveries),
    "settle": (SettleForm, VerbRunner.settle),
    "renew": (Form, VerbRunner.renew),
    "report": (ReportForm, VerbRunner.report),
    "drain": (Form, VerbRunner.drain),
    "leave": (Form, VerbRunner.leave_platform),
}


def _type(text: str) -> TaskUpdateEventType:
    try:
        return TaskUpdateEventType(text)
    except ValueError:
        raise ValidationError("an event's type is not known", field="events.type") from None


def _check_unguessable(child_id: str) -> None:
    """Let pass a UUID alone: an id of another form could be guessed, and a refusal would tell whether it is taken.

    Raises: ValidationError.
    """
    try:
        UUID(child_id)
    except ValueError:
        raise ValidationError("with a key of some agents it is a UUID", field="children.child_id") from None


def _held(told: dict[str, Any]) -> HeldDelivery:
    return HeldDelivery(told["subscription_id"], told["task"]["id"], told["claim"])
