"""A run of an agent, team or workflow: what it consists of, whether it goes on, and the way to its loop."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from worker.agents.event_buffer import EventBuffer, Written
from worker.agents.journal import Journal, Scope
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


KEPT_FAILURES = 20  # of a run that fails over and over; the last ones explain its end
ENDING_SECONDS = 1.0  # what a cancelled run's members get to end; a stop is to be felt within a second


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A model call that gave no answer. It becomes a part of the journal if the run goes on after it."""

    scope: Scope
    at: str
    match: str
    error: Exception
    who: str = "the model"


@dataclass(slots=True, eq=False)
class RunState:
    """What a run consists of.

    Args:
        record: The task.
        attempt: The attempt in whose name the calls are made, if it is one.
        journal: The attempt's.
        buffer: Where events and rows go.
        scope: The run's place in the journal.
        overrides: What the task asks for of the agents that are run.
        usage: Counts what is used.
        file_tools: Tools by which its agents read on in what is too long for them.
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
    states: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])  # restored from which entry
    skipped_steps: set[str] = field(
        default_factory=set[str]
    )  # what Agno says in place of the result of one that failed
    answered_toolkits: set[str] = field(
        default_factory=set[str]
    )  # that keep state in the process, which has none of it
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    thread: int = field(default_factory=threading.get_ident)
    blocks_the_loop: bool = False
    has_found_session: bool = False  # how Agno's session was found is on its way to the journal
    _own_task: OwnTask | None = None
    _others: "set[asyncio.Task[Any]]" = field(default_factory=set["asyncio.Task[Any]"])
    _ended: bool = False
    _told: set[str] = field(default_factory=set[str])  # what is said once
    _failed: list[FailedCall] = field(default_factory=list[FailedCall])
    _streams: dict[str, bool] = field(default_factory=dict[str, bool])  # by Agno's run; whether text of it was emitted
    _broken_off: bool = False
    _bounds: CallBounds | None = None
    asked: dict[str, InputRequest] = field(default_factory=dict[str, InputRequest])
    """What its agents ask of a person, and nobody has answered."""
    steps: "set[Frame]" = field(default_factory=set["Frame"])
    """Steps of workflows that go on."""
    _held_up: "set[Frame]" = field(default_factory=set["Frame"])  # of these, by a person who has not answered yet
    _step_ended: asyncio.Event = field(default_factory=asyncio.Event)
    _kept_back: list[Callable[[], Written]] = field(default_factory=list[Callable[[], Written]])
    last_words: str = ""  # of a tool that had the run's own agent stop
    has_streamed: bool = False  # text of an answer that was complete

    def begin(self) -> None:
        """The run begins, in this task."""
        self._own_task = OwnTask()
        self._broken_off = self.journal.is_unfinished(self.scope)

    def check(self) -> None:
        """Raise ``CancelledError`` if the run should end."""
        if self.is_over:
            raise asyncio.CancelledError(self.attempt.stopping.reason if self.attempt is not None else None)
        if threading.get_ident() == self.thread:
            self._remember(asyncio.current_task())

    def leave(self) -> None:
        """The run has ended: let go of the tasks it was made in, whose context knows it in turn."""
        self._own_task = None
        self._others.clear()

    @property
    def is_over(self) -> bool:
        """Whether it should end, has been cancelled, or has ended; Agno's teams and workflows go on all the same."""
        if self._ended or (self.attempt is not None and self.attempt.stopping):
            return True
        return self._own_task is not None and self._own_task.is_cancelled

    async def end(self) -> None:
        """The run was cancelled: so is what Agno started for it and leaves to itself, a team's members above all."""
        self._ended = True
        for task in self._others:
            task.cancel()
        if self._others:
            await asyncio.wait(self._others, timeout=ENDING_SECONDS)

    @property
    def bounds(self) -> CallBounds:
        """How far its calls may go."""
        if self._bounds is None:
            self._bounds = bounds_of(self.attempt)
        return self._bounds

    @property
    def incomplete(self) -> Incomplete | None:
        """What its handler makes of an answer that is not whole."""
        return None if self.attempt is None else self.attempt.incomplete

    @property
    def is_leaving(self) -> bool:
        """Whether the worker leaves."""
        return self.attempt is not None and self.attempt.leaving()

    def suspend(self) -> asyncio.CancelledError:
        """End the run so that it goes on elsewhere; returns what to raise."""
        if self.attempt is not None:
            self.attempt.stopping.set(REASON_DRAIN)
        return asyncio.CancelledError(REASON_DRAIN)

    def id_of(self, scope: Scope) -> str:
        """Agno's id of a run: the same in every attempt, another for each turn of the task and each run in it."""
        return f"{self.prefix}{digest(scope.key)[:12]}"

    @property
    def prefix(self) -> str:
        """How the ids of all runs of this turn begin."""
        return f"{self.record.id}.{self.record.turn}."

    def on_loop(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something on the run's loop, from plain code in any thread.

        Plain code that blocks the loop itself cannot wait for it: there, ``blocks_the_loop`` is true meanwhile, and the
        work must not await anything.
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
        """Call plain code on the loop's own thread."""
        if threading.get_ident() == self.thread:
            return function(*arguments)

        async def work() -> T:
            return function(*arguments)

        return waited(asyncio.run_coroutine_threadsafe(work(), self.loop))

    def _remember(self, task: "asyncio.Task[Any] | None") -> None:
        if task is not None and (self._own_task is None or not self._own_task.is_(task)) and task not in self._others:
            self._others.add(task)
            task.add_done_callback(self._others.discard)
