"""Spans: each watched operation as an OpenTelemetry span, with the names of the gen_ai conventions.

The trace is that of the task's ``traceparent``, which its creator gave, or else one derived from the task's id.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from worker.current import run_in_hand
from worker.redaction import Redactor
from worker.words import watching
from worker.words.classification import message_of
from worker.words.watching import AttemptMade, Creation, ModelCallSpan, Stretch, ToolCalled

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind, TracerProvider

TASK, ATTEMPT, HANDLER, OUTCOME, REPLAYED = (
    f"agno_worker.{name}" for name in ("task.id", "attempt", "handler", "outcome", "replayed")
)
MESSAGE_CHARACTERS = 2000  # per error


class Spans:
    """Creates spans for watched operations.

    Args:
        provider: Provides the tracer.
        redact: Removes secrets from the messages of errors.
    """

    def __init__(self, provider: "TracerProvider", redact: Redactor) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("agno_worker")
        self._redact = redact

    def begin(self, stretch: Stretch) -> watching.End | None:
        """Begin a span."""
        if isinstance(stretch, ModelCallSpan):
            return self._model_call(stretch)
        if isinstance(stretch, ToolCalled):
            return self._tool_call(stretch)
        if isinstance(stretch, AttemptMade):
            return self._attempt(stretch)
        if isinstance(stretch, Creation):
            return self._creation(stretch)
        return None

    def _creation(self, creation: Creation) -> watching.End:
        """Begin the span of a task's creation, which becomes the parent of the task's own spans.

        Its own parent is the given trace, or else the current span.
        """
        from opentelemetry.trace import SpanKind

        span = self._start(
            f"create_task {creation.agent_id}",
            SpanKind.PRODUCER,
            {"gen_ai.agent.name": creation.agent_id},
            _extracted(creation.traceparent),
        )
        creation.traceparent = _traceparent(span) or creation.traceparent

        def known() -> None:
            if creation.task_id is not None:
                span.set_attribute(TASK, creation.task_id)

        return self._ending(span, creation, known, is_current=True)

    def _attempt(self, made: AttemptMade) -> watching.End:
        from opentelemetry.trace import SpanKind

        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": made.agent_id,
            TASK: made.task_id,
            ATTEMPT: made.attempt,
            HANDLER: made.handler,
        }
        parent = _extracted(made.traceparent) or self._derived(made.task_id)
        span = self._start(f"invoke_agent {made.agent_id}", SpanKind.CONSUMER, attributes, parent)
        return self._ending(span, made, lambda: span.set_attribute(OUTCOME, made.outcome), is_current=True)

    def _model_call(self, call: ModelCallSpan) -> watching.End:
        from opentelemetry.trace import SpanKind

        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _provider(call.provider),
            "gen_ai.request.model": call.model,
            "gen_ai.request.stream": call.streamed,
        }
        span = self._start(f"chat {call.model}", SpanKind.CLIENT, attributes)

        def known() -> None:
            for name, count in (
                ("input_tokens", call.input_tokens),
                ("output_tokens", call.output_tokens),
                ("cache_read.input_tokens", call.cache_read_tokens),
                ("cache_creation.input_tokens", call.cache_write_tokens),
            ):
                if count:
                    span.set_attribute(f"gen_ai.usage.{name}", count)
            if call.finish_reason:
                span.set_attribute("gen_ai.response.finish_reasons", [str(call.finish_reason)])
            _mark(span, replayed=call.replayed)

        # The caller reads a stream, and its own work meanwhile does not belong to the model's span.
        return self._ending(span, call, known, is_current=not call.streamed)

    def _tool_call(self, call: ToolCalled) -> watching.End:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.tool,
            "gen_ai.tool.call.id": call.call_id,
            "gen_ai.tool.type": "function",
        }
        span = self._start(f"execute_tool {call.tool}", SpanKind.INTERNAL, attributes)

        def known() -> None:
            _mark(span, replayed=call.replayed)
            if call.failed and call.error is None:  # the agent got the tool's error as a text
                span.set_attribute("error.type", "_OTHER")
                span.set_status(Status(StatusCode.ERROR))

        return self._ending(span, call, known, is_current=True)

    def _start(
        self, name: str, kind: "SpanKind", attributes: Mapping[str, Any], parent: "Context | None" = None
    ) -> "Span":
        run = run_in_hand.get()
        own = {TASK: run.task_id} if run is not None and run.attempt is not None else {}
        return self._tracer.start_span(name, context=parent, kind=kind, attributes={**own, **attributes})

    def _ending(self, span: "Span", stretch: Stretch, known: Callable[[], None], *, is_current: bool) -> watching.End:
        from opentelemetry import context, trace

        token = context.attach(trace.set_span_in_context(span)) if is_current else None

        def end() -> None:
            if token is not None:
                context.detach(token)
            known()
            if stretch.error is not None:
                self._record(span, stretch.error)
            span.end()

        return end

    def _record(self, span: "Span", error: BaseException) -> None:
        """Record an error by its message alone, since a traceback may quote secrets."""
        from opentelemetry.trace import Status, StatusCode

        kind = type(error).__qualname__
        message = self._redact.beginning(message_of(error), MESSAGE_CHARACTERS)
        span.set_attribute("error.type", kind)
        span.add_event("exception", {"exception.type": kind, "exception.message": message})
        if isinstance(error, Exception):  # a cancelled run is not a failure
            span.set_status(Status(StatusCode.ERROR, message))

    def _derived(self, task_id: str) -> "Context":
        """Return a trace derived from the task's id, the same in every process, for a task whose creator had none.

        The sampler decides whether it is recorded, as for a trace that begins here.
        """
        from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

        digest = hashlib.sha256(task_id.encode("utf-8", "replace")).digest()
        trace_id, span_id = int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1
        sampler = getattr(self._provider, "sampler", None)
        sampled = sampler is None or sampler.should_sample(None, trace_id, "task").decision.is_sampled()
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        return set_span_in_context(NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)))


def _mark(span: "Span", *, replayed: bool) -> None:
    if replayed:
        span.set_attribute(REPLAYED, value=True)


def _provider(name: str) -> str:
    """Return the convention's name of a model's provider: in lower case, with Google's below its platform."""
    known = {"google": "gcp.gemini", "vertexai": "gcp.vertex_ai", "awsbedrock": "aws.bedrock", "mistral": "mistral_ai"}
    plain = "".join(name.lower().split())
    return known.get(plain, plain)


def _extracted(traceparent: str | None) -> "Context | None":
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}) if traceparent else None


def _traceparent(span: "Span") -> str | None:
    """Return a span's context in the W3C format; None if it is invalid."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
