"""Routing of Agno's log lines: its loggers write to the terminal themselves; a worker sends them to its own logging."""

import logging

LOGGERS = ("agno", "agno-team", "agno-workflow")

_taken_over = False


def take_over() -> None:
    """Route Agno's loggers to Python's root logger, once, if that has handlers; otherwise Agno keeps writing them."""
    global _taken_over  # noqa: PLW0603 - Agno's loggers exist once per process
    if _taken_over or not logging.getLogger().handlers:
        return
    _taken_over = True
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
