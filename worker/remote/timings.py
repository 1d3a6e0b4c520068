"""Timeouts and intervals of the remote platform that are not user settings, passed along as a value."""

from dataclasses import dataclass

from worker.contracts.waiting import Backoff

RECONNECT = Backoff(0.2, 10.0)


@dataclass(frozen=True, slots=True)
class RemoteTimings:
    """The timeouts and intervals of one connection to a platform, in seconds.

    Args:
        answer: The read timeout, for servers that accept a connection and never respond.
        silence: The read timeout of streams: three missed comments, which servers send every 15 s.
        heartbeat: Between two heartbeats, as the protocol requires; a worker is dead after three missed ones.
        register: How long startup waits for registration, which then continues in the background.
        retry: For which a request is retried, unless a client's call has a shorter limit.
        reconnect: Between two attempts to open a stream of events again; each event resets it.
        so_far: The silence that ends a list of events on a platform that keeps the stream open.
    """

    answer: float = 15.0
    silence: float = 45.0
    heartbeat: float = 2.0
    register: float = 10.0
    retry: float = 120.0
    reconnect: Backoff = RECONNECT
    so_far: float = 2.0


DEFAULT = RemoteTimings()
