"""Runs of agents that a handler makes by itself, without `run_agent`: Agno says in a value how they ended."""

from dataclasses import dataclass, field
from typing import Any

from worker.words.events import NewEvent
from worker.words.usage import Usage

MOST_NOTES = 200  # events of one attempt's bare runs that are kept until its end


@dataclass(frozen=True, slots=True)
class BareRun:
    """A run that did not end well.

    Args:
        name: Whose.
        text: What Agno gives as its content: an error's text, or what it says of a pause.
        error: The exception behind it, if its model raised one.
        output: Agno's output where it waits for a person.
    """

    name: str
    text: str
    error: BaseException | None = None
    output: Any = None


@dataclass(slots=True)
class BareRuns:
    """What became of an attempt's bare runs, as far as they did not end well."""

    ended: list[BareRun] = field(default_factory=list[BareRun])
    failures: list[BaseException] = field(default_factory=list[BaseException])  # what their models raised
    usage: Usage | None = None  # of all of them, once one has used anything
    notes: list[NewEvent] = field(default_factory=list[NewEvent])  # what the log is to say of them

    def note(self, *events: NewEvent) -> None:
        """Have the log say something at the attempt's end; the same note once."""
        fresh = [each for each in events if each not in self.notes]
        self.notes += fresh[: MOST_NOTES - len(self.notes)]

    def behind(self, text: str) -> BaseException | None:
        """The exception whose text Agno reports, the latest first."""
        return next((each for each in reversed(self.failures) if str(each) == text), None)

    def of_result(self, result: str) -> BareRun | None:
        """The run whose failure or pause a handler passes off as its result; None means it is a result."""
        return next((each for each in reversed(self.ended) if each.text and result.endswith(each.text)), None)
