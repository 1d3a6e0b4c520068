"""Agno's sessions as a task finds them: without changes by the task's own earlier attempts.

A failed attempt has often already stored its run and its session state. Read back, these would become history that the
model receives, state that is counted twice, and requests that no longer match the journal. A session that a run reads
is therefore reset to how the task found it: runs of the task's earlier attempts are removed, and session data is
restored.
"""

import threading
from copy import deepcopy
from functools import partial
from typing import Any

from worker.agents.event_buffer import plain
from worker.agents.instrumentation.frames import Frame
from worker.words.digests import digest

WHAT = "The session"

METRICS = "session_metrics"
"""The key that Agno adds to a session's data with the first run; the data is stored before the run itself."""


def as_found(frame: Frame, owner: Any, session: Any) -> Any:
    """Reset a session to how the task found it.

    Args:
        frame: The frame in which the session is read.
        owner: The agent, team or workflow that reads the session.
        session: Agno's session, which is changed in place.
    """
    run = frame.run
    if frame.run_id:
        frame.restart()
    if not run.journal.is_kept or session is None:
        return session
    runs: list[Any] = session.runs or []
    others = [each for each in runs if not is_from_earlier_attempt(getattr(each, "run_id", None), frame)]
    has_own = len(others) < len(runs)
    if has_own:
        session.runs = others
    at = f"{run.record.turn}.{digest([type(session).__name__, session.session_id])}"
    # The task's first run finds the session as the task did, a later run as the runs before it have left it.
    scope = run.scope if run.journal.run_ids else run.journal.root
    entry = run.journal.find(scope, "session", at)
    if entry is not None:
        found = deepcopy(entry.value)
        session.session_data, session.metadata = found["data"], found["metadata"]
        _set_summary(session, found["summary"])
    elif has_own or (run.journal.is_retry and not runs and METRICS in (session.session_data or {})):
        _begin_anew(owner, session)
    elif _holds_anything(owner, session):
        found = {
            "data": plain(session.session_data),
            "metadata": plain(session.metadata),
            "summary": _summary(session),
        }
        run.note(scope, "session", at, found, match="", what=WHAT)
        run.has_found_session = True
    return session


async def before_saving(frame: Frame) -> None:
    """Wait until the session's initial state is journaled, before the session is stored."""
    if frame.run.has_found_session:
        frame.run.has_found_session = False
        await frame.run.buffer.all_stored()


def before_saving_sync(frame: Frame) -> None:
    """Sync version of ``before_saving``, without the wait if this code blocks the loop."""
    if frame.run.has_found_session and threading.get_ident() != frame.run.thread:
        frame.run.on_loop(partial(before_saving, frame))


def is_from_earlier_attempt(run_id: str | None, frame: Frame) -> bool:
    """Return whether what is stored of a run is of an earlier attempt at this turn, which has not made the run yet."""
    return str(run_id or "").startswith(frame.run.prefix) and run_id not in frame.run.journal.run_ids


def _holds_anything(owner: Any, session: Any) -> bool:
    """Return whether a session contains more than a new one would."""
    return bool(session.runs) or (session.session_data or {}) != _fresh(owner) or _summary(session) is not None


def _fresh(owner: Any) -> dict[str, Any]:
    state = getattr(owner, "session_state", None)
    return {} if state is None else {"session_state": plain(state)}


def _begin_anew(owner: Any, session: Any) -> None:
    """Reset a session that did not exist when the task began to how its owner creates it."""
    session.session_data = _fresh(owner)
    _set_summary(session, None)
    if hasattr(session, "workflow_data") and session.workflow_id != owner.id:  # a workflow in this one stored it first
        session.workflow_id, session.workflow_data = owner.id, owner._get_workflow_data()  # noqa: SLF001
        session.metadata = deepcopy(owner.metadata or {})


def _summary(session: Any) -> Any:
    summary = getattr(session, "summary", None)
    return None if summary is None else summary.to_dict()


def _set_summary(session: Any, stored: Any) -> None:
    if not hasattr(session, "summary"):
        return
    from agno.session.summary import SessionSummary

    session.summary = None if stored is None else SessionSummary.from_dict(stored)
