"""The verbs of a worker itself: registering, claiming, settling, reporting, leaving."""

from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from worker.contracts import Claimant, ClaimedDelivery
from worker.server.identity.claims import Claim
from worker.server.verbs.verbs import WorkerVerbs
from worker.wire.deliveries import DeliveriesForm, SettleForm, delivery_json
from worker.wire.forms import Form
from worker.wire.records import task_json
from worker.wire.workers import AssignmentsForm, LostForm, ProviderFailedForm, ProviderForm, RegisterForm, ReportForm
from worker.words.conversations import ANY_AGENT
from worker.words.errors import ModuleException, ValidationError
from worker.words.ids import check_id
from worker.words.invisible_characters import name_of
from worker.words.knowledge import AGENT as KNOWLEDGE
from worker.words.providers import ProviderFailure
from worker.words.statuses import AgentExecutionStatus
from worker.words.texts import clean
from worker.words.tools import ToolRecord
from worker.words.work import Delivery, Demand, WorkerCard, WorkerWear

VERSION = 3  # 2 added ``files`` next to ``changes``; 3 added ``store_document`` and ingestion tasks


class PresenceVerbs(WorkerVerbs):
    """Verbs about a worker and its claims."""

    async def register(self, asked: RegisterForm) -> Any:
        """Register the worker, with a lease of at most three heartbeats."""
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
            raise ValidationError(
                "this key can only access some agents, so the worker must name its agents", field="card.any_agent"
            )
        if self._claims.worker_id is not None and self._claims.worker_id != card.id:
            raise ValidationError("card.id differs from worker_id", field="card.id")
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
                lease_seconds=min(card.lease_seconds, self._service.timings.lease),
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
        """Claim tasks, waiting until there are some; tasks assigned in a lost response are queued again."""
        worker_id = await self._worker()
        agents, others = asked.demand.agents, asked.demand.others
        if self._access.agents is not None:
            agents = {agent: free for agent, free in agents.items() if agent != KNOWLEDGE}  # outside the key's agents
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

    async def _recall(self, worker_id: str, claimed: set[str]) -> None:
        """Queue the tasks again that were claimed for this worker in a response that it never received."""
        missing = [each for each in await self._organization.presence.claimed(worker_id) if each.task_id not in claimed]
        await self._organization.presence.give_back(missing)

    async def lost(self, asked: LostForm) -> dict[str, str]:
        """Return the attempts that have lost their lease, with the status of each task."""
        claimed = {
            task_id: attempt for task_id, attempt in asked.held.items() if await self._may_ask_of(task_id, attempt)
        }
        lost = {task_id: str(status) for task_id, status in (await self._organization.work.lost(claimed)).items()}
        return {**dict.fromkeys(asked.held.keys() - claimed.keys(), str(AgentExecutionStatus.Stopped)), **lost}

    async def _may_ask_of(self, task_id: str, attempt: int) -> bool:
        """Return whether the worker may see a task: it claimed the task, or its key can reach it."""
        if "\0" in task_id:
            return False
        if self._access.agents is None or await self._claims.owned([(task_id, attempt)]):
            return True
        with suppress(ModuleException):
            await self._access.check_task(task_id)
            return True
        return False

    async def deliveries(self, asked: DeliveriesForm) -> Any:
        """Claim due deliveries, waiting until there are some; deliveries of a lost response become due again."""
        worker_id = await self._worker()
        if asked.held is not None:
            known = {ClaimedDelivery(each.subscription_id, each.task_id, each.claim) for each in asked.held}
            missing = [
                each for each in await self._organization.presence.claimed_deliveries(worker_id) if each not in known
            ]
            await self._organization.presence.give_back_deliveries(missing)
        found = await self._organization.work.deliveries(
            worker_id, lambda: asked.demand(leaving=self.gone or self._service.closing.is_set()), asked.seconds
        )
        return [delivery_json(self._linked(each)) for each in found]

    def _linked(self, delivery: Delivery) -> Delivery:
        links, access, base = self._service.answer_links, self._access, self._base
        event = links.with_links(delivery.event, access, base, to_handler=True)
        return replace(delivery, event=event, task=links.with_links(delivery.task, access, base, to_handler=True))

    async def settle(self, asked: SettleForm) -> bool:
        """Settle a delivery as handled or failed."""
        task = await self._access.task(asked.delivery.task_id)
        return await self._organization.work.settle(asked.delivery.of(task), asked.error, final=asked.final)

    async def renew(self, asked: Form) -> None:
        """Renew the worker's leases."""
        del asked
        await self._organization.work.renew(await self._worker())

    async def report(self, asked: ReportForm) -> None:
        """Store the worker's memory use, hung threads and other signs of wear."""
        wear = WorkerWear(asked.hung_threads, asked.memory, asked.runs, tuple(asked.recent), tuple(asked.troubles))
        await self._organization.work.report(await self._worker(), wear)

    async def drain(self, asked: Form) -> None:
        """Record that the worker is draining."""
        del asked
        await self._organization.work.drain(await self._worker())

    async def leave_platform(self, asked: Form) -> None:
        """Remove the worker from the list and hand back its tasks."""
        del asked
        await self._organization.work.leave(await self._worker())


class ProviderVerbs(WorkerVerbs):
    """Verbs about the availability of model providers."""

    async def providers(self, _asked: Form) -> Any:
        """Return the providers whose last call failed."""
        own = self._kept_as("")
        found = [each for each in await self._organization.work.providers() if each.id.endswith(own)]
        return [{**each.model_dump(mode="json"), "id": each.id.removesuffix(own)} for each in found]

    async def provider_failed(self, asked: ProviderFailedForm) -> Any:
        """Count a failed call of a provider and return its state."""
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
        """Record that a provider answers again."""
        await self._organization.work.provider_answered(self._kept_as(asked.id))
