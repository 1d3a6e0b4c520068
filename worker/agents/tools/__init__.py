"""Tools: those of the user's, those of the worker, and how their arguments are read."""
