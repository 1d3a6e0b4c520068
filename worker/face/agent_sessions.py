"""Sessions of an agent in Agno's storage on the platform's own database, as ``worker.agno_db`` gives it."""

from typing import TYPE_CHECKING, Any

from worker.face.agno_db import agno_db
from worker.threads import in_thread

if TYPE_CHECKING:
    from agno.db.postgres import PostgresDb

MOST_SESSIONS = 50


class AgentSessions:
    """What an agent remembers of its conversations, if it was run with ``db=agno_db()`` and its own id.

    Each method raises ``Unsupported`` (501) where no database is at hand; see ``agno_db``.
    """

    id: str

    async def aget_db(self, async_db: bool | None = True) -> "PostgresDb":
        """Answer Agno's storage, which all agents share; its methods are plain ones, whatever ``async_db`` says."""
        del async_db
        return await in_thread(agno_db)

    def get_db(self) -> "PostgresDb":
        """Answer Agno's storage, as ``aget_db`` does."""
        return agno_db()

    async def aget_user_sessions(self, user_id: str) -> list[Any]:
        """List this agent's last 50 sessions with a user: Agno's ``AgentSession`` or ``TeamSession``."""
        return await in_thread(lambda: self.get_user_sessions(user_id))

    def get_user_sessions(self, user_id: str) -> list[Any]:
        """List this agent's sessions with a user, as ``aget_user_sessions`` does."""
        db = agno_db()
        found: list[Any] = []
        for kind in _kinds():
            found += db.get_sessions(session_type=kind, user_id=user_id, component_id=self.id, limit=MOST_SESSIONS)
        return found[:MOST_SESSIONS]

    async def aget_session(self, session_id: str) -> Any:
        """Load one of this agent's sessions; None: it has none of that id."""
        return await in_thread(lambda: self.get_session(session_id))

    def get_session(self, session_id: str) -> Any:
        """Load one of this agent's sessions, as ``aget_session`` does."""
        db = agno_db()
        for kind in _kinds():
            found: Any = db.get_session(session_id=session_id, session_type=kind)
            if found is not None and self.id in (getattr(found, "agent_id", None), getattr(found, "team_id", None)):
                return found
        return None

    async def adelete_session(self, session_id: str) -> None:
        """Delete one of this agent's sessions, if it has it."""
        await in_thread(lambda: self.delete_session(session_id))

    def delete_session(self, session_id: str) -> None:
        """Delete one of this agent's sessions, as ``adelete_session`` does."""
        if self.get_session(session_id) is not None:
            agno_db().delete_session(session_id=session_id)


def _kinds() -> tuple[Any, ...]:
    from agno.db import SessionType

    return SessionType.AGENT, SessionType.TEAM
