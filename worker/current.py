"""The current run: what code called by a handler, at any depth, can learn about its attempt."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from worker.contracts import Work
from worker.contracts.waiting import until_answered
from worker.words.bare_runs import BareRuns
from worker.words.handler_options import Incomplete
from worker.words.messages import ReceivedMessage
from worker.words.outcomes import HandBack
from worker.words.requests import REQUESTS, InputRequest, Unanswered
from worker.words.usage import Usage, sum_of

if TYPE_CHECKING:
    from worker.agents.journal import Journal

REASON_DRAIN = "drain"
"""The run ends because its worker is draining: the task is handed back, and continues on another worker."""

REASON_CUT_OFF = "cut off"
"""The run ends because the worker's lease has expired by its own clock: another worker may own the task by now."""

REASON_OUTAGE = "outage"
"""The run ends because its provider (the cause, a ``ProviderState``) is unavailable: the task waits, uncharged, until
the provider has answered another call."""

REASON_PAUSE = "pause"
"""The run ends to wait for a person; the cause is the task's ``hitl_request``."""

REASON_SUSPEND = "suspend"
"""The run ends because its handler waits for a time, a signal or children; the cause, a ``HandBack``, states until
when the task is pending."""

REASON_RETRY = "retry"
"""The run ends because of an error (the cause) that would otherwise be ignored; another attempt repeats the call."""


STORE_SECONDS = 2.0
"""Time to store the rows of a cancelled run; a worker that shuts down has four seconds to hand back its tasks."""


def staying() -> bool:
    """Return False: the worker is not leaving."""
    return False


Position = tuple[int, "asyncio.Task[Any] | None"]
"""A thread, and the asyncio task that is running in it."""


def position() -> Position:
    """Return the position of the current code."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), task


def running_loop() -> "asyncio.AbstractEventLoop | None":
    """Return the loop that is running in this thread, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Stopping:
    """Whether a run should end, and why. Thread-safe."""

    def __init__(self) -> None:
        self._event: threading.Event | None = None  # created for the first waiter, since most runs have none
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self.reason: str | None = None
        self.cause: Any = None
        """Details of the reason: an error, a provider's state, requests to a person, or the end of a wait."""

    def __bool__(self) -> bool:
        return self.reason is not None

    def set(self, reason: str, cause: Any = None) -> None:
        """Ask the run to end. Only the first reason is kept, with its cause."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason, self.cause = reason, cause
            if self._event is not None:
                self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def call(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` once the run should end, immediately if it already should. Return a function to cancel."""
        with self._lock:
            if self.reason is None:
                self._callbacks.append(callback)
                return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None
        callback()
        return lambda: None

    def wait(self, seconds: float | None = None) -> bool:
        """Block this thread until the run should end.

        Args:
            seconds: The longest wait; None means without limit.

        Returns:
            Whether the run should end.
        """
        with self._lock:
            if self.reason is not None:
                return True
            self._event = self._event or threading.Event()
            event = self._event
        return event.wait(seconds)


@dataclass(slots=True)
class Inbox:
    """Messages to a task, as far as its run has read them.

    Args:
        waits: Whether there may be an unread message, according to a hint.
        looked: When messages were last read (``time.monotonic()``).
        messages: The messages read so far.
    """

    waits: bool = False
    looked: float = field(default_factory=time.monotonic)
    messages: list[ReceivedMessage] = field(default_factory=list[ReceivedMessage])

    def is_due(self, seconds: float) -> bool:
        """Return whether to read messages: a hint announced one, or none have been read for so many seconds."""
        return self.waits or time.monotonic() - self.looked >= seconds


