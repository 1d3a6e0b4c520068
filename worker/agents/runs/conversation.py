"""The messages of a conversation with a model, followed from one call to the next, since they mostly just grow."""

import hashlib
from collections.abc import Sequence
from operator import attrgetter, is_
from typing import Any

from worker.agents.journal import Scope
from worker.words.digests import IncrementalDigest, as_it_is, digest

_SYSTEM = ("system", "developer")
_content = attrgetter("content")

Contents = dict[int, tuple[Any, str]]
"""Cached digests of attachments, by the id of their content; the content is stored too, so that its id stays unique."""


class Conversation:
    """A list of messages with which a model is called repeatedly.

    Args:
        messages: The list, to which Agno adds between calls.
        scope: The conversation's scope in the journal.
        own_role: The role of the model's own messages.
        contents: Digests of attachments that are already known.
        helper: The Agno helper that calls the model (``memory``, ``parser``, …); None for the agent itself.
        is_agent: Whether the agent itself calls the model, and not user code.
    """

    def __init__(
        self,
        messages: list[Any],
        scope: Scope,
        own_role: str,
        contents: Contents,
        helper: str | None = None,
        *,
        is_agent: bool = False,
    ) -> None:
        self.messages = messages
        self.scope = scope
        self.helper = helper
        self.is_agent = is_agent
        self.digest = IncrementalDigest()
        self._own_role = own_role
        self._contents = contents
        self._seen: list[Any] = []
        self._texts: list[Any] = []
        self._position = 0
        self._said: list[list[Any]] = []

    def follow(self) -> tuple[int, list[list[Any]]]:
        """Read the messages of the current call.

        Returns:
            The number of messages that count, without system and history messages, and the messages that did not come
                from
            the model: role, content and attachments of each.
        """
        if not self._is_continued():
            self._seen, self._texts, self._position, self._said = [], [], 0, []
        said = self._said.copy()
        for each in self.messages[len(self._seen) :]:
            self._seen.append(each)
            self._texts.append(each.content)
            if not counts(each):
                continue
            self._position += 1
            if each.role != self._own_role:
                said.append(said_in(each, self._contents))
        self._said = said
        return self._position, said

    def give_ids(self, calls: Sequence[dict[str, Any]], position: int) -> None:
        """Assign an id, which is the same on every replay, to tool calls whose provider assigns none."""
        for index, call in enumerate(calls):
            if not call.get("id"):
                call["id"] = f"call_{digest([self.scope.key, position, index])[:16]}"

    def _is_continued(self) -> bool:
        """Return whether the messages begin with exactly those of the last call, with unchanged contents."""
        return (
            len(self._seen) <= len(self.messages)
            and all(map(is_, self._seen, self.messages))
            and all(map(is_, self._texts, map(_content, self._seen)))
        )


def counts(message: Any) -> bool:
    """Return whether a message is part of the current request: neither a system message nor history."""
    return not is_system(message) and not message.from_history


def is_system(message: Any) -> bool:
    """Return whether a message is a system message."""
    return message.role in _SYSTEM


def said_in(message: Any, contents: Contents) -> list[Any]:
    """Return the role, content and attachments of a message."""
    return [message.role, as_it_is(message.content), media_in(message, contents)]


def media_in(message: Any, contents: Contents) -> list[Any]:
    """Return digests of a message's attachments."""
    groups = (message.images, message.files, message.audio, message.videos)
    return [digest_of_medium(each, contents) for group in groups if group for each in group]


def digest_of_medium(medium: Any, contents: Contents) -> Any:
    """Return a digest of an attachment's content, or its location if the content is not loaded."""
    content = medium.content
    if not isinstance(content, bytes):
        return [medium.url, str(medium.filepath or ""), content]
    known = contents.get(id(content))
    if known is None:  # the content is stored with its digest, so that no other object takes its id
        known = contents[id(content)] = (content, hashlib.sha256(content).hexdigest())
    return known[1]


def system_text(messages: Sequence[Any]) -> list[Any]:
    """Return the contents of the system messages."""
    return [each.content for each in messages if is_system(each)]
