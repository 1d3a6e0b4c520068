"""The heartbeat: one thread with one connection of its own, so that blocking user code cannot starve it.

It holds the worker's session lock, renews its lease, listens for hints, and looks for workers that died. A client
process has one too, once it follows events; it listens alone.
"""

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any

from worker.contracts.lease import OwnLease, now
from worker.engine.database.connections import connect_sync
from worker.engine.database.server_identity import ServerIdentity
from worker.engine.database.statements import workers as sql_workers
from worker.engine.liveness.wakeups import Wakeups
from worker.engine.timings import DEFAULT, EngineTimings
from worker.words.notices import PlatformTrouble, announce

if TYPE_CHECKING:
    from psycopg import Connection

LOCK_CLASS = 0x776F726C  # "worl": the first half of every worker's session lock; the second is its lock_key
RENEWALS_A_LEASE = 3  # three missed renewals lose the lease
WAIT_BRIEFLY = "select set_config('lock_timeout', '4s', false)"  # less than the connection may wait for an answer
END_WHEN_SILENT = "select set_config('idle_session_timeout', %s, false)"
"""In milliseconds. The server ends the session of a worker that is frozen or cut off when it has been silent for a
lease, by the server's own timer, and with it goes the lock. No clock that jumps is asked."""
TROUBLE_SECONDS = 10.0  # between two lines about one absence

OnDeath = Callable[[str, str, str], None]
"""Called with id and name of a dead worker, and by what sign it was known."""


