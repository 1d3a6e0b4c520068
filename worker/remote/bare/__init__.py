"""The verbs of our own worker on a platform that speaks only the bare protocol: no attempts, no journal, no hints."""
