"""Caller identity and permissions: API keys, sessions, claims on tasks, signed links."""
