"""Tools: the user's, the worker's own, and the parsing of their arguments."""
