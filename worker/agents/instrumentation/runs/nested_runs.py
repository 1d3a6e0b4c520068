"""Nested runs of agents, teams and workflows, and a workflow's steps."""

import copy
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any

from worker.agents.instrumentation.frames import Frame, step_retries, streamed, streamed_sync, within
from worker.agents.instrumentation.identities import character_of, config_of, input_of, model_of, name_of
from worker.agents.instrumentation.model_calls.callers import is_agno
from worker.agents.instrumentation.runs.run_outcomes import (
    RunOutcome,
    begin,
    begun,
    blocks_caller,
    ended,
    has_failed,
    is_output,
    pause,
    report_cancellation,
)
from worker.agents.instrumentation.stable_ids import give_id
from worker.agents.instrumentation.steps import failed_steps, step_functions, step_pauses, step_reviews
from worker.agents.journal import CallSite, Identity
from worker.agents.journal.call_sites import CodePlace, call_site
from worker.agents.overrides import for_run_within, is_of_workflow, without_users
from worker.agents.tools.tools import runs_others
from worker.current import run_in_hand
from worker.words.digests import digest
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType

STATE = "within a run"
"""The saved state in call sites of nested runs, for which the task's actual state is not considered."""


def run(frame: Frame, original: Any, owner: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Make a nested run like ``arun`` and ``run``: the result is an awaitable, an iterator or a value.

    Args:
        frame: The enclosing frame.
        original: Agno's method.
        owner: The agent, team or workflow.
        arguments: The method's positional arguments; the first is the input.
        options: Its keyword arguments.
    """
    caller = str(sys._getframe(2).f_globals.get("__name__", ""))  # noqa: SLF001 - the only way to read the call stack
    site = None if is_agno(caller) else partial(_site, call_site(frame.home))
    within_this = for_run_within(owner, frame)
    own = without_users(within_this, options.get("user_id"))
    if own is not within_this:
        frame.run.call(frame.run.note_memories_disabled, name_of(own))
    name_members(own)
    child = frame.run.call(_opened, frame, owner, arguments[0] if arguments else options.get("input"), options, site)
    given = {**options, "run_id": child.run_id}
    if site is not None and options.get("session_id") is None and not getattr(owner, "session_id", None):
        given["session_id"] = _session_within(frame, owner)
    with within(child), failed_steps.failures_raised():
        try:
            result = original(own, *arguments, **given)
        except Exception:
            ended(child, failed=True)
            raise
    followed = _followed(child, _continued(own, child, result))
    return failed_steps.raising(followed) if hasattr(owner, "steps") else followed


def _continued(owner: Any, child: Frame, result: Any) -> Any:
    """Return a run's result; a workflow continues after pauses that were answered."""
    if not hasattr(owner, "steps"):
        return result
    if isinstance(result, AsyncIterator):
        return step_pauses.continued(owner, child, result)
    if isinstance(result, Iterator):
        return step_pauses.continued_sync(owner, child, result)
    if hasattr(result, "__await__"):
        return _completed(owner, child, result)
    with within(child):
        return step_pauses.completed_sync(owner, child, result)


async def _completed(owner: Any, child: Frame, result: Any) -> Any:
    return await step_pauses.completed(owner, child, await result)


def _session_within(frame: Frame, owner: Any) -> str:
    """Return the session of an agent that is run without one: Agno would generate one and keep it for later runs."""
    record = frame.run.record
    return f"{record.conversation_id or record.id}.{name_of(owner) or character_of(owner)()[:8]}"


def step(frame: Frame, original: Any, owner: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Execute a workflow's step like ``execute``, ``aexecute`` and their streaming versions."""
    identity = Identity("step", name_of(owner), config_of(owner), str, is_pinned=True)
    scope = frame.run.call(frame.run.journal.open, frame.scope, identity, owner.name or "step")
    child = Frame(frame.run, owner, lambda: scope, frame, given=frame.given)
    key = partial(_key_of_step, child)

    def make() -> Any:
        with within(child, key):
            own = step_functions.journaled(child, failed_steps.without_skipping(_leaving_retries(owner)), options)
            result = step_reviews.carried_out(child, original, own, arguments, options)
        return _followed(child, result, key)

    return failed_steps.execute(owner, make, child, options)


def joined(original: Callable[..., Any]) -> Callable[..., Any]:
    """Make the hook for joining the results of parallel steps in the order of the steps, as Agno does without streams.

    In the order in which the steps finish, later requests would depend on functions among them. The journal does not
    order functions: they run again in each attempt, alongside agents that are answered immediately.
    """

    def hook(self: Any, outputs: list[Any]) -> Any:
        if run_in_hand.get() is not None:
            placed = [*enumerate(self.steps)]
            names = {getattr(each, "name", None): place for place, each in reversed(placed)}
            ids = {getattr(each, "step_id", None): place for place, each in placed}  # names may be missing
            # sorted in place, since an event refers to the same list
            outputs.sort(key=lambda each: ids.get(each.step_id, names.get(each.step_name, len(placed))))
        return original(self, outputs)

    return hook


def _leaving_retries(step: Any) -> Any:
    """Return the step, or a copy without retries unless the user has configured them: the worker retries instead."""
    if step.max_retries != step_retries():
        return step
    own = copy.copy(step)
    own.max_retries = 0
    return own


class Inheriting:
    """An executor whose threads inherit the submitter's context, unlike Agno's own.

    Args:
        executor: Agno's executor.
    """

    def __init__(self, executor: Any) -> None:
        self._executor = executor

    def submit(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function in a thread and return its future."""
        return self._executor.submit(copy_context().run, function, *arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)


def _opened(
    frame: Frame, owner: Any, given: Any, options: dict[str, Any], site: Callable[[], CallSite] | None
) -> Frame:
    """Open the frame of a run. If Agno itself makes the run, its place under the frame identifies it."""
    run, name, kind = frame.run, name_of(owner), type(owner).__name__.lower()
    if not (owner.id or owner.name):  # Agno does so later: the first run's events would lack the id
        give_id(owner, character_of(owner))
    identity = Identity(
        kind,
        name,
        config_of(owner),
        input_of(given, options, run.contents, is_made_by_user_code=site is not None),
        model_of(owner),
        is_pinned=site is None,
        site=site,
    )
    scope = run.journal.open(frame.scope, identity, name or kind)
    member = None if is_of_workflow(frame) else getattr(owner, "id", None) or getattr(owner, "name", None)
    child = Frame(run, owner, lambda: scope, frame, run.id_of(scope), given=given, member=member)
    child.is_made_by_user_code = site is not None
    caller = next((each.run_id for each in frame.path() if each.run_id), "")
    shows_result = bool(getattr(getattr(frame.owner, "function", None), "show_result", False))
    if caller and (shows_result or caller in run.shown_by):  # a nested team gives its members' text, too
        run.shown_by[child.run_id] = run.shown_by.get(caller, caller)
    begin(child.run_id)
    _announce(frame, child)
    return child


def _site(place: Callable[[], CodePlace]) -> CallSite:
    return CallSite(*place(), STATE)


def _announce(frame: Frame, child: Frame) -> None:
    """Emit that a team's leader has delegated work to a member."""
    function = getattr(frame.owner, "function", None)
    if function is None or not runs_others(function):
        return
    arguments = frame.owner.arguments or {}
    query = arguments.get("task") or arguments.get("query") or (child.given if isinstance(child.given, str) else None)
    data = {"agent_id": child.member or "", "query": query}
    frame.run.emit(
        [NewEvent(type=TaskUpdateEventType.SubAgentTrigger, data=data)], frame.scope.parent, call=frame.scope
    )


def name_members(owner: Any) -> None:
    """Give distinct ids to a team's members that have neither name nor id."""
    members = getattr(owner, "members", None)
    if not isinstance(members, list):
        return
    taken = {each.id for each in members if getattr(each, "id", None)}
    for each in members:
        if getattr(each, "id", None) is None and not getattr(each, "name", None):
            give_id(each, character_of(each), taken)
            taken.add(each.id)
        name_members(each)


def _followed(child: Frame, result: Any, key: Callable[[], str] | None = None) -> Any:
    """Pass on the result of a run or step, with its frame set while it runs, and record its outcome."""
    if isinstance(result, AsyncIterator):
        return _iterated(child, result, key)
    if isinstance(result, Iterator):
        return _iterated_sync(child, result, key)
    if hasattr(result, "__await__"):
        return _awaited(child, result, key)
    child.run.call(partial(ended, child, failed=has_failed(child, result)))
    pause(child)
    report_cancellation(child, result)
    return result


async def _awaited(child: Frame, result: Any, key: Callable[[], str] | None) -> Any:
    failed = True
    begun(child)
    try:
        with within(child, key):
            answer = await result
        failed = has_failed(child, answer)
    finally:
        ended(child, failed=failed)
    await _leave(child, answer)
    return answer


async def _leave(child: Frame, last: Any) -> None:
    """Report how a run or step ended, after concurrent steps if its pause keeps the caller from continuing."""
    if blocks_caller(child):
        await child.run.wait_for_concurrent_steps(child)
    pause(child)
    report_cancellation(child, last)


async def _iterated(child: Frame, items: AsyncIterator[Any], key: Callable[[], str] | None) -> AsyncIterator[Any]:
    failed, output = True, None
    begun(child)
    try:
        outcome = RunOutcome(child)
        async for item in streamed(items, child, key):
            outcome.take(item)
            if hasattr(item, "success"):  # a step's output, after which its reader may stop
                child.run.step_ends(child)
            if is_output(item, child):
                output = item
            else:
                yield item
        failed = outcome.failed
    finally:
        ended(child, failed=failed)
    await _leave(child, outcome.cancelled)
    if output is not None:
        yield output


def _iterated_sync(child: Frame, items: Iterator[Any], key: Callable[[], str] | None) -> Iterator[Any]:
    failed, output = True, None
    try:
        outcome = RunOutcome(child)
        for item in streamed_sync(items, child, key):
            outcome.take(item)
            if is_output(item, child):
                output = item
            else:
                yield item
        failed = outcome.failed
    finally:
        child.run.call(partial(ended, child, failed=failed))
    pause(child)
    report_cancellation(child, outcome.cancelled)
    if output is not None:
        yield output


def _key_of_step(child: Frame) -> str:
    return f"{child.run.record.id}:{child.owner.name}:{digest(child.scope.key)[:12]}"
