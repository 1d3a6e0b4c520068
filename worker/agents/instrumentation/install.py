"""Hooks at the places in Agno that every model call, tool call, run and session passes, whoever makes it.

They are put in once, and do nothing outside a run of ours: the frame in hand, a context variable, is None there. Some
of the places have private names. They are looked up when the hooks are put in, so that a version of Agno which has
moved one is refused by name instead of being run without its journal.
"""

import functools
import inspect
import sys
import threading
from collections.abc import Callable
from contextlib import aclosing
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any, NamedTuple, cast

from worker.agents.instrumentation import (
    bare,
    bare_notes,
    connections,
    exits,
    knowledge,
    long_results,
    media,
    model_calls,
    off_loop,
    passed_over,
    pauses,
    records,
    refused,
    runs,
    sessions,
    steering,
    step_pauses,
    tool_calls,
)
from worker.agents.instrumentation.askers import asker_of
from worker.agents.instrumentation.frames import Frame, frame_in_hand
from worker.agents.instrumentation.identities import character_of
from worker.agents.instrumentation.model_calls import ModelCall
from worker.agents.instrumentation.stable_ids import fence, give_id, remember, uuid4_or_stable
from worker.agents.models import stand_in
from worker.current import run_in_hand
from worker.threads import in_thread
from worker.words.errors import ConfigurationError

Original = Callable[..., Any]


class Hook(NamedTuple):
    """A place in Agno, and what is put there.

    Args:
        module: Where it is.
        owner: Its class; empty for a function of the module.
        name: Of the method, property or function.
        make: Makes what takes its place, from what is there.
        is_shared: Whether other modules of Agno hold the same function under a name of their own.
    """

    module: str
    owner: str
    name: str
    make: Callable[[Original], Any]
    is_shared: bool = False

    def __str__(self) -> str:
        return ".".join(each for each in (self.module, self.owner, self.name) if each)


_installed: dict[tuple[str, str, str], Original] = {}
_installing = threading.Lock()


def install() -> None:
    """Put the hooks in; a second call does nothing.

    Raises:
        ConfigurationError: The installed version of Agno has moved one of the places.
    """
    with _installing:
        if not _installed:
            _installed.update(_install())  # all at once: no run may begin with some of them


async def installed() -> None:
    """Put the hooks in, the first time in a thread: most of Agno is imported for it, which takes a second.

    Raises: ConfigurationError, as ``install``.
    """
    if not _installed:
        await in_thread(install)


def _install() -> dict[tuple[str, str, str], Original]:
    """Make all that is put in before the first is: whatever fails on the way leaves Agno as it was."""
    found = [(hook, *_look_up(hook)) for hook in HOOKS]
    made = [_with_looks_of(original, hook.make(original)) for hook, _, original in found]
    for (hook, owner, original), instead in zip(found, made, strict=True):
        setattr(owner, hook.name, instead)
        for holder in _holders(original) if hook.is_shared else ():
            setattr(holder, hook.name, instead)
    return {(hook.module, hook.owner, hook.name): original for hook, _, original in found}


def missing() -> list[str]:
    """The places that the installed version of Agno does not have; empty if it can be run."""
    names: list[str] = []
    for hook in HOOKS:
        try:
            _look_up(hook)
        except ConfigurationError:
            names.append(str(hook))
    return names


def _look_up(hook: Hook) -> tuple[Any, Original]:
    try:
        module = import_module(hook.module)
        owner = getattr(module, hook.owner) if hook.owner else module
        return owner, inspect.getattr_static(owner, hook.name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"Agno {version('agno')} has no {hook}, which a run's journal needs. Install a version of Agno that"
            " this version of agno-worker was tested with (see its pyproject.toml), or a newer agno-worker."
        ) from error


