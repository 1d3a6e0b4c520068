"""Traces: whether there are any, and where they go: one for each task, whatever processes take part in it.

Nothing of OpenTelemetry is imported before its standard variables ask for it, or the program itself has set it up.
"""

import os
import sys
from typing import TYPE_CHECKING, Any

from worker.settings import Settings
from worker.telemetry.redaction import Redactor
from worker.words import watching
from worker.words.watching import Stretch

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from worker.telemetry.spans import Spans

SERVICE = "agno-worker"
FLUSH_MILLISECONDS = 3000  # for what is still to be sent when a worker leaves
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class _Lazily:
    """Watches for whoever sets OpenTelemetry up, which may be a handler's module or an instrumentation, at any time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._spans: Spans | None = None

    def __call__(self, stretch: Stretch) -> watching.End | None:
        """Begin a span where there is a provider."""
        if self._spans is None:
            provider = _given()
            if provider is None:
                return None
            from worker.telemetry.spans import Spans

            self._spans = Spans(provider, Redactor.of(self._settings, os.environ))
        return self._spans.begin(stretch)


def _given() -> "TracerProvider | None":
    """The provider that the program has set up; None means it has not."""
    trace = sys.modules.get("opentelemetry.trace")
    provider = trace.get_tracer_provider() if trace is not None and hasattr(trace, "get_tracer_provider") else None
    if trace is None or isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    return provider


_watching = False


def start(settings: Settings) -> None:
    """Trace from now on, once a process: where OpenTelemetry's variables say so, or once the program sets it up."""
    global _watching  # noqa: PLW0603 - a process has one tracer provider
    if _watching or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    _watching = True
    if _is_asked_for() and _given() is None:
        _set_up()
    watching.watch(_Lazily(settings))


def is_missing() -> bool:
    """Whether OpenTelemetry's variables ask for what is not installed."""
    from importlib.util import find_spec

    return _is_asked_for() and find_spec("opentelemetry") is None


def flush() -> None:
    """Send what is still to be sent, within three seconds; a process that ends without its ``atexit`` calls this."""
    provider: Any = _given()
    if hasattr(provider, "force_flush"):
        provider.force_flush(FLUSH_MILLISECONDS)


def _is_asked_for() -> bool:
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    if exporter:
        return exporter in ("otlp", "console")
    return any(os.environ.get(name) for name in ENDPOINTS)


def _set_up() -> None:
    """Make a provider as the standard variables say. Where the extra is not installed there are no traces."""
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
    except ModuleNotFoundError:
        return
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: SERVICE}
    provider = TracerProvider(resource=Resource.create().merge(Resource(named)))
    is_console = os.environ.get("OTEL_TRACES_EXPORTER") == "console"
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter() if is_console else OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
