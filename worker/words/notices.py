"""Announcements: the engine and the supervisor say what happened; subscribers make log lines, metrics, traces of it."""

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from worker.words.upkeep import Removed


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened that an operator may want to know."""


@dataclass(frozen=True, slots=True)
class WorkerStarted(Notice):
    """A worker is ready. ``isolates``: it runs tasks that workers died of alone, in processes of their own."""

    worker_id: str
    name: str
    platform: str
    concurrency: int
    handlers: tuple[str, ...]
    isolates: bool = True


@dataclass(frozen=True, slots=True)
class HandlersReloaded(Notice):
    """A worker serves other handlers from now on."""

    worker_id: str
    handlers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandlersBroken(Notice):
    """Handlers that were saved cannot be served; those before them go on. One problem a line, with file and line."""

    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerCutOff(Notice):
    """A worker's lease has run out by its own clock, since the platform answered no renewal; its runs are ended."""

    worker_id: str
    running: int


@dataclass(frozen=True, slots=True)
class WorkerWorn(Notice):
    """A worker leaves by itself. ``by_fault``: since threads of it hang; else since it was to."""

    worker_id: str
    reason: str
    by_fault: bool


@dataclass(frozen=True, slots=True)
class WorkerDraining(Notice):
    """A worker claims nothing more; what runs may finish."""

    worker_id: str
    running: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerStopped(Notice):
    """A worker has left."""

    worker_id: str
    handed_back: int


@dataclass(frozen=True, slots=True)
class TaskStarted(Notice):
    """An attempt begins. ``waited``: seconds since the task was created, if it is its first."""

    task_id: str
    agent_id: str
    attempt: int
    handler: str
    waited: float | None = None


@dataclass(frozen=True, slots=True)
class TaskEnded(Notice):
    """An attempt ended the task. ``error`` is what was raised, with its traceback."""

    task_id: str
    agent_id: str
    attempt: int
    status: str
    seconds: float
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class TaskRetried(Notice):
    """An attempt failed and the task waits for another."""

    task_id: str
    agent_id: str
    attempt: int
    delay: float
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class TaskHandedBack(Notice):
    """A task went back to the queue, uncharged."""

    task_id: str
    agent_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class TaskIsolated(Notice):
    """An attempt begins alone in a child process, since workers died while the task ran."""

    task_id: str
    agent_id: str
    attempt: int
    handler: str
    suspicions: int


@dataclass(frozen=True, slots=True)
class TaskCrashed(Notice):
    """The child process that ran a task died of it. ``reason`` says how; ``ended``: no try is left."""

    task_id: str
    agent_id: str
    attempt: int
    crashes: int
    reason: str
    ended: bool


@dataclass(frozen=True, slots=True)
class ChildStarted(Notice):
    """This process is a worker's child, which runs one task and ends. ``name`` is the worker's."""

    name: str
    task_id: str


@dataclass(frozen=True, slots=True)
class ChildEnded(Notice):
    """The child process that ran a task has written what came of it; of this attempt no other notice is heard here."""

    task_id: str
    agent_id: str
    attempt: int
    status: str
    seconds: float


@dataclass(frozen=True, slots=True)
class LoopHeld(Notice):
    """Code has held the event loop for a quarter of a second: of a run, where that is known. The stack says where."""

    task_id: str | None
    agent_id: str | None
    attempt: int | None
    handler: str | None
    stack: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoopBlocked(Notice):
    """A handler keeps the event loop to itself: all else of this process waits; its leases are held nonetheless.

    ``stack`` are the innermost lines of what runs, the innermost first; the run is named where it is known.
    """

    task_id: str | None
    agent_id: str | None
    attempt: int | None
    handler: str | None
    seconds: float
    stack: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StandsStill(Notice):
    """Every place of a worker is held by a task that waits for others: what these need of this worker never starts.

    ``task_ids`` hold the places, ``awaited`` is what they wait for.
    """

    worker_id: str
    task_ids: tuple[str, ...]
    awaited: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoopFreed(Notice):
    """The event loop goes on, after so many seconds."""

    task_id: str | None
    agent_id: str | None
    attempt: int | None
    handler: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class TaskTaken(Notice):
    """A run was ended because its attempt no longer owns the task."""

    task_id: str
    agent_id: str
    attempt: int
    status: str


@dataclass(frozen=True, slots=True)
class ResultPassedOver(Notice):
    """A handler returned a result after it had saved another one that ended its task: the saved one stands."""

    task_id: str
    agent_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Delivered(Notice):
    """A handler took an event."""

    task_id: str
    handler: str
    event_number: int


@dataclass(frozen=True, slots=True)
class DeliveryFailed(Notice):
    """A handler raised on an event."""

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
    """The database's clock was set back, by about so many seconds if that was seen; what was due is due as before."""

    seconds: float
    rows: int


@dataclass(frozen=True, slots=True)
class ProviderAway(Notice):
    """A provider of models fails for everybody: tasks wait for it from now on."""

    provider: str
    error_code: str
    message: str


@dataclass(frozen=True, slots=True)
class ProviderBack(Notice):
    """It has answered again, or a person has said so: the tasks that waited for it go on."""

    provider: str


@dataclass(frozen=True, slots=True)
class VectorsMissing(Notice):
    """A knowledge base was to have vectors, and cannot: it is searched by words alone. Told once a process."""

    reason: str


@dataclass(frozen=True, slots=True)
class CleanedUp(Notice):
    """The day's clean-up is done."""

    removed: Removed
    seconds: float


@dataclass(frozen=True, slots=True)
class KeysAssumed(Notice):
    """Keys were made before there were roles: they are admin, which is what they could do. Told once of each."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoKeyLeft(Notice):
    """The server's last key was revoked or has expired: every request is refused from now on."""


@dataclass(frozen=True, slots=True)
class PlatformTrouble(Notice):
    """A call to the platform or other background work failed. ``again_in``: seconds until the next try."""

    doing: str
    error: BaseException
    again_in: float = 0.0  # seconds


Subscriber = Callable[[Notice], None]
_subscribers: list[Subscriber] = []


def subscribe(subscriber: Subscriber) -> Callable[[], None]:
    """Hear every notice of this process from now on.

    Args:
        subscriber: Called where the notice is announced, on whatever thread that is; it must be quick.

    Returns:
        A function that ends the subscription.
    """
    _subscribers.append(subscriber)
    return lambda: _subscribers.remove(subscriber) if subscriber in _subscribers else None


def announce(notice: Notice) -> None:
    """Tell every subscriber; one that raises, such as a log that cannot be written, ends nothing but its own part."""
    for subscriber in tuple(_subscribers):
        try:
            subscriber(notice)
        except Exception:  # noqa: BLE001 - what is announced has happened, and must not be undone by it
            _complain()


def _complain() -> None:
    with suppress(Exception):
        traceback.print_exc(file=sys.__stderr__)
