"""The conversation that a model call belongs to, and the messages with which it began."""

from functools import partial
from typing import Any

from worker.agents.event_buffer import plain
from worker.agents.instrumentation.frames import Frame
from worker.agents.instrumentation.model_calls.callers import Caller, caller_of
from worker.agents.journal import Identity
from worker.agents.runs.conversation import Conversation, counts, is_system, said_in, system_text
from worker.words.digests import as_it_is, digest


def conversation_of(frame: Frame, model: Any, arguments: dict[str, Any], caller: Caller | None) -> Conversation:
    """Return the conversation with exactly this list of messages, or a new one."""
    messages = arguments["messages"]
    known = frame.conversations.get(id(messages))
    if known is None:
        caller = caller or caller_of(arguments)
        known = frame.conversations[id(messages)] = _opened(frame, model, messages, arguments, caller)
    return known


def _opened(frame: Frame, model: Any, messages: list[Any], arguments: dict[str, Any], caller: Caller) -> Conversation:
    run = frame.run
    if caller.is_agent:
        frame.response = arguments.get("run_response")
    scope = run.journal.open(frame.scope, _identity(caller, model, messages, arguments, frame), caller.label)
    if scope.is_known and scope.opening is not None:
        _restore_opening(messages, scope.opening, with_system=caller.helper is not None or frame.scope.is_unchanged)
        if caller.is_agent:
            frame.response.references = None
            frame.restore_references(scope.opening["references"])
    else:
        scope.opening = {
            "system": [as_it_is(each) for each in system_text(messages)],
            "asked": [_own_words(each, frame.given) for each in messages if counts(each)],
            "references": frame.new_references() if caller.is_agent else None,
        }
    role = model.assistant_message_role
    return Conversation(messages, scope, role, run.contents, caller.helper, is_agent=caller.is_agent)


def _identity(caller: Caller, model: Any, messages: list[Any], arguments: dict[str, Any], frame: Frame) -> Identity:
    """Return a conversation's identity: the agent itself has a single conversation, helpers may have several."""
    if caller.is_agent:
        return Identity("conversation", caller.label, str, str)
    contents = frame.run.contents
    form = [model.id, tool_names(arguments.get("tools")), _form_name(arguments.get("response_format"))]
    asked = [*form, [said_in(each, contents) for each in messages if counts(each)]]
    strict = [*form, [plain(each) for each in system_text(messages)]]
    return Identity(
        "conversation",
        caller.label,
        partial(digest, strict),
        partial(digest, asked),
        is_pinned=caller.helper is not None,
    )


def _own_words(message: Any, given: Any) -> Any:
    """Return a message's content as JSON; None if it is the run's input itself."""
    content = message.content
    return None if isinstance(content, str) and content == given else as_it_is(content)


def _restore_opening(messages: list[Any], opening: dict[str, list[Any]], *, with_system: bool) -> None:
    """Restore the messages of the first attempt: context that Agno adds from elsewhere may have changed since.

    Args:
        messages: The current messages; changed in place.
        opening: The first attempt's messages.
        with_system: Whether to restore system messages too, which is wrong after a deploy has changed them.
    """
    asked = [each for each in messages if counts(each)]
    if len(asked) == len(opening["asked"]):
        for message, content in zip(asked, opening["asked"], strict=True):
            if content is not None and message.content != content:
                message.content = content
    if with_system and system_text(messages) != opening["system"]:
        role = next((each.role for each in messages if is_system(each)), "system")
        others = [each for each in messages if not is_system(each)]
        messages[:] = [*(type(messages[0])(role=role, content=each) for each in opening["system"]), *others]


def tool_names(tools: Any) -> list[str]:
    """Return the names of the tools that a model is offered, sorted."""
    return sorted(str((each.get("function") or each).get("name")) for each in tools or () if isinstance(each, dict))


def _form_name(form: Any) -> str:
    return form.__qualname__ if isinstance(form, type) else digest(form) if form else ""
