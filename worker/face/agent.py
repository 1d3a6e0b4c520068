"""An agent as user code holds it: its record, and a way to give it work."""

import re
from collections.abc import Sequence
from typing import Any, Self, Unpack

from pydantic import PrivateAttr

from worker.contracts import Platform
from worker.current import run_in_hand
from worker.face import bridge
from worker.face.agent_sessions import AgentSessions
from worker.face.binding import bound
from worker.face.configuration import Configuration
from worker.face.knowledge import KnowledgeBase, KnowledgeBases
from worker.face.options import TaskOptions
from worker.face.retrieving import Retriever, retriever
from worker.face.task import Task
from worker.face.task_saving import Verb
from worker.face.tasks import Tasks
from worker.face.tools import InvocationOptions, Tool, ToolsRepository
from worker.face.uploads import FileSource
from worker.words.agents import AgentRecord
from worker.words.errors import ConfigurationError, Unsupported, ValidationError
from worker.words.knowledge import AgentKnowledgeBase
from worker.words.protocol import AgentDeploymentType
from worker.words.tools import ToolInvocationResult


class Agent(AgentSessions, AgentRecord):
    """An agent of a platform. Each method ``aX`` has a twin ``X`` that blocks, with or without a running loop."""

    _configuration: Configuration | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, record: AgentRecord, configuration: Configuration | None = None) -> Self:
        """Bind a record to its platform."""
        agent = cls.model_construct(record.model_fields_set, **record.__dict__)
        agent._configuration = configuration  # noqa: SLF001 - its own class
        return agent

    @property
    def configuration(self) -> Configuration | None:
        """Where the agent lives; None means on the default platform."""
        return self._configuration

    @property
    def origin(self) -> Configuration | None:
        """The platform that the agent came from; None means the default one."""
        return self._configuration

    @property
    def sanitized_name(self) -> str:
        """Its name as an identifier: letters, digits and _ alone."""
        name = re.sub(r"[^A-Za-z0-9_]", "_", self.name)
        return name if re.match(r"[A-Za-z_]", name) else f"_{name}"

    async def ainvoke_tool(
        self, tool: Tool, payload: Any = None, **more: Unpack[InvocationOptions]
    ) -> ToolInvocationResult:
        """Call a tool in this agent's name; see ``Tool.ainvoke``."""
        return await tool.ainvoke(self.id, payload, **more)

    def invoke_tool(self, tool: Tool, payload: Any = None, **more: Unpack[InvocationOptions]) -> ToolInvocationResult:
        """Call a tool in this agent's name, as ``ainvoke_tool`` does."""
        return tool.invoke(self.id, payload, **more)

    @property
    def tools(self) -> ToolsRepository:
        """Its tools: those of this process, and those that workers had when the agent was loaded."""
        return ToolsRepository(self._configuration, self.id, self.announced_tools)

    @property
    def search_knowledge(self) -> bool:
        """Whether it searches any knowledge base."""
        return bool(self.knowledge_bases)

    @property
    def has_knowledge_bases(self) -> bool:
        """The same."""
        return self.search_knowledge

    @property
    def is_active(self) -> bool:
        """Whether it may be given tasks, as far as its record says."""
        return self.status == "ACTIVE"

    @property
    def mcp_servers(self) -> "list_[Any]":
        """MCP servers that it names: there are none, since Agno's ``MCPTools`` are given to the agent itself."""
        return []

    @property
    def graph(self) -> None:
        """Its graph: agents here have none."""

    @property
    def llm_credentials(self) -> None:
        """Credentials of its model: they are in the worker's environment."""

    @property
    def deployment_type(self) -> AgentDeploymentType:
        """Where it runs: in workers."""
        return AgentDeploymentType.Container

    def attach_knowledge_base(
        self, knowledge_base: KnowledgeBase | None = None, knowledge_base_id: str | None = None
    ) -> None:
        """Have this agent search a knowledge base; ``asave`` makes that last.

        Args:
            knowledge_base: Which.
            knowledge_base_id: Or its id.

        Raises:
            ValidationError: Neither is given.
        """
        wanted = knowledge_base.id if knowledge_base is not None else knowledge_base_id
        if not wanted:
            raise ValidationError("give a knowledge base, or the id of one", field="knowledge_base")
        if not any(each.id == wanted for each in self.knowledge_bases):
            self.knowledge_bases = [*self.knowledge_bases, AgentKnowledgeBase(id=wanted)]

    async def aget_knowledge_bases(self) -> "list_[KnowledgeBase]":
        """Load the knowledge bases that it searches. Raises: ModuleException (404: one is gone)."""
        bases = KnowledgeBases(self._configuration)
        return [await bases.aget(each.id) for each in self.knowledge_bases]

    def get_knowledge_bases(self) -> "list_[KnowledgeBase]":
        """Load the knowledge bases that it searches, as ``aget_knowledge_bases`` does."""
        bases = KnowledgeBases(self._configuration)
        return [bases.get(each.id) for each in self.knowledge_bases]

    def knowledge_bases_retriever(self) -> Retriever:
        """What ``agno.agent.Agent(knowledge_retriever=…)`` takes: it searches this agent's knowledge bases."""
        return retriever([each.id for each in self.knowledge_bases], self._configuration, self.id)

    async def asave(self) -> Self:
        """Save the agent as it is, under its next version; one that a worker only announced becomes a made one."""
        return self._absorb(await bridge.across(self._saving(), self._configuration))

    def save(self) -> Self:
        """Save the agent, as ``asave`` does."""
        return self._absorb(bridge.block(self._saving(), self._configuration))

    def _saving(self) -> Verb[AgentRecord]:
        record = AgentRecord.model_validate(self.model_dump())
        return lambda platform: platform.tasks.save_agent(record)

    def _absorb(self, record: AgentRecord) -> Self:
        vars(self).update(vars(record))
        return self

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
            agent_id: Which; None means that of the run in hand, else the configuration's, ``XPANDER_AGENT_ID``.
            configuration: Where it lives; None means on the default platform.
            version: The version that is expected.

        Raises:
            ModuleException: 404: there is no such agent; 400: none is named; 501: it is at another version, and the
                platform keeps that one alone.
        """
        found = await bridge.across(_get(agent_meant(agent_id, configuration)), configuration)
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
        """Load an agent, as ``aload`` does."""
        found = bridge.block(_get(agent_meant(agent_id, configuration)), configuration)
        check_version(found, version)
        return cls.of(found, configuration)

    @classmethod
    async def alist(cls, configuration: Configuration | None = None) -> list[Self]:
        """List all agents, by name."""
        return [cls.of(record, configuration) for record in await bridge.across(_list, configuration)]

    @classmethod
    def list(cls, configuration: Configuration | None = None) -> "list_[Self]":
        """List all agents, as ``alist`` does."""
        return [cls.of(record, configuration) for record in bridge.block(_list, configuration)]

    async def acreate_task(
        self,
        prompt: str | None = "",
        file_urls: Sequence[FileSource] | str | None = None,
        *more: Any,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Create a task for this agent; see ``Tasks.acreate``.

        By position xpander-sdk has ``existing_task_id`` in the place of the files, which is known by its being a text.
        """
        return await Tasks(self._configuration).acreate(self.id, *_theirs(prompt, file_urls, more), **options)

    def create_task(
        self,
        prompt: str | None = "",
        file_urls: Sequence[FileSource] | str | None = None,
        *more: Any,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Create a task for this agent, as ``acreate_task`` does."""
        return Tasks(self._configuration).create(self.id, *_theirs(prompt, file_urls, more), **options)


AgentsListItem = Agent
"""What lists of agents hold, under the name that code written for xpander knows: they are whole."""

list_ = list  # within the class above ``list`` is its method


def _theirs(prompt: str | None, second: Any, more: Sequence[Any]) -> tuple[Any, ...]:
    """What was given by position, in an order that ``Tasks.acreate`` knows."""
    if isinstance(second, str) or (second is None and more):
        return (second, prompt or "", *more)
    return (prompt, second, *more)


def agent_meant(agent_id: str | None, configuration: Configuration | None = None, task_agent: str | None = None) -> str:
    """Find out which agent is meant: the one named, the task's, that of the run in hand, the configuration's.

    Raises:
        ConfigurationError: None is named anywhere, or several.
    """
    run = run_in_hand.get()
    named = agent_id or task_agent or (run.agent_id if run else None)
    if named:
        return named
    configured = (configuration or Configuration()).agent_id
    if not configured:
        raise ConfigurationError("no agent is named: give agent_id, or set XPANDER_AGENT_ID")
    if "," in configured:
        raise ConfigurationError(f"XPANDER_AGENT_ID names several agents ({configured}): give agent_id")
    return configured


def _get(agent_id: str) -> Verb[AgentRecord]:
    return lambda platform: platform.tasks.get_agent(agent_id)


async def _list(platform: Platform) -> list[AgentRecord]:
    return await platform.tasks.list_agents()


def check_version(record: "AgentRecord", version: str | int | None) -> None:
    """Let pass the version that an agent is at. Raises: Unsupported."""
    if version is not None and str(version) != str(record.version):
        raise Unsupported(
            f"answer version {version} of agent {record.id!r}, which is at {record.version}", "The platform"
        )