def _holders(function: Original) -> list[ModuleType]:
    """The modules of Agno that hold a function: those that are imported later find what is put in its place."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("agno.")]  # others import, too
    return [each for each in modules if getattr(each, function.__name__, None) is function]


def _with_looks_of(original: Original, made: Any) -> Any:
    return functools.wraps(original)(made) if callable(original) and callable(made) else made


def _model_call(original: Original) -> Original:
    async def hook(self: Any, **arguments: Any) -> Any:
        media.check_googles(self)
        frame = frame_in_hand.get()
        if arguments.get("retry_with_guidance"):  # that call is part of one
            return await original(self, **arguments)
        if frame is None:
            attempt = bare_notes.attempt_in_hand()
            made = original(self, **arguments) if attempt is None else bare.whole(attempt, original, self, arguments)
            return await made
        return await model_calls.whole(ModelCall(frame, self, arguments, is_streamed=False), original)

    return hook


def _model_call_sync(original: Original) -> Original:
    def hook(self: Any, **arguments: Any) -> Any:
        media.check_googles(self)
        frame = frame_in_hand.get()
        if arguments.get("retry_with_guidance"):
            return original(self, **arguments)
        if frame is None:
            attempt = bare_notes.attempt_in_hand()
            if attempt is None:
                return original(self, **arguments)
            return bare.whole_sync(attempt, original, self, arguments)
        return model_calls.whole_sync(_call_of(frame, self, arguments, is_streamed=False), original, frame.run)

    return hook


def _model_stream(original: Original) -> Original:
    async def hook(self: Any, **arguments: Any) -> Any:
        media.check_googles(self)
        frame = frame_in_hand.get()
        attempt = bare_notes.attempt_in_hand()
        if arguments.get("retry_with_guidance") or (frame is None and attempt is None):
            items: Any = original(self, **arguments)
        elif frame is None:
            items = bare.streamed(cast("Any", attempt), original, self, arguments)
        else:
            call = ModelCall(frame, self, arguments, is_streamed=True)
            items = model_calls.streamed(call, original)
        async with aclosing(items):
            async for item in items:
                yield item

    return hook


def _model_stream_sync(original: Original) -> Original:
    def hook(self: Any, **arguments: Any) -> Any:
        media.check_googles(self)
        frame = frame_in_hand.get()
        attempt = bare_notes.attempt_in_hand()
        if arguments.get("retry_with_guidance") or (frame is None and attempt is None):
            yield from original(self, **arguments)
            return
        if frame is None:
            yield from bare.streamed_sync(cast("Any", attempt), original, self, arguments)
            return
        yield from model_calls.streamed_sync(_call_of(frame, self, arguments, is_streamed=True), original, frame.run)

    return hook


def _call_of(frame: Frame, model: Any, arguments: dict[str, Any], *, is_streamed: bool) -> ModelCall:
    """A call of plain code: made on the run's loop, but who asks shows here, and what follows is called from here."""
    asker = asker_of(arguments)
    call = frame.run.call(functools.partial(ModelCall, frame, model, arguments, is_streamed=is_streamed, asker=asker))
    call.in_hand()
    return call


def _parsed_calls(original: Original) -> Original:
    """Tool calls of a stream: those of the journal are whole already, and those of a stand-in are in its own form."""

    def hook(self: Any, assistant_message: Any, stream_data: Any) -> Any:
        calls = stream_data.response_tool_calls
        if model_calls.drops_calls() if frame_in_hand.get() is not None else bare.drops_calls():
            stream_data.response_tool_calls = calls = None
            assistant_message.tool_calls = None
        if frame_in_hand.get() is None or not calls:
            return original(self, assistant_message, stream_data)
        stream_data.response_tool_calls = None
        try:
            original(self, assistant_message, stream_data)
        finally:
            stream_data.response_tool_calls = calls
        assistant_message.tool_calls = model_calls.parsed(stand_in.get() or self, calls)
        return None

    return hook


def _cached_answer(original: Original) -> Original:
    """Agno's cache of answers lies above the journal, which answers what an earlier attempt completed."""

    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        frame = frame_in_hand.get()
        if frame is not None and frame.run.journal.is_replayed:
            return None
        found = original(self, *arguments, **options)
        if found is not None and frame is not None:
            frame.run.call(frame.run.take_back)  # what an earlier attempt has told of it: no row says that it was whole
            frame.run.begin_stream(frame.run_id)
        return found

    return hook


