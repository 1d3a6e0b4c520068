"""The agents of a platform, under the class name that xpander-sdk uses."""

from worker.face import bridge
from worker.face.agent import Agent
from worker.face.configuration import Configuration


class Agents:
    """The agents of a platform.

    Args:
        configuration: The platform; None means the one that the environment names.
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.configuration = configuration

    async def aget(self, agent_id: str | None = None, version: str | int | None = None) -> Agent:
        """Load an agent.

        Args:
            agent_id: The agent's id; None means the current run's agent, else the configuration's ``agent_id``, which
                defaults to ``XPANDER_AGENT_ID``.
            version: The expected version; None accepts any.

        Raises:
            ModuleException: 404 if there is no such agent; 400 if none is named; 501 if the agent is at another
                version, since platforms keep only the latest.
        """
        return await Agent.aload(agent_id, self.configuration, version)

    get = bridge.blocking(aget)

    async def alist(self) -> list[Agent]:
        """List all agents, by name."""
        return await Agent.alist(self.configuration)

    list = bridge.blocking(alist)
