"""Model calls and tool calls against the journal: what was completed is answered from it, what completes is noted.

The position of a model call is the number of messages it is asked with; history and system text count for nothing,
since both may differ in another attempt. A tool call stands at the answer that asked for it. A delegation is not
answered from the journal itself: its member's calls are, so that tokens, tools and the member's own records are whole.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from worker.agents.journal import Entry, Journal, Number, Place, digest, discard_text, no_longer_fits, too_large
from worker.agents.outlet import Outlet
from worker.agents.tool_events import is_told, request_event, result_event
from worker.agents.values import is_json, packed, unpacked
from worker.current import REASON_DRAIN, Run, call_in_hand
from worker.words.events import NewEvent
from worker.words.work import JournalEntry


@dataclass(slots=True, eq=False)
class Scope:
    """Within which delegating calls model calls are made.

    Args:
        path: Those calls, from the outside in, each behind who made it.
        asks: How many model calls were made within.
    """

    path: tuple[str, ...] = ()
    asks: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """The model answer that tool calls come from: whose it is, and at how many messages."""

    path: tuple[str, ...] = ()
    position: int = 0


_scope: ContextVar[Scope | None] = ContextVar("scope_of_model_calls", default=None)
_turn: ContextVar[Turn | None] = ContextVar("turn_of_tool_calls", default=None)


class Replayed(str):
    """Text of an answer from the journal: whoever streams knows it by its class, and tells it no second time."""

    __slots__ = ()


class ParsedCall(dict[str, Any]):
    """A tool call as it stands in the conversation, where a provider's stream would have pieces of one."""


class Replay:
    """A run's way to the journal.

    Args:
        journal: Loaded.
        run: The attempt.
        run_id: Of the agent's run.
        outlet: Where events and rows go.
        by_beginning: Tell callers apart by how their conversation begins: a workflow's steps may share an agent.
    """

    def __init__(self, journal: Journal, run: Run, run_id: str, outlet: Outlet, *, by_beginning: bool = False) -> None:
        self.journal = journal
        self.run_id = run_id
        self.outlet = outlet
        self.by_beginning = by_beginning
        self.answered: Counter[str] = Counter()  # tool calls whose result Agno will tell once more
        self.asked: Counter[str] = Counter()  # told by Agno's event (+) or by the call itself (-), the other to come
        self.states: dict[int, Number] = {}  # by session state: which entry it was last set from
        self._run = run
        self._streams: dict[str, bool] = {}  # Agno's runs that stream an answer now; whether text of it was told
        self._broken_off = journal.unfinished(run_id)
        self._contents: dict[int, tuple[Any, str]] = {}  # digests of attachments, which are the same in every call

    def tell(self, events: Sequence[NewEvent]) -> None:
        """Tell events, but for those that an earlier attempt has told."""
        fresh, rows = self.journal.untold(self.run_id, events)
        if fresh:
            self.outlet.add_soon(fresh, rows)

    def is_answered(self, call_id: str) -> bool:
        """Whether a tool's result was told, or has been in an earlier attempt; asked by Agno's event, once a call."""
        answered = self.answered[call_id] > 0
        self.answered[call_id] -= answered
        return answered

    def is_due(self, call_id: str, *, by_event: bool) -> bool:
        """Whether a tool call is still to be told: its event and the call itself come in either order, each once."""
        step = 1 if by_event else -1
        due = self.asked[call_id] * step >= 0
        self.asked[call_id] += step
        return due

    def opens(self, agno_run_id: str) -> list[JournalEntry]:
        """The row that goes with the first text of an answer that is not complete yet."""
        if self._streams.get(agno_run_id) is not False:
            return []
        self._streams[agno_run_id] = True
        row = self.journal.row(Place(self.run_id, (), "open", ""))
        return [row] if row else []

    def take_back(self) -> None:
        """Say that text was told whose answer was never completed, if that is so."""
        if self._broken_off:
            self._broken_off = False
            row = self.journal.row(Place(self.run_id, (), "discard", ""))
            self.outlet.add([discard_text()], [row] if row else [])

    def begin_stream(self, agno_run_id: str) -> None:
        """An answer is about to stream."""
        self._streams[agno_run_id] = False

    def end_stream(self, agno_run_id: str, *, complete: bool) -> bool:
        """It has ended; whether text of it was told."""
        told = self._streams.pop(agno_run_id, False)
        self._broken_off |= told and not complete
        return told

    def question(self, model: Any, arguments: dict[str, Any]) -> "Question":
        """Make the journal's view of a model call; tool calls made from here on belong to it."""
        messages = [each for each in arguments["messages"] if _counts(each)]
        said = [self._message(each) for each in messages if each.role != model.assistant_message_role]
        match = digest([model.id, _tool_names(arguments.get("tools")), said])
        scope = _scope.get() or Scope()
        scope.asks += 1
        asker = arguments.get("run_response")
        owner = getattr(asker, "agent_id", None) or getattr(asker, "team_id", None)
        if owner is None:  # a helper of Agno's, such as the one that keeps memories
            owner = f"~{match}"
        elif self.by_beginning:
            owner = f"{owner}~{digest(said[:1])}"
        path = (*scope.path, owner)
        _turn.set(Turn(path, len(messages)))
        place = Place(self.run_id, path, "model", str(len(messages)), match)
        return Question(self, place, getattr(asker, "run_id", None) or "", is_nested=bool(scope.path))

    def note(self, place: Place, value: Any, events: Sequence[NewEvent], what: str, *, closes: bool = False) -> None:
        """Note what was completed, in one transaction with the events that tell of it."""
        row = self.journal.row(place, value, closes=closes)
        self.outlet.add([*events, *([] if row else [too_large(what)])], [row] if row else [])

    @property
    def is_leaving(self) -> bool:
        """Whether the worker leaves."""
        return self._run.leaving()

    def suspend(self) -> asyncio.CancelledError:
        """End the run so that it goes on elsewhere; answers what to raise."""
        self._run.stopping.set(REASON_DRAIN)
        return asyncio.CancelledError(REASON_DRAIN)

    def _message(self, message: Any) -> list[Any]:
        media = [each for name in ("images", "files", "audio", "videos") for each in getattr(message, name) or ()]
        return [message.role, message.content, [self._medium(each) for each in media]]

    def _medium(self, medium: Any) -> Any:
        content = medium.content
        if not isinstance(content, bytes):
            return [medium.url, str(medium.filepath or ""), content]
        known = self._contents.get(id(content))
        if known is None:  # the content is kept with its digest, so that no other object takes its id
            known = self._contents[id(content)] = (content, hashlib.sha256(content).hexdigest())
        return known[1]


