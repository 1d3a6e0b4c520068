"""A task as user code holds it: read its fields, change them, save; follow its events; read its files."""

from collections.abc import AsyncGenerator, Generator
from functools import partial
from typing import Any, Self, Unpack

from pydantic import PrivateAttr

from worker.contracts import Platform
from worker.face import artifacts, bridge
from worker.face.answers import Said, answers_of, message_of, named
from worker.face.awaiting import following, saw
from worker.face.binding import bound
from worker.face.changes import snapshot
from worker.face.configuration import Configuration
from worker.face.reporting import Report, report
from worker.face.task_saving import SavedTask, Verb, loading
from worker.words.activity import AgentActivityThread
from worker.words.attempts import Attempt
from worker.words.events import TaskUpdateEvent, typed_data
from worker.words.statuses import WHOLE_TASK
from worker.words.tasks import TaskRecord, effective


class Task(SavedTask):
    """A task with its platform. Each method ``aX`` has a twin ``X`` that blocks, with or without a running loop.

    ``result`` may be set to text, or to a model, dictionary or list, which is saved as JSON text.
    """

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
        return cls.of(_seen(await bridge.across(loading(task_id), configuration)), configuration)

    @bound
    @classmethod
    def load(cls, task_id: str, configuration: Configuration | None = None) -> Self:
        """Load a task, as ``aload`` does."""
        return cls.of(_seen(bridge.block(loading(task_id), configuration)), configuration)

    async def areload(self) -> Self:
        """Become what the platform has now; what was changed and not saved is given up."""
        record = await bridge.across(loading(self.id), self._configuration)
        self._become(_seen(record), self._configuration)
        return self

    def reload(self) -> Self:
        """Become what the platform has now, as ``areload`` does."""
        self._become(_seen(bridge.block(loading(self.id), self._configuration)), self._configuration)
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

    async def _stopping(self, platform: Platform) -> TaskRecord:
        return await platform.tasks.stop(self.id)

    async def _retrying(self, platform: Platform, *, resume: bool | None) -> TaskRecord:
        return await platform.tasks.retry(self.id, resume=resume)

    def _answering(self, request_id: str | None, said: Said) -> Verb[TaskRecord]:
        answers = named(answers_of(request_id, said), self.hitl_request)
        return lambda platform: platform.tasks.answer(self.id, answers)

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
