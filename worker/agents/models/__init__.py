"""Models by name, their capabilities and clients, and providers that are unavailable."""
