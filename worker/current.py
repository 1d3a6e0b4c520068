"""The run in hand: what code called by a handler may know of its attempt, however deep it stands."""

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
"""Why a run ends whose worker leaves: it is handed back and goes on elsewhere."""

REASON_CUT_OFF = "cut off"
"""Why a run ends whose worker's lease has run out by its own clock: others may have begun where it stood."""

REASON_OUTAGE = "outage"
"""Why a run ends whose provider is away (the cause, a ``ProviderState``): its task waits, uncharged, until somebody has
been answered there."""

REASON_PAUSE = "pause"
"""Why a run ends that waits for a person, where nothing above it could say so itself; the cause is the task's
``hitl_request``."""

REASON_SUSPEND = "suspend"
"""Why a run ends that waits by its own wish, for a time or a signal: its task is pending until then, as the cause, a
``HandBack``, says."""

REASON_RETRY = "retry"
"""Why a run ends within which an error, the cause, would be passed over; another attempt makes that very call again."""


def staying() -> bool:
    """A worker that does not leave."""
    return False


Position = tuple[int, "asyncio.Task[Any] | None"]
"""A thread, and the task that runs in it."""


def position() -> Position:
    """Where this code runs."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), task


def _running_loop() -> "asyncio.AbstractEventLoop | None":
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Stopping:
    """Whether a run should end, and why; safe to ask from any thread."""

    def __init__(self) -> None:
        self._event: threading.Event | None = None  # made for who waits: most runs end without
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self.reason: str | None = None
        self.cause: Any = None
        """What the reason names: an error, a provider, what is asked of a person, until when it waits."""

    def __bool__(self) -> bool:
        return self.reason is not None

    def set(self, reason: str, cause: Any = None) -> None:
        """Ask the run to end; the first reason stands, with its cause."""
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
        """Have ``callback`` called once when the run should end, at once if it should already; returns the way out."""
        with self._lock:
            if self.reason is None:
                self._callbacks.append(callback)
                return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None
        callback()
        return lambda: None

    def wait(self, seconds: float | None = None) -> bool:
        """Block a thread until the run should end, at most ``seconds``; whether it should."""
        with self._lock:
            if self.reason is not None:
                return True
            self._event = self._event or threading.Event()
            event = self._event
        return event.wait(seconds)


@dataclass(slots=True)
class Inbox:
    """What was said to a task while it ran, or before, as far as its run knows.

    Args:
        waits: Whether there is something that was not fetched, as somebody hints.
        looked: When it was looked for last (``time.monotonic()``).
    """

    waits: bool = False
    looked: float = field(default_factory=time.monotonic)
    messages: list[ReceivedMessage] = field(default_factory=list[ReceivedMessage])

    def is_due(self, seconds: float) -> bool:
        """Whether to look: something waits, or nobody has looked for so long."""
        return self.waits or time.monotonic() - self.looked >= seconds


@dataclass(slots=True)
class Run:
    """One attempt of a task, or one delivery of an event, while its handler runs.

    Args:
        deadline: ``time.monotonic()`` at which the time limit ends it; None means no limit.
        origin: The delivery handler's name, where this is a delivery: its saves raise no delivery to itself.
        attempt: The fencing number that every write carries; none in a delivery, which owns no task.
        journal: What earlier attempts completed; none where the platform keeps no journals, or in a delivery.
        leaving: Whether the worker leaves: what fails now may be the doing of the signal that it got.
        handler: The handler's name.
        home: The thread and task that the handler was called in.
        has_tries: Whether another attempt follows if a transient error ends this one.
        incomplete: What becomes of an answer that is not whole, if the handler says.
        required: Whether all that its agents use must be there: members, knowledge, memories.
        silence: Seconds for which a model may say nothing, if the handler says.
        answer_within: Seconds in which a person must answer, if the handler says.
        unanswered: What becomes of the task otherwise.
        claimed: When its task was claimed, by the platform's clock.
        used: What each of its agents has used so far.
        bare: What became of runs of agents that its code made by itself.
        awaits: The other tasks that it waits for, and when it last asked (``time.monotonic()``; infinite: it follows).
        inbox: What was said to it.
        loop: The event loop on which the platform is asked.
    """

    task_id: str
    agent_id: str
    work: Work
    attempt: int | None = None
    deadline: float | None = None
    origin: str | None = None
    stopping: Stopping = field(default_factory=Stopping)
    agent_runs: int = 0  # how many run_agent calls the handler has made
    journal: "Journal | None" = None
    leaving: Callable[[], bool] = staying
    handler: str | None = None
    home: Position | None = None
    has_tries: bool = False
    incomplete: Incomplete | None = None
    required: bool = False
    silence: float | None = None
    answer_within: float | None = None
    unanswered: Unanswered | None = None
    claimed: datetime | None = None
    loop: "asyncio.AbstractEventLoop | None" = field(default_factory=_running_loop)
    _begun: float = field(default_factory=time.monotonic)
    used: list[Usage] = field(default_factory=list[Usage])
    bare: BareRuns = field(default_factory=BareRuns)
    awaits: dict[str, float] = field(default_factory=dict[str, float])
    inbox: Inbox = field(default_factory=Inbox)

    def is_on_loop(self) -> bool:
        """Whether this code runs on the attempt's loop, so that it cannot wait for what is done there."""
        return _running_loop() is self.loop

    def now(self) -> datetime:
        """The time by the platform's clock, as far as it is known: the machine's own may be wrong."""
        if self.claimed is None:
            return datetime.now(UTC)
        return self.claimed + timedelta(seconds=time.monotonic() - self._begun)

    def waiting_for(self, requests: Iterable[InputRequest], **more: Any) -> dict[str, Any]:
        """The task's ``hitl_request`` while it waits for a person.

        Args:
            requests: What is asked.
            more: What else it says.
        """
        listed = [each.model_dump(mode="json", exclude_none=True) for each in requests]
        limit = {"answer_within": self.answer_within, "unanswered": self.unanswered}
        return {**more, REQUESTS: listed, **({} if self.answer_within is None else limit)}

    def pause(self, requests: Iterable[InputRequest]) -> asyncio.CancelledError:
        """End the attempt until a person has answered; returns what to raise."""
        listed = list(requests)
        self.stopping.set(REASON_PAUSE, self.waiting_for(listed, wait_node_id=listed[0].id))
        return asyncio.CancelledError(REASON_PAUSE)

    def suspend(self, until: HandBack) -> asyncio.CancelledError:
        """End the attempt until a time or a signal; returns what to raise."""
        self.stopping.set(REASON_SUSPEND, until)
        return asyncio.CancelledError(REASON_SUSPEND)

    def account(self) -> dict[str, Any]:
        """What the attempt has used so far, and earlier ones for nothing, as fields of the task."""
        spent = [0] * 4 if self.journal is None else self.journal.spent
        if not self.used and not any(spent):
            return {}
        tokens = sum_of([*(each.counted() for each in self.used), spent])
        found = {"tokens": tokens, "used_tools": list(dict.fromkeys(name for each in self.used for name in each.tools))}
        reason = next((each.finish for each in reversed(self.used) if each.finish is not None), None)
        return found if reason is None else {**found, "finish_reason": reason}


