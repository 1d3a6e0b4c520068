"""The server process: how it is found, started, queried and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from worker.engine.embedded import guard
from worker.engine.embedded.account import environment
from worker.engine.embedded.data_folder import USER, initialise, log_tail, rotate_log
from worker.engine.embedded.errors import EmbeddedFailed
from worker.engine.embedded.folders import PORT, SOCKET_NAME, Cluster
from worker.engine.embedded.pid_file import is_ready, is_server, pid_in, recorded_pid, recorded_socket_folder

DATABASE = "worker"
POLL_SECONDS = 0.02
RETRY_SECONDS = 0.2  # in which an orphan of a killed server usually notices that death
CONNECT_SECONDS = 3  # the smallest value that libpq honors is 2
LINGERING = "pre-existing shared memory block"  # a child of a killed server has not noticed that death yet

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "autovacuum": "on",
    "autovacuum_naptime": "10s",  # queue tables are rewritten all the time; the default of a minute lets them bloat
    "jit": "off",  # compilation costs more than our short queries take
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",  # the log stays small and free of users' data
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class RunningServer:
    """A running server.

    Attributes:
        pid: Process id of the postmaster.
        socket_folder: Folder of its unix socket.
    """

    pid: int
    socket_folder: Path

    def url(self, database: str = DATABASE) -> str:
        """Return the connection URL of a database on this server."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.socket_folder), safe='')}&port={PORT}"


def find(cluster: Cluster) -> RunningServer | None:
    """Return the server that runs on this data folder and answers, or None if there is none.

    Raises:
        EmbeddedFailed: A server is running but does not answer within 60 s.
    """
    pid = recorded_pid(cluster.data)
    if pid is None or not is_server(pid, cluster.data):
        return None
    server = _until_ready(cluster, pid, lambda: is_server(pid, cluster.data))
    if server is None and is_server(pid, cluster.data):
        raise EmbeddedFailed(
            f"PostgreSQL (pid {pid}) did not respond within {cluster.timings.start:g} s", log_tail(cluster.log)
        )
    return server


def start(cluster: Cluster) -> RunningServer:
    """Start the server, on a new data folder if there is none. The caller holds the start lock.

    Raises:
        EmbeddedFailed: It did not start within 60 s; the error has the tail of its log.
    """
    initialise(cluster)
    rotate_log(cluster)
    socket_folder = _clean_socket_folder(cluster)
    deadline = time.monotonic() + cluster.timings.start
    while True:
        written = cluster.log.stat().st_size
        process = _spawn(cluster, socket_folder)
        server = _started(cluster, process, deadline)
        if server is not None:
            _reap(process)
            with suppress(OSError):  # without a guard, a server may be left running; the next user finds it
                guard.watch(server.pid, cluster.data, cluster.users_lock, cluster.start_lock)
            return server
        server = find(cluster)  # perhaps one whose starter was killed right after starting it
        if server is not None:
            return server
        tail = log_tail(cluster.log, since=written)
        if LINGERING not in tail or time.monotonic() > deadline:
            raise EmbeddedFailed(f"PostgreSQL {cluster.version} failed to start with {cluster.data}", tail)
        time.sleep(RETRY_SECONDS)


def create_database(server: RunningServer) -> None:
    """Create our database unless it exists."""
    import psycopg  # heavy, and not needed to import this package

    with psycopg.connect(server.url(USER), autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if found is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def stop(cluster: Cluster) -> None:
    """Stop the server if it is running: orderly, with all data written, or after 30 s immediately.

    Raises:
        EmbeddedFailed: It is still running after 40 s.
    """
    pid = recorded_pid(cluster.data)
    if pid is None or not is_server(pid, cluster.data):
        return
    socket_folder = recorded_socket_folder(cluster.data)
    timings = cluster.timings
    for stop_signal, seconds in ((signal.SIGINT, timings.fast_stop), (signal.SIGQUIT, timings.immediate_stop)):
        with suppress(ProcessLookupError):
            os.kill(pid, stop_signal)
        if _gone(pid, cluster.data, seconds):
            break
    else:
        raise EmbeddedFailed(f"PostgreSQL (pid {pid}) did not stop", log_tail(cluster.log))
    if socket_folder is not None:
        with suppress(OSError):
            socket_folder.rmdir()


def _clean_socket_folder(cluster: Cluster) -> Path:
    folder = cluster.socket_folder()
    lock = folder / f"{SOCKET_NAME}.lock"
    holder = pid_in(lock)
    if holder is None or not is_server(holder, cluster.data):
        for leftover in (folder / SOCKET_NAME, lock):
            leftover.unlink(missing_ok=True)
    return folder


def _spawn(cluster: Cluster, socket_folder: Path) -> subprocess.Popen[bytes]:
    """Start the postmaster in a session of its own (out of reach of Ctrl-C in our terminal), with none of our files."""
    quoted_folder = '"' + str(socket_folder).replace('"', '""') + '"'
    settings = {**SETTINGS, "unix_socket_directories": quoted_folder}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    log = os.open(cluster.log, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
    try:
        return subprocess.Popen(  # noqa: S603 - the wheel's program, our own arguments
            [str(cluster.programs / "postgres"), "-D", str(cluster.data), *options],
            cwd="/",
            env={**environment(), **_stale_pid(cluster.data)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            umask=0o077,
            start_new_session=True,
            **cluster.account.identity,
        )
    finally:
        os.close(log)


def _stale_pid(data: Path) -> dict[str, str]:
    """Return a variable by which PostgreSQL ignores the recorded process id, if that number is now another process's.

    Otherwise it would refuse to start. Deleting the record would help too, but the record also leads PostgreSQL to
    children of a killed server that still write; this variable (which pg_ctl sets for its calling shell) leaves that
    check in place.
    """
    pid = recorded_pid(data)
    return {"PG_GRANDPARENT_PID": str(pid)} if pid is not None and not is_server(pid, data) else {}


def _started(cluster: Cluster, process: subprocess.Popen[bytes], deadline: float) -> RunningServer | None:
    """Wait until the new server answers; return None if it ended first. A timeout or an interrupt ends the server."""
    try:
        server = _until_ready(cluster, process.pid, lambda: process.poll() is None, deadline)
    except BaseException:
        _end(cluster, process)
        raise
    if server is None:
        _end(cluster, process)
    return server


def _end(cluster: Cluster, process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGQUIT)
    try:
        process.wait(cluster.timings.immediate_stop)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Collect the server's exit code whenever it ends, since another process may stop it while we are still running."""
    threading.Thread(target=process.wait, name="embedded-postgres-reaper", daemon=True).start()


def _until_ready(
    cluster: Cluster, pid: int, lives: Callable[[], bool], deadline: float | None = None
) -> RunningServer | None:
    limit = deadline if deadline is not None else time.monotonic() + cluster.timings.start
    while lives() and time.monotonic() < limit:
        folder = recorded_socket_folder(cluster.data)
        if folder is not None and recorded_pid(cluster.data) == pid and is_ready(cluster.data):
            cluster.account.require_own(folder)
            server = RunningServer(pid, folder)
            if _answers(server, cluster.data):
                return server
        time.sleep(POLL_SECONDS)
    return None


def _answers(server: RunningServer, data: Path) -> bool:
    """Return whether a connection is answered, and by the server of this data folder."""
    import psycopg  # heavy, and not needed to import this package

    try:
        with psycopg.connect(server.url(USER), autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
    except psycopg.OperationalError:
        return False
    return row is not None and Path(row[0]) == data


def _gone(pid: int, data: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_server(pid, data):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
