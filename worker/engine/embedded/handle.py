"""One user's share in the embedded server."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from worker.engine.embedded import server as servers
from worker.engine.embedded.binaries import require_available
from worker.engine.embedded.errors import EmbeddedFailed
from worker.engine.embedded.folders import Cluster, find_cluster
from worker.engine.embedded.locks import UserLock, exclusive
from worker.engine.embedded.timings import DEFAULT, EmbeddedTimings


class Embedded:
    """One user's share in the embedded PostgreSQL; the last user to leave stops it. A context manager. All calls block.

    Attributes:
        url: Connection URL of the database `worker`, over the unix socket.
        pid: Process id of the server (its postmaster).
    """

    def __init__(self, cluster: Cluster, users: UserLock, server: servers.RunningServer) -> None:
        self._cluster = cluster
        self._users: UserLock | None = users
        self._process = os.getpid()
        self.url = server.url()
        self.pid = server.pid

    @classmethod
    def start(cls, home: Path, *, version: int = 18, timings: EmbeddedTimings = DEFAULT) -> Self:
        """Use the server under this home, starting it unless it is running, no matter who started it.

        Takes about a second for an empty home, a tenth of that later on, longer after a crash.

        Args:
            home: The worker's home, such as `.worker`; the data folder is `home/postgres/<version>`.
            version: Major version, 18 or 16. Each has a data folder of its own.
            timings: The timeouts of the server.

        Returns:
            A share in the server, to be closed.

        Raises:
            EmbeddedUnavailable: The extra `embedded` is not installed, or does not support this system or version.
            EmbeddedFailed: The server did not start; the error has the tail of its log.
        """
        require_available(version)
        with _reported(home):
            cluster = find_cluster(home, version, timings)
            with exclusive(cluster.start_lock):
                users = UserLock(cluster.users_lock)
                try:
                    server = servers.find(cluster) or servers.start(cluster)
                    servers.create_database(server)
                except BaseException:
                    _leave(cluster, users)
                    raise
        return cls(cluster, users, server)

    def close(self) -> None:
        """Leave the server; the last user stops it, orderly within 30 s and in any case within 40 s. Idempotent.

        Raises:
            EmbeddedFailed: The server does not stop.
        """
        users, self._users = self._users, None
        if users is None:
            return
        if os.getpid() != self._process:  # a forked child has the parent's share, not one of its own
            users.release()
            return
        with _reported(self._cluster.data), exclusive(self._cluster.start_lock):
            _leave(self._cluster, users)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _leave(cluster: Cluster, users: UserLock) -> None:
    try:
        if users.is_last():
            servers.stop(cluster)
    finally:
        users.release()


@contextmanager
def _reported(folder: Path) -> Generator[None]:
    """Report errors of the file system (no permission, disk full) as failures of the embedded server."""
    try:
        yield
    except OSError as error:
        raise EmbeddedFailed(f"PostgreSQL cannot run in {folder}: {error}") from error
