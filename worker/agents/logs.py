"""Agno's log lines: its loggers write to the terminal by themselves; in a worker they go where all lines go."""

import logging

LOGGERS = ("agno", "agno-team", "agno-workflow")

_taken_over = False


def take_over() -> None:
    """Hand Agno's lines to Python's own logging, once, where somebody listens there; elsewhere Agno writes them."""
    global _taken_over  # noqa: PLW0603 - Agno has its loggers once a process
    if _taken_over or not logging.getLogger().handlers:
        return
    _taken_over = True
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
