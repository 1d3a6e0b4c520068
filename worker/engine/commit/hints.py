"""Flags of the hint that follows a commit. A hint may come late, twice or never, so all waiters also poll."""

WORK, DELIVERIES, KEYS = "w", "d", "k"
"""Flags of a hint: a task can be claimed; an event can be delivered; a key was created or revoked."""
