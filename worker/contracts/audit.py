"""The server's own entries in the audit log: sign-ins, sign-outs and refusals."""

from typing import Any, Protocol

from worker.words.actors import Actor, AuditAction


class Audit(Protocol):
    """The audit log of one organization. Verbs record their own changes."""

    async def write(
        self,
        action: AuditAction,
        subject: str,
        *,
        agent: str | None = None,
        actor: Actor | None = None,
        error: str | None = None,
        times: int = 1,
        details: dict[str, Any] | None = None,
    ) -> str:
        """Append an entry to the audit log and return its id.

        Args:
            action: The action.
            subject: What the action was about, such as ``task 0199…``.
            agent: The agent that the subject belongs to.
            actor: Who did it; None means the actor on whose behalf the current code runs.
            error: Why the action failed; None if it succeeded.
            times: How often it happened.
            details: Further details.
        """
        ...
