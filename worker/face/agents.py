"""The agents of a platform, under the name that code written for xpander knows."""

from worker.face.agent import Agent
from worker.face.configuration import Configuration


class Agents:
    """The agents of a platform.

    Args:
        configuration: Which platform; none: what the environment says.
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.configuration = configuration

    async def aget(self, agent_id: str | None = None) -> Agent:
        """Load an agent. Raises: ModuleException (404: there is none)."""
        return await Agent.aload(agent_id, self.configuration)

    def get(self, agent_id: str | None = None) -> Agent:
        """Load an agent, as ``aget`` does."""
        return Agent.load(agent_id, self.configuration)

    async def alist(self) -> list[Agent]:
        """List all agents, by name."""
        return await Agent.alist(self.configuration)

    def list(self) -> "list_[Agent]":
        """List all agents, as ``alist`` does."""
        return Agent.list(self.configuration)


list_ = list  # within the class above ``list`` is its method
