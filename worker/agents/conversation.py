"""What a model is asked, message by message: followed from one call to the next, since it mostly just grows."""

import hashlib
from collections.abc import Sequence
from operator import attrgetter, is_
from typing import Any

from worker.words.digests import GrowingDigest, as_it_is

_SYSTEM = ("system", "developer")
_content = attrgetter("content")


class Conversation:
    """The messages of one run of Agno's.

    Args:
        own_role: Of the model's own messages.
        contents: Digests of attachments that are known already, by the id of their content.
    """

    def __init__(self, own_role: str, contents: dict[int, tuple[Any, str]]) -> None:
        self.digest = GrowingDigest()
        self._own_role = own_role
        self._contents = contents
        self._messages: list[Any] = []
        self._texts: list[Any] = []
        self._position = 0
        self._said: list[list[Any]] = []

    def follow(self, messages: Sequence[Any]) -> tuple[int, list[list[Any]]]:
        """Take in what a call is asked with.

        Returns:
            How many messages count, those of the system and of the history left out; and what was said by others
            than the model: role, content and attachments of each.
        """
        if not self._is_continued_by(messages):
            self._messages, self._texts, self._position, self._said = [], [], 0, []
        said = self._said.copy()
        for each in messages[len(self._messages) :]:
            self._messages.append(each)
            self._texts.append(each.content)
            role = each.role
            if role in _SYSTEM or each.from_history:
                continue
            self._position += 1
            if role != self._own_role:
                said.append([role, as_it_is(each.content), _media(each, self._contents)])
        self._said = said
        return self._position, said

    def _is_continued_by(self, messages: Sequence[Any]) -> bool:
        """Whether a call begins with the very messages of the one before, none of them with another content."""
        return (
            len(self._messages) <= len(messages)
            and all(map(is_, self._messages, messages))
            and all(map(is_, self._texts, map(_content, self._messages)))
        )


def _media(message: Any, contents: dict[int, tuple[Any, str]]) -> list[Any]:
    groups = (message.images, message.files, message.audio, message.videos)
    return [_medium(each, contents) for group in groups if group for each in group]


def _medium(medium: Any, contents: dict[int, tuple[Any, str]]) -> Any:
    content = medium.content
    if not isinstance(content, bytes):
        return [medium.url, str(medium.filepath or ""), content]
    known = contents.get(id(content))
    if known is None:  # the content is kept with its digest, so that no other object takes its id
        known = contents[id(content)] = (content, hashlib.sha256(content).hexdigest())
    return known[1]
