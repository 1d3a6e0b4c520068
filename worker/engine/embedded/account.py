"""The account that the server runs as: our own, or an unprivileged one when we are root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from worker.engine.embedded.errors import EmbeddedFailed

OWN = "agno-worker"
"""The account that root gives the server: what it owns, no other program's account can read."""

MAKERS = (
    ("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/false"),
    ("adduser", "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/bin/false"),  # busybox's, as in Alpine
)
MAKING_SECONDS = 30
SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
CANDIDATES = ("postgres", "_postgres", "nobody")  # where none can be made: Debian and Red Hat, macOS, everywhere
KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")


class AccountOptions(TypedDict, total=False):
    """The arguments of `subprocess` that make a child run as another account."""

    user: int
    group: int
    extra_groups: Sequence[int]


@dataclass(frozen=True)
class Account:
    """Who runs the server.

    Attributes:
        uid: User id of the server and of its data folder.
        gid: Group id of the same.
        other: Whether that is somebody else than ourselves; true only when we are root.
    """

    uid: int
    gid: int
    other: bool

    @property
    def identity(self) -> AccountOptions:
        """Arguments for `subprocess`; empty when the server runs as ourselves."""
        return AccountOptions(user=self.uid, group=self.gid, extra_groups=()) if self.other else AccountOptions()

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a short program as this account and return its exit code and output."""
        return subprocess.run(  # noqa: S603 - programs of the wheel and /bin/sh, arguments are ours
            [str(part) for part in command],
            cwd="/",
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self.identity,
        )

    def can_enter(self, folder: Path) -> bool:
        """Whether this account can traverse every folder down to this one; the kernel is asked."""
        return not self.other or self.run("/bin/sh", "-c", 'test -x "$1"', "sh", folder).returncode == 0

    def make_private(self, folder: Path) -> Path:
        """Create the folder, or take over an existing one of this account, readable by the account alone.

        Raises:
            EmbeddedFailed: Somebody else made it, or it is a link.
        """
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            self.require_own(folder)
        else:
            if self.other:
                os.chown(folder, self.uid, self.gid, follow_symlinks=False)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchmod(handle, 0o700)
        finally:
            os.close(handle)
        return folder

    def require_own(self, folder: Path) -> None:
        """Refuse a folder that is not a real folder of this account.

        Raises:
            EmbeddedFailed: Somebody else made it, or it is a link.
        """
        if folder.is_symlink() or not folder.is_dir() or folder.lstat().st_uid != self.uid:
            raise EmbeddedFailed(f"{folder} is not a folder of user {self.uid}: somebody else made it. Remove it.")


def environment() -> dict[str, str]:
    """A bare environment: PGPORT and its kin would bend the server, and API keys are none of its business."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **kept}


def server_account(data: Path) -> Account:
    """The account for the server on this data folder: the owner of an existing one, else one that is its own.

    Raises:
        EmbeddedFailed: We are root, no account can be made, and none of the usual ones exists.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), other=False)
    return _owner(data) or _named(OWN) or _made() or _unprivileged()


def _owner(data: Path) -> Account | None:
    try:
        status = data.stat()
    except OSError:
        return None
    return Account(status.st_uid, status.st_gid, other=True) if status.st_uid != 0 else None


def _named(name: str) -> Account | None:
    import pwd  # not on Windows, where this module is imported too

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid, other=True) if entry.pw_uid != 0 else None


def _made() -> Account | None:
    """Make the server's own account; None: there is no program for it here, or it may not. Two at once make one."""
    for program, *options in MAKERS:
        found = shutil.which(program, path=SYSTEM_PATH)
        if found is None:
            continue
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(  # noqa: S603 - a program of the system's, arguments are ours
                [found, *options, OWN],
                cwd="/",
                env={"PATH": SYSTEM_PATH, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=MAKING_SECONDS,
            )
        if (account := _named(OWN)) is not None:
            return account
    return None


def _unprivileged() -> Account:
    for name in CANDIDATES:
        if (account := _named(name)) is not None:
            return account
    raise EmbeddedFailed(
        f"PostgreSQL does not run as root, no user {OWN} can be made, and none of the users {', '.join(CANDIDATES)}"
        " exists. Run as another user or set DATABASE_URL."
    )
