"""The ways in which an outermost run is made: as it is, in the worker's way of calling, recorded, and again.

``converted`` is the baseline: one loop, the worker's way of calling, nothing else of the worker. ``recorded`` is a run
of ours around it. ``replayed`` is a second attempt, answered from what the first one has recorded, its models refusing
to be asked. ``killed`` and ``busy`` interrupt the first attempt at one of its writes, or at one of its model calls.
"""

import asyncio
import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from tests.agents.attempts import Task
from tests.agno_suite.comparing import different, events_of, settled
from tests.agno_suite.observed import Watch, watching
from tests.agno_suite.outermost import Begun, Hand, OutermostRun, active
from worker.agents.instrumentation.frames import current_frame
from worker.agents.runs.material import Material
from worker.words.tasks import User

CONVERTED, RECORDED, REPLAYED, KILLED, BUSY = "converted", "recorded", "replayed", "killed", "busy"


@dataclass
class Attempt:
    """What one attempt came to.

    Args:
        watch: What it made of calls.
        begun: Agno's run; None if it was answered as a whole, or never began.
        content: What the worker gives as its result.
        failure: What it ended with instead.
        session: What is stored of the session after it.
        emitted: Events that it added to the task's log.
        notes: Kinds of notes among them.
    """

    watch: Watch
    begun: Begun | None = None
    content: Any = None
    failure: str = ""
    session: Any = None
    emitted: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    @property
    def output(self) -> Any:
        """Agno's output of it, as JSON has it."""
        if self.begun is not None and self.begun.paused is not None:
            return settled(self.begun.paused)
        output: Any = self.begun.output if self.begun is not None else None
        return settled(output.to_dict() if hasattr(output, "to_dict") else output)

    def said(self) -> dict[str, Any]:
        """What can be compared with another attempt."""
        told = self.begun.told if self.begun is not None else []
        error = self.begun.error if self.begun is not None else None
        return {
            "content": settled(self.content),
            "failure": settled(self.failure),
            "raised": settled(repr(error)) if error is not None else None,
            "output": self.output,
            "events": events_of(told),
            "session": self.session,
        }


@dataclass(slots=True)
class Pass:
    """A way, and where it interrupts.

    Args:
        way: Its name.
        at: At which write, or model call, the first attempt ends.
        with_history: Whether an earlier turn is in the session when a run begins.
        reports: Asked when a run begins: takes a line for it.
    """

    way: str
    at: int = 0
    with_history: bool = False
    reports: Callable[[], Callable[[dict[str, Any]], None]] = lambda: lambda _: None

    async def carry_out(self, call: OutermostRun, hand: Hand) -> Any:
        """Make a run; answers what Agno's own call would have answered."""
        report = self.reports()
        with active():
            if self.with_history and getattr(call.subject, "db", None) is not None:
                await self._earlier_turn(call)
            made = _Converted(call) if self.way == CONVERTED else _AsTask(call, self)
            try:
                return await made.complete(hand)
            finally:
                report({"kind": call.kind, "number": call.number, **made.line()})

    async def _earlier_turn(self, call: OutermostRun) -> None:
        earlier = OutermostRun(
            call.subject,
            ("Remember the word 'seven'.",),
            {"user_id": call.options.get("user_id"), "session_id": call.session_id},
        )
        with contextlib.suppress(Exception):
            async for _ in earlier.begun(call.subject, "earlier").follow():
                pass


class _Converted:
    """The worker's way of calling, and nothing else of it."""

    def __init__(self, call: OutermostRun) -> None:
        self._call = call
        self._attempt = Attempt(Watch())

    async def complete(self, hand: Hand) -> Any:
        with watching(self._attempt.watch):
            begun = self._attempt.begun = self._call.begun(self._call.subject, f"task-{self._call.number}.0.{0:012x}")
            try:
                async for item in begun.follow():
                    await hand(item)
            finally:
                self._attempt.session = await _stored(self._call)
        return begun.output

    def line(self) -> dict[str, Any]:
        watch = self._attempt.watch
        return {"asked": len(watch.asked), "tools": len(watch.tools), "said": self._attempt.said()}


