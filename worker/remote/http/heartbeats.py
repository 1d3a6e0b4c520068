"""The heartbeats of a remote worker: on a thread and a client of their own, so that no user code can starve them."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.remote.http.certificates import trusted
from worker.remote.http.transport import REDIRECTS, next_request

if TYPE_CHECKING:
    import httpx

INTERVAL = 2.0  # seconds: the protocol's; three missed ones make a worker dead
PATIENCE = 3.0  # seconds for one heartbeat: after one that hangs there is time for another before the lease is over


@dataclass(frozen=True, slots=True)
class Beat:
    """What is sent every two seconds.

    Args:
        url: Where to.
        body: Makes what is sent.
        answered: Called on the thread with the answer's status and body; it must be quick.
    """

    url: str
    body: Callable[[], bytes]
    answered: Callable[[int, bytes], None] | None = None


class Heartbeats:
    """Sends what it was told to keep sending. A failure is passed over: the next beat comes in two seconds.

    Args:
        headers: Of every request.
    """

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = {**headers, "content-type": "application/json"}
        self._beats: dict[str, Beat] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def keep(self, name: str, beat: Beat) -> None:
        """Send this every two seconds from now on, in the place of what went by that name."""
        self._beats = {**self._beats, name: beat}  # a new dictionary: the thread walks through the old one
        if self._thread is None:
            self._stopped.clear()
            self._thread = threading.Thread(target=self._live, name="worker-heartbeats", daemon=True)
            self._thread.start()

    def drop(self, name: str) -> None:
        """Send it no more."""
        self._beats = {each: beat for each, beat in self._beats.items() if each != name}

    def close(self) -> threading.Thread | None:
        """Send nothing more; the thread ends by itself, within one heartbeat's patience. Returns: the thread."""
        self._beats = {}
        self._stopped.set()
        thread, self._thread = self._thread, None
        return thread

    def _live(self) -> None:
        import httpx

        stopped = self._stopped
        with httpx.Client(headers=self._headers, verify=trusted(), timeout=PATIENCE) as client:
            due = time.monotonic() + INTERVAL
            while not stopped.wait(max(0.0, due - time.monotonic())):
                due = time.monotonic() + INTERVAL
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
