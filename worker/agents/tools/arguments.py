"""Keyword arguments of ``agno.agent.Agent``, built from an agent's record."""

from typing import Any

from worker.agents.models.models import default_model_name, named_model, shared_model, stand_in
from worker.settings import Settings
from worker.words.agents import AgentRecord, Instructions
from worker.words.errors import ConfigurationError
from worker.words.statuses import OutputFormat
from worker.words.tasks import TaskRecord

TURNS = 10  # earlier turns of the conversation that an agent receives


def agent_arguments(
    record: AgentRecord, *, task: TaskRecord | None = None, settings: Settings | None = None
) -> dict[str, Any]:
    """Build the arguments with which ``Agent(**arguments)`` becomes the agent of a record.

    Args:
        record: The agent.
        task: The task that the agent is created for, whose choice of model takes precedence. All other settings of a
            task are applied by ``run``.
        settings: Settings that name the default model; None reads them from the environment.

    Returns:
        The arguments, without ``model`` if none is configured, so that the caller may add one.

    Raises:
        ConfigurationError: The model cannot be created.
    """
    name = named_model(task, record) or _default_name(settings)
    effort = (task.reasoning_effort if task else None) or record.llm_reasoning_effort
    model = stand_in.get() or (shared_model(name, effort) if name else None)
    arguments: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "model": model,
        "instructions": instructions(record.instructions),
        "description": record.description,
        "expected_output": record.expected_output,
        "output_schema": record.output_schema,
        "markdown": record.output_format is OutputFormat.Markdown and not record.output_schema,
        "telemetry": False,
        **(_conversation(task) if task is not None else {}),
    }
    return {key: value for key, value in arguments.items() if value is not None}


def _conversation(task: TaskRecord) -> dict[str, Any]:
    """Request history if the task continues a conversation: from the agent's database, or from the task's log."""
    return {"add_history_to_context": True, "num_history_runs": TURNS} if task.turn or task.conversation_id else {}


def _default_name(settings: Settings | None) -> str | None:
    try:
        return default_model_name(settings)
    except ConfigurationError:
        return None


def instructions(given: Instructions) -> list[str] | None:
    """Return an agent's instructions as Agno's list: role, then goals, then the rest; None if there are none."""
    lines = [f"Your role: {line}" for line in given.role if line.strip()]
    lines += [f"Your goal: {line}" for line in given.goal if line.strip()]
    if given.general.strip():
        lines.append(given.general.strip())
    return lines or None
