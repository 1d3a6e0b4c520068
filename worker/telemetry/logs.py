"""The log: one format for our own lines, those of handlers and of libraries, each with its run, and without secrets."""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from worker.current import run_in_hand
from worker.redaction import Redactor
from worker.settings import Settings
from worker.telemetry import lines, tracebacks, traces
from worker.words import notices
from worker.words.errors import ModuleException
from worker.words.invisible_characters import escaped

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

QUIET = ("httpx", "httpcore", "psycopg", "psycopg.pool", "asyncio", "urllib3", "opentelemetry", "uvicorn.error")
"""Loggers limited to warnings: their information repeats ours, or must not be shown (httpx logs whole URLs)."""

TEXT_CHARACTERS = 16_000  # per text of a line; collectors cut or drop lines over 16 KiB to 256 KiB

_configured = False
_worker_name: str | None = None


def configure(settings: Settings) -> None:
    """Write log lines, including those of notices, to standard output in the format that the settings name.

    Args:
        settings: ``WORKER_LOG`` and ``WORKER_LOG_LEVEL``; secrets among the settings appear in no line.
    """
    global _configured  # noqa: PLW0603 - a process has one log
    least = LEVELS[settings.log_level]
    form = settings.log or ("console" if sys.stdout.isatty() else "logfmt")
    redact = Redactor.of(settings, os.environ)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _bind_run,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _bounding(redact),  # before the processors that read every character
            _escape_values,
            *_rendering(form, redact),
            *([] if form == "console" else [_escape_line]),
            _redacting(redact),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    _take_over_logging(least)
    lines.begin(least)
    if not _configured:
        if traces.is_missing():
            structlog.get_logger("worker").warning("tracing is disabled: pip install 'agno-worker[otel]'")
        notices.subscribe(_remember_worker)  # first, so that the first line already has the worker's name
        notices.subscribe(lines.write)
        _configured = True


class Forwarder(logging.Handler):
    """Writes records of Python's own ``logging``, by libraries and handlers, in the same format, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as a line."""
        try:
            fields = {"exc_info": record.exc_info} if record.exc_info else {}
            structlog.get_logger("worker").log(record.levelno, record.getMessage(), logger=record.name, **fields)
        except Exception:  # noqa: BLE001 - as in logging itself, a line that cannot be written must not end anything
            self.handleError(record)


def failed(error: ModuleException) -> None:
    """Log why the worker cannot start."""
    structlog.get_logger("worker").error("the worker cannot start", reason=error.description)


def serving_metrics(address: str | None) -> None:
    """Log the address of a worker's metrics, if there is one."""
    if address is not None:
        structlog.get_logger("worker").info("metrics ready", address=address)


def _bind_run(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add task, agent, attempt and worker of the current run to a line, in whichever of its threads it is written.

    They are looked up only when a line is written, so that a run without lines costs nothing.
    """
    run = run_in_hand.get()
    if run is not None:
        line.setdefault("task", run.task_id)
        line.setdefault("agent", run.agent_id)
        if run.attempt is not None:
            line.setdefault("attempt", run.attempt)
        elif run.origin is not None:
            line.setdefault("handler", run.origin)
    if _worker_name is not None:
        line.setdefault("worker", _worker_name)
    return line


def _redacting(redact: Redactor) -> Any:
    """Return the last of all processors, which removes secrets from the rendered line, so that none can bypass it."""

    def hide(_logger: Any, _method: str, line: str) -> str:
        return redact(line)

    return hide


def _escape_values(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape invisible characters in values, which could forge a line or control a terminal."""
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = escaped(value)
    return line


def _escape_line(_logger: Any, _method: str, line: Any) -> Any:
    """Escape invisible characters in the rendered line, including its traceback; a console line needs its colors."""
    return escaped(line)


def _remember_worker(notice: notices.Notice) -> None:
    global _worker_name  # noqa: PLW0603 - a process is one worker
    if isinstance(notice, notices.WorkerStarted | notices.ChildStarted):
        _worker_name = notice.name


def _take_over_logging(least: int) -> None:
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, Forwarder)] + [Forwarder()]
    root.setLevel(least)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(least, logging.WARNING))


def _bounding(redact: Redactor) -> Any:
    """Return a processor that truncates each text of a line: an exception's message may be a whole file."""

    def bound(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in line.items():
            if isinstance(value, str) and len(value) > TEXT_CHARACTERS:
                line[name] = redact.beginning(value, TEXT_CHARACTERS)
        return line

    return bound


def _rendering(form: str, redact: Redactor) -> list[Any]:
    bound = _bounding(redact)
    with_traceback = structlog.processors.ExceptionRenderer(tracebacks.formatted)
    match form:
        case "json":
            return [with_traceback, bound, structlog.processors.JSONRenderer()]
        case "logfmt":
            return [
                with_traceback,
                bound,
                structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
            ]
        case _:

            def traceback(out: TextIO, error: Any) -> None:  # the default one shows every variable's value
                out.write("\n" + redact.beginning(tracebacks.formatted(error), TEXT_CHARACTERS))

            return [bound, structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=traceback)]
