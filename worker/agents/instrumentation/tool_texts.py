"""Text that a tool streams, of which an earlier attempt may have shown a part."""

from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel

from worker.agents.instrumentation.off_loop import iterate_in_thread
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
        self.held = ""
        self._is_again = said is not None

    def takes(self, item: Any) -> bool:
        """Add an item and return whether to pass it on now."""
        text = text_of(item)
        if not text or not self._is_again or self._goes_on(item, text):
            self.passed += text
            return True
        self.held += text
        return False

    def _goes_on(self, item: Any, text: str) -> bool:
        return self.before is not None and is_event(item) and self.before.startswith(text, len(self.passed))


def is_event(item: Any) -> bool:
    """Return whether an item is an event of Agno, not text."""
    from agno.run.agent import CustomEvent
    from agno.run.base import BaseRunOutputEvent

    return isinstance(item, BaseRunOutputEvent) and not isinstance(item, CustomEvent)


def text_of(item: Any) -> str:
    """Return the text that Agno adds to a tool's result for a yielded item, including other agents' answers."""
    from agno.run.agent import CustomEvent, RunContentEvent
    from agno.run.base import BaseRunOutputEvent
    from agno.run.team import RunContentEvent as TeamRunContentEvent

    if isinstance(item, RunContentEvent | TeamRunContentEvent):
        return item.content.model_dump_json() if isinstance(item.content, BaseModel) else str(item.content or "")
    return str(item) if isinstance(item, CustomEvent) or not isinstance(item, BaseRunOutputEvent) else ""


async def each_of(source: Any) -> AsyncIterator[Any]:
    """Yield the items of a sync or async iterator."""
    if isinstance(source, AsyncIterator):
        async for item in source:
            yield item
        return
    async for item in iterate_in_thread(source):
        yield item
