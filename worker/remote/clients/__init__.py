"""The verbs of clients over HTTP: tasks, their events, deliveries, keys, knowledge bases."""
