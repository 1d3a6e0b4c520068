"""What Agno writes outside a session, once for each attempt unless it is told that it has done so."""

import inspect
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from worker.agents.instrumentation.frames import Frame
from worker.agents.instrumentation.stable_ids import made_of, seeded
from worker.threads import in_thread
from worker.words.digests import digest


def free_call_id(frame: Frame, call_id: str) -> str:
    """Under which id a large result of a tool is stored: by its number in this attempt, as in the one before.

    Agno looks for an id that is not taken, and what an earlier attempt has stored would take it.
    """
    owner = next((each for each in frame.path() if each.run_id), frame)
    owner.results = owner.results or Counter()
    owner.results[call_id] += 1
    number = owner.results[call_id]
    return call_id if number == 1 else f"{call_id}~{number}"


def create_approval(frame: Frame, original: Callable[..., Any], db: Any, run_response: Any, options: Any) -> Any:
    """Ask for approval as ``create_approval_from_pause`` does, once for all attempts."""
    seed = _seed(frame, run_response)
    known = _approval(db, seed) if db is not None else None
    if known is not None and not inspect.isawaitable(known):
        return _stamp(run_response, known)
    with seeded(lambda: seed):
        return original(db, run_response, **options)


async def acreate_approval(frame: Frame, original: Callable[..., Any], db: Any, run_response: Any, options: Any) -> Any:
    """Ask for approval as ``acreate_approval_from_pause`` does, once for all attempts."""
    seed = _seed(frame, run_response)
    known = _approval(db, seed) if db is not None else None
    if inspect.isawaitable(known):
        known = await known
    if known is not None:
        return _stamp(run_response, known)
    with seeded(lambda: seed):
        return await original(db, run_response, **options)


async def resolve_approval(owner: Frame, call: Any, *, approved: bool) -> None:
    """Say in Agno's own record of an ``@approval`` that a person has decided: it would stay pending for ever.

    A database that does not take it is no reason to end a run whose person has answered.

    Args:
        owner: The run whose tool it is.
        call: Agno's call of the tool.
        approved: What was decided.
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
    except Exception as error:  # noqa: BLE001 - whatever the database raises
        owner.run.go_without("The record of an approval", error, is_covered=True)


async def _called(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a database's method, in a thread where it is plain."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments, **options)
    return await in_thread(partial(function, *arguments, **options))


def _seed(frame: Frame, run_response: Any) -> str:
    """What the record's id follows from: the run, and the calls that wait."""
    waiting = [each.tool_call_id for each in run_response.tools or () if each.is_paused and each.approval_id is None]
    return digest([frame.run.record.id, run_response.run_id, waiting])


def _approval(db: Any, seed: str) -> Any:
    """The record that an earlier attempt has made; its id followed from the same seed."""
    get = getattr(db, "get_approval", None)
    if get is None:
        return None
    try:
        return get(str(made_of(seed)))
    except NotImplementedError:
        return None


def _stamp(run_response: Any, known: Any) -> str:
    from agno.run import approval

    stamp: Callable[..., None] = getattr(approval, "_stamp_approval_id_on_tools", lambda *_: None)
    stamp(run_response.tools, run_response.requirements, known["id"])
    return str(known["id"])
