"""A worker as a process: settings to platform to supervisor, signals, the way out."""

import signal
from collections.abc import Callable

from worker import wiring
from worker.registry import Registry
from worker.settings import Settings
from worker.supervisor import forks, garbage
from worker.supervisor.departure import run_to_exit
from worker.supervisor.signals import EXIT_SECONDS, LastExit, hear
from worker.supervisor.supervisor import Supervisor
from worker.telemetry import logs, output
from worker.telemetry.scraping import scraped
from worker.words.errors import ModuleException


def run_worker(settings: Settings, registry: Registry, *, exit_process: Callable[[int], None] | None = None) -> int:
    """Run a worker until it is told to stop. Blocks; must be called on the main thread, for its signals.

    SIGTERM: claim nothing more, give what runs WORKER_DRAIN_SECONDS to finish, hand back the rest; a second one changes
    nothing. SIGINT (Ctrl-C): the same; twice: leave now.

    Args:
        settings: Where and how.
        registry: The handlers; they are checked first.
        exit_process: Called with the exit code once all is written; default ``os._exit``, since a handler's thread
            that still runs would hold an ordinary exit for seconds.

    Returns:
        The exit code: 0, or 1 after a failure or if it left since threads of it hang, where ``exit_process`` returns.

    Raises:
        ConfigurationError: The handlers or the settings do not fit; nothing was started.
    """
    registry.check()
    output.unblock()
    logs.configure(settings)
    return run_to_exit(_run(settings, registry), exit_process)


async def _run(settings: Settings, registry: Registry) -> int:
    platform = wiring.choose(settings)
    try:
        await platform.open()
        supervisor = Supervisor(platform, registry, settings)
        with_signals(supervisor, LastExit(settings.drain_seconds + EXIT_SECONDS))
        async with scraped(settings, platform) as address:
            logs.serving_metrics(address)
            garbage.spare()
            await supervisor.run()
            return 1 if supervisor.is_worn_out else 0
    except ModuleException as error:
        logs.failed(error)
        return 1
    finally:
        await platform.close()


def with_signals(supervisor: Supervisor, last_exit: LastExit) -> None:
    """Have signals note and wake; the loop acts, and where it cannot the process ends in time all the same."""
    interrupts = 0

    def heard(number: int) -> None:
        nonlocal interrupts
        last_exit.begin()
        interrupts += number == signal.SIGINT
        if interrupts > 1:
            supervisor.hurry()
        else:
            supervisor.stop()

    forks.leave_signals(signal.SIGTERM, signal.SIGINT)
    hear((signal.SIGTERM, signal.SIGINT), heard, at_once=supervisor.stop)
