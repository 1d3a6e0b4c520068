"""The figures as Prometheus reads them: those of this process, and those that the platform is asked for."""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from worker.contracts.stats import AgentStats, Stats
from worker.telemetry.metrics import Metrics
from worker.telemetry.names import FIGURES, PREFIX

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

FRESH_SECONDS = 5.0  # two scrapers, or one in a hurry, ask the platform once
HELP = {figure.name: figure for figure in FIGURES}


class StatsCache:
    """What the platform was asked, for a moment."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Stats]] = {}

    async def of(self, organization_id: str, ask: Callable[[], Awaitable[Stats]]) -> Stats:
        """How an organization's tasks stand, at most five seconds ago. Raises: what ``ask`` raises."""
        known = self._known.get(organization_id)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        stats = await ask()
        self._known[organization_id] = (time.monotonic() + FRESH_SECONDS, stats)
        return stats


class StatsCollector:
    """A platform's figures for a Prometheus registry.

    Args:
        metrics: Bounds the labels.
        ask: How the tasks stand; None means the platform does not answer.
    """

    def __init__(self, metrics: Metrics, ask: Callable[[], Stats | None]) -> None:
        self._metrics = metrics
        self._ask = ask

    def describe(self) -> Iterable["GaugeMetricFamily"]:
        """Nothing: else registering would ask the platform."""
        return ()

    def collect(self) -> Iterator["GaugeMetricFamily"]:
        """Ask, and make figures of the answer."""
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
    """The figures as text.

    Args:
        metrics: This process's.
        stats: The platform's; None means it does not answer.
        whole: With the process's own; else the platform's alone.
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
    """Agents by the names that they are told apart by; those that are not are summed up."""
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
    """What of a standing concerns some agents alone."""
    return Stats(tuple(each for each in stats.agents if each.agent_id in agents))
