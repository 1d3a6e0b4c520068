"""The worker process: it creates platform and supervisor from the settings, and handles signals and shutdown."""

import signal
from collections.abc import Callable

from worker import wiring
from worker.registry import Registry
from worker.settings import Settings
from worker.supervisor import forks, garbage
from worker.supervisor.shutdown import run_to_exit
from worker.supervisor.signals import EXIT_SECONDS, LastExit, handle_signals
from worker.supervisor.supervisor import Supervisor
from worker.telemetry import logs, output
from worker.telemetry.scraping import scraped
from worker.words.errors import ModuleException


def run_worker(settings: Settings, registry: Registry, *, exit_process: Callable[[int], None] | None = None) -> int:
    """Run a worker until it receives a signal. Blocks, and must be called on the main thread for the signals.

    After SIGTERM, the worker claims nothing more, gives running tasks WORKER_DRAIN_SECONDS to finish, and hands back
    the rest; further SIGTERMs have no effect. SIGINT (Ctrl-C) does the same; a second one hands back immediately.

    Args:
        settings: The settings of platform and worker.
        registry: The handlers, which are checked first.
        exit_process: Called with the exit code after all output was flushed; the default is ``os._exit``, since threads
            of handlers that still run would delay an ordinary exit.

    Returns:
        The exit code, if ``exit_process`` returns: 0, or 1 after a failure or if the worker left because its threads
            hang.

    Raises:
        ConfigurationError: The handlers or the settings are invalid; nothing was started.
    """
    registry.check()
    output.unblock()
    logs.configure(settings)
    return run_to_exit(_run(settings, registry), exit_process)


async def _run(settings: Settings, registry: Registry) -> int:
    platform = wiring.choose(settings)
    last_exit = LastExit(settings.drain_seconds + EXIT_SECONDS)
    try:
        supervisor = Supervisor(platform, registry, settings)
        with_signals(supervisor, last_exit)
        async with scraped(settings, platform) as address:
            logs.serving_metrics(address)
            garbage.tune()
            await supervisor.run()
            return 1 if supervisor.is_worn_out else 0
    except ModuleException as error:
        logs.failed(error)
        return 1
    except BaseException:
        last_exit.code = 1
        raise
    finally:
        last_exit.begin()
        await platform.close()


def with_signals(supervisor: Supervisor, last_exit: LastExit) -> None:
    """Make signals stop the supervisor. If its loop is blocked, ``last_exit`` ends the process in time."""
    interrupts = 0

    def on_signal(number: int) -> None:
        nonlocal interrupts
        immediate()
        interrupts += number == signal.SIGINT
        if interrupts > 1:
            supervisor.stop_now()

    def immediate() -> None:
        last_exit.begin()
        supervisor.stop()

    forks.reset_signals_in_forks(signal.SIGTERM, signal.SIGINT)
    handle_signals((signal.SIGTERM, signal.SIGINT), on_signal, immediate=immediate)
