"""The verbs of our own worker on a platform that speaks the bare protocol alone: no attempts, no journal, no hints."""
