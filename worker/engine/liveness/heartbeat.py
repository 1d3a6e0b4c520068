"""The heartbeat: one thread with its own connection, so that blocking user code cannot starve it.

It holds the worker's session lock, renews its lease, listens for hints, and scans for dead workers. A client process
that follows events has one too, which only listens.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

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
RENEWALS_PER_LEASE = 3  # three missed renewals lose the lease
WAIT_BRIEFLY = "select set_config('lock_timeout', '4s', false)"  # less than the connection's limit for an answer
END_WHEN_SILENT = "select set_config('idle_session_timeout', %s, false)"
"""Takes milliseconds. The server's own timer ends the session of a frozen or disconnected worker after one lease of
silence, and releases its lock with it. No clock that may jump is involved."""
TROUBLE_SECONDS = 10.0  # between two log lines about one outage

OnDeath = Callable[[str, str, str], None]
"""Called with the id and name of a dead worker, and the sign that revealed its death."""


class Nudge:
    """Ends a wait for a connection immediately, from any thread."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        for each in (self._ours, self._theirs):
            each.setblocking(False)

    def give(self) -> None:
        """End the current wait, or the next one."""
        with suppress(OSError):  # a full socket ends the wait anyway, and a closed one has no waiter
            self._theirs.send(b"\0")

    def wait(self, descriptor: int, seconds: float) -> None:
        """Wait until there is something to read, ``give`` is called, or the time is up."""
        with DefaultSelector() as selector:
            selector.register(descriptor, EVENT_READ)
            selector.register(self._ours, EVENT_READ)
            selector.select(seconds)
        with suppress(BlockingIOError):
            self._ours.recv(4096)

    def close(self) -> None:
        """Close both ends."""
        for each in (self._ours, self._theirs):
            with suppress(OSError):  # code of this process may have closed it already
                each.close()