@dataclass(slots=True)
class Run:
    """One attempt of a task, or one delivery of an event, while its handler runs.

    Args:
        deadline: ``time.monotonic()`` at which the time limit ends the run; None means no limit.
        origin: The handler's name in a delivery: its saves cause no delivery to itself.
        attempt: The fencing number that every write carries; None in a delivery, which owns no task.
        journal: What earlier attempts completed; None in a delivery, or if the platform does not keep journals.
        leaving: Returns whether the worker is leaving, so that a failure may be due to the signal that it received.
        handler: The handler's name.
        home: The thread and asyncio task in which the handler was called.
        has_tries: Whether another attempt follows if a transient error ends this one.
        incomplete: The handler's rule for incomplete answers, if it has one.
        required: Whether everything that its agents use must be available: members, knowledge, memories.
        silence: The handler's limit on a model's silence in seconds, if it has one.
        store_within: Seconds in which the rows of its agents may still be stored after it was cancelled.
        answer_within: Seconds in which a person must answer, if the handler has a limit.
        unanswered: What happens to the task if nobody answers in time.
        claimed: When the task was claimed, by the platform's clock.
        used: The usage so far of each agent run.
        bare: Outcomes of agent runs that the handler's code made without ``run_agent``.
        awaits: Other tasks that the run waits for, and when it last polled each (``time.monotonic()``; infinite if it
            follows the task's events).
        inbox: Messages to the task.
        loop: The event loop that calls the platform.
    """

    task_id: str
    agent_id: str
    work: Work
    attempt: int | None = None
    deadline: float | None = None
    origin: str | None = None
    stopping: Stopping = field(default_factory=Stopping)
    agent_runs: int = 0  # number of run_agent calls that the handler has made
    journal: "Journal | None" = None
    leaving: Callable[[], bool] = staying
    handler: str | None = None
    home: Position | None = None
    has_tries: bool = False
    incomplete: Incomplete | None = None
    required: bool = False
    silence: float | None = None
    store_within: float = STORE_SECONDS
    answer_within: float | None = None
    unanswered: Unanswered | None = None
    claimed: datetime | None = None
    loop: "asyncio.AbstractEventLoop | None" = field(default_factory=running_loop)
    _begun: float = field(default_factory=time.monotonic)
    used: list[Usage] = field(default_factory=list[Usage])
    bare: BareRuns = field(default_factory=BareRuns)
    awaits: dict[str, float] = field(default_factory=dict[str, float])
    inbox: Inbox = field(default_factory=Inbox)

    def is_on_loop(self) -> bool:
        """Return whether the current code runs on the run's loop, and so must not block on work of that loop."""
        return running_loop() is self.loop

    def now(self) -> datetime:
        """Return the time by the platform's clock, as far as known, since this machine's clock may be wrong."""
        if self.claimed is None:
            return datetime.now(UTC)
        return self.claimed + timedelta(seconds=time.monotonic() - self._begun)

    def waiting_for(self, requests: Iterable[InputRequest], **more: Any) -> dict[str, Any]:
        """Return the task's ``hitl_request`` while it waits for a person.

        Args:
            requests: The requests.
            more: Further fields.
        """
        listed = [each.model_dump(mode="json", exclude_none=True) for each in requests]
        limit = {"answer_within": self.answer_within, "unanswered": self.unanswered}
        return {**more, REQUESTS: listed, **({} if self.answer_within is None else limit)}

    def pause(self, requests: Iterable[InputRequest]) -> asyncio.CancelledError:
        """End the attempt until a person has answered, and return the exception to raise."""
        listed = list(requests)
        self.stopping.set(REASON_PAUSE, self.waiting_for(listed, wait_node_id=listed[0].id))
        return asyncio.CancelledError(REASON_PAUSE)

    def suspend(self, until: HandBack) -> asyncio.CancelledError:
        """End the attempt until a time, a signal or the end of children, and return the exception to raise."""
        self.stopping.set(REASON_SUSPEND, until)
        return asyncio.CancelledError(REASON_SUSPEND)

    def account(self) -> dict[str, Any]:
        """Return the usage of the attempt so far, plus what earlier attempts spent in vain, as fields of the task."""
        spent = [0] * 4 if self.journal is None else self.journal.spent
        if not self.used and not any(spent):
            return {}
        tokens = sum_of([*(each.counted() for each in self.used), spent])
        found = {"tokens": tokens, "used_tools": list(dict.fromkeys(name for each in self.used for name in each.tools))}
        reason = next((each.finish for each in reversed(self.used) if each.finish is not None), None)
        return found if reason is None else {**found, "finish_reason": reason}


T = TypeVar("T")

run_in_hand: ContextVar[Run | None] = ContextVar("run_in_hand", default=None)
current_call_key: ContextVar[Callable[[], str] | None] = ContextVar("current_call_key", default=None)
"""Returns the idempotency key of the current call. The key is computed only on demand, since few tools use it."""


async def repeat_in_attempt(ask: Callable[[], Awaitable[T]], doing: str) -> T:
    """Make a request to the platform, which a live attempt repeats for as long as the platform is unavailable.

    Args:
        ask: Makes the request; it must be safe to repeat.
        doing: The purpose, for notices of failures.

    Returns:
        The answer.

    Raises:
        ModuleException: The platform answered with a refusal.
        Unavailable: The platform is unavailable, and the caller is not a live attempt.
    """
    run = run_in_hand.get()
    return await (ask() if run is None or run.attempt is None else until_answered(ask, doing))


def idempotency_key() -> str | None:
    """Return the key of the current tool call: the same whenever this very call is repeated, and unique to it.

    A tool whose effect must not happen twice passes the key on, or records it: a call that a crash interrupted before
    it was journaled is repeated with the same key. The key is also available in ``context.step``, in hooks, steps,
    conditions, factories and other functions that Agno calls, and in threads in which Agno runs tools.

    Returns:
        The key, made of the task's id, the call's id and a digest of its position; None outside a call, for example in
        a test of the tool alone.
    """
    key = current_call_key.get()
    return None if key is None else key()