class Nudge:
    """Ends a wait for a connection at once, from any thread."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        for each in (self._ours, self._theirs):
            each.setblocking(False)

    def give(self) -> None:
        """End the wait, or the next one."""
        with suppress(OSError):  # it is full: the wait ends anyway; or closed: nobody waits any more
            self._theirs.send(b"\0")

    def wait(self, descriptor: int, seconds: float) -> None:
        """Wait until there is something to read, somebody nudges, or the time is up."""
        with DefaultSelector() as selector:
            selector.register(descriptor, EVENT_READ)
            selector.register(self._ours, EVENT_READ)
            selector.select(seconds)
        with suppress(BlockingIOError):
            self._ours.recv(4096)

    def close(self) -> None:
        """Close both ends."""
        self._ours.close()
        self._theirs.close()


class Heartbeat:
    """A thread that keeps a process alive in the database's eyes.

    Args:
        url: The database.
        wakeups: Where hints go.
        on_death: What to do with a worker found dead; None means do not look (a client).
        pooled: A transaction pooler stands between: no session lock, no LISTEN; leases and polling carry everything.
        server: The server that the process is on.
        lease: The worker's, by its own clock.
        timings: How long it waits.
    """

    def __init__(
        self,
        url: str,
        wakeups: Wakeups,
        on_death: OnDeath | None,
        *,
        pooled: bool,
        server: ServerIdentity,
        lease: OwnLease | None = None,
        timings: EngineTimings = DEFAULT,
    ) -> None:
        self._timings = timings
        self._lease = lease or OwnLease()
        self._server = server
        self._url = url
        self._wakeups = wakeups
        self._on_death = on_death
        self._pooled = pooled
        self._stop = threading.Event()
        self._listening = threading.Event()
        self._thread: threading.Thread | None = None
        self._nudge: Nudge | None = None  # while it beats
        self._connection: Connection[Any] | None = None
        self._worker: tuple[str, int, float] | None = None  # id, lock key, lease in seconds
        self._locked: int | None = None
        self._renew_at = 0.0
        self._scan_at = 0.0
        self._free_before: dict[str, float] = {}
        self._leases: dict[str, tuple[str, float]] = {}  # each worker's, and since when it has been seen so

    def start(self) -> None:
        """Begin to beat."""
        self._nudge = Nudge()
        self._thread = threading.Thread(target=self._run, name="worker heartbeat", daemon=True)
        self._thread.start()

    @property
    def rescues(self) -> bool:
        """Whether it looks for dead workers."""
        return self._on_death is not None

    @property
    def running(self) -> bool:
        """Whether it beats."""
        return self._thread is not None and self._thread.is_alive()

    def ready(self, seconds: float) -> bool:
        """Wait until it listens, at most so long."""
        return self._listening.wait(seconds)

    def free_for(self, worker_id: str) -> bool:
        """Whether it keeps no other worker alive."""
        return self._locked is None or (self._worker is not None and self._worker[0] == worker_id)

    def hold(self, worker_id: str, lock_key: int, lease_seconds: float) -> None:
        """Keep this worker alive from now on."""
        self._worker = (worker_id, lock_key, lease_seconds)
        self._look_now()

    def release(self) -> None:
        """Keep no worker alive any more."""
        self._worker = None
        self._lease.end()
        self._look_now()

    def stop(self) -> None:
        """End it; returns when the thread has ended, which is at once unless the database keeps it waiting."""
        self._stop.set()
        self._look_now()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _look_now(self) -> None:
        if self._nudge is not None:
            self._nudge.give()

    def _run(self) -> None:
        try:
            self._keep_up()
        finally:
            if self._nudge is not None:
                self._nudge.close()

    def _keep_up(self) -> None:
        pauses = self._timings.reconnect.pauses()
        quiet_until = 0.0
        while not self._stop.is_set():
            try:
                self._connection = connect_sync(self._url, pooled=self._pooled, server=self._server)
                born = time.monotonic()
                pauses.reset()
                self._beat(self._connection, born)
            except Exception as error:  # noqa: BLE001 - whatever it was, the process must be kept alive
                self._server.suspect()
                if not self._stop.is_set():
                    wait = pauses.next()
                    if time.monotonic() >= quiet_until:
                        quiet_until = time.monotonic() + TROUBLE_SECONDS
                        announce(PlatformTrouble(doing="keeping the worker's lease", error=error, again_in=wait))
                    self._stop.wait(wait)
            finally:
                self._let_go()

    def _let_go(self) -> None:
        self._listening.clear()
        self._locked = None
        self._free_before.clear()
        self._leases.clear()
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None

    def _beat(self, connection: "Connection[Any]", born: float) -> None:
        self._renew_at = 0.0  # whoever reconnects re-takes its lock and renews before anything else
        if not self._pooled:
            connection.execute(WAIT_BRIEFLY)
        self._keep(connection)
        if not self._pooled:
            connection.execute("listen worker")
        self._listening.set()
        self._wakeups.wake_everyone()
        while not self._stop.is_set():
            if not self._pooled:
                self._server.check_sync(connection)
            self._keep(connection)
            if self._on_death is not None and time.monotonic() >= self._scan_at:
                self._scan_at = time.monotonic() + self._timings.scan
                with self._unless_locked():
                    self._scan(connection, trusted=time.monotonic() - born >= self._timings.trust)
            self._listen(connection)

    def _listen(self, connection: "Connection[Any]") -> None:
        if self._pooled or self._nudge is None:
            self._stop.wait(self._until_next())
            return
        if not self._pass_on(connection):
            self._nudge.wait(connection.fileno(), self._until_next())
            self._pass_on(connection)

    def _pass_on(self, connection: "Connection[Any]") -> bool:
        """Pass on the notifications that have come; return whether there were any."""
        came = list(connection.notifies(timeout=0))
        for notification in came:
            self._wakeups.hint(notification.payload)
        return bool(came)

    def _until_next(self) -> float:
        """Seconds until there is something to look at; a scan that confirms a death must not come late."""
        if self._on_death is None:
            return self._timings.beat
        return min(self._timings.beat, max(0.0, self._scan_at - time.monotonic()))

    def _keep(self, connection: "Connection[Any]") -> None:
        """Hold the session lock and renew the lease, when it is time."""
        worker = self._worker
        if worker is None:
            if self._locked is not None:
                connection.execute("select pg_advisory_unlock(%s, %s)", (LOCK_CLASS, self._locked))
                connection.execute(END_WHEN_SILENT, ("0",))
                self._locked = None
            return
        worker_id, lock_key, lease_seconds = worker
        asked = now()
        if self._locked != lock_key and not self._pooled:
            row = connection.execute("select pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, lock_key)).fetchone()
            self._locked = lock_key if row is not None and row[0] else None
            connection.execute(END_WHEN_SILENT, (str(round(lease_seconds * 1000)),))
        if time.monotonic() >= self._renew_at:
            is_renewed = self._locked is not None  # then it lives, whatever becomes of the renewal
            with self._unless_locked():
                connection.execute(sql_workers.RENEW, (worker_id,))
                is_renewed = True
            self._renew_at = time.monotonic() + lease_seconds / RENEWALS_A_LEASE
            if is_renewed and self._worker is worker:
                self._lease.renewed(asked, lease_seconds)

    @contextmanager
    def _unless_locked(self) -> Generator[None]:
        """Go on where somebody holds a lock on what is needed: the session's own lock says that the worker lives."""
        from psycopg.errors import LockNotAvailable

        try:
            yield
        except LockNotAvailable as error:
            announce(PlatformTrouble(doing="keeping the worker's lease", error=error, again_in=self._timings.scan))

    def _scan(self, connection: "Connection[Any]", *, trusted: bool) -> None:
        """Look for the dead. Neither sign counts until this connection is old enough to be believed.

        A held lock means a live owner, whatever its lease says: the database's clock may have jumped. Whoever is frozen
        loses its session, and with it the lock, when it has been silent for a lease. Where there is no lock, a lease
        that is being renewed is none that has run out, and one that was not for its length has, by our own clock.
        """
        me = self._worker[0] if self._worker is not None else ""
        rows = connection.execute(sql_workers.SUSPECTS, {"class": LOCK_CLASS, "me": me}).fetchall()
        free_now: dict[str, float] = {}
        leases: dict[str, tuple[str, float]] = {}
        for worker_id, name, expired, until, lease_seconds, has_lock, locked in rows:
            leases[worker_id] = self._leases.get(worker_id, ("", 0.0))
            if leases[worker_id][0] != until:
                leases[worker_id] = until, time.monotonic()
            silent = time.monotonic() - leases[worker_id][1]
            is_over = silent > lease_seconds + self._timings.spare or (
                expired and silent > lease_seconds / RENEWALS_A_LEASE
            )
            if has_lock and not locked and not self._pooled:
                free_now[worker_id] = self._free_before.get(worker_id, time.monotonic())
            seen_twice = worker_id in free_now and time.monotonic() - free_now[worker_id] >= self._timings.scan
            out_of_time = is_over and not (has_lock and locked)
            if trusted and (out_of_time or seen_twice):
                dead = {"id": worker_id, "certain": seen_twice, "until": until}
                self._mark_dead(connection, dead, name, "lease" if out_of_time else "lock")
            elif worker_id in free_now and worker_id not in self._free_before:
                self._scan_at = free_now[worker_id] + self._timings.scan  # the second look, as soon as it counts
        self._free_before, self._leases = free_now, leases
        if trusted and self._on_death is not None:  # what the dead have left is looked for on the loop's connections
            self._on_death("", "", "orphans")

    def _mark_dead(self, connection: "Connection[Any]", dead: dict[str, Any], name: str, sign: str) -> None:
        """Mark a worker as gone; one rescuer alone gets to do it."""
        marked = connection.execute(sql_workers.MARK_GONE, dead).rowcount
        if marked == 1 and self._on_death is not None:
            self._on_death(dead["id"], name, sign)
