"""The verbs of clients for agents, model providers and the audit log."""

from collections.abc import Mapping
from typing import Any

from worker.contracts.bounds import bounded
from worker.engine.database.payloads import encode
from worker.engine.database.statements import agents as sql_agents
from worker.engine.verbs import tool_calls
from worker.engine.verbs.client_verbs import ClientVerbs
from worker.engine.verbs.providers import Providers
from worker.words.actors import AuditAction
from worker.words.agents import AgentRecord
from worker.words.audit import AuditEntry, AuditQuery
from worker.words.errors import AgentNotFound
from worker.words.ids import check_id
from worker.words.invisible_characters import name_of
from worker.words.providers import ProviderState
from worker.words.texts import clean

NOT_STORED = frozenset({"id", "organization_id", "version", "created_at", "announced", "announced_tools"})
"""Fields of an agent's record that the platform itself sets."""


class EngineAgentVerbs(ClientVerbs):
    """The verbs for agents, their providers and the audit log."""

    @bounded
    async def get_agent(self, agent_id: str) -> AgentRecord:
        """Return an agent."""
        rows = await self._core.read(sql_agents.GET_AGENT, (self._organization, clean(agent_id)))
        if not rows:
            raise AgentNotFound(agent_id)
        return self._agent(rows[0])

    @bounded
    async def list_agents(self) -> list[AgentRecord]:
        """Return all agents."""
        return [self._agent(row) for row in await self._core.read(sql_agents.LIST_AGENTS, (self._organization,))]

    @bounded
    async def save_agent(self, agent: AgentRecord) -> AgentRecord:
        """Store an agent under its next version."""
        check_id(agent.id, "id")
        record = agent.model_dump(exclude=set(NOT_STORED))
        record["name"] = name_of(clean(agent.name))
        async with self._audit.of(AuditAction.AgentSaved, f"agent {agent.id}", agent=agent.id):
            await self._core.rows(
                sql_agents.SAVE_AGENT, (self._organization, agent.id, encode(self._core.vault.marked(record)))
            )
        self._core.models.forget(self._organization, agent.id)
        return await self.get_agent(agent.id)

    @bounded
    async def delete_agent(self, agent_id: str) -> AgentRecord:
        """Delete an agent's record."""
        async with self._audit.of(AuditAction.AgentDeleted, f"agent {agent_id}", agent=clean(agent_id)):
            rows = await self._core.rows(sql_agents.DELETE_AGENT, (self._organization, clean(agent_id)))
            if not rows:
                raise AgentNotFound(agent_id)
        return self._agent(rows[0])

    def _agent(self, row: Mapping[str, Any]) -> AgentRecord:
        return AgentRecord.model_validate(
            {
                **row["record"],
                "id": row["id"],
                "organization_id": self._organization,
                "announced": row["announced"],
                "version": row["version"],
                "created_at": row["created_at"],
                "announced_tools": tool_calls.tools_of(row["id"], row.get("tools") or []),
            }
        )

    @bounded
    async def providers(self) -> list[ProviderState]:
        """List the providers whose last call failed."""
        return await Providers(self._core, self._organization).listed()

    @bounded
    async def resume_provider(self, provider_id: str) -> ProviderState:
        """Make the tasks that wait for a provider available immediately."""
        async with self._audit.of(AuditAction.ProviderResumed, f"provider {provider_id}"):
            return await Providers(self._core, self._organization).resume(provider_id)

    @bounded
    async def fail_provider(self, provider_id: str) -> ProviderState:
        """End the tasks that wait for a provider."""
        async with self._audit.of(AuditAction.ProviderFailed, f"provider {provider_id}"):
            return await Providers(self._core, self._organization).fail(provider_id)

    @bounded
    async def audit(self, query: AuditQuery) -> list[AuditEntry]:
        """Return the matching lines of the audit log, the newest first."""
        return await self._audit.find(query)
