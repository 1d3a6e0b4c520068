"""The parts of the documentation generated from the code: every command's ``--help``, and the table of settings."""

from collections.abc import Iterator
from typing import Any

import typer.main
from typer.testing import CliRunner

from worker.cli.app import app
from worker.settings import table

COMMANDS = "<!-- generated: commands -->"
SETTINGS = "<!-- generated: settings -->"
WIDTH = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the placeholders of a page; mkdocs calls this hook for every page."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, "\n\n".join(commands()))
    return markdown.replace(SETTINGS, settings()) if SETTINGS in markdown else markdown


def settings() -> str:
    """Return the table of settings as Markdown."""
    rows = [f"| `{name}` | {f'`{default}`' if default else ''} | {text} |" for name, default, text in table()]
    return "\n".join(["| name | default | what it is |", "|---|---|---|", *rows])


def commands() -> Iterator[str]:
    """Iterate over the help of every command, each under a heading."""
    for path in paths(typer.main.get_command(app), ()):
        told = CliRunner().invoke(app, [*path, "--help"], env=WIDTH)
        level = "#" * (len(path) + 1)
        lines = (line.rstrip() for line in told.output.strip().splitlines())
        yield f"{level} `worker {' '.join(path)}`\n\n```text\n" + "\n".join(lines) + "\n```"


def paths(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Iterate over the paths of all subcommands of a command, in the order of ``--help``."""
    for name, inside in getattr(command, "commands", {}).items():
        yield (*path, name)
        yield from paths(inside, (*path, name))
