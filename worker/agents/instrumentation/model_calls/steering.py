"""Messages sent to a running task: its agent reads them before its next model call, in each attempt at the same place.

They become user messages at the end of the conversation with the model. A row of the journal records which messages
were read where, so that a later attempt reads them at that place and nowhere else. If a message arrives while the model
gives its last answer, the model is asked again, and the new answer replaces that one.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from worker.agents.instrumentation.frames import Frame, current_frame
from worker.agents.journal import superseded_answer
from worker.agents.runs.agent_run import AgentRun
from worker.agents.runs.conversation import Conversation
from worker.current import Run
from worker.words.errors import ModuleException
from worker.words.messages import ReceivedMessage

KIND = "said"
POLL_SECONDS = 2.0  # poll interval without a hint
WHAT = "A message"


def follow_again(frame: Frame, conversation: Conversation) -> tuple[int, list[list[Any]]]:
    """Follow a conversation, and add the messages that an earlier attempt read at this place.

    Returns:
        As ``Conversation.follow``.
    """
    position, said = conversation.follow()
    scope = conversation.scope
    while scope.entries and _is_read_by(frame, conversation):
        entry = frame.run.journal.take(scope, KIND, str(position))
        if entry is None:
            break
        _add(conversation, [each["text"] for each in entry.value])
        position, said = conversation.follow()
    return position, said


async def read(frame: Frame, conversation: Conversation, position: int) -> bool:
    """Add unread messages before a new model call, and return whether there were any.

    Args:
        frame: The frame of the caller.
        conversation: The conversation.
        position: The number of messages before the call.
    """
    run = frame.run
    attempt = run.attempt
    if attempt is None or attempt.attempt is None or not run.journal.is_kept or not _is_read_by(frame, conversation):
        return False
    fresh = await _unread(run, attempt)
    if not fresh:
        return False
    value = [{"number": each.number, "text": each.text} for each in fresh]
    run.note(conversation.scope, KIND, str(position), value, match="", what=WHAT)
    _add(conversation, [each.text for each in fresh])
    return True


def answered(original: Callable[..., Any]) -> Callable[..., Any]:
    """Make the hook for Agno's loop that calls a model until it calls no more tools."""

    def hook(self: Any, messages: list[Any], **options: Any) -> AsyncIterator[Any]:
        made = original(self, messages=messages, **options)
        frame = current_frame.get()
        if frame is None or frame.run.attempt is None or not _is_outermost(frame):
            return made

        def again() -> AsyncIterator[Any]:
            return original(self, messages=messages, **options)

        return _until_no_new_messages(frame, messages, self.assistant_message_role, made, again)

    return hook


async def _until_no_new_messages(
    frame: Frame, messages: list[Any], role: str, made: AsyncIterator[Any], again: Callable[[], AsyncIterator[Any]]
) -> AsyncIterator[Any]:
    """Pass on an agent's answer, and ask the model again as long as new messages have arrived."""
    from agno.models.response import ModelResponse, ModelResponseEvent

    while True:
        async with aclosing(made):  # pyright: ignore[reportArgumentType] - always a generator
            async for each in made:
                yield each
        conversation = frame.conversations.get(id(messages))
        last = messages[-1]
        if conversation is None or last.role != role or last.tool_calls or frame.run.asked:
            return
        before, _ = conversation.follow()
        position, _ = follow_again(frame, conversation)
        if position == before and not await read(frame, conversation, position):
            return
        if frame.run.has_streamed:
            frame.run.emit([superseded_answer()], conversation.scope)
        yield ModelResponse(event=ModelResponseEvent.fallback_model_activated.value)  # makes Agno drop the first answer
        made = again()


async def _unread(run: AgentRun, attempt: Run) -> list[ReceivedMessage]:
    inbox = attempt.inbox
    if inbox.is_due(POLL_SECONDS):
        inbox.waits, inbox.looked = False, time.monotonic()
        try:
            last = inbox.messages[-1].number if inbox.messages else 0
            inbox.messages += await attempt.work.messages(attempt.task_id, last)
        except ModuleException:
            inbox.waits = True  # read the messages before the next call instead
    if not inbox.messages:
        return []
    known = run.journal.read_messages()
    return [each for each in inbox.messages if each.number not in known]


def _is_read_by(frame: Frame, conversation: Conversation) -> bool:
    """Return whether a conversation receives messages: the outermost agent's, not a member's, helper's or tool's."""
    if not conversation.is_agent or conversation.helper is not None:
        return False
    return _is_outermost(frame)


def _is_outermost(frame: Frame) -> bool:
    return not any(each.run_id and not hasattr(each.owner, "steps") for each in frame.path() if each is not frame)


def _add(conversation: Conversation, texts: list[str]) -> None:
    from agno.models.message import Message

    conversation.messages += [Message(role="user", content=each) for each in texts]
