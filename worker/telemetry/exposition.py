"""The metrics in the format of Prometheus: those of this process, and those that the platform reports."""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from worker.contracts.stats import AgentStats, Stats
from worker.telemetry.metrics import Metrics
from worker.telemetry.names import METRICS, PREFIX

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

FRESH_SECONDS = 5.0  # several scrapes within this time ask the platform once
HELP = {figure.name: figure for figure in METRICS}


class StatsCache:
    """The platform's last answers, cached for a moment."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Stats]] = {}

    async def of(self, organization_id: str, ask: Callable[[], Awaitable[Stats]]) -> Stats:
        """Return an organization's stats, at most five seconds old; exceptions of ``ask`` pass through."""
        known = self._known.get(organization_id)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        stats = await ask()
        self._known[organization_id] = (time.monotonic() + FRESH_SECONDS, stats)
        return stats


class StatsCollector:
    """A platform's metrics for a Prometheus registry.

    Args:
        metrics: Limits the values of labels.
        ask: Returns the platform's stats; None means that the platform does not answer.
    """

    def __init__(self, metrics: Metrics, ask: Callable[[], Stats | None]) -> None:
        self._metrics = metrics
        self._ask = ask

    def describe(self) -> Iterable["GaugeMetricFamily"]:
        """Return nothing: otherwise registering the collector would ask the platform."""
        return ()

    def collect(self) -> Iterator["GaugeMetricFamily"]:
        """Ask the platform, and yield metrics of the answer."""
        stats = self._ask()
        yield _gauge("platform_up", [((), 0 if stats is None else 1)])
        if stats is not None:
            yield from self._of(stats)

    def _of(self, stats: Stats) -> Iterator["GaugeMetricFamily"]:
        agents = _together(stats.agents, lambda agent: self._metrics.bound("agent", agent))
        statuses = ("pending", "executing", "paused")
        yield _gauge("tasks", [((a.agent_id, each), getattr(a, each)) for a in agents for each in statuses])
        yield _gauge("queue_depth", [((a.agent_id,), a.due) for a in agents])
        yield _gauge("queue_oldest_seconds", [((a.agent_id,), a.oldest_seconds) for a in agents])
        for name in ("workers", "deliveries_due", "deliveries_failing", "deliveries_set_aside", "providers_away"):
            yield _gauge(name, [((), getattr(stats, name))])


def text(metrics: Metrics, stats: Stats | None, *, whole: bool = True) -> bytes:
    """Return the metrics as text.

    Args:
        metrics: This process's metrics.
        stats: The platform's stats; None means that it does not answer.
        whole: Whether this process's metrics are included, or only the platform's.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    asked = CollectorRegistry()
    asked.register(StatsCollector(metrics, lambda: stats))
    return generate_latest(asked) + (generate_latest(metrics.registry) if whole else b"")


def _gauge(name: str, values: Iterable[tuple[tuple[str, ...], float]]) -> "GaugeMetricFamily":
    from prometheus_client.core import GaugeMetricFamily

    figure = HELP[name]
    family = GaugeMetricFamily(PREFIX + name, figure.help, labels=figure.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def _together(agents: Iterable[AgentStats], bound: Callable[[str], str]) -> list[AgentStats]:
    """Sum the counts of agents whose label has the same value, such as ``other``."""
    found: dict[str, AgentStats] = {}
    for each in agents:
        name = bound(each.agent_id)
        other = found.get(name, AgentStats(name))
        found[name] = AgentStats(
            name,
            pending=other.pending + each.pending,
            due=other.due + each.due,
            oldest_seconds=max(other.oldest_seconds, each.oldest_seconds),
            executing=other.executing + each.executing,
            paused=other.paused + each.paused,
        )
    return list(found.values())


def within(stats: Stats, agents: frozenset[str]) -> Stats:
    """Return only those stats that concern the given agents."""
    return Stats(tuple(each for each in stats.agents if each.agent_id in agents))
