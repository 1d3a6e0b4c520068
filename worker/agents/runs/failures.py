"""Failures in a run: model calls without an answer, unavailable providers, and parts that the run continues without."""

import asyncio
from dataclasses import dataclass
from typing import Any

from worker.agents.errors import AgentFailed, FailedStep, ResultInvalid, is_prevented_call, provider_is_away
from worker.agents.journal import Scope
from worker.agents.models import providers
from worker.agents.runs.events import RunEvents
from worker.agents.runs.state import FailedCall
from worker.current import REASON_RETRY
from worker.redaction import message_to_show
from worker.words.classification import classify, message_of
from worker.words.events import NewEvent, note_event
from worker.words.work import JournalEntry

SAID_CHARACTERS = 20_000  # of a failed run's text in a note: its end


@dataclass(slots=True, eq=False)
class RunFailures(RunEvents):
    """A run that tracks its failures."""

    async def check_provider(self, provider_id: str, *, has_configured_recovery: bool) -> None:
        """Prevent a call to an unavailable provider: wait for the provider, or let Agno use another model.

        Raises:
            CancelledError: The task waits for the provider.
            ModelProviderError: Agno has another model or its own error handling.
        """
        if self.attempt is None or self.attempt.attempt is None or self.blocks_the_loop:
            return
        state = await providers.away(self.attempt, provider_id)
        if state is None:
            return
        if has_configured_recovery:
            raise provider_is_away(state)
        raise providers.wait_for(self.attempt, state)

    async def provider_failed(self, provider_id: str, error: BaseException, *, has_configured_recovery: bool) -> None:
        """Report a failed call to the provider's state.

        Raises:
            CancelledError: The task waits for the provider.
        """
        if self.attempt is None or self.attempt.attempt is None or self.blocks_the_loop or is_prevented_call(error):
            return
        state = await providers.failed(self.attempt, provider_id, error)
        if state is not None and not has_configured_recovery:
            raise providers.wait_for(self.attempt, state) from error

    async def provider_answered(self, provider_id: str) -> None:
        """Report a successful call to the provider's state."""
        if self.attempt is not None and self.attempt.attempt is not None and not self.blocks_the_loop:
            await providers.answered(self.attempt, provider_id)

    def may_continue_without(self, error: BaseException) -> bool:
        """Return whether Agno may continue without the failed part: it is not required, and no retry would help."""
        if self.attempt is None:
            return True
        return not self.attempt.required and not (self.attempt.has_tries and classify(error).is_retryable)

    def give_up(self, who: str, error: BaseException) -> asyncio.CancelledError:
        """End the attempt because of an error that Agno would continue after, and return the exception to raise.

        Args:
            who: The part that failed.
            error: The error.
        """
        if self.attempt is not None:
            is_final = self.attempt.required and not classify(error).is_retryable
            cause = (
                AgentFailed(f"{who} failed, but is required: {message_of(error)[:1000]}", error) if is_final else error
            )
            self.attempt.stopping.set(REASON_RETRY, cause)
        return asyncio.CancelledError(REASON_RETRY)

    def note_missing_or_stop(self, who: str, error: BaseException, *, has_configured_recovery: bool = False) -> None:
        """Emit a note that the run continues without a part that failed.

        Args:
            who: The part that failed.
            error: The error.
            has_configured_recovery: Whether the user has configured what follows: another model, or Agno's retries.

        Raises:
            CancelledError: The run does not continue: the attempt ends.
        """
        if not has_configured_recovery and not self.may_continue_without(error):
            raise self.give_up(who, error) from error
        self.call(self.emit, [missing(who, error)])

    def failure(self, text: str) -> BaseException | None:
        """Return the latest exception with a text that Agno reports; None if there is none."""
        for each in reversed(self.failures):
            if str(each) == text:
                return each
        return next((each for each in reversed(self.failures) if str(each) and str(each) in text), None)

    @property
    def has_failures(self) -> bool:
        """Whether any failed call is still unresolved."""
        return bool(self._failed)

    def failed(self, call: FailedCall) -> None:
        """Record that a model call gave no answer."""
        self.failures.append(call.error)
        self._failed.append(call)
        for each in call.scope.path():
            each.failed_in_model = True

    def settle_failures(self, scope: Scope, at: str = "", match: str = "") -> None:
        """Journal failed calls after which Agno continues, so that a later attempt continues after them too.

        Args:
            scope: The scope that continues; failed calls in it or below it are journaled.
            at: The place of the current call.
            match: Digest of the current call's request. A call that repeats a failed one replaces it.
        """
        settled = [each for each in self._failed if each.scope.is_within(scope)]
        if not settled:
            return
        self._failed = [each for each in self._failed if each not in settled]
        others = [each for each in settled if (each.scope, each.at, each.match) != (scope, at, match)]
        self.emit([missing(each.who, each.error) for each in others])
        rows = [row for each in others if (row := self._row_of_failure(each)) is not None]
        self.buffer.add((), rows)

    def _row_of_failure(self, call: FailedCall) -> JournalEntry | None:
        code = getattr(call.error, "status_code", None)
        is_provider = type(call.error).__module__.startswith("agno.")
        failure = {"text": str(call.error), "status_code": code, "provider": is_provider}
        return self.journal.row(call.scope, "model", call.at, {"failure": failure}, match=call.match)

    def unresolved(self, scope: Scope, text: str) -> BaseException | None:
        """Return the exception of a failed call within a scope that has this text and is still unresolved."""
        return next(
            (each.error for each in self._failed if each.scope.is_within(scope) and str(each.error) == text), None
        )

    def skip_step(self, step: Any, scope: Scope, failed: FailedStep) -> Any:
        """Return Agno's output of a failed step after which its workflow continues, and emit a note.

        Args:
            step: Agno's step.
            scope: The step's scope.
            failed: The failure.

        Raises:
            CancelledError: The workflow does not continue: the attempt ends.
        """
        from agno.workflow.types import StepOutput

        if any(each.scope.is_within(scope) for each in self._failed):
            self.settle_failures(scope)
        else:
            self.note_missing_or_stop(f"the step {step.name}", failed.__cause__ or failed)
        name = step.name
        text = f"Step {name} failed but skipped" if step.skip_on_failure else f"Step skipped due to error: {failed.why}"
        self.skipped_steps.add(text)
        return StepOutput(step_name=name, step_id=step.step_id, content=text, success=False, error=failed.why)

    def note_last_text(self, error: AgentFailed | ResultInvalid) -> None:
        """Emit a note with what the agent of a run that has failed said before, if the log does not have it yet."""
        if self.attempt is not None and self.attempt.has_tries and classify(error).is_retryable:
            return  # another attempt says it again
        said = "" if self.shows_text else "\n\n".join(self.said)
        said = error.content if isinstance(error, ResultInvalid) else said
        if said:
            text = f"Before it failed, the agent said: {said[-SAID_CHARACTERS:]}"
            self.emit([note_event(text, "said")])

    def note_memories_disabled(self, name: str | None) -> None:
        """Emit a note, once per run, that an agent continues without its memories of users.

        Args:
            name: The agent's name.
        """
        who = name or "the agent"
        self.emit_once(f"no users {who}", no_users(who))


def no_users(who: str) -> NewEvent:
    """Return the note that a run has no user and does not use what its agent remembers of users."""
    text = (
        f"The task has no user, so {who} neither reads nor stores memories of users, which all such tasks would share."
    )
    return note_event(text, "memory")


def missing(who: str, error: BaseException) -> NewEvent:
    """Return the note that a run continued without something that failed.

    Args:
        who: The part that failed.
        error: The error.
    """
    text = f"{who} failed, and the run continued without it: {message_to_show(error, 1000)}"
    return note_event(text, "missing")
