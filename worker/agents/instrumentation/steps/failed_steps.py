"""Failed steps of workflows: they end their workflow, unless the user has declared that it continues.

Agno's default is to continue: the next step then works on an error's text, and the result looks complete. A step
continues if it has ``skip_on_failure=True``, or an ``on_error`` that the user has written: ``"skip"`` (Agno's default
is ``OnError.skip``, so that the two differ) or ``"pause"``, with which a person decides.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import aclosing, contextmanager
from copy import copy
from functools import cache
from typing import Any

from worker.agents.errors import FailedStep
from worker.agents.instrumentation import bare_notes
from worker.agents.instrumentation.frames import Frame
from worker.agents.instrumentation.steps.reviews import asks_about_errors
from worker.words.classification import message_of


@cache
def escaping_error() -> type[RuntimeError]:
    """Return the class of the exception that no group of steps holds back; it carries the ``FailedStep``.

    Agno's groups and workflows turn other exceptions into outputs, and continue.
    """
    from agno.workflow.step import UnresolvableCallableError

    class Escaping(UnresolvableCallableError):  # noqa: N818 - it never leaves Agno
        def __init__(self, failed: FailedStep) -> None:
            super().__init__(failed.description)
            self.failed = failed

    return Escaping


def may_fail(step: Any) -> bool:
    """Return whether the workflow may continue if the step fails: its user, or a person, says so."""
    from agno.workflow.types import OnError

    on_error = step.human_review.on_error
    is_declared = step.skip_on_failure or (on_error == "skip" and not isinstance(on_error, OnError))
    return is_declared or asks_about_errors(step)


def without_skipping(step: Any) -> Any:
    """Return the step, or a copy that raises its error: Agno's own output for it has the error's text alone."""
    if not step.skip_on_failure:
        return step
    own = copy(step)
    own.skip_on_failure = False
    return own


def execute(step: Any, make: Callable[[], Any], frame: Frame | None, options: dict[str, Any]) -> Any:
    """Execute a step, and end its workflow if the step fails.

    Args:
        step: Agno's step.
        make: Executes it, and returns an output, an awaitable, or an iterator.
        frame: The step's frame; None in a run that a handler makes without ``run_agent``.
        options: The options with which Agno executes the step.
    """
    if frame is None and may_fail(step):
        return make()
    execution = _Execution(step, frame, options)
    try:
        result = make()
    except Exception as error:  # noqa: BLE001 - raised again unless the step may fail
        return execution.end_sync(execution.raised(error))
    if isinstance(result, AsyncIterator):
        return _each(execution, result)
    if isinstance(result, Iterator):
        return _each_sync(execution, result)
    if hasattr(result, "__await__"):
        return _awaited(execution, result)
    failure = execution.failure_of(result)
    return result if failure is None else execution.end_sync(failure)


class _Execution:
    """One execution of a step."""

    def __init__(self, step: Any, frame: Frame | None, options: dict[str, Any]) -> None:
        self._step = step
        self._frame = frame
        self._options = options

    def failure_of(self, item: Any) -> FailedStep | None:
        """Return the failure behind an item; None if there is none, or a function reports one that is its own."""
        if type(item).__name__ != "StepOutput" or getattr(item, "is_paused", False):
            return None
        if self._step.executor_type != "function":
            return None if item.success else self._failure(self._behind(item.error or item.content), item)
        cause = self._unresolved(item.content) or self._unresolved(item.error)
        return None if cause is None else self._failure(cause, item)

    def _failure(self, cause: BaseException | None, item: Any) -> FailedStep:
        return FailedStep(self._step.name, cause, str(item.error or item.content or "no reason given"))

    def _behind(self, text: Any) -> BaseException | None:
        run = None if self._frame is None else self._frame.run
        return self._unresolved(text) if run is None else run.call(run.failure, str(text))

    def _unresolved(self, text: Any) -> BaseException | None:
        """Return the exception of a nested run that a step's output repeats."""
        if not text or not isinstance(text, str):
            return None
        if self._frame is not None:
            return self._frame.run.call(self._frame.run.unresolved, self._frame.scope, text)
        attempt = bare_notes.current_attempt()
        return None if attempt is None else attempt.bare.behind(text)

    def raised(self, error: Exception) -> FailedStep:
        """Return the failure for an exception.

        Raises:
            Exception: The run was cancelled, or the failure of a step passes.
        """
        from agno.exceptions import RunCancelledException
        from agno.workflow.step import UnresolvableCallableError

        if isinstance(error, RunCancelledException | UnresolvableCallableError):
            raise error
        if isinstance(error, FailedStep):
            return error
        cause: BaseException = error
        if self._step.executor_type != "function":  # Agno's own exception has the text of an agent's error event
            head = f"Step '{self._step.name}' executor ({self._step.executor_type}) failed: "
            cause = self._behind(str(error).removeprefix(head)) or error
        return FailedStep(self._step.name, cause, message_of(cause))

    def events(self, failed: FailedStep) -> Iterator[Any]:
        """Yield Agno's event for the failure, if the run emits such events."""
        from agno.run.workflow import StepErrorEvent

        run = self._options.get("workflow_run_response")
        if run is None or not self._options.get("stream_events"):
            return
        yield StepErrorEvent(
            run_id=run.run_id or "",
            workflow_id=run.workflow_id,
            workflow_name=run.workflow_name,
            session_id=run.session_id,
            step_name=self._step.name,
            step_index=self._options.get("step_index"),
            step_id=self._step.step_id,
            error=failed.why,
        )

    async def end(self, failed: FailedStep) -> Any:
        """Return the output of a step that may fail; otherwise end the workflow.

        Steps that run alongside may end before, so that what they have paid for is in the journal.
        """
        if self._frame is not None and not may_fail(self._step):
            await self._frame.run.wait_for_concurrent_steps(self._frame)
        return self.end_sync(failed)

    def end_sync(self, failed: FailedStep) -> Any:
        """Sync version of ``end``; Agno waits for its threads by itself."""
        if asks_about_errors(self._step):
            raise failed.__cause__ or failed
        if self._frame is None or not may_fail(self._step):
            raise escaping_error()(failed) from failed
        run = self._frame.run
        return run.call(run.skip_step, self._step, self._frame.scope, failed)


