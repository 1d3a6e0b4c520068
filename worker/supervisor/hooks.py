"""Boot and shutdown hooks of handlers, called once per worker and per child process."""

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

CANCEL_SECONDS = 1.0  # how long a cancelled hook may take to end before it is abandoned


class Hooks:
    """The boot and shutdown hooks of a set of handlers, called in one asyncio task with shared context variables.

    A shutdown hook can therefore close what a boot hook opened, such as an anyio task group or an MCP client.

    Args:
        boot: The boot hooks, in the order of registration.
        shutdown: The shutdown hooks, in the order of registration.
    """

    def __init__(self, boot: Sequence[Hook], shutdown: Sequence[Hook]) -> None:
        self._boot_hooks = boot
        self._shutdown_hooks = shutdown
        self._home: asyncio.Task[None] | None = None
        self._leaves = asyncio.Event()
        self._deadline = 0.0
        self._gives_up = False

    async def boot(self) -> None:
        """Call the boot hooks; an exception of one aborts the start.

        Raises:
            ConfigurationError: A hook raised something other than an ``Exception``, such as ``sys.exit()``.
            Exception: A hook raised it.
        """
        booted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._home = asyncio.create_task(self._live(booted), name="hooks")
        try:
            await asyncio.shield(booted)
        except asyncio.CancelledError:
            self._gives_up = True
            booted.add_done_callback(lambda done: done.cancelled() or done.exception())  # marks it as retrieved
            self._home.cancel()
            raise

    async def shut_down(self, seconds: float) -> None:
        """Call the shutdown hooks; one that raises or hangs does not prevent the others.

        Args:
            seconds: The time for all hooks; each may use its share of the time left. A hook that takes longer is
                cancelled, or abandoned if it runs in a thread.
        """
        self._deadline = time.monotonic() + seconds
        self._leaves.set()
        if self._home is None or self._home.done():  # the boot hooks were never called; shutdown hooks are anyway
            self._home = asyncio.create_task(self._shut_down(), name="hooks")
        _, hanging = await asyncio.wait([self._home], timeout=seconds + CANCEL_SECONDS)
        for each in hanging:
            announce(PlatformTrouble("running a shutdown hook", TimeoutError("the hook did not finish in time"), 0.0))
            each.cancel()

    async def _live(self, booted: "asyncio.Future[None]") -> None:
        try:
            for hook in self._boot_hooks:
                await _call(hook)
        except asyncio.CancelledError as error:
            if not self._gives_up:
                booted.set_exception(ConfigurationError(f"a boot hook was cancelled by its own code: {error}"))
            await self._leaves.wait()  # after an aborted start, the shutdown hooks run here as well
        except Exception as error:  # noqa: BLE001 - raised in ``boot``
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
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the remaining hooks must run
                announce(PlatformTrouble(doing="running a shutdown hook", error=error))


async def _call(hook: Hook) -> None:
    """Call a hook; a sync one in its own thread, since hanging handlers may occupy all threads of the pool."""
    process = os.getpid()
    try:
        value = hook() if inspect.iscoroutinefunction(hook) else await _in_own_thread(hook)
        if inspect.isawaitable(value):
            await value
            return
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        raise ConfigurationError(f"the hook {hook!r} exited: {Escaped(error)}") from error
    finally:
        end_forked(process)
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        raise ConfigurationError(f"the hook {hook!r} is a generator; a hook must be a function or a coroutine function")


async def _in_own_thread(hook: Hook) -> Any:
    """Call a hook in a thread, and copy the context variables that it sets to this context."""
    context = contextvars.copy_context()
    thread = ThreadPoolExecutor(1, thread_name_prefix="hook")
    try:
        value = await asyncio.get_running_loop().run_in_executor(thread, ThreadCall(lambda: context.run(hook)))
    finally:
        thread.shutdown(wait=False)
    for variable in context:
        variable.set(context[variable])
    return value
