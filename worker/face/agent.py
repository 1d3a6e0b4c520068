"""An agent as user code holds it: its record, its tools, its knowledge bases, and the creation of its tasks."""

import re
from collections.abc import Sequence
from typing import Any, Self, Unpack

from worker.current import run_in_hand
from worker.face import bridge
from worker.face.agent_sessions import AgentSessions
from worker.face.binding import OnPlatform, bound
from worker.face.configuration import Configuration
from worker.face.knowledge import KnowledgeBase, KnowledgeBases
from worker.face.options import TaskOptions
from worker.face.retrieving import Retriever, retriever
from worker.face.schema_models import AgentOutput, build_model_from_schema
from worker.face.task import Task
from worker.face.tasks import Tasks
from worker.face.tools import InvocationOptions, Tool, ToolsRepository
from worker.face.uploads import FileSource
from worker.words.agents import AgentRecord
from worker.words.errors import ConfigurationError, Unsupported, ValidationError
from worker.words.knowledge import AgentKnowledgeBase
from worker.words.protocol import AgentDeploymentType
from worker.words.statuses import OutputFormat
from worker.words.tools import ToolInvocationResult


class Agent(AgentSessions, OnPlatform, AgentRecord):
    """An agent of a platform. Each method ``aX`` has a sync counterpart ``X``, which also works in a running loop."""

    @property
    def origin(self) -> Configuration | None:
        """The platform that the agent came from; None means the default one."""
        return self._configuration

    @property
    def sanitized_name(self) -> str:
        """The agent's name as an identifier, with only letters, digits and underscores."""
        name = re.sub(r"[^A-Za-z0-9_]", "_", self.name)
        return name if re.match(r"[A-Za-z_]", name) else f"_{name}"

    async def ainvoke_tool(
        self, tool: Tool, payload: Any = None, **more: Unpack[InvocationOptions]
    ) -> ToolInvocationResult:
        """Call a tool on behalf of this agent; see ``Tool.ainvoke``."""
        return await tool.ainvoke(self.id, payload, **more)

    def invoke_tool(self, tool: Tool, payload: Any = None, **more: Unpack[InvocationOptions]) -> ToolInvocationResult:
        """Sync version of ``ainvoke_tool``."""
        return tool.invoke(self.id, payload, **more)

    @property
    def tools(self) -> ToolsRepository:
        """The agent's tools: those of this process, and those that workers had announced when the agent was loaded."""
        return ToolsRepository(self._configuration, self.id, self.announced_tools)

    @property
    def search_knowledge(self) -> bool:
        """Whether the agent searches any knowledge base."""
        return bool(self.knowledge_bases)

    @property
    def has_knowledge_bases(self) -> bool:
        """An alias of ``search_knowledge``."""
        return self.search_knowledge

    @property
    def is_active(self) -> bool:
        """Whether the agent's record says that it accepts tasks."""
        return self.status == "ACTIVE"

    @property
    def output(self) -> AgentOutput:
        """The form of the agent's results, as keyword arguments for an Agno agent take it."""
        is_json = self.output_format is OutputFormat.Json
        schema = self.output_schema if is_json else None
        return AgentOutput(
            output_schema=build_model_from_schema("StructuredOutput", schema) if schema else None,
            is_markdown=self.output_format is OutputFormat.Markdown,
            use_json_mode=is_json,
        )

    @property
    def mcp_servers(self) -> "list_[Any]":
        """Always empty: MCP servers are given to the Agno agent itself, as Agno's ``MCPTools``."""
        return []

    @property
    def graph(self) -> None:
        """Always None: agents have no graph here."""

    @property
    def llm_credentials(self) -> None:
        """Always None: credentials of models are in the worker's environment."""

    @property
    def deployment_type(self) -> AgentDeploymentType:
        """Always ``Container``: agents run in workers."""
        return AgentDeploymentType.Container

    def attach_knowledge_base(
        self, knowledge_base: KnowledgeBase | None = None, knowledge_base_id: str | None = None
    ) -> None:
        """Let this agent search a knowledge base. Call ``asave`` to make the change permanent.

        Args:
            knowledge_base: The knowledge base.
            knowledge_base_id: Its id, instead.

        Raises:
            ValidationError: Neither is given.
        """
        wanted = knowledge_base.id if knowledge_base is not None else knowledge_base_id
        if not wanted:
            raise ValidationError("give a knowledge base or its id", field="knowledge_base")
        if not any(each.id == wanted for each in self.knowledge_bases):
            self.knowledge_bases = [*self.knowledge_bases, AgentKnowledgeBase(id=wanted)]

    async def aget_knowledge_bases(self) -> "list_[KnowledgeBase]":
        """Load the knowledge bases that the agent searches.

        Raises:
            ModuleException: 404 if one of them no longer exists.
        """
        bases = KnowledgeBases(self._configuration)
        return [await bases.aget(each.id) for each in self.knowledge_bases]

    get_knowledge_bases = bridge.blocking(aget_knowledge_bases)

    def knowledge_bases_retriever(self) -> Retriever:
        """Return a retriever over this agent's knowledge bases, for ``agno.agent.Agent(knowledge_retriever=…)``."""
        return retriever([each.id for each in self.knowledge_bases], self._configuration, self.id)

    async def asave(self) -> Self:
        """Save the agent as its next version. An agent that only workers have announced is thereby created.

        Returns:
            This agent, updated from the platform.
        """
        record = AgentRecord.model_validate(self.model_dump())
        saved = await bridge.across(lambda platform: platform.tasks.save_agent(record), self._configuration)
        vars(self).update(vars(saved))
        return self

    save = bridge.blocking(asave)

    @bound
    @classmethod
    async def aload(
        cls,
        agent_id: str | None = None,
        configuration: Configuration | None = None,
        version: str | int | None = None,
    ) -> Self:
        """Load an agent.

        Args:
            agent_id: The agent's id; None means the current run's agent, else the configuration's ``agent_id``, which
                defaults to ``XPANDER_AGENT_ID``. Called on an instance without arguments, this loads that agent again.
            configuration: The agent's platform; None means the default one or, on an instance, the instance's own.
            version: The expected version; None accepts any.

        Raises:
            ModuleException: 404 if there is no such agent; 400 if none is named; 501 if the agent is at another
                version, since platforms keep only the latest.
        """
        named = resolve_agent_id(agent_id, configuration)
        found = await bridge.across(lambda platform: platform.tasks.get_agent(named), configuration)
        check_version(found, version)
        return cls.of(found, configuration)

    @bound
    @classmethod
    def load(
        cls,
        agent_id: str | None = None,
        configuration: Configuration | None = None,
        version: str | int | None = None,
    ) -> Self:
        """Sync version of ``aload``."""
        return bridge.blocking(cls.aload)(agent_id, configuration, version)

    @classmethod
    async def alist(cls, configuration: Configuration | None = None) -> list[Self]:
        """List all agents, by name.

        Args:
            configuration: The platform; None means the default one.
        """
        listed = await bridge.across(lambda platform: platform.tasks.list_agents(), configuration)
        return [cls.of(record, configuration) for record in listed]

    @classmethod
    def list(cls, configuration: Configuration | None = None) -> "list_[Self]":
        """Sync version of ``alist``."""
        return bridge.blocking(cls.alist)(configuration)

    async def acreate_task(
        self,
        prompt: str | None = "",
        file_urls: Sequence[FileSource] | str | None = None,
        *more: Any,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Create a task for this agent; see ``Tasks.acreate``.

        The positional order of xpander-sdk is accepted, too: a text in place of the files is ``existing_task_id``.
        """
        return await Tasks(self._configuration).acreate(self.id, *_theirs(prompt, file_urls, more), **options)

    create_task = bridge.blocking(acreate_task)


AgentsListItem = Agent
"""xpander-sdk's name for items of lists of agents, which are whole agents here."""

list_ = list  # within the class above, ``list`` is the method


def _theirs(prompt: str | None, second: Any, more: Sequence[Any]) -> tuple[Any, ...]:
    """Reorder positional arguments into an order that ``Tasks.acreate`` accepts."""
    if isinstance(second, str) or (second is None and more):
        return (second, prompt or "", *more)
    return (prompt, second, *more)


def resolve_agent_id(
    agent_id: str | None, configuration: Configuration | None = None, task_agent: str | None = None
) -> str:
    """Return the id of the agent meant: the one named, the task's, the current run's, or the configuration's.

    Raises:
        ConfigurationError: No agent is named, or the configuration names several.
    """
    run = run_in_hand.get()
    named = agent_id or task_agent or (run.agent_id if run else None)
    if named:
        return named
    configured = (configuration or Configuration()).agent_id
    if not configured:
        raise ConfigurationError("no agent is given: pass agent_id, or set XPANDER_AGENT_ID")
    if "," in configured:
        raise ConfigurationError(f"XPANDER_AGENT_ID names several agents ({configured}): pass agent_id")
    return configured


def check_version(record: "AgentRecord", version: str | int | None) -> None:
    """Check that an agent is at the expected version; None accepts any.

    Raises:
        Unsupported: The agent is at another version.
    """
    if version is not None and str(version) != str(record.version):
        raise Unsupported(
            f"return version {version} of agent {record.id!r}, which is at version {record.version}", "The platform"
        )
