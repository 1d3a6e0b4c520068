"""The models that agents declare in their records, read at most once a second because every task shows them."""

import time
from collections.abc import Collection, Mapping

from worker.engine.database.access import DatabaseAccess
from worker.engine.database.statements import agents as sql_agents

KNOWN_SECONDS = 1.0
AGENTS_KEPT = 10_000

NAMES = {
    "model_provider": "llm_model_provider",
    "model_name": "llm_model_name",
    "llm_reasoning_effort": "llm_reasoning_effort",
}
"""Fields of an agent's record, and the names of the same fields in a task."""

NOTHING: Mapping[str, str] = {}


class AgentModels:
    """The model fields of the agents of all organizations, cached."""

    def __init__(self, core: DatabaseAccess) -> None:
        self._core = core
        self._known: dict[tuple[str, str], tuple[float, Mapping[str, str]]] = {}

    async def of(self, organization_id: str, agent_ids: Collection[str]) -> dict[str, Mapping[str, str]]:
        """Return the model fields of each of these agents, by their names in a task."""
        now = time.monotonic()
        found = {agent: self._known.get((organization_id, agent), (0.0, NOTHING)) for agent in set(agent_ids)}
        missing = [agent for agent, (until, _) in found.items() if until <= now]
        if missing:
            rows = await self._core.read(sql_agents.GET_MODELS, (organization_id, missing))
            said = {row["id"]: _model_fields(row) for row in rows}
            if len(self._known) > AGENTS_KEPT:
                self._known.clear()
            for agent in missing:
                known = found[agent] = (now + KNOWN_SECONDS, said.get(agent, NOTHING))
                self._known[organization_id, agent] = known
        return {agent: said for agent, (_, said) in found.items()}

    def forget(self, organization_id: str, agent_id: str) -> None:
        """Drop the cached fields of an agent that has been changed here."""
        self._known.pop((organization_id, agent_id), None)


def _model_fields(row: Mapping[str, object]) -> Mapping[str, str]:
    return {name: value for known, name in NAMES.items() if isinstance(value := row[known], str)}
