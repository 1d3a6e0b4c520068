"""Event streams: of tasks, of workers, of the bare protocol."""
