"""The whole way from a task to its result: read its input, run an Agno agent, team or workflow on it, set what came."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from worker.agents.call_sites import Place, call_site
from worker.contracts import Platform
from worker.current import Run, run_in_hand
from worker.face import bridge, reading
from worker.face.task import Task
from worker.words.errors import Unavailable
from worker.words.events import NewEvent, Note
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.usage import Usage
from worker.words.work import JournalEntry

if TYPE_CHECKING:
    from worker.agents.running import Material

IGNORED = {
    "mcp_servers": "a worker connects to the servers that its own agents name, and to none that a task brings.",
    "harness_cli": "there is no harness here.",
    "permission_mode": "there is no harness here.",
    "test_run_node_id": "agents here are no graphs of nodes.",
}
"""Options of a task that the protocol has and no agent here carries out, with why."""

SAVED = ("internal_status", "additional_context", "payload_extension", "title")
"""What a handler may have saved of its progress: a run that it makes with other values may be another one."""


async def run_agent(agent: Any, task: Task) -> Task:
    """Run an Agno ``Agent``, ``Team`` or ``Workflow`` on a task.

    The task's text and files become what the agent's model can take; its events are streamed as the task's; its
    wishes (``output_schema``, ``output_format``, ``llm_…`` and the rest) are honoured. Then ``result``, ``tokens`` and
    ``used_tools`` are set on the task, and saved when the handler returns. A handler may run several agents: tokens
    add up, the last result stands. A run that waits for a person leaves the task ``paused``.

    Args:
        agent: It is not changed, and may serve many runs at once.
        task: The task.

    Returns:
        The same task.

    Raises:
        ModuleException: The run ended in an error (the provider's own message), or the result does not fit.
        asyncio.CancelledError: The run should end: the task was stopped, its time is up, or the worker leaves.
    """
    run, place = run_in_hand.get(), _place()
    if run is None:
        return await _perform(agent, task, None, place)
    caller = asyncio.current_task()
    return await bridge.across(
        lambda platform: _perform_in_hand(agent, task, run, platform, place, caller=caller), task.configuration
    )


def run_agent_sync(agent: Any, task: Task) -> Task:
    """Run an agent on a task, as ``run_agent`` does, and block this thread until it is done."""
    run, place = run_in_hand.get(), _place()
    try:
        if run is None:
            return bridge.block(lambda _: _perform(agent, task, None, place), task.configuration)
        return bridge.block(lambda platform: _perform_in_hand(agent, task, run, platform, place), task.configuration)
    except Unavailable:
        if run is not None and run.stopping:
            raise asyncio.CancelledError(run.stopping.reason) from None
        raise


def _place() -> Callable[[], Place]:
    """Where in the user's code the run is made."""
    run = run_in_hand.get()
    return call_site(run.home if run is not None else None)


async def _perform_in_hand(
    agent: Any,
    task: Task,
    run: Run,
    platform: Platform,
    place: Callable[[], Place],
    *,
    caller: "asyncio.Task[Any] | None" = None,
) -> Task:
    """Run an agent within an attempt, on the loop that the attempt's platform lives on.

    Args:
        agent: The agent.
        task: The task.
        run: The attempt.
        platform: Where the task lives.
        place: Where in the user's code the run is made.
        caller: The caller's task: if this is it, it goes on before the loop turns, and its last answer may wait.
    """
    holding = caller is not None and caller is asyncio.current_task()
    here = replace(run, work=platform.work) if bridge.is_spare() else run
    token = run_in_hand.set(here)
    try:
        return await _perform(agent, task, run, place, holding=holding)
    finally:
        run_in_hand.reset(token)


async def _perform(
    agent: Any, task: Task, run: Run | None, place: Callable[[], Place], *, holding: bool = False
) -> Task:
    from worker.agents.running import close_shared
    from worker.agents.running import run as run_on

    bridge.before_closing(close_shared)
    ordinal = _next_ordinal(task, run)
    saved = {name: getattr(task, name) for name in SAVED}
    outlet = _Outlet(task.id)
    material, notes = await _material(agent, task)
    if ordinal == 0:
        told = [_note(text, "attachment") for text in notes] + [_note(text, "option") for text in ignored(task)]
        await outlet.tell([NewEvent(type=TaskUpdateEventType.Note, data=data) for data in told])
    usage = Usage()
    if run is not None:
        run.used.append(usage)
    try:
        result = await run_on(
            agent, task, material, outlet.emit, place=place, saved=saved, usage=usage, holding=holding
        )
    finally:
        _record_usage(task, usage, run, is_first=ordinal == 0)
    if result.paused is not None:
        task.status = AgentExecutionStatus.Paused
        task.hitl_request = result.paused
    else:
        task.result = result.content
    return task


class _Outlet:
    """Where events go: to the log of the task, in the name of its attempt; nowhere without one."""

    def __init__(self, task_id: str) -> None:
        run = run_in_hand.get()
        self._run = run if run is not None and run.task_id == task_id and run.attempt is not None else None

    async def emit(self, events: Sequence[NewEvent], rows: Sequence[JournalEntry] = ()) -> None:
        """Append events, and rows of the journal with them. Raises: LeaseLost."""
        if self._run is not None and self._run.attempt is not None:
            await self._run.work.emit(self._run.task_id, self._run.attempt, events, rows)

    async def tell(self, events: Sequence[NewEvent]) -> None:
        """Append events, but for those that an earlier attempt has told. Raises: LeaseLost."""
        journal = self._run.journal if self._run is not None else None
        if self._run is not None and journal is not None:
            await journal.load(self._run.work)
            events = journal.unemitted(events)
        if events:
            await self.emit(events)


async def _material(agent: Any, task: Task) -> "tuple[Material, Sequence[str]]":
    """Turn a task's input into what its agent's model can take; with notes on what could not be taken along."""
    from worker.agents.running import Material

    if not task.input.files:
        return Material(task.input.text or ""), ()
    from worker.agents.capabilities import capabilities
    from worker.inputs import (
        Attachments,
        adapt,
        compose_message,
        text_budget,
        to_agno_audio,
        to_agno_files,
        to_agno_images,
        to_agno_videos,
    )

    if task.disable_attachment_injection:  # the agent is told where they are, and fetches what it wants with its tools
        return Material(compose_message(task.input.text or "", task.input.files, Attachments())), ()
    takes, limits = capabilities(agent, task), reading.limits()
    fitting: Attachments = await adapt(await task.aread_attachments(), takes, limits)
    budget = text_budget(fitting, takes, limits)
    text = task.input.text or ""
    message = compose_message(text, task.input.files, fitting, limits, budget_characters=budget)
    material = Material(
        message,
        files=to_agno_files(fitting),
        images=to_agno_images(fitting),
        audio=to_agno_audio(fitting),
        videos=to_agno_videos(fitting),
    )
    return material, fitting.notes


def _next_ordinal(task: Task, run: Run | None) -> int:
    """How many agents were run for this task before: by this attempt, or where there is none by this process."""
    if run is None:
        return task.count_agent_run()
    ordinal = run.agent_runs
    run.agent_runs += 1
    return ordinal


def ignored(task: Task) -> list[str]:
    """What a task asks for and no agent here does, in sentences."""
    return [f"{name} is ignored: {why}" for name, why in IGNORED.items() if getattr(task, name)]


def _note(text: str, kind: str) -> dict[str, Any]:
    return Note(text=text, kind=kind).model_dump()


def _record_usage(task: Task, usage: Usage, run: Run | None, *, is_first: bool) -> None:
    """Set what a run has used, however it ended; an attempt's runs add up."""
    if run is not None:
        for name, value in run.account().items():
            setattr(task, name, value)
        return
    tokens = usage.tokens()
    task.tokens = tokens if is_first or task.tokens is None else task.tokens + tokens
    if usage.finish is not None:
        task.finish_reason = usage.finish
    task.used_tools = list(dict.fromkeys([*([] if is_first else task.used_tools), *usage.tools]))
