"""A task as user code holds it: read its fields, change them, save; follow its events; read its files."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, Unpack

from pydantic import PrivateAttr

from worker.contracts import Platform
from worker.current import run_in_hand
from worker.face import artifacts, bridge, reading
from worker.face.answers import Said, answers_of, message_of, named
from worker.face.awaiting import following, saw
from worker.face.binding import bound
from worker.face.changes import Snapshot, changed, checked, pending, sendable, snapshot
from worker.face.configuration import Configuration
from worker.face.kept_files import TaskKeeper
from worker.face.reporting import Report, report
from worker.words.activity import AgentActivityThread
from worker.words.attempts import Attempt
from worker.words.changes import MUTABLE
from worker.words.events import TaskUpdateEvent, typed_data
from worker.words.statuses import WHOLE_TASK, AgentExecutionStatus
from worker.words.tasks import TaskRecord, effective

if TYPE_CHECKING:
    from worker.inputs import Attachments

T = TypeVar("T")
Verb = Callable[[Platform], Awaitable[T]]


class Task(TaskRecord):
    """A task with its platform. Each method ``aX`` has a twin ``X`` that blocks, with or without a running loop.

    ``result`` may be set to text, or to a model, dictionary or list, which is saved as JSON text.
    """

    result: Any = None

    MUTABLE: ClassVar[frozenset[str]] = MUTABLE
    """What a save may change; all else is fixed when the task is created."""

    _configuration: Configuration | None = PrivateAttr(default=None)
    _saved: Snapshot = PrivateAttr(default_factory=dict)
    _attachments: Any = PrivateAttr(default=None)
    _fitted: Any = PrivateAttr(default=None)  # those, with pictures that any provider accepts
    _agent_runs: int = PrivateAttr(default=0)
    _run_output: Any = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Remember the task as it came, to know later what was changed."""
        super().model_post_init(context)
        self._saved = snapshot(self)

    @classmethod
    def of(cls, record: TaskRecord, configuration: Configuration | None = None) -> Self:
        """Bind a record to its platform.

        Args:
            record: A task as the platform answered it.
            configuration: Which platform that is; None means the default one.
        """
        task = cls.__new__(cls)
        task._become(record, configuration)  # noqa: SLF001 - its own class
        return task

    def _become(self, record: TaskRecord, configuration: Configuration | None) -> None:
        """Take over what a record holds without looking at it again: it was validated when it was made.

        The four attributes are all that a pydantic model consists of; ``BaseModel.__copy__`` sets them the same way.
        """
        for name, value in (
            ("__dict__", effective(record.__dict__.copy())),
            ("__pydantic_fields_set__", record.model_fields_set.copy()),
            ("__pydantic_extra__", None),
            (
                "__pydantic_private__",
                {
                    "_configuration": configuration,
                    "_attachments": None,
                    "_fitted": None,
                    "_agent_runs": 0,
                    "_run_output": None,
                },
            ),
        ):
            object.__setattr__(self, name, value)
        self._saved = snapshot(self)

    @property
    def configuration(self) -> Configuration:
        """Where the task lives; what the environment says, if it came from the default platform."""
        return self._configuration or Configuration()

    @property
    def origin(self) -> Configuration | None:
        """The platform that the task came from; None means the default one, which in a worker is the worker's own."""
        return self._configuration

    @bound
    @classmethod
    async def aload(cls, task_id: str, configuration: Configuration | None = None) -> Self:
        """Load a task.

        Args:
            task_id: Which.
            configuration: Where it lives; None: on the default platform, or, asked of a task, where that one lives.

        Raises:
            ModuleException: 404: there is no such task.
        """
        return cls.of(_seen(await bridge.across(_get(task_id), configuration)), configuration)

    @bound
    @classmethod
    def load(cls, task_id: str, configuration: Configuration | None = None) -> Self:
        """Load a task, as ``aload`` does."""
        return cls.of(_seen(bridge.block(_get(task_id), configuration)), configuration)

    async def areload(self) -> Self:
        """Become what the platform has now; what was changed and not saved is given up."""
        record = await bridge.across(_get(self.id), self._configuration)
        self._become(_seen(record), self._configuration)
        return self

    def reload(self) -> Self:
        """Become what the platform has now, as ``areload`` does."""
        self._become(_seen(bridge.block(_get(self.id), self._configuration)), self._configuration)
        return self

    async def aread_artifact(self, name: str) -> bytes:
        """Read a file that a run has made, one of ``artifacts``.

        Raises:
            ModuleException: 404: the task has none of this name; 409: it is not stored here, but at its URL.
        """
        artifact = artifacts.named(self.artifacts, name)
        return await bridge.across(lambda platform: artifacts.content_of(platform, artifact), self._configuration)

    def read_artifact(self, name: str) -> bytes:
        """Read a file that a run has made, as ``aread_artifact`` does."""
        artifact = artifacts.named(self.artifacts, name)
        return bridge.block(lambda platform: artifacts.content_of(platform, artifact), self._configuration)

    async def aset_status(self, status: AgentExecutionStatus, result: Any = None) -> None:
        """Change the status, and that alone: other changes stay unsaved.

        Args:
            status: The new one.
            result: What is saved with it; None means nothing.

        Raises:
            ModuleException: 422: it is no status; 409: this run no longer owns the task.
        """
        changes = _status_and(status, result)
        sending, before = self._sending(checked(changes)), self._now(*changes)
        self._absorb(await bridge.across(sending, self._configuration), before)

    def set_status(self, status: AgentExecutionStatus, result: Any = None) -> None:
        """Change the status, as ``aset_status`` does."""
        changes = _status_and(status, result)
        sending, before = self._sending(checked(changes)), self._now(*changes)
        self._absorb(bridge.block(sending, self._configuration), before)

    async def asave(self, with_deep_plan_update: bool | None = False) -> Self:
        """Save what was changed since the task was loaded or last saved, and nothing else.

        ``with_deep_plan_update`` has no meaning: a plan that was changed is saved as all that was.

        Within a run of this task the save carries the run's attempt, also where the task was loaded afresh.

        Returns:
            This task, as the platform has it now.

        Raises:
            ModuleException: 422: a value does not fit (``internal_status`` has at most 255 characters) or a field is
                fixed at create, nothing was sent; 409: this run no longer owns the task.
        """
        del with_deep_plan_update
        sent = self._pending()
        return self._absorb(await bridge.across(self._saving(sent), self._configuration), sent)

    def save(self, with_deep_plan_update: bool | None = False) -> Self:
        """Save what was changed, as ``asave`` does."""
        del with_deep_plan_update
        sent = self._pending()
        return self._absorb(bridge.block(self._saving(sent), self._configuration), sent)

    async def astop(self) -> Self:
        """Stop the task: its run is ended, and nothing overwrites ``stopped``. A finished one stays as it is.

        Returns:
            This task, as the platform has it now.

        Raises:
            ModuleException: 404: there is no such task.
        """
        before = self._now("status")
        return self._absorb(await bridge.across(self._stopping, self._configuration), before)

    def stop(self) -> Self:
        """Stop the task, as ``astop`` does."""
        before = self._now("status")
        return self._absorb(bridge.block(self._stopping, self._configuration), before)

    async def aretry(self, *, resume: bool | None = None) -> Self:
        """Have a finished or paused task done again.

        Args:
            resume: Go on where it stood: answers of models, results of tools and steps that are journaled are not paid
                for again, which they are for a day after the task's end. The last answer before an error of the task's
                own is asked for anew, with the calls that it led to. False: begin from the start. By default a task
                that was completed begins from its start, and any other resumes; a paused one always does.

        Returns:
            This task, pending.

        Raises:
            ModuleException: 404: there is no such task; 409: it is not finished.
        """
        before = self._now("status")
        return self._absorb(await bridge.across(partial(self._retrying, resume=resume), self._configuration), before)

    def retry(self, *, resume: bool | None = None) -> Self:
        """Have the task done again, as ``aretry`` does."""
        before = self._now("status")
        return self._absorb(bridge.block(partial(self._retrying, resume=resume), self._configuration), before)

    async def aanswer(self, request_id: str | None = None, /, **said: Unpack[Said]) -> Self:
        """Answer what the paused task asks (``hitl_request["requests"]``); once nothing is open, it goes on.

        Args:
            request_id: Which request; it may be left out where there is only one.
            said: ``approve=True`` or ``False``, or ``value=…``; with ``note=`` to the agent, or ``arguments=`` to call
                the tool with; or ``answers=[…]`` for several at once.

        Returns:
            This task: pending, or still paused where others are open. The same answer again changes nothing.

        Raises:
            ModuleException: 404: it asks for nothing under that id; 409: it waits for nothing, or was answered
                otherwise; 422: it is not what was asked for.
        """
        before, send = self._now("status", "hitl_request"), self._answering(request_id, said)
        return self._absorb(await bridge.across(send, self._configuration), before)

    def answer(self, request_id: str | None = None, /, **said: Unpack[Said]) -> Self:
        """Answer what the task asks, as ``aanswer`` does."""
        before, send = self._now("status", "hitl_request"), self._answering(request_id, said)
        return self._absorb(bridge.block(send, self._configuration), before)

    async def asend(self, text: str) -> Self:
        """Say something to the task's agent: it reads that before its next model call, as a message of the user's.

        A task that does not run keeps it for its next attempt.

        Args:
            text: What is said, such as ``"in French, please"``.

        Returns:
            This task.

        Raises:
            ModuleException: 404: there is no such task; 409: it has ended; 422: there is no text, or too much of it.
        """
        message, before = message_of(text), self._now("status")
        sending: Verb[TaskRecord] = lambda platform: platform.tasks.send(self.id, message)  # noqa: E731 - as others
        return self._absorb(await bridge.across(sending, self._configuration), before)

    def send(self, text: str) -> Self:
        """Say something to the task's agent, as ``asend`` does."""
        message, before = message_of(text), self._now("status")
        sending: Verb[TaskRecord] = lambda platform: platform.tasks.send(self.id, message)  # noqa: E731 - as others
        return self._absorb(bridge.block(sending, self._configuration), before)

    async def aevents(self, after: int = 0) -> AsyncGenerator[TaskUpdateEvent, None]:
        """Follow the task's events as they come, from its first, until it is finished.

        Every task has its events of state and tools; ``chunk`` events, the text as it is written, need
        ``events_streaming=True`` at create.

        Args:
            after: The number of the last event seen already.

        Yields:
            Events in order; ``data`` of ``task_created``, ``task_updated`` and ``task_finished`` is a ``Task``.

        Raises:
            ModuleException: 404: there is no such task.
        """
        events = bridge.aiterate(lambda platform: platform.tasks.events(self.id, after=after), self._configuration)
        try:
            with following(self.id):
                async for event in events:
                    yield self._event(event)
        finally:
            await events.aclose()

    def events(self, after: int = 0) -> Generator[TaskUpdateEvent, None, None]:
        """Follow the task's events, as ``aevents`` does: each is there as soon as it comes."""
        with following(self.id):
            for event in bridge.iterate(
                lambda platform: platform.tasks.events(self.id, after=after), self._configuration
            ):
                yield self._event(event)

    @classmethod
    async def areport_external_task(
        cls, configuration: Configuration | None = None, agent_id: str | None = None, **told: Unpack[Report]
    ) -> Self:
        """Have the platform know of a task that was done elsewhere; see ``Report``.

        Raises:
            ModuleException: 400: no agent is named; 404: there is no task of that id; 422: a value does not fit.
        """
        from worker.face.agent import agent_meant

        named = agent_meant(agent_id, configuration)
        return cls.of(await bridge.across(lambda platform: report(platform, named, told), configuration), configuration)

    @classmethod
    def report_external_task(
        cls, configuration: Configuration | None = None, agent_id: str | None = None, **told: Unpack[Report]
    ) -> Self:
        """Have the platform know of a task that was done elsewhere, as ``areport_external_task`` does."""
        from worker.face.agent import agent_meant

        named = agent_meant(agent_id, configuration)
        return cls.of(bridge.block(lambda platform: report(platform, named, told), configuration), configuration)

    async def areport_metrics(self, configuration: Configuration | None = None) -> None:
        """Save tokens, tools and duration; they are the task's own here, and are saved with its end anyway."""
        del configuration
        await self.asave()

    def report_metrics(self, configuration: Configuration | None = None) -> None:
        """Save tokens, tools and duration, as ``areport_metrics`` does."""
        del configuration
        self.save()

    async def aget_activity_log(self) -> AgentActivityThread:
        """Answer what the task's agent said, called and thought, in order.

        Raises:
            ModuleException: 404: there is no such task.
        """
        return await bridge.across(lambda platform: platform.tasks.activity(self.id), self._configuration)

    def get_activity_log(self) -> AgentActivityThread:
        """Answer what the task's agent did, as ``aget_activity_log`` does."""
        return bridge.block(lambda platform: platform.tasks.activity(self.id), self._configuration)

    async def aattempts(self) -> list[Attempt]:
        """Answer who ran the task when, and how that ended: the first attempt first, those before a retry too.

        Raises:
            ModuleException: 404: there is no such task; 501: the platform tells nothing of them.
        """
        return await bridge.across(lambda platform: platform.tasks.attempts(self.id), self._configuration)

    def attempts(self) -> list[Attempt]:
        """Answer who ran the task when, as ``aattempts`` does."""
        return bridge.block(lambda platform: platform.tasks.attempts(self.id), self._configuration)

    @property
    def attachments(self) -> "Attachments":
        """The task's files. A worker has read them before its handler starts; elsewhere they are read at first use."""
        if self._attachments is None:
            self._attachments = bridge.block(self._reading, self._configuration)
            self._attachments.release()  # the allowance is the worker's; what a caller holds is the caller's own choice
        return self._attachments

    async def aread_attachments(self) -> "Attachments":
        """Read the task's files, once; they count against the process's allowance until they are released."""
        if self._attachments is None:
            self._attachments = await bridge.across(self._reading, self._configuration)
        return self._attachments

    def get_files(self) -> list[Any]:
        """Answer the PDFs among the files, as Agno ``File`` objects that any provider accepts."""
        from worker.inputs import to_agno_files

        return list(to_agno_files(self._for_anyone())) if self.input.files else []

    def get_images(self) -> list[Any]:
        """Answer the pictures among the files, as Agno ``Image`` objects that any provider accepts."""
        from worker.inputs import to_agno_images

        return list(to_agno_images(self._for_anyone())) if self.input.files else []

    def _for_anyone(self) -> "Attachments":
        from worker.inputs import fit_blocking

        if self._fitted is None:
            self._fitted = fit_blocking(self.attachments)
        return self._fitted

    def get_audio(self) -> list[Any]:
        """Answer the sound recordings among the files, as Agno ``Audio`` objects, whatever their format."""
        from worker.inputs import to_agno_audio

        return list(to_agno_audio(self.attachments)) if self.input.files else []

    def get_audios(self) -> list[Any]:
        """Answer the sound recordings among the files, as ``get_audio`` does."""
        return self.get_audio()

    def get_videos(self) -> list[Any]:
        """Answer the films among the files, as Agno ``Video`` objects, whatever their format."""
        from worker.inputs import to_agno_videos

        return list(to_agno_videos(self.attachments)) if self.input.files else []

    def get_human_readable_files(self) -> list[dict[str, str]]:
        """Answer the text files, each as ``{"url", "content"}``, cut to what most models have room for."""
        from worker.inputs import fit_texts, human_readable

        return human_readable(fit_texts(self.attachments, limits=reading.limits())) if self.input.files else []

    def to_message(self, retry_count: int = 0, with_timestamp: bool = False) -> str:
        """Put the input into one message: text, file URLs, what the text files hold, notes on what cannot be read.

        The model is not known here, so contents are cut to what most models have room for; ``run_agent`` knows it.

        Args:
            retry_count: Taken, and without meaning: a retry resumes, and is told nothing.
            with_timestamp: Whether the message begins with the time; by default it is the same for every attempt,
                which is how a retry finds what was answered.
        """
        del retry_count
        message = self._message()
        return f"[{datetime.now(UTC).isoformat(timespec='seconds')}]\n{message}" if with_timestamp else message

    def _message(self) -> str:
        text = self.input.text or ""
        if not self.input.files:
            return text
        from worker.inputs import compose_message, fit_texts

        return compose_message(text, self.input.files, fit_texts(self.attachments, limits=reading.limits()))

    @property
    def run_output(self) -> Any:
        """Agno's own output of the last ``run_agent`` of this attempt: state, metrics, messages.

        None before one, and where an earlier attempt had finished that run.
        """
        return self._run_output

    def take_output(self, output: Any) -> None:
        """Keep the output of a run that was made."""
        self._run_output = output

    def count_agent_run(self) -> int:
        """Count a run of an agent outside any attempt; how many there were before it."""
        self._agent_runs += 1
        return self._agent_runs - 1

    def unsaved(self, *, by_handler: bool = False) -> dict[str, Any]:
        """Answer what was changed and not saved yet, in the form in which it would be sent.

        Args:
            by_handler: Whether a handler has done so, which may change the input for its runs.

        Raises:
            ValidationError: A changed field is fixed at create, or its value does not fit.
        """
        found = self._pending()
        if by_handler:
            found.pop("input", None)
        return sendable(self, found)

    def _pending(self) -> Snapshot:
        """What was changed and not saved yet, as it stands; what a handler makes of the input is for its runs alone."""
        found, run = pending(self, self._saved), run_in_hand.get()
        if self._agent_runs or (run is not None and run.task_id == self.id):
            found.pop("input", None)
        return found

    def _now(self, *names: str) -> Snapshot:
        now = snapshot(self)
        return {name: now[name] for name in names}

    def _saving(self, sent: Snapshot) -> Verb[TaskRecord]:
        """Check what is to be saved, here and now, and answer the call that sends it."""
        return self._sending(sendable(self, sent)) if sent else _get(self.id)

    def _sending(self, changes: Mapping[str, Any]) -> Verb[TaskRecord]:
        attempt, origin = writer_of(self.id)

        async def send(platform: Platform) -> TaskRecord:
            await _store_held(self.id)
            return await platform.tasks.update(self.id, changes, attempt=attempt, origin=origin)

        return send

    async def _stopping(self, platform: Platform) -> TaskRecord:
        return await platform.tasks.stop(self.id)

    async def _retrying(self, platform: Platform, *, resume: bool | None) -> TaskRecord:
        return await platform.tasks.retry(self.id, resume=resume)

    def _answering(self, request_id: str | None, said: Said) -> Verb[TaskRecord]:
        answers = named(answers_of(request_id, said), self.hitl_request)
        return lambda platform: platform.tasks.answer(self.id, answers)

    async def _reading(self, platform: Platform) -> "Attachments":
        return await reading.read(platform, self.input.files or [], TaskKeeper(platform, self.id))

    def _absorb(self, record: TaskRecord, before: Snapshot) -> Self:
        """Become what the platform answered; what was not sent, or was changed since it was, stays changed.

        Args:
            record: The answer.
            before: What the answer takes the place of, as it stood when it was sent.
        """
        pending = self._pending()
        kept = {name: vars(self)[name] for name in changed(pending, before)}
        kept |= {name: vars(self)[name] for name in TaskRecord.SECRET if getattr(record, name) is None}
        vars(self).update(effective(dict(vars(record))))
        self._saved = snapshot(self)
        vars(self).update(kept)
        return self

    def _event(self, event: TaskUpdateEvent) -> TaskUpdateEvent:
        return event.model_copy(update={"data": self._event_data(event)})

    def _event_data(self, event: TaskUpdateEvent) -> Any:
        if event.type not in WHOLE_TASK:
            return typed_data(event.type, event.data)
        if isinstance(event.data, TaskRecord):
            return Task.of(event.data, self._configuration)
        return event.data


def _seen(record: TaskRecord) -> TaskRecord:
    saw(record)
    return record


def writer_of(task_id: str) -> tuple[int | None, str | None]:
    """Attempt and origin that a save of a task carries: those of the run in hand, where it is of this task."""
    run = run_in_hand.get()
    return (run.attempt, run.origin) if run is not None and run.task_id == task_id else (None, None)


async def _store_held(task_id: str) -> None:
    """What the run in hand has yet to note comes before what it saves."""
    run = run_in_hand.get()
    if run is not None and run.task_id == task_id and run.journal is not None:
        await run.journal.deferred.store()


def _status_and(status: AgentExecutionStatus, result: Any) -> dict[str, Any]:
    return {"status": status} if result is None else {"status": status, "result": result}


def _get(task_id: str) -> Verb[TaskRecord]:
    return lambda platform: platform.tasks.get(task_id)
