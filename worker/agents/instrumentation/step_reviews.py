"""Nested steps that wait for a person: within a loop, a condition, a group or parallel steps, Agno asks nobody.

The worker asks instead, as Agno does about a workflow's top-level steps: before a step for a confirmation or an input,
and afterwards for a review of its output. Without an answer the attempt ends there, and the next one returns to it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from copy import copy
from typing import Any

from worker.agents.errors import AgentFailed
from worker.agents.instrumentation.frames import Frame
from worker.agents.instrumentation.step_pauses import is_unasked, requests_of_step, tell_unasked

Make = Callable[[Any], Any]
"""Executes the step with an input."""


def carried_out(
    frame: Frame, original: Callable[..., Any], name: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """Execute a step, with requests to a person if Agno would make none; for sync code a note is emitted instead.

    Args:
        frame: The step's frame.
        original: Agno's method of the step.
        name: The method's name.
        arguments: Its positional arguments; the first is the step's input.
        options: Its keyword arguments.
    """
    around = frame.parent
    if around is None or not is_unasked(around.owner, frame.owner):
        return original(*arguments, **options)
    given = arguments[0] if arguments else options["step_input"]
    rest = {name: each for name, each in options.items() if name != "step_input"}

    def make(step_input: Any) -> Any:
        return original(step_input, *arguments[1:], **rest)

    if name == "aexecute_stream":
        return streamed(frame, frame.owner, given, make)
    if name == "aexecute":
        return whole(frame, frame.owner, given, make)
    tell_unasked(around, frame.owner)
    return make(given)


async def streamed(frame: Frame, step: Any, given: Any, make: Make) -> AsyncIterator[Any]:
    """Execute a streamed step; the last item is its output.

    Args:
        frame: The step's frame.
        step: Agno's step.
        given: The step's ``StepInput``.
        make: Executes the step.
    """
    review = _Review(frame, step, given)
    await review.ask_before()
    while review.goes_on:
        output = None
        async with aclosing(make(review.given)) as items:
            async for item in items:
                if type(item).__name__ == "StepOutput":
                    output = item
                else:
                    yield item
        await review.look_at(output)
    if review.output is not None:
        yield review.output


async def whole(frame: Frame, step: Any, given: Any, make: Make) -> Any:
    """Execute a step that is not streamed and return its output."""
    review = _Review(frame, step, given)
    await review.ask_before()
    while review.goes_on:
        await review.look_at(await make(review.given))
    return review.output


class _Review:
    """The requests to a person about a step, before and after its execution.

    Args:
        frame: The step's frame.
        step: Agno's step.
        given: The step's input, to which people's inputs and reasons for rejection are added.
    """

    def __init__(self, frame: Frame, step: Any, given: Any) -> None:
        self._frame = frame
        self._step = step
        self._tries = 0
        self.given = given
        self.output: Any = None
        self.goes_on = True
        """Whether the step is to be executed, for the first time or again."""

    async def ask_before(self) -> None:
        """Ask for a confirmation or an input."""
        review = self._step.human_review
        if not (review.requires_confirmation or review.requires_user_input):
            return
        asked = self._step.create_step_requirement(0, self.given)
        if not await self._is_approved(asked, "before"):
            self.goes_on, self.output = False, self._skipped(asked)
        elif asked.user_input:
            self._add(user_input=asked.user_input)

    async def look_at(self, output: Any) -> None:
        """Ask for a review of an output, if required, and determine the next action."""
        from agno.workflow.utils.hitl import check_output_review_status

        self.goes_on, self.output = False, output
        if output is None or not output.success:
            return
        asked = check_output_review_status(self._step, 0, self.given, output, self._tries).step_requirement
        if asked is None:
            return
        if await self._is_approved(asked, f"after {self._tries}"):
            if asked.edited_output is not None:
                output.content = asked.edited_output
        elif asked.on_reject == "retry":
            if asked.max_retries and self._tries >= asked.max_retries:
                raise self._cancelled(f"step {asked.step_name!r} was rejected {self._tries + 1} times")
            self._tries += 1
            self.goes_on = True
            self._add(rejection_feedback=asked.rejection_feedback, previous_output=str(output.content or ""))
        else:
            self.output = self._skipped(asked)

    async def _is_approved(self, asked: Any, where: str) -> bool:
        """Apply a person's answers and return whether the step is approved.

        Raises:
            CancelledError: There is no answer yet.
        """
        from agno.workflow.utils.hitl import check_timeout

        run, found = self._frame.run, list(requests_of_step([self._frame.scope.key, where], asked))
        answers = [run.journal.answer(request.id) for request, _ in found]
        waiting = [request for (request, _), answer in zip(found, answers, strict=True) if answer is None]
        if waiting:
            run.ask(waiting, self._frame)
            await run.others_end(self._frame)
            raise run.pause()
        for (_, apply), answer in zip(found, answers, strict=True):
            if answer is not None:
                apply(answer)
        if any(answer is not None and answer.unanswered for answer in answers) and asked.timeout_at is not None:
            action = str(getattr(check_timeout(asked), "value", check_timeout(asked)))
            asked.confirmed, asked.on_reject = action == "approve", action
        return asked.confirmed is not False

    def _skipped(self, asked: Any) -> Any:
        """Return the output of a skipped step: the content of the step before it.

        Raises:
            CancelledError: The rejection cancels the workflow.
        """
        from agno.workflow.types import StepOutput

        if asked.on_reject in ("cancel", "fail"):
            raise self._cancelled(f"step {asked.step_name!r} was rejected")
        before = self.given.get_last_step_content() or self.given.previous_step_content or self.given.input
        return StepOutput(step_name=self._step.name, step_id=self._step.step_id, content=before)

    def _cancelled(self, why: str) -> BaseException:
        return self._frame.run.give_up("The workflow", AgentFailed(f"The workflow was cancelled: {why}."))

    def _add(self, **more: Any) -> None:
        self.given = copy(self.given)
        said = {name: each for name, each in more.items() if each is not None}
        self.given.additional_data = {**(self.given.additional_data or {}), **said}