T = TypeVar("T")

run_in_hand: ContextVar[Run | None] = ContextVar("run_in_hand", default=None)
call_in_hand: ContextVar[Callable[[], str] | None] = ContextVar("call_in_hand", default=None)
"""Makes the key of the call in hand, should anybody ask for it: few tools do."""


async def asked_by_run(ask: Callable[[], Awaitable[T]], doing: str) -> T:
    """Ask something of the platform: a live attempt waits as long as it is away, everybody else is told.

    Args:
        ask: What is asked; repeating it must do no harm.
        doing: What for, as notices of trouble say it.

    Returns:
        The answer.

    Raises:
        ModuleException: The platform answered, and refused. Unavailable: it is away, and no attempt asks.
    """
    run = run_in_hand.get()
    return await (ask() if run is None or run.attempt is None else until_answered(ask, doing))


def idempotency_key() -> str | None:
    """Answer the key of the tool call in hand: the same each time that this very call is made, and no other's.

    A tool whose effect must not happen twice passes it on, or keeps a record of it: a call that a crash cut off before
    it was journaled is made again under the same key. It holds in threads that Agno runs tools in, and within
    ``context.step``.

    Returns:
        The task's id, the call's id and a digest of where the call stands; none outside a call, such as in a test of
        the tool alone.
    """
    key = call_in_hand.get()
    return None if key is None else key()
