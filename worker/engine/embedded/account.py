"""The account that the server runs as: our own, or an unprivileged one if we are root."""

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
"""The account created for the server if we are root; no other program's account can read its files."""

MAKERS = (
    ("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/false"),
    ("adduser", "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/bin/false"),  # BusyBox, as in Alpine
)
MAKING_SECONDS = 30
SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
CANDIDATES = ("postgres", "_postgres", "nobody")  # if none can be created: on Debian and Red Hat, macOS, everywhere
KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")


class AccountOptions(TypedDict, total=False):
    """The arguments of `subprocess` that make a child run as another account."""

    user: int
    group: int
    extra_groups: Sequence[int]


@dataclass(frozen=True)
class Account:
    """The account that runs the server.

    Attributes:
        uid: User id of the server and of its data folder.
        gid: Group id of the server and of its data folder.
        other: Whether it is another account than ours; true only if we are root.
    """

    uid: int
    gid: int
    other: bool

    @property
    def identity(self) -> AccountOptions:
        """Arguments for `subprocess`; empty if the server runs under our own account."""
        return AccountOptions(user=self.uid, group=self.gid, extra_groups=()) if self.other else AccountOptions()

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a short program as this account, and return its exit code and output."""
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
        """Return whether this account can traverse every folder down to this one, according to the kernel."""
        return not self.other or self.run("/bin/sh", "-c", 'test -x "$1"', "sh", folder).returncode == 0

    def make_private(self, folder: Path) -> Path:
        """Create the folder, or reuse one of this account, and make it accessible to the account alone.

        Raises:
            EmbeddedFailed: Another user created the folder, or it is a link.
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
        """Raise an error unless this is a real folder of this account.

        Raises:
            EmbeddedFailed: Another user created the folder, or it is a link.
        """
        if folder.is_symlink() or not folder.is_dir() or folder.lstat().st_uid != self.uid:
            raise EmbeddedFailed(f"{folder} is not a folder of user {self.uid}: another user created it. Remove it.")


def environment() -> dict[str, str]:
    """Return a minimal environment: PGPORT and the like would affect the server, and it must not see API keys."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **kept}


def server_account(data: Path) -> Account:
    """Return the account for the server: the owner of an existing data folder, else one that is the server's own.

    Raises:
        EmbeddedFailed: We are root, no account can be created, and none of the usual ones exists.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), other=False)
    return _owner(data) or _named(OWN) or _create_account() or _unprivileged()


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


def _create_account() -> Account | None:
    """Create the server's own account; return None if that is not possible here. Concurrent calls create one."""
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
        f"PostgreSQL cannot run as root, the user {OWN} cannot be created, and none of the users"
        f" {', '.join(CANDIDATES)} exists. Run as another user or set DATABASE_URL."
    )