class _AsTask:
    """A run of ours for a task."""

    def __init__(self, call: OutermostRun, way: Pass) -> None:
        self._call = call
        self._way = way
        self._task = Task(id=f"task-{call.number}", events_streaming=True)
        if call.options.get("user_id"):
            self._task.record.input.user = User(id=call.options["user_id"])
        self._attempts: list[Attempt] = []
        self._hand: Hand | None = None
        self._substituted = False
        self._own: Any = None  # the copy that the worker has made of the subject

    async def complete(self, hand: Hand) -> Any:
        """Make all attempts; answers what the last one came to."""
        try:
            return await self._completed(hand)
        finally:
            _give_ids(self._call.subject, self._own)

    async def _completed(self, hand: Hand) -> Any:
        way, at = self._way.way, self._way.at
        if way == RECORDED:
            return await self._last(hand, Watch())
        if way == KILLED:
            if not await self._first(Watch(), dies_at=at):
                return await self._last(hand, Watch())
        else:
            await self._first(Watch(busy_at=at if way == BUSY else 0))
        first = self._attempts[0]
        if way == REPLAYED:
            self._forget_the_whole()
        return await self._last(hand, Watch(refuses=way == REPLAYED and not first.failure))

    async def _first(self, watch: Watch, dies_at: int | None = None) -> bool:
        """Make an attempt whose answer nobody gets; whether it ended."""
        with contextlib.suppress(Exception):
            await self._attempted(watch, dies_at)
        return not dies_at or self._task.is_alive()

    async def _last(self, hand: Hand, watch: Watch) -> Any:
        """Make the attempt whose answer is given back."""
        self._hand = hand
        begun = await self._attempted(watch)
        if begun is None:
            raise RuntimeError("the worker has not run it")
        if begun.error is not None:
            raise begun.error
        return begun.output

    async def _attempted(self, watch: Watch, dies_at: int | None = None) -> Begun | None:
        """Make an attempt. What the worker raises is taken down; what Agno's own run raised is left to who asks."""
        attempt = Attempt(watch)
        self._attempts.append(attempt)
        self._substituted, before = False, len(self._task.log)
        tokens = _in_hand.set(self)
        try:
            with watching(watch):
                result = await self._task.attempted(self._handler, dies_at=dies_at)
            attempt.content = getattr(result, "content", None)
        except Exception as error:
            attempt.failure = f"{type(error).__name__}: {error}"
            if attempt.begun is None:
                raise
        finally:
            _in_hand.reset(tokens)
            emitted = [event for _, event in self._task.log[before:]]
            attempt.emitted = [str(each.type) for each in emitted if each.type != "note"]
            attempt.notes = [each.data["kind"] for each in emitted if each.type == "note"]
            attempt.session = await _stored(self._call)
        return attempt.begun

    async def _handler(self, run_agent: Any) -> Any:
        given = self._call.input
        is_joined = self._call.kind == "workflow" and given is not None  # with what a task asks for, into one text
        form = self._call.options.get("output_schema")  # the worker checks the result against it
        options = {} if form is None else {"output_schema": form}
        return await run_agent(self._call.subject, Material(str(given) if is_joined else given or "", options=options))

    def substitute(self, own: Any) -> Any:
        """Make the worker's call of ``arun`` with the arguments of whoever made the call."""
        frame = current_frame.get()
        if self._substituted or frame is None or frame.owner is not own:
            return None
        self._substituted, self._own = True, own
        begun = self._attempts[-1].begun = self._call.begun(own, frame.run_id)
        return self._passed_on(begun)

    async def _passed_on(self, begun: Begun) -> Any:
        async for item in begun.follow():
            if self._hand is not None:
                await self._hand(item)
            yield item

    def _forget_the_whole(self) -> None:
        """The process died before the run's own row was stored, so it is not answered as a whole."""
        self._task.rows = {key: text for key, text in self._task.rows.items() if '"kind":"run"' not in text}

    def line(self) -> dict[str, Any]:
        last = self._attempts[-1]
        line: dict[str, Any] = {
            "asked": sum(len(each.watch.asked) for each in self._attempts),
            "tools": sum(len(each.watch.tools) for each in self._attempts),
            "said": last.said(),
            "failure": self._attempts[0].failure,
            "notes": last.notes,
        }
        if self._way.way == REPLAYED:
            line["differences"] = list(self._differences())
        if self._way.way in (KILLED, BUSY):
            first = self._attempts[0]
            line["interrupted"] = len(self._attempts) > 1 and (self._way.way == KILLED or first.watch.was_busy)
            line["completed"] = len(first.watch.asked)
            line["asked_then"] = len(last.watch.asked)
        return line

    def _differences(self) -> list[str]:
        if len(self._attempts) == 1:
            return ["attempt: none was made"]
        first, second = self._attempts[0], self._attempts[-1]
        found = list(different(first.said(), second.said()))
        found += [f".asked: {each} was asked again" for each in second.watch.refused]
        if not first.failure:
            found += [f".tools: {each} was called again" for each in second.watch.tools]
            found += [f".emitted: {each} was emitted again" for each in second.emitted]
        return [*found, *(f".notes: {each}" for each in second.notes)]


def _give_ids(subject: Any, own: Any) -> None:
    """Give ids to who has none, as Agno does, which tests read: the worker has run copies."""
    if own is None:
        return
    if getattr(subject, "id", None) is None:
        subject.id = own.id
    members, copies = getattr(subject, "members", None), getattr(own, "members", None)
    if isinstance(members, list) and isinstance(copies, list):
        for member, each in zip(members, copies, strict=True):
            _give_ids(member, each)


_in_hand: ContextVar[_AsTask | None] = ContextVar("run_as_task", default=None)


def substitute(own: Any) -> Any:
    """What takes the place of an inner call; None to leave it."""
    made = _in_hand.get()
    return None if made is None else made.substitute(own)


async def _stored(call: OutermostRun) -> Any:
    """What is stored of a run's session."""
    from agno.db.base import AsyncBaseDb, BaseDb, SessionType

    db = getattr(call.subject, "db", None)
    if not isinstance(db, BaseDb | AsyncBaseDb):
        return None
    kind = SessionType(call.kind)
    try:
        session: Any = db.get_session(session_id=call.session_id, session_type=kind)
        if asyncio.iscoroutine(session):
            session = await session
    except Exception as error:  # noqa: BLE001 - a database of a test may be made to fail
        return repr(error)
    if session is None:
        return None
    return settled(session.to_dict())
