"""What the platform knows of an agent, as Agno's ``Agent`` takes it."""

from typing import TYPE_CHECKING, Any

from worker.contracts import Platform
from worker.face import bridge
from worker.face.agent import agent_meant
from worker.face.configuration import Configuration
from worker.words.errors import Unsupported

if TYPE_CHECKING:
    from worker.words.agents import AgentRecord
    from worker.words.tasks import TaskRecord


class Backend:
    """Makes Agno agents of a platform's agents: ``agno.agent.Agent(**backend.get_args())``.

    Args:
        configuration: Which platform; none: what the environment says.
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.configuration = configuration

    async def aget_args(
        self,
        agent_id: str | None = None,
        agent_version: str | int | None = None,
        task: "TaskRecord | None" = None,
        override: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Answer the keyword arguments for ``agno.agent.Agent``: model, instructions, tools, and hooks around those.

        The hooks have each call of a tool in the task's log, also where the agent is run without ``run_agent``.

        Args:
            agent_id: Which agent; none: the task's, that of the run in hand, the configuration's, ``XPANDER_AGENT_ID``.
            agent_version: The version that is expected.
            task: The task it is made for; its choice of model counts before the agent's.
            override: Arguments that take the place of these.

        Raises:
            ConfigurationError: No agent is named, or it has no model and the environment has no key for one.
            ModuleException: 404: there is no such agent; 501: the platform does not keep that version.
        """
        named = self._named(agent_id, task)
        record = await bridge.across(lambda platform: _record(platform, named, agent_version), self.configuration)
        return self._arguments(record, task, override)

    def get_args(
        self,
        agent_id: str | None = None,
        agent_version: str | int | None = None,
        task: "TaskRecord | None" = None,
        override: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Answer the keyword arguments for ``agno.agent.Agent``, as ``aget_args`` does."""
        named = self._named(agent_id, task)
        record = bridge.block(lambda platform: _record(platform, named, agent_version), self.configuration)
        return self._arguments(record, task, override)

    def _named(self, agent_id: str | None, task: "TaskRecord | None") -> str:
        return agent_meant(agent_id, self.configuration, task.agent_id if task else None)

    def _arguments(
        self, record: "AgentRecord", task: "TaskRecord | None", override: dict[str, Any] | None
    ) -> dict[str, Any]:
        from worker.agents.arguments import agent_arguments
        from worker.face.tool_hooks import tool_hook
        from worker.face.tools import ToolsRepository

        settings = self.configuration.settings if self.configuration else None
        arguments = agent_arguments(record, task=task, settings=settings)
        tools = ToolsRepository(self.configuration, record.id, record.announced_tools)
        known = {each.name: each for each in tools.list}
        if known:
            arguments["tools"] = tools.functions
        arguments["tool_hooks"] = [tool_hook(known, task.id if task else None)]
        arguments |= override or {}
        if "model" not in arguments:  # Agno would fall back on its own default, and fail at the first call
            from worker.agents.models import default_model

            arguments["model"] = default_model(settings)
        return arguments


async def _record(platform: Platform, agent_id: str, version: str | int | None) -> "AgentRecord":
    record = await platform.tasks.get_agent(agent_id)
    if version is not None and str(version) != str(record.version):
        raise Unsupported(
            f"answer version {version} of agent {agent_id!r}, which is at {record.version}", "The platform"
        )
    return record
