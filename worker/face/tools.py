"""The tools of an agent: called by code, or given to Agno."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Self, TypedDict, Unpack

from pydantic import PrivateAttr

from worker import registry
from worker.agents.tools.local_tools import LocalTool, local
from worker.face import bridge
from worker.face.configuration import Configuration
from worker.face.invoking import Invocation
from worker.words.tools import ToolInvocationResult, ToolRecord


class InvocationOptions(TypedDict, total=False):
    """What can be said of a call, beside the agent and the payload.

    ``agent_version`` is passed on to hooks. ``payload_extension``: further arguments, which count before the payload's.
    ``configuration``: where the agent lives; default: where the tool came from. ``task_id``: the task that the call is
    part of; default: that of the run in hand. ``tool_call_id``: the caller's own id of the call, which the result has.
    ``report_activity`` has no meaning: a call within a task is always in its log.
    """

    agent_version: str | int | None
    payload_extension: Mapping[str, Any] | None
    configuration: Configuration | None
    task_id: str | None
    tool_call_id: str | None
    report_activity: bool | None


class Tool(ToolRecord):
    """A tool: a function of this process, or one of a worker's that serves the agent."""

    _local: LocalTool | None = PrivateAttr(default=None)
    _configuration: Configuration | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, record: ToolRecord, configuration: Configuration | None, function: LocalTool | None = None) -> Self:
        """Bind a record to its platform, and to its function if that is here."""
        bound = cls.model_construct(record.model_fields_set, **record.__dict__)
        bound._local, bound._configuration = function, configuration  # noqa: SLF001 - its own class
        return bound

    @property
    def id(self) -> str:
        """Its name."""
        return self.name

    @property
    def is_local(self) -> bool:
        """Whether it is called in this process."""
        return self._local is not None

    @property
    def local(self) -> LocalTool | None:
        """The function behind it, if it is here."""
        return self._local

    @property
    def record(self) -> ToolRecord:
        """What is known of it."""
        return self

    async def ainvoke(
        self, agent_id: str, payload: Any = None, **more: Unpack[InvocationOptions]
    ) -> ToolInvocationResult:
        """Call the tool, and answer what came of it: what it raises is never raised.

        The payload is checked against the schema first. Within a task the call is in the task's log, and in the
        journal: a later attempt of the same run is answered from there.

        Args:
            agent_id: The agent in whose name it is called.
            payload: The arguments.
            more: See ``InvocationOptions``.

        Returns:
            ``result`` and ``is_success``; or ``error``, which names the field of a payload that does not fit.

        Raises:
            asyncio.CancelledError: The run should end.
            LeaseLost: The run owns its task no longer.
        """
        return await self._wanted(agent_id, payload, more).make()

    def invoke(self, agent_id: str, payload: Any = None, **more: Unpack[InvocationOptions]) -> ToolInvocationResult:
        """Call the tool, as ``ainvoke`` does, and block this thread until it has answered."""
        wanted = self._wanted(agent_id, payload, more)
        return bridge.block(lambda _: wanted.make(), wanted.configuration)

    def get_invocation_function(
        self, is_async: bool | None = False, configuration: Configuration | None = None
    ) -> Callable[[Any], Any]:
        """A function of the payload alone, which calls the tool in the name of the agent of the run or environment."""
        from worker.face.agent import agent_meant

        async def ainvoke(payload: Any) -> ToolInvocationResult:
            return await self.ainvoke(agent_meant(None, configuration), payload, configuration=configuration)

        def invoke(payload: Any) -> ToolInvocationResult:
            return self.invoke(agent_meant(None, configuration), payload, configuration=configuration)

        return ainvoke if is_async else invoke

    def for_agno(self, agent_id: str | None) -> Any:
        """What ``Agent(tools=[…])`` takes. Its calls are told by whoever runs the agent."""
        function = self._local.for_agno() if self._local is not None else _remote_function(self, agent_id)
        hooks = registry.default.tools.hooks
        return _hooked(self, function) if hooks.before or hooks.after or hooks.error else function

    def _wanted(self, agent_id: str, payload: Any, more: InvocationOptions) -> Invocation:
        named: dict[str, Any] = {"configuration": self._configuration}
        named |= {name: value for name, value in more.items() if value is not None and name != "report_activity"}
        return Invocation(self, agent_id, payload, **named)


class ToolsRepository:
    """The tools of an agent: those of this process, and those that workers which serve it have.

    Args:
        configuration: Where the agent lives; None means on the default platform.
        agent_id: The agent; None means all tools of this process.
        announced: What the platform says that workers have.
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
        """All tools, those of this process first; of two with the same name that one counts."""
        mine = [local(each) for each in registry.default.tools.of(self.agent_id)]
        found = {each.tool.name: Tool.of(each.record, self.configuration, each) for each in reversed(mine)}
        found = dict(reversed(found.items()))
        for each in self._announced:
            found.setdefault(each.name, Tool.of(each, self.configuration))
        return [*found.values()]

    @property
    def tools(self) -> "list_[Tool]":
        """The same as ``list``."""
        return self.list

    @property
    def functions(self) -> "list_[Any]":
        """The tools as ``agno.agent.Agent(tools=…)`` takes them; ``on_tool_before`` and its kin hear of calls."""
        return [each.for_agno(self.agent_id) for each in self.list]

    def get_tool_by_id(self, tool_id: str) -> Tool | None:
        """A tool by its id, which is its name; None means there is no such tool."""
        return self.get_tool_by_name(tool_id)

    def get_tool_by_name(self, tool_name: str) -> Tool | None:
        """A tool by its name; None means there is no such tool."""
        return next((each for each in self.list if each.name == tool_name), None)

    def should_sync_local_tools(self) -> bool:
        """Whether tools of this process are to be told to the platform by hand: workers do that by themselves."""
        return False

    def get_local_tools_for_sync(self) -> "list_[Tool]":
        """Those that are: there are none."""
        return []


list_ = list  # within the class above ``list`` is its property


def _hooked(tool: Tool, function: Any) -> Any:
    """A tool as Agno's ``Function`` whose calls call the hooks; an agent's own ``tool_hooks`` take their place."""
    from agno.tools.function import Function

    from worker.face.tool_hooks import tool_hook

    made = function if isinstance(function, Function) else Function.from_callable(function)
    own = copy(made)
    own.tool_hooks = [tool_hook({tool.name: tool}, None)]
    return own


def _remote_function(tool: Tool, agent_id: str | None) -> Any:
    """A tool of another process as Agno's ``Function``; what it fails of is raised, for the model to read."""
    from agno.tools.function import Function

    async def call(**arguments: Any) -> Any:
        from worker.face.agent import agent_meant

        wanted = Invocation(tool, agent_id or agent_meant(None), arguments, configuration=tool._configuration)  # noqa: SLF001
        result = await wanted.untold()
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
