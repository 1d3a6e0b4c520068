"""Every outermost run of an Agno agent, team or workflow, taken in hand: in which way it is made is a pass's choice.

A run is outermost if no other run is going on around it. ``arun`` and ``run``, streaming or not, all come to the same
here: one loop, the run streamed with its events as the worker does it, its output given back in the form that was asked
for.
"""

import asyncio
import contextvars
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from itertools import count
from typing import Any

from tests.agno_suite.observed import reach

Hand = Callable[[Any], Awaitable[None]]
"""Takes an event as it comes, and returns when its reader wants the next."""

WITHOUT_EVENTS = (
    "RunContent",
    "RunPaused",
    "RunCancelled",
    "RunError",
    "CustomEvent",
    "WorkflowCompleted",
    "StepPaused",
)
"""How events end that a stream has which did not ask for events."""


@dataclass(eq=False)
class OutermostRun:
    """One call of ``run`` or ``arun``.

    Args:
        subject: The agent, team or workflow.
        arguments: Its positional arguments.
        options: Its keyword arguments.
        number: Its place among all of this process.
    """

    subject: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    number: int = field(default_factory=count(1).__next__)

    @property
    def kind(self) -> str:
        """``agent``, ``team`` or ``workflow``."""
        return next(
            (each for each in ("team", "workflow") if hasattr(self.subject, {"team": "members"}.get(each, "steps"))),
            "agent",
        )

    @property
    def input(self) -> Any:
        """What it is given."""
        return self.arguments[0] if self.arguments else self.options.get("input")

    @property
    def session_id(self) -> str:
        """Its session; Agno would make one up and keep it on the subject, and so it is done here, for all attempts."""
        asked = self.options.get("session_id")
        if asked:
            return asked
        if not getattr(self.subject, "session_id", None):
            self.subject.session_id = str(uuid.uuid4())
        return self.subject.session_id

    @property
    def is_streamed(self) -> bool:
        """Whether its events are wanted."""
        stream = self.options.get("stream")
        return bool(getattr(self.subject, "stream", None) if stream is None else stream)

    @property
    def wants_events(self) -> bool:
        """Whether all of them are."""
        wanted = self.options.get("stream_events")
        return bool(getattr(self.subject, "stream_events", None) if wanted is None else wanted)

    def shows(self, item: Any) -> bool:
        """Whether who made the call would be given an event."""
        name = getattr(item, "event", None)
        if name is None:
            return bool(self.options.get("yield_run_output"))
        return self.wants_events or str(name).endswith(WITHOUT_EVENTS)

    def begun(self, own: Any, run_id: str) -> "Begun":
        """Begin it as the worker does: streamed, with events, under an id of ours."""
        options = {
            **self.options,
            "run_id": run_id,
            "session_id": self.session_id,
            "stream": True,
            "stream_events": True,
        }
        if self.kind != "workflow":
            options["yield_run_output"] = True
        with _capturing() as captured:
            items = ORIGINALS[type_of(own)](own, *self.arguments, **options)
        return Begun(items, captured)


@dataclass
class Begun:
    """A run that goes on.

    Args:
        items: Its events, and at last its output.
        captured: Its output while it is being made, as Agno's own code has it; empty if that was not to be seen.
        told: The events that have come.
        error: What it raised.
        paused: Its output, as JSON has it, when it began to wait for a person.
    """

    items: AsyncIterator[Any]
    captured: list[Any]
    told: list[Any] = field(default_factory=list[Any])
    error: BaseException | None = None
    paused: Any = None
    _yielded: Any = None

    @property
    def output(self) -> Any:
        """What Agno's ``run`` would have answered."""
        return self._yielded if self._yielded is not None else (self.captured[0] if self.captured else None)

    async def follow(self) -> AsyncIterator[Any]:
        """Pass on what comes, and take it down."""
        try:
            if not hasattr(self.items, "__aiter__"):  # a workflow with an agent of its own may answer as a whole
                self._yielded = await self.items  # type: ignore[misc]
                yield self._yielded
                return
            async with aclosing(self.items) as items:  # type: ignore[type-var]
                async for item in items:
                    if getattr(item, "event", None) is None:
                        self._yielded = item
                    else:
                        self.told.append(item)
                        if str(item.event).endswith("Paused") and self.captured:  # its reader may answer it at once
                            self.paused = self.captured[0].to_dict()
                    yield item
        except BaseException as error:
            self.error = error
            raise


inside: ContextVar[bool] = ContextVar("inside_of_a_run", default=False)
ORIGINALS: dict[str, Any] = {}
_captured: ContextVar[list[Any] | None] = ContextVar("captured_output", default=None)
_loop: list[asyncio.AbstractEventLoop] = []

CarryOut = Callable[[OutermostRun, Hand], Awaitable[Any]]
Substitute = Callable[[Any], Any]


def type_of(subject: Any) -> str:
    """By which of Agno's classes it is run."""
    return next(each.__name__ for each in type(subject).__mro__ if each.__name__ in ORIGINALS)


