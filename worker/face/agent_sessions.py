"""Sessions of an agent in Agno's storage on the platform's own database; see ``worker.agno_db``."""

from typing import TYPE_CHECKING, Any

from worker.face.agno_db import agno_db
from worker.threads import in_thread

if TYPE_CHECKING:
    from agno.db.postgres import PostgresDb

MAX_SESSIONS = 50


class AgentSessions:
    """The stored sessions of an agent that runs with ``db=agno_db()`` and its own id.

    Each method raises ``Unsupported`` (501) if no database is available; see ``agno_db``.
    """

    id: str

    async def aget_db(self, async_db: bool | None = True) -> "PostgresDb":
        """Return Agno's storage, which all agents share.

        Args:
            async_db: Ignored; accepted for xpander-sdk. The storage's methods are always sync.
        """
        del async_db
        return await in_thread(agno_db)

    def get_db(self) -> "PostgresDb":
        """Sync version of ``aget_db``."""
        return agno_db()

    async def aget_user_sessions(self, user_id: str) -> list[Any]:
        """List up to 50 sessions of this agent with a user, as Agno's ``AgentSession`` or ``TeamSession``."""
        return await in_thread(lambda: self.get_user_sessions(user_id))

    def get_user_sessions(self, user_id: str) -> list[Any]:
        """Sync version of ``aget_user_sessions``."""
        db = agno_db()
        found: list[Any] = []
        for kind in _kinds():
            found += db.get_sessions(session_type=kind, user_id=user_id, component_id=self.id, limit=MAX_SESSIONS)
        return found[:MAX_SESSIONS]

    async def aget_session(self, session_id: str) -> Any:
        """Return one of this agent's sessions, or None if the agent has no session with this id."""
        return await in_thread(lambda: self.get_session(session_id))

    def get_session(self, session_id: str) -> Any:
        """Sync version of ``aget_session``."""
        db = agno_db()
        for kind in _kinds():
            found: Any = db.get_session(session_id=session_id, session_type=kind)
            if found is not None and self.id in (getattr(found, "agent_id", None), getattr(found, "team_id", None)):
                return found
        return None

    async def adelete_session(self, session_id: str) -> None:
        """Delete one of this agent's sessions, if it exists."""
        await in_thread(lambda: self.delete_session(session_id))

    def delete_session(self, session_id: str) -> None:
        """Sync version of ``adelete_session``."""
        if self.get_session(session_id) is not None:
            agno_db().delete_session(session_id=session_id)


def _kinds() -> tuple[Any, ...]:
    from agno.db import SessionType

    return SessionType.AGENT, SessionType.TEAM
