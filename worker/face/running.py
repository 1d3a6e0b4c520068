"""Running an Agno agent, team or workflow on a task: read the task's input, run the agent, set the result."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

from worker.agents.journal.call_sites import CodePlace, call_site
from worker.contracts import Platform
from worker.current import REASON_PAUSE, Run, repeat_in_attempt, run_in_hand
from worker.face import bridge
from worker.face.emitter import Emitter
from worker.face.material import material_of
from worker.face.task import Task
from worker.words.conversations import ConversationQuery
from worker.words.errors import NotFound, Unavailable, Unsupported, ValidationError
from worker.words.events import note_event
from worker.words.statuses import AgentExecutionStatus
from worker.words.usage import Usage

if TYPE_CHECKING:
    from worker.agents.runs.material import Material
    from worker.words.conversations import ConversationTurn

IGNORED = {
    "mcp_servers": "workers connect only to the MCP servers of their own agents.",
    "harness_cli": "this platform has no command-line agents.",
    "permission_mode": "this platform has no command-line agents.",
    "test_run_node_id": "this platform has no graphs of agents.",
}
"""Task options that the protocol defines but workers ignore, with the reason."""

SAVED = ("internal_status", "additional_context", "payload_extension", "title")
"""Fields in which a handler may save its progress. They help to tell its runs apart when the journal is replayed."""


OWN = frozenset(
    {
        "run_id",
        "run_context",
        "stream_events",
        "yield_run_output",
        "background",
        "debug_mode",
        "websocket",
        "enable_websocket",
        "background_tasks",
    }
)
"""Keywords of Agno's ``arun`` that the framework sets itself: they control the run rather than its input."""


async def run_agent(agent: Any, task: Task, **given: Any) -> Task:
    """Run an Agno ``Agent``, ``Team`` or ``Workflow`` on a task, and set the task's result.

    The task's text and files are converted for the agent's model, the run's events are added to the task's log, and the
    task's options (``output_schema``, ``output_format``, ``llm_…`` and others) are applied. Then ``result``, ``tokens``
    and ``used_tools`` are set on the task, and saved when the handler returns. A handler may run several agents: their
    tokens add up, and the last result counts. If a run waits for a person, the attempt ends, and the handler is called
    again once there is an answer; outside an attempt, the task is left ``paused``.

    Args:
        agent: The agent, team or workflow. It is not modified, and may serve many runs concurrently.
        task: The task.
        given: Arguments of the run: ``input`` (a text or structured input), ``files``, ``images``, ``audio`` and
            ``videos``, which replace the task's own, ``dependencies``, ``session_state`` and any other keyword of the
            object's ``arun``. ``stream=False`` disables the streaming of text. ``history=10`` gives an agent or team
            without a database the last ten turns (questions and answers) of the task's conversation; by default it gets
            as many as it is configured for, if it has ``add_history_to_context``. ``file_tools`` decides whether it
            gets the tools ``read_file`` and ``search_file`` for the task's files; by default it does if a file was cut,
            its model can call tools, and no ``input`` is given.

    Returns:
        The same task. ``task.run_output`` is Agno's own output of the run.

    Raises:
        ModuleException: The run failed (with the provider's own message), or the result is invalid.
        ValidationError: The object's ``arun`` does not accept a keyword, or the framework sets that keyword itself.
        asyncio.CancelledError: The run should end: the task was stopped, its time limit was reached, the worker is
            draining, or a person is asked.
    """
    run, place = run_in_hand.get(), _place()
    if run is None:
        return await _perform(agent, task, None, None, place=place, given=given)
    caller = asyncio.current_task()
    return await bridge.across(
        lambda platform: _perform_within(agent, task, run, platform, place=place, given=given, caller=caller),
        task.origin,
    )


def run_agent_sync(agent: Any, task: Task, **given: Any) -> Task:
    """Sync version of ``run_agent``."""
    run, place = run_in_hand.get(), _place()
    try:
        if run is None:
            return bridge.block(lambda _: _perform(agent, task, None, None, place=place, given=given), task.origin)
        return bridge.block(
            lambda platform: _perform_within(agent, task, run, platform, place=place, given=given), task.origin
        )
    except Unavailable:
        if run is not None and run.stopping:
            raise asyncio.CancelledError(run.stopping.reason) from None
        raise


def _place() -> Callable[[], CodePlace]:
    """Return a function that finds the line of user code that starts this run."""
    run = run_in_hand.get()
    return call_site(run.home if run is not None else None)


async def _perform_within(
    agent: Any,
    task: Task,
    run: Run,
    platform: Platform,
    *,
    place: Callable[[], CodePlace],
    given: Mapping[str, Any],
    caller: "asyncio.Task[Any] | None" = None,
) -> Task:
    """Run an agent within an attempt, on the loop of the attempt's platform.

    Args:
        agent: The agent.
        task: The task.
        run: The attempt.
        platform: The task's platform.
        place: Finds the line of user code that starts the run.
        given: Arguments of the run.
        caller: The caller's asyncio task. If that is the current task, the caller continues before the loop runs
            anything else, so storing the run's last row can be deferred.
    """
    holding = caller is not None and caller is asyncio.current_task()
    here = replace(run, work=platform.work) if bridge.is_spare() else run
    token = run_in_hand.set(here)
    try:
        return await _perform(agent, task, run, platform, place=place, given=given, holding=holding)
    finally:
        run_in_hand.reset(token)


