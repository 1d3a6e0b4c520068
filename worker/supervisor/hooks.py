"""What handlers' modules want done once around a worker, and around each of its child processes."""

import asyncio
import contextvars
import inspect
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from worker.threads import ThreadCall, end_forked
from worker.words.errors import ConfigurationError, Escaped
from worker.words.notices import PlatformTrouble, announce

Hook = Callable[[], Any]

CANCEL_SECONDS = 1.0  # for a hook that was cancelled to end; then it is left to itself


class Hooks:
    """The boot and shutdown hooks of a set of handlers, called in one asyncio task with one set of context variables.

    So what a boot hook opens, such as an anyio task group or a client of MCP, a shutdown hook can close.

    Args:
        boot: In the order in which they were registered.
        shutdown: The same.
    """

    def __init__(self, boot: Sequence[Hook], shutdown: Sequence[Hook]) -> None:
        self._boot_hooks = boot
        self._shutdown_hooks = shutdown
        self._home: asyncio.Task[None] | None = None
        self._leaves = asyncio.Event()
        self._deadline = 0.0
        self._gives_up = False

    async def boot(self) -> None:
        """Call the boot hooks; what one raises ends the start.

        Raises:
            ConfigurationError: One left by something that is no ``Exception``, such as ``sys.exit()``.
            Exception: What one raised.
        """
        booted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._home = asyncio.create_task(self._live(booted), name="hooks")
        try:
            await asyncio.shield(booted)
        except asyncio.CancelledError:
            self._gives_up = True
            booted.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody is told any more
            self._home.cancel()
            raise

    async def shut_down(self, seconds: float) -> None:
        """Call the shutdown hooks, whatever the others do: one that raises or hangs must not keep tasks from others.

        Args:
            seconds: What they get in all, each its share of what is left; then one on the loop is cancelled, and one in
                a thread left to itself.
        """
        self._deadline = time.monotonic() + seconds
        self._leaves.set()
        if self._home is None or self._home.done():  # no boot: the hooks are called all the same
            self._home = asyncio.create_task(self._shut_down(), name="hooks")
        _, hanging = await asyncio.wait([self._home], timeout=seconds + CANCEL_SECONDS)
        for each in hanging:
            announce(PlatformTrouble("running a shutdown hook", TimeoutError("it does not end"), 0.0))
            each.cancel()

    async def _live(self, booted: "asyncio.Future[None]") -> None:
        try:
            for hook in self._boot_hooks:
                await _call(hook)
        except asyncio.CancelledError as error:
            if not self._gives_up:
                booted.set_exception(ConfigurationError(f"a boot hook was cancelled by its own code: {error}"))
            await self._leaves.wait()  # a start that was given up: what has booted is shut down here, too
        except Exception as error:  # noqa: BLE001 - whoever boots is told
            booted.set_exception(error)
        else:
            booted.set_result(None)
        await self._leaves.wait()
        await self._shut_down()

    async def _shut_down(self) -> None:
        hooks = self._shutdown_hooks
        for waiting, hook in zip(range(len(hooks), 0, -1), hooks, strict=True):
            try:
                async with asyncio.timeout((self._deadline - time.monotonic()) / waiting):
                    await _call(hook)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - each hook gets its turn
                announce(PlatformTrouble(doing="running a shutdown hook", error=error))


async def _call(hook: Hook) -> None:
    """Call a hook; a sync one in a thread of its own, since handlers that do not end may hold all the others."""
    process = os.getpid()
    try:
        value = hook() if inspect.iscoroutinefunction(hook) else await _in_own_thread(hook)
        if inspect.isawaitable(value):
            await value
            return
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        raise ConfigurationError(f"the hook {hook!r} ended: {Escaped(error)}") from error
    finally:
        end_forked(process)
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        raise ConfigurationError(f"the hook {hook!r} is a generator: a hook is a function, or a coroutine function")


async def _in_own_thread(hook: Hook) -> Any:
    """Call it in a thread; the context variables that it sets are set for the hooks after it."""
    context = contextvars.copy_context()
    thread = ThreadPoolExecutor(1, thread_name_prefix="hook")
    try:
        value = await asyncio.get_running_loop().run_in_executor(thread, ThreadCall(lambda: context.run(hook)))
    finally:
        thread.shutdown(wait=False)
    for variable in context:
        variable.set(context[variable])
    return value
