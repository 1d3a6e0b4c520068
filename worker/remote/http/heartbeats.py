"""The heartbeats of a remote worker, sent by a thread with its own client, so that user code cannot delay them."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.remote.http.certificates import trusted
from worker.remote.http.transport import REDIRECTS, next_request

if TYPE_CHECKING:
    import httpx

PATIENCE = 3.0  # timeout of one heartbeat in seconds, which leaves time for another before the lease expires


@dataclass(frozen=True, slots=True)
class Beat:
    """A request that is sent at every interval.

    Args:
        url: The URL of the request.
        body: Returns the body.
        answered: Called on the thread with the response's status and body; it must not block.
    """

    url: str
    body: Callable[[], bytes]
    answered: Callable[[int, bytes], None] | None = None


class Heartbeats:
    """Sends heartbeats. A failed one is ignored, since the next follows soon.

    Args:
        headers: The headers of every request.
        interval: The seconds between two heartbeats.
    """

    def __init__(self, headers: dict[str, str], interval: float) -> None:
        self._interval = interval
        self._headers = {**headers, "content-type": "application/json"}
        self._beats: dict[str, Beat] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def keep(self, name: str, beat: Beat) -> None:
        """Send a heartbeat at every interval, replacing the previous one of that name."""
        self._beats = {**self._beats, name: beat}  # a new dictionary, since the thread iterates over the old one
        if self._thread is None:
            self._stopped.clear()
            self._thread = threading.Thread(target=self._live, name="worker-heartbeats", daemon=True)
            self._thread.start()

    def drop(self, name: str) -> None:
        """Stop sending a heartbeat."""
        self._beats = {each: beat for each, beat in self._beats.items() if each != name}

    def close(self) -> threading.Thread | None:
        """Stop all heartbeats, and return the thread, which ends within the timeout of one heartbeat."""
        self._beats = {}
        self._stopped.set()
        thread, self._thread = self._thread, None
        return thread

    def _live(self) -> None:
        import httpx

        stopped = self._stopped
        with httpx.Client(headers=self._headers, verify=trusted(), timeout=PATIENCE) as client:
            due = time.monotonic() + self._interval
            while not stopped.wait(max(0.0, due - time.monotonic())):
                due = time.monotonic() + self._interval
                for beat in self._beats.values():
                    _send(client, beat)


def _send(client: "httpx.Client", beat: Beat) -> None:
    import httpx

    try:
        request = client.build_request("POST", beat.url, content=beat.body())
        response = client.send(request)
        for _ in range(REDIRECTS):
            following = next_request(request, response)
            if following is None:
                break
            response = client.send(following)
    except httpx.HTTPError:
        return
    if beat.answered is not None:
        beat.answered(response.status_code, response.content)
