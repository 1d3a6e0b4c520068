"""Text that a tool gives piece by piece, of which an earlier attempt may have shown some."""

from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel

from worker.agents.instrumentation.off_loop import stepped
from worker.agents.journal import Entry


class ToolText:
    """The text of what a tool yields.

    Of a call that is made again, events of others' runs are passed on as long as they say what was said before, so
    that those around the call see them as they did. All else is held back to the end: pieces of several members' texts
    may come in another order this time, and the text of the tool itself has been emitted.

    Args:
        said: What came of the call before, if it is made again.
    """

    def __init__(self, said: Entry | None) -> None:
        before = None if said is None else said.value.get("result")
        self.before = before if isinstance(before, str) else None
        self.passed = ""
        self.held = ""
        self._is_again = said is not None

    def takes(self, item: Any) -> bool:
        """Add what was yielded; whether it is passed on now."""
        text = text_of(item)
        if not text or not self._is_again or self._goes_on(item, text):
            self.passed += text
            return True
        self.held += text
        return False

    def _goes_on(self, item: Any, text: str) -> bool:
        return self.before is not None and is_event(item) and self.before.startswith(text, len(self.passed))


def is_event(item: Any) -> bool:
    """Tell whether an item is an event of Agno, and no text."""
    from agno.run.agent import CustomEvent
    from agno.run.base import BaseRunOutputEvent

    return isinstance(item, BaseRunOutputEvent) and not isinstance(item, CustomEvent)


def text_of(item: Any) -> str:
    """What Agno adds to a tool's result for something that the tool yields: the text of other agents' answers too."""
    from agno.run.agent import CustomEvent, RunContentEvent
    from agno.run.base import BaseRunOutputEvent
    from agno.run.team import RunContentEvent as TeamRunContentEvent

    if isinstance(item, RunContentEvent | TeamRunContentEvent):
        return item.content.model_dump_json() if isinstance(item.content, BaseModel) else str(item.content or "")
    return str(item) if isinstance(item, CustomEvent) or not isinstance(item, BaseRunOutputEvent) else ""


async def each_of(source: Any) -> AsyncIterator[Any]:
    """Yield the items of a source, whether plain or asynchronous."""
    if isinstance(source, AsyncIterator):
        async for item in source:
            yield item
        return
    async for item in stepped(source):
        yield item
