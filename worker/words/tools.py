"""Tools as others see them, and what comes of calling one."""

import re
from typing import Any

from pydantic import Field

from worker.words.errors import ConfigurationError
from worker.words.records import Words

TOOL_SECONDS = 120.0
"""How long a call may take where its tool says nothing."""

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
"""What providers of models take as the name of a tool."""


class ToolRecord(Words):
    """A tool of an agent.

    Args:
        name: How models, and those who call it, name it.
        description: What it does, for a model.
        parameters: What it is called with, as a JSON Schema of an object.
        timeout: Seconds that a call may take.
        agent_ids: Whose it is; None means every agent's that its worker serves.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    timeout: float = Field(default=TOOL_SECONDS, gt=0, allow_inf_nan=False)
    agent_ids: tuple[str, ...] = ()

    def is_for(self, agent_id: str) -> bool:
        """Whether an agent has it."""
        return not self.agent_ids or agent_id in self.agent_ids


class AgentTool(ToolRecord):
    """A tool, and the agent that has it."""

    agent_id: str


class ToolInvocationResult(Words):
    """What came of calling a tool.

    Args:
        tool_id: The tool's name.
        tool_call_id: The caller's own id of the call.
        task_id: The task within which it was called.
        payload: What it was called with.
        status_code: 200; 422: the payload does not fit and the tool was not called; 504: it took too long; 500: it
            raised; 404: no worker that is here has it.
        result: What the tool answered; where it did not, the error's text.
        is_success: Whether it answered.
        is_error: The contrary.
        error: Why it did not.
        execution_time: Seconds that the call took.
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
    """Let pass what providers take as a tool's name. Raises: ConfigurationError."""
    if NAME.fullmatch(name):
        return name
    raise ConfigurationError(f"a tool's name has 1 to 64 letters, digits, _ and -, unlike {name[:80]!r}")
