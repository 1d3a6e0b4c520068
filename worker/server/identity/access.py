"""What a request may reach: a role, an organization, perhaps some agents. The table is ``contracts/access.py``."""

from collections.abc import Iterable
from dataclasses import dataclass

from worker.contracts import NO_KEY, AccessRule, AccessScope, Organization
from worker.words.errors import AgentNotFound, FileNotStored, ModuleException, TaskNotFound
from worker.words.knowledge import KnowledgeBaseNotFound, ingestion_of
from worker.words.references import Reference
from worker.words.requests import OfAgents
from worker.words.roles import Role
from worker.words.tasks import TaskRecord


class Unauthorized(ModuleException):
    """The key is missing or wrong."""

    status = 401


class Forbidden(ModuleException):
    """The key's role does not allow it."""

    status = 403


@dataclass(frozen=True, slots=True)
class Access:
    """What a request may reach.

    Args:
        room: Its organization.
        role: What it may do there.
        key: What its key is known by: an id, ``SERVER_KEY`` or ``NO_KEY``.
        name: What its key is for, as whoever made it said.
        agents: The agents it reaches; None means every one.
        session: The token of the pages' session that it came with; None means it came with the key itself.
    """

    organization: Organization
    role: Role = Role.Admin
    key: str = NO_KEY
    name: str = ""
    agents: frozenset[str] | None = None
    session: str | None = None

    def permit(self, rule: AccessRule) -> AccessScope:
        """What a request by this rule has to be about. Raises: Forbidden."""
        scope = rule.scopes.get(self.role)
        if scope is None:
            roles = " or ".join(rule.roles)
            raise Forbidden(None, f"This key's role is {self.role}; what was asked takes a key of the role {roles}.")
        return scope

    def allows(self, rule: AccessRule) -> bool:
        """Whether its role may do that."""
        return self.role in rule.scopes

    def reaches(self, agent_id: str) -> bool:
        """Whether an agent is within reach."""
        return self.agents is None or agent_id in self.agents

    def check(self, agent_id: str) -> None:
        """Let pass only what is within reach. Raises: AgentNotFound."""
        if not self.reaches(agent_id):
            raise AgentNotFound(agent_id)

    def within(self, query: OfAgents) -> OfAgents:
        """A query for what is within reach alone."""
        if self.agents is None:
            return query
        agents = self.agents if query.agents is None else self.agents.intersection(query.agents)
        return query.model_copy(update={"agents": tuple(sorted(agents))})

    async def check_task(self, task_id: str) -> None:
        """Let pass only tasks of agents within reach. Raises: TaskNotFound."""
        if self.agents is not None:
            await self.task(task_id)

    async def store_file(self, name: str, media_type: str, content: bytes) -> str:
        """Store a file, and remember that this key did where it reaches some agents only. Raises: as the platform."""
        reference = await self.organization.tasks.store_file(name, media_type, content)
        if self.agents is not None and (stored := Reference.read(reference)) is not None:
            await self.organization.uploads.note(stored.sha256, self.key)
        return reference

    async def check_files(self, references: Iterable[str]) -> None:
        """Let pass only stored files within reach; what is no reference to one is passed over.

        Within reach of a key of some agents is what it uploaded, and what their tasks have. Raises: FileNotStored.
        """
        if self.agents is None:
            return
        named = {stored.sha256: each for each in references if (stored := Reference.read(each)) is not None}
        found = await self.organization.uploads.within(named, self.key, sorted(self.agents)) if named else named.keys()
        for digest in named.keys() - found:
            raise FileNotStored(named[digest])

    async def check_knowledge_base(self, knowledge_base_id: str) -> None:
        """Let pass only knowledge bases within reach. Raises: KnowledgeBaseNotFound."""
        if self.agents is not None and knowledge_base_id not in await self.knowledge_bases():
            raise KnowledgeBaseNotFound(knowledge_base_id)

    async def knowledge_bases(self) -> frozenset[str]:
        """The knowledge bases within reach of a key of some agents."""
        return await self.organization.knowledge.within(sorted(self.agents or ()))

    async def task(self, task_id: str) -> TaskRecord:
        """A task within reach. Raises: TaskNotFound."""
        task = await self.organization.tasks.get(task_id)
        read = ingestion_of(task)
        if read is not None and self.agents is not None:
            is_within = read.knowledge_base_id in await self.knowledge_bases()
        else:
            is_within = self.reaches(task.agent_id)
        if not is_within:
            raise TaskNotFound(task_id)
        return task
