"""The protocol between a worker and its child process: JSON, one message per line, over a socket pair.

The worker sends the order, then messages. The child reports that it has begun, or why it cannot. The end of either
side's messages means that this side is dead.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from worker.settings import Settings

DRAIN = "drain"
"""Message to a child: the worker is draining, so failures are now handed back."""

END = "end"
"""Message to a child: end the run, for the given reason."""

STARTED = "begun"
"""Message from a child: the task has begun, and is responsible for what follows."""

CANNOT_START = "unfit"
"""Message from a child: it cannot begin, for the given reason, and a retry would not help."""

PLATFORM_UNAVAILABLE = 75
"""Exit code of a child that could not reach the platform: EX_TEMPFAIL of sysexits.h."""


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a worker to its child process.

    Args:
        task_id: The task, which the worker holds.
        attempt: The attempt under which the worker holds it.
        folder: The folder of the handlers.
        worker: The name of the worker, for log lines.
        parent: The process id of the worker.
        settings: The settings of the worker, with secrets in plain text, since no other process can read the socket.
        secrets: The secret fields of the task, which only its run may see.
        session: The session of the worker, see ``Work.session``.
    """

    task_id: str
    attempt: int
    folder: str
    worker: str
    parent: int
    settings: dict[str, Any]
    secrets: dict[str, Any]
    session: str | None = None

    def write(self) -> bytes:
        """Return the order as a line."""
        return line(asdict(self))

    @classmethod
    def read(cls, text: bytes) -> "Order":
        """Parse the order from a line."""
        return cls(**json.loads(text))


def line(message: dict[str, Any]) -> bytes:
    """Return a message as a line."""
    return json.dumps(message).encode() + b"\n"


def opened(settings: Settings) -> dict[str, Any]:
    """Return settings as JSON values, with secrets in plain text."""
    return {name: _plain(getattr(settings, name)) for name in type(settings).model_fields}


def _plain(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case Path():
            return str(value)
        case _:
            return value
