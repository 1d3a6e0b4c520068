"""Reviews of nested steps and groups by people: before the step, after it, and if it has failed."""

import threading
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

from worker.agents.errors import AgentFailed
from worker.agents.instrumentation.frames import Frame
from worker.agents.instrumentation.steps.step_pauses import request_of_error, requests_of_step
from worker.words.requests import InputAnswer, InputRequest


class _Unanswered(Exception):  # noqa: N818 - it never leaves this module
    """A request has no answer yet."""


def asks_about_errors(step: Any) -> bool:
    """Return whether a person decides what to do if the step fails."""
    return step.human_review.on_error == "pause" and hasattr(step, "create_error_requirement")


def _all_of(routes: list[Any], given: Any) -> list[Any]:
    """Select the routes that a person has chosen."""
    del given
    return routes


class Review:
    """The review of a step.

    Args:
        frame: The step's frame.
        owner: Agno's step, as it is executed.
        given: The step's input, to which a person's input or feedback is added.
        asks_before: Whether to ask before the step; Agno may have asked already.
    """

    def __init__(self, frame: Frame, owner: Any, given: Any, *, asks_before: bool) -> None:
        self._frame = frame
        self._asks_before = asks_before
        self._tries = 0
        self._errors = 0
        self.owner = owner
        self.given = given
        self.options: dict[str, Any] = {}
        """Additional keyword arguments for the execution."""
        self.output: Any = None
        self.goes_on = True
        """Whether to execute the step, for the first time or again."""

    async def settle(self, look: Callable[[], None]) -> None:
        """Ask, and apply the answers.

        Raises:
            CancelledError: A request has no answer yet.
        """
        try:
            look()
        except _Unanswered:
            await self._frame.run.wait_for_concurrent_steps(self._frame)
            raise self._frame.run.pause() from None

    def settle_sync(self, look: Callable[[], None]) -> None:
        """Sync version of ``settle``, which does not wait for concurrent steps if this code blocks the event loop."""
        run = self._frame.run
        try:
            run.call(look)
        except _Unanswered:
            if threading.get_ident() != run.thread:
                run.on_loop(partial(run.wait_for_concurrent_steps, self._frame))
            raise run.call(run.pause) from None

    def ask_before(self) -> None:
        """Ask for a confirmation, or an input."""
        review = self.owner.human_review
        if not self._asks_before or not (review.requires_confirmation or review.requires_user_input):
            return
        asked = self.owner.create_step_requirement(0, self.given)
        if not self._is_approved(asked, "before"):
            self._rejected(asked)
        elif asked.user_input:
            self._add(user_input=asked.user_input)

    def _rejected(self, asked: Any) -> None:
        self.goes_on, self.output = False, self._skipped(asked)

    def look_at(self, output: Any) -> None:
        """Review an output."""
        self.goes_on, self.output = False, output
        if output is None or not output.success:
            return
        asked = self._review_of(output)
        if asked is None:
            return
        if self._is_approved(asked, f"after {self._tries}"):
            self._edit(output, asked.edited_output)
        elif asked.on_reject == "retry":
            if asked.max_retries and self._tries >= asked.max_retries:
                raise self._cancelled(f"step {asked.step_name!r} was rejected {self._tries + 1} times")
            self._tries += 1
            self.goes_on = True
            self._repeat_execution(asked, output)
        else:
            self.output = self._skipped(asked)

    def _review_of(self, output: Any) -> Any:
        """Return Agno's requirement for a review of an output, or None."""
        from agno.workflow.utils.hitl import check_output_review_status

        return check_output_review_status(self.owner, 0, self.given, output, self._tries).step_requirement

    def _edit(self, output: Any, content: Any) -> None:
        while output is not None and content is not None:
            output.content = content
            output = output.steps[-1] if output.steps else None  # what follows a group reads its last step's output

    def _repeat_execution(self, asked: Any, output: Any) -> None:
        """Prepare another execution after a rejection."""
        self._add(rejection_feedback=asked.rejection_feedback, previous_output=str(output.content or ""))

    def look_at_error(self, error: Exception) -> None:
        """Ask what to do about a step that has failed.

        Raises:
            Exception: Nobody is asked; the error itself.
        """
        if not asks_about_errors(self.owner):
            raise error
        self._errors += 1
        request = request_of_error(
            [self._frame.scope.key, f"failed {self._errors}"], self.owner.create_error_requirement(0, error)
        )
        if self._answers([request])[0].approve:
            self._frame.restart()
        else:
            self.goes_on, self.output = False, self._passed(f"{request.agent} failed: {error}. It was skipped.")

    def _is_approved(self, asked: Any, where: str) -> bool:
        """Return whether a person has approved."""
        from agno.workflow.utils.hitl import check_timeout

        found = list(requests_of_step([self._frame.scope.key, where], asked))
        answers = self._answers([request for request, _ in found])
        for (_, apply), answer in zip(found, answers, strict=True):
            apply(answer)
        if any(answer.unanswered for answer in answers) and asked.timeout_at is not None:
            action = str(getattr(check_timeout(asked), "value", check_timeout(asked)))
            asked.confirmed, asked.on_reject = action == "approve", action
        return asked.confirmed is not False

    def _answers(self, requests: list[InputRequest]) -> list[InputAnswer]:
        run = self._frame.run
        found = [(each, run.journal.answer(each.id)) for each in requests]
        answers = [answer for _, answer in found if answer is not None]
        if len(answers) < len(requests):
            run.ask([request for request, answer in found if answer is None], self._frame)
            raise _Unanswered
        return answers

    def _skipped(self, asked: Any) -> Any:
        """Return the output of a skipped step: the previous output.

        Raises:
            CancelledError: The rejection cancels the workflow.
        """
        if asked.on_reject in ("cancel", "fail"):
            raise self._cancelled(f"step {asked.step_name!r} was rejected")
        before = self.given.get_last_step_content() or self.given.previous_step_content or self.given.input
        return self._passed(before)

    def _passed(self, content: Any) -> Any:
        from agno.workflow.types import StepOutput

        return StepOutput(step_name=self.owner.name, step_id=getattr(self.owner, "step_id", None), content=content)

    def _cancelled(self, why: str) -> BaseException:
        return self._frame.run.give_up("The workflow", AgentFailed(f"The workflow was cancelled: {why}."))

    def _add(self, **more: Any) -> None:
        self.given = copy(self.given)
        said = {name: each for name, each in more.items() if each is not None}
        self.given.additional_data = {**(self.given.additional_data or {}), **said}


