"""What a model is asked, message by message: followed from one call to the next, since it mostly just grows."""

import hashlib
from collections.abc import Sequence
from operator import attrgetter, is_
from typing import Any

from worker.agents.journal import Scope
from worker.words.digests import GrowingDigest, as_it_is, digest

_SYSTEM = ("system", "developer")
_content = attrgetter("content")

Contents = dict[int, tuple[Any, str]]
"""Digests of attachments that are known already, by the id of their content, which is kept with its digest."""


class Conversation:
    """One list of messages that a model is asked with again and again.

    Args:
        messages: The list; Agno adds to it between calls.
        scope: Its scope in the journal.
        own_role: Of the model's own messages.
        contents: Digests that are known already.
        helper: Which of Agno's helpers asks (``memory``, ``parser``, …); None where the agent itself does.
        is_agent: Whether the agent itself asks, and not code of the user's.
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
        self.digest = GrowingDigest()
        self._own_role = own_role
        self._contents = contents
        self._seen: list[Any] = []
        self._texts: list[Any] = []
        self._position = 0
        self._said: list[list[Any]] = []

    def follow(self) -> tuple[int, list[list[Any]]]:
        """Take in what the model is asked with now.

        Returns:
            How many messages count, those of the system and of the history left out; and what was said by others
            than the model: role, content and attachments of each.
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
        """Give an id to tool calls whose provider gives none: the same one whenever it is asked."""
        for index, call in enumerate(calls):
            if not call.get("id"):
                call["id"] = f"call_{digest([self.scope.key, position, index])[:16]}"

    def _is_continued(self) -> bool:
        """Whether a call begins with the very messages of the one before, none of them with another content."""
        return (
            len(self._seen) <= len(self.messages)
            and all(map(is_, self._seen, self.messages))
            and all(map(is_, self._texts, map(_content, self._seen)))
        )


def counts(message: Any) -> bool:
    """Whether a message is part of what a model is asked now: neither system text nor history."""
    return not is_system(message) and not message.from_history


def is_system(message: Any) -> bool:
    """Whether a message is the system's."""
    return message.role in _SYSTEM


def said_in(message: Any, contents: Contents) -> list[Any]:
    """Role, content and attachments of a message."""
    return [message.role, as_it_is(message.content), media_in(message, contents)]


def media_in(message: Any, contents: Contents) -> list[Any]:
    """Digests of the attachments of a message."""
    groups = (message.images, message.files, message.audio, message.videos)
    return [digest_of_medium(each, contents) for group in groups if group for each in group]


def digest_of_medium(medium: Any, contents: Contents) -> Any:
    """A digest of an attachment's content; of one that is not loaded, where it lies."""
    content = medium.content
    if not isinstance(content, bytes):
        return [medium.url, str(medium.filepath or ""), content]
    known = contents.get(id(content))
    if known is None:  # the content is kept with its digest, so that no other object takes its id
        known = contents[id(content)] = (content, hashlib.sha256(content).hexdigest())
    return known[1]


def system_text(messages: Sequence[Any]) -> list[Any]:
    """What the system messages say."""
    return [each.content for each in messages if is_system(each)]
