"""The tools of an agent, to be called by code or passed to Agno."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Self, TypedDict, Unpack

from pydantic import BaseModel, PrivateAttr, create_model

from worker import registry
from worker.agents.tools.local_tools import LocalTool, local
from worker.face import bridge
from worker.face.configuration import Configuration
from worker.face.invoking import Invocation
from worker.face.schema_models import build_model_from_schema
from worker.words.tools import ToolInvocationResult, ToolRecord


class InvocationOptions(TypedDict, total=False):
    """Options of a tool call.

    ``agent_version`` is passed on to hooks. ``payload_extension`` holds further arguments, which override those of the
    payload. ``configuration`` names the agent's platform; default: the platform that the tool came from. ``task_id`` is
    the task that the call belongs to; default: the current run's. ``tool_call_id`` is the caller's own id of the call,
    which is copied to the result. ``report_activity`` is ignored: a call within a task is always in its log.
    """

    agent_version: str | int | None
    payload_extension: Mapping[str, Any] | None
    configuration: Configuration | None
    task_id: str | None
    tool_call_id: str | None
    report_activity: bool | None


class Tool(ToolRecord):
    """A tool: a function of this process, or of a worker that serves the agent."""

    _local: LocalTool | None = PrivateAttr(default=None)
    _configuration: Configuration | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, record: ToolRecord, configuration: Configuration | None, function: LocalTool | None = None) -> Self:
        """Bind a record to its platform, and to its function if this process has it."""
        bound = cls.model_construct(record.model_fields_set, **record.__dict__)
        bound._local, bound._configuration = function, configuration  # noqa: SLF001 - its own class
        return bound

    @property
    def id(self) -> str:
        """The tool's name."""
        return self.name

    @property
    def payload_schema(self) -> type[BaseModel]:
        """A pydantic model with the single field ``payload``, which holds the tool's arguments."""
        arguments = build_model_from_schema(self.name, self.parameters)
        return create_model(f"{self.name}Payload", payload=(arguments, ...))

    @property
    def is_local(self) -> bool:
        """Whether the tool is called in this process."""
        return self._local is not None

    @property
    def local(self) -> LocalTool | None:
        """The function behind the tool, if this process has it."""
        return self._local

    @property
    def record(self) -> ToolRecord:
        """The tool's record."""
        return self

    async def ainvoke(
        self, agent_id: str, payload: Any = None, **more: Unpack[InvocationOptions]
    ) -> ToolInvocationResult:
        """Call the tool and return the outcome. An exception of the tool is returned, not raised.

        The payload is first validated against the tool's schema. Within a task, the call is added to the task's log and
        to the journal, from which a later attempt of the same run is answered.

        Args:
            agent_id: The agent on whose behalf the tool is called.
            payload: The arguments.
            more: See ``InvocationOptions``.

        Returns:
            ``result`` and ``is_success``, or ``error``, which names the field if the payload is invalid.

        Raises:
            asyncio.CancelledError: The run should end.
            LeaseLost: The run no longer owns its task.
        """
        return await self._wanted(agent_id, payload, more).make()

    def invoke(self, agent_id: str, payload: Any = None, **more: Unpack[InvocationOptions]) -> ToolInvocationResult:
        """Sync version of ``ainvoke``."""
        wanted = self._wanted(agent_id, payload, more)
        return bridge.block(lambda _: wanted.make(), wanted.configuration)

    def get_invocation_function(
        self, is_async: bool | None = False, configuration: Configuration | None = None
    ) -> Callable[[Any], Any]:
        """Return a function of the payload alone, which calls the tool for the current run's or the configured agent.

        Args:
            is_async: Whether to return a coroutine function.
            configuration: The agent's platform; None means the platform that the tool came from.
        """
        from worker.face.agent import resolve_agent_id

        async def ainvoke(payload: Any) -> ToolInvocationResult:
            return await self.ainvoke(resolve_agent_id(None, configuration), payload, configuration=configuration)

        def invoke(payload: Any) -> ToolInvocationResult:
            return self.invoke(resolve_agent_id(None, configuration), payload, configuration=configuration)

        return ainvoke if is_async else invoke

    def for_agno(self, agent_id: str | None) -> Any:
        """Return the tool as ``Agent(tools=[…])`` takes it. Its calls are logged by the code that runs the agent."""
        function = self._local.for_agno() if self._local is not None else _remote_function(self, agent_id)
        hooks = registry.default.tools.hooks
        return _hooked(self, function) if hooks.before or hooks.after or hooks.error else function

    def _wanted(self, agent_id: str, payload: Any, more: InvocationOptions) -> Invocation:
        named: dict[str, Any] = {"configuration": self._configuration}
        named |= {name: value for name, value in more.items() if value is not None and name != "report_activity"}
        return Invocation(self, agent_id, payload, **named)