@dataclass(slots=True, eq=False)
class Question:
    """A model call."""

    replay: Replay
    place: Place
    agno_run_id: str
    is_nested: bool
    _is_known: bool = False
    _deltas: list[Any] = field(default_factory=list[Any])
    _pieces: list[Any] = field(default_factory=list[Any])

    def known(self) -> list[Any] | None:
        """The answer in its pieces, if an earlier attempt has it. Raises what that one met instead of an answer."""
        entry = self.replay.journal.take(self.place)
        if entry is None:
            self.replay.take_back()
            return None
        self._is_known = True
        if "failure" in entry.value:
            raise _failure(entry.value["failure"])
        return [_answer(each) for each in entry.value["answer"]]

    def begin_stream(self) -> None:
        """Its answer is about to stream."""
        self.replay.begin_stream(self.agno_run_id)

    def hear(self, delta: Any) -> None:
        """Take a piece of the answer, before anybody else may change it."""
        self._pieces += delta.tool_calls or []
        said = _pack_answer(delta, without_calls=True)
        last = self._deltas[-1] if self._deltas else None
        if last is not None and said.keys() == last.keys() == {"role", "content"} and said["role"] == last["role"]:
            last["content"] += said["content"]
        else:
            self._deltas.append(said)

    async def heard(self, model: Any) -> None:
        """All pieces have come."""
        calls = model.parse_tool_calls(self._pieces) if self._pieces else []
        if calls:
            self._deltas.append({"tool_calls": packed(calls)})
        closes = self.replay.end_stream(self.agno_run_id, complete=True)
        await self._note(self._deltas, has_calls=bool(calls), closes=closes)

    async def answered(self, answer: Any) -> None:
        """The answer has come in one piece."""
        with_ids(answer.tool_calls or [])
        await self._note([_pack_answer(answer)], has_calls=bool(answer.tool_calls))

    def broke_off(self) -> None:
        """Its stream has ended before its answer was complete."""
        self.replay.end_stream(self.agno_run_id, complete=False)

    def failed(self, error: Exception) -> None:
        """No answer came. A member's leader goes on with that, so for the leader it is a result like any other."""
        if not self.is_nested or self._is_known:
            return
        if self.replay.is_leaving:
            raise self.replay.suspend() from error
        code = getattr(error, "status_code", None)
        failure = {"text": str(error), "status_code": code, "provider": type(error).__module__.startswith("agno.")}
        self._forget_outdated()
        self.replay.note(self.place, {"failure": failure}, (), "An answer of the model")

    async def _note(self, answer: list[Any], *, has_calls: bool, closes: bool = False) -> None:
        """Note the answer; its tools start only once it is stored, since it holds the ids that they are called by."""
        self._forget_outdated()
        self.replay.note(self.place, {"answer": answer}, (), "An answer of the model", closes=closes)
        if has_calls:
            await self.replay.outlet.store((), ())

    def _forget_outdated(self) -> None:
        row = self.replay.journal.outdated(self.place.run, self.place.path)
        if row is not None:
            self.replay.outlet.add([no_longer_fits()], [row])


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
        self._context = getattr(function_call.function, "_run_context", None)
        self._state_before = self._state()

    def told(self) -> None:
        """Have the log told that the tool is asked for, if Agno's event has not been there first."""
        call = self._call
        if is_told(call.function.name, call.arguments) and self._replay.is_due(call.call_id, by_event=False):
            self._replay.tell([request_event(call.call_id, call.function.name, call.arguments)])

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
        _scope.set(scope)
        _turn.set(None)
        call_in_hand.set(_key(self._replay.journal.task_id, self.place, self._call))
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
        if state != self._state_before and state is not None:
            value["state"] = json.loads(state)
        self._replay.answered[call.call_id] += 1
        event = result_event(call.call_id, name, call.arguments, result, is_error=has_failed)
        events = [event] if is_told(name, call.arguments) else []
        self._replay.note(self.place, value, events, f"The result of {name}")

    def _state(self) -> str | None:
        """The session state; none where there is none, or none that JSON can say."""
        state = getattr(self._context, "session_state", None)
        if not state:
            return None
        try:
            return json.dumps(packed(state))
        except (TypeError, ValueError, RecursionError):
            return None

    def _restore_state(self, entry: Entry) -> None:
        """Set the session state as the call left it, unless one that ended later has been answered already."""
        state = getattr(self._context, "session_state", None)
        if "state" not in entry.value or not isinstance(state, dict):
            return
        if entry.number >= self._replay.states.get(id(state), (0, 0)):
            self._replay.states[id(state)] = entry.number
            state.clear()
            state.update(unpacked(entry.value["state"]))


