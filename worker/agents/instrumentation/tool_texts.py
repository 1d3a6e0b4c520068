"""Text that a tool streams, of which an earlier attempt may have shown a part."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from pydantic import BaseModel

from worker.agents.instrumentation.sync_code import iterate_in_thread
from worker.agents.journal import Entry


class ToolText:
    """The text of the items that a tool yields.

    For a call that is made again, events of nested runs are passed on as long as they match the earlier text, so that
    their readers receive the same events. Everything else is held back to the end: chunks of several members' texts may
    arrive in another order, and the tool's own text has already been emitted.

    Args:
        said: The earlier result of a call that is made again.
    """

    def __init__(self, said: Entry | None) -> None:
        before = None if said is None else said.value.get("result")
        self.before = before if isinstance(before, str) else None
        self.passed = ""
        self.shown = ""  # as the agent's own text, if Agno shows the tool's result
        self.held = ""
        self._is_again = said is not None

    def takes(self, item: Any) -> bool:
        """Add an item and return whether to pass it on now."""
        text = text_of(item)
        self.shown += "" if is_custom(item) else text
        if not text or not self._is_again or self._continues(item, text):
            self.passed += text
            return True
        self.held += text
        return False

    def _continues(self, item: Any, text: str) -> bool:
        return self.before is not None and is_event(item) and self.before.startswith(text, len(self.passed))


class BrokenOff:
    """What an earlier attempt's call has streamed before it failed; sync and async code of Agno reads it.

    Args:
        text: The text.
        error: The text of the error.
    """

    def __init__(self, text: str, error: str) -> None:
        self._items = self._each(text, error)

    def __iter__(self) -> Iterator[str]:
        return self._items

    def __next__(self) -> str:
        return next(self._items)

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        return next(self._items)

    @staticmethod
    def _each(text: str, error: str) -> Iterator[str]:
        if text:
            yield text
        raise RuntimeError(error)


def is_custom(item: Any) -> bool:
    """Return whether an item is an event of the user's own."""
    from agno.run.agent import CustomEvent

    return isinstance(item, CustomEvent)


def is_event(item: Any) -> bool:
    """Return whether an item is an event of Agno, not text."""
    from agno.run.base import BaseRunOutputEvent

    return isinstance(item, BaseRunOutputEvent) and not is_custom(item)


def text_of(item: Any) -> str:
    """Return the text that Agno adds to a tool's result for a yielded item, including other agents' answers."""
    from agno.run.agent import RunContentEvent
    from agno.run.base import BaseRunOutputEvent
    from agno.run.team import RunContentEvent as TeamRunContentEvent

    if isinstance(item, RunContentEvent | TeamRunContentEvent):
        return item.content.model_dump_json() if isinstance(item.content, BaseModel) else str(item.content or "")
    return str(item) if is_custom(item) or not isinstance(item, BaseRunOutputEvent) else ""


async def each_of(source: Any) -> AsyncIterator[Any]:
    """Yield the items of a sync or async iterator."""
    if isinstance(source, AsyncIterator):
        async for item in source:
            yield item
        return
    async for item in iterate_in_thread(source):
        yield item