async def _perform(
    agent: Any,
    task: Task,
    run: Run | None,
    platform: Platform | None,
    *,
    place: Callable[[], CodePlace],
    given: Mapping[str, Any],
    holding: bool = False,
) -> Task:
    from worker.agents.history import history_unused
    from worker.agents.running import close_shared
    from worker.agents.running import run as run_on

    bridge.before_closing(close_shared)
    ordinal = _next_ordinal(task, run)
    saved = {name: getattr(task, name) for name in SAVED}
    emitter = Emitter(task.id)
    given = dict(given)
    wants_tools: bool | None = given.pop("file_tools", None if given.get("input") is None else False)
    wanted_history = given.pop("history", None)
    history = await _history(agent, task, wanted_history)
    if given:
        _check(agent, given)
    material, notes = await material_of(agent, task, wants_tools)
    material = replace(_with(material, given), history=history)
    if (unused := history_unused(agent, wanted_history)) is not None:
        await emitter.emit_new([note_event(unused, "option")])
    if ordinal == 0:
        made = [note_event(text, "attachment") for text in notes]
        await emitter.emit_new(made + [note_event(text, "option") for text in ignored(task)])
    usage = Usage()
    if run is not None:
        run.used.append(usage)
    try:
        result = await run_on(
            agent,
            task,
            material,
            emitter.emit,
            place=place,
            saved=saved,
            usage=usage,
            holding=holding,
            produce=emitter.producing(platform),
        )
    finally:
        _record_usage(task, usage, run, is_first=ordinal == 0)
    task.take_output(result.output)
    if result.paused is not None and run is not None and run.attempt is not None:
        # Without a result, the handler must not continue: its return value would end the task.
        run.stopping.set(REASON_PAUSE, result.paused)
        raise asyncio.CancelledError(REASON_PAUSE)
    if result.paused is not None:
        task.status = AgentExecutionStatus.Paused
        task.hitl_request = result.paused
    else:
        task.result = result.content
    return task


async def _history(agent: Any, task: Task, wanted: Any) -> "Sequence[ConversationTurn]":
    """Return earlier turns of the task's conversation, unless the agent's own database holds them.

    Raises:
        ValidationError: ``history`` is not a number of turns.
        Unsupported: ``history`` was given, and the platform does not record conversations.
    """
    from worker.agents.history import earlier, turns_wanted

    continues = bool(task.turn or task.conversation_id)
    most = turns_wanted(agent, wanted, continues=continues)
    if not most or not continues:
        return ()
    query = ConversationQuery(agent_id=task.agent_id, limit=min(1000, most + 10))  # a few turns may lack an answer
    conversation_id = task.conversation_id or task.id
    try:
        conversation = await bridge.across(
            lambda platform: repeat_in_attempt(
                lambda: platform.tasks.conversation(conversation_id, query), "reading a conversation"
            ),
            task.origin,
        )
    except NotFound:
        return ()
    except Unsupported:
        if wanted is None:
            return ()
        raise
    return earlier(conversation.turns, task, most)


def _check(agent: Any, given: Mapping[str, Any]) -> None:
    """Check that the agent's ``arun`` accepts the arguments.

    Raises:
        ValidationError: It does not accept one, or the framework sets that one itself.
    """
    for name in given:
        if name in OWN:
            raise ValidationError(f"{name} is set by run_agent and cannot be passed", field=name)
    known = signature(agent.arun).parameters if hasattr(agent, "arun") else {}
    has_more = any(each.kind is Parameter.VAR_KEYWORD for each in known.values())
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None and not has_more:
        raise ValidationError(f"{type(agent).__name__}.arun has no argument {unknown!r}", field=unknown)


def _with(material: "Material", given: Mapping[str, Any]) -> "Material":
    """Return the material of a run with its arguments applied."""
    if not given:
        return material
    rest: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    own = {name: rest.pop(name) for name in ("files", "images", "audio", "videos") if name in rest}
    own["streams"] = rest.pop("stream", True) is not False
    said = rest.pop("input", None)
    if isinstance(said, str):
        own["message"] = said
    elif said is not None:
        own["given"] = said
    return replace(material, **own, options=rest)


def _next_ordinal(task: Task, run: Run | None) -> int:
    """Return how many agents have already run for this task, in this attempt or, without one, in this process."""
    if run is None:
        return task.count_agent_run()
    ordinal = run.agent_runs
    run.agent_runs += 1
    return ordinal


def ignored(task: Task) -> list[str]:
    """Return a sentence for each option of the task that workers ignore."""
    return [f"{name} is ignored: {why}" for name, why in IGNORED.items() if getattr(task, name)]


def _record_usage(task: Task, usage: Usage, run: Run | None, *, is_first: bool) -> None:
    """Set the usage of a run on the task, whether it succeeded or not. Runs of one attempt add up."""
    if run is not None:
        for name, value in run.account().items():
            setattr(task, name, value)
        return
    tokens = usage.tokens()
    task.tokens = tokens if is_first or task.tokens is None else task.tokens + tokens
    if usage.finish is not None:
        task.finish_reason = usage.finish
    task.used_tools = list(dict.fromkeys([*([] if is_first else task.used_tools), *usage.tools]))
