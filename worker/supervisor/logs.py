"""Log lines: structlog, fed by the notices."""

import logging
import sys
from pathlib import Path
from typing import Any

import structlog

from worker.settings import Settings
from worker.supervisor.calls import TimeLimit
from worker.words import notices
from worker.words.errors import ModuleException

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

QUIET = ("httpx", "httpcore", "psycopg", "psycopg.pool", "asyncio")
"""Loggers whose information is ours to give, or holds what must not be shown: httpx logs whole URLs."""

OURS = str(Path(__file__).resolve().parent.parent)

_configured = False
_least = logging.INFO


def configure(settings: Settings) -> None:
    """Write log lines in the form the settings name, one a line, to standard output; notices are among them.

    Args:
        settings: ``WORKER_LOG`` and ``WORKER_LOG_LEVEL``.
    """
    global _configured, _least  # noqa: PLW0603 - a process has one log
    _least = LEVELS[settings.log_level]
    form = settings.log or ("console" if sys.stdout.isatty() else "logfmt")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_rendering(form),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_least),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    _take_over_logging()
    if not _configured:
        notices.subscribe(write)
        _configured = True


class Forwarder(logging.Handler):
    """Writes what libraries and handlers log by Python's own ``logging`` in the same form, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        try:
            fields = {"exc_info": record.exc_info} if record.exc_info else {}
            structlog.get_logger("worker").log(record.levelno, record.getMessage(), logger=record.name, **fields)
        except Exception:  # noqa: BLE001 - logging's own way: a line that cannot be written ends nothing
            self.handleError(record)


def _take_over_logging() -> None:
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, Forwarder)] + [Forwarder()]
    root.setLevel(_least)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(_least, logging.WARNING))


def _rendering(form: str) -> list[Any]:
    match form:
        case "json":
            return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        case "logfmt":
            return [
                structlog.processors.format_exc_info,
                structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
            ]
        case _:
            return [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())]


def failed(error: ModuleException) -> None:
    """Say why the worker does not start."""
    structlog.get_logger("worker").error("the worker cannot start", reason=error.description)


def write(notice: notices.Notice) -> None:
    """Turn a notice into a log line."""
    if isinstance(notice, notices.TaskStarted) and _least > logging.DEBUG:
        return  # the commonest notice costs nothing unless somebody wants it
    log = structlog.get_logger("worker")
    match notice:
        case notices.WorkerStarted():
            log.info(
                "worker ready",
                worker=notice.name,
                platform=notice.platform,
                concurrency=notice.concurrency,
                handlers=", ".join(notice.handlers),
            )
        case notices.WorkerDraining():
            log.info("worker draining", running=notice.running, seconds=notice.seconds)
        case notices.WorkerStopped():
            log.info("worker stopped", handed_back=notice.handed_back)
        case notices.WorkerLost():
            log.warning("worker lost", worker=notice.name, sign=notice.sign, tasks=notice.tasks)
        case notices.PlatformTrouble():
            log.warning("trouble with the platform", doing=notice.doing, error=str(notice.error), again=notice.again_in)
        case notices.DeliveryFailed():
            log.warning(
                "delivery failed",
                task=notice.task_id,
                handler=notice.handler,
                event_number=notice.event_number,
                tries=notice.tries,
                set_aside=notice.set_aside,
                **_raised(notice.error),
            )
        case _:
            _write_of_task(log, notice)


def _write_of_task(log: Any, notice: notices.Notice) -> None:
    match notice:
        case notices.TaskStarted():
            log.debug("task started", handler=notice.handler, **_task(notice))
        case notices.TaskEnded():
            level = log.info if notice.error is None else log.error
            seconds = round(notice.seconds, 3)
            level(f"task {notice.status}", seconds=seconds, **_task(notice), **_raised(notice.error))
        case notices.TaskRetried():
            log.warning(
                "task will be tried again", delay=round(notice.delay, 3), **_task(notice), **_raised(notice.error)
            )
        case notices.TaskHandedBack():
            log.info("task handed back", **_task(notice))
        case notices.TaskTaken():
            log.info("task taken from this run", status=notice.status, **_task(notice))
        case _:
            log.debug(type(notice).__name__)


def _task(notice: Any) -> dict[str, Any]:
    return {"task": notice.task_id, "agent": notice.agent_id, "attempt": notice.attempt}


def _raised(error: BaseException | None) -> dict[str, Any]:
    """The error with the part of its traceback that is the user's; what is refused or over time needs none."""
    if error is None:
        return {}
    if isinstance(error, ModuleException | TimeLimit) and error.__cause__ is None:
        return {"error": str(error)}
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(OURS):
        traceback = traceback.tb_next
    return {"exc_info": error.with_traceback(traceback) if traceback is not None else error}
