"""Steps that many sentences of the suite take."""

from collections.abc import Sequence
from typing import Any

from worker.contracts import Platform
from worker.words.errors import Conflict, TaskNotFound
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.ids import new_id
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord
from worker.words.work import Assignment, Delivery, DeliveryDemand, Demand, Subscription, WorkerCard

AGENT = "analyst"
SECONDS = 10  # how long a claim waits for what must come


def wish(text: str = "Summarise it.", *, agent: str = AGENT, **settings: Any) -> NewTask:
    return NewTask(agent_id=agent, input=AgentExecutionInput(text=text), **settings)


async def create(platform: Platform, text: str = "Summarise it.", **settings: Any) -> TaskRecord:
    return await platform.tasks.create(wish(text, **settings))


def card(
    *agents: str, any_agent: bool = False, subscriptions: Sequence[Subscription] = (), lease_seconds: float = 30
) -> WorkerCard:
    return WorkerCard(
        id=new_id(),
        name="a worker",
        agents=agents,
        any_agent=any_agent,
        lease_seconds=lease_seconds,
        subscriptions=tuple(subscriptions),
    )


async def worker(platform: Platform, *agents: str, **options: Any) -> WorkerCard:
    """Register a worker."""
    registered = card(*(agents or (AGENT,)), **options)
    await platform.work.register(registered)
    return registered


async def claim(
    platform: Platform, by: WorkerCard, count: int = 1, *, seconds: float = SECONDS, **demand: Any
) -> list[Assignment]:
    wanted = Demand(total=count, **(demand or {"agents": dict.fromkeys(by.agents, count)}))
    return await platform.work.assignments(by.id, lambda: wanted, seconds)


async def run(platform: Platform, **settings: Any) -> tuple[WorkerCard, Assignment]:
    """Create a task, register a worker, have it claim the task."""
    await create(platform, **settings)
    by = await worker(platform)
    (assignment,) = await claim(platform, by)
    return by, assignment


async def finish(platform: Platform, assignment: Assignment, status: Status = Status.Completed, **changes: Any) -> None:
    await platform.work.finish(assignment.task.id, assignment.attempt, Outcome(status, changes))


async def bring_to(platform: Platform, status: Status) -> TaskRecord:
    """A task in this status, reached as a worker's task would reach it."""
    if status is Status.Pending:
        return await create(platform)
    _, assignment = await run(platform)
    if status is Status.Stopped:
        return await platform.tasks.stop(assignment.task.id)
    if status is not Status.Executing:
        await finish(platform, assignment, status)
    return await platform.tasks.get(assignment.task.id)


async def log(platform: Platform, task_id: str, after: int = 0) -> list[TaskUpdateEvent]:
    """The task's events, as far as they have come."""
    return [event async for event in platform.tasks.events(task_id, after=after, follow=False)]


async def numbers(platform: Platform, task_id: str, after: int = 0) -> list[int | None]:
    return [event.number for event in await log(platform, task_id, after)]


async def snapshot(platform: Platform, task_id: str) -> tuple[TaskRecord, list[TaskUpdateEvent], dict[str, str]]:
    """All that can be seen of a task: to show that something changed nothing."""
    return await platform.tasks.get(task_id), await log(platform, task_id), await journal(platform, task_id)


async def journal(platform: Platform, task_id: str) -> dict[str, str]:
    """Answer what is journaled; nothing where a server shows it to nobody who has not claimed the task."""
    try:
        return await platform.work.journal(task_id)
    except (Conflict, TaskNotFound):
        return {}


def note(text: str = "hello") -> NewEvent:
    return NewEvent(type=Type.Note, data={"text": text})


async def deliver(
    platform: Platform, by: WorkerCard, limit: int | DeliveryDemand = 10, seconds: float = SECONDS
) -> list[Delivery]:
    return await platform.work.deliveries(
        by.id, lambda: limit if isinstance(limit, DeliveryDemand) else DeliveryDemand(limit), seconds
    )


async def hand_back(platform: Platform, assignment: Assignment, *, error: str | None = None, delay: float = 0) -> None:
    await platform.work.hand_back(assignment.task.id, assignment.attempt, HandBack(delay=delay, error=error))


async def until(platform: Platform, task_id: str, *statuses: Status, after: int = 0) -> TaskRecord:
    """Follow a task, from an event on, until it is in one of these statuses."""
    async for event in platform.tasks.events(task_id, after=after):
        if getattr(event.data, "status", None) in statuses:
            break
    return await platform.tasks.get(task_id)
