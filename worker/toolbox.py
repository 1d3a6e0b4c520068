"""The tools of a process: functions that agents may call, and the hooks around their calls.

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
        description: What models are told of it; None means what its docstring says.
        agent_ids: Whose tool it is; empty: every agent's.
        timeout: Seconds that a call may take.
        resume: How completed calls are resumed; see ``declare_tool``.
    """

    function: Callable[..., Any]
    name: str
    description: str | None = None
    agent_ids: tuple[str, ...] = ()
    timeout: float = TOOL_SECONDS
    resume: Resume | None = None
    is_bounded: bool = False  # whether the user said how long a call may take

    @property
    def place(self) -> str:
        """File and line, for errors."""
        return place(self.function)

    def is_for(self, agent_id: str | None) -> bool:
        """Whether an agent has it; of no agent in particular: whether anybody has it."""
        return agent_id is None or not self.agent_ids or agent_id in self.agent_ids


@dataclass
class ToolHooks:
    """Functions that are called around every call of a tool; what they raise is logged, and changes nothing."""

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
        """Put a function in; what does not fit is kept as a problem, so that a start can name all of them at once."""
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
        """The tools of an agent; of no agent in particular: all."""
        return [each for each in self.tools if each.is_for(agent_id)]

    def find(self, name: str, agent_id: str | None) -> RegisteredTool | None:
        """An agent's tool of this name."""
        return next((each for each in self.tools if each.name == name and each.is_for(agent_id)), None)

    def check(self) -> Iterator[str]:
        """What a worker could not start with: one line a problem, with file and line."""
        yield from self.problems
        first: dict[tuple[str, str], RegisteredTool] = {}
        for each in self.tools:
            for agent in each.agent_ids or ("",):
                other = first.setdefault((each.name, agent), each)
                if other is not each:
                    yield f"{each.place}: a second tool called {each.name!r}; the first is at {other.place}"


def _check_bound(function: Any) -> None:
    """A method needs its object. Raises: ConfigurationError."""
    if not callable(function):
        raise ConfigurationError(f"a tool is a function, not {function!r}")
    inside = getattr(function, "__qualname__", "").rpartition(".")[0]
    code = getattr(function, "__code__", None)
    takes_self = code is not None and code.co_varnames[: code.co_argcount][:1] == ("self",)
    if takes_self and inside and not inside.endswith("<locals>") and not hasattr(function, "__self__"):
        what = f"{name_of(function)} is a method without its object"
        raise ConfigurationError(f"{what}: make the object, and give register_tool its method")


def _seconds(timeout: Any) -> float:
    if isinstance(timeout, int | float) and not isinstance(timeout, bool) and 0 < timeout < float("inf"):
        return float(timeout)
    raise ConfigurationError(f"timeout must be a number of seconds above 0, not {timeout!r}")


def _resume(resume: Any) -> Any:
    if resume in ("journal", "redo", None):
        return resume
    raise ConfigurationError(f"resume must be 'journal' or 'redo', not {resume!r}")
