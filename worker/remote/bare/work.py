"""The verbs of workers on a platform that speaks only the bare protocol: no attempts, no journal, no hints.

This module compensates for missing features: assignments are deduplicated by task id, a task's status is read before it
starts, while it runs and before its result is written, and retries happen in this process.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from worker.background import in_background
from worker.contracts.waiting import STREAMS, until_done
from worker.remote.bare.agent_streams import AgentStream
from worker.remote.bare.claimed_tasks import ClaimedTasks, RunningTask, WaitingTask
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
POLL = 1.0  # seconds between checks for tasks whose retry is due
AGENTS_SECONDS = 30.0  # how often a worker for any agent lists the agents
MAX_STATUS_REQUESTS = 8  # most concurrent status requests
LEAVE_SECONDS = 5.0  # for all writes when leaving; a draining worker has six seconds left


class BareWork:
    """The verbs of workers on a bare platform."""

    def __init__(self, transport: Transport, tasks: RemoteTasks, flags: Flags, heartbeats: Heartbeats) -> None:
        self._transport = transport
        self._tasks = tasks
        self._flags = flags
        self._heartbeats = heartbeats
        self._deliveries = LocalDeliveries(tasks, flags)
        self._claimed = ClaimedTasks()
        self._starting = Starting(tasks, self._claimed, self._deliveries)
        self._streams: dict[str, AgentStream] = {}
        self._answered = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._reports: set[asyncio.Task[None]] = set()  # of finished runs
        self._status_requests = asyncio.Semaphore(MAX_STATUS_REQUESTS)

    async def register(self, card: WorkerCard) -> None:
        """Open a stream for each agent; return once the platform has registered one of them.

        Raises:
            ConfigurationError: The platform rejected this worker.
            KeyRefused: The platform rejected the key.
        """
        self._deliveries.subscribe(card.subscriptions)
        for agent_id in card.agents:
            self._open(agent_id)
        if card.any_agent:
            in_background(
                until_done("listing agents", self._open_all, backoff=STREAMS), self._background, "listing agents"
            )
        await self._answered.wait()
        self._raise_failure()

    def _open(self, agent_id: str) -> None:
        if agent_id not in self._streams:
            self._streams[agent_id] = AgentStream(
                self._transport,
                self._heartbeats,
                agent_id,
                self._assigned,
                self._stream_registered,
                changed=self._flags.changed,
            )

    async def _open_all(self, well: Callable[[], None]) -> None:
        """Open a stream for every agent of the platform, including agents that are created later."""
        while True:
            for agent in await self._tasks.list_agents():
                self._open(agent.id)
            well()
            await asyncio.sleep(AGENTS_SECONDS)

    async def _stream_registered(self) -> None:
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
        if self._claimed.assign(task_id, agent_id, assigned if isinstance(assigned, int) else None):
            self._flags.wake(WORK)

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:  # noqa: ARG002 - the platform assigns an id per stream
        """Start assigned tasks that can start, waiting until there are some."""
        until = time.monotonic() + seconds
        while True:
            self._flags.lower(WORK)
            self._raise_failure()
            wanted = demand()
            await self._report_capacity(wanted)
            if wanted.total <= 0:
                return []
            picked = self._claimed.pick(wanted)
            started = await self._starting.start(picked)
            if started:
                await self._report_capacity(wanted, Counter(each.task.agent_id for each in started))
            elif picked:
                continue  # none could be started, most likely because all had ended
            left = until - time.monotonic()
            if started or left <= 0:
                return started
            await self._flags.flagged(WORK, min(left, POLL))

    async def _report_capacity(self, demand: Demand, taken: Mapping[str, int] | None = None) -> None:
        """Report on each stream whether it may assign more tasks; a draining worker reports first that it is busy."""
        reports = (
            stream.report_capacity(busy=self._claimed.is_busy(agent_id, demand, taken or {}))
            for agent_id, stream in self._streams.items()
        )
        await asyncio.gather(*reports)

    async def emit(
        self,
        task_id: str,
        attempt: int,
        events: Sequence[NewEvent],
        journal: Sequence[JournalEntry] = (),  # noqa: ARG002 - not supported, so nothing reads it
    ) -> None:
        """Push events. Journal entries are dropped: ``resume`` is not among the platform's capabilities."""
        running = self._claimed.owned(task_id, attempt)
        if events:
            await running.pushes.ask(list(events))

    async def journal(self, task_id: str) -> dict[str, str]:  # noqa: ARG002 - not supported
        """Return an empty journal."""
        return {}

    async def messages(self, task_id: str, after: int = 0) -> list[ReceivedMessage]:  # noqa: ARG002 - not supported
        """Return no messages."""
        return []

    async def earlier_events(self, task_id: str, attempt: int) -> list[str]:  # noqa: ARG002 - not supported
        """Return no events."""
        return []

    async def store_document(self, task_id: str, attempt: int, part: DocumentPart) -> None:  # noqa: ARG002 - not supported
        """Raise Unsupported: the platform has no knowledge bases of ours."""
        raise Unsupported("store documents", self._transport.addresses.shown)

    async def keep_files(self, task_id: str, attempt: int, files: Sequence[KeptFile]) -> None:  # noqa: ARG002 - not supported
        """Raise Unsupported: ``keeps_files`` is not among the platform's capabilities."""
        raise Unsupported("store files of tasks", self._transport.addresses.shown)

    async def save_artifacts(self, task_id: str, attempt: int, artifacts: Sequence[Artifact]) -> None:  # noqa: ARG002 - not supported
        """Raise Unsupported: the platform has no files of tasks."""
        raise Unsupported("store files created by runs", self._transport.addresses.shown)

    async def make_children(self, task_id: str, attempt: int, children: Mapping[str, NewTask]) -> None:  # noqa: ARG002 - not supported
        """Raise Unsupported: without a journal, the parent could not resume after its children."""
        raise Unsupported("create child tasks", self._transport.addresses.shown)

    async def children(self, task_id: str, children: Sequence[str]) -> list[TaskRecord]:  # noqa: ARG002 - not supported
        """Return no children."""
        return []

    async def finish(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """Write the attempt's outcome, unless the task was ended in the meantime."""
        if not outcome.status.is_terminal and outcome.status is not Status.Paused:
            raise ValidationError(f"no attempt ends as {outcome.status}", field="status")
        running = self._claimed.owned(task_id, attempt)
        if running.ended is None:  # otherwise an earlier try may have arrived, and the final status is our own
            await self._check_open(running)
        running.ended = outcome.status
        changes = {name: value for name, value in outcome.changes.items() if value is not None}  # null means unchanged
        record = await self._tasks.update(task_id, {**changes, "status": outcome.status})
        self._claimed.running.pop(task_id, None)
        if record.status is not outcome.status:
            raise LeaseLost(task_id, attempt)
        in_background(self._report(record, outcome, running), self._reports, f"reporting metrics of {task_id}")

    async def _check_open(self, running: RunningTask) -> None:
        """Raise LeaseLost if a task has ended or no longer exists, so that no write replaces its outcome."""
        try:
            task = await self._tasks.get(running.task_id)
        except TaskNotFound:
            task = None
        if task is None or task.status in TERMINAL:
            self._claimed.running.pop(running.task_id, None)
            raise LeaseLost(running.task_id, running.attempt)

    async def _report(self, record: TaskRecord, outcome: Outcome, running: RunningTask) -> None:
        path = f"/agents-metrics/{record.agent_id}/execution"
        try:
            await self._transport.call(
                "POST", path, body=metrics(record, outcome, time.monotonic() - running.started), repeat=Repeat.NEVER
            )
        except ModuleException as error:
            announce(PlatformTrouble(doing="reporting metrics", error=error))

    async def hand_back(self, task_id: str, attempt: int, back: HandBack) -> None:
        """Retry the task in this process after an error; without an error, ask the platform to queue it again."""
        running = self._claimed.owned(task_id, attempt)
        await self._check_open(running)
        if back.error is None:
            await self._give_up(task_id)
            self._claimed.running.pop(task_id, None)
            return
        self._claimed.running.pop(task_id, None)
        self._claimed.waiting[task_id] = WaitingTask(
            task_id,
            running.agent_id,
            due=time.monotonic() + back.delay,
            begun=True,
            errors=running.errors + 1,
            error=back.error,
        )

    async def providers(self) -> list[ProviderState]:
        """Return no providers: a bare platform does not track them."""
        return []

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState | None:
        """Do nothing: a bare platform does not track providers."""

    async def provider_answered(self, provider_id: str) -> None:
        """Do nothing: a bare platform does not track providers."""

    async def crashed(self, task_id: str, attempt: int, reason: str, delay: float = 0.0) -> None:  # noqa: ARG002 - not supported
        """Raise Unsupported: a bare platform does not count crashes."""
        raise Unsupported(f"count process crashes of task {task_id}", self._transport.addresses.shown)

    async def _give_up(self, task_id: str) -> None:
        """Ask the platform to queue a task again; announce it if the task stays ``executing`` all the same."""
        record = await self._tasks.update(task_id, {"status": Status.Pending})
        if record.status is Status.Executing:
            refused = Unsupported(f"take back task {task_id}, which stays executing", self._transport.addresses.shown)
            announce(PlatformTrouble(doing="handing back", error=refused))

    async def lost(self, claimed: Mapping[str, int]) -> dict[str, Status]:
        """Return the tasks that have ended or no longer exist, with their status."""
        statuses = await asyncio.gather(*(self._status(task_id) for task_id in claimed))
        lost = {task_id: status for task_id, status in zip(claimed, statuses, strict=True) if status in TERMINAL}
        return {task_id: status for task_id, status in lost.items() if self._let_go(task_id, claimed[task_id])}

    def _let_go(self, task_id: str, attempt: int) -> bool:
        """Release a lost task; return False if it was ended by its own run, which is writing its outcome."""
        running = self._claimed.running.get(task_id)
        if running is not None and running.attempt == attempt:
            if running.ended is not None:
                return False
            del self._claimed.running[task_id]
        return True

    async def _status(self, task_id: str) -> Status:
        async with self._status_requests:
            try:
                return (await self._tasks.get(task_id)).status
            except TaskNotFound:
                return Status.Stopped
            except ModuleException:
                return Status.Executing  # unknown; read again in a few seconds

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:  # noqa: ARG002 - there is only one worker
        """Claim due deliveries from the tasks that this worker runs, waiting until there are some."""
        return await self._deliveries.deliveries(demand, seconds)

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """Settle a delivery or schedule its retry."""
        return self._deliveries.settle(delivery, error, final=final)

    async def renew(self, worker_id: str) -> None:
        """Do nothing: the heartbeats keep the worker alive."""

    async def report(self, worker_id: str, wear: WorkerWear) -> None:
        """Do nothing: a bare platform has no list of workers."""

    async def drain(self, worker_id: str) -> None:
        """Do nothing: a bare platform has no list of workers, and a draining worker reports that it is busy."""

    async def leave(self, worker_id: str) -> None:  # noqa: ARG002 - there is only one worker
        """Hand back the remaining tasks and report that the worker leaves."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await asyncio.gather(*(self._leave_one(task_id) for task_id in self._left()))
                await asyncio.gather(*(stream.leave() for stream in self._streams.values()))
                await asyncio.gather(*self._reports)
        except TimeoutError:
            announce(PlatformTrouble(doing="leaving", error=TimeoutError("no answer")))

    def _left(self) -> list[str]:
        return [*self._claimed.running, *(each.task_id for each in self._claimed.waiting.values() if each.begun)]

    async def _leave_one(self, task_id: str) -> None:
        self._claimed.running.pop(task_id, None)
        waiting = self._claimed.waiting.pop(task_id, None)
        try:
            record = await self._tasks.update(task_id, {"status": Status.Pending})
            if record.status is Status.Executing and waiting is not None:  # this process would have retried it
                await self._tasks.update(task_id, {"status": Status.Error, "result": waiting.error})
        except ModuleException as error:
            announce(PlatformTrouble(doing=f"handing back task {task_id}", error=error))

    async def close(self) -> None:
        """Stop all background work."""
        background = [*self._background, *self._reports]
        for each in background:
            each.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await asyncio.gather(*(stream.close() for stream in self._streams.values()))
        await self._deliveries.close()

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Register a listener for changed tasks; return a function that removes it."""
        return self._flags.listen(wake)
