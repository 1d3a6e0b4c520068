"""The Procfile: the processes that Heroku starts, and their commands."""

import re
from pathlib import Path

COMMANDS = {"web": "serve", "worker": "run", "release": "migrate"}
"""Heroku's process types, and the ``worker`` command of each."""

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+?)\s*$", re.MULTILINE)
_OURS = re.compile(r"(?:^|[\s/])(?:worker|python3? -m worker)\s+(?:--debug\s+)?([a-z]+)\b")


def processes(folder: Path) -> dict[str, str] | None:
    """Return process types and their commands; None means that there is no Procfile."""
    try:
        text = (folder / "Procfile").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return dict(_LINE.findall(text))


def problems(declared: dict[str, str] | None) -> list[str]:
    """Return the problems of the Procfile, one line each, with a remedy."""
    if declared is None:
        lines = " and ".join(f"`{name}: exec worker {command}`" for name, command in COMMANDS.items())
        return [f"there is no Procfile: create one with the lines {lines}"]
    found: list[str] = []
    for name, command in COMMANDS.items():
        line = declared.get(name)
        wanted = f"`{name}: exec worker {command}`"
        if line is None:
            found.append(f"Procfile: there is no line for {name}: add {wanted}")
            continue
        ours = _OURS.search(line)
        if ours is None or ours[1] != command:
            found.append(f"Procfile: {name} does not run `worker {command}`: use {wanted}")
        elif not line.startswith("exec "):
            found.append(
                f"Procfile: {name} lacks exec, so its shell may receive the signal and exit first: use {wanted}"
            )
    return [*found, *_web(declared.get("web", ""))]


def _web(line: str) -> list[str]:
    port = re.search(r"--port[ =]+(\S+)", line)
    host = re.search(r"--host[ =]+(\S+)", line)
    found: list[str] = []
    if port is not None and "PORT" not in port[1]:
        found.append(f"Procfile: web listens on port {port[1]}, but Heroku requires $PORT: remove --port")
    if host is not None and host[1].strip("\"'") not in ("0.0.0.0", "::"):  # noqa: S104 - Heroku's router needs that
        found.append(f"Procfile: web listens on {host[1]}, which Heroku's router cannot reach: remove --host")
    return found