def _tool_call(original: Original) -> Original:
    async def hook(self: Any, function_call: Any) -> Any:
        frame = frame_in_hand.get()
        if frame is None:
            with exits.held():
                success, timer, call, outcome = await original(self, function_call)
        else:
            with exits.held():
                success, timer, call, outcome = await tool_calls.called(frame, original, self, function_call)
        call.result = exits.held_apart(call.result)
        return success, timer, call, outcome

    return hook


def _tool_execution(original: Original) -> Original:
    async def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        frame = frame_in_hand.get()
        if frame is None:
            bare_notes.called(self.function)
        if frame is None or tool_calls.is_in_hand(self):
            return await original(self, *arguments, **options)
        return await tool_calls.executed(frame, original, self)

    return hook


def _tool_execution_sync(original: Original) -> Original:
    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        frame = frame_in_hand.get()
        if frame is None:
            bare_notes.called(self.function)
        if frame is None or tool_calls.is_in_hand(self):
            return original(self, *arguments, **options)
        return tool_calls.executed_sync(frame, original, self)

    return hook


def _run(original: Original) -> Original:
    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        frame = frame_in_hand.get()
        if frame is None:
            attempt = bare_notes.attempt_in_hand()
            if attempt is None:
                return original(self, *arguments, **options)
            return exits.held_in(bare.made(attempt, original, self, arguments, options), with_cancelled=False)
        if frame.owner is self:  # the run of ours itself
            return original(self, *arguments, **options)
        return exits.held_in(runs.run(frame, original, self, arguments, options), with_cancelled=False)

    return hook


def _id(original: Original) -> Original:
    """Where Agno makes up the id of an agent without name and id."""

    def hook(self: Any) -> None:
        if self.id is not None or self.name:
            original(self)
        elif frame_in_hand.get() is not None:
            give_id(self, character_of(self))
        else:
            original(self)
            remember(str(self.id))

    return hook


def _step(original: Original) -> Original:
    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        frame = frame_in_hand.get()
        own = self
        if original.__name__.startswith("aexecute") and run_in_hand.get() is not None:
            own = off_loop.with_forms(self, "active_executor")
        if frame is None:
            result = original(own, *arguments, **options)
        else:
            result = runs.step(frame, original, own, arguments, options)
        return exits.held_in(result)

    return hook


def _session(original: Original) -> Original:
    async def hook(owner: Any, *arguments: Any, **options: Any) -> Any:
        frame = frame_in_hand.get()
        is_found = frame is None or off_loop.has_plain_database(owner)  # by the hook of the plain twin
        session = await off_loop.stored(original, owner, arguments, options)
        return session if frame is None or is_found else sessions.as_found(frame, owner, session)

    return hook


def _session_sync(original: Original) -> Original:
    def hook(owner: Any, *arguments: Any, **options: Any) -> Any:
        session = original(owner, *arguments, **options)
        frame = frame_in_hand.get()
        return session if frame is None else frame.run.call(sessions.as_found, frame, owner, session)

    return hook


def _saving(original: Original) -> Original:
    """Agno stores a session, or a run in it; a run that is over is taken up again, and leaves nothing more behind."""

    async def hook(owner: Any, *arguments: Any, **options: Any) -> Any:
        frame = frame_in_hand.get()
        if frame is not None:
            if frame.run.is_over:
                return None
            await sessions.before_saving(frame)
        return await off_loop.stored(original, owner, arguments, options)

    return hook


def _saving_sync(original: Original) -> Original:
    def hook(owner: Any, *arguments: Any, **options: Any) -> Any:
        frame = frame_in_hand.get()
        if frame is None:
            return original(owner, *arguments, **options)
        if frame.run.is_over:
            return None
        sessions.before_saving_sync(frame)
        return original(owner, *arguments, **options)

    return hook


