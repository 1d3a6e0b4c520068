"""Tool calls that wait for a person: requested where Agno pauses, and made once the journal has the answer.

A later attempt replays the run up to the call. If the journal has the answer by that time, the call is made or answered
right there, so that Agno does not pause. This works in an agent, in a team's member and in a workflow's step alike,
with or without a database. A call without an answer is left to Agno, which pauses as usual.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from copy import copy
from functools import partial
from typing import Any

from worker.agents.instrumentation.frames import Frame, current_frame, current_turn, place_of
from worker.agents.instrumentation.storage import records
from worker.agents.instrumentation.tool_calls import refused_calls
from worker.words.requests import InputAnswer, InputRequest, RequestKind

Original = Callable[..., Any]
Kind = RequestKind

REJECTED = "Function call was rejected by the user"
"""The result that Agno gives a model for a call that a person has rejected (agno/agent/_tools.py)."""

FORM, QUESTIONS = "get_user_input", "ask_user"
"""Agno's tools with which a model itself asks a person (agno/tools/user_control_flow.py, user_feedback.py)."""

WAITS = ("requires_confirmation", "requires_user_input", "external_execution")
"""Settings of a ``Function`` for which Agno pauses."""

TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "array", "dict": "object"}
"""JSON Schema's names for the types of a form's fields."""


def calls(original: Original) -> Original:
    """Make the hook for the tool calls of an answer, which Agno makes or pauses for."""

    async def hook(self: Any, function_calls: Any, function_call_results: Any, **options: Any) -> AsyncIterator[Any]:
        frame = current_frame.get()
        if frame is None or options.get("skip_pause_check"):
            batch = None
        else:
            batch = _Batch(frame, self, function_calls, function_call_results, options)
            for each in batch.answered():
                yield each
            for call, approved in batch.decided:
                await records.resolve_approval(batch.owner_of(call), call, approved=approved)
        made = original(self, function_calls if batch is None else batch.calls, function_call_results, **options)
        async with aclosing(made):
            async for each in made:
                yield each
        if batch is not None and batch.decided:
            batch.sort()

    return hook


def calls_sync(original: Original) -> Original:
    """Sync version of ``calls``."""

    def hook(self: Any, function_calls: Any, function_call_results: Any, **options: Any) -> Iterator[Any]:
        frame = current_frame.get()
        if frame is None:
            yield from original(self, function_calls, function_call_results, **options)
            return
        batch = _Batch(frame, self, function_calls, function_call_results, options)
        yield from batch.answered()
        for call, approved in batch.decided:
            frame.run.on_loop(partial(records.resolve_approval, batch.owner_of(call), call, approved=approved))
        yield from original(self, batch.calls, function_call_results, **options)
        if batch.decided:
            batch.sort()

    return hook


