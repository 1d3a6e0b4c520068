"""``/metrics`` of a worker: a small server in a thread of its own, which answers while the event loop is blocked."""

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

ANSWER_SECONDS = 2.0  # for the platform's figures; a scrape goes on without them


@asynccontextmanager
async def scraped(settings: Settings, platform: Platform) -> AsyncGenerator[str | None]:
    """Serve the figures of a worker while it runs, where ``WORKER_METRICS_PORT`` is set.

    Args:
        settings: Where; the port 0 takes a free one.
        platform: Open; asked how its tasks stand, if it can say so.

    Yields:
        The address; none where no port is set.

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
        shown.register(StatsCollector(figures, _Asking(platform)))
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


class _Asking:
    """Asks the platform on its own loop, from a scrape's thread."""

    def __init__(self, platform: Countable) -> None:
        self._platform = platform
        self._loop = asyncio.get_running_loop()
        self._standings = StatsCache()

    def __call__(self) -> Stats | None:
        """How the tasks stand; none where that is not known in time."""
        asked = asyncio.run_coroutine_threadsafe(self._standings.of("", self._platform.stats), self._loop)
        try:
            return asked.result(ANSWER_SECONDS)
        except Exception:  # noqa: BLE001 - whatever it is, the process's own figures are worth an answer
            asked.cancel()
            return None
