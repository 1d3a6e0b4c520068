"""The agents of a platform, under the name that code written for xpander knows."""

from worker.face.agent import Agent, check_version
from worker.face.configuration import Configuration


class Agents:
    """The agents of a platform.

    Args:
        configuration: Which platform; None means what the environment says.
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.configuration = configuration

    async def aget(self, agent_id: str | None = None, version: str | int | None = None) -> Agent:
        """Load an agent.

        Args:
            agent_id: Which; None means that of the run in hand, else the configuration's, ``XPANDER_AGENT_ID``.
            version: The version that is expected.

        Raises:
            ModuleException: 404: there is none; 501: it is at another version, and the platform keeps that one alone.
        """
        return _at(await Agent.aload(agent_id, self.configuration), version)

    def get(self, agent_id: str | None = None, version: str | int | None = None) -> Agent:
        """Load an agent, as ``aget`` does."""
        return _at(Agent.load(agent_id, self.configuration), version)

    async def alist(self) -> list[Agent]:
        """List all agents, by name."""
        return await Agent.alist(self.configuration)

    def list(self) -> "list_[Agent]":
        """List all agents, as ``alist`` does."""
        return Agent.list(self.configuration)


def _at(agent: Agent, version: str | int | None) -> Agent:
    check_version(agent, version)
    return agent


list_ = list  # within the class above ``list`` is its method
