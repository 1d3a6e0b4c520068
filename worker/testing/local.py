"""A temporary platform on this machine for one test: an engine and workers, which leave nothing behind."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from worker import registry
from worker.engine.engine import Engine
from worker.face import bridge
from worker.registry import Registry
from worker.settings import Settings
from worker.testing.databases import databases
from worker.words.errors import ConfigurationError

if TYPE_CHECKING:
    from worker.supervisor import Supervisor


_current: "LocalPlatform | None" = None


IDLE = """
    select not exists (
        select from worker.tasks where status = 'executing' or (
            status = 'pending' and available_at <= now() and (agent_id = any(%(agents)s) or %(any)s)
        )
    ) and not exists (
        select from worker.cursors where position < newest and (worker_id is not null or available_at <= now())
    ) as idle
"""
POLL_SECONDS = 0.01


class LocalWorker:
    """A worker that runs for the length of a block."""

    def __init__(self, engine: Engine, supervisor: "Supervisor") -> None:
        self._engine = engine
        self._supervisor = supervisor

    async def idle(self, seconds: float = 10.0) -> None:
        """Wait until the worker has done all due work: tasks, and deliveries to handlers.

        It does not wait for pending retries.

        Raises:
            TimeoutError: The worker still has something to do after the given seconds.
        """
        card = self._supervisor.card
        deadline = time.monotonic() + seconds
        while not (await self._engine.core.rows(IDLE, {"agents": list(card.agents), "any": card.any_agent}))[0]["idle"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the worker was not idle after {seconds:g} s")
            await asyncio.sleep(POLL_SECONDS)


class LocalPlatform:
    """The platform of a test.

    ``Tasks()`` and ``Task`` find it automatically, since it is ``DATABASE_URL`` while the test runs.

    Args:
        url: An empty database.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @asynccontextmanager
    async def worker(self, *functions: Callable[..., Any], **settings: Any) -> AsyncGenerator["LocalWorker"]:
        """Run a worker for the length of a block, in the test's own loop; it drains at the end of the block.

        Args:
            functions: Handlers, decorated with ``@on`` or ``@on_task``; without any, all registered ones.
            settings: Settings of the worker, such as ``concurrency=1``.

        Raises:
            ConfigurationError: The handlers do not fit together, or a function is not a handler.
        """
        from worker.supervisor import Supervisor

        chosen = chosen_handlers(*functions)
        chosen.check()
        async with opened_engine(self.url) as engine:
            supervisor = Supervisor(engine, chosen, Settings.model_validate({"drain_seconds": 5, **settings}))
            running = asyncio.create_task(supervisor.run())
            ready = asyncio.create_task(supervisor.ready())
            try:
                await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    running.result()
                yield LocalWorker(engine, supervisor)
            finally:
                ready.cancel()
                supervisor.stop()
                await running


@contextmanager
def local_platform() -> Generator[LocalPlatform]:
    """Provide an empty platform for the length of a block, and empty it afterwards."""
    global _current  # noqa: PLW0603 - a process has one platform, as it has one environment
    url = databases().take()
    former, _current = _current, LocalPlatform(url)
    try:
        yield _current
    finally:
        _current = former
        bridge.close()  # the platform that sync calls of the test have opened
        databases().give(url)


def current() -> LocalPlatform | None:
    """Return the platform of the current test, if it has requested one."""
    return _current


@asynccontextmanager
async def opened_engine(url: str) -> AsyncGenerator[Engine]:
    """Yield an engine that is open on the running loop, and close it afterwards."""
    engine = Engine(url)
    try:
        await engine.open()
        yield engine
    finally:
        await engine.close()


def chosen_handlers(*functions: Callable[..., Any]) -> Registry:
    """Return the registered handlers of these functions; without any, all registered handlers.

    Raises:
        ConfigurationError: A function is not a handler.
    """
    if not functions:
        return registry.default
    chosen = Registry()
    chosen.tools = registry.default.tools  # agents have all their tools, whichever handlers run
    for function in functions:
        bound = [handler for handler in registry.default.handlers if handler.function is function]
        if not bound:
            name = getattr(function, "__qualname__", repr(function))
            raise ConfigurationError(f"{name} is not a handler: decorate it with @on_task or @on(...)")
        chosen.handlers += bound
    return chosen
