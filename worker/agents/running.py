"""Running an Agno Agent, Team or Workflow for a task: on a copy, with its events emitted and its result checked."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Self

from worker.agents import logs
from worker.agents.answers.results import UnfitResult, Wanted, as_text, wanted
from worker.agents.errors import AgentFailed, ResultInvalid
from worker.agents.event_buffer import Emit, EventBuffer, Written, plain
from worker.agents.history import with_history
from worker.agents.instrumentation import Frame, installed, within
from worker.agents.instrumentation.identities import config_of, input_of, model_of, name_of
from worker.agents.instrumentation.runs.nested_runs import name_members
from worker.agents.instrumentation.runs.run_outcomes import begin, end
from worker.agents.instrumentation.steps.failed_steps import failures_raised
from worker.agents.instrumentation.steps.step_pauses import continued
from worker.agents.instrumentation.sync_code import has_plain_database
from worker.agents.instrumentation.tool_calls.connections import close_servers
from worker.agents.journal import CallSite, Entry, Identity, Journal, not_reused
from worker.agents.journal.call_sites import CodePlace, call_site
from worker.agents.models.clients import close_clients
from worker.agents.overrides import Overrides, kind_of, without_users
from worker.agents.requests import repair_of, request_of
from worker.agents.runs.agent_run import AgentRun
from worker.agents.runs.endings import UNSUPPORTED_PAUSE, Ending, ending_of, is_ending
from worker.agents.runs.material import Material, Produce, RunResult
from worker.agents.runs.produced_media import produced
from worker.agents.translation.translation import Translation
from worker.agents.translation.workflow_steps import HeldText, Said
from worker.current import Run, run_in_hand
from worker.threads import in_thread
from worker.words.classification import message_of
from worker.words.digests import digest
from worker.words.errors import ModuleException
from worker.words.events import note_event
from worker.words.finish import FinishReason
from worker.words.tasks import TaskRecord
from worker.words.usage import Usage


async def run(
    agent: Any,
    record: TaskRecord,
    material: Material,
    emit: Emit,
    *,
    place: Callable[[], CodePlace] | None = None,
    saved: Mapping[str, Any] | None = None,
    usage: Usage | None = None,
    holding: bool = False,
    produce: Produce | None = None,
) -> RunResult:
    """Run an agent for a task.

    Args:
        agent: An Agno Agent, Team or Workflow; it is not changed, and may serve many runs concurrently.
        record: The task, whose settings for result, model and instructions are applied.
        material: The task's input, converted.
        emit: Appends events to the task's log. Called once at a time, in order, and only with something to emit.
        place: Returns the place in the user's code where the run is made.
        saved: The state that the handler has saved on the task so far, such as its ``internal_status``.
        usage: Collects usage, so that the caller knows it even if the run fails.
        holding: Whether to leave the row of a final answer to ``journal.deferred``, which the code that writes the
            attempt's final outcome settles. The caller must then do nothing else before the loop turns.
        produce: Stores media that the run made besides its text; called before the run counts as finished.

    Returns:
        The run's result.

    Raises:
        AgentFailed: The run ended in an error; it carries the provider's own message, with its exception as the cause.
        ResultInvalid: The result does not have the form that the task wants, even after one repair.
        ValidationError: ``output_schema`` is not a JSON Schema, or takes too long to be checked or applied.
        ConfigurationError: The object is not an agent, its model cannot be created, or Agno's version is not supported.
        LeaseLost: From ``emit``: the attempt no longer owns the task.
        asyncio.CancelledError: The run was cancelled, or its attempt should end.
    """
    await installed()
    kind, want = kind_of(agent), wanted(agent, record, material.options.get("output_schema"))
    logs.take_over()  # Agno is imported at this point, so its loggers exist
    attempt = run_in_hand.get()
    journal = await _journal(record, attempt)
    site = partial(_site, place or call_site(None), dict(saved or {}))
    scope = journal.open(journal.root, _identity(agent, kind, material, site), name_of(agent) or kind)
    overrides = Overrides(record, want, material.file_tools)
    buffer = EventBuffer(emit) if attempt is None else EventBuffer(emit, attempt.store_within)
    made = AgentRun(
        record, attempt, journal, buffer, scope, overrides, usage or Usage(), file_tools=material.file_tools
    )
    finished = journal.take(scope, "run", "")
    if finished is not None:
        return await _answered(made, finished)
    return await _ActiveRun(made, overrides, material, want).complete(agent, kind, holding=holding, produce=produce)


async def _answered(run: AgentRun, entry: Entry) -> RunResult:
    """Answer a run that an earlier attempt finished as a whole, without calling Agno."""
    await run.turn(run.scope, entry)
    run.pass_over(run.scope)
    run.journal.end(run.scope, failed=False)
    said = entry.value
    run.usage.take(said["usage"], said["used_tools"])
    run.usage.finish = FinishReason(said["finish"]) if said.get("finish") else None
    return RunResult(
        said["content"], run.usage.tokens(), said["used_tools"], run_id=said["run_id"], duration=said["duration"]
    )


async def _journal(record: TaskRecord, attempt: Run | None) -> Journal:
    """Load the current attempt's journal; without an attempt, or for another task, return one that is not stored."""
    if attempt is None or attempt.journal is None or attempt.task_id != record.id:
        return Journal(record.id, 1, is_kept=False)
    journal = attempt.journal
    await journal.load(attempt.work)
    await journal.deferred.store()  # rows that an earlier run deferred
    return journal


