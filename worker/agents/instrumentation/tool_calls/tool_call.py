"""Tool calls: answered from the journal if an earlier attempt completed them, and journaled when they complete."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from copy import copy
from typing import Any

from worker.agents.errors import failed_tool
from worker.agents.instrumentation.frames import UNKNOWN, Frame, current_turn, place_of, streamed, streamed_sync
from worker.agents.instrumentation.time_limits import until, until_sync
from worker.agents.instrumentation.tool_calls import session_state, tool_texts
from worker.agents.instrumentation.tool_calls.shown_results import ShownResult
from worker.agents.instrumentation.tool_calls.tool_outcomes import RAISED, is_streamed, pack_outcome, pack_result
from worker.agents.journal import Entry, Identity, Scope
from worker.agents.runs.loops import BEYOND
from worker.agents.tools.tools import declared, has_state, is_redone, lost_state, name_of_toolkit, shape_of
from worker.agents.translation.tool_events import is_emitted, request_event, result_event
from worker.agents.translation.values import ReplayedText, unpacked
from worker.words.classification import message_of
from worker.words.digests import digest
from worker.words.events import NewEvent


class ToolCall:
    """One tool call.

    Args:
        frame: The frame of the caller: an agent or team, or a tool whose code calls another tool.
        function_call: Agno's call.
    """

    def __init__(self, frame: Frame, function_call: Any) -> None:
        self._run = frame.run
        self.call = function_call
        asked, turn = [function_call.function.name, function_call.arguments], current_turn.get()
        self._place = place_of(frame, turn, function_call.call_id, digest(asked))
        self._owner, self._helper, self._home, self._at, self._match = self._place
        # The request may be all that an earlier attempt has stored of the code that makes the call.
        self._home_of_request = (self._home.parent if turn is None else None) or self._home
        self._member = self._place.member
        self._context = (function_call.function.__pydantic_private__ or {}).get("_run_context")
        self._found = session_state.found(self._state())
        self._shape: dict[str, Any] | None = None
        self._said: Entry | None = None  # the earlier result of a call that is made again
        self.is_redone = is_redone(function_call.function)
        self._limits = declared(function_call.function)
        self._shown = ShownResult(self._owner, self._home, function_call.function)
        self._is_streamed = False
        self._deadline: float | None = None  # by the loop's clock
        self._number = self._owner.calls_tool(self.name) if self._limits.calls is not None else 0
        if self._owner.noted_state is UNKNOWN:
            self._owner.noted_state = session_state.copied(self._state())
        self.frame = Frame(self._run, function_call, self._open_scope, frame, given=frame.given, member=frame.member)

    def key(self) -> str:
        """Return the idempotency key, which includes the call's place: some providers reuse call ids in every turn."""
        return f"{self._run.record.id}:{self.call.call_id}:{self._place.mark[:12]}"

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.call.function.name

    async def begin(self) -> None:
        """Emit that the tool is called.

        Returns when the event is stored, together with the answer that requested the call and holds the call's id.
        """
        self._shape = shape_of(self.call.function)
        if self._limits.seconds is not None:
            self._deadline = self._run.loop.time() + self._limits.seconds
        self._run.emit(self._request(), self._home_of_request, at_once=self._run.journal.is_kept, call=self._home)
        if self._run.journal.is_kept and not self._run.blocks_the_loop:
            await self._run.buffer.all_stored()

    async def from_journal(self) -> Entry | None:
        """Return an earlier attempt's entry for the call; None if the call has to be made."""
        run = self._run
        entry = run.journal.take(self._home, "tool", self._at, self._match) if self._home.entries else None
        if self.is_redone:
            self._said = entry
            self.frame.began = time.time() if entry is None else entry.value.get("began")
            return None
        if entry is None:
            self.frame.mark_live()
            self._warn_of_lost_state()
            return None
        request = self._request()  # counts the tool as used, in the order of the calls, not in that of their ends
        await asyncio.sleep(0)  # the answer's other calls begin, and count as used, before those below this one
        await run.turn(self._home, entry)
        if not entry.is_counted:
            entry.is_counted = True
            run.emit(request, self._home)  # counts the earlier event as reached; the log has the result as well
        self._skip_below(entry)
        if entry.value.get("stateful") or has_state(self.call.function):
            run.answered_toolkits.add(name_of_toolkit(self.call.function))
        self._restore(entry)
        return entry

    @property
    def seconds(self) -> float | None:
        """The time limit in seconds."""
        return self._limits.seconds

    @property
    def exceeds_limit(self) -> bool:
        """Whether the call exceeds the tool's call limit."""
        return self._limits.calls is not None and self._number > self._limits.calls

    def refused(self) -> Any:
        """Answer the call with an error for the model, because of the tool's call limit, and return Agno's outcome."""
        text = f"{BEYOND}{self.name} reached ({self._limits.calls}). Tool call not executed."
        return self._failed(f"{text} Don't try to execute it again.")

    def answer_timeout(self) -> Any:
        """Answer the ended call with an error for the model and return Agno's outcome."""
        outcome = self._failed(self.too_long)
        self.call = copy(self.call)  # an abandoned thread still writes to the original
        return outcome

    @property
    def too_long(self) -> str:
        """The error for the model when a call exceeds its time limit."""
        return f"{self.name} took longer than {self.seconds or 0:g} s and was ended."

    def _failed(self, text: str) -> Any:
        from agno.tools.function import FunctionExecutionResult

        self.call.error, self.call.result = text, None
        return FunctionExecutionResult(status="failure", error=text)

    def completed(self, success: Any, outcome: Any, *, plain: bool = False) -> None:
        """Journal the call's outcome; a streamed result is journaled once it is complete.

        Args:
            success: True, False, or the exception with which the tool steers its agent.
            outcome: Agno's record of the outcome.
            plain: Whether sync code reads the result.
        """
        call = self.call
        if is_streamed(call.result):
            self._is_streamed = True
            call.result = self._followed_sync(call.result) if plain else self._followed(call.result)
            outcome.result = call.result
            return
        if success is False and self._run.is_leaving:
            raise self._run.suspend()
        self._stops(success)
        has_failed = success is not True
        result = call.error if has_failed else call.result
        self._note(pack_outcome(success, call, outcome), result, has_failed=has_failed)

    def _stops(self, success: Any) -> None:
        """Store the message of a tool that stops its agent, which becomes the answer if there is no other."""
        if self._owner.parent is None and getattr(success, "stop_execution", False):
            self._run.stop_message = str(success)

    def broke(self, error: Exception) -> None:
        """Record an error that Agno does not pass to its model, so that it ends the run."""
        failed = failed_tool(error)
        self._run.failures.append(failed)
        self._run.emit(self._result(message_of(failed), has_failed=True), self._home, at_once=True)

    def cut(self) -> None:
        """Journal the result of a call in a cancelled run, if its thread has just finished."""
        result = self.call.result
        if result is not None and not is_streamed(result):
            self._note(pack_result(result), result)

    def answer(self, entry: Entry) -> tuple[Any, Any]:
        """Apply an entry to the call and return Agno's success and outcome."""
        from agno.exceptions import AgentRunException
        from agno.tools.function import FunctionExecutionResult

        call, value = self.call, entry.value
        success: Any = "error" not in value
        if success:
            call.result = self._result_of(entry)
        elif "shown" in value:  # Agno learns of the failure when it has shown the text, as in the earlier attempt
            success, call.result = True, tool_texts.broken_off(self._shown.again(value["shown"], entry), value["error"])
        else:
            call.error, call.result = value["error"], self._shown.again(None, entry)
        if "raised" in value:
            raised = unpacked(value["raised"])
            success = AgentRunException(raised.get("exc"), **{name: raised[name] for name in RAISED if name in raised})
            self._stops(success)
        outcome = FunctionExecutionResult(
            status="success" if success is True else "failure",
            result=call.result,
            error=call.error,
            updated_session_state=self._state() if "state" in value else None,
            **unpacked(value.get("media", {})),
        )
        return success, outcome

    def _result_of(self, entry: Entry) -> Any:
        """Return the result of a call that succeeded."""
        value = entry.value
        if "events" not in value:
            return self._shown.again(unpacked(value["agno"]) if "agno" in value else value["result"], entry)
        text, events = value["result"], value["events"]
        shown = self._shown.again(tool_texts.without_events(text, events), entry)
        return tool_texts.with_events(text, events, type(shown))

    def _breaks_off(self, text: tool_texts.ToolText, error: Exception) -> None:
        """Journal that a call has failed while it streamed its result."""
        shown = {"shown": text.shown} if self._shown.is_shown else {}
        self._note({"error": str(error), **shown}, str(error), has_failed=True)

    def _open_scope(self) -> Scope:
        """Open the scope of calls made within this one."""
        return self._run.journal.open(self._home, self._identity, self.name)

    @property
    def _identity(self) -> Identity:
        return Identity("tool", self._at, lambda: self._match, str)

    @property
    def _is_emitted(self) -> bool:
        return is_emitted(self.call.function, self.call.arguments)

    async def _followed(self, source: Any) -> AsyncIterator[Any]:
        """Pass on the items that a tool yields; the text that Agno makes of them is the result."""
        text = tool_texts.ToolText(self._said)
        self._shown.begin()
        try:
            items = tool_texts.each_of(source)
            if self._deadline is not None:
                items = until(self._deadline, items, self.too_long)
            async for item in streamed(items, self.frame, self.key):
                if text.takes(item):
                    yield item
        except Exception as error:
            self._breaks_off(text, error)
            raise
        rest = self._rest_of(text)
        if rest:
            yield rest

    def _followed_sync(self, source: Iterator[Any]) -> Iterator[Any]:
        """Sync version of ``_followed``."""
        text = tool_texts.ToolText(self._said)
        self._run.call(self._shown.begin)
        try:
            if self._deadline is not None:
                source = until_sync(self._deadline, source, self.too_long, self._run.loop, self._run.thread)
            for item in streamed_sync(source, self.frame, self.key):
                if text.takes(item):
                    yield item
        except Exception as error:
            self._run.call(self._breaks_off, text, error)
            raise
        rest = self._run.call(self._rest_of, text)
        if rest:
            yield rest

    def _rest_of(self, text: tool_texts.ToolText) -> str:
        """Return the text that a call has to yield to match its earlier result; journal the result if it is new."""
        if text.before is None or self.frame.is_live:
            self._note(text.packed(), text.passed + text.held)
            return text.held
        if self.frame.has_scope:
            self._run.journal.end(self.frame.scope, failed=False)
        return ReplayedText(text.before[len(text.passed) :])

    def _note(self, value: dict[str, Any], result: Any, *, has_failed: bool = False) -> None:
        if self.frame.is_paused:
            return  # a nested run waits for a person; the call is made again after the answer
        run, call = self._run, self.call
        events = self._result(result, has_failed=has_failed)
        if self.frame.has_scope:
            run.journal.end(self.frame.scope, failed=False)
            told = self.frame.scope.all_told()
            if told:
                value["told"] = told
        if self._is_emitted and not self._helper:
            value["tool"] = self.name
        if self.is_redone:
            value |= {"redone": True, "began": self.frame.began}
            run.emit(events, self._home)
            events = []
        self._add_state(value)
        number = run.journal.next_number()
        closes = self._shown.ends(result, number, is_streamed=self._is_streamed)
        references = self._owner.new_references()
        if references:
            value["references"] = references
        if self._shape != shape_of(call.function):
            value["stateful"] = True
        what, at, match = f"The result of {self.name}", self._at, self._match
        run.note(self._home, "tool", at, value, match=match, what=what, events=events, closes=closes, number=number)

    def _request(self) -> list[NewEvent]:
        """Return the event that the tool is called."""
        if not self._is_emitted:
            return []
        if not self._helper:
            self._run.usage.tools[self.name] = None
        return [request_event(self._place.call_id(self.call), self.name, self.call.arguments, self._member)]

    def _result(self, result: Any, *, has_failed: bool) -> list[NewEvent]:
        """Return the event with the call's result."""
        if not self._is_emitted:
            return []
        call, call_id = self.call, self._place.call_id(self.call)
        return [result_event(call_id, self.name, call.arguments, result, is_error=has_failed, member=self._member)]

    # side effects of a tool on session state and references

    def _state(self) -> Any:
        return getattr(self._context, "session_state", None)

    def _add_state(self, value: dict[str, Any]) -> None:
        """Add the session state after the call, if it differs from the last known state."""
        state = session_state.copied(self._state())
        if state != self._owner.noted_state:
            value["state"] = self._owner.noted_state = state
            value["same"] = session_state.same_objects(self._state(), self._found)

    def _restore(self, entry: Entry) -> None:
        """Restore the session state after the call, unless a call that ended later has already been answered."""
        self._owner.restore_references(entry.value.get("references"))
        state = self._state()
        if "state" not in entry.value or not isinstance(state, dict):
            return
        if entry.number >= self._run.states.get(id(state), (0, 0)):
            self._run.states[id(state)] = entry.number
            session_state.restore(state, entry.value["state"], entry.value.get("same", []))
            self._owner.noted_state = entry.value["state"]

    # nested work and state that cannot be restored

    def _skip_below(self, entry: Entry) -> None:
        """Skip and count the nested work of a call that is answered as a whole."""
        self._run.reached(self._home, entry.value.get("told", ()))
        found = self._home.match(self._identity) if self._home.available else None
        if found is not None:
            self._run.pass_over(found, self._run.count)

    def _warn_of_lost_state(self) -> None:
        """Emit a note if the toolkit's earlier calls were answered from the journal, so that its state is missing."""
        if not self._run.answered_toolkits:
            return
        toolkit = name_of_toolkit(self.call.function)
        if toolkit in self._run.answered_toolkits:
            self._run.answered_toolkits.discard(toolkit)
            self._run.emit([lost_state(toolkit)])
