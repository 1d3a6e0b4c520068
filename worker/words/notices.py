"""Notices of events in this process, announced by engine and supervisor, and turned into logs, metrics and traces."""

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from worker.words.upkeep import Removed


@dataclass(frozen=True, slots=True)
class Notice:
    """An event in this process that an operator may want to know about."""


@dataclass(frozen=True, slots=True)
class RunNotice(Notice):
    """An event of one attempt of a task."""

    task_id: str
    agent_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class WorkerStarted(Notice):
    """A worker is ready. ``isolates``: it runs suspect tasks, during which workers died, alone in child processes."""

    worker_id: str
    name: str
    platform: str
    concurrency: int
    handlers: tuple[str, ...]
    isolates: bool = True


@dataclass(frozen=True, slots=True)
class HandlersReloaded(Notice):
    """A worker has replaced its handlers."""

    worker_id: str
    handlers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandlersBroken(Notice):
    """Saved handlers cannot be loaded; the previous ones stay. Each problem is a line with file and line number."""

    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerCutOff(Notice):
    """A worker's lease has expired by its own clock, since no renewal was answered; its runs are canceled."""

    worker_id: str
    running: int


@dataclass(frozen=True, slots=True)
class WorkerRetiring(Notice):
    """A worker exits on its own: its threads hang (``by_fault``), or it has reached a limit of its settings."""

    worker_id: str
    reason: str
    by_fault: bool


@dataclass(frozen=True, slots=True)
class WorkerDraining(Notice):
    """A worker has stopped claiming; its running tasks may finish."""

    worker_id: str
    running: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerStopped(Notice):
    """A worker has exited."""

    worker_id: str
    handed_back: int


@dataclass(frozen=True, slots=True)
class TaskStarted(RunNotice):
    """An attempt starts. ``waited``: seconds since the task was created, for its first attempt."""

    handler: str
    waited: float | None = None


@dataclass(frozen=True, slots=True)
class TaskEnded(RunNotice):
    """An attempt ended the task. ``error``: the exception that was raised, with its traceback."""

    status: str
    seconds: float
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class TaskRetried(RunNotice):
    """An attempt failed, and the task waits for the next one."""

    delay: float
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class TaskHandedBack(RunNotice):
    """A task was handed back to the queue without a charge."""


@dataclass(frozen=True, slots=True)
class TaskIsolated(RunNotice):
    """An attempt starts alone in a child process, because workers died while the task ran."""

    handler: str
    suspicions: int


@dataclass(frozen=True, slots=True)
class TaskCrashed(RunNotice):
    """The child process that ran a task died. ``reason`` describes its death; ``ended``: no try is left."""

    crashes: int
    reason: str
    ended: bool


@dataclass(frozen=True, slots=True)
class ChildStarted(Notice):
    """This process is a child of a worker and runs a single task. ``name`` is the worker's."""

    name: str
    task_id: str


@dataclass(frozen=True, slots=True)
class ChildEnded(RunNotice):
    """The child process of a task has stored its outcome. This process announces nothing else about the attempt."""

    status: str
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerDeadlocked(Notice):
    """Every slot of a worker is held by a task that waits for other tasks, which therefore can never start here.

    ``task_ids`` are the tasks that hold the slots, ``awaited`` the tasks that they wait for.
    """

    worker_id: str
    task_ids: tuple[str, ...]
    awaited: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunSuperseded(RunNotice):
    """A run was canceled because its attempt no longer owns the task."""

    status: str


@dataclass(frozen=True, slots=True)
class ResultDiscarded(RunNotice):
    """A handler returned a result after saving a different one that ended its task; the saved result remains."""


@dataclass(frozen=True, slots=True)
class Delivered(Notice):
    """A handler processed an event."""

    task_id: str
    handler: str
    event_number: int


@dataclass(frozen=True, slots=True)
class DeliveryFailed(Notice):
    """A handler raised while processing an event."""

    task_id: str
    handler: str
    event_number: int
    tries: int
    set_aside: bool
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class WorkerLost(Notice):
    """Another worker was found dead; its tasks are pending again."""

    worker_id: str
    name: str
    sign: str
    tasks: int


@dataclass(frozen=True, slots=True)
class ClockSetBack(Notice):
    """The database's clock was set back, by about this many seconds if observed; due times were adjusted."""

    seconds: float
    rows: int


@dataclass(frozen=True, slots=True)
class ProviderAway(Notice):
    """A model provider fails for every caller; tasks wait for it until it answers again."""

    provider: str
    error_code: str
    message: str


@dataclass(frozen=True, slots=True)
class ProviderBack(Notice):
    """A provider answers again, or a person declared it available: the tasks that waited for it continue."""

    provider: str


@dataclass(frozen=True, slots=True)
class VectorsMissing(Notice):
    """A knowledge base cannot have vectors as configured; its search is full-text alone. Announced once per process."""

    reason: str


@dataclass(frozen=True, slots=True)
class CleanedUp(Notice):
    """The daily clean-up has finished."""

    removed: Removed
    seconds: float


@dataclass(frozen=True, slots=True)
class LegacyKeysFound(Notice):
    """Keys without a role, created before roles existed, count as admin, as they always did. Announced once per key."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoKeyLeft(Notice):
    """The server's last key was revoked or has expired: it refuses all further requests."""


@dataclass(frozen=True, slots=True)
class PlatformTrouble(Notice):
    """A call to the platform or other background work failed. ``again_in``: seconds until the next try."""

    doing: str
    error: BaseException
    again_in: float = 0.0  # seconds


Subscriber = Callable[[Notice], None]
_subscribers: list[Subscriber] = []


def subscribe(subscriber: Subscriber) -> Callable[[], None]:
    """Subscribe to all later notices of this process.

    Args:
        subscriber: Called on the thread that announces the notice; it must return quickly.

    Returns:
        A function that ends the subscription.
    """
    _subscribers.append(subscriber)
    return lambda: _subscribers.remove(subscriber) if subscriber in _subscribers else None


def announce(notice: Notice) -> None:
    """Call every subscriber. An exception in one, such as a log that cannot be written, does not affect the others."""
    for subscriber in tuple(_subscribers):
        try:
            subscriber(notice)
        except Exception:  # noqa: BLE001 - the event has already happened, so its announcement must not fail
            with suppress(Exception):
                traceback.print_exc(file=sys.__stderr__)
