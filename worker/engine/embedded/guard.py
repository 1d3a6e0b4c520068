"""The guard, which stops a server whose users were all killed; a script ended by SIGTERM, for example, runs no cleanup.

It is a process of its own, started with the server, and imports only the standard library, so that it costs little.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

POLL_SECONDS = 1.0
QUIET_LOOKS = 5  # without a user, before the server is stopped: the next script may follow immediately
STOP_SECONDS = 30.0  # for an orderly stop, before an immediate one


def watch(pid: int, data: Path, users: Path, start: Path) -> None:
    """Start the guard of a server, in a session of its own.

    Args:
        pid: The server's process id.
        data: The server's data folder.
        users: The file whose shared lock counts the server's users.
        start: The file that is locked while the server is started or stopped.
    """
    what = [str(each) for each in (pid, data, users, start, POLL_SECONDS)]
    command = [sys.executable, "-I", "-S", __file__, *what]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd="/", stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603 - our own arguments
    process.returncode = 0  # it outlives this process, and must not cause a ResourceWarning


def main(pid: int, data: Path, users: Path, start: Path, look_seconds: float) -> None:
    """Watch a server until it ends, and stop it once it has no users."""
    is_server = _pid_file().is_server
    using, starting = (os.open(path, os.O_RDWR | os.O_NOFOLLOW) for path in (users, start))
    quiet = 0
    while is_server(pid, data):
        time.sleep(look_seconds)
        quiet = quiet + 1 if _is_free(using) else 0
        if quiet < QUIET_LOOKS or not _is_free(starting, keep=True):
            continue
        if _is_free(using) and is_server(pid, data):
            _stop(pid, data, is_server)
            return
        _let_go(starting)


def _stop(pid: int, data: Path, is_server: Callable[[int, Path], bool]) -> None:
    for number in (signal.SIGINT, signal.SIGQUIT):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        until = time.monotonic() + STOP_SECONDS
        while is_server(pid, data) and time.monotonic() < until:
            time.sleep(POLL_SECONDS / 10)


def _is_free(handle: int, *, keep: bool = False) -> bool:
    """Return whether no other process holds a lock."""
    import fcntl  # not on Windows, where this module is imported too

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    if not keep:
        _let_go(handle)
    return True


def _let_go(handle: int) -> None:
    import fcntl  # not on Windows, where this module is imported too

    fcntl.flock(handle, fcntl.LOCK_UN)


def _pid_file() -> ModuleType:
    """Import the neighboring module without the package that contains both."""
    spec = spec_from_file_location("pid_file", Path(__file__).with_name("pid_file.py"))
    if spec is None or spec.loader is None:
        raise ImportError("pid_file")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), float(sys.argv[5]))