class Heartbeat:
    """A thread that keeps a worker's lease and session lock alive.

    Args:
        url: The database.
        wakeups: Receives the hints.
        on_death: Called for each worker found dead; None disables the scan (a client).
        pooled: Whether connections go through a transaction pooler: polling then replaces session locks and LISTEN.
        server: The server that the process is connected to.
        lease: The worker's lease, by its own clock.
        timings: The timeouts and intervals.
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
        self._nudge: Nudge | None = None  # while the thread runs
        self._connection: Connection[Any] | None = None
        self._worker: tuple[str, int, float] | None = None  # id, lock key, lease in seconds
        self._locked: int | None = None
        self._renew_at = 0.0
        self._scan_at = 0.0
        self._free_before: dict[str, float] = {}
        self._leases: dict[str, tuple[str, float]] = {}  # by worker: its lease's end, and since when we see it

    def start(self) -> None:
        """Start the thread."""
        self._nudge = Nudge()
        _started.add(self)
        self._thread = threading.Thread(target=self._run, name="worker heartbeat", daemon=True)
        self._thread.start()

    @property
    def rescues(self) -> bool:
        """Whether the heartbeat scans for dead workers."""
        return self._on_death is not None

    @property
    def running(self) -> bool:
        """Whether the thread is running."""
        return self._thread is not None and self._thread.is_alive()

    def ready(self, seconds: float) -> bool:
        """Wait at most the given seconds until the heartbeat listens, and return whether it does."""
        return self._listening.wait(seconds)

    def free_for(self, worker_id: str) -> bool:
        """Return whether the heartbeat keeps no other worker alive."""
        return self._locked is None or (self._worker is not None and self._worker[0] == worker_id)

    def hold(self, worker_id: str, lock_key: int, lease_seconds: float) -> None:
        """Keep a worker alive until ``release`` is called."""
        self._worker = (worker_id, lock_key, lease_seconds)
        self._look_now()

    def release(self) -> None:
        """Stop keeping a worker alive."""
        self._worker = None
        self._lease.end()
        self._look_now()

    def stop(self) -> None:
        """Stop the thread and wait for its end, at most five seconds; it is immediate unless the database delays it."""
        self._stop.set()
        self._look_now()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _look_now(self) -> None:
        if self._nudge is not None:
            self._nudge.give()

    def leave_to_parent(self) -> None:
        """Let go of the connection's socket in a forked process, which would keep the session alive after the worker.

        The descriptor stays taken, as the connection would otherwise close one that the process has opened since.
        """
        with suppress(Exception):
            if self._connection is not None and not self._connection.closed:
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, self._connection.fileno(), inheritable=False)
                os.close(null)

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
            except Exception as error:  # noqa: BLE001 - whatever the error, the lease must be kept
                self._server.suspect()
                self._renew_nudge()
                if not self._stop.is_set():
                    wait = pauses.next()
                    if time.monotonic() >= quiet_until:
                        quiet_until = time.monotonic() + TROUBLE_SECONDS
                        announce(PlatformTrouble(doing="renewing the worker's lease", error=error, again_in=wait))
                    self._stop.wait(wait)
            finally:
                self._let_go()

    def _renew_nudge(self) -> None:
        """Replace the nudge, whose sockets may be what failed; a nudge that gets lost is followed by a fresh start."""
        with suppress(OSError):
            former, self._nudge = self._nudge, Nudge()
            if former is not None:
                former.close()

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
        self._renew_at = 0.0  # after a reconnect, take the lock and renew before anything else
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
        """Pass on the notifications that have arrived, and return whether there were any."""
        came = list(connection.notifies(timeout=0))
        for notification in came:
            self._wakeups.hint(notification.payload)
        return bool(came)

    def _until_next(self) -> float:
        """Return the seconds until the next check; a scan that confirms a death must not come late."""
        if self._on_death is None:
            return self._timings.beat
        return min(self._timings.beat, max(0.0, self._scan_at - time.monotonic()))

    def _keep(self, connection: "Connection[Any]") -> None:
        """Hold the session lock, and renew the lease when it is due."""
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
            is_renewed = self._locked is not None  # the lock proves that the worker lives, even if the renewal fails
            with self._unless_locked():
                connection.execute(sql_workers.RENEW, (worker_id,))
                is_renewed = True
            self._renew_at = time.monotonic() + lease_seconds / RENEWALS_PER_LEASE
            if is_renewed and self._worker is worker:
                self._lease.renewed(asked, lease_seconds)

    @contextmanager
    def _unless_locked(self) -> Generator[None]:
        """Continue if another session locks the needed rows: the worker's own session lock shows that it lives."""
        from psycopg.errors import LockNotAvailable

        try:
            yield
        except LockNotAvailable as error:
            announce(PlatformTrouble(doing="renewing the worker's lease", error=error, again_in=self._timings.scan))

    def _scan(self, connection: "Connection[Any]", *, trusted: bool) -> None:
        """Scan for dead workers. Neither sign counts until this connection is old enough to be trusted.

        A held lock means a live owner, whatever its lease says, since the database's clock may have jumped. A frozen
        worker loses its session, and with it the lock, after one lease of silence. Without a lock, a lease that is
        still being renewed has not expired, and one that was not renewed for its length has, by our own clock.
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
                expired and silent > lease_seconds / RENEWALS_PER_LEASE
            )
            if has_lock and not locked and not self._pooled:
                free_now[worker_id] = self._free_before.get(worker_id, time.monotonic())
            seen_twice = worker_id in free_now and time.monotonic() - free_now[worker_id] >= self._timings.scan
            out_of_time = is_over and not (has_lock and locked)
            if trusted and (out_of_time or seen_twice):
                dead = {"id": worker_id, "certain": seen_twice, "until": until}
                self._mark_dead(connection, dead, name, "lease" if out_of_time else "lock")
            elif worker_id in free_now and worker_id not in self._free_before:
                self._scan_at = free_now[worker_id] + self._timings.scan  # as soon as a second look counts
        self._free_before, self._leases = free_now, leases
        if trusted and self._on_death is not None:  # leftovers of dead workers are searched on the loop's connections
            self._on_death("", "", "orphans")

    def _mark_dead(self, connection: "Connection[Any]", dead: dict[str, Any], name: str, sign: str) -> None:
        """Mark a worker as gone, and report its death if no other rescuer was first."""
        marked = connection.execute(sql_workers.MARK_GONE, dead).rowcount
        if marked == 1 and self._on_death is not None:
            self._on_death(dead["id"], name, sign)


_started: WeakSet[Heartbeat] = WeakSet()


def _leave_to_parent() -> None:
    for each in list(_started):
        each.leave_to_parent()


os.register_at_fork(after_in_child=_leave_to_parent)
