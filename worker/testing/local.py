"""A platform on this machine, for one test: engine, workers, and nothing left behind."""

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
LOOK_SECONDS = 0.01


class LocalWorker:
    """A worker that runs for the length of a block."""

    def __init__(self, engine: Engine, supervisor: "Supervisor") -> None:
        self._engine = engine
        self._supervisor = supervisor

    async def idle(self, seconds: float = 10.0) -> None:
        """Wait until it has done all there is to do now: tasks, and events that handlers wait for.

        What waits for another try is not waited for.

        Raises:
            TimeoutError: After so many seconds it still has something to do.
        """
        card = self._supervisor.card
        deadline = time.monotonic() + seconds
        while not (await self._engine.core.rows(IDLE, {"agents": list(card.agents), "any": card.any_agent}))[0]["idle"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds:g} s the worker still has something to do")
            await asyncio.sleep(LOOK_SECONDS)


class LocalPlatform:
    """Where a test's tasks live.

    Args:
        url: The database, with nothing in it.

    ``Tasks()`` and ``Task`` find it by themselves, as it is ``DATABASE_URL`` while the test runs.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @asynccontextmanager
    async def worker(self, *functions: Callable[..., Any], **settings: Any) -> AsyncGenerator["LocalWorker"]:
        """Run a worker for the length of a block, in the test's own loop; it drains at the block's end.

        Args:
            functions: Handlers, decorated by ``@on`` and its siblings; None means all that are registered.
            settings: Settings of the worker, such as ``concurrency=1``.

        Raises:
            ConfigurationError: The handlers do not fit, or a function is none.
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
    """Take a platform with nothing in it for the length of a block, and leave it so."""
    global _current  # noqa: PLW0603 - a process has one platform, as it has one environment
    url = databases().take()
    former, _current = _current, LocalPlatform(url)
    try:
        yield _current
    finally:
        _current = former
        bridge.close()  # what sync calls of the test have opened
        databases().give(url)


def current() -> LocalPlatform | None:
    """The platform of the test that runs, if it has asked for one."""
    return _current


@asynccontextmanager
async def opened_engine(url: str) -> AsyncGenerator[Engine]:
    """An engine, open on the running loop."""
    engine = Engine(url)
    try:
        await engine.open()
        yield engine
    finally:
        await engine.close()


def chosen_handlers(*functions: Callable[..., Any]) -> Registry:
    """The registered handlers that are these functions; none named: all.

    Raises:
        ConfigurationError: A function is no handler.
    """
    if not functions:
        return registry.default
    chosen = Registry()
    chosen.tools = registry.default.tools  # whichever handlers run, agents have their tools
    for function in functions:
        bound = [handler for handler in registry.default.handlers if handler.function is function]
        if not bound:
            name = getattr(function, "__qualname__", repr(function))
            raise ConfigurationError(f"{name} is no handler: decorate it with @on_task or @on(...)")
        chosen.handlers += bound
    return chosen
