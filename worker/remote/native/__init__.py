"""The verbs of our own worker on our own server: batches, claims, presence."""
