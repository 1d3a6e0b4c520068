"""Notices as log lines."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from worker.words import loop_notices, notices
from worker.words.classification import message_of
from worker.words.errors import ModuleException, TimeLimit

MAX_LISTED = 10  # tasks named in one line
PACKAGE_FOLDER = str(Path(__file__).resolve().parent.parent)

NOT_ISOLATED = (
    "this worker cannot isolate tasks suspected of crashing workers, and runs them alongside others until"
    " their fifth crash, because WORKER_CHILDREN is 0 or the handlers were not loaded from a folder"
)

NO_KEY_LEFT = (
    "no valid API key is left, and every request is answered with 401; run `worker key create --role"
    " admin`, or set WORKER_API_KEY"
)
KEYS_ASSUMED = (
    "keys without a role have the role admin, which preserves their permissions; to restrict them, run"
    " `worker key create --role viewer|client|worker` and revoke the old keys"
)

_least = logging.INFO


def begin(least: int) -> None:
    """Set the lowest level of lines to write."""
    global _least  # noqa: PLW0603 - a process has one log
    _least = least


def write(notice: notices.Notice) -> None:  # noqa: C901, PLR0912, PLR0915 - one case for each kind of notice
    """Write a notice as a log line."""
    if isinstance(notice, notices.TaskStarted | notices.Delivered) and _least > logging.DEBUG:
        return  # the most frequent notices cost nothing unless debug lines are written
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
            if not notice.isolates:
                log.warning(NOT_ISOLATED)
        case notices.HandlersReloaded():
            log.info("handlers reloaded", handlers=", ".join(notice.handlers))
        case notices.HandlersBroken():
            for problem in notice.problems:
                log.error("handlers could not be reloaded; the previous ones remain in use", problem=problem)
        case notices.LegacyKeysFound():
            log.warning(KEYS_ASSUMED, keys=", ".join(notice.names))
        case notices.NoKeyLeft():
            log.warning(NO_KEY_LEFT)
        case notices.WorkerDraining():
            log.info("worker draining", running=notice.running, seconds=notice.seconds)
        case notices.WorkerStopped():
            log.info("worker stopped", handed_back=notice.handed_back)
        case notices.WorkerLost():
            log.warning("worker lost", worker=notice.name, sign=notice.sign, tasks=notice.tasks)
        case notices.CleanedUp():
            log.info("cleaned up", seconds=round(notice.seconds, 3), **asdict(notice.removed))
        case notices.PlatformTrouble():
            log.warning("platform operation failed", doing=notice.doing, error=str(notice.error), again=notice.again_in)
        case notices.TaskStarted():
            log.debug("task started", handler=notice.handler, **_task(notice))
        case notices.TaskEnded():
            level = log.info if notice.error is None else log.error
            seconds = round(notice.seconds, 3)
            level(f"task {notice.status}", seconds=seconds, **_task(notice), **_raised(notice.error))
        case notices.TaskRetried():
            log.warning("task will be retried", delay=round(notice.delay, 3), **_task(notice), **_raised(notice.error))
        case notices.TaskHandedBack():
            log.info("task handed back", **_task(notice))
        case notices.ResultDiscarded():
            log.warning(
                "the handler returned a result after it had already saved a different one, which is kept; either"
                " return the result or save it",
                **_task(notice),
            )
        case notices.RunSuperseded():
            log.info("the run no longer owns its task", status=notice.status, **_task(notice))
        case notices.WorkerCutOff():
            log.warning(
                "worker lost contact with the platform for the length of its lease; ending its runs",
                running=notice.running,
            )
        case notices.WorkerRetiring():
            level = log.error if notice.by_fault else log.info
            level("worker is exiting", reason=notice.reason)
        case notices.WorkerDeadlocked():
            log.warning(
                "all slots of this worker are held by tasks that wait for others; if those need this worker, none"
                " can continue. Wait with context.run_task, which frees the slot; or raise WORKER_CONCURRENCY, limit"
                " the parents with concurrency=, or run more workers",
                tasks=", ".join(notice.task_ids[:MAX_LISTED]),
                waits_for=", ".join(notice.awaited[:MAX_LISTED]),
            )
        case notices.TaskIsolated():
            log.warning(
                "running the task in a child process, since workers crashed while running it",
                suspicions=notice.suspicions,
                **_task(notice),
            )
        case notices.TaskCrashed():
            log.error("the task's child process crashed", reason=notice.reason, crashes=notice.crashes, **_task(notice))
        case notices.ChildEnded():
            log.debug("child process ended", status=notice.status, **_task(notice))
        case notices.Delivered():
            log.debug("delivered", task=notice.task_id, handler=notice.handler, event_number=notice.event_number)
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
        case notices.ClockSetBack():
            log.warning("the database's clock was set back", seconds=round(notice.seconds, 1), rows=notice.rows)
        case notices.ProviderAway():
            fields = {"provider": notice.provider, "code": notice.error_code, "error": notice.message}
            log.error("provider unavailable; its tasks wait", **fields)
        case notices.ProviderBack():
            log.info("provider back", provider=notice.provider)
        case notices.VectorsMissing():
            log.warning("knowledge bases have no vectors; search matches words only", reason=notice.reason)
        case loop_notices.LoopHeld():
            log.info(
                "the event loop has been occupied for a quarter of a second",
                handler=notice.handler,
                stack=" < ".join(notice.stack),
                **_task(notice),
            )
        case loop_notices.LoopBlocked():
            log.warning(
                "a handler blocks the event loop and everything else in this process; use a thread or a sync handler",
                handler=notice.handler,
                seconds=round(notice.seconds, 1),
                stack=" < ".join(notice.stack),
                **_task(notice),
            )
        case loop_notices.LoopBroken():
            log.error(
                "code has broken the event loop; this process exits, and other workers take over its tasks",
                why=notice.why,
                tasks=", ".join(notice.task_ids[:MAX_LISTED]),
            )
        case loop_notices.LimitsLowered():
            log.warning(
                "a handler had lowered limits of the whole process; they were restored", limits=", ".join(notice.limits)
            )
        case loop_notices.PartsReplaced():
            log.warning(
                "a handler left parts of the process broken for other tasks; they were restored",
                parts=", ".join(notice.parts),
            )
        case loop_notices.SignalHandlerFailed():
            log.warning(
                "a signal handler raised an error outside a task's code; the error is ignored",
                signal=notice.signal,
                error=message_of(notice.error),
            )
        case loop_notices.LoopFreed():
            log.warning(
                "the event loop is no longer blocked",
                handler=notice.handler,
                seconds=round(notice.seconds, 1),
                **_task(notice),
            )
        case _:
            log.debug(type(notice).__name__)


def _task(notice: Any) -> dict[str, Any]:
    return {"task": notice.task_id, "agent": notice.agent_id, "attempt": notice.attempt}


def _raised(error: BaseException | None) -> dict[str, Any]:
    """Return the error with the user's part of its traceback; refused calls and exceeded time limits need none."""
    if error is None:
        return {}
    if isinstance(error, ModuleException | TimeLimit) and error.__cause__ is None:
        return {"error": str(error)}
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(PACKAGE_FOLDER):
        traceback = traceback.tb_next
    return {"exc_info": error.with_traceback(traceback) if traceback is not None else error}
