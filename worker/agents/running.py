"""Run an Agno Agent, Team or Workflow for a task: a copy of its own, its events told, its result checked."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from worker.agents import logs
from worker.agents.calls import Calls
from worker.agents.copies import Copies, kind_of, workflow_input
from worker.agents.endings import ENDINGS, STARTS, Ending, ending_of
from worker.agents.errors import AgentFailed, ResultInvalid
from worker.agents.held import Held
from worker.agents.journal import Journal
from worker.agents.outlet import Emit, Outlet
from worker.agents.questions import Replayed
from worker.agents.replay import Replay
from worker.agents.results import Unfit, Wanted, as_text, repair_request, wanted
from worker.agents.translation import Translation
from worker.current import run_in_hand
from worker.words.errors import ModuleException
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord, Tokens


@dataclass(frozen=True, slots=True)
class Material:
    """A task's input as an agent takes it.

    Args:
        message: The text.
        files: Agno ``File`` objects.
        images: Agno ``Image`` objects.
    """

    message: str
    files: Sequence[Any] = ()
    images: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of a run.

    Args:
        content: The result as text, JSON text where JSON was wanted; none where the run is paused.
        tokens: Of all models that took part, members and a repair included.
        used_tools: Names in order of first use, members' included, Agno's own delegation tools left out.
        paused: The task's ``hitl_request`` if the run waits for a person.
        run_id: Agno's id of the run: the task's and the number of the run within it.
        duration: Seconds.
    """

    content: str | None
    tokens: Tokens = field(default_factory=Tokens)
    used_tools: list[str] = field(default_factory=list[str])
    paused: dict[str, Any] | None = None
    run_id: str = ""
    duration: float = 0.0


async def run(
    agent: Any, record: TaskRecord, material: Material, emit: Emit, *, ordinal: int = 0, holding: bool = False
) -> RunResult:
    """Run an agent for a task.

    Args:
        agent: An Agno Agent, Team or Workflow; it is not changed, and may serve many runs at once.
        record: The task, whose wishes for result, model and instructions are applied.
        material: The task's input, converted.
        emit: Appends events to the task's log. Called one at a time, in order; not at all where there is nothing
            to tell.
        ordinal: How many runs the task's handler has made before this one.
        holding: Leave a last answer to ``journal.held``, which whoever writes the attempt's last word looks after;
            nothing of the caller's may happen before the loop turns.

    Raises:
        AgentFailed: The run ended in an error; the provider's own message, its exception as the cause.
        ResultInvalid: The result does not fit what the task wants, nor after one more try.
        ValidationError: ``output_schema`` is no JSON Schema.
        ConfigurationError: It is no agent, or its model cannot be made.
        LeaseLost: From ``emit``: the attempt no longer owns the task.
        asyncio.CancelledError: The run was cancelled, or its attempt should end.
    """
    started = time.perf_counter()
    kind, want = kind_of(agent), wanted(agent, record)
    calls = Calls(record.id, run_in_hand.get())
    copies = Copies(record, want, calls)
    own = copies.of(agent, kind)
    logs.take_over()  # Agno has been imported by now, and has made its loggers
    journal = await _journal(record)
    async with _Going(record, calls, copies, emit, f"{record.id}.{ordinal}") as going:
        going.replay(journal, by_beginning=kind == "workflow", holding=holding)
        going.tell_what_is_ignored()
        ending = await going.follow(own, _request(kind, record, material, want), going.run_id)
        content = None if ending.paused else await going.checked(ending.content, material, want)
    seconds = time.perf_counter() - started
    return RunResult(content, going.tokens, list(going.used_tools), ending.paused, going.run_id, seconds)


async def _journal(record: TaskRecord) -> Journal | None:
    """The journal of the attempt in hand, read; none where there is none, or where another task is run."""
    run = run_in_hand.get()
    if run is None or run.journal is None or run.task_id != record.id:
        return None
    await run.journal.load(run.work)
    await run.journal.held.store()  # of a run before this one
    return run.journal