def _approval(original: Original) -> Original:
    async def hook(db: Any, run_response: Any, **options: Any) -> Any:
        frame = frame_in_hand.get()
        if frame is None:
            return await original(db, run_response, **options)
        return await records.acreate_approval(frame, original, db, run_response, options)

    return hook


def _approval_sync(original: Original) -> Original:
    def hook(db: Any, run_response: Any, **options: Any) -> Any:
        frame = frame_in_hand.get()
        if frame is None:
            return original(db, run_response, **options)
        return records.create_approval(frame, original, db, run_response, options)

    return hook


def _free_id(original: Original) -> Original:
    async def hook(self: Any, session_id: str, run_id: str, call_id: str) -> str:
        frame = frame_in_hand.get()
        found = None if frame is None else records.free_call_id(frame, call_id)
        return await original(self, session_id, run_id, call_id) if found is None else found

    return hook


def _free_id_sync(original: Original) -> Original:
    def hook(self: Any, session_id: str, run_id: str, call_id: str) -> str:
        frame = frame_in_hand.get()
        return original(self, session_id, run_id, call_id) if frame is None else records.free_call_id(frame, call_id)

    return hook


def _members(original: Original) -> Original:
    async def hook(entity: Any, run_context: Any) -> None:
        await original(entity, run_context)
        _copy_members(entity, run_context)

    return hook


def _members_sync(original: Original) -> Original:
    def hook(entity: Any, run_context: Any) -> None:
        original(entity, run_context)
        _copy_members(entity, run_context)

    return hook


def _copy_members(team: Any, run_context: Any) -> None:
    """Have a team run copies of the members that a function has given it: Agno writes to them."""
    frame = frame_in_hand.get()
    if frame is not None and callable(getattr(team, "members", None)) and run_context.members:
        run_context.members = frame.run.overrides.members_of(team, run_context.members)


def _hook_arguments(original: Original) -> Original:
    """Called right before a hook of the user's is: from here on, its idempotency key is in hand."""

    def hook(function: Any, all_arguments: Any) -> Any:
        frame: Frame | None = frame_in_hand.get()
        if frame is not None:
            frame.hook_begins(getattr(function, "__name__", type(function).__name__))
        return original(function, all_arguments)

    return hook


def _classified(original: Any) -> Any:
    """Agno raises a provider's error as one of its own kinds, and forgets what it was made of: status, headers."""

    def hook(cls: Any, error: Any) -> Any:
        made = original.__func__(cls, error)
        if made is not error and made.__cause__ is None:
            made.__cause__ = error
        return made

    return classmethod(hook)


def _background(original: Any) -> Any:
    """The threads in which Agno makes memories of a plain run: they inherit the frame in hand."""

    def hook(self: Any) -> Any:
        executor = original.fget(self)
        return executor if frame_in_hand.get() is None else runs.Inheriting(executor)

    return property(hook)


def _connect_servers(original: Original) -> Original:
    async def hook(owner: Any) -> None:
        frame = frame_in_hand.get()
        connections.watch_sessions()
        await (original(owner) if frame is None else connections.connect_servers(frame, owner))

    return hook


def _disconnect_servers(original: Original) -> Original:
    async def hook(owner: Any) -> None:
        frame = frame_in_hand.get()
        await (original(owner) if frame is None else connections.disconnect_servers(frame))

    return hook


def _connect_databases(original: Original) -> Original:
    def hook(owner: Any) -> None:
        frame = frame_in_hand.get()
        _ = original(owner) if frame is None else connections.connect_databases(frame, owner)

    return hook


def _disconnect_databases(original: Original) -> Original:
    def hook(owner: Any) -> None:
        frame = frame_in_hand.get()
        _ = original(owner) if frame is None else connections.disconnect_databases(frame)

    return hook


def _lookup(original: Original) -> Original:
    return knowledge.lookup(off_loop.attributes("knowledge_retriever", is_passed_over=True)(original))


BASE = "agno.models.base"
FUNCTION = "agno.tools.function"
OWNERS = (("agno.agent.agent", "Agent"), ("agno.team.team", "Team"), ("agno.workflow.workflow", "Workflow"))

