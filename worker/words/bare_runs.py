"""Agent runs that a handler starts without ``run_agent``, whose failures Agno reports as values, not exceptions."""

from dataclasses import dataclass, field
from typing import Any

from worker.words.events import NewEvent
from worker.words.usage import Usage

MAX_NOTES = 200  # events held until the end of an attempt, for all its bare runs


@dataclass(slots=True)
class BareRun:
    """A run that failed or paused.

    Args:
        name: The name of the agent.
        text: The content of Agno's output: an error's text, or the message about a pause.
        error: The exception behind it, if its model raised one.
        output: Agno's output, if the run waits for a person.
        streamed: The text that the run streamed before it failed; None if it was not streamed, or another run followed.
    """

    name: str
    text: str
    error: BaseException | None = None
    output: Any = None
    streamed: str | None = None

    @property
    def still_waits(self) -> bool:
        """Whether the run waits for a person: a handler may have continued it since."""
        status = getattr(self.output, "status", "PAUSED")
        return self.output is not None and getattr(status, "value", status) == "PAUSED"


@dataclass(slots=True)
class BareRuns:
    """The failures, pauses and usage of an attempt's bare runs."""

    ended: list[BareRun] = field(default_factory=list[BareRun])
    failures: list[BaseException] = field(default_factory=list[BaseException])  # raised by their models
    usage: Usage | None = None  # the total of all runs; None until one has used anything
    notes: list[NewEvent] = field(default_factory=list[NewEvent])  # events to log at the end of the attempt

    def note(self, *events: NewEvent) -> None:
        """Keep events for the end of the attempt, without duplicates."""
        fresh = [each for each in events if each not in self.notes]
        self.notes += fresh[: MAX_NOTES - len(self.notes)]

    def behind(self, text: str) -> BaseException | None:
        """Return the latest exception with the given text, which Agno reported in its place."""
        return next((each for each in reversed(self.failures) if str(each) == text), None)

    def begin(self) -> None:
        """Record that another run begins: a handler that returns its text does not return that of an earlier one."""
        for each in self.ended:
            each.streamed = None

    def of_result(self, result: str | None) -> BareRun | None:
        """Return the run whose failure or pause a handler returned as its result; None for a genuine result.

        A workflow that waits for a person has no content, so that a handler that returns its content returns None.
        """
        if result is None:
            return next((each for each in self.ended[-1:] if each.still_waits and not each.text), None)
        broken = next((each for each in self.ended if each.streamed is not None and each.streamed == result), None)
        return broken or next((each for each in reversed(self.ended) if each.text and result.endswith(each.text)), None)
