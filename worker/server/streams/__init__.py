"""Server-sent event streams: for followers of tasks, for native workers and for workers of the bare protocol."""
