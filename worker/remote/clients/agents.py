"""The verbs of agents, their tools and model providers, and of the audit log, over HTTP."""

from collections.abc import Mapping
from typing import Any

from worker.contracts.bounds import bounded
from worker.remote.clients.verbs import Verbs, in_path
from worker.remote.http.refusals import UNKNOWN_ROUTE, Subject
from worker.remote.http.transport import Repeat
from worker.wire.records import decode, record_of, records_of
from worker.words.agents import AgentRecord
from worker.words.audit import AuditEntry, AuditQuery
from worker.words.digests import digest
from worker.words.errors import AgentNotFound, ModuleException, ToolNotFound
from worker.words.ids import check_id, new_id
from worker.words.providers import ProviderState
from worker.words.tools import TOOL_SECONDS, ToolInvocationResult, ToolRecord

WAIT_MARGIN_SECONDS = 15.0  # beyond a tool's own timeout, while the server waits for the worker's outcome


class RemoteAgentVerbs(Verbs):
    """The verbs of agents, tools, providers and the audit log."""

    @bounded
    async def get_agent(self, agent_id: str) -> AgentRecord:
        """Return an agent."""
        if not agent_id:
            raise AgentNotFound(agent_id)
        path, subject = f"/agents/{in_path(agent_id)}", Subject(agent_id=agent_id)
        return record_of(AgentRecord, await self._read(path, "an agent", subject=subject))

    @bounded
    async def list_agents(self) -> list[AgentRecord]:
        """Return all agents."""
        return records_of(AgentRecord, await self._read("/agents/list", "a list of agents"))

    @bounded
    async def save_agent(self, agent: AgentRecord) -> AgentRecord:
        """Create an agent, or update it under a new version number."""
        check_id(agent.id, "id")
        path = f"/agents/{in_path(agent.id)}"
        answer = await self._transport.call("PUT", path, body=agent, needed_to="save agents")
        return record_of(AgentRecord, decode(answer.content, "an agent"))

    @bounded
    async def delete_agent(self, agent_id: str) -> AgentRecord:
        """Delete an agent from the list."""
        if not agent_id:
            raise AgentNotFound(agent_id)
        subject = Subject(agent_id=agent_id)
        try:
            answer = await self._transport.call(
                "DELETE", f"/agents/{in_path(agent_id)}", subject=subject, repeat=Repeat.UNSENT
            )
        except ModuleException as error:
            if error.status_code not in UNKNOWN_ROUTE or await self._dialect.native():
                raise
            await self.get_agent(agent_id)
            raise self._unsupported("delete agents") from None
        return record_of(AgentRecord, decode(answer.content, "an agent"))

    async def invoke_tool(
        self, agent_id: str, tool: str, payload: Mapping[str, Any], *, key: str | None = None
    ) -> ToolInvocationResult:
        """Call a tool of an agent on a worker, and return its result."""
        native = await self._dialect.native()
        seconds = TOOL_SECONDS if not native else (await self._tool(agent_id, tool)).timeout
        answer = await self._transport.call(
            "POST",
            f"/agents/{in_path(agent_id)}/operations/{in_path(tool)}",
            body=dict(payload),
            headers={"idempotency-key": new_id() if key is None else digest(key)},
            subject=Subject(agent_id=agent_id),
            seconds=seconds + WAIT_MARGIN_SECONDS,
            repeat=Repeat.ALWAYS if native else Repeat.UNSENT,
        )
        said = decode(answer.content, "the result of a tool call") if answer.content else None
        if native:
            return record_of(ToolInvocationResult, said)
        return ToolInvocationResult(tool_id=tool, payload=dict(payload), result=said, is_success=True)

    async def _tool(self, agent_id: str, name: str) -> ToolRecord:
        agent = await self.get_agent(agent_id)
        found = next((each for each in agent.announced_tools if each.name == name), None)
        if found is None:
            raise ToolNotFound(agent_id, name)
        return found

    @bounded
    async def providers(self) -> list[ProviderState]:
        """Return the providers whose last call failed."""
        return records_of(ProviderState, await self._of_providers("GET", ""))

    @bounded
    async def resume_provider(self, provider_id: str) -> ProviderState:
        """Resume the tasks that wait for a provider immediately."""
        return record_of(ProviderState, await self._of_providers("POST", f"/{in_path(provider_id)}/resume"))

    @bounded
    async def fail_provider(self, provider_id: str) -> ProviderState:
        """End the tasks that wait for a provider with an error."""
        return record_of(ProviderState, await self._of_providers("POST", f"/{in_path(provider_id)}/fail"))

    async def _of_providers(self, method: str, path: str) -> Any:
        await self._require_native("manage model providers")
        return decode((await self._transport.call(method, f"/providers{path}")).content, "a provider")

    @bounded
    async def audit(self, query: AuditQuery) -> list[AuditEntry]:
        """Return the matching entries of the audit log, newest first."""
        await self._require_native("return an audit log")
        asked = query.model_dump(mode="json", exclude_none=True, exclude={"agents"})
        return records_of(AuditEntry, await self._read("/audit", "an audit log", params=asked))
