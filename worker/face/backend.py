"""The platform's record of an agent, as arguments for Agno's ``Agent``."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from worker.contracts import Platform
from worker.face import bridge
from worker.face.agent import check_version, resolve_agent_id
from worker.face.configuration import Configuration

if TYPE_CHECKING:
    from worker.face.agent import Agent
    from worker.face.options import TaskOptions
    from worker.face.reporting import Report
    from worker.face.task import Task
    from worker.face.uploads import FileSource
    from worker.words.agents import AgentRecord
    from worker.words.tasks import TaskRecord


class ArgumentOptions(TypedDict, total=False):
    """Options of ``Backend.get_args``.

    ``agent_version`` is the expected version. ``task`` is the task that the arguments are for: its choice of model
    takes precedence over the agent's. ``override`` holds arguments that replace the generated ones. ``tools`` are
    additional tools. ``is_async`` and ``auth_events_callback`` are ignored: the hooks suit sync and async runs, and
    agents here need no sign-in.
    """

    agent_version: str | int | None
    task: "TaskRecord | None"
    override: dict[str, Any] | None
    tools: Sequence[Any] | None
    is_async: bool | None
    auth_events_callback: Callable[..., Any] | None


class Backend:
    """Builds Agno agents from a platform's agents: ``agno.agent.Agent(**backend.get_args())``.

    Args:
        configuration: The platform; None means the one that the environment names.
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.configuration = configuration

    async def aget_args(
        self, agent_id: str | None = None, agent: "Agent | None" = None, **options: Unpack[ArgumentOptions]
    ) -> dict[str, Any]:
        """Return keyword arguments for ``agno.agent.Agent``: model, instructions, tools, and hooks around tool calls.

        The hooks add each tool call to the task's log, even if the agent runs without ``run_agent``.

        Args:
            agent_id: The agent's id; None means the task's agent, else the current run's, else the configuration's
                ``agent_id``, which defaults to ``XPANDER_AGENT_ID``.
            agent: An agent that is already loaded, instead of an id.
            options: See ``ArgumentOptions``.

        Raises:
            ConfigurationError: No agent is named, or it has no model and the environment has no key for one.
            ModuleException: 404 if there is no such agent; 501 if the agent is at another version.
        """
        record = agent
        version = options.get("agent_version")
        if record is None:
            named = self._named(agent_id, options.get("task"))
            record = await bridge.across(lambda platform: _record(platform, named, version), self.configuration)
        return self._arguments(record, options)

    get_args = bridge.blocking(aget_args)

    async def ainvoke_agent(
        self,
        agent_id: str | None = None,
        prompt: str | None = "",
        file_urls: "Sequence[FileSource] | None" = None,
        **options: "Unpack[TaskOptions]",
    ) -> "Task":
        """Create a task for an agent; see ``Tasks.acreate``.

        Args:
            agent_id: The agent's id; None means the current run's agent, else ``XPANDER_AGENT_ID``.
            prompt: The prompt.
            file_urls: URLs as text; local files as ``pathlib.Path``, which are uploaded.
            options: See ``TaskOptions``.
        """
        from worker.face.tasks import Tasks

        named = self._named(agent_id, None)
        return await Tasks(self.configuration).acreate(named, prompt, file_urls, **options)

    invoke_agent = bridge.blocking(ainvoke_agent)

    async def areport_external_task(
        self, agent_id: str | None = None, agent: "Agent | None" = None, **details: "Unpack[Report]"
    ) -> "Task":
        """Record a task that ran elsewhere.

        Args:
            agent_id: The agent's id; None means the current run's agent, else ``XPANDER_AGENT_ID``.
            agent: An agent that is already loaded, instead of an id.
            details: See ``Report``.
        """
        from worker.face.task import Task

        named = agent.id if agent is not None else self._named(agent_id, None)
        return await Task.areport_external_task(self.configuration, named, **details)

    report_external_task = bridge.blocking(areport_external_task)

    def _named(self, agent_id: str | None, task: "TaskRecord | None") -> str:
        return resolve_agent_id(agent_id, self.configuration, task.agent_id if task else None)

    def _arguments(self, record: "AgentRecord", options: ArgumentOptions) -> dict[str, Any]:
        from worker.agents.tools.arguments import agent_arguments
        from worker.face.tool_hooks import tool_hook
        from worker.face.tools import ToolsRepository

        settings, task = self.configuration.settings if self.configuration else None, options.get("task")
        arguments = agent_arguments(record, task=task, settings=settings)
        tools = ToolsRepository(self.configuration, record.id, record.announced_tools)
        known = {each.name: each for each in tools.list}
        more = list(options.get("tools") or ())
        if known or more:
            arguments["tools"] = [*tools.functions, *more]
        if record.knowledge_bases:
            from worker.face.retrieving import retriever

            bases = [each.id for each in record.knowledge_bases]
            arguments["knowledge_retriever"] = retriever(bases, self.configuration, record.id)
            arguments["search_knowledge"] = True
        arguments["tool_hooks"] = [tool_hook(known, task.id if task else None)]
        arguments |= options.get("override") or {}
        if "model" not in arguments:  # otherwise Agno would use its own default and fail at the first call
            from worker.agents.models.models import default_model

            arguments["model"] = default_model(settings)
        return arguments


async def _record(platform: Platform, agent_id: str, version: str | int | None) -> "AgentRecord":
    record = await platform.tasks.get_agent(agent_id)
    check_version(record, version)
    return record