class _Batch:
    """The tool calls of one answer.

    Args:
        frame: The frame of the agent that gave the answer.
        model: Agno's model.
        asked: The calls.
        results: Agno's list of result messages, to which this class appends.
        options: Agno's options; messages that follow the results are added.
    """

    def __init__(
        self, frame: Frame, model: Any, asked: Sequence[Any], results: list[Any], options: dict[str, Any]
    ) -> None:
        self._frame = frame
        self._model = model
        self._asked = asked
        self._results = results
        self._before = len(results)
        self._said: list[Any] = options.get("additional_input") or []
        options["additional_input"] = self._said
        self.decided: list[tuple[Any, bool]] = []
        """Calls that a person has decided on, and whether they were approved."""
        self.calls: list[Any] = []
        """Calls that Agno has to make, or to pause for."""

    def answered(self) -> Iterator[Any]:
        """Apply the answers that are available; yield Agno's responses for calls that are thereby finished."""
        for call in self._asked:
            requests = self._frame.run.call(partial(_requests, self._frame, call))
            if not requests:
                self.calls.append(call)
                continue
            answers = [self._frame.run.journal.answer(each.id) for each in requests]
            if any(each is None for each in answers):
                self._frame.run.call(self._frame.run.ask, requests, self._frame)
                self.calls.append(call)
                continue
            call.function = _without_pauses(call.function)
            self.decided.append((call, all(each is not None and each.approve is not False for each in answers)))
            text = self._carried_out(call, list(zip(requests, filter(None, answers), strict=True)))
            if text is None:
                self.calls.append(call)
                continue
            yield from _ended(call, *text)

    def owner_of(self, call: Any) -> Frame:
        """Return the frame of the run in which a call is made."""
        return place_of(self._frame, current_turn.get(), call.call_id).owner

    def _carried_out(self, call: Any, given: Sequence[tuple[InputRequest, InputAnswer]]) -> tuple[str, bool] | None:
        """Apply a person's answers to a call.

        Returns:
            The call's result, and whether it is an error; None if the call is to be made.
        """
        rejected = next((answer for _, answer in given if answer.approve is False), None)
        if rejected is not None:
            return self._message(call, rejected.note or REJECTED, is_error=True)
        for request, answer in given:
            if answer.arguments is not None:
                call.arguments = answer.arguments
                self._say(f"{call.function.name} was approved with other arguments: {_text(answer.arguments)}")
            if request.kind is Kind.ExternalExecution:
                return self._message(call, answer.value if isinstance(answer.value, str) else _text(answer.value))
            if request.kind is Kind.UserFeedback:
                return self._message(call, f"User feedback received: {_text(_chosen(answer.value))}")
            if request.kind is Kind.UserInput and call.function.name == FORM:
                fields = [{"name": name, "value": value} for name, value in answer.value.items()]
                return self._message(call, f"User inputs retrieved: {_text(fields)}")
            if request.kind is Kind.UserInput:
                call.arguments = {**(call.arguments or {}), **answer.value}
            if answer.note:
                self._say(f"A note on {call.function.name} from the person who was asked: {answer.note}")
        return None

    def _message(self, call: Any, text: str, *, is_error: bool = False) -> tuple[str, bool]:
        from agno.models.message import Message

        message = Message(
            role=self._model.tool_message_role,
            content=text,
            tool_call_id=call.call_id,
            tool_name=call.function.name,
            tool_args=call.arguments,
            tool_call_error=is_error,
        )
        self._results.append(message)
        refused_calls.answered(self._frame, message, call.arguments or {}, is_error=is_error)
        return text, is_error

    def _say(self, text: str) -> None:
        from agno.models.message import Message

        self._said.append(Message(role="user", content=text))

    def sort(self) -> None:
        """Sort the results into the order of their calls, which some providers require."""
        order = {call.call_id: place for place, call in enumerate(self._asked)}
        fresh = self._results[self._before :]
        self._results[self._before :] = sorted(fresh, key=lambda each: order.get(each.tool_call_id, len(order)))


def _requests(frame: Frame, call: Any) -> list[InputRequest]:
    """Return a call's requests to a person, or one that was rejected before a deploy removed the confirmation."""
    requests = requests_of(frame, call)
    if requests or not frame.run.journal.has_answers:
        return requests
    asked = _asker(frame, call)(Kind.Confirmation, question=_first_line(call.function.description))
    answer = frame.run.journal.answer(asked.id)
    return [asked] if answer is not None and answer.approve is False else []


def requests_of(frame: Frame, call: Any) -> list[InputRequest]:
    """Return the requests to a person before a tool call; empty for most tools."""
    function = call.function
    is_form = function.name == FORM and bool((call.arguments or {}).get("user_input_fields"))
    is_questions = function.name == QUESTIONS and bool((call.arguments or {}).get("questions"))
    if not (is_form or is_questions or any(getattr(function, each, False) for each in WAITS)):
        return []
    asked = _asker(frame, call)
    found: list[InputRequest] = []
    if function.requires_confirmation:
        found.append(asked(Kind.Confirmation, question=_first_line(function.description)))
    if is_form:
        fields = [
            AskedField(each.get("field_name"), each.get("field_type"), each.get("field_description"))
            for each in call.arguments["user_input_fields"]
        ]
        found.append(asked(Kind.UserInput, value_schema=form(fields)))
    elif is_questions:
        found.append(asked(Kind.UserFeedback, value_schema=_questions(call.arguments["questions"])))
    elif function.requires_user_input:
        given = call.arguments or {}
        fields = [
            AskedField(each.name, each.field_type, each.description, given.get(each.name))
            for each in function.user_input_schema or ()
        ]
        found.append(asked(Kind.UserInput, value_schema=form(fields), question=_first_line(function.description)))
    if function.external_execution:
        found.append(asked(Kind.ExternalExecution, question=_first_line(function.description)))
    return found


