"""Detection of handlers that write to the disk, which Heroku empties at every restart and no other dyno can see."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

WRITERS = frozenset(
    {
        "write_text",
        "write_bytes",
        "touch",
        "mkdir",
        "makedirs",
        "to_csv",
        "to_excel",
        "to_parquet",
        "SqliteDb",
    }
)
"""Functions of pathlib, os, pandas and Agno that create files."""

DATABASES = frozenset({"sqlite3.connect", "shelve.open", "dbm.open"})
FINE = "# ephemeral"
"""Marks a line whose file need not outlive the run."""

_MODE = re.compile(r"[rbt]*[wax+][rbt+]*")


def problems(folder: Path) -> list[str]:
    """Return a problem for each line of a handler that writes to disk outside temporary folders, with a remedy."""
    found: list[str] = []
    for path in sorted(folder.rglob("*.py")):
        try:
            source = path.read_text(encoding="utf-8")
            tree = ast.parse(source)
        except (OSError, ValueError, SyntaxError):
            continue  # the check of the handlers reports it
        lines = source.splitlines()
        for number, call in sorted(_writes(tree)):
            if FINE not in lines[number - 1]:
                found.append(
                    f"{folder.name}/{path.relative_to(folder)}:{number}: {call} writes to the dyno's disk, which"
                    " is erased at every restart and not shared between dynos. Return the data as the result or"
                    " store it elsewhere; if it is only needed during the run, use tempfile, or end the line with"
                    f" {FINE}"
                )
    return found


def _writes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and not _is_temporary(node):
            name = ast.unparse(node.func)
            method = name.rpartition(".")[2]
            if name in DATABASES or method in WRITERS or (method == "open" and _is_for_writing(node, name)):
                yield node.lineno, name


def _is_for_writing(call: ast.Call, name: str) -> bool:
    """Return whether the mode of a call of some ``open`` means writing."""
    modes = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    modes = modes or (call.args[1:2] if name == "open" else call.args[:2])
    return any(isinstance(each, ast.Constant) and _MODE.fullmatch(str(each.value)) for each in modes)


def _is_temporary(call: ast.Call) -> bool:
    text = ast.unparse(call)
    return "tempfile." in text or "'/tmp/" in text or "TemporaryDirectory" in text
