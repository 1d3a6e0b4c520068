"""This process's tools as Agno parses them: name, description and parameters come from Agno's own parser."""

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

SMALL_CHARACTERS = 16_000  # size up to which a payload and a schema are checked in this process

VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class UnfitPayload(Exception):  # noqa: N818 - describes the payload
    """The payload does not match the tool's parameters, and the tool was not called."""


class LocalTool:
    """A tool of this process.

    Args:
        tool: The registered tool.

    Raises:
        ConfigurationError: Agno cannot parse the tool's signature.
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
        self._given = _agno_parameters(tool.function, self.function.parameters.get("properties", {}))
        if tool.resume or tool.is_bounded:
            declare_tool(tool.function, resume=tool.resume, seconds=tool.timeout if tool.is_bounded else None)

    @property
    def record(self) -> ToolRecord:
        """The tool's record, as other processes see it."""
        return ToolRecord(
            name=self.tool.name,
            description=self.function.description or "",
            parameters=_without_variable(self.tool.function, self.function.parameters),
            timeout=self.tool.timeout,
            agent_ids=self.tool.agent_ids,
        )

    def for_agno(self) -> Any:
        """Return the object to pass to ``Agent(tools=[…])``."""
        as_it_is = self.tool.description is None and self.tool.name == getattr(self.tool.function, "__name__", None)
        return self.tool.function if as_it_is else self.function

    async def call(self, payload: Mapping[str, Any]) -> Any:
        """Call the tool, in a thread if its function is sync. Yielded values are collected into one result.

        Raises:
            UnfitPayload: The payload does not match the tool's types; the tool was not called.
            BaseException: Whatever the tool raised.
        """
        entrypoint = cast("Callable[..., Any]", self.function.entrypoint)
        arguments = {**self._given, **payload}
        try:
            if inspect.iscoroutinefunction(entrypoint) or inspect.isasyncgenfunction(entrypoint):
                with own_process():
                    answer = entrypoint(**arguments)
                    if isinstance(answer, AsyncIterator):
                        return _joined([each async for each in answer])
                    return await answer
            answer = await in_thread(_called, entrypoint, arguments)
            return await answer if inspect.isawaitable(answer) else answer
        except pydantic.ValidationError as error:
            if error.title in (self.tool.name, getattr(self.tool.function, "__name__", "")):
                raise UnfitPayload(_words_of(error)) from None
            raise


@cache
def local(tool: RegisteredTool) -> LocalTool:
    """Return the parsed form of a registered tool, which is parsed only once.

    Raises:
        ConfigurationError: Agno cannot parse the tool's signature.
    """
    return LocalTool(tool)


async def check_payload(record: ToolRecord, payload: Any) -> dict[str, Any]:
    """Check a payload against a tool's schema and return it as a dictionary.

    The check runs in a child process if patterns in the schema could make it take forever.

    Raises:
        UnfitPayload: The payload does not match; the message names the field.
    """
    given = {} if payload is None else payload
    if isinstance(given, pydantic.BaseModel):
        given = given.model_dump(mode="json", exclude_none=True)
    if not isinstance(given, dict):
        raise UnfitPayload(f"the payload must be an object with the arguments, not {type(given).__name__}")
    schema = record.parameters or {"type": "object"}
    try:
        text = json.dumps(given)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnfitPayload(f"the payload cannot be converted to JSON: {error}") from None
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
    """Return whether a check may take disproportionately long: patterns backtrack, references grow exponentially."""
    text = json.dumps(schema, default=str)
    return len(text) > SMALL_CHARACTERS or any(word in text for word in ('"pattern', '"$', '"uniqueItems"', '"format"'))


def _called(entrypoint: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    answer = entrypoint(**arguments)
    return _joined(list(answer)) if inspect.isgenerator(answer) else answer


def _joined(items: list[Any]) -> Any:
    return "".join(items) if all(isinstance(each, str) for each in items) else items


def _agno_parameters(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return None for each parameter that Agno fills in when an agent calls (the agent, its state): there is none."""
    parameters = inspect.signature(function).parameters.values()
    missing = [each for each in parameters if each.name not in arguments and each.kind not in VARIABLE]
    return {each.name: None for each in missing if each.default is each.empty}


def _without_variable(function: Callable[..., Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Remove ``*args`` and ``**kwargs`` from a schema, which Agno takes for parameters."""
    variable = {each.name for each in inspect.signature(function).parameters.values() if each.kind in VARIABLE}
    if not variable:
        return schema
    properties = {name: each for name, each in schema.get("properties", {}).items() if name not in variable}
    required = [name for name in schema.get("required", []) if name not in variable]
    return {**schema, "properties": properties, "required": required}


def _words_of(error: pydantic.ValidationError) -> str:
    problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)]
    return "; ".join(problems)
