"""Prometheus metrics of this process, made from notices and watched operations; they cost nothing unless exported."""

import time
from functools import partial
from typing import Any

from worker.current import run_in_hand
from worker.telemetry.names import METRICS, PREFIX
from worker.words import loop_notices, notices, watching
from worker.words.errors import ConfigurationError
from worker.words.statuses import TERMINAL, AgentExecutionStatus

VALUES_PER_LABEL = {"agent": 100, "model": 50, "tool": 200, "handler": 100, "doing": 20}
"""How many values of a label are distinguished; later ones become ``other``. A server with thousands of agents must not
create as many time series for each metric."""
OTHER = "other"


class Bounded:
    """The values of one label, up to a limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        """Return the value, or ``other`` beyond the limit."""
        if value in self._known:
            return value
        if len(self._known) < self._most:
            self._known.add(value)
            return value
        return OTHER


class Metrics:
    """The metrics of a process.

    Raises:
        ConfigurationError: prometheus-client is not installed.
    """

    def __init__(self) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
            from prometheus_client.process_collector import ProcessCollector
        except ModuleNotFoundError:
            raise ConfigurationError("prometheus-client is not installed: pip install 'agno-worker[metrics]'") from None
        self.registry: CollectorRegistry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.bounds = {name: Bounded(most) for name, most in VALUES_PER_LABEL.items()}
        kinds: dict[str, Any] = {"counter": Counter, "gauge": Gauge}
        self._figures: dict[str, Any] = {}
        for figure in METRICS:
            if figure.asked:
                continue
            make = kinds.get(figure.kind) or partial(Histogram, buckets=figure.buckets)
            name = PREFIX + figure.name.removesuffix("_total")
            self._figures[figure.name] = make(name, figure.help, figure.labels, registry=self.registry)
        self._labelled: dict[tuple[Any, ...], Any] = {}

    def listen(self) -> None:
        """Start counting."""
        notices.subscribe(self.count)
        watching.watch(self.begin)

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter or a gauge."""
        self._of(name, labels).inc(amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        self._of(name, labels).observe(value)

    def _of(self, name: str, labels: dict[str, str]) -> Any:
        key = (name, *labels.values())
        known = self._labelled.get(key)
        if known is None:
            bounded = {label: self.bound(label, value) for label, value in labels.items()}
            known = self._figures[name].labels(**bounded) if labels else self._figures[name]
            if OTHER not in bounded.values():  # values beyond the limit must not be cached either
                self._labelled[key] = known
        return known

    def bound(self, label: str, value: str) -> str:
        """Return a label's value, or ``other`` if there are too many."""
        bounds = self.bounds.get(label)
        return value if bounds is None else bounds(value)

    def count(self, notice: notices.Notice) -> None:
        """Count a notice."""
        count = _COUNTERS.get(type(notice))
        if count is not None:
            count(self, notice)

    def begin(self, stretch: watching.Stretch) -> watching.End | None:
        """Start to measure a call of a model or a tool."""
        began = time.perf_counter()
        if isinstance(stretch, watching.ModelCallSpan):
            return lambda: self._model_called(stretch, time.perf_counter() - began)
        if isinstance(stretch, watching.ToolCalled):
            return lambda: self._tool_called(stretch, time.perf_counter() - began)
        return None

    def _model_called(self, call: watching.ModelCallSpan, seconds: float) -> None:
        self.add("model_calls_total", model=call.model, outcome=_outcome(call, failed=False))
        if call.replayed:
            return
        self.observe("model_call_seconds", seconds, model=call.model)
        run = run_in_hand.get()
        for kind in ("input", "output", "cache_read", "cache_write"):
            tokens = getattr(call, f"{kind}_tokens")
            if tokens:
                self.add("tokens_total", tokens, agent=run.agent_id if run else "", model=call.model, type=kind)

    def _tool_called(self, call: watching.ToolCalled, seconds: float) -> None:
        self.add("tool_calls_total", tool=call.tool, outcome=_outcome(call, failed=call.failed))
        if not call.replayed:
            self.observe("tool_call_seconds", seconds, tool=call.tool)


def _outcome(call: watching.ModelCallSpan | watching.ToolCalled, *, failed: bool) -> str:
    if call.replayed:
        return "replayed"
    if call.error is not None and not isinstance(call.error, Exception):
        return "cancelled"
    return "error" if failed or call.error is not None else "ok"


def _started(to: Metrics, notice: notices.TaskStarted) -> None:
    to.add("runs_started_total", agent=notice.agent_id)
    to.add("runs", agent=notice.agent_id)
    if notice.waited is not None:
        to.observe("wait_seconds", notice.waited, agent=notice.agent_id)


def _ended(to: Metrics, notice: notices.TaskEnded) -> None:
    to.add("runs", -1, agent=notice.agent_id)
    to.add("tasks_ended_total", agent=notice.agent_id, status=notice.status)
    to.observe("run_seconds", notice.seconds, agent=notice.agent_id)


def _retried(to: Metrics, notice: notices.TaskRetried) -> None:
    to.add("runs", -1, agent=notice.agent_id)
    to.add("tasks_retried_total", agent=notice.agent_id)


def _handed_back(to: Metrics, notice: notices.TaskHandedBack) -> None:
    to.add("runs", -1, agent=notice.agent_id)
    to.add("tasks_handed_back_total", agent=notice.agent_id)


def _isolated(to: Metrics, notice: notices.TaskIsolated) -> None:
    to.add("runs_started_total", agent=notice.agent_id)
    to.add("runs", agent=notice.agent_id)


def _child_ended(to: Metrics, notice: notices.ChildEnded) -> None:
    to.add("runs", -1, agent=notice.agent_id)
    if notice.status in TERMINAL or notice.status == AgentExecutionStatus.Paused:
        to.add("tasks_ended_total", agent=notice.agent_id, status=notice.status)
        to.observe("run_seconds", notice.seconds, agent=notice.agent_id)


def _crashed(to: Metrics, notice: notices.TaskCrashed) -> None:
    to.add("runs", -1, agent=notice.agent_id)
    to.add("tasks_crashed_total", agent=notice.agent_id)
    if notice.ended:
        to.add("tasks_ended_total", agent=notice.agent_id, status=AgentExecutionStatus.Failed)


def _taken(to: Metrics, notice: notices.RunSuperseded) -> None:
    to.add("runs", -1, agent=notice.agent_id)
    to.add("tasks_stopped_total" if notice.status == "stopped" else "leases_lost_total", agent=notice.agent_id)


def _delivered(to: Metrics, notice: notices.Delivered) -> None:
    to.add("deliveries_total", handler=notice.handler)


def _delivery_failed(to: Metrics, notice: notices.DeliveryFailed) -> None:
    to.add("deliveries_failed_total", handler=notice.handler)
    if notice.set_aside:
        to.add("deliveries_set_aside_total", handler=notice.handler)


def _worker_lost(to: Metrics, notice: notices.WorkerLost) -> None:
    to.add("workers_lost_total", sign=notice.sign)


def _provider_away(to: Metrics, notice: notices.ProviderAway) -> None:
    to.add("provider_outages_total", error=notice.error_code)


def _blocked(to: Metrics, _notice: loop_notices.LoopHeld) -> None:
    to.add("event_loop_blocked_total")


def _trouble(to: Metrics, _notice: notices.PlatformTrouble) -> None:
    to.add("platform_troubles_total")


_COUNTERS: dict[type[notices.Notice], Any] = {
    notices.TaskStarted: _started,
    notices.TaskEnded: _ended,
    notices.TaskRetried: _retried,
    notices.TaskHandedBack: _handed_back,
    notices.RunSuperseded: _taken,
    notices.TaskIsolated: _isolated,
    notices.ChildEnded: _child_ended,
    notices.TaskCrashed: _crashed,
    notices.Delivered: _delivered,
    notices.DeliveryFailed: _delivery_failed,
    notices.WorkerLost: _worker_lost,
    notices.ProviderAway: _provider_away,
    loop_notices.LoopHeld: _blocked,
    notices.PlatformTrouble: _trouble,
}

_of_this_process: list[Metrics] = []


def of_this_process() -> Metrics:
    """Return the process's Metrics, counting from the first call on. A worker and a server in one process share it."""
    if not _of_this_process:
        metrics = Metrics()
        metrics.listen()
        _of_this_process.append(metrics)
    return _of_this_process[0]
