"""The data folder: created as a whole or not at all, with a log of limited size."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from worker.engine.embedded.errors import EmbeddedFailed
from worker.engine.embedded.folders import Cluster

USER = "postgres"  # the superuser inside the database, not an account of the machine
LOG_TAIL_BYTES = 4000  # about 30 lines, for an exception


def initialise(cluster: Cluster) -> None:
    """Create a data folder unless it exists.

    It is built under another name and then renamed, so a start that was killed leaves no incomplete folder.

    Raises:
        EmbeddedFailed: `initdb` failed; the error has its output.
    """
    if (cluster.data / "PG_VERSION").exists():
        return
    shutil.rmtree(cluster.staging, ignore_errors=True)
    cluster.account.make_private(cluster.staging)
    made = cluster.account.run(
        cluster.programs / "initdb",
        *("--pgdata", cluster.staging, "--username", USER, "--encoding", "UTF8", "--locale", "C"),
        *("--auth-local", "trust", "--auth-host", "reject", "--data-checksums", "--no-instructions"),
    )
    if made.returncode != 0:
        raise EmbeddedFailed(
            f"initdb of PostgreSQL {cluster.version} failed", f"{made.stdout}{made.stderr}"[-LOG_TAIL_BYTES:]
        )
    cluster.staging.rename(cluster.data)
    _sync_folder(cluster.data.parent)


def rotate_log(cluster: Cluster) -> None:
    """Start a new log and keep one old one, so that logs do not grow forever."""
    with suppress(FileNotFoundError):
        cluster.log.replace(cluster.log.with_name("server.log.1"))
    handle = os.open(cluster.log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.fchown(handle, cluster.account.uid, cluster.account.gid)
    finally:
        os.close(handle)


def log_tail(log: Path, since: int = 0) -> str:
    """Return the end of the log, starting at the given position at the earliest."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, log.stat().st_size - LOG_TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
