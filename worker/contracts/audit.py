"""What the HTTP server itself writes into the audit log: who came in, who left, who was refused."""

from typing import Any, Protocol

from worker.words.actors import Actor, AuditAction


class Audit(Protocol):
    """The audit log of one organization. The verbs write down by themselves what they change."""

    async def write(
        self,
        action: AuditAction,
        subject: str,
        *,
        actor: Actor | None = None,
        error: str | None = None,
        times: int = 1,
        details: dict[str, Any] | None = None,
    ) -> str:
        """The server; writes down what has happened, and answers the line's id.

        ``actor``: who did it; None: on whose behalf this code runs. ``error``: why it did not happen. ``times``: how
        often.
        """
        ...
