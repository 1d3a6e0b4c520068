"""The pipeline of one attempt: inputs → handler → verdict → fenced write."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from worker import redaction
from worker.agents.journal import Journal, not_reused
from worker.agents.outputs import failed_run, watch_bare_runs
from worker.bounded import on_behalf_of
from worker.contracts import Platform
from worker.contracts.waiting import Backoff, until_answered
from worker.current import REASON_RETRY, Inbox, Run, run_in_hand
from worker.face.changes import checked
from worker.face.task import Task
from worker.registry import Handler
from worker.supervisor import verdict
from worker.supervisor.calls import Caller
from worker.supervisor.verdict import REASON_LOST, Taken, Verdict
from worker.words.error_codes import ErrorCode
from worker.words.errors import CutOff, Escaped, LeaseLost, ModuleException, NotFound
from worker.words.notices import (
    Notice,
    ResultDiscarded,
    RunSuperseded,
    TaskEnded,
    TaskHandedBack,
    TaskRetried,
    TaskStarted,
    announce,
)
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import AgentExecutionStatus
from worker.words.watching import AttemptMade, watched
from worker.words.work import Assignment

if TYPE_CHECKING:
    from worker.inputs import Attachments

FAILED = (AgentExecutionStatus.Error, AgentExecutionStatus.Failed)
SETTLE_AGAIN = Backoff(1.0, 60.0)  # before another try to save the end of a run


@dataclass(slots=True, eq=False)
class Execution:
    """A running attempt of a task."""

    task: Task
    attempt: int
    handler: Handler
    run: Run
    started: float = field(default_factory=time.monotonic)
    worker: asyncio.Task[None] | None = None
    writing: bool = False  # whether the handler has ended and only the outcome remains to be written
    is_isolated: bool = False  # whether it runs in a child process, which is notified instead of cancelled
    is_settled: bool = False  # whether the outcome was written, or the attempt no longer owns the task

    def cancel(self, reason: str) -> None:
        """End the run. A handler on the loop is cancelled; one in a thread or a child process is asked to stop."""
        self.run.stopping.set(reason)
        if self.worker is not None and not self.writing and not self.is_isolated:
            self.worker.cancel()


class Executor:
    """Runs assignments to their end.

    Args:
        platform: The source of the assignments and destination of the results.
        caller: Calls handlers.
        draining: Returns whether the worker is draining.
        handled: Called when a handler has ended, which frees its place while the outcome is still being written.
    """

    def __init__(
        self, platform: Platform, caller: Caller, draining: Callable[[], bool], handled: Callable[[Handler], None]
    ) -> None:
        self._platform = platform
        self._caller = caller
        self._draining = draining
        self._handled = handled

    def prepare(self, assignment: Assignment, handler: Handler) -> Execution:
        """Create everything that the run of an assignment needs."""
        task = Task.of(assignment.task)
        resumes = self._platform.capabilities.resume  # over HTTP this is known only after registration
        journal = Journal(task.id, assignment.attempt) if resumes else None
        run = Run(
            task_id=task.id,
            agent_id=task.agent_id,
            work=self._platform.work,
            attempt=assignment.attempt,
            journal=journal,
            leaving=self._draining,
            handler=handler.name,
            has_tries=task.errors + 1 < handler.retries.attempts,
            incomplete=handler.incomplete,
            required=handler.required,
            silence=handler.model_silence,
            answer_within=handler.answer_within,
            unanswered=handler.unanswered,
            claimed=task.updated_at,
            inbox=Inbox(waits=task.messages_sent > 0),
        )
        return Execution(task=task, attempt=assignment.attempt, handler=handler, run=run)

    async def execute(self, execution: Execution) -> None:
        """Carry out one attempt: read the inputs, call the handler, classify the result, write the outcome."""
        task = execution.task
        waited = _waited(task) if execution.attempt == 1 else None
        announce(TaskStarted(task.id, task.agent_id, execution.attempt, execution.handler.name, waited))
        made = AttemptMade(
            task_id=task.id,
            agent_id=task.agent_id,
            attempt=execution.attempt,
            handler=execution.handler.name,
            traceparent=task.traceparent,
        )
        with redaction.holding([task.user_tokens, task.user_oidc_token]):
            try:
                await self._watched(execution, made)
            finally:
                if execution.run.journal is not None:
                    execution.run.journal.close()

    async def _watched(self, execution: Execution, made: AttemptMade) -> None:
        try:
            with watched(made):
                await self._carry_out(execution, made)
        except (Exception, asyncio.CancelledError) as defect:  # noqa: BLE001 - every attempt must get an outcome
            await self.settle(execution, defect)

    async def _carry_out(self, execution: Execution, made: AttemptMade) -> None:
        task = execution.task
        error: BaseException | None = None
        try:
            decision: Verdict = await self._decide(execution)
            if verdict.is_late_result(decision, task):
                announce(ResultDiscarded(task.id, task.agent_id, execution.attempt))
        except GeneratorExit:
            raise  # the loop has ended, and this coroutine is being closed
        except BaseException as raised:  # noqa: BLE001 - all exceptions of a handler and its values are classified
            known = raised if isinstance(raised, Exception | asyncio.CancelledError) else Escaped(raised)
            error = _ended_by(known, execution.run)
            decision = verdict.of_error(error, execution.run, task, execution.handler, draining=self._draining())
        finally:
            execution.writing = True
            self._handled(execution.handler)
        made.error, made.outcome = error, verdict.name_of(decision)
        await self._write(execution, decision, error)

    async def settle(self, execution: Execution, cause: BaseException | None) -> None:
        """Write an outcome for a run whose own outcome could not be written, so that no task stays ``executing``.

        The write is repeated until it is answered; the lease is kept in the meantime.

        Args:
            execution: The run.
            cause: The reason why its own outcome was not written.
        """
        pauses = SETTLE_AGAIN.pauses()
        code = ErrorCode.ResultInvalid if isinstance(cause, ModuleException) else ErrorCode.Handler
        while not execution.is_settled:
            try:
                reason = "the run ended without a result" if cause is None else verdict.message(cause)
                outcome = Outcome(AgentExecutionStatus.Error, {"result": reason, "error_code": code})
                await until_answered(
                    partial(self._write_once, execution, outcome, cause), "saving the outcome of a run"
                )
            except (LeaseLost, NotFound):
                self._announce_lost(execution)
            except Exception as error:  # noqa: BLE001 - the next try may succeed
                await asyncio.sleep(pauses.after("saving the outcome of a run", error))

    async def _decide(self, execution: Execution) -> Verdict:
        task = execution.task
        if not task.input.files or task.disable_attachment_injection:
            return await self._caller.verdict(await self._call(execution), task, execution.run)
        attachments = await self._read(execution)
        try:
            return await self._caller.verdict(await self._call(execution), task, execution.run)
        finally:
            attachments.release()

    async def _read(self, execution: Execution) -> "Attachments":
        """Read the task's files on behalf of the attempt, which may store copies of them."""
        token = run_in_hand.set(execution.run)
        on_behalf_of.set(execution.task.agent_id)
        try:
            return await execution.task.aread_attachments()
        finally:
            run_in_hand.reset(token)

    async def _call(self, execution: Execution) -> object:
        await watch_bare_runs()
        try:
            return await self._caller.call(execution.handler, execution.run, execution.task, None)
        finally:
            await self._read_spent(execution.run)

    async def _read_spent(self, run: Run) -> None:
        """Load the journal, which contains the usage of earlier attempts, unless it was loaded during the run."""
        if run.journal is not None:
            with suppress(ModuleException):  # without the journal, the task's usage is incomplete
                await run.journal.load(self._platform.work)

    async def _write(self, execution: Execution, decision: Verdict, error: BaseException | None) -> None:
        """Write the outcome, waiting for the platform as long as necessary, so that no result is lost."""
        try:
            await until_answered(partial(self._write_once, execution, decision, error), "saving a result")
        except LeaseLost:
            self._announce_lost(execution)
        except ModuleException as refused:
            await self.settle(execution, refused)

    async def _write_once(self, execution: Execution, decision: Verdict, error: BaseException | None) -> None:
        task, attempt = execution.task, execution.attempt
        match decision:
            case Taken():
                self._announce_lost(execution)
                await self._account(execution)
            case HandBack():
                with suppress(CutOff):  # the rows were written, but the lease has expired in the meantime
                    await self._note_bare_runs(execution)
                with suppress(CutOff):
                    await self._note_for_the_next(execution, error)
                await self._platform.work.hand_back(task.id, attempt, decision)
                execution.is_settled = True
                announce(_handed_back(execution, decision, error))
            case Outcome():
                with suppress(CutOff):
                    await self._note_bare_runs(execution)
                with suppress(CutOff):
                    await self._note_the_end(execution, decision, error)
                decision.changes.setdefault("duration", round(max(0.0, time.monotonic() - execution.started), 6))
                await self._platform.work.finish(task.id, attempt, replace(decision, taken=_taken(execution)))
                execution.is_settled = True
                announce(self._ended(execution, decision, error))

    async def _account(self, execution: Execution) -> None:
        """Store the usage of a task that was stopped; refused if another attempt owns the task."""
        used = checked(execution.run.account())
        if used and self._platform.capabilities.fencing:
            with suppress(ModuleException):
                await self._platform.tasks.update(execution.task.id, used, attempt=execution.attempt)

    async def _note_bare_runs(self, execution: Execution) -> None:
        """Log the outcome of agent runs that the handler made without ``run_agent``.

        Another attempt, also of a manual retry, repeats these runs, so their usage is recorded as spent.
        """
        bare, journal = execution.run.bare, execution.run.journal
        notes = [*bare.notes, *(failed_run(each.name, each.text) for each in bare.ended if each.output is None)]
        used = [] if bare.usage is None else bare.usage.counted()
        row = journal.row(journal.root, "spent", "", used) if journal is not None and any(used) else None
        bare.ended.clear()
        bare.notes.clear()
        bare.usage = None
        if notes or row is not None:
            await self._platform.work.emit(execution.task.id, execution.attempt, notes, [] if row is None else [row])

    async def _note_the_end(self, execution: Execution, outcome: Outcome, error: BaseException | None) -> None:
        """Update the journal at the end of a task: the last answer needs no row unless another attempt may follow."""
        journal = execution.run.journal
        if journal is None:
            return
        if error is None and outcome.status.is_terminal and journal.has_unclaimed_answers():
            await self._platform.work.emit(execution.task.id, execution.attempt, [not_reused()])
        if error is not None:
            await self._note_for_the_next(execution, error)
        elif outcome.status in FAILED:
            await self._forget_last_answer(execution, journal)
        elif outcome.status.is_terminal:
            journal.deferred.drop()
        else:
            await journal.deferred.store()

    async def _note_for_the_next(self, execution: Execution, error: BaseException | None) -> None:
        """Store the journal rows from which the next attempt resumes.

        An error that the run would only repeat results from the model's last answer, so that answer is dropped.
        """
        journal = execution.run.journal
        if journal is None:
            return
        if verdict.repeats(error):
            await self._forget_last_answer(execution, journal)
        else:
            await journal.deferred.store()

    async def _forget_last_answer(self, execution: Execution, journal: Journal) -> None:
        is_forgotten = journal.deferred.drop()
        await journal.deferred.store()
        row = journal.without_last_answer(is_forgotten=is_forgotten)
        if row is not None:
            await self._platform.work.emit(execution.task.id, execution.attempt, (), [row])

    def _ended(self, execution: Execution, outcome: Outcome, error: BaseException | None) -> Notice:
        seconds = time.monotonic() - execution.started
        task = execution.task
        return TaskEnded(task.id, task.agent_id, execution.attempt, str(outcome.status), seconds, error)

    @staticmethod
    def _announce_lost(execution: Execution) -> None:
        """Announce that the attempt no longer owns its task, unless that was announced when the run was ended."""
        execution.is_settled = True
        if execution.run.stopping.reason != REASON_LOST:
            announce(RunSuperseded(execution.task.id, execution.task.agent_id, execution.attempt, REASON_LOST))


def _ended_by(raised: BaseException, run: Run) -> BaseException:
    """Return the error that ended a run: the cause of a retry that the run requested, or else the exception raised."""
    return run.stopping.cause if run.stopping.reason == REASON_RETRY else raised


def _waited(task: Task) -> float | None:
    """Return the seconds from a task's creation to its claim, both by the platform's clock."""
    claimed = task.updated_at
    return None if claimed is None else max(0.0, (claimed - task.created_at).total_seconds())


def _handed_back(execution: Execution, back: HandBack, error: BaseException | None) -> Notice:
    task = execution.task
    if back.error is None:
        return TaskHandedBack(task.id, task.agent_id, execution.attempt)
    return TaskRetried(task.id, task.agent_id, execution.attempt, back.delay, error)


def _taken(execution: Execution) -> int:
    """Return how many of the task's messages its agents have read, in this attempt or an earlier one."""
    journal, run = execution.run.journal, execution.run
    was_sent = run.inbox.messages or execution.task.messages_sent
    return len(journal.read_messages()) if journal is not None and was_sent else 0