class _Going:
    """A run while it goes on."""

    def __init__(self, record: TaskRecord, calls: Calls, copies: Copies, emit: Emit, run_id: str) -> None:
        self.run_id = run_id
        self.tokens = Tokens()
        self._record = record
        self._calls = calls
        self._copies = copies
        self._outlet = Outlet(emit)
        self._translation = Translation(run_id, calls)
        self._run = run_in_hand.get()
        self._replay: Replay | None = None
        self._held: Held | None = None
        self._forget: Callable[[], None] = lambda: None

    @property
    def used_tools(self) -> Iterable[str]:
        """Names, in order of first use."""
        return self._translation.used_tools

    async def __aenter__(self) -> Self:
        """Have the run cancelled when its attempt should end, on whatever thread that is found out."""
        self._calls.begin()
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        if self._run is not None and task is not None:
            cancel = task.cancel
            self._forget = self._run.stopping.call(lambda: _call_soon(loop, cancel))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Have all events stored, also where the run failed; where it was cancelled, let go of them."""
        self._forget()
        if error is None or isinstance(error, Exception):
            holding = error is None and self._held is not None
            if await self._outlet.settle(holding=holding) and self._held is not None:
                self._held.keep(self._outlet)
            return
        cause = self._outlet.failure()
        await self._outlet.abandon()
        if cause is not None:
            raise cause from None

    def replay(self, journal: Journal | None, *, by_beginning: bool, holding: bool) -> None:
        """Answer from the journal what earlier attempts completed, and note what this one does."""
        if journal is None or self._run is None:
            return
        replay = Replay(journal, self._run, self.run_id, self._outlet, by_beginning=by_beginning)
        self._calls.replay = self._replay = replay
        self._held = journal.held if holding else None
        replay.take_back()

    def tell_what_is_ignored(self) -> None:
        """Nothing that a task asks for is passed over in silence."""
        if self._copies.effort_ignored:
            text = f"llm_reasoning_effort is ignored: the model {self._copies.last_model.id} knows no such setting."
            self._tell([NewEvent(type=TaskUpdateEventType.Note, data={"text": text, "kind": "model"})])

    def _tell(self, events: Sequence[NewEvent]) -> None:
        if self._replay is None:
            self._outlet.add(events)
        else:
            self._replay.tell(events)

    async def follow(self, own: Any, request: dict[str, Any], run_id: str) -> Ending:
        """Run a copy to its end, tell its events, count its tokens.

        Raises:
            AgentFailed: It ended in an error.
        """
        try:
            last, output = await self._listen(own, {**request, "run_id": run_id}, run_id)
        except ModuleException:
            raise
        except Exception as error:
            raise AgentFailed(str(error) or type(error).__name__, error) from error
        ending = ending_of(last, output, self._calls, self._copies.skippable_steps)
        self.tokens += ending.tokens
        return ending

    async def _listen(self, own: Any, request: dict[str, Any], run_id: str) -> tuple[Any, Any]:
        """Take a run's events as they come; what it ended with: its last event, and Agno's output of it."""
        last = output = None
        streaming = self._record.events_streaming and run_id == self.run_id  # a repair's text is not the answer's
        with _NoCancelledRuns() as runs:
            runs.add(run_id)
            try:
                async with contextlib.aclosing(own.arun(stream=True, stream_events=True, **request)) as items:
                    async for item in items:
                        name = getattr(item, "event", None)
                        if name is None:
                            output = item
                            continue
                        if name in ENDINGS and item.run_id == run_id:
                            last = item
                        elif name in STARTS:
                            runs.add(item.run_id)
                        await self._pass_on(item, streaming=streaming)
            except asyncio.CancelledError:
                await self._calls.end()
                raise
        return last, output

    async def _pass_on(self, item: Any, *, streaming: bool) -> None:
        text = self._translation.text(item) if streaming else None
        if text and not isinstance(text, Replayed):
            await self._outlet.put_text(text, self._replay.opens(item.run_id) if self._replay else ())
        elif not text and (events := self._translation.events(item)):
            self._tell(events)
            await self._outlet.pause()

    async def checked(self, content: Any, material: Material, want: Wanted) -> str:
        """The result as text, after one repair if it does not have the form that is wanted.

        Raises:
            ResultInvalid: Nor does it then.
        """
        try:
            return want.text_of(content)
        except Unfit as unfit:
            problem = str(unfit)
        repairer = self._copies.repairer()
        if repairer is None:
            raise ResultInvalid(problem, as_text(content))
        request = {"input": _conversation(material.message, as_text(content), problem), "yield_run_output": True}
        repaired = (await self.follow(repairer, request, f"{self.run_id}.repair")).content
        try:
            return want.text_of(repaired)
        except Unfit as unfit:
            raise ResultInvalid(str(unfit), as_text(repaired)) from unfit


class _NoCancelledRuns:
    """While it lasts, Agno does not store its runs as CANCELLED when they are: they are to be taken up again."""

    def __init__(self) -> None:
        self._ids: list[str] = []

    def add(self, run_id: str) -> None:
        if run_id not in self._ids:
            from agno.run.concurrency import mark_worker_managed

            mark_worker_managed(run_id)
            self._ids.append(run_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        from agno.run.concurrency import unmark_worker_managed

        for run_id in self._ids:
            unmark_worker_managed(run_id)


def _request(kind: str, record: TaskRecord, material: Material, want: Wanted) -> dict[str, Any]:
    """What ``arun`` is given besides the run's id."""
    user = record.input.user
    request: dict[str, Any] = {
        "input": material.message,
        "session_id": record.conversation_id or record.id,
        "user_id": user.id if user else None,
        "files": list(material.files) or None,
        "images": list(material.images) or None,
    }
    if kind == "workflow":
        request["input"] = workflow_input(material.message, record, want)
    else:
        request["yield_run_output"] = True
    return request


def _conversation(message: str, answer: str, problem: str) -> list[Any]:
    from agno.models.message import Message

    return [
        Message(role="user", content=message),
        Message(role="assistant", content=answer),
        Message(role="user", content=repair_request(problem)),
    ]


def _call_soon(loop: asyncio.AbstractEventLoop, cancel: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, and the run with it
        loop.call_soon_threadsafe(cancel)
