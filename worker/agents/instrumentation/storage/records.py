"""Records that Agno writes outside a session, which without these hooks each attempt would write again."""

import inspect
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from worker.agents.instrumentation.frames import Frame
from worker.agents.instrumentation.stable_ids import id_from_seed, seeded
from worker.threads import in_thread
from worker.words.digests import digest


def free_call_id(frame: Frame, call_id: str) -> str:
    """Return the id under which a large tool result is stored, which is the same in every attempt.

    Agno looks for an unused id, and would skip the id that an earlier attempt has used for the same result.
    """
    owner = next((each for each in frame.path() if each.run_id), frame)
    owner.results = owner.results or Counter()
    owner.results[call_id] += 1
    number = owner.results[call_id]
    return call_id if number == 1 else f"{call_id}~{number}"


def create_approval(frame: Frame, original: Callable[..., Any], db: Any, run_response: Any, options: Any) -> Any:
    """Request approval like ``create_approval_from_pause``, but only once across attempts."""
    seed = _seed(frame, run_response)
    known = _approval(db, seed) if db is not None else None
    if known is not None and not inspect.isawaitable(known):
        return _stamp(run_response, known)
    with seeded(lambda: seed):
        return original(db, run_response, **options)


async def acreate_approval(frame: Frame, original: Callable[..., Any], db: Any, run_response: Any, options: Any) -> Any:
    """Async version of ``create_approval``."""
    seed = _seed(frame, run_response)
    known = _approval(db, seed) if db is not None else None
    if inspect.isawaitable(known):
        known = await known
    if known is not None:
        return _stamp(run_response, known)
    with seeded(lambda: seed):
        return await original(db, run_response, **options)


async def resolve_approval(owner: Frame, call: Any, *, approved: bool) -> None:
    """Set a person's decision in Agno's own record of an ``@approval``, which would otherwise stay pending forever.

    An error of the database does not end the run, since the person has answered.

    Args:
        owner: The frame of the run that calls the tool.
        call: Agno's call of the tool.
        approved: The decision.
    """
    db: Any = getattr(owner.owner, "db", None)
    if getattr(call.function, "approval_type", None) != "required" or not hasattr(db, "get_approvals"):
        return
    try:
        found, _ = await _called(db.get_approvals, status="pending", run_id=owner.run_id)
        for each in found:
            if each.get("tool_name") == call.function.name:
                status = "approved" if approved else "rejected"
                changes = {"status": status, "resolved_at": int(time.time()), "resolved_by": "agno-worker"}
                await _called(db.update_approval, each["id"], expected_status="pending", **changes)
    except Exception as error:  # noqa: BLE001 - databases may raise anything
        owner.run.note_missing_or_stop("The record of an approval", error, has_configured_recovery=True)


async def _called(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a database's method, in a thread if it is sync."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments, **options)
    return await in_thread(partial(function, *arguments, **options))


def _seed(frame: Frame, run_response: Any) -> str:
    """Return the seed of the record's id: the run and its waiting calls."""
    waiting = [each.tool_call_id for each in run_response.tools or () if each.is_paused and each.approval_id is None]
    return digest([frame.run.record.id, run_response.run_id, waiting])


def _approval(db: Any, seed: str) -> Any:
    """Return the record that an earlier attempt has written, whose id was derived from the same seed."""
    get = getattr(db, "get_approval", None)
    if get is None:
        return None
    try:
        return get(str(id_from_seed(seed)))
    except NotImplementedError:
        return None


def _stamp(run_response: Any, known: Any) -> str:
    from agno.run import approval

    stamp: Callable[..., None] = getattr(approval, "_stamp_approval_id_on_tools", lambda *_: None)
    stamp(run_response.tools, run_response.requirements, known["id"])
    return str(known["id"])
