"""Results of tools that Agno shows as the agent's own text."""

from typing import Any

from worker.agents.instrumentation.frames import Frame
from worker.agents.journal import Entry, Scope
from worker.agents.journal.rows import Number
from worker.agents.translation.values import ReplayedText


class ShownResult:
    """The result of one tool call, as far as it is shown; nothing happens for tools whose results are not.

    Args:
        owner: The frame of the agent or team whose text it becomes.
        home: The scope of the call's row.
        function: Agno's function.
    """

    def __init__(self, owner: Frame, home: Scope, function: Any) -> None:
        self._run, self._run_id, self._home = owner.run, owner.run_id, home
        self.is_shown = bool(function.show_result)

    def begin(self) -> None:
        """Record that the result is about to be streamed."""
        if self.is_shown:
            self._run.begin_stream(self._run_id)

    def ends(self, result: Any, number: Number, *, is_streamed: bool) -> bool:
        """Record that the result is complete, and return whether its text is in the log already.

        Args:
            result: The result, or the text of the error.
            number: The number of the call's row.
            is_streamed: Whether it was streamed.
        """
        if not self.is_shown:
            return False
        is_told = is_streamed and self._run.end_stream(self._run_id, complete=True)
        if not is_told:
            self._defer_text(result, number)
        return is_told

    def again(self, result: Any, entry: Entry) -> Any:
        """Return a result for Agno to show, marked as text that is in the log already if it is.

        Args:
            result: The result of an earlier attempt's call; None also if it failed.
            entry: Its entry in the journal.
        """
        if not self.is_shown:
            return result
        if result is None:
            result = str(result)  # which Agno shows, also of a call that failed
        if self._run.shows_text and not self._run.journal.is_shown(entry):
            self._defer_text(result, entry.number)
            return result
        if not hasattr(result, "content"):
            return ReplayedText(result)
        result.content = ReplayedText(result.content)  # Agno's ToolResult, which may contain media
        return result

    def _defer_text(self, result: Any, number: Number) -> None:
        """Note a result that Agno will show, and that is not in the log yet."""
        text = str(getattr(result, "content", result))
        self._run.defer_text(self._run_id, self._home, number, [{"content": text}])
