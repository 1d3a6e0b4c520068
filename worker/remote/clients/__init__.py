"""The verbs of clients over HTTP: tasks, events, deliveries, keys, knowledge bases."""
