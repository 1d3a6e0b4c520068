"""Text that a tool streams, of which an earlier attempt may have shown a part."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from worker.agents.event_buffer import plain
from worker.agents.instrumentation.sync_code import iterate_in_thread
from worker.agents.journal import Entry
from worker.agents.translation.values import replayed_event


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
        self._events: list[dict[str, Any]] = []
        self._is_again = said is not None

    def takes(self, item: Any) -> bool:
        """Add an item and return whether to pass it on now."""
        text = text_of(item)
        self.shown += "" if is_custom(item) else text
        if not text or not self._is_again or self._continues(item, text):
            if is_custom(item):
                self._events.append(_event(item, len(self.passed), len(text)))
            self.passed += text
            return True
        self.held += text
        return False

    def packed(self) -> dict[str, Any]:
        """Return the text for the journal, with the user's own events in it."""
        return {"result": self.passed + self.held, **({"events": self._events} if self._events else {})}

    def _continues(self, item: Any, text: str) -> bool:
        return self.before is not None and is_event(item) and self.before.startswith(text, len(self.passed))


class ReplayedItems:
    """What a tool yielded in an earlier attempt; sync and async code of Agno reads it.

    Args:
        items: The items.
    """

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return self._items

    def __next__(self) -> Any:
        return next(self._items)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            return item
        raise StopAsyncIteration


def broken_off(text: str, error: str) -> ReplayedItems:
    """Return what a call yielded before it failed.

    Args:
        text: The text.
        error: The text of the error.
    """

    def items() -> Iterator[str]:
        if text:
            yield text
        raise RuntimeError(error)

    return ReplayedItems(items())


def without_events(text: str, events: Sequence[dict[str, Any]]) -> str:
    """Return a tool's text without what Agno has added for the user's own events."""
    return "".join(each for each, event in _parts(text, events) if event is None)


def with_events(text: str, events: Sequence[dict[str, Any]], kind: Callable[[str], str]) -> ReplayedItems:
    """Return the items of a tool that yielded events of the user's own.

    Args:
        text: The whole text.
        events: The events, as ``ToolText`` packs them.
        kind: Makes each piece of text.
    """
    make = replayed_event()
    return ReplayedItems(
        kind(each) if event is None else make(event["name"], each, event["fields"])
        for each, event in _parts(text, events)
    )


def _parts(text: str, events: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield the pieces of a text in order, each with its event, if it is one's."""
    done = 0
    for each in events:
        start, end = each["at"], each["at"] + each["length"]
        if start > done:
            yield text[done:start], None
        yield text[start:end], each
        done = end
    if done < len(text):
        yield text[done:], None


def _event(event: Any, at: int, length: int) -> dict[str, Any]:
    fields = {name: value for name, value in vars(event).items() if value is not None}
    return {"name": type(event).__name__, "at": at, "length": length, "fields": plain(fields)}


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