async def _awaited(execution: _Execution, result: Awaitable[Any]) -> Any:
    try:
        output = await result
    except Exception as error:  # noqa: BLE001 - raised again unless the step may fail
        failed = execution.raised(error)
    else:
        failed = execution.failure_of(output)
        if failed is None:
            return output
    return await execution.end(failed)


async def _each(execution: _Execution, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
    failed = None
    try:
        async with aclosing(items) as source:  # pyright: ignore[reportArgumentType] - Agno's are generators
            async for item in source:
                failed = execution.failure_of(item)
                if failed is not None:
                    break
                yield item
    except Exception as error:  # noqa: BLE001 - raised again unless the step may fail
        failed = execution.raised(error)
    if failed is None:
        return
    for event in execution.events(failed):
        yield event
    yield await execution.end(failed)


def _each_sync(execution: _Execution, items: Iterator[Any]) -> Iterator[Any]:
    failed = None
    try:
        for item in items:
            failed = execution.failure_of(item)
            if failed is not None:
                break
            yield item
    except Exception as error:  # noqa: BLE001 - raised again unless the step may fail
        failed = execution.raised(error)
    if failed is None:
        return
    yield from execution.events(failed)
    yield execution.end_sync(failed)


@contextmanager
def failures_raised() -> Generator[None]:
    """Raise the failure of a step as an exception that the code around its workflow may handle."""
    try:
        yield
    except escaping_error() as error:
        failed: FailedStep = getattr(error, "failed")  # noqa: B009 - its class is made when Agno is loaded
        raise failed from failed.__cause__


def raising(result: Any) -> Any:
    """Apply ``failures_raised`` to the awaiting of a result, or to each item that it yields."""
    if isinstance(result, AsyncIterator):
        return _raising_each(result)
    if isinstance(result, Iterator):
        return _raising_each_sync(result)
    return _raising_awaited(result) if hasattr(result, "__await__") else result


async def _raising_awaited(result: Awaitable[Any]) -> Any:
    with failures_raised():
        return await result


async def _raising_each(items: AsyncIterator[Any]) -> AsyncIterator[Any]:
    with failures_raised():
        async with aclosing(items) as source:  # pyright: ignore[reportArgumentType] - Agno's are generators
            async for item in source:
                yield item


def _raising_each_sync(items: Iterator[Any]) -> Iterator[Any]:
    with failures_raised():
        yield from items