EXECUTIONS = ("aexecute", "aexecute_stream", "execute", "execute_stream")
"""How Agno carries out a step of a workflow, of whatever kind."""

SAVES = (
    ("asave_session", _saving),
    ("asave_run", _saving),
    ("save_session", _saving_sync),
    ("save_run", _saving_sync),
)

CONNECTIONS = (
    ("connect_mcp_tools", _connect_servers),
    ("disconnect_mcp_tools", _disconnect_servers),
    ("connect_connectable_tools", _connect_databases),
    ("disconnect_connectable_tools", _disconnect_databases),
)

HOOKS: tuple[Hook, ...] = (
    Hook(BASE, "Model", "_ainvoke_with_retry", _model_call),
    Hook(BASE, "Model", "_invoke_with_retry", _model_call_sync),
    Hook(BASE, "Model", "_ainvoke_stream_with_retry", _model_stream),
    Hook(BASE, "Model", "_invoke_stream_with_retry", _model_stream_sync),
    Hook(BASE, "Model", "aresponse_stream", steering.answered),
    Hook(BASE, "Model", "_populate_assistant_message_from_stream_data", _parsed_calls),
    Hook(BASE, "Model", "_get_cached_model_response", _cached_answer),
    Hook("agno.exceptions", "ModelProviderError", "classify", _classified),
    Hook(BASE, "Model", "get_function_calls_to_run", refused.calls_to_run),
    Hook(BASE, "Model", "create_tool_call_limit_error_result", refused.over_the_limit),
    Hook(BASE, "Model", "create_function_call_result", long_results.for_the_model),
    Hook(BASE, "Model", "arun_function_calls", pauses.calls),
    Hook(BASE, "Model", "run_function_calls", pauses.calls_sync),
    Hook(BASE, "Model", "arun_function_call", _tool_call),
    Hook(FUNCTION, "FunctionCall", "aexecute", _tool_execution),
    Hook(FUNCTION, "FunctionCall", "execute", _tool_execution_sync),
    *(Hook(module, owner, name, _run) for module, owner in OWNERS for name in ("arun", "run")),
    Hook("agno.agent._init", "", "set_id", _id, is_shared=True),
    Hook("agno.team._init", "", "set_id", _id, is_shared=True),
    Hook("agno.workflow.workflow", "Workflow", "set_id", _id),
    *(Hook("agno.workflow.step", "Step", name, _step) for name in EXECUTIONS),
    *(
        Hook(f"agno.workflow.{kind.lower()}", kind, name, step_pauses.group)
        for kind in ("Loop", "Condition", "Steps", "Router", "Parallel")
        for name in EXECUTIONS
    ),
    Hook("agno.agent._storage", "", "aread_or_create_session", _session, is_shared=True),
    Hook("agno.agent._storage", "", "read_or_create_session", _session_sync, is_shared=True),
    Hook("agno.team._storage", "", "_aread_or_create_session", _session, is_shared=True),
    Hook("agno.team._storage", "", "_read_or_create_session", _session_sync, is_shared=True),
    Hook("agno.agent._storage", "", "aread_session", off_loop.database, is_shared=True),
    Hook("agno.team._storage", "", "_aread_session", off_loop.database, is_shared=True),
    Hook("agno.workflow.workflow", "Workflow", "aread_or_create_session", _session),
    Hook("agno.workflow.workflow", "Workflow", "read_or_create_session", _session_sync),
    *(
        Hook(f"agno.{kind}._session", "", name, make, is_shared=True)
        for kind in ("agent", "team")
        for name, make in SAVES
    ),
    *(Hook("agno.workflow.workflow", "Workflow", name, make) for name, make in SAVES),
    Hook("agno.workflow.workflow", "Workflow", "_apersist_session_and_run", step_pauses.saved),
    Hook("agno.workflow.workflow", "Workflow", "_persist_session_and_run", step_pauses.saved_sync),
    Hook("agno.workflow.workflow", "Workflow", "aget_session", step_pauses.session),
    Hook("agno.workflow.workflow", "Workflow", "get_session", step_pauses.session_sync),
    Hook("agno.run.approval", "", "acreate_approval_from_pause", _approval, is_shared=True),
    Hook("agno.run.approval", "", "create_approval_from_pause", _approval_sync, is_shared=True),
    Hook("agno.offload.store", "ResultStore", "_afree_call_id", _free_id),
    Hook("agno.offload.store", "ResultStore", "_free_call_id", _free_id_sync),
    Hook("agno.utils.callables", "", "aresolve_callable_members", _members, is_shared=True),
    Hook("agno.utils.callables", "", "resolve_callable_members", _members_sync, is_shared=True),
    Hook("agno.utils.hooks", "", "filter_hook_args", _hook_arguments, is_shared=True),
    Hook("agno.agent.agent", "Agent", "background_executor", _background),
    Hook("agno.team.team", "Team", "background_executor", _background),
    *(
        Hook(f"agno.{kind}._init", "", f"{private}{name}", make)
        for kind, private in (("agent", ""), ("team", "_"))
        for name, make in CONNECTIONS
    ),
    *(
        Hook(
            f"agno.{kind}._hooks",
            "",
            f"{private}aexecute_{when}_hooks",
            off_loop.options("hooks", is_passed_over=True),
            is_shared=True,
        )
        for kind, private in (("agent", ""), ("team", "_"))
        for when in ("pre", "post")
    ),
    Hook("agno.utils.agent", "", "aexecute_instructions", off_loop.options("instructions"), is_shared=True),
    Hook("agno.utils.agent", "", "aexecute_system_message", off_loop.options("system_message"), is_shared=True),
    Hook("agno.utils.callables", "", "ainvoke_callable_factory", off_loop.options("factory"), is_shared=True),
    Hook("agno.utils.callables", "", "_acompute_cache_key", off_loop.options("custom_key_fn"), is_shared=True),
    Hook("agno.agent._run", "", "aresolve_run_dependencies", off_loop.dependencies, is_shared=True),
    Hook("agno.team._run", "", "_aresolve_run_dependencies", off_loop.dependencies, is_shared=True),
    *(
        Hook(
            module,
            "",
            "aget_relevant_docs_from_knowledge",
            _lookup,
            is_shared=True,
        )
        for module in ("agno.agent._messages", "agno.team._default_tools")
    ),
    Hook("agno.media.media", "", "bytes_and_mime_from_url", media.read),
    Hook("agno.media.media", "", "abytes_and_mime_from_url", media.read_async),
    Hook("agno.utils.tokens", "", "_get_image_dimensions", media.image_dimensions),
    Hook("agno.utils.tokens", "", "count_file_tokens", media.file_tokens, is_shared=True),
    *(Hook(module, "", "log_warning", passed_over.log_warning) for module in passed_over.MODULES),
    Hook("agno.knowledge.knowledge", "Knowledge", "search", knowledge.search_sync),
    Hook("agno.knowledge.knowledge", "Knowledge", "asearch", knowledge.search),
    Hook(FUNCTION, "FunctionCall", "_aexecute", off_loop.tool_execution),
    Hook("agno.workflow.parallel", "Parallel", "_aggregate_results", runs.joined),
    Hook("agno.workflow.condition", "Condition", "_aevaluate_condition", off_loop.attributes("evaluator")),
    Hook("agno.workflow.router", "Router", "_aroute_steps", off_loop.attributes("selector")),
    Hook("agno.workflow.loop", "Loop", "_aevaluate_end_condition", off_loop.attributes("end_condition")),
    Hook("agno.run.approval", "", "uuid4", uuid4_or_stable),
    Hook("agno.team.task", "", "uuid4", uuid4_or_stable),
    Hook("agno.utils.names", "", "uuid4", uuid4_or_stable),
    Hook("agno.scorer._fence", "", "fence_untrusted", fence, is_shared=True),
)
"""All of them. What each is for stands at the function that makes it."""
