"""The way out of a process that runs handlers."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from worker.telemetry import traces


def run_to_exit(work: Coroutine[Any, Any, int], exit_process: Callable[[int], None] | None = None) -> int:
    """Run something on a loop of its own to its end, and leave the process with what it answers.

    Args:
        work: Answers the exit code.
        exit_process: Called with the exit code once all is written, before the loop is closed; default ``os._exit``. A
            thread that handlers or tools have left behind would hold the loop's own end, and an ordinary exit, for as
            long as it runs.

    Returns:
        The exit code, where ``exit_process`` returns.
    """
    with asyncio.Runner() as runner:
        code = runner.run(work)
        traces.flush()
        sys.stdout.flush()
        sys.stderr.flush()
        (exit_process or os._exit)(code)
    return code
