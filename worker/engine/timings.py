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
        cancel: For the orderly cancellation of a statement, after which its connection is cut.
        search: For one search that no index supports; the newest 10,000 tasks of a lane take some 50 ms, unless their
            texts are huge.
        children: Between two searches for parents of recently ended tasks.
        clock: Between two checks whether the database's clock was set back.
        first_clean: Until the first check whether the day's clean-up is due, at random between these two, since a whole
            fleet may start at the same moment.
        clean: Between two further checks.
        migration_lock: For which a migration waits for a table, while all later statements wait behind it.
        migration_pause: In which those statements proceed.
        migration: After which a migration gives up.
        tool_margin: Beyond a tool's own limit, for the claim of its call and the final write.
        quick_claim: Up to which a claim from the front of the queues is quick, so that the next one is made there, too.
        front_claims: The least and the longest wait before the next claim from the front, if the last one was slow.
        late_commit: Within which a transaction usually commits after it began.
    """

    beat: float = 0.25
    scan: float = 1.0
    trust: float = 10.0
    spare: float = 2.0
    away: float = 10.0
    reading: float = 10.0
    reconnect: Backoff = RECONNECT
    cancel: float = 1.0
    search: float = 2.0
    children: float = 1.0
    clock: float = 1.0
    first_clean: tuple[float, float] = (5.0, 60.0)
    clean: float = 600.0
    migration_lock: float = 2.0
    migration_pause: float = 1.0
    migration: float = 120.0
    tool_margin: float = 5.0
    quick_claim: float = 0.005
    front_claims: tuple[float, float] = (0.05, 5.0)
    late_commit: float = 1.0


DEFAULT = EngineTimings()
