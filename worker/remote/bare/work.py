"""The verbs of workers on a platform that speaks the bare protocol: no attempts, no journal, no hints.

What such a platform cannot do is made up for: assignments are deduplicated by task id, a task's status is asked before
it starts, while it runs and before its result is written, and retries happen in this process.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextvars import Context
from typing import Any

from worker.contracts.waiting import STREAMS, until_done
from worker.remote.bare.agent_streams import AgentStream
from worker.remote.bare.holding import Held, Holding, WaitingTask
from worker.remote.bare.local_deliveries import LocalDeliveries
from worker.remote.bare.metrics import metrics
from worker.remote.bare.starting import Starting
from worker.remote.clients.tasks import RemoteTasks
from worker.remote.flags import WORK, Flags
from worker.remote.http.heartbeats import Heartbeats
from worker.remote.http.transport import Repeat, Transport
from worker.words.artifacts import Artifact
from worker.words.errors import LeaseLost, ModuleException, TaskNotFound, Unsupported, ValidationError
from worker.words.events import NewEvent
from worker.words.knowledge import DocumentPart
from worker.words.messages import ReceivedMessage
from worker.words.notices import PlatformTrouble, announce
from worker.words.outcomes import HandBack, Outcome
from worker.words.providers import ProviderFailure, ProviderState
from worker.words.statuses import TERMINAL, AgentExecutionStatus
from worker.words.tasks import NewTask, TaskRecord
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

Status = AgentExecutionStatus
POLL = 1.0  # seconds between looks for a task whose time to be tried again has come
AGENTS_SECONDS = 30.0  # how often a worker for any agent asks which agents there are
ASKED_AT_ONCE = 8  # statuses
LEAVE_SECONDS = 5.0  # for all that is written when leaving; a worker that drains has six left


class BareWork:
    """What workers ask for, of a platform that speaks the bare protocol."""

    def __init__(self, transport: Transport, tasks: RemoteTasks, flags: Flags, heartbeats: Heartbeats) -> None:
        self._transport = transport
        self._tasks = tasks
        self._flags = flags
        self._heartbeats = heartbeats
        self._deliveries = LocalDeliveries(tasks, flags)
        self._holding = Holding()
        self._starting = Starting(tasks, self._holding, self._deliveries)
        self._streams: dict[str, AgentStream] = {}
        self._answered = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE)

    async def register(self, card: WorkerCard) -> None:
        """Open a stream for each agent; return once the platform has registered one of them.

        Raises:
            ConfigurationError: The platform refuses this worker. KeyRefused: it does not take the key.
        """
        self._deliveries.subscribe(card.subscriptions)
        for agent_id in card.agents:
            self._open(agent_id)
        if card.any_agent:
            self._later(until_done("asking for agents", self._open_all, backoff=STREAMS))
        await self._answered.wait()
        self._raise_failure()

    def _open(self, agent_id: str) -> None:
        if agent_id not in self._streams:
            self._streams[agent_id] = AgentStream(
                self._transport,
                self._heartbeats,
                agent_id,
                self._assigned,
                self._station_answered,
                changed=self._flags.changed,
            )

    async def _open_all(self, well: Callable[[], None]) -> None:
        """Open a stream for every agent that the platform has, and for those that are made later."""
        while True:
            for agent in await self._tasks.list_agents():
                self._open(agent.id)
            well()
            await asyncio.sleep(AGENTS_SECONDS)

    async def _station_answered(self) -> None:
        self._answered.set()
        self._flags.wake(WORK)

    def _raise_failure(self) -> None:
        for stream in self._streams.values():
            if stream.failure is not None:
                raise stream.failure

    def _assigned(self, data: dict[str, Any]) -> None:
        task_id, agent_id, assigned = (data.get(name) for name in ("id", "agent_id", "assigned_attempt"))
        if not isinstance(task_id, str) or not isinstance(agent_id, str):
            return
        if self._holding.assign(task_id, agent_id, assigned if isinstance(assigned, int) else None):
            self._flags.wake(WORK)

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:  # noqa: ARG002 - the platform knows it by other names, one a stream
        """Start what was assigned and can start; wait for it where there is none."""
        until = time.monotonic() + seconds
        while True:
            self._flags.lower(WORK)
            self._raise_failure()
            wanted = demand()
            await self._tell_capacity(wanted)
            if wanted.total <= 0:
                return []
            picked = self._holding.pick(wanted)
            started = await self._starting.start(picked)
            if started:
                await self._tell_capacity(wanted, Counter(each.task.agent_id for each in started))
            elif picked:
                continue  # all of them were over already
            left = until - time.monotonic()
            if started or left <= 0:
                return started
            await self._flags.flagged(WORK, min(left, POLL))

    async def _tell_capacity(self, demand: Demand, taken: Mapping[str, int] | None = None) -> None:
        """Tell each stream whether more may come; a draining worker wants nothing and says so first of all."""
        reports = (
            stream.tell_capacity(busy=self._holding.is_busy(agent_id, demand, taken or {}))
            for agent_id, stream in self._streams.items()
        )
        await asyncio.gather(*reports)

    async def emit(
        self,
        task_id: str,
        attempt: int,
        events: Sequence[NewEvent],
        journal: Sequence[JournalEntry] = (),  # noqa: ARG002 - ``resume`` is declared missing: nothing reads it
    ) -> None:
        """Push events."""
        held = self._holding.owned(task_id, attempt)
        if events:
            await held.pushes.ask(list(events))

    async def journal(self, task_id: str) -> dict[str, str]:  # noqa: ARG002 - the same
        """There is none."""
        return {}

    async def messages(self, task_id: str, after: int = 0) -> list[ReceivedMessage]:  # noqa: ARG002 - the same
        """Nothing that is known."""
        return []

    async def told(self, task_id: str, attempt: int) -> list[str]:  # noqa: ARG002 - the same
        """Nothing that is known."""
        return []

    async def store_document(self, task_id: str, attempt: int, part: DocumentPart) -> None:  # noqa: ARG002 - the same
        """The platform has no knowledge bases of ours."""
        raise Unsupported("store documents", self._transport.addresses.shown)

    async def keep_files(self, task_id: str, attempt: int, files: Sequence[KeptFile]) -> None:  # noqa: ARG002 - the same
        """Refuse: ``keeps_files`` is declared missing. Raises: Unsupported."""
        raise Unsupported("keep files of tasks", self._transport.addresses.shown)

    async def save_artifacts(self, task_id: str, attempt: int, artifacts: Sequence[Artifact]) -> None:  # noqa: ARG002 - the same
        """Refuse: it knows no files of tasks. Raises: Unsupported."""
        raise Unsupported("keep files that runs make", self._transport.addresses.shown)

    async def make_children(self, task_id: str, attempt: int, children: Mapping[str, NewTask]) -> None:  # noqa: ARG002 - the same
        """Refuse: it keeps no journals, so nothing could go on after them. Raises: Unsupported."""
        raise Unsupported("make children of tasks", self._transport.addresses.shown)

    async def children(self, task_id: str, children: Sequence[str]) -> list[TaskRecord]:  # noqa: ARG002 - the same
        """Answer none."""
        return []

    async def finish(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """Write the attempt's last word, unless the task was ended meanwhile."""
        if not outcome.status.is_terminal and outcome.status is not Status.Paused:
            raise ValidationError(f"no attempt ends as {outcome.status}", field="status")
        held = self._holding.owned(task_id, attempt)
        if held.ended is None:  # else an earlier try may have arrived, and its status is ours
            await self._check_open(held)
        held.ended = outcome.status
        changes = {name: value for name, value in outcome.changes.items() if value is not None}  # null is "as it is"
        record = await self._tasks.update(task_id, {**changes, "status": outcome.status})
        self._holding.held.pop(task_id, None)
        if record.status is not outcome.status:
            raise LeaseLost(task_id, attempt)
        self._later(self._report(record, outcome, held), f"metrics of {task_id}")

    async def _check_open(self, held: Held) -> None:
        """Nothing overwrites the end of a task.

        Raises:
            LeaseLost: It is over already.
        """
        try:
            task = await self._tasks.get(held.task_id)
        except TaskNotFound:
            task = None
        if task is None or task.status in TERMINAL:
            self._holding.held.pop(held.task_id, None)
            raise LeaseLost(held.task_id, held.attempt)

    async def _report(self, record: TaskRecord, outcome: Outcome, held: Held) -> None:
        path = f"/agents-metrics/{record.agent_id}/execution"
        try:
            await self._transport.call(
                "POST", path, body=metrics(record, outcome, time.monotonic() - held.started), repeat=Repeat.NEVER
            )
        except ModuleException as error:
            announce(PlatformTrouble(doing="reporting metrics", error=error))

    async def hand_back(self, task_id: str, attempt: int, back: HandBack) -> None:
        """After an error: try again in this process. Without one: ask the platform to queue it again."""
        held = self._holding.owned(task_id, attempt)
        await self._check_open(held)
        if back.error is None:
            await self._give_up(task_id)
            self._holding.held.pop(task_id, None)
            return
        self._holding.held.pop(task_id, None)
        self._holding.waiting[task_id] = WaitingTask(
            task_id,
            held.agent_id,
            due=time.monotonic() + back.delay,
            begun=True,
            errors=held.errors + 1,
            error=back.error,
        )

    async def providers(self) -> list[ProviderState]:
        """None that are known: such a platform keeps no account of them."""
        return []

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState | None:
        """Nobody to tell: the task is tried as usual."""

    async def provider_answered(self, provider_id: str) -> None:
        """Nobody to tell."""

    async def crashed(self, task_id: str, attempt: int, reason: str, delay: float = 0.0) -> None:  # noqa: ARG002 - refused
        """A bare platform counts no deaths. Raises: Unsupported."""
        raise Unsupported(f"count the deaths of what ran task {task_id}", self._transport.addresses.shown)

    async def _give_up(self, task_id: str) -> None:
        """Ask for a task to be queued again; where the platform does not do that, say so: the task stays as it is."""
        record = await self._tasks.update(task_id, {"status": Status.Pending})
        if record.status is Status.Executing:
            refused = Unsupported(f"take task {task_id} back: it stays executing", self._transport.addresses.shown)
            announce(PlatformTrouble(doing="handing back", error=refused))

    async def lost(self, held: Mapping[str, int]) -> dict[str, Status]:
        """Ask how the tasks in hand stand: those that are over, or gone, are lost."""
        statuses = await asyncio.gather(*(self._status(task_id) for task_id in held))
        lost = {task_id: status for task_id, status in zip(held, statuses, strict=True) if status in TERMINAL}
        return {task_id: status for task_id, status in lost.items() if self._let_go(task_id, held[task_id])}

    def _let_go(self, task_id: str, attempt: int) -> bool:
        """Hold a lost task no longer. Returns: whether it is lost, and not just being finished by its own run."""
        held = self._holding.held.get(task_id)
        if held is not None and held.attempt == attempt:
            if held.ended is not None:
                return False
            del self._holding.held[task_id]
        return True

    async def _status(self, task_id: str) -> Status:
        async with self._asking:
            try:
                return (await self._tasks.get(task_id)).status
            except TaskNotFound:
                return Status.Stopped
            except ModuleException:
                return Status.Executing  # not known; asked again in a few seconds

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:  # noqa: ARG002 - the only one here
        """Answer events of the tasks that this worker runs, for its handlers."""
        return await self._deliveries.deliveries(demand, seconds)

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """Go on to the next event, or try this one again later."""
        return self._deliveries.settle(delivery, error, final=final)

    async def renew(self, worker_id: str) -> None:
        """The heartbeats do that."""

    async def report(self, worker_id: str, wear: WorkerWear) -> None:
        """Such a platform lists no workers."""

    async def drain(self, worker_id: str) -> None:
        """Such a platform lists no workers; that this one takes nothing more it says by being busy."""

    async def leave(self, worker_id: str) -> None:  # noqa: ARG002 - the only one here
        """Hand back what is left, say goodbye."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await asyncio.gather(*(self._leave_one(task_id) for task_id in self._left()))
                await asyncio.gather(*(stream.leave() for stream in self._streams.values()))
                await asyncio.gather(*self._reports())
        except TimeoutError:
            announce(PlatformTrouble(doing="leaving", error=TimeoutError("no answer")))

    def _left(self) -> list[str]:
        return [*self._holding.held, *(each.task_id for each in self._holding.waiting.values() if each.begun)]

    async def _leave_one(self, task_id: str) -> None:
        self._holding.held.pop(task_id, None)
        waiting = self._holding.waiting.pop(task_id, None)
        try:
            record = await self._tasks.update(task_id, {"status": Status.Pending})
            if record.status is Status.Executing and waiting is not None:  # its next try would have been here
                await self._tasks.update(task_id, {"status": Status.Error, "result": waiting.error})
        except ModuleException as error:
            announce(PlatformTrouble(doing=f"handing back task {task_id}", error=error))

    def _reports(self) -> list[asyncio.Task[None]]:
        return [each for each in self._background if each.get_name().startswith("metrics")]

    async def close(self) -> None:
        """End what runs in the background."""
        background = list(self._background)
        for each in background:
            each.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await asyncio.gather(*(stream.close() for stream in self._streams.values()))
        await self._deliveries.close()

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Hear of changed tasks."""
        return self._flags.listen(wake)

    def _later(self, work: Coroutine[Any, Any, None], name: str | None = None) -> None:
        task = asyncio.create_task(work, name=name, context=Context())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
