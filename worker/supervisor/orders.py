"""What a worker and its child process say to each other: JSON, one message a line, over a socket that both hold.

The worker sends the order, then words; the child says when it has begun, or why it cannot. Whoever reads the end of the
other's messages knows that the other is dead.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from worker.settings import Settings

DRAIN = "drain"
"""Word to a child: the worker leaves; what fails from now on is handed back."""

END = "end"
"""Word to a child: end the run, for this reason."""

BEGUN = "begun"
"""Word of a child: what comes now is the task's own doing."""

UNFIT = "unfit"
"""Word of a child: it cannot begin, for this reason, and would not another time."""

AWAY = 75
"""Exit code of a child that could not reach the platform: EX_TEMPFAIL of sysexits.h."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a child process is to do.

    Args:
        task_id: The task, which its worker holds.
        attempt: Under which attempt.
        folder: Where the handlers are.
        worker: The worker's name, for log lines.
        parent: The worker's process number.
        settings: The worker's, secrets in the clear; the socket is nobody else's.
        secrets: The task's, which only its run is shown.
        session: What the platform knows the worker by, see ``Work.session``.
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
        """The order as a line."""
        return line(asdict(self))

    @classmethod
    def read(cls, text: bytes) -> "Order":
        """An order of its line."""
        return cls(**json.loads(text))


def line(message: dict[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(message).encode() + b"\n"


def opened(settings: Settings) -> dict[str, Any]:
    """Settings as JSON can say them."""
    return {name: _plain(getattr(settings, name)) for name in type(settings).model_fields}


def _plain(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case Path():
            return str(value)
        case _:
            return value
