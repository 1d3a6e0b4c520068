"""Tool calls against the journal."""

from collections.abc import AsyncIterator, Iterator
from functools import cache, partial
from typing import Any

from worker.agents.journal import Entry, Place
from worker.agents.replay import Replay, Scope, key_of, scope_of_models, turn_of_tools
from worker.agents.tool_events import is_told, request_event, result_event
from worker.agents.values import is_json, packed, unpacked
from worker.current import call_in_hand


class ToolCall:
    """A tool call.

    Args:
        replay: The run's.
        place: Where it stands.
        function_call: Agno's.
    """

    def __init__(self, replay: Replay, place: Place, function_call: Any) -> None:
        self.place = place
        self._replay = replay
        self._call = function_call
        # by getattr, pydantic looks for it everywhere else first
        self._context = (function_call.function.__pydantic_private__ or {}).get("_run_context")
        self._state_before = _copy(self._state())

    async def begins(self) -> None:
        """Have the log told that the tool is asked for, if Agno's event has not been there first.

        Returns when that is stored, and with it the answer that asked: it holds the id that the tool is called by.
        """
        call = self._call
        if is_told(call.function.name, call.arguments) and self._replay.is_due(call.call_id, by_event=False):
            asked = request_event(call.call_id, call.function.name, call.arguments, self._member)
            self._replay.tell([asked], at_once=True)
        await self._replay.outlet.all_stored()

    def known(self) -> Any:
        """What ``arun_function_call`` answered in an earlier attempt; none: it was not completed."""
        entry = self._replay.journal.take(self.place)
        if entry is None:
            return None
        self._replay.answered[self._call.call_id] += 1
        self._restore_state(entry)
        return _done(self._call, entry.value, self._context)

    def completed(self, done: Any) -> Any:
        """Note what came of it; a result that is still to come is noted when it has."""
        success, _, call, outcome = done
        if isinstance(call.result, AsyncIterator | Iterator):
            call.result = self._followed(call.result)
            return done
        if success is False and self._replay.is_leaving:
            raise self._replay.suspend()
        has_failed = success is not True
        result = call.error if has_failed else call.result
        self._note(_pack_done(success, call, outcome), result, has_failed=has_failed)
        return done

    def cut(self) -> None:
        """The run was cancelled; a tool in a thread may have ended at that very moment."""
        result = self._call.result
        if result is not None and not isinstance(result, AsyncIterator | Iterator):
            self._note(_pack_result(result), result)

    async def _followed(self, source: Any) -> AsyncIterator[Any]:
        """Pass on what a tool yields. Model calls within are journaled each; else the text as a whole is the result."""
        scope = Scope((*self.place.path, self.place.at))
        scope_of_models.set(scope)
        turn_of_tools.set(None)
        call_in_hand.set(partial(key_of, self._replay.journal.task_id, self.place, self._call))
        text, is_text = list[str](), True
        async for item in _each(source):
            is_text = is_text and not hasattr(item, "run_id")
            if is_text:
                text.append(str(item))
            yield item
        if is_text and not scope.asks:
            whole = "".join(text)
            self._note({"result": whole}, whole)

    def _note(self, value: dict[str, Any], result: Any, *, has_failed: bool = False) -> None:
        call, name = self._call, self._call.function.name
        state = self._state()
        left = None if state == self._state_before else _copy(state)
        if left is not None and left != self._state_before:
            value["state"] = left
        self._replay.answered[call.call_id] += 1
        event = result_event(call.call_id, name, call.arguments, result, is_error=has_failed, member=self._member)
        events = [event] if is_told(name, call.arguments) else []
        self._replay.note(self.place, value, events, f"The result of {name}")

    @property
    def _member(self) -> str | None:
        """Who calls, where it is a team's member: behind the delegating calls of its path."""
        *above, owner = self.place.path or ("",)
        return owner.partition("~")[0] or None if above else None

    def _state(self) -> Any:
        return getattr(self._context, "session_state", None)

    def _restore_state(self, entry: Entry) -> None:
        """Set the session state as the call left it, unless one that ended later has been answered already."""
        state = self._state()
        if "state" not in entry.value or not isinstance(state, dict):
            return
        if entry.number >= self._replay.states.get(id(state), (0, 0)):
            self._replay.states[id(state)] = entry.number
            state.clear()
            state.update(unpacked(entry.value["state"]))


def _copy(state: Any) -> Any:
    """A session state as JSON can say it; none where there is none, or none that JSON can say."""
    try:
        return packed(state) if state else None
    except RecursionError:
        return None


def _pack_done(success: Any, call: Any, outcome: Any) -> dict[str, Any]:
    """What a finished call leaves: its result, or its failure, and whatever media Agno merges back."""
    if success is True:
        value = _pack_result(call.result)
    elif success is False:
        value: dict[str, Any] = {"error": call.error}
    else:
        value = {"error": call.error, "raised": _pack_raised(success)}
    media = {name: each for name in ("images", "videos", "audios", "files") if (each := getattr(outcome, name))}
    return value | ({"media": packed(media)} if media else {})


def _pack_result(result: Any) -> dict[str, Any]:
    if isinstance(result, _tool_result()):
        return {"agno": packed(result)}
    # the model is told the result as text: what JSON would give back in another form is kept as that text
    return {"result": result if is_json(result) else str(result)}


@cache
def _tool_result() -> type:
    from agno.tools.function import ToolResult

    return ToolResult


def _pack_raised(raised: Any) -> dict[str, Any]:
    names = ("user_message", "agent_message", "messages", "stop_execution")
    return {"exc": str(raised), **{name: packed(getattr(raised, name)) for name in names}}


def _done(call: Any, value: dict[str, Any], context: Any) -> Any:
    """What ``arun_function_call`` answers, from what was noted."""
    from agno.exceptions import AgentRunException
    from agno.tools.function import FunctionExecutionResult
    from agno.utils.timer import Timer

    timer = Timer()
    timer.start()
    timer.stop()
    success: Any = "error" not in value
    if success:
        call.result = unpacked(value["agno"]) if "agno" in value else value["result"]
    else:
        call.error = value["error"]
    if "raised" in value:
        success = AgentRunException(**unpacked(value["raised"]))
    outcome = FunctionExecutionResult(
        status="success" if success is True else "failure",
        result=call.result,
        error=call.error,
        updated_session_state=getattr(context, "session_state", None) if "state" in value else None,
        **unpacked(value.get("media", {})),
    )
    return success, timer, call, outcome


async def _each(source: Any) -> AsyncIterator[Any]:
    if isinstance(source, AsyncIterator):
        async for item in source:
            yield item
        return
    for item in source:
        yield item
