"""The ``/metrics`` endpoint of a worker: a server in a thread, which answers even while the event loop is blocked."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from worker.contracts import Platform
from worker.contracts.stats import Countable, Stats
from worker.settings import Settings
from worker.telemetry import metrics
from worker.telemetry.exposition import StatsCache, StatsCollector
from worker.telemetry.lag import LoopLag
from worker.words.errors import ConfigurationError

ANSWER_SECONDS = 2.0  # for the platform's metrics; a scrape continues without them


@asynccontextmanager
async def scraped(settings: Settings, platform: Platform) -> AsyncGenerator[str | None]:
    """Serve a worker's metrics while it runs, if ``WORKER_METRICS_PORT`` is set.

    Args:
        settings: The address to listen on; the port 0 selects a free one.
        platform: The platform, which is asked for its stats once it is open, if it can report them.

    Yields:
        The address; None if no port is set.

    Raises:
        ConfigurationError: The address cannot be listened on, or prometheus-client is not installed.
    """
    if settings.metrics_port is None:
        yield None
        return
    figures = metrics.of_this_process()
    from prometheus_client import CollectorRegistry, start_http_server

    shown = CollectorRegistry()
    shown.register(figures.registry)
    if isinstance(platform, Countable):
        shown.register(StatsCollector(figures, _StatsRequests(platform)))
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server, thread = start_http_server(port, host, shown)
    except OSError as error:
        raise ConfigurationError(f"cannot listen for metrics on {host}:{port}: {error.strerror or error}") from None
    lag = LoopLag(lambda seconds: figures.observe("event_loop_lag_seconds", seconds))
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        lag.stop()
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


class _StatsRequests:
    """Asks the platform on its own loop, from a scrape's thread."""

    def __init__(self, platform: Countable) -> None:
        self._platform = platform
        self._loop = asyncio.get_running_loop()
        self._cache = StatsCache()

    def __call__(self) -> Stats | None:
        """Return the platform's stats; None if they do not arrive in time."""
        asked = asyncio.run_coroutine_threadsafe(self._cache.of("", self._platform.stats), self._loop)
        try:
            return asked.result(ANSWER_SECONDS)
        except Exception:  # noqa: BLE001 - whatever the error, the process's own metrics must be served
            asked.cancel()
            return None
