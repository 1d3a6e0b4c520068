"""Server timeouts and intervals that are not user settings, passed along as a value."""

from dataclasses import dataclass

from worker.contracts.lease import REMOTE_SECONDS
from worker.contracts.waiting import SOON, Backoff

DATABASE = Backoff(1.0, 15.0)


@dataclass(frozen=True, slots=True)
class ServerTimings:
    """The timeouts and intervals of a server, in seconds.

    Args:
        comment: The longest silence on a stream, after which a comment is sent. Routers close a connection after 55 s.
        slow_reader: After which a client that reads nothing is disconnected; it can resume by event number.
        headers: From a connection's start, or a later request's first byte, to the end of the headers.
        body_gap: Between two chunks of a request's body.
        body_memory: For which a large body waits for memory before its request is refused.
        known_key: How long a key is cached, and so how long a revoked key may still be accepted.
        keys: Between checks of the keys of open streams when no notification of a change arrives.
        refusals: One entry per kind of refused request in this time, so that a flood does not fill the audit log.
        rejoin: To await heartbeats (every 2 s) under a worker's former id, which prove that it is the same process.
        file_link: How long a signed URL of a file is valid at least. A task may wait before its worker downloads.
        lease: The longest lease that a worker of the native protocol gets.
        session: How long a visitor stays signed in: a working day.
        database: Between two attempts to open a database that was unavailable when the server started.
        bare_streams: Between two attempts of a bare worker's stream while the database is unavailable.
    """

    comment: float = 15.0
    slow_reader: float = 20.0
    headers: float = 10.0
    body_gap: float = 15.0
    body_memory: float = 20.0
    known_key: float = 5.0
    keys: float = 4.0
    refusals: float = 300.0
    rejoin: float = 5.0
    file_link: int = 24 * 3600
    lease: float = REMOTE_SECONDS
    session: int = 12 * 3600
    database: Backoff = DATABASE
    bare_streams: Backoff = SOON


DEFAULT = ServerTimings()
