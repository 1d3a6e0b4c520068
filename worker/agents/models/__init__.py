"""Models by name, what each can do, their clients, and providers that are away."""
