"""Agents, as the platform stores them."""

from datetime import datetime
from typing import Any

from pydantic import Field

from worker.words.knowledge import AgentKnowledgeBase
from worker.words.records import Words
from worker.words.statuses import LLMReasoningEffort, OutputFormat
from worker.words.tools import ToolRecord


class Instructions(Words):
    """The instructions of an agent: role, goals and everything else."""

    role: list[str] = Field(default_factory=list[str])
    goal: list[str] = Field(default_factory=list[str])
    general: str = ""

    @property
    def description(self) -> str:
        """The general instructions: everything that is neither role nor goal."""
        return self.general

    @property
    def goal_str(self) -> str:
        """The goals, one per line."""
        return "\n".join(self.goal)

    @property
    def instructions(self) -> str:
        """The role and goals as one text, empty if there are none."""
        return "\n".join([*self.role, *self.goal])

    @property
    def full(self) -> str:
        """All instructions as one text: the description, the role, the goals."""
        return "\n".join(line for line in (self.general, *self.role, *self.goal) if line)


class AgentRecord(Words):
    """An agent.

    ``model_provider`` and ``model_name`` use Agno's names (``openai``, ``gpt-5``); None: the worker's default model.
    """

    id: str
    organization_id: str = "default"
    name: str
    unique_name: str
    framework: str = "agno"
    icon: str = "🤖"
    description: str | None = None
    status: str = "ACTIVE"
    instructions: Instructions = Field(default_factory=Instructions)
    model_provider: str | None = None
    model_name: str | None = None
    llm_reasoning_effort: LLMReasoningEffort | None = None
    output_format: OutputFormat | None = None
    output_schema: dict[str, Any] | None = None
    expected_output: str | None = None
    knowledge_bases: list[AgentKnowledgeBase] = Field(default_factory=list[AgentKnowledgeBase])  # searched by the agent
    version: int = 1
    announced_tools: list[ToolRecord] = Field(default_factory=list[ToolRecord])  # announced by workers that are alive
    created_at: datetime | None = None
    announced: bool = False  # listed only because a worker serves it; nobody created a record for it
