"""How long the engine waits for what. Each is a value that is handed down, so that a test can have its own."""

from dataclasses import dataclass

from worker.contracts.waiting import Backoff

RECONNECT = Backoff(0.2, 1.0)


@dataclass(frozen=True, slots=True)
class EngineTimings:
    """Times of one engine, in seconds.

    Args:
        beat: Between two looks of the heartbeat at what is due.
        scan: Between two scans for workers that died. Promise 5: two of them, at least a second apart.
        trust: How long a rescuer's own connection must have lived to be believed: after a restart of the database a
            live worker's lock is free, too.
        spare: Beyond a lease, before one that the database's clock does not call over is taken for it.
        away: After which whoever is not patient is told that there is no database, of a write.
        reading: The same of a read: how long a verb waits for a connection.
        reconnect: Between two attempts to connect: once the database is back, nobody waits longer than a second.
    """

    beat: float = 0.25
    scan: float = 1.0
    trust: float = 10.0
    spare: float = 2.0
    away: float = 10.0
    reading: float = 10.0
    reconnect: Backoff = RECONNECT


DEFAULT = EngineTimings()