class _ConditionReview(Review):
    """The review of a condition: a rejection may select the other branch."""

    def _rejected(self, asked: Any) -> None:
        if asked.on_reject == "else":
            self.options["force_else_branch"] = True
        else:
            super()._rejected(asked)


class _LoopReview(Review):
    """The review of a loop: after each iteration a person decides whether it continues.

    Agno would end the loop there. The worker asks where Agno evaluates the loop's end condition instead.
    """

    def __init__(self, frame: Frame, owner: Any, given: Any, *, asks_before: bool) -> None:
        super().__init__(frame, owner, given, asks_before=asks_before)
        self._thrown_away: Any = None  # the requirement, if a person has rejected the loop's output
        if owner.human_review.requires_iteration_review:
            self._add()
            self.owner = copy(owner)
            self.owner.human_review = replace(owner.human_review, requires_iteration_review=False)
            self.owner._aevaluate_end_condition, self.owner._evaluate_end_condition = self._ends, self._ends_sync  # noqa: SLF001

    def look_at(self, output: Any) -> None:
        """Review the loop's output."""
        super().look_at(output)
        if self._thrown_away is not None:
            self.output = self._skipped(self._thrown_away)

    async def _ends(self, results: list[Any], iteration: int) -> bool:
        is_over = await type(self.owner)._aevaluate_end_condition(self.owner, results, iteration)  # noqa: SLF001
        if is_over or self._is_last(results, iteration):
            return is_over
        await self.settle(partial(self._look_at_iteration, results[-1], iteration))
        return self._tries < iteration

    def _ends_sync(self, results: list[Any], iteration: int) -> bool:
        is_over = type(self.owner)._evaluate_end_condition(self.owner, results, iteration)  # noqa: SLF001
        if is_over or self._is_last(results, iteration):
            return is_over
        self.settle_sync(partial(self._look_at_iteration, results[-1], iteration))
        return self._tries < iteration

    def _is_last(self, results: list[Any], iteration: int) -> bool:
        return iteration >= self.owner.max_iterations or not results or any(each.stop for each in results)

    def _look_at_iteration(self, output: Any, iteration: int) -> None:
        asked = self.owner.create_iteration_review_requirement(0, iteration - 1, self.given, output)
        if self._is_approved(asked, f"after {iteration}"):
            self._edit(output, asked.edited_output)
        elif asked.on_reject == "retry":
            self._tries = iteration
            self.given.additional_data["rejection_feedback"] = asked.rejection_feedback
        else:
            self._thrown_away = asked


class _RouterReview(Review):
    """The review of a router: a person may choose the routes, at first or after a rejected output."""

    def ask_before(self) -> None:
        """Ask for a confirmation or for routes."""
        review = self.owner.human_review
        if review.requires_confirmation or not review.requires_user_input:
            super().ask_before()
        else:
            self._choose()

    def _repeat_execution(self, asked: Any, output: Any) -> None:
        del asked, output
        self._choose()

    def _choose(self) -> None:
        self.owner = copy(self.owner)
        asked = self.owner.create_step_requirement(0, self.given, for_route_selection=True)
        self._is_approved(asked, f"route {self._tries}")
        routes = self.owner._get_steps_from_user_selection(asked.selected_choices)  # noqa: SLF001 - as Agno does
        self.owner.selector = partial(_all_of, routes)


_REVIEW_OF: dict[str, type[Review]] = {"Condition": _ConditionReview, "Loop": _LoopReview, "Router": _RouterReview}


def review_of(frame: Frame, owner: Any, given: Any, *, asks_before: bool) -> Review:
    """Return the review of a step or group.

    Args:
        frame: The frame of the step or group.
        owner: Agno's step or group, as it is executed.
        given: The input.
        asks_before: Whether to ask before it; Agno may have asked already.
    """
    kinds = (_REVIEW_OF[each.__name__] for each in type(owner).__mro__ if each.__name__ in _REVIEW_OF)
    return next(kinds, Review)(frame, owner, given, asks_before=asks_before)
