"""Tracing: whether it is enabled, and where spans go. Each task has one trace, whichever processes take part in it.

Nothing of OpenTelemetry is imported until its standard variables ask for it, or the program itself has set it up.
"""

import os
import sys
from typing import TYPE_CHECKING, Any

from worker.redaction import Redactor
from worker.settings import Settings
from worker.words import watching
from worker.words.watching import Stretch

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from worker.telemetry.spans import Spans

SERVICE = "agno-worker"
FLUSH_MILLISECONDS = 3000  # to send the remaining spans when a worker leaves
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class _Lazily:
    """Creates spans once OpenTelemetry is set up, which a handler's module or an instrumentation may do at any time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._spans: Spans | None = None

    def __call__(self, stretch: Stretch) -> watching.End | None:
        """Begin a span if there is a tracer provider."""
        if self._spans is None:
            provider = _given()
            if provider is None:
                return None
            from worker.telemetry.spans import Spans

            self._spans = Spans(provider, Redactor.of(self._settings, os.environ))
        return self._spans.begin(stretch)


def _given() -> "TracerProvider | None":
    """Return the tracer provider that the program has set up; None if it has not."""
    trace = sys.modules.get("opentelemetry.trace")
    provider = trace.get_tracer_provider() if trace is not None and hasattr(trace, "get_tracer_provider") else None
    if trace is None or isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    return provider


_watching = False


def start(settings: Settings) -> None:
    """Start tracing, once per process: if OpenTelemetry's variables ask for it, or once the program sets it up."""
    global _watching  # noqa: PLW0603 - a process has one tracer provider
    if _watching or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    _watching = True
    if _is_requested() and _given() is None:
        _set_up()
    watching.watch(_Lazily(settings))


def is_missing() -> bool:
    """Return whether OpenTelemetry's variables ask for traces although it is not installed."""
    from importlib.util import find_spec

    return _is_requested() and find_spec("opentelemetry") is None


def flush() -> None:
    """Send the remaining spans, within three seconds; for a process that ends without its ``atexit`` functions."""
    provider: Any = _given()
    if hasattr(provider, "force_flush"):
        provider.force_flush(FLUSH_MILLISECONDS)


def _is_requested() -> bool:
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    if exporter:
        return exporter in ("otlp", "console")
    return any(os.environ.get(name) for name in ENDPOINTS)


def _set_up() -> None:
    """Create a provider according to the standard variables; without the extra there are no traces."""
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
