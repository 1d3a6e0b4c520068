"""The tools of a process: functions that agents may call, and hooks around the calls.

from worker import tool

@tool(agent_ids=["analyst"], timeout=10)
async def total_sales(region: str) -> int:
    '''Add up the sales of a region.'''
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from worker.signatures import name_of, place
from worker.words.errors import ConfigurationError, ValidationError
from worker.words.ids import check_id
from worker.words.tools import TOOL_SECONDS, check_name

Resume = Literal["journal", "redo"]


@dataclass(frozen=True, eq=False)
class RegisteredTool:
    """A function that agents may call.

    Args:
        description: The description for models; None means the function's docstring.
        agent_ids: The agents that have the tool; empty means all agents.
        timeout: Time limit of a call in seconds.
        resume: How a later attempt treats completed calls; see ``declare_tool``.
    """

    function: Callable[..., Any]
    name: str
    description: str | None = None
    agent_ids: tuple[str, ...] = ()
    timeout: float = TOOL_SECONDS
    resume: Resume | None = None
    is_bounded: bool = False  # whether the user set the time limit

    @property
    def place(self) -> str:
        """The function's file and line, for errors."""
        return place(self.function)

    def is_for(self, agent_id: str | None) -> bool:
        """Return whether an agent has the tool. For None, return True: some agent has it."""
        return agent_id is None or not self.agent_ids or agent_id in self.agent_ids


@dataclass
class ToolHooks:
    """Functions that are called around every tool call. Their exceptions are logged, and do not affect the call."""

    before: list[Callable[..., Any]] = field(default_factory=list[Callable[..., Any]])
    after: list[Callable[..., Any]] = field(default_factory=list[Callable[..., Any]])
    error: list[Callable[..., Any]] = field(default_factory=list[Callable[..., Any]])


class Toolbox:
    """The tools of a registry."""

    def __init__(self) -> None:
        self.tools: list[RegisteredTool] = []
        self.problems: list[str] = []
        self.hooks = ToolHooks()

    def add(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        agent_ids: str | Sequence[str] | None = None,
        timeout: float | None = None,
        resume: Resume | None = None,
    ) -> None:
        """Add a function. Errors are collected as problems, so that a starting worker can report all of them."""
        try:
            _check_bound(function)
            agents = [agent_ids] if isinstance(agent_ids, str) else agent_ids or ()
            made = RegisteredTool(
                function,
                check_name(name or getattr(function, "__name__", type(function).__name__)),
                description,
                tuple(check_id(each, "agent_ids") for each in agents),
                TOOL_SECONDS if timeout is None else _seconds(timeout),
                _resume(resume),
                is_bounded=timeout is not None,
            )
        except (ConfigurationError, ValidationError) as error:
            self.problems.append(f"{place(function)}: {error.description}")
        else:
            self.tools.append(made)

    def of(self, agent_id: str | None) -> list[RegisteredTool]:
        """Return the tools of an agent; for None, all tools."""
        return [each for each in self.tools if each.is_for(agent_id)]

    def find(self, name: str, agent_id: str | None) -> RegisteredTool | None:
        """Return an agent's tool with this name, or None."""
        return next((each for each in self.tools if each.name == name and each.is_for(agent_id)), None)

    def check(self) -> Iterator[str]:
        """Yield a line, with file and line number, for each problem that prevents a worker from starting."""
        yield from self.problems
        first: dict[tuple[str, str], RegisteredTool] = {}
        for each in self.tools:
            for agent in each.agent_ids or ("",):
                other = first.setdefault((each.name, agent), each)
                if other is not each:
                    yield f"{each.place}: a second tool is named {each.name!r}; the first is at {other.place}"


def _check_bound(function: Any) -> None:
    """Raise ConfigurationError for a method without its object."""
    if not callable(function):
        raise ConfigurationError(f"a tool must be a function, not {function!r}")
    inside = getattr(function, "__qualname__", "").rpartition(".")[0]
    code = getattr(function, "__code__", None)
    takes_self = code is not None and code.co_varnames[: code.co_argcount][:1] == ("self",)
    if takes_self and inside and not inside.endswith("<locals>") and not hasattr(function, "__self__"):
        what = f"{name_of(function)} is a method without an instance"
        raise ConfigurationError(f"{what}: create the instance, and pass its method to register_tool")


def _seconds(timeout: Any) -> float:
    if isinstance(timeout, int | float) and not isinstance(timeout, bool) and 0 < timeout < float("inf"):
        return float(timeout)
    raise ConfigurationError(f"timeout must be a number of seconds above 0, not {timeout!r}")


def _resume(resume: Any) -> Any:
    if resume in ("journal", "redo", None):
        return resume
    raise ConfigurationError(f"resume must be 'journal' or 'redo', not {resume!r}")
