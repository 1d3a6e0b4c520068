"""Roles of the HTTP server's keys."""

from enum import StrEnum


class Role(StrEnum):
    """The permissions of a key, within the agents that it reaches."""

    Viewer = "viewer"
    """Read."""
    Client = "client"
    """Read; create, change, stop, retry and answer tasks."""
    Worker = "worker"
    """Read; claim tasks and events, and write to what is claimed."""
    Admin = "admin"
    """Everything, agents and keys included."""
