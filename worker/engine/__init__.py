"""The engine: tasks, events, leases and journals in PostgreSQL."""
