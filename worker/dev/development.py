"""The process of ``worker dev``: engine, server, worker, and the reloading of saved handlers."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import structlog

from worker import wiring
from worker.dashboard.app import create_pages
from worker.dev import modules
from worker.dev.listening import InProcessServer, listen_near
from worker.dev.saves import Saves
from worker.registry import Registry
from worker.server.app import create_app
from worker.server.main import LOOPBACK, check_organization_of, check_reach
from worker.settings import Settings
from worker.supervisor import Supervisor, forks
from worker.supervisor.shutdown import run_to_exit
from worker.telemetry import logs
from worker.words.addresses import is_loopback
from worker.words.errors import ConfigurationError, ModuleException
from worker.words.notices import HandlersBroken, announce

FIRST = """\
    # hello.py
    from worker import on_task

    @on_task(agent_id="hello")
    async def hello(task):
        return f"Hello, {task.input.text}!\"
"""


@dataclass(frozen=True, slots=True)
class Ready:
    """The facts to print once everything runs.

    Args:
        url: The server's address for this machine.
        platform: A description of the platform.
        registry: The handlers.
        needs_key: Whether requests need a key.
        seconds: How long the start took.
        other_port: The intended port, if it was taken and another is used; None otherwise.
    """

    url: str
    platform: str
    registry: Registry
    needs_key: bool
    seconds: float
    other_port: int | None


def develop(
    settings: Settings,
    folder: Path,
    greet: Callable[[Ready], None],
    *,
    host: str = LOOPBACK,
    started: float | None = None,
    exit_process: Callable[[int], None] | None = None,
) -> int:
    """Run everything until a signal ends it. Blocks; must be called on the main thread, for the signals.

    SIGTERM: the worker claims nothing more and drains, then the server ends; a second one changes nothing. SIGINT
    (Ctrl-C): the same; a second one hands running tasks back immediately.

    Args:
        settings: The database, the port, the worker's limits.
        folder: The folder of the handlers.
        greet: Called once when everything is ready.
        host: The address to listen on.
        started: When the start began, on the monotonic clock; None means now.
        exit_process: Called with the exit code at the end; by default ``os._exit``, since a handler's thread that still
            runs would delay an ordinary exit for seconds.

    Returns:
        The exit code, if ``exit_process`` returns.

    Raises:
        ConfigurationError: The settings lead to another platform, the port is taken, or there are no handlers.
    """
    check(settings, folder)
    logs.configure(settings)
    listening = listen_near(host, settings.port, exactly="port" in settings.model_fields_set)
    development = Development(settings, folder, listening, greet, time.monotonic() if started is None else started)
    return run_to_exit(development.run(), exit_process)


def check(settings: Settings, folder: Path) -> None:
    """Raise ConfigurationError if ``develop`` cannot work, before anything is started."""
    elsewhere = {"XPANDER_BASE_URL": settings.base_url, "XPANDER_API_KEY": settings.api_key}
    named = [name for name, value in elsewhere.items() if value]
    if named:
        raise ConfigurationError(
            f"{' and '.join(named)} {'point' if len(named) > 1 else 'points'} to another platform, but `worker"
            f" dev` runs its own: unset {'them' if len(named) > 1 else 'it'}, or use `worker run` to serve that"
            " platform"
        )
    if not folder.is_dir():
        raise ConfigurationError(f"there is no folder {folder.name!r}: create it, with a module such as\n\n{FIRST}")
    check_organization_of(settings)


class Development:
    """The platform, server and worker of one process.

    Args:
        settings: The database, the worker's limits.
        folder: The folder of the handlers.
        listening: The server's socket.
        greet: Called once when everything is ready.
        started: When the start began, on the monotonic clock.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        listening: socket.socket,
        greet: Callable[[Ready], None],
        started: float,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._listening = listening
        self._greet = greet
        self._started = started
        public = settings.public_url or f"http://{self._host_to_reach}:{listening.getsockname()[1]}"
        self._engine = wiring.engine(settings.model_copy(update={"public_url": public}))
        self._interrupts = 0

    async def run(self) -> int:
        """Open the platform, run until a signal, close it, and return the exit code."""
        try:
            needs_key = await self._open()
            await self._live(needs_key)
        except ModuleException as error:
            logs.failed(error)
            return 1
        finally:
            await self._engine.close()
            self._listening.close()
        return 0

    async def _open(self) -> bool:
        """Open the platform, and return whether requests need a key."""
        await self._engine.open()
        missing = await self._engine.pending_migrations()
        if missing:
            raise ConfigurationError(
                f"the database's schema is out of date: run `worker migrate` to apply {', '.join(missing)}"
            )
        has_key = self._settings.server_key is not None or await self._engine.keys.exist()
        check_reach(self._host, has_key=has_key)
        return has_key

    async def _live(self, needs_key: bool) -> None:
        saves = Saves(self._folder)
        registry = self._first_handlers()
        supervisor = Supervisor(self._engine, registry, self._settings)
        is_open = is_loopback(self._host)
        application = create_app(self._engine, self._settings, open_without_key=is_open, pages=create_pages)
        server = InProcessServer(application)
        self._take_signals(supervisor, server)
        working = asyncio.create_task(supervisor.run(), name="worker")
        serving = asyncio.create_task(server.serve(sockets=[self._listening]), name="server")
        watching = asyncio.create_task(self._watch(saves, supervisor), name="saves")
        greeting = asyncio.create_task(self._greet_when_ready(supervisor, server, registry, needs_key))
        try:
            await asyncio.wait([working, serving, watching], return_when=asyncio.FIRST_COMPLETED)
        finally:
            greeting.cancel()
            watching.cancel()
            supervisor.stop()
            await asyncio.wait([working, watching])
            server.should_exit = True  # last, so that clients that follow a task's events see its end
            await asyncio.wait([serving])
        for ended in (working, serving, watching):
            if not ended.cancelled():
                ended.result()

    def _first_handlers(self) -> Registry:
        """Import the handlers; if they are broken, show the errors and serve none until they are fixed."""
        try:
            return modules.load(self._folder)
        except ConfigurationError as error:
            announce(_broken(error))
            return Registry()

    async def _watch(self, saves: Saves, supervisor: Supervisor) -> None:
        await supervisor.ready()
        async with aclosing(saves.each()) as each_save:
            async for _ in each_save:
                await self._reload(supervisor)

    async def _reload(self, supervisor: Supervisor) -> None:
        try:
            registry = await asyncio.to_thread(modules.load, self._folder)  # in a thread: running tasks continue
            await supervisor.reload(registry)
        except ConfigurationError as error:
            announce(_broken(error))
        except Exception as error:  # noqa: BLE001 - a boot hook may raise anything, and the next save may fix it
            announce(HandlersBroken((f"a boot hook raised {type(error).__name__}: {error}",)))

    async def _greet_when_ready(
        self, supervisor: Supervisor, server: InProcessServer, registry: Registry, needs_key: bool
    ) -> None:
        await supervisor.ready()
        await server.up.wait()
        port: int = self._listening.getsockname()[1]
        self._greet(
            Ready(
                url=f"http://{self._host_to_reach}:{port}",
                platform=self._engine.description,
                registry=registry,
                needs_key=needs_key,
                seconds=time.monotonic() - self._started,
                other_port=self._settings.port if self._settings.port not in (0, port) else None,
            )
        )

    @property
    def _host(self) -> str:
        return self._listening.getsockname()[0]

    @property
    def _host_to_reach(self) -> str:
        shown = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self._host, self._host)  # noqa: S104 - to connect to, not to bind
        return f"[{shown}]" if ":" in shown else shown

    def _take_signals(self, supervisor: Supervisor, server: InProcessServer) -> None:
        """Install signal handlers that only set flags; the loop acts on them."""
        loop = asyncio.get_running_loop()

        def interrupted() -> None:
            self._interrupts += 1
            if self._interrupts == 1:
                if supervisor.running:
                    structlog.get_logger("worker").info(
                        "finishing running tasks; press Ctrl-C again to hand them back immediately"
                    )
                supervisor.stop()
            else:
                server.force_exit = True
                supervisor.stop_now()

        forks.reset_signals_in_forks(signal.SIGTERM, signal.SIGINT)
        loop.add_signal_handler(signal.SIGTERM, supervisor.stop)
        loop.add_signal_handler(signal.SIGINT, interrupted)


def _broken(error: ConfigurationError) -> HandlersBroken:
    return HandlersBroken(tuple(error.description.splitlines()))