class ToolsRepository:
    """The tools of an agent: those of this process, and those announced by workers that serve the agent.

    Args:
        configuration: The agent's platform; None means the default one.
        agent_id: The agent; None means all tools of this process.
        announced: The tools that workers have announced to the platform.
    """

    def __init__(
        self,
        configuration: Configuration | None = None,
        agent_id: str | None = None,
        announced: Sequence[ToolRecord] = (),
    ) -> None:
        self.configuration = configuration
        self.agent_id = agent_id
        self._announced = tuple(announced)

    @property
    def list(self) -> "list_[Tool]":
        """All tools, those of this process first; they also take precedence over announced tools of the same name."""
        mine = [local(each) for each in registry.default.tools.of(self.agent_id)]
        found = {each.tool.name: Tool.of(each.record, self.configuration, each) for each in reversed(mine)}
        found = dict(reversed(found.items()))
        for each in self._announced:
            found.setdefault(each.name, Tool.of(each, self.configuration))
        return [*found.values()]

    @property
    def tools(self) -> "list_[Tool]":
        """An alias of ``list``."""
        return self.list

    @property
    def functions(self) -> "list_[Any]":
        """The tools as ``agno.agent.Agent(tools=…)`` takes them, with the registered tool hooks."""
        return [each.for_agno(self.agent_id) for each in self.list]

    def get_tool_by_id(self, tool_id: str) -> Tool | None:
        """Return the tool with this id, which is its name, or None."""
        return self.get_tool_by_name(tool_id)

    def get_tool_by_name(self, tool_name: str) -> Tool | None:
        """Return the tool with this name, or None."""
        return next((each for each in self.list if each.name == tool_name), None)

    def should_sync_local_tools(self) -> bool:
        """Return False: workers announce their tools automatically."""
        return False

    def get_local_tools_for_sync(self) -> "list_[Tool]":
        """Return an empty list: workers announce their tools automatically."""
        return []


list_ = list  # within the class above, ``list`` is the property


def _hooked(tool: Tool, function: Any) -> Any:
    """Return a tool as Agno's ``Function`` with our hooks. The agent's own ``tool_hooks``, if any, replace them."""
    from agno.tools.function import Function

    from worker.face.tool_hooks import tool_hook

    made = function if isinstance(function, Function) else Function.from_callable(function)
    own = copy(made)
    own.tool_hooks = [tool_hook({tool.name: tool}, None)]
    return own


def _remote_function(tool: Tool, agent_id: str | None) -> Any:
    """Return another process's tool as Agno's ``Function``; a failed call raises, so that the model reads the error."""
    from agno.tools.function import Function

    async def call(**arguments: Any) -> Any:
        from worker.face.agent import resolve_agent_id

        wanted = Invocation(tool, agent_id or resolve_agent_id(None), arguments, configuration=tool._configuration)  # noqa: SLF001
        result = await wanted.make_unlogged()
        if not result.is_success:
            raise RuntimeError(result.error)
        return result.result

    call.__name__ = tool.name
    return Function(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        entrypoint=call,
        skip_entrypoint_processing=True,
    )