def _asker(frame: Frame, call: Any) -> Callable[..., InputRequest]:
    """Return a function that creates requests about a call."""
    place = place_of(frame, current_turn.get(), call.call_id)
    who = getattr(place.owner.owner, "name", None) or getattr(place.owner.owner, "id", None)
    what: dict[str, Any] = {"agent": who, "tool_name": call.function.name, "arguments": call.arguments or {}}
    where = [place.home.key, place.at]

    def asked(kind: RequestKind, **more: Any) -> InputRequest:
        return InputRequest.create(where, kind, **what, **more)

    return asked


class AskedField:
    """A field of a form.

    Args:
        name: The field's name.
        kind: A Python type, or its name.
        description: The purpose of the field.
        value: The prefilled value.
        allowed: The allowed values; None allows any value of the type.
        is_needed: Whether the field is required.
    """

    def __init__(
        self,
        name: Any,
        kind: Any,
        description: Any,
        value: Any = None,
        allowed: Any = None,
        *,
        is_needed: bool = True,
    ) -> None:
        self.name = str(name)
        self.kind = TYPES.get(kind if isinstance(kind, str) else getattr(kind, "__name__", ""))
        self.description = description if isinstance(description, str) else None
        self.value = value
        self.allowed = list(allowed) if allowed else None
        self.is_needed = is_needed and value is None


def form(fields: Sequence[AskedField]) -> dict[str, Any]:
    """Return the JSON Schema of a form."""
    properties: dict[str, Any] = {}
    for each in fields:
        said = {"type": each.kind, "description": each.description, "default": each.value, "enum": each.allowed}
        properties[each.name] = {name: value for name, value in said.items() if value is not None}
    required = [each.name for each in fields if each.is_needed]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _questions(questions: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for each in questions:
        labels = [str(option.get("label", "")) for option in each.get("options") or ()]
        item: dict[str, Any] = {"type": "string", **({"enum": labels} if labels else {})}
        said = {"type": "array", "items": item, "minItems": 1, "description": _explained(each) or None}
        if not each.get("multi_select"):
            said["maxItems"] = 1
        properties[str(each.get("question", ""))] = {name: value for name, value in said.items() if value is not None}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _explained(question: Any) -> str:
    """Describe a question and its options, as far as the model has."""
    options = [each for each in question.get("options") or () if each.get("description")]
    meanings = [f"{each.get('label', '')}: {each['description']}" for each in options]
    return "\n".join([*filter(None, [question.get("header")]), *meanings])


def _chosen(value: Any) -> list[dict[str, Any]]:
    return [{"question": question, "selected": chosen} for question, chosen in value.items()]


def _without_pauses(function: Any) -> Any:
    """Return a copy of a tool for which Agno does not pause; Agno marks the original when it pauses."""
    own = copy(function)
    for name in WAITS:
        setattr(own, name, False)
    return own


def _ended(call: Any, text: str, is_error: bool) -> Iterator[Any]:
    """Yield what Agno yields for a completed call, so that the run's output lists the call."""
    from agno.models.response import ModelResponse, ModelResponseEvent, ToolExecution

    named = {"tool_call_id": call.call_id, "tool_name": call.function.name, "tool_args": call.arguments}
    yield ModelResponse(
        content=call.get_call_str(),
        tool_executions=[ToolExecution(**named)],
        event=ModelResponseEvent.tool_call_started.value,
    )
    yield ModelResponse(
        tool_executions=[ToolExecution(**named, result=text, tool_call_error=is_error)],
        event=ModelResponseEvent.tool_call_completed.value,
    )


def _first_line(text: Any) -> str | None:
    return text.strip().splitlines()[0] if isinstance(text, str) and text.strip() else None


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
