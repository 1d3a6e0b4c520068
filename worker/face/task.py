"""A task as user code holds it: read, change and save its fields, follow its events, read its files."""

from collections.abc import AsyncGenerator, Generator
from typing import Any, Self, Unpack

from pydantic import PrivateAttr

from worker.face import artifacts, bridge
from worker.face.answers import Said, answers_of, message_of, named
from worker.face.awaiting import note_following, note_polled
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
    """A task bound to its platform. Each method ``aX`` has a sync counterpart ``X``, usable in a running loop, too.

    ``result`` may be set to text, or to a model, dictionary or list, which is saved as JSON text. Methods that call the
    platform raise ``ModuleException`` with the status code 404 if the task no longer exists.
    """

    _run_output: Any = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Remember the initial state, to detect changes later."""
        super().model_post_init(context)
        self._saved = snapshot(self)

    @classmethod
    def of(cls, record: TaskRecord, configuration: Configuration | None = None) -> Self:
        """Bind a record to its platform.

        Args:
            record: A task as returned by the platform.
            configuration: The platform; None means the default one.
        """
        task = cls.__new__(cls)
        task._become(record, configuration)  # noqa: SLF001 - its own class
        return task

    def _become(self, record: TaskRecord, configuration: Configuration | None) -> None:
        """Take over a record's fields without validating them again: they were validated when the record was made.

        These four attributes are the whole state of a pydantic model; ``BaseModel.__copy__`` sets them the same way.
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
            task_id: The task's id. Called on an instance without arguments, this loads that instance's task.
            configuration: The task's platform; None means the default one or, on an instance, the instance's own.

        Raises:
            ModuleException: 404 if there is no such task.
        """
        return cls.of(_seen(await bridge.across(loading(task_id), configuration)), configuration)

    @bound
    @classmethod
    def load(cls, task_id: str, configuration: Configuration | None = None) -> Self:
        """Sync version of ``aload``."""
        return bridge.blocking(cls.aload)(task_id, configuration)

    async def areload(self) -> Self:
        """Reload this task from the platform. Unsaved changes are discarded."""
        record = await bridge.across(loading(self.id), self._configuration)
        self._become(_seen(record), self._configuration)
        return self

    reload = bridge.blocking(areload)

    async def aread_artifact(self, name: str) -> bytes:
        """Read the content of one of the task's ``artifacts``.

        Args:
            name: The artifact's name.

        Raises:
            ModuleException: 404 if the task has no artifact of this name; 409 if the artifact is only a link to a URL.
        """
        artifact = artifacts.named(self.artifacts, name)
        return await bridge.across(lambda platform: artifacts.content_of(platform, artifact), self._configuration)

    read_artifact = bridge.blocking(aread_artifact)

    async def astop(self) -> Self:
        """Stop the task. Its run is ended, and nothing overwrites ``stopped``. A finished task is left unchanged.

        Returns:
            This task, updated from the platform.
        """
        return await self._updated(lambda platform: platform.tasks.stop(self.id), "status")

    stop = bridge.blocking(astop)

    async def aretry(self, *, resume: bool | None = None) -> Self:
        """Run a finished or paused task again.

        Args:
            resume: Whether to continue from the journal, which a completed task keeps for a day: completed model
                calls, tool calls and steps are not repeated. After an error of the task's own, the last model call and
                the tool calls that it led to are repeated. False restarts from the beginning. By default, a completed
                task restarts and any other resumes; a paused task always resumes.

        Returns:
            This task, pending.

        Raises:
            ModuleException: 409 if the task is neither finished nor paused.
        """
        return await self._updated(lambda platform: platform.tasks.retry(self.id, resume=resume), "status")

    retry = bridge.blocking(aretry)

    async def aanswer(self, request_id: str | None = None, /, **said: Unpack[Said]) -> Self:
        """Answer an open request of the paused task, one of ``hitl_request["requests"]``.

        The task continues once no request is open. The same answer again changes nothing.

        Args:
            request_id: The request's id; it may be omitted if there is only one request.
            said: ``approve=True`` or ``False``, or ``value=…``, optionally with ``note=`` (a message to the agent) or
                ``arguments=`` (replacing those of the tool call); or ``answers=[…]`` for several requests.

        Returns:
            This task: pending, or still paused if other requests are open.

        Raises:
            ModuleException: 404 if there is no such request; 409 if the task waits for nothing, or the request has a
                different answer; 422 if the answer does not fit the request.
        """
        answers = named(answers_of(request_id, said), self.hitl_request)
        return await self._updated(lambda platform: platform.tasks.answer(self.id, answers), "status", "hitl_request")

    answer = bridge.blocking(aanswer)

    async def asend(self, text: str) -> Self:
        """Send a message to the task's agent, which reads it before its next model call, as a message of the user.

        If the task is not running, its next attempt reads the message.

        Args:
            text: The message, such as ``"in French, please"``.

        Returns:
            This task.

        Raises:
            ModuleException: 409 if the task has ended; 422 if the text is empty or too long.
        """
        message = message_of(text)
        return await self._updated(lambda platform: platform.tasks.send(self.id, message), "status")

    send = bridge.blocking(asend)

    async def aevents(self, after: int = 0) -> AsyncGenerator[TaskUpdateEvent, None]:
        """Follow the task's events as they arrive, until the task has finished.

        Every task has events of its state and tools. ``chunk`` events, with text as it is written, need
        ``events_streaming=True`` at creation.

        Args:
            after: The number of the last event already seen; 0 starts with the first one.

        Yields:
            Events in order. ``data`` of ``task_created``, ``task_updated`` and ``task_finished`` is a ``Task``.
        """
        events = bridge.aiterate(lambda platform: platform.tasks.events(self.id, after=after), self._configuration)
        try:
            with note_following(self.id):
                async for event in events:
                    yield self._event(event)
        finally:
            await events.aclose()

    def events(self, after: int = 0) -> Generator[TaskUpdateEvent, None, None]:
        """Sync version of ``aevents``: each event is yielded as soon as it arrives."""
        with note_following(self.id):
            for event in bridge.iterate(
                lambda platform: platform.tasks.events(self.id, after=after), self._configuration
            ):
                yield self._event(event)

    @classmethod
    async def areport_external_task(
        cls, configuration: Configuration | None = None, agent_id: str | None = None, **details: Unpack[Report]
    ) -> Self:
        """Record a task that ran elsewhere.

        Args:
            configuration: The platform to record it on; None means the default one.
            agent_id: The agent that ran it; None means the current run's agent, else ``XPANDER_AGENT_ID``.
            details: See ``Report``.

        Raises:
            ModuleException: 400 if no agent is named; 422 if a value is invalid.
        """
        from worker.face.agent import resolve_agent_id

        named = resolve_agent_id(agent_id, configuration)
        return cls.of(
            await bridge.across(lambda platform: report(platform, named, details), configuration), configuration
        )

    @classmethod
    def report_external_task(
        cls, configuration: Configuration | None = None, agent_id: str | None = None, **details: Unpack[Report]
    ) -> Self:
        """Sync version of ``areport_external_task``."""
        return bridge.blocking(cls.areport_external_task)(configuration, agent_id, **details)

    async def areport_metrics(self, configuration: Configuration | None = None) -> None:
        """Save the task, with its tokens, tools and duration. The end of a run saves them in any case.

        Args:
            configuration: Ignored; accepted for xpander-sdk.
        """
        del configuration
        await self.asave()

    report_metrics = bridge.blocking(areport_metrics)

    async def aget_activity_log(self) -> AgentActivityThread:
        """Return the activity log: the messages, tool calls and reasoning of the task's agent, in order."""
        return await bridge.across(lambda platform: platform.tasks.activity(self.id), self._configuration)

    get_activity_log = bridge.blocking(aget_activity_log)

    async def aattempts(self) -> list[Attempt]:
        """Return the task's attempts, the first one first: which worker ran each, when, and the outcome.

        Attempts before a manual retry are included.

        Raises:
            ModuleException: 501 if the platform does not record attempts.
        """
        return await bridge.across(lambda platform: platform.tasks.attempts(self.id), self._configuration)

    attempts = bridge.blocking(aattempts)

    @property
    def run_output(self) -> Any:
        """Agno's own output of the last ``run_agent`` in this attempt: state, metrics, messages.

        None before the first run, and if that run was completed by an earlier attempt.
        """
        return self._run_output

    def take_output(self, output: Any) -> None:
        """Store Agno's output of a run, for ``run_output``."""
        self._run_output = output

    def count_agent_run(self) -> int:
        """Count a run of an agent outside any attempt, and return the number of earlier ones."""
        self._agent_runs += 1
        return self._agent_runs - 1

    async def _updated(self, verb: Verb[TaskRecord], *names: str) -> Self:
        """Call a verb, and update this task from its answer, which replaces the present values of the named fields."""
        before = self._now(*names)
        return self._absorb(await bridge.across(verb, self._configuration), before)

    def _event(self, event: TaskUpdateEvent) -> TaskUpdateEvent:
        return event.model_copy(update={"data": self._event_data(event)})

    def _event_data(self, event: TaskUpdateEvent) -> Any:
        if event.type not in WHOLE_TASK:
            return typed_data(event.type, event.data)
        if isinstance(event.data, TaskRecord):
            return Task.of(event.data, self._configuration)
        return event.data


def _seen(record: TaskRecord) -> TaskRecord:
    note_polled(record)
    return record
