"""What a hint says after a commit. A hint may come late, twice or never: whoever waits looks now and then, too."""

WORK, DELIVERIES, KEYS = "w", "d", "k"
"""Flags of a hint: a task can be claimed; an event can be delivered; a key was made or revoked."""
