"""The way out of a process that runs handlers."""

import asyncio
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from worker.telemetry import output, traces

FAILED = 1

T = TypeVar("T")

Errors = type[BaseException] | tuple[type[BaseException], ...]


def run_to_exit(
    work: Coroutine[Any, Any, int],
    exit_process: Callable[[int], None] | None = None,
    failed: Callable[[BaseException], None] = traceback.print_exception,
) -> int:
    """Run something on a loop of its own to its end, and leave the process with what it answers.

    Args:
        work: Answers the exit code.
        exit_process: Called with the exit code once all is written, before the loop is closed; default ``os._exit``. A
            thread that handlers or tools have left behind would hold the loop's own end, and an ordinary exit, for as
            long as it runs.
        failed: Told what ``work`` raised instead; the exit code is 1 then. Default: it is printed.

    Returns:
        The exit code, where ``exit_process`` returns.
    """
    with asyncio.Runner() as runner:
        try:
            code = run_on(runner.get_loop(), work, passes=BaseException)
        except BaseException as error:  # noqa: BLE001 - an exit that waits for threads may never come
            failed(error)
            code = FAILED
        for flush in (traces.flush, sys.stdout.flush, sys.stderr.flush, output.settle):
            with suppress(Exception):  # a handler may have closed it
                flush()
        (exit_process or os._exit)(code)
    return code


def run_on(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], *, passes: Errors = (SystemExit, RuntimeError)
) -> T:
    """Run the loop until the work is done, whatever other tasks on it do.

    A task that leaves by SystemExit or KeyboardInterrupt takes the loop along; so does code that stops the loop, and a
    handler of signals that raises, such as one that a library has for SIGALRM. Who awaits such a task has what it
    raised, and everything else goes on where it was.

    Args:
        loop: Which does not run yet.
        work: Whose answer is returned.
        passes: What does not end it, as long as the work has not ended. In a test, Ctrl-C and a time limit do end it.
    """
    main = loop.create_task(work, name="main")
    while True:
        try:
            return loop.run_until_complete(main)
        except passes as error:
            if main.done() or loop.is_closed() or _is_of_the_loop(error):
                raise


def _is_of_the_loop(error: BaseException) -> bool:
    """Whether the system refuses what the loop asks of it: to wait for descriptors that are closed, say."""
    return isinstance(error, OSError) and error.errno is not None