def _identity(agent: Any, kind: str, material: Material, site: Callable[[], CallSite]) -> Identity:
    given = input_of(material.input, {**material.options, **material.media}, {})
    return Identity(kind, name_of(agent), config_of(agent), given, model_of(agent), site=site)


def _site(place: Callable[[], CodePlace], saved: dict[str, Any]) -> CallSite:
    return CallSite(*place(), digest(plain(saved)))


async def close_shared() -> None:
    """Close the resources that runs share on this event loop, before it ends: model clients and tool connections."""
    await close_servers()
    await close_clients()


class _ActiveRun:
    """A run in progress."""

    def __init__(self, run: AgentRun, overrides: Overrides, material: Material, want: Wanted) -> None:
        self._run = run
        self._overrides = overrides
        self._material = material
        self._want = want
        self._run_id = run.id_of(run.scope)
        self._is_workflow = False
        self._defers = False
        self._is_here = True
        self._forget: Callable[[], None] = _nothing

    async def complete(self, agent: Any, kind: str, *, holding: bool, produce: Produce | None) -> RunResult:
        """Run the agent until it ends."""
        self._is_workflow = kind == "workflow"
        started = time.perf_counter()
        request = request_of(agent, kind, self._run.record, self._material, self._want)
        applied = self._overrides.applied(agent, kind)
        with_history(applied, self._material.history)
        own = without_users(applied, request["user_id"])
        frame = Frame(self._run, own, lambda: self._run.scope, run_id=self._run_id, given=self._material.input)
        async with self:
            self._run.discard_unfinished_text()
            self._note_what_is_ignored()
            self._note_foreign_rows()
            if own is not applied:
                self._run.note_memories_disabled(name_of(own))
            await self._want.check()
            ending = await self._follow(own, request, frame)
            paused = self._run.hitl_request(ending.paused)
            content = None if paused else await self._checked(ending.content or self._run.stop_message, frame)
            if paused is None:
                self._run.settle_failures(self._run.scope)
                if self._run.journal.is_retry:
                    self._run.count_unneeded()
                if produce is not None and (made := produced(ending.made)):
                    await produce(made)
            seconds, usage = time.perf_counter() - started, self._run.usage
            result = RunResult(content, usage.tokens(), list(usage.tools), paused, self._run_id, seconds, ending.output)
            if paused is None:  # a paused run has not finished
                self._defers = holding
                self._run.buffer.hold(partial(self._whole, result))
        return result

    async def __aenter__(self) -> Self:
        """Arrange for the run to be cancelled when its attempt should end, whichever thread detects that."""
        self._run.begin()
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        if self._run.attempt is not None and task is not None:

            def cancel() -> None:
                if self._is_here:  # the run may already have ended; code after it must not be cancelled
                    task.cancel()

            self._forget = self._run.attempt.stopping.call(lambda: _call_soon(loop, cancel))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Store all events, even if the run failed; discard unstored ones if it was cancelled."""
        self._is_here = False
        self._forget()
        self._forget = _nothing
        self._run.journal.end(self._run.scope, failed=error is not None)
        self._run.leave()
        buffer = self._run.buffer
        if isinstance(error, AgentFailed | ResultInvalid):
            self._run.note_last_text(error)
        if error is None or isinstance(error, Exception):
            deferring = error is None and self._defers
            if error is None:
                self._run.drop_replaced(self._run.scope)
            if await buffer.settle(holding=deferring):
                self._run.journal.deferred.keep(buffer)
            return
        cause = buffer.failure()
        await buffer.abandon()
        if cause is not None:
            raise cause from None

    def _note_what_is_ignored(self) -> None:
        """Report a task's option that the model does not support."""
        if self._overrides.ignored:
            model = self._overrides.last.model.id
            text = f"{self._overrides.ignored} is ignored: the model {model} does not support it."
            self._run.emit([note_event(text, "model")])

    def _note_foreign_rows(self) -> None:
        """Report that calls journaled by an earlier version of the worker are made again."""
        journal = self._run.journal
        if journal.has_old_format_rows:
            journal.has_old_format_rows = False
            self._run.emit([not_reused()])

    async def _follow(self, own: Any, request: dict[str, Any], frame: Frame) -> Ending:
        """Run a copy until it ends, and emit its events.

        Raises:
            AgentFailed: The run ended in an error.
        """
        name_members(own)
        try:
            with within(frame), failures_raised():
                last, output = await self._listen(own, {**request, "run_id": frame.run_id}, frame)
        except ModuleException:
            raise
        except Exception as error:
            if self._run.asked and UNSUPPORTED_PAUSE in str(error):
                return Ending()
            raise AgentFailed(message_of(error), error) from error
        return ending_of(last, output, self._run)

    async def _listen(self, own: Any, request: dict[str, Any], frame: Frame) -> tuple[Any, Any]:
        """Consume a run's events as they arrive; return its last event and Agno's output of the run."""
        last, output, run_id = None, None, frame.run_id
        wanted = self._run.record.events_streaming and self._material.streams
        self._run.shows_text = wanted and run_id == self._run_id  # a repair's text is not streamed
        translation = Translation(streams=self._run.shows_text, is_in_log=self._run.is_in_log)
        begin(run_id)
        try:
            start = partial(own.arun, stream=True, stream_events=True, **request)  # reads a sync database immediately
            begun = await in_thread(start) if has_plain_database(own) else start()
            source = continued(own, frame, begun) if self._is_workflow else begun
            async with contextlib.aclosing(source) as items:
                async for item in items:
                    self._run.check()
                    name = getattr(item, "event", None)
                    if name is None:
                        output = item
                        continue
                    if is_ending(name) and item.run_id == run_id:
                        last = item
                    await self._pass_on(translation.translate(item), item.run_id)
            await self._pass_on(translation.rest(), run_id)
            self._run.check()
        except asyncio.CancelledError:
            await self._run.end()
            raise
        finally:
            end(run_id)
            self._run.journal.run_ids.add(run_id)
        return last, output

    async def _pass_on(self, said: Iterable[Said], run_id: str) -> None:
        for each in said:
            if isinstance(each, str):
                runs = each.runs if isinstance(each, HeldText) else (run_id,)
                await self._run.buffer.put_text(each, [row for one in runs for row in self._run.shows(one)])
            else:
                self._run.emit([each])
                await self._run.buffer.pause()

    async def _checked(self, content: Any, frame: Frame) -> str:
        """Return the result as text, after one repair if it does not have the wanted form.

        Raises:
            ResultInvalid: The repaired result does not have the form either.
        """
        try:
            return await self._want.text_of(content)
        except UnfitResult as unfit:
            problem = str(unfit)
        repairer = self._overrides.repairer()
        if repairer is None:
            raise ResultInvalid(problem, as_text(content))
        said = repair_of(as_text(self._material.input), as_text(content), problem)
        request = {"input": said, "yield_run_output": True}
        repair_scope = self._frame_of(repairer, frame)
        self._run.journal.repair_scope = repair_scope.scope
        repaired = (await self._follow(repairer, request, repair_scope)).content
        try:
            text = await self._want.text_of(repaired)
        except UnfitResult as unfit:
            raise ResultInvalid(str(unfit), as_text(repaired)) from unfit
        self._run.journal.repair_scope = None
        return text

    def _whole(self, result: RunResult) -> Written:
        """Create the row with which a later attempt answers the whole run."""
        run = self._run
        value = {
            "content": result.content,
            "usage": run.usage.counted(),
            "used_tools": result.used_tools,
            "finish": run.usage.finish,
            "run_id": result.run_id,
            "duration": round(result.duration, 6),
        }
        told = run.scope.all_told()
        if told:
            value["told"] = told
        return run.written(run.scope, "run", "", value, match="", what="The result of the run")

    def _frame_of(self, repairer: Any, frame: Frame) -> Frame:
        run = self._run
        scope = run.journal.open(run.scope, Identity("agent", "repair", str, str, is_pinned=True), "repair")
        return Frame(run, repairer, lambda: scope, frame, run_id=run.id_of(scope))


def _nothing() -> None:
    """Do nothing, in place of a callback's removal."""


def _call_soon(loop: asyncio.AbstractEventLoop, cancel: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, so the run has ended
        loop.call_soon_threadsafe(cancel)
