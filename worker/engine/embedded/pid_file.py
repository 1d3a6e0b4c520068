"""The server's own record of its process, which outlives a killed server and is therefore verified before use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PID_FILE = "postmaster.pid"
SOCKET_FOLDER_LINE = 4  # after process id, data folder, start time and port
STATUS_LINE = 7  # the last one, after addresses and shared memory


def recorded_pid(data: Path) -> int | None:
    """Return the recorded process id, whether or not that process is alive: see `is_server`."""
    return pid_in(data / PID_FILE)


def pid_in(file: Path) -> int | None:
    """Return the process id in the first line of a file; None if the file is missing or empty."""
    lines = _lines(file)
    return int(lines[0]) if lines and lines[0].strip().isdecimal() else None


def recorded_socket_folder(data: Path) -> Path | None:
    """Return the folder of the server's socket; None while a starting server has not recorded it."""
    folder = "".join(_lines(data / PID_FILE)[SOCKET_FOLDER_LINE : SOCKET_FOLDER_LINE + 1])
    return Path(folder) if folder else None


def is_ready(data: Path) -> bool:
    """Return whether the server has recorded that it accepts connections; a query would be logged during a recovery."""
    return "".join(_lines(data / PID_FILE)[STATUS_LINE:]).strip() == "ready"


def is_server(pid: int, data: Path) -> bool:
    """Return whether this process is alive and is the PostgreSQL of this data folder, not another with a reused number.

    The command line tells: in a container, root may not read another user's working directory. A zombie process has no
    command line.
    """
    return f"/postgres -D {data} " in _command_line(pid)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []


def _command_line(pid: int) -> str:
    if sys.platform != "linux":
        command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - our own arguments
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="surrogateescape")
    except OSError:
        return ""
