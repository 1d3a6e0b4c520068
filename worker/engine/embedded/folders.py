"""The folders and files of a server: data, locks, socket and programs."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from worker.engine.embedded.account import Account, server_account
from worker.engine.embedded.binaries import programs
from worker.engine.embedded.errors import EmbeddedFailed
from worker.engine.embedded.locks import exclusive
from worker.engine.embedded.timings import DEFAULT, EmbeddedTimings

PORT = 5432  # part of the socket's name only
SOCKET_NAME = f".s.PGSQL.{PORT}"
SOCKET_PATH_BYTES = 103 if sys.platform == "darwin" else 107  # sun_path less its closing NUL
SYSTEM_STATE = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - only root writes there, to a folder that is checked
STATE_NAME = "agno-worker"


@dataclass(frozen=True)
class Cluster:
    """One server's folders and account; the locks lie next to the data, so that they move with it.

    Attributes:
        version: Major version of PostgreSQL.
        account: The account that runs the server and owns the data.
        data: The data folder, with no link in its path.
        programs: Folder of `postgres` and `initdb`.
        timings: The timeouts of the server.
    """

    version: int
    account: Account
    data: Path
    programs: Path
    timings: EmbeddedTimings = DEFAULT

    @property
    def start_lock(self) -> Path:
        """The lock file held while the server is started or stopped."""
        return self.data.with_name(f"{self.version}.start.lock")

    @property
    def users_lock(self) -> Path:
        """The lock file shared by all users of the server."""
        return self.data.with_name(f"{self.version}.users.lock")

    @property
    def staging(self) -> Path:
        """The folder in which a new data folder is built."""
        return self.data.with_name(f"{self.version}.new")

    @property
    def log(self) -> Path:
        """The server's log since its last start; the previous log is `server.log.1`."""
        return self.data / "server.log"

    def socket_folder(self) -> Path:
        """Return the folder for a new server's socket: next to the data, or a temporary one if that path is too long.

        Raises:
            EmbeddedFailed: Another user owns a folder of that name, or no path is short enough.
        """
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        name = f"worker-{digest}"
        temporary = (Path(tempfile.gettempdir()).resolve() / name, Path("/tmp").resolve() / name)  # noqa: S108 - owner checked
        for folder in (self.data.with_name(f"{self.version}.socket"), *temporary):
            if _fits(folder) and self.account.can_enter(folder.parent):
                return self.account.make_private(folder)
        raise EmbeddedFailed(f"no folder has a path short enough for a Unix socket ({SOCKET_PATH_BYTES} bytes)")


def find_cluster(home: Path, version: int, timings: EmbeddedTimings = DEFAULT) -> Cluster:
    """Return the folders of the server under this home, creating missing ones; the data folder itself is not filled.

    Args:
        home: The worker's home; created if missing.
        version: Major version, 16 or 18.
        timings: The timeouts of the server.

    Raises:
        EmbeddedFailed: The home links to a data folder that is gone, or root has no account to run the server as.
    """
    folder = home.resolve() / "postgres"
    folder.mkdir(parents=True, exist_ok=True)
    named = folder / str(version)
    account = server_account(named)
    with exclusive(folder / f"{version}.folder.lock"):
        data = _data_folder(named, account)
    return Cluster(version, account, data, programs(version, account, _system_folder), timings)


def _fits(folder: Path) -> bool:
    # A comma would split the path, since a URL may list several hosts.
    return len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES and "," not in str(folder)


def _data_folder(named: Path, account: Account) -> Path:
    if named.is_symlink():
        return _followed(named)
    if account.can_enter(named.parent) or (named / "PG_VERSION").exists():
        return named
    return _moved(named)


def _followed(named: Path) -> Path:
    try:
        return named.resolve(strict=True)
    except OSError as error:
        raise EmbeddedFailed(
            f"{named} points to {named.readlink()}, which no longer exists, so its tasks are lost. Remove the link"
            " to start empty."
        ) from error


def _moved(named: Path) -> Path:
    """Create a data folder elsewhere and link to it, because the account cannot reach this home.

    Its name ends at random, so that a home that was deleted and created again starts empty and never inherits old
    tasks.
    """
    digest = hashlib.sha256(os.fsencode(named)).hexdigest()[:12]
    place = Path(tempfile.mkdtemp(prefix=f"{digest}-", dir=_system_folder()))
    place.chmod(0o711)  # the account passes through to its data folder, which is 0700; only root writes here
    (place / "home").write_text(f"{named}\n")
    data = place / named.name
    data.mkdir(mode=0o700)
    if named.is_dir():
        named.rmdir()
    named.symlink_to(data, target_is_directory=True)
    return data


def _system_folder() -> Path:
    """Return a folder of root's that every account can reach and only root can write to.

    Raises:
        EmbeddedFailed: The folder exists and others can write to it.
    """
    base = next(base for base in SYSTEM_STATE if base.is_dir())
    folder = base / STATE_NAME
    folder.mkdir(mode=0o755, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != 0 or status.st_mode & 0o022:
        raise EmbeddedFailed(f"{folder} must be a folder that is owned by root and writable only by root")
    if not status.st_mode & 0o001:
        folder.chmod(0o755)  # it was just created under a narrow umask
    return folder
