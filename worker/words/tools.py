"""Tools as published by workers, and the results of calling them."""

import re
from typing import Any

from pydantic import Field

from worker.words.errors import ConfigurationError
from worker.words.records import Words

TOOL_SECONDS = 120.0
"""The default time limit of a call."""

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
"""The tool names that model providers accept."""


class ToolRecord(Words):
    """A tool of an agent.

    Args:
        name: The name for models and other callers.
        description: Its purpose, for a model.
        parameters: Its arguments, as a JSON Schema of an object.
        timeout: The time limit of a call in seconds.
        agent_ids: The agents that have it; empty means every agent that its worker serves.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    timeout: float = Field(default=TOOL_SECONDS, gt=0, allow_inf_nan=False)
    agent_ids: tuple[str, ...] = ()

    def is_for(self, agent_id: str) -> bool:
        """Return whether an agent has this tool."""
        return not self.agent_ids or agent_id in self.agent_ids


class AgentTool(ToolRecord):
    """A tool together with the agent that has it."""

    agent_id: str


class ToolInvocationResult(Words):
    """The result of calling a tool.

    Args:
        tool_id: The tool's name.
        tool_call_id: The caller's own id for the call.
        task_id: The task within which it was called.
        payload: The arguments.
        status_code: 200; 422: the payload does not fit, and the tool was not called; 504: it timed out; 500: it raised;
            404: no live worker has it.
        result: The tool's answer, or the text of the error.
        is_success: Whether the tool answered.
        is_error: The opposite of ``is_success``.
        error: Why it failed.
        execution_time: The duration of the call in seconds.
        is_local: Whether it was called in this process.
    """

    tool_id: str = ""
    tool_call_id: str | None = None
    task_id: str | None = None
    payload: Any = None
    status_code: int = 200
    result: Any = None
    is_success: bool = False
    is_error: bool = False
    error: str | None = None
    execution_time: float = 0.0
    is_local: bool = False


def check_name(name: str) -> str:
    """Return the name of a tool if model providers accept it.

    Raises:
        ConfigurationError: Model providers do not accept the name.
    """
    if NAME.fullmatch(name):
        return name
    raise ConfigurationError(f"a tool's name must have 1 to 64 letters, digits, _ or -, not {name[:80]!r}")
