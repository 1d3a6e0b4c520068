"""The permissions of a request: a role, an organization, perhaps some agents. The table is ``contracts/access.py``."""

from collections.abc import Iterable
from dataclasses import dataclass

from worker.contracts import NO_KEY, AccessRule, AccessScope, Organization
from worker.words.errors import AgentNotFound, FileNotStored, ModuleException, TaskNotFound
from worker.words.knowledge import KnowledgeBaseNotFound, ingestion_of
from worker.words.references import Reference
from worker.words.roles import Role
from worker.words.task_lists import OfAgents
from worker.words.tasks import TaskRecord


class Unauthorized(ModuleException):
    """The API key is missing or not valid."""

    status = 401


class Forbidden(ModuleException):
    """The key's role does not allow this request."""

    status = 403


@dataclass(frozen=True, slots=True)
class Access:
    """The permissions of one request.

    Args:
        organization: The organization of the key.
        role: The key's role in that organization.
        key: The key's identifier: an id, ``SERVER_KEY`` or ``NO_KEY``.
        name: The key's display name, as given by its creator.
        agents: The agents that the key can reach; None means all of them.
        session: The token of the dashboard session that made the request; None if the request carried the key itself.
    """

    organization: Organization
    role: Role = Role.Admin
    key: str = NO_KEY
    name: str = ""
    agents: frozenset[str] | None = None
    session: str | None = None

    def permit(self, rule: AccessRule) -> AccessScope:
        """Return the scope in which this role may make a request under a rule.

        Raises:
            Forbidden: The rule does not allow this role.
        """
        scope = rule.scopes.get(self.role)
        if scope is None:
            roles = " or ".join(rule.roles)
            raise Forbidden(
                None, f"This request requires a key with the role {roles}; your key has the role {self.role}."
            )
        return scope

    def allows(self, rule: AccessRule) -> bool:
        """Return whether a rule allows this role."""
        return self.role in rule.scopes

    def reaches(self, agent_id: str) -> bool:
        """Return whether the key can reach an agent."""
        return self.agents is None or agent_id in self.agents

    def check(self, agent_id: str) -> None:
        """Check that the key can reach an agent.

        Raises:
            AgentNotFound: The key cannot reach the agent.
        """
        if not self.reaches(agent_id):
            raise AgentNotFound(agent_id)

    def within(self, query: OfAgents) -> OfAgents:
        """Return a copy of a query, restricted to the agents that the key can reach."""
        if self.agents is None:
            return query
        agents = self.agents if query.agents is None else self.agents.intersection(query.agents)
        return query.model_copy(update={"agents": tuple(sorted(agents))})

    async def check_task(self, task_id: str) -> None:
        """Check that the key can reach a task.

        Raises:
            TaskNotFound: There is no such task, or the key cannot reach it.
        """
        if self.agents is not None:
            await self.task(task_id)

    async def store_file(self, name: str, media_type: str, content: bytes) -> str:
        """Store a file and return its reference. For a key limited to some agents, also record who uploaded it."""
        reference = await self.organization.tasks.store_file(name, media_type, content)
        if self.agents is not None and (stored := Reference.read(reference)) is not None:
            await self.organization.uploads.note(stored.sha256, self.key)
        return reference

    async def check_files(self, references: Iterable[str]) -> None:
        """Check that the key can reach all stored files among the references; strings of any other form are ignored.

        A key that is limited to some agents can reach the files that it uploaded and the files of those agents' tasks.

        Raises:
            FileNotStored: The key cannot reach one of the files.
        """
        if self.agents is None:
            return
        named = {stored.sha256: each for each in references if (stored := Reference.read(each)) is not None}
        found = await self.organization.uploads.within(named, self.key, sorted(self.agents)) if named else named.keys()
        for digest in named.keys() - found:
            raise FileNotStored(named[digest])

    async def check_knowledge_base(self, knowledge_base_id: str) -> None:
        """Check that the key can reach a knowledge base.

        Raises:
            KnowledgeBaseNotFound: The key cannot reach the knowledge base.
        """
        if self.agents is not None and knowledge_base_id not in await self.knowledge_bases():
            raise KnowledgeBaseNotFound(knowledge_base_id)

    async def knowledge_bases(self) -> frozenset[str]:
        """Return the ids of the knowledge bases that a key limited to some agents can reach."""
        return await self.organization.knowledge.within(sorted(self.agents or ()))

    async def task(self, task_id: str) -> TaskRecord:
        """Return a task that the key can reach.

        Raises:
            TaskNotFound: There is no such task, or the key cannot reach it.
        """
        task = await self.organization.tasks.get(task_id)
        read = ingestion_of(task)
        if read is not None and self.agents is not None:
            is_within = read.knowledge_base_id in await self.knowledge_bases()
        else:
            is_within = self.reaches(task.agent_id)
        if not is_within:
            raise TaskNotFound(task_id)
        return task
