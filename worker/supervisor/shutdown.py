"""The shutdown of a process that runs handlers."""

import asyncio
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from worker.supervisor import shared_parts
from worker.telemetry import output, traces

FAILED = 1

MAX_INTERRUPTIONS = 20  # of the loop, without it calling anything in between

T = TypeVar("T")

Errors = type[BaseException] | tuple[type[BaseException], ...]


def run_to_exit(
    work: Coroutine[Any, Any, int],
    exit_process: Callable[[int], None] | None = None,
    failed: Callable[[BaseException], None] = traceback.print_exception,
) -> int:
    """Run a coroutine on a new event loop, and exit the process with its result as the exit code.

    Args:
        work: Returns the exit code.
        exit_process: Called with the exit code after all output was flushed, before the loop is closed; the default is
            ``os._exit``, since threads that handlers or tools have left running would delay an ordinary exit.
        failed: Called with an exception of ``work``, after which the exit code is 1; by default, it is printed.

    Returns:
        The exit code, if ``exit_process`` returns.
    """
    shared_parts.protect()
    with asyncio.Runner() as runner:
        try:
            code = run_on(runner.get_loop(), work, passes=BaseException)
        except BaseException as error:  # noqa: BLE001 - an exit that waits for threads may never happen
            failed(error)
            code = FAILED
        for flush in (traces.flush, _flush, output.settle):
            with suppress(Exception):  # a handler may have closed or replaced a stream
                flush()
        (exit_process or os._exit)(code)
    return code


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def run_on(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], *, passes: Errors = (SystemExit, RuntimeError)
) -> T:
    """Run the loop until a coroutine is done, even if other tasks try to stop the loop.

    A task that raises SystemExit or KeyboardInterrupt stops the loop. So does code that calls ``loop.stop``, and a
    signal handler that raises, such as a library's handler for SIGALRM. Tasks that await such a task get its exception;
    all other tasks simply continue.

    Args:
        loop: The event loop, not yet running.
        work: The coroutine, whose result is returned.
        passes: The exceptions that do not end the loop before ``work`` is done. In tests, Ctrl-C and a time limit do.
    """
    main = loop.create_task(work, name="main")
    interruptions = 0

    def turned() -> None:
        nonlocal interruptions
        interruptions = 0

    while True:
        try:
            loop.call_soon(turned)
            return loop.run_until_complete(main)
        except passes as error:
            interruptions += 1
            if main.done() or loop.is_closed():
                raise
            if interruptions > MAX_INTERRUPTIONS:
                raise LoopBrokenError(error) from error


class LoopBrokenError(RuntimeError):
    """The event loop cannot continue: code that ran on it has closed or replaced something that it needs."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the event loop is broken, as code that ran on it closed or replaced something: {error!r}")
