"""Cohere's client: it logs an event of a stream that it cannot parse, and goes on without it.

An answer without a part would look whole.
"""

import functools
import json
import sys
from collections.abc import Callable
from typing import Any

from worker.agents.answers.errors import UnreadableAnswer

MODULE, PARSER, LOGS = "cohere.v2.raw_client", "parse_sse_obj", ("warning", "error")


def watch(is_read: Callable[[], bool]) -> None:
    """Make a model's call fail at such an event, if the client is loaded.

    Args:
        is_read: Returns whether a call of a run is reading its answer.
    """
    module: Any = sys.modules.get(MODULE)
    if hasattr(module, PARSER) and not hasattr(getattr(module, PARSER), "__wrapped__"):
        setattr(module, PARSER, _strict(getattr(module, PARSER)))
        for name in LOGS:
            if hasattr(module, name):
                setattr(module, name, _failing(getattr(module, name), is_read))


def _strict(parse: Callable[..., Any]) -> Callable[..., Any]:
    """Return the parser with an error for text that is not JSON, which it only logs."""

    @functools.wraps(parse)
    def parsed(sse: Any, *arguments: Any, **options: Any) -> Any:
        json.loads(sse.data)
        return parse(sse, *arguments, **options)

    return parsed


def _failing(log: Callable[[str], None], is_read: Callable[[], bool]) -> Callable[[str], None]:
    """Return a function that raises the error that the client is about to log, if a run's call is affected."""

    @functools.wraps(log)
    def logged(message: str) -> None:
        if is_read():
            raise UnreadableAnswer(message, what="An event of the provider's stream") from sys.exc_info()[1]
        log(message)

    return logged
