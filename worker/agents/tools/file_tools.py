"""Tools with which an agent reads more of a task's files than its message contains."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

READ, SEARCH = "read_file", "search_file"
OTHERS = {READ: "read_attached_file", SEARCH: "search_attached_file"}
"""Alternative names for agents that already have tools of those names, such as Agno's FileTools."""

_NAME = {"type": "string", "description": "The file's name, as listed with the task."}
_FROM = {
    "type": "integer",
    "description": "The first character to read, counted from 0; a negative number counts from the end of the file.",
}
_TO = {
    "type": "integer",
    "description": "The position after the last character to read; by default, as many as fit into one answer.",
}
_TEXT = {"type": "string", "description": "The text to find, ignoring case; not a pattern."}


class Files(Protocol):
    """A task's files by name, as the tools read them."""

    async def read(self, name: str, start: int, end: int | None) -> str:
        """Return a part of a file, from one character to another."""
        ...

    async def search(self, name: str, text: str) -> str:
        """Return the places at which a text occurs in a file."""
        ...

    def keep(self, name: str, text: str) -> str:
        """Store a text that is not a file and return its name."""
        ...


@dataclass(frozen=True, slots=True)
class FileTools:
    """The tools for one run.

    Args:
        files: The files that the tools read.
        read: The name of the read tool.
        search: The name of the search tool.
    """

    files: Files
    read: str = READ
    search: str = SEARCH

    @property
    def how_to_read(self) -> str:
        """The hint about the tools in a message."""
        return (
            f"Read the rest with {self.read}(name, from, to), which counts characters, or find text with"
            f" {self.search}(name, text)."
        )

    def give(self, own: Any) -> None:
        """Add the tools to an agent or team, which must be a copy for one run."""
        if not callable(own.tools):  # Agno caches such a function's tools for other runs, which have other files
            own.tools = [*(own.tools or ()), *self._functions()]

    def _functions(self) -> list[Any]:
        from agno.tools.function import Function

        async def read_file(**given: Any) -> str:
            try:
                start, end = _number(given.get("from")), _number(given.get("to"))
            except ValueError:
                return "[from and to must be whole numbers; they count characters.]"
            return await self.files.read(str(given.get("name", "")), start or 0, end)

        async def search_file(**given: Any) -> str:
            return await self.files.search(str(given.get("name", "")), str(given.get("text", "")))

        read, search = {"name": _NAME, "from": _FROM, "to": _TO}, {"name": _NAME, "text": _TEXT}
        return [
            Function(
                name=self.read,
                description="Read a part of one of the files that came with the task.",
                parameters={"type": "object", "properties": read, "required": ["name"]},
                entrypoint=read_file,
                skip_entrypoint_processing=True,
            ),
            Function(
                name=self.search,
                description="Find every place where a text occurs in one of the files that came with the task.",
                parameters={"type": "object", "properties": search, "required": ["name", "text"]},
                entrypoint=search_file,
                skip_entrypoint_processing=True,
            ),
        ]


def file_tools(agent: Any, files: Files) -> FileTools:
    """Create the tools for an agent, team or workflow.

    Args:
        agent: The agent, team or workflow.
        files: The files that the tools read.
    """
    tools = getattr(agent, "tools", None)
    taken = set(_names(tools)) if isinstance(tools, list) else set[str]()
    return FileTools(files, *(OTHERS[each] if each in taken else each for each in (READ, SEARCH)))


def has_tools(agent: Any) -> bool:
    """Return whether an agent has tools of its own, which implies that its model supports tool calls."""
    return bool(getattr(agent, "tools", None))


def _names(tools: Iterable[Any]) -> Iterable[str]:
    for tool in tools:
        functions = getattr(tool, "functions", None)
        if isinstance(functions, dict):
            yield from (*functions, *(getattr(tool, "async_functions", None) or {}))
        elif isinstance(tool, dict):
            yield str(tool.get("name") or (tool.get("function") or {}).get("name") or "")
        else:
            yield str(getattr(tool, "name", None) or getattr(tool, "__name__", ""))


def _number(given: Any) -> int | None:
    """Parse a number that a model may have written as text; None if it was left out.

    Raises:
        ValueError: The value is not a number.
    """
    if given is None or given == "":
        return None
    try:
        return int(given)
    except (TypeError, OverflowError):
        raise ValueError(given) from None
