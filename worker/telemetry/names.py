"""The table of all metrics, from which they are created; a test compares it with docs/metrics.md."""

from typing import NamedTuple

PREFIX = "agno_worker_"

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Histogram buckets, in seconds, for operations that should be quick."""
SLOW = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Histogram buckets, in seconds, for operations that may take long."""
LAGS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)


class Figure(NamedTuple):
    """A metric.

    Args:
        kind: ``counter``, ``gauge`` or ``histogram``.
        name: The name without the prefix; a counter's ends with ``_total``.
        labels: The names of its labels.
        buckets: The buckets of a histogram.
        asked: Whether the platform reports it, the same in every process, so that a sum over processes is meaningless.
    """

    kind: str
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    asked: bool = False


def _asked(name: str, help: str, *labels: str) -> Figure:  # noqa: A002 - Prometheus's name for it
    return Figure("gauge", name, help, labels, asked=True)


FIGURES = (
    _asked("tasks", "unfinished tasks, by status: pending, executing, paused", "agent", "status"),
    _asked("queue_depth", "tasks that could start now; at most 100,000 are counted", "agent"),
    _asked("queue_oldest_seconds", "for how long the oldest task that could start has waited", "agent"),
    _asked("workers", "workers that are here"),
    _asked("deliveries_due", "handlers and tasks with an event to be delivered"),
    _asked("deliveries_failing", "of these, those that were tried in vain and will be again"),
    _asked("deliveries_set_aside", "events set aside, to be retried by hand"),
    _asked("providers_away", "providers of models that tasks wait for"),
    _asked("platform_up", "1 where the platform answered this scrape, else 0"),
    Figure("gauge", "runs", "attempts that this process has in hand", ("agent",)),
    Figure("counter", "runs_started_total", "attempts begun", ("agent",)),
    Figure("counter", "tasks_ended_total", "tasks that an attempt ended or paused", ("agent", "status")),
    Figure("counter", "tasks_retried_total", "attempts that failed and will be made again", ("agent",)),
    Figure("counter", "tasks_handed_back_total", "tasks handed back uncharged by a worker that left", ("agent",)),
    Figure("counter", "tasks_crashed_total", "child processes that died of a task which runs alone", ("agent",)),
    Figure("counter", "tasks_stopped_total", "runs ended since their task was stopped", ("agent",)),
    Figure("counter", "leases_lost_total", "runs whose attempt no longer owned its task", ("agent",)),
    Figure("histogram", "run_seconds", "how long attempts took that ended their task", ("agent",), SLOW),
    Figure("histogram", "wait_seconds", "from a task's creation to its first attempt", ("agent",), QUICK + SLOW[9:]),
    Figure("counter", "model_calls_total", "calls of models: ok, error, cancelled, replayed", ("model", "outcome")),
    Figure("histogram", "model_call_seconds", "how long calls of models took", ("model",), SLOW[:11]),
    Figure("counter", "tokens_total", "tokens: input, output, cache_read, cache_write", ("agent", "model", "type")),
    Figure("counter", "tool_calls_total", "calls of tools: ok, error, cancelled, replayed", ("tool", "outcome")),
    Figure("histogram", "tool_call_seconds", "how long calls of tools took", ("tool",), QUICK),
    Figure("counter", "deliveries_total", "events that handlers took", ("handler",)),
    Figure("counter", "deliveries_failed_total", "events that handlers raised on", ("handler",)),
    Figure("counter", "deliveries_set_aside_total", "of these, those that were set aside", ("handler",)),
    Figure("counter", "workers_lost_total", "other workers that this process found dead", ("sign",)),
    Figure("counter", "provider_outages_total", "times that tasks began to wait for a provider", ("error",)),
    Figure("counter", "platform_troubles_total", "times that the platform did not answer as it should"),
    Figure(
        "counter", "event_loop_blocked_total", "times that code kept the event loop to itself for a quarter of a second"
    ),
    Figure("histogram", "event_loop_lag_seconds", "how late the event loop ran what was due", (), LAGS),
)
