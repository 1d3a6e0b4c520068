"""The HTTP layer: one client with retries, addresses, heartbeats, errors. It knows no verbs."""
