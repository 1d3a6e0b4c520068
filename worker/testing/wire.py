"""The messages of the stand-in platform, in the forms of the bare protocol."""

from datetime import UTC, datetime
from typing import Any

Task = dict[str, Any]


def now() -> str:
    """Return the current time in ISO format."""
    return datetime.now(UTC).isoformat()


def item(task: Task) -> dict[str, Any]:
    """Return a task as lists show it."""
    names = ("id", "agent_id", "organization_id", "status", "created_at", "updated_at", "result", "title")
    return {name: task.get(name) for name in names}


def agent(agent_id: str, organization_id: str) -> dict[str, Any]:
    """Return an agent, with the fields that clients need."""
    return {
        "id": agent_id,
        "organization_id": organization_id,
        "name": agent_id,
        "unique_name": agent_id,
        "framework": "agno",
        "icon": "",
        "status": "ACTIVE",
        "instructions": {"role": [], "goal": [], "general": ""},
        "model_provider": "openai",
        "model_name": "gpt-5-mini",
        "created_at": now(),
        "environment_id": "environment",
    }


def registration(worker_id: str, agent_id: str, organization_id: str) -> dict[str, Any]:
    """Return the message that gives a worker its id."""
    return {
        "id": worker_id,
        "name": "worker",
        "organization_id": organization_id,
        "type": "worker",
        "created_at": now(),
        "created_by": "key",
        "last_heartbeat": now(),
        "dedicated_agent_id": agent_id,
        "parent_asset_id": agent_id,
        "is_busy": False,
        "metadata": {"name": agent_id, "unique_name": agent_id},
    }
