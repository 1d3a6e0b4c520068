"""The state of a run of an agent, team or workflow: its parts, whether it continues, and access to its loop."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from worker.agents.event_buffer import EventBuffer, Written
from worker.agents.journal import Journal, Scope
from worker.agents.journal.rows import Number
from worker.agents.runs.bounds import CallBounds, bounds_of
from worker.agents.runs.conversation import Contents
from worker.agents.runs.own_task import OwnTask
from worker.current import REASON_DRAIN, Run
from worker.threads import waited
from worker.words.digests import digest
from worker.words.handler_options import Incomplete
from worker.words.requests import InputRequest
from worker.words.tasks import TaskRecord
from worker.words.usage import Usage

if TYPE_CHECKING:
    from worker.agents.instrumentation.frames import Frame
    from worker.agents.overrides import Overrides
    from worker.agents.tools.file_tools import FileTools


T = TypeVar("T")


KEPT_FAILURES = 20  # of a run that fails repeatedly; the last ones explain its end
KEPT_TEXTS = 20  # of a run's agent, in case it fails
ENDING_SECONDS = 1.0  # time for a cancelled run's members to end; a stop should take effect within a second


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A model call that gave no answer. It is added to the journal if the run continues after it."""

    scope: Scope
    at: str
    match: str
    error: Exception
    who: str = "the model"


