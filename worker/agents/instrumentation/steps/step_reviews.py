"""Nested steps and groups of steps that wait for a person, about which Agno asks nobody.

The worker asks instead, as Agno does about a workflow's top-level steps: before such a step for a confirmation, an
input or a route, afterwards for a review of its output, and after a failure for what to do. Without an answer the
attempt ends there, and the next one returns to it.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from functools import partial, wraps
from typing import Any

from worker.agents.instrumentation.frames import Frame, current_frame
from worker.agents.instrumentation.steps import failed_steps
from worker.agents.instrumentation.steps.reviews import Review, asks_about_errors, review_of
from worker.agents.journal import Identity

Original = Callable[..., Any]

REVIEWS = ("requires_confirmation", "requires_user_input", "requires_output_review", "requires_iteration_review")
"""Settings of a ``HumanReview`` for which Agno pauses."""


def is_unasked(workflow: Any, step: Any) -> bool:
    """Return whether a step should wait for a person but Agno asks nobody: it only asks about top-level steps.

    Args:
        workflow: The enclosing workflow, as it is executed.
        step: Agno's step: a single one, or one with nested steps.
    """
    review, name = step.human_review, step.name or type(step).__name__
    if not (any(getattr(review, each) for each in REVIEWS) or asks_about_errors(step)):
        return False
    steps = getattr(workflow, "steps", None)
    own = steps if isinstance(steps, list) else getattr(steps, "steps", None)
    is_step = hasattr(step, "active_executor")  # single steps are copied, so they are compared by name
    return not any(each is step or (is_step and getattr(each, "name", None) == name) for each in own or ())


def _is_ours(workflow: Any, step: Any) -> bool:
    """Return whether the worker asks. Agno asks about a loop's iterations, but restarts the loop when streaming."""
    return step.human_review.requires_iteration_review or is_unasked(workflow, step)


def group(original: Original) -> Original:
    """Make the hook for executing a loop, a condition, a group of steps, a router, or parallel steps."""

    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        frame, execute = current_frame.get(), _shown(original) if asks_about_errors(self) else original
        if frame is None or not _is_ours(frame.owner, self):
            return execute(self, *arguments, **options)
        return carried_out(frame.run.call(_frame_of, frame, self), execute, self, arguments, options)

    return hook


def _shown(original: Original) -> Original:
    """Make the failure of a nested step visible to the code that asks a person about it."""

    @wraps(original)
    def execute(*arguments: Any, **options: Any) -> Any:
        with failed_steps.failures_raised():
            return failed_steps.raising(original(*arguments, **options))

    return execute


def _frame_of(around: Frame, owner: Any) -> Frame:
    """Make a frame for a group, which gives it a place in the journal. Its steps keep the workflow's frame."""
    journal, name = around.run.journal, owner.name or type(owner).__name__.lower()
    scope = journal.open(around.scope, Identity("step", name, str, str, is_pinned=True), name)
    journal.end(scope, failed=False)
    return Frame(around.run, owner, lambda: scope, around, given=around.given)


def carried_out(
    frame: Frame, original: Original, owner: Any, arguments: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """Execute a step or a group, with requests to a person if Agno would make none.

    Args:
        frame: The frame of the step or group.
        original: Agno's method: ``execute``, ``aexecute`` or the streaming variant of either.
        owner: Agno's step or group, as it is executed.
        arguments: The positional arguments; the first is the step's input.
        options: The keyword arguments.
    """
    around = frame.parent
    if around is None or not _is_ours(around.owner, frame.owner):
        return original(owner, *arguments, **options)
    given = arguments[0] if arguments else options["step_input"]
    rest = {name: each for name, each in options.items() if name != "step_input"}
    review = review_of(frame, owner, given, asks_before=is_unasked(around.owner, frame.owner))

    def make() -> Any:
        return original(review.owner, review.given, *arguments[1:], **{**rest, **review.options})

    return WAYS[original.__name__](review, make)


async def _streamed(review: Review, make: Callable[[], Any]) -> AsyncIterator[Any]:
    await review.settle(review.ask_before)
    while review.goes_on:
        output = None
        try:
            async with aclosing(make()) as items:
                async for item in items:
                    if type(item).__name__ == "StepOutput":
                        output = item
                    else:
                        yield item
        except Exception as error:  # noqa: BLE001 - raised again unless a person decides
            await review.settle(partial(review.look_at_error, error))
        else:
            await review.settle(partial(review.look_at, output))
    if review.output is not None:
        yield review.output


async def _whole(review: Review, make: Callable[[], Any]) -> Any:
    await review.settle(review.ask_before)
    while review.goes_on:
        try:
            output = await make()
        except Exception as error:  # noqa: BLE001 - raised again unless a person decides
            await review.settle(partial(review.look_at_error, error))
        else:
            await review.settle(partial(review.look_at, output))
    return review.output


def _streamed_sync(review: Review, make: Callable[[], Any]) -> Iterator[Any]:
    review.settle_sync(review.ask_before)
    while review.goes_on:
        output = None
        try:
            for item in make():
                if type(item).__name__ == "StepOutput":
                    output = item
                else:
                    yield item
        except Exception as error:  # noqa: BLE001 - raised again unless a person decides
            review.settle_sync(partial(review.look_at_error, error))
        else:
            review.settle_sync(partial(review.look_at, output))
    if review.output is not None:
        yield review.output


def _whole_sync(review: Review, make: Callable[[], Any]) -> Any:
    review.settle_sync(review.ask_before)
    while review.goes_on:
        try:
            output = make()
        except Exception as error:  # noqa: BLE001 - raised again unless a person decides
            review.settle_sync(partial(review.look_at_error, error))
        else:
            review.settle_sync(partial(review.look_at, output))
    return review.output


WAYS: dict[str, Callable[[Review, Callable[[], Any]], Any]] = {
    "aexecute_stream": _streamed,
    "aexecute": _whole,
    "execute_stream": _streamed_sync,
    "execute": _whole_sync,
}
"""The executions of a step by the name of Agno's method. In a stream, the last item is the step's output."""
