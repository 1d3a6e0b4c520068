"""What tests of several folders share."""

import asyncio
import inspect
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from worker.words.classification import classify

POLL_SECONDS = 0.02


async def wait_until(
    predicate: Callable[[], object | Awaitable[object]],
    description: str,
    timeout: float = 10.0,  # noqa: ASYNC109 - a limit that names what never happened
) -> None:
    """Wait until the predicate (plain or async) is true; after `timeout` seconds say what never happened."""
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout:g} s still not: {description}")
        await asyncio.sleep(POLL_SECONDS)


def process_lives(pid: int) -> bool:
    """Whether the process still runs; one that has ended and waits for its parent to notice does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
    except (FileNotFoundError, ProcessLookupError):  # the second, when it ends between the opening and the reading
        return False
    return state[0] != "Z"


def free_port() -> int:
    """A port that nobody is given meanwhile: it lies below those that systems hand out by themselves."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def is_retryable(error: BaseException) -> bool:
    """Whether a failed run with this error is worth another try."""
    return classify(error).is_retryable


def retry_after(error: BaseException) -> float | None:
    """The seconds that the other side asked to wait, at most a day; None if it did not ask."""
    return classify(error).wait