@dataclass(slots=True, eq=False)
class RunState:
    """The state of a run.

    Args:
        record: The task.
        attempt: The attempt on whose behalf the calls are made, if any.
        journal: The attempt's journal.
        buffer: Receives events and rows.
        scope: The run's scope in the journal.
        overrides: The task's settings for the agents that are run.
        usage: Counts the usage.
        file_tools: Tools that let the agents read more of texts that are too long for them.
    """

    record: TaskRecord
    attempt: Run | None
    journal: Journal
    buffer: EventBuffer
    scope: Scope
    overrides: "Overrides"
    usage: Usage
    file_tools: "FileTools | None" = None
    failures: deque[BaseException] = field(default_factory=lambda: deque(maxlen=KEPT_FAILURES))
    contents: Contents = field(default_factory=dict[int, tuple[Any, str]])
    states: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])  # by id: its entry's number
    skipped_steps: set[str] = field(
        default_factory=set[str]
    )  # texts with which Agno replaces the results of failed steps
    answered_toolkits: set[str] = field(
        default_factory=set[str]
    )  # toolkits with state in the process that were answered from the journal, so that their state is missing
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    thread: int = field(default_factory=threading.get_ident)
    blocks_the_loop: bool = False
    folds: set[str] = field(default_factory=set[str])  # ids of Agno's records of folded history that it has stored
    has_found_session: bool = False  # the initial state of Agno's session is being added to the journal
    _own_task: OwnTask | None = None
    _others: "set[asyncio.Task[Any]]" = field(default_factory=set["asyncio.Task[Any]"])
    _ended: bool = False
    _emitted_once: set[str] = field(default_factory=set[str])  # keys of events that are emitted only once
    _failed: list[FailedCall] = field(default_factory=list[FailedCall])
    _streams: dict[str, bool] = field(default_factory=dict[str, bool])  # by Agno run: whether its text was emitted
    shown_by: dict[str, str] = field(default_factory=dict[str, str])  # by run: the run that gives its text as its own
    _shown: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])  # runs, and text that is in the log
    shows_text: bool = False  # the text of its answers is streamed, or held back for a while
    _unshown: dict[str, list[tuple[Scope, Number]]] = field(
        default_factory=dict[str, list[tuple[Scope, Number]]]
    )  # complete answers whose text is not in the log yet, by Agno's run
    _broken_off: bool = False
    _bounds: CallBounds | None = None
    asked: dict[str, InputRequest] = field(default_factory=dict[str, InputRequest])
    """Unanswered requests of the run's agents to a person."""
    steps: "set[Frame]" = field(default_factory=set["Frame"])
    """Running steps of workflows."""
    _held_up: "set[Frame]" = field(default_factory=set["Frame"])  # those of the steps that wait for a person
    _step_ended: asyncio.Event = field(default_factory=asyncio.Event)
    _kept_back: list[Callable[[], Written]] = field(default_factory=list[Callable[[], Written]])
    stop_message: str = ""  # message of a tool that stopped the run's own agent
    has_streamed: bool = False  # text of a complete answer was emitted
    said: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_TEXTS))  # the last texts of its own agent

    def begin(self) -> None:
        """Start the run in the current asyncio task."""
        self._own_task = OwnTask()
        self._broken_off = self.journal.is_unfinished(self.scope)

    def check(self) -> None:
        """Raise ``CancelledError`` if the run should end."""
        if self.is_over:
            raise asyncio.CancelledError(self.attempt.stopping.reason if self.attempt is not None else None)

    def join(self) -> None:
        """Make the current asyncio task part of the run; raise ``CancelledError`` if the run should end."""
        self.check()
        if threading.get_ident() == self.thread:
            self._remember(asyncio.current_task())

    def leave(self) -> None:
        """Release the run's tasks once it has ended, since their contexts refer back to the run."""
        self._own_task = None
        self._others.clear()

    @property
    def is_over(self) -> bool:
        """Whether the run should end, was cancelled, or has ended; Agno's teams and workflows may still continue."""
        if self._ended or (self.attempt is not None and self.attempt.stopping):
            return True
        return self._own_task is not None and self._own_task.is_cancelled

    async def end(self) -> None:
        """Cancel what Agno started for a cancelled run and does not cancel itself, such as a team's members."""
        self._ended = True
        for task in self._others:
            task.cancel()
        if self._others:
            await asyncio.wait(self._others, timeout=ENDING_SECONDS)

    @property
    def bounds(self) -> CallBounds:
        """The limits on the run's calls."""
        if self._bounds is None:
            self._bounds = bounds_of(self.attempt)
        return self._bounds

    @property
    def incomplete(self) -> Incomplete | None:
        """The handler's policy for incomplete answers."""
        return None if self.attempt is None else self.attempt.incomplete

    @property
    def is_leaving(self) -> bool:
        """Whether the worker is shutting down."""
        return self.attempt is not None and self.attempt.leaving()

    def suspend(self) -> asyncio.CancelledError:
        """End the run so that another worker can continue it, and return the exception to raise."""
        if self.attempt is not None:
            self.attempt.stopping.set(REASON_DRAIN)
        return asyncio.CancelledError(REASON_DRAIN)

    def id_of(self, scope: Scope) -> str:
        """Return Agno's id of a run: the same in every attempt, and unique to the task's turn and the run's scope."""
        return f"{self.prefix}{digest(scope.key)[:12]}"

    @property
    def prefix(self) -> str:
        """The common prefix of the ids of all runs of this turn."""
        return f"{self.record.id}.{self.record.turn}."

    def on_loop(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the run's loop from sync code in any thread.

        Sync code that blocks the loop itself cannot wait for it: in that case ``blocks_the_loop`` is true during the
        call, and the coroutine must not suspend.
        """
        if threading.get_ident() != self.thread:
            return waited(asyncio.run_coroutine_threadsafe(work(), self.loop))
        blocked, self.blocks_the_loop = self.blocks_the_loop, True
        coroutine = work()
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value
        finally:
            self.blocks_the_loop = blocked
            coroutine.close()
        raise RuntimeError("plain code on the event loop would have to wait for the loop")

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a sync function in the loop's own thread."""
        if threading.get_ident() == self.thread:
            return function(*arguments)

        async def work() -> T:
            return function(*arguments)

        return waited(asyncio.run_coroutine_threadsafe(work(), self.loop))

    def _remember(self, task: "asyncio.Task[Any] | None") -> None:
        if task is not None and (self._own_task is None or not self._own_task.is_(task)) and task not in self._others:
            self._others.add(task)
            task.add_done_callback(self._others.discard)
