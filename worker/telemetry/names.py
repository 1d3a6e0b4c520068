"""The table of all metrics, from which they are created; a test compares it with docs/metrics.md."""

from typing import NamedTuple

PREFIX = "agno_worker_"

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Histogram buckets, in seconds, for operations that should be quick."""
SLOW = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Histogram buckets, in seconds, for operations that may take long."""
LAGS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)


class MetricSpec(NamedTuple):
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


def _on_scrape(name: str, help: str, *labels: str) -> MetricSpec:  # noqa: A002 - Prometheus's name for it
    return MetricSpec("gauge", name, help, labels, asked=True)


METRICS = (
    _on_scrape("tasks", "Unfinished tasks by status: pending, executing, paused.", "agent", "status"),
    _on_scrape("queue_depth", "Tasks ready to start, counted up to 100,000.", "agent"),
    _on_scrape("queue_oldest_seconds", "Time that the oldest task ready to start has waited, in seconds.", "agent"),
    _on_scrape("workers", "Running workers."),
    _on_scrape("deliveries_due", "Pairs of a handler and a task with an event to deliver."),
    _on_scrape("deliveries_failing", "Such pairs whose last delivery failed and will be retried."),
    _on_scrape("deliveries_set_aside", "Events set aside until they are retried manually."),
    _on_scrape("providers_away", "Model providers that tasks are waiting for."),
    _on_scrape("platform_up", "1 if the platform answered this scrape, else 0."),
    MetricSpec("gauge", "runs", "Attempts that this process is running.", ("agent",)),
    MetricSpec("counter", "runs_started_total", "Attempts started.", ("agent",)),
    MetricSpec("counter", "tasks_ended_total", "Tasks that an attempt finished or paused.", ("agent", "status")),
    MetricSpec("counter", "tasks_retried_total", "Failed attempts whose task will be retried.", ("agent",)),
    MetricSpec(
        "counter",
        "tasks_handed_back_total",
        "Tasks that an exiting worker handed back, without counting the attempt as a failure.",
        ("agent",),
    ),
    MetricSpec("counter", "tasks_crashed_total", "Crashed child processes that ran an isolated task.", ("agent",)),
    MetricSpec("counter", "tasks_stopped_total", "Runs ended because their task was stopped.", ("agent",)),
    MetricSpec(
        "counter", "leases_lost_total", "Runs ended because their attempt no longer owned the task.", ("agent",)
    ),
    MetricSpec(
        "histogram", "run_seconds", "Duration of attempts that finished their task, in seconds.", ("agent",), SLOW
    ),
    MetricSpec(
        "histogram",
        "wait_seconds",
        "Time from a task's creation to its first attempt, in seconds.",
        ("agent",),
        QUICK + SLOW[9:],
    ),
    MetricSpec(
        "counter", "model_calls_total", "Model calls by outcome: ok, error, cancelled, replayed.", ("model", "outcome")
    ),
    MetricSpec("histogram", "model_call_seconds", "Duration of model calls, in seconds.", ("model",), SLOW[:11]),
    MetricSpec(
        "counter", "tokens_total", "Tokens by type: input, output, cache_read, cache_write.", ("agent", "model", "type")
    ),
    MetricSpec(
        "counter", "tool_calls_total", "Tool calls by outcome: ok, error, cancelled, replayed.", ("tool", "outcome")
    ),
    MetricSpec("histogram", "tool_call_seconds", "Duration of tool calls, in seconds.", ("tool",), QUICK),
    MetricSpec("counter", "deliveries_total", "Events delivered to handlers.", ("handler",)),
    MetricSpec("counter", "deliveries_failed_total", "Failed deliveries of events to handlers.", ("handler",)),
    MetricSpec("counter", "deliveries_set_aside_total", "Failed deliveries that were set aside.", ("handler",)),
    MetricSpec("counter", "workers_lost_total", "Other workers that this process found to be dead.", ("sign",)),
    MetricSpec("counter", "provider_outages_total", "Times that tasks began to wait for a provider.", ("error",)),
    MetricSpec("counter", "platform_troubles_total", "Failed platform operations."),
    MetricSpec(
        "counter",
        "event_loop_blocked_total",
        "Times that code blocked the event loop for at least a quarter of a second.",
    ),
    MetricSpec(
        "histogram", "event_loop_lag_seconds", "Delay of the event loop in running due callbacks, in seconds.", (), LAGS
    ),
)
