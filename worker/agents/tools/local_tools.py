"""The tools of this process as Agno reads them: name, description and parameters come of Agno's own parsing."""

import inspect
import json
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache
from typing import Any, cast

import pydantic

from worker.agents.answers import schemas
from worker.agents.tools.tools import declare_tool
from worker.bounded import Refused, json_schema
from worker.threads import in_thread, own_process
from worker.toolbox import RegisteredTool
from worker.words.classification import message_of
from worker.words.errors import ConfigurationError, ValidationError
from worker.words.tools import ToolRecord

SMALL_CHARACTERS = 16_000  # of a payload, and of a schema, that are checked at once

VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class UnfitPayload(Exception):  # noqa: N818 - what the payload is
    """The payload is none that the tool takes; it was not called."""


class LocalTool:
    """A tool of this process.

    Args:
        tool: As it was registered.

    Raises:
        ConfigurationError: Agno cannot read its signature.
    """

    def __init__(self, tool: RegisteredTool) -> None:
        from agno.tools.function import Function

        self.tool = tool
        try:
            self.function = Function.from_callable(tool.function, name=tool.name)
            self.function.process_entrypoint()
        except Exception as error:
            raise ConfigurationError(f"{tool.place}: {message_of(error)}") from error
        if tool.description is not None:
            self.function.description = tool.description
        self._given = _given_by_agno(tool.function, self.function.parameters.get("properties", {}))
        if tool.resume or tool.is_bounded:
            declare_tool(tool.function, resume=tool.resume, seconds=tool.timeout if tool.is_bounded else None)

    @property
    def record(self) -> ToolRecord:
        """What others are told of it."""
        return ToolRecord(
            name=self.tool.name,
            description=self.function.description or "",
            parameters=_without_variable(self.tool.function, self.function.parameters),
            timeout=self.tool.timeout,
            agent_ids=self.tool.agent_ids,
        )

    def for_agno(self) -> Any:
        """What ``Agent(tools=[…])`` takes."""
        as_it_is = self.tool.description is None and self.tool.name == getattr(self.tool.function, "__name__", None)
        return self.tool.function if as_it_is else self.function

    async def call(self, payload: Mapping[str, Any]) -> Any:
        """Call it; plain code in a thread. What it yields is put together.

        Raises:
            Unfit: Its own types do not take the payload; it was not called.
            BaseException: What it raised.
        """
        entrypoint = cast("Callable[..., Any]", self.function.entrypoint)
        arguments = {**self._given, **payload}
        try:
            if inspect.iscoroutinefunction(entrypoint) or inspect.isasyncgenfunction(entrypoint):
                with own_process():
                    answer = entrypoint(**arguments)
                    return await (_gathered(answer) if isinstance(answer, AsyncIterator) else answer)
            answer = await in_thread(_called, entrypoint, arguments)
            return await answer if inspect.isawaitable(answer) else answer
        except pydantic.ValidationError as error:
            if error.title in (self.tool.name, getattr(self.tool.function, "__name__", "")):
                raise UnfitPayload(_words_of(error)) from None
            raise


@cache
def local(tool: RegisteredTool) -> LocalTool:
    """A registered tool, read once. Raises: ConfigurationError."""
    return LocalTool(tool)


async def check_payload(record: ToolRecord, payload: Any) -> dict[str, Any]:
    """Let pass what fits a tool's schema.

    The check is made in a child process where patterns in the schema could take for ever.

    Raises:
        Unfit: It does not, and which field.
    """
    given = {} if payload is None else payload
    if isinstance(given, pydantic.BaseModel):
        given = given.model_dump(mode="json", exclude_none=True)
    if not isinstance(given, dict):
        raise UnfitPayload(f"the payload must be an object of the arguments, not {type(given).__name__}")
    schema = record.parameters or {"type": "object"}
    try:
        text = json.dumps(given)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnfitPayload(f"the payload is no JSON: {error}") from None
    try:
        if len(text) <= SMALL_CHARACTERS and not _may_take_long(schema):
            wrong = json_schema.fitted(text, schema).get("unfit")
        else:
            _, wrong = await schemas.fitted(text, schema)
    except (ValidationError, Refused) as error:
        raise UnfitPayload(f"the tool's schema cannot be applied: {message_of(error)}") from None
    if wrong is not None:
        raise UnfitPayload(wrong)
    return cast("dict[str, Any]", given)


def _may_take_long(schema: dict[str, Any]) -> bool:
    """Whether a check could take longer than its payload is long: patterns backtrack, references double."""
    text = json.dumps(schema, default=str)
    return len(text) > SMALL_CHARACTERS or any(word in text for word in ('"pattern', '"$', '"uniqueItems"', '"format"'))


def _called(entrypoint: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    answer = entrypoint(**arguments)
    return _joined(list(answer)) if inspect.isgenerator(answer) else answer


async def _gathered(items: AsyncIterator[Any]) -> Any:
    return _joined([each async for each in items])


def _joined(items: list[Any]) -> Any:
    return "".join(items) if all(isinstance(each, str) for each in items) else items


def _given_by_agno(function: Callable[..., Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """What Agno itself fills in where an agent calls (the agent, its state): here there is none."""
    parameters = inspect.signature(function).parameters.values()
    missing = [each for each in parameters if each.name not in told and each.kind not in VARIABLE]
    return {each.name: None for each in missing if each.default is each.empty}


def _without_variable(function: Callable[..., Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without ``*args`` and ``**kwargs``, which Agno takes for parameters."""
    variable = {each.name for each in inspect.signature(function).parameters.values() if each.kind in VARIABLE}
    if not variable:
        return schema
    properties = {name: each for name, each in schema.get("properties", {}).items() if name not in variable}
    required = [name for name in schema.get("required", []) if name not in variable]
    return {**schema, "properties": properties, "required": required}


def _words_of(error: pydantic.ValidationError) -> str:
    problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)]
    return "; ".join(problems)