def take_in_hand(carry_out: CarryOut, substitute: Substitute) -> None:
    """Have every outermost run made in another way. To be called before the worker puts its hooks in, as these look
    at who calls.

    Args:
        carry_out: Makes it; answers its output.
        substitute: Is asked of each call within: what to return in its place, or None. It is how the worker's own
            call of ``arun`` comes to be made with the arguments of whoever made the call.
    """
    from agno.agent import Agent
    from agno.team import Team
    from agno.workflow import Workflow

    for each in (Agent, Team, Workflow):
        ORIGINALS[each.__name__] = each.arun
        each.arun, each.run = _arun(each.arun, carry_out, substitute), _run(each.run, carry_out)  # type: ignore[method-assign]
    _capture_outputs()


def count_runs() -> None:
    """Count outermost runs, and leave them as they are."""
    from agno.agent import Agent
    from agno.team import Team
    from agno.workflow import Workflow

    def counted(original: Any) -> Any:
        @wraps(original)
        def call(self: Any, *arguments: Any, **options: Any) -> Any:
            reach.add("runs and members' runs")
            return original(self, *arguments, **options)

        return call

    for each in (Agent, Team, Workflow):
        each.arun, each.run = counted(each.arun), counted(each.run)  # type: ignore[method-assign]


@contextmanager
def active() -> Generator[None]:
    """Have runs that begin meanwhile known as inner ones."""
    token = inside.set(True)
    try:
        yield
    finally:
        inside.reset(token)


def _arun(original: Any, carry_out: CarryOut, substitute: Substitute) -> Any:
    @wraps(original)
    def arun(self: Any, *arguments: Any, **options: Any) -> Any:
        if inside.get():
            made = substitute(self)
            return original(self, *arguments, **options) if made is None else made
        if options.get("background"):
            reach.add("runs left alone")
            return original(self, *arguments, **options)
        reach.add("runs")
        call = OutermostRun(self, arguments, options)
        return _streamed(call, carry_out) if call.is_streamed else carry_out(call, _nobody)

    return arun


def _run(original: Any, carry_out: CarryOut) -> Any:
    @wraps(original)
    def run(self: Any, *arguments: Any, **options: Any) -> Any:
        if inside.get():
            return original(self, *arguments, **options)
        if options.get("background"):
            reach.add("runs left alone")
            return original(self, *arguments, **options)
        reach.add("runs")
        call = OutermostRun(self, arguments, options)
        return _streamed_sync(call, carry_out) if call.is_streamed else _blocking(lambda: carry_out(call, _nobody))

    return run


async def _nobody(item: Any) -> None:
    """Takes what nobody wants."""


async def _streamed(call: OutermostRun, carry_out: CarryOut) -> AsyncIterator[Any]:
    """What a run tells, each event when it is asked for."""
    given: asyncio.Queue[Any] = asyncio.Queue()
    wanted = asyncio.Semaphore(0)

    async def hand(item: Any) -> None:
        if call.shows(item):
            given.put_nowait((item,))
            await wanted.acquire()

    async def going() -> None:
        try:
            await carry_out(call, hand)
        finally:
            given.put_nowait(())

    task = asyncio.create_task(going())
    try:
        while item := await given.get():
            yield item[0]
            wanted.release()
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


def _streamed_sync(call: OutermostRun, carry_out: CarryOut) -> Iterator[Any]:
    items = _streamed(call, carry_out)
    end = object()

    async def following() -> Any:
        return await anext(items, end)

    async def close() -> None:
        await items.aclose()  # type: ignore[attr-defined]

    try:
        while (item := _blocking(following)) is not end:
            yield item
    finally:
        _blocking(close)


def _blocking(work: Callable[[], Awaitable[Any]]) -> Any:
    """Do something on the one loop that this process has for plain code, while this thread waits."""

    async def working() -> Any:
        return await work()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        if not _loop:
            _loop.append(asyncio.new_event_loop())
        asyncio.set_event_loop(_loop[0])
        return _loop[0].run_until_complete(working())
    return _in_thread(working)


def _in_thread(working: Callable[[], Awaitable[Any]]) -> Any:
    """The same where a loop runs already: on one of its own."""
    context, answers, errors = contextvars.copy_context(), list[Any](), list[BaseException]()

    def target() -> None:
        try:
            answers.append(context.run(asyncio.run, working()))  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]


@contextmanager
def _capturing() -> Generator[list[Any]]:
    outputs: list[Any] = []
    token = _captured.set(outputs)
    try:
        yield outputs
    finally:
        _captured.reset(token)


def _capture_outputs() -> None:
    """Have Agno's streaming code show the output that it fills: an error keeps it back, a workflow always does."""
    from agno.agent import _run as of_agents
    from agno.team import _run as of_teams
    from agno.workflow import Workflow

    for place, name, argument in (
        (of_agents, "_arun_stream", "run_response"),
        (of_teams, "_arun_stream", "run_response"),
        (Workflow, "_aexecute_stream", "workflow_run_response"),
    ):
        setattr(place, name, _showing(getattr(place, name), argument))


def _showing(original: Any, argument: str) -> Any:
    @wraps(original)
    def stream(*arguments: Any, **options: Any) -> Any:
        outputs = _captured.get()
        if outputs is not None and not outputs:
            outputs.append(options[argument])
        return original(*arguments, **options)

    return stream
