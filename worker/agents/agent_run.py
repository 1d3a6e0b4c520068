"""One run of an agent for a task: what its calls share, on whatever level and in whatever thread they are made."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from worker.agents import providers
from worker.agents.bounds import Bounds, bounds_of
from worker.agents.conversation import Contents
from worker.agents.errors import AgentFailed, is_gate, provider_is_away
from worker.agents.event_buffer import EventBuffer, Written
from worker.agents.journal import Entry, Journal, Scope, discard_text, not_reused, too_large
from worker.agents.journal.rows import Kind, Number
from worker.agents.own_task import OwnTask
from worker.current import REASON_DRAIN, REASON_PAUSE, REASON_RETRY, Run
from worker.registry import Incomplete
from worker.threads import waited
from worker.words.classification import classify, message_of
from worker.words.digests import digest
from worker.words.events import NewEvent
from worker.words.finish import FinishReason, is_whole
from worker.words.requests import InputRequest
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord
from worker.words.usage import Usage
from worker.words.work import JournalEntry

if TYPE_CHECKING:
    from worker.agents.file_tools import FileTools
    from worker.agents.instrumentation.frames import Frame
    from worker.agents.overrides import Overrides

T = TypeVar("T")

KEPT_FAILURES = 20  # of a run that fails over and over; the last ones explain its end
TURNS = 5  # of the event loop
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
class AgentRun:
    """A run.

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
    _bounds: Bounds | None = None
    asked: dict[str, InputRequest] = field(default_factory=dict[str, InputRequest])
    """What its agents ask of a person, and nobody has answered."""
    steps: "set[Frame]" = field(default_factory=set["Frame"])
    """Steps of workflows that go on."""
    _held_up: "set[Frame]" = field(default_factory=set["Frame"])  # of these, by a person who has not answered yet
    _step_ended: asyncio.Event = field(default_factory=asyncio.Event)
    _kept_back: list[Callable[[], Written]] = field(default_factory=list[Callable[[], Written]])
    last_words: str = ""  # of a tool that had the run's own agent stop
    has_streamed: bool = False  # text of an answer that was complete

    # whether it goes on

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
    def bounds(self) -> Bounds:
        """How far its calls may go."""
        if self._bounds is None:
            self._bounds = bounds_of(self.attempt)
        return self._bounds

    @property
    def incomplete(self) -> Incomplete | None:
        """What its handler makes of an answer that is not whole."""
        return None if self.attempt is None else self.attempt.incomplete

    def answered(self, frame: "Frame", reason: FinishReason) -> None:
        """An agent has answered: of the run's own agent, or of a workflow's, that is why its result ended.

        What a workflow's steps answer becomes one result, in which the first that is not whole counts.
        """
        if reason is FinishReason.ToolCalls or frame.member is not None:
            return
        *_, root = frame.path()
        if hasattr(root.owner, "steps") and not is_whole(self.usage.finish):
            return
        self.usage.finish = reason

    @property
    def is_leaving(self) -> bool:
        """Whether the worker leaves."""
        return self.attempt is not None and self.attempt.leaving()

    def suspend(self) -> asyncio.CancelledError:
        """End the run so that it goes on elsewhere; returns what to raise."""
        if self.attempt is not None:
            self.attempt.stopping.set(REASON_DRAIN)
        return asyncio.CancelledError(REASON_DRAIN)

    async def check_provider(self, provider_id: str, *, is_covered: bool) -> None:
        """Do not ask a provider that is away: wait for it, or have Agno turn to another model, where it has one.

        Raises:
            CancelledError: The task waits for it.
            ProviderIsAway: Agno has another model, or what to do.
        """
        if self.attempt is None or self.attempt.attempt is None or self.blocks_the_loop:
            return
        state = await providers.away(self.attempt, provider_id)
        if state is None:
            return
        if is_covered:
            raise provider_is_away(state)
        raise providers.wait_for(self.attempt, state)

    async def provider_failed(self, provider_id: str, error: BaseException, *, is_covered: bool) -> None:
        """Tell of a failed call. Raises: CancelledError (the task waits for the provider)."""
        if self.attempt is None or self.attempt.attempt is None or self.blocks_the_loop or is_gate(error):
            return
        state = await providers.failed(self.attempt, provider_id, error)
        if state is not None and not is_covered:
            raise providers.wait_for(self.attempt, state) from error

    async def provider_answered(self, provider_id: str) -> None:
        """Tell of an answer."""
        if self.attempt is not None and self.attempt.attempt is not None and not self.blocks_the_loop:
            await providers.answered(self.attempt, provider_id)

    def may_go_without(self, error: BaseException) -> bool:
        """Whether Agno may go on without what failed: nothing is required, and another attempt would not reach it."""
        if self.attempt is None:
            return True
        return not self.attempt.required and not (self.attempt.has_tries and classify(error).is_retryable)

    def give_up(self, who: str, error: BaseException) -> asyncio.CancelledError:
        """End the attempt for an error that Agno would go on without; returns what to raise.

        Args:
            who: What failed.
            error: How.
        """
        if self.attempt is not None:
            is_final = self.attempt.required and not classify(error).is_retryable
            cause = AgentFailed(required_failed(who, error), error) if is_final else error
            self.attempt.stopping.set(REASON_RETRY, cause)
        return asyncio.CancelledError(REASON_RETRY)

    def go_without(self, who: str, error: BaseException, *, is_covered: bool = False) -> None:
        """Say that the run goes on without something that failed.

        Args:
            who: What failed.
            error: How.
            is_covered: Whether the user has said what follows: another model, or retries of Agno's.

        Raises:
            CancelledError: It does not: the attempt ends.
        """
        if not is_covered and not self.may_go_without(error):
            raise self.give_up(who, error) from error
        self.call(self.emit, [missing(who, error)])

    def ask(self, requests: Sequence[InputRequest], frame: "Frame") -> None:
        """An agent waits for a person: what is beneath the frame is not over, whatever Agno makes of it."""
        self.asked.update({each.id: each for each in requests})
        for each in frame.path():
            each.is_paused = True
        kept_back, self._kept_back = self._kept_back, []
        for write in kept_back:
            self.buffer.add(*write())

    async def others_end(self, frame: "Frame") -> None:
        """Wait for the workflow's steps beside a frame that waits for a person: cut off, they would be made again."""
        for _ in range(TURNS):  # those that Agno starts at the same time begin one after another
            await asyncio.sleep(0)
        around = {*frame.path()}
        self._held_up.update(each for each in around if each in self.steps)
        self._step_ended.set()
        while self.steps - self._held_up:
            self._step_ended.clear()
            await self._step_ended.wait()

    def step_ends(self, frame: "Frame") -> None:
        """A workflow's step has ended."""
        self.steps.discard(frame)
        self._held_up.discard(frame)
        self._step_ended.set()

    def keep_back(self, write: Callable[[], Written]) -> None:
        """Store something only if the run waits for a person, which it may do already."""
        if self.asked:
            self.buffer.add(*write())
        else:
            self._kept_back.append(write)

    def pause(self) -> asyncio.CancelledError:
        """End the attempt until a person has answered what the run's agents ask; returns what to raise."""
        if self.attempt is not None:
            return self.attempt.pause(self.asked.values())
        return asyncio.CancelledError(REASON_PAUSE)

    def hitl_request(self, known: dict[str, Any] | None) -> dict[str, Any] | None:
        """What the run waits for; None: for nothing.

        Args:
            known: As Agno says it, if it has paused.
        """
        if not self.asked:
            return known
        run = self.attempt or Run(self.record.id, self.record.agent_id, cast("Any", None))
        return run.waiting_for(self.asked.values(), **(known or {"wait_node_id": next(iter(self.asked))}))

    def remembers_nobody(self, name: str | None) -> None:
        """Say that an agent does without its memories of users: once a run.

        Args:
            name: The agent's.
        """
        who = name or "the agent"
        self.tell_once(f"no users {who}", no_users(who))

    def tell_once(self, what: str, event: NewEvent, scope: Scope | None = None) -> None:
        """Emit an event, unless this attempt has done so, or an earlier one.

        Args:
            what: What it tells.
            event: The event.
            scope: What it belongs to.
        """
        if what not in self._told:
            self._told.add(what)
            self.emit([event], scope)

    def failure(self, text: str) -> BaseException | None:
        """The exception whose text Agno reports, the latest first."""
        for each in reversed(self.failures):
            if str(each) == text:
                return each
        return next((each for each in reversed(self.failures) if str(each) and str(each) in text), None)

    def id_of(self, scope: Scope) -> str:
        """Agno's id of a run: the same in every attempt, another for each turn of the task and each run in it."""
        return f"{self.prefix}{digest(scope.key)[:12]}"

    @property
    def prefix(self) -> str:
        """How the ids of all runs of this turn begin."""
        return f"{self.record.id}.{self.record.turn}."

    # threads

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

    # events and rows

    def emit(self, events: Sequence[NewEvent], scope: Scope | None = None, *, at_once: bool = False) -> None:
        """Emit events, except those that an earlier attempt has emitted.

        Args:
            events: The events.
            scope: What they belong to. What no earlier attempt has opened, none has emitted anything of.
            at_once: Whether they are to be stored now, rather than with what comes next.
        """
        fresh = self.journal.unemitted(events, is_new=scope is not None and not scope.is_known)
        if fresh:
            (self.buffer.add if at_once else self.buffer.add_soon)(fresh)

    def note(
        self, scope: Scope, kind: Kind, at: str, value: Any, *, match: str, what: str, events: Sequence[NewEvent] = ()
    ) -> None:
        """Store what was completed, in one transaction with the events about it."""
        if self.journal.is_kept:
            self.buffer.add(*self.written(scope, kind, at, value, match=match, what=what, events=events))
        elif events:
            self.buffer.add_soon(events)

    def written(
        self,
        scope: Scope,
        kind: Kind,
        at: str,
        value: Any,
        *,
        match: str,
        what: str,
        events: Sequence[NewEvent] = (),
        closes: bool = False,
        number: Number | None = None,
    ) -> Written:
        """Make what is to be stored of a completed call: its events and its row."""
        for each in scope.path():
            each.failed_in_model = False
        if not self.journal.is_kept:
            return events, ()
        row = self.journal.row(scope, kind, at, value, match=match, closes=closes, number=number)
        return ([*events, *([] if row else [too_large(what)])], [row] if row else ())

    @property
    def has_failures(self) -> bool:
        """Whether calls have failed that are not settled."""
        return bool(self._failed)

    def failed(self, call: FailedCall) -> None:
        """A model call gave no answer."""
        self.failures.append(call.error)
        self._failed.append(call)
        for each in call.scope.path():
            each.failed_in_model = True

    def settle_failures(self, scope: Scope, at: str = "", match: str = "") -> None:
        """Note failed calls that Agno goes on after, so that a later attempt goes on after them too.

        Args:
            scope: What goes on: calls that failed in it, or below it.
            at: Where the call is that is made now, and
            match: what it asks: the same call once more takes the place of the one that failed.
        """
        settled = [each for each in self._failed if each.scope.is_within(scope)]
        if not settled:
            return
        self._failed = [each for each in self._failed if each not in settled]
        others = [each for each in settled if (each.scope, each.at, each.match) != (scope, at, match)]
        self.emit([missing(each.who, each.error) for each in others])
        rows = [row for each in others if (row := self._row_of_failure(each)) is not None]
        self.buffer.add((), rows)

    async def turn(self, scope: Scope, entry: Entry | None = None) -> None:
        """Wait until it is an answer's turn; plain code that blocks the loop cannot wait."""
        if not self.blocks_the_loop:
            await self.journal.order.turn(scope, entry)
        elif entry is not None:
            self.journal.order.forget([entry])

    def pass_over(self, scope: Scope, count: Callable[[Entry], None] | None = None) -> None:
        """Pass over what was done below a call that is answered as a whole: it is not to be done again.

        Args:
            scope: Of the call.
            count: Counts an entry, where the answer itself does not say what was used.
        """
        for inner in scope.below():
            self.journal.run_ids.add(self.id_of(inner))
            for entry in inner.all_entries():
                if entry.is_dropped:
                    continue
                if not entry.is_used:
                    entry.is_used = True
                    self.journal.order.forget([entry])
                if not entry.is_counted and count is not None:
                    count(entry)
                entry.is_counted = True

    def count(self, entry: Entry) -> None:
        """Count what an entry has used."""
        if entry.kind == "model" and not entry.is_failure:
            self.usage.add(entry.value["usage"])
        elif entry.kind == "tool" and entry.value.get("tool"):
            self.usage.tools[entry.value["tool"]] = None

    def spend(self, scope: Scope, usage: Sequence[int]) -> None:
        """Count what a call has cost that failed all the same."""
        if not self.journal.is_kept:
            self.usage.add(usage)
            return
        self.journal.spend(usage)
        row = self.journal.row(scope, "spent", "", list(usage))
        self.buffer.add((), [row] if row else [])

    def drop_outdated(self, scope: Scope) -> None:
        """A model is asked anew: give up its earlier answers, if there are any."""
        row = self.journal.outdated(scope)
        if row is not None:
            self.buffer.add([not_reused()], [row])

    def drop_replaced(self, scope: Scope) -> None:
        """A scope was new: give up what an earlier attempt did in its place, if it did."""
        row = self.journal.replaced(scope)
        if row is not None:
            self.buffer.add([not_reused()], [row])

    # streamed text

    def opens(self, run_id: str) -> list[JournalEntry]:
        """The row that goes with the first text of an answer that is not complete yet."""
        if self._streams.get(run_id) is not False:
            return []
        self._streams[run_id] = True
        row = self.journal.row(self.scope, "open", "")
        return [row] if row else []

    def take_back(self) -> None:
        """Say that text was emitted whose answer was never completed, if that is so."""
        if self._broken_off:
            self._broken_off = False
            row = self.journal.row(self.scope, "discard", "")
            self.buffer.add([discard_text()], [row] if row else [])

    def begin_stream(self, run_id: str) -> None:
        """An answer is about to stream."""
        self._streams[run_id] = False

    def end_stream(self, run_id: str, *, complete: bool) -> bool:
        """It has ended; whether text of it was emitted."""
        emitted = self._streams.pop(run_id, False)
        self._broken_off |= emitted and not complete
        self.has_streamed |= emitted and complete
        return emitted

    # what is below

    def _remember(self, task: "asyncio.Task[Any] | None") -> None:
        if task is not None and (self._own_task is None or not self._own_task.is_(task)) and task not in self._others:
            self._others.add(task)
            task.add_done_callback(self._others.discard)

    def _row_of_failure(self, call: FailedCall) -> JournalEntry | None:
        code = getattr(call.error, "status_code", None)
        is_provider = type(call.error).__module__.startswith("agno.")
        failure = {"text": str(call.error), "status_code": code, "provider": is_provider}
        return self.journal.row(call.scope, "model", call.at, {"failure": failure}, match=call.match)


def no_users(who: str) -> NewEvent:
    """The note that a run is of no user, and does without what its agent remembers of users."""
    text = (
        f"The task names no user, so {who} neither reads nor keeps memories of users: all such tasks would share them."
    )
    return NewEvent(type=TaskUpdateEventType.Note, data={"text": text, "kind": "memory"})


def missing(who: str, error: BaseException) -> NewEvent:
    """The note that a run went on without something.

    Args:
        who: What failed.
        error: How.
    """
    text = f"{who} failed, and the run went on without it: {message_of(error)[:1000]}"
    return NewEvent(type=TaskUpdateEventType.Note, data={"text": text, "kind": "missing"})


def required_failed(who: str, error: BaseException) -> str:
    """The same where the handler requires all that its agents use."""
    return f"{who} failed, and is required: {message_of(error)[:1000]}"