def place_and_key(task_id: str, function_call: Any, replay: Replay | None) -> tuple[Place, str]:
    """Where a tool call stands, and its idempotency key."""
    turn = _turn.get() or Turn()
    match = digest([function_call.function.name, function_call.arguments])
    at = f"{turn.position}.{function_call.call_id}"
    place = Place(replay.run_id if replay else "", turn.path, "tool", at, match)
    return place, _key(task_id, place, function_call)


def _key(task_id: str, place: Place, function_call: Any) -> str:
    """Some providers give the same id to a call of every turn, so where it stands counts too."""
    return f"{task_id}:{function_call.call_id}:{digest(place)[:12]}"


def with_ids(calls: Sequence[dict[str, Any]]) -> None:
    """Give an id to tool calls whose provider gives none: the same one whenever it is asked."""
    turn = _turn.get() or Turn()
    for index, call in enumerate(calls):
        if not call.get("id"):
            call["id"] = f"call_{digest([turn.path, turn.position, index])[:16]}"


def _counts(message: Any) -> bool:
    return message.role not in ("system", "developer") and not message.from_history


def _tool_names(tools: Any) -> list[str]:
    return sorted(str((each.get("function") or each).get("name")) for each in tools or () if isinstance(each, dict))


def _pack_answer(answer: Any, *, without_calls: bool = False) -> dict[str, Any]:
    """The fields of a ModelResponse that say something; plain text, by far the most, the short way."""
    if answer.response_usage is None and answer.provider_data is None and type(answer.content) is str:
        others = vars(answer).keys() - {"role", "content", "created_at", "event"}
        if not any(vars(answer)[name] for name in others):
            return {"role": answer.role, "content": answer.content}
    fields = packed(answer)["value"]
    fields.pop("created_at", None)
    if without_calls:
        fields.pop("tool_calls", None)
    return fields


def _answer(fields: dict[str, Any]) -> Any:
    from agno.models.response import ModelResponse

    known = unpacked(fields)
    if isinstance(known.get("content"), str):
        known["content"] = Replayed(known["content"])
    if known.get("tool_calls"):
        known["tool_calls"] = [ParsedCall(each) for each in known["tool_calls"]]
    return ModelResponse(**known)


def _failure(failure: dict[str, Any]) -> Exception:
    from agno.exceptions import ModelProviderError

    if failure["provider"] and failure["status_code"]:
        return ModelProviderError(failure["text"], failure["status_code"])
    return RuntimeError(failure["text"])


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
    from agno.tools.function import ToolResult

    if isinstance(result, ToolResult):
        return {"agno": packed(result)}
    # the model is told the result as text: what JSON would give back in another form is kept as that text
    return {"result": result if is_json(result) else str(result)}


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
