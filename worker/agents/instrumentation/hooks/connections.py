"""Hooks for MCP servers, databases of tools, and knowledge lookups."""

from typing import Any

from worker.agents.instrumentation import sync_code
from worker.agents.instrumentation.frames import current_frame
from worker.agents.instrumentation.places import Original
from worker.agents.instrumentation.storage import knowledge
from worker.agents.instrumentation.tool_calls import connections


def connect_servers(original: Original) -> Original:
    """Make the hook for connecting MCP servers."""

    async def hook(owner: Any) -> None:
        frame = current_frame.get()
        connections.hook_sessions()
        await (original(owner) if frame is None else connections.connect_servers(frame, owner))

    return hook


def disconnect_servers(original: Original) -> Original:
    """Make the hook for disconnecting MCP servers."""

    async def hook(owner: Any) -> None:
        frame = current_frame.get()
        await (original(owner) if frame is None else connections.disconnect_servers(frame))

    return hook


def connect_databases(original: Original) -> Original:
    """Make the hook for connecting tools that hold a connection."""

    def hook(owner: Any) -> None:
        frame = current_frame.get()
        _ = original(owner) if frame is None else connections.connect_databases(frame, owner)

    return hook


def disconnect_databases(original: Original) -> Original:
    """Make the hook for disconnecting tools that hold a connection."""

    def hook(owner: Any) -> None:
        frame = current_frame.get()
        _ = original(owner) if frame is None else connections.disconnect_databases(frame)

    return hook


def lookup(original: Original) -> Original:
    """Make the hook for an agent's lookup in its knowledge."""
    return knowledge.lookup(sync_code.attributes("knowledge_retriever", agno_ignores_failure=True)(original))
