"""Timeouts and intervals of the engine, passed down as a value so that a test can use its own."""

from dataclasses import dataclass

from worker.contracts.waiting import Backoff

RECONNECT = Backoff(0.2, 1.0)


@dataclass(frozen=True, slots=True)
class EngineTimings:
    """Timeouts and intervals of one engine, in seconds.

    Args:
        beat: Between two checks of the heartbeat for due work.
        scan: Between two scans for dead workers. Promise 5: two of them, at least a second apart.
        trust: How old a rescuer's own connection must be before its findings count: after a restart of the database, a
            live worker's lock is free, too.
        spare: Added to a lease before it counts as expired by our own clock, if the database's clock says otherwise.
        away: After which an impatient write fails because the database is unavailable.
        reading: After which a read fails in the same way: how long a verb waits for a connection.
        reconnect: Between two attempts to connect: once the database is back, no caller waits longer than a second.
    """

    beat: float = 0.25
    scan: float = 1.0
    trust: float = 10.0
    spare: float = 2.0
    away: float = 10.0
    reading: float = 10.0
    reconnect: Backoff = RECONNECT


DEFAULT = EngineTimings()
